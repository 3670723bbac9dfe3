// Package pvetest is a Proxmox VE for tests: pveproxy with pvedaemon behind it,
// on a loopback port, with a certificate of its own CA. It keeps state that
// tests change, answers with recorded shapes (testdata), and misbehaves as the
// real one does: lists in random order, empty lists instead of refusals, errors
// in the reason phrase, empty bodies, 501 for what is unknown, no 404 at all.
//
// It is not a Proxmox: nothing can be changed through it, and it knows the
// questions of a report only. Delays of the real one (3 s before a 401, 30 s
// before a 596) are knobs, off at first.
package pvetest
