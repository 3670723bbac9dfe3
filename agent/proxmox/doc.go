// Package proxmox reads one Proxmox VE node through its API, with a token that
// may only look. It is not a general client: it knows the dozen questions a
// report needs, and asks nothing that changes anything.
//
// The idea to hold while reading: Proxmox answers in Perl. Numbers arrive as
// strings, rows and keys in any order, errors in the HTTP reason phrase, and a
// token without rights is given empty lists instead of a refusal. So values are
// decoded tolerantly (value.go), lists row by row (guest.go), a status is
// looked at before any JSON (client.go), and an empty list counts only when the
// token's permissions vouch for it (permission.go).
//
// Templates are not guests: they cannot run, so they are left out.
package proxmox
