// Package pbs reads Proxmox Backup Servers through their API, each with a token
// of its own that may only look: how full the datastores are, which groups of
// snapshots there are, how good those are, and what verifies them. It is not a
// backup client, and a verified snapshot is not a restored one.
//
// The idea to hold while reading: listing groups is cheap for a server, listing
// snapshots is not, for it opens the manifest of each. So the groups are listed
// every time and the snapshots of a group only when something says that they
// changed (group.go), and at the latest after refreshPeriod. What a listing said
// is kept as one messages.PBSGroup, never the snapshots themselves.
//
// The server is honest in a way of its own: refusals are plain text that calls
// itself JSON, a token without rights is given empty lists, one that may only
// back up is given its own groups, and a datastore that cannot be read is listed
// without figures. None of that is "no backups": trouble.go keeps it apart.
package pbs
