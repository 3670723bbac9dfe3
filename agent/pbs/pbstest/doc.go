// Package pbstest is a Proxmox Backup Server for tests: an HTTPS server on a
// loopback port with a certificate of its own making. It keeps state that tests
// change, and misbehaves as the real one does: refusals are plain text labelled
// application/json, a token without rights is given empty lists, one that may
// only back up its own groups, a group's last-backup may be one that has not
// finished, and a broken datastore is listed with an error instead of figures.
//
// The rules are those of proxmox-backup 3.2 (src/api2/admin, src/backup), with
// the fields that PBS 4 adds. It is not a backup server: nothing can be changed
// through it. The 3 s before a 401 are a knob, off at first.
package pbstest
