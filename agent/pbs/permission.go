package pbs

import (
	"context"
	"maps"
	"path"
	"slices"

	"felhom.eu/agent/api2"
)

const (
	audit  = "Datastore.Audit"
	backup = "Datastore.Backup" // sees the groups that the token owns
)

// deleting are the privileges with which backups can be deleted.
var deleting = []string{"Datastore.Modify", "Datastore.Prune"}

// permissions are the token's effective rights: path, privilege, and whether it
// reaches the paths below. They are what the token was given and its user has,
// too. {} is no right at all. Paths without rights are not listed.
type permissions map[string]map[string]bool

func (s *server) permissions(ctx context.Context) (permissions, error) {
	return api2.Read[permissions](ctx, s.Client, "/access/permissions", nil, s.quick)
}

// has reports whether priv holds on p. A path that is not listed has what its
// nearest listed parent hands down.
func (perms permissions) has(p, priv string) bool {
	for at := p; ; at = path.Dir(at) {
		if privileges, ok := perms[at]; ok {
			below, ok := privileges[priv]
			return ok && (below || at == p)
		}
		if at == "/" {
			return false
		}
	}
}

// all reports whether priv holds on every datastore.
func (perms permissions) all(priv string) bool { return perms["/datastore"][priv] }

// dangerous are the paths on which the token could delete, in order.
func (perms permissions) dangerous() (paths []string) {
	for p, privileges := range perms {
		if slices.ContainsFunc(deleting, func(priv string) bool { _, ok := privileges[priv]; return ok }) {
			paths = append(paths, p)
		}
	}
	slices.Sort(paths)
	return paths
}

// addAt is where to give a role so that it adds to what the token has on p: the
// path that hands that down. A role on p itself would replace it, and a token that
// takes backups would be left without the right to (pbs-config, acl.rs).
func (perms permissions) addAt(p string) string {
	at := p
	for len(perms[at]) == 0 && at != "/" {
		at = path.Dir(at)
	}
	handsDown := func(below bool) bool { return below }
	if at != p && !slices.ContainsFunc(slices.Collect(maps.Values(perms[at])), handsDown) {
		return p
	}
	for at != "/" && maps.Equal(perms[path.Dir(at)], perms[at]) {
		at = path.Dir(at)
	}
	return at
}
