// Package proxmox reads one Proxmox VE node through its API, with a token that
// may only look. It is not a general client: it knows the questions a report
// needs, some twenty, and asks nothing that changes anything.
//
// The idea to hold while reading: Proxmox answers in Perl. Numbers arrive as
// strings, rows and keys in any order, errors in the HTTP reason phrase, and a
// token without rights is given empty lists instead of a refusal. So values are
// decoded tolerantly (value.go), lists row by row (guest.go), a status is
// looked at before any JSON (client.go), and an empty list counts only when the
// token's permissions vouch for it (permission.go).
//
// A report asks the same dozen questions every time, and an allowance of eight more
// (round.go): logs of tasks, each line of which is read once (tasklog.go), and what
// is asked for once a period and told in between with the time it was read
// (kept.go). Both lists of guests go out together; else one question follows
// another. What hangs with a dead storage is asked last.
//
// A guest's backups are told from what vzdump logged on this node and from what
// the storages list, whichever is newer (backup.go). A log that names a backup
// which its storage no longer lists has nothing to say. A storage that several
// hosts write to may list another one's guest of the same number: the report says
// which evidence there is.
//
// Templates are not guests: they cannot run, so they are left out.
package proxmox
