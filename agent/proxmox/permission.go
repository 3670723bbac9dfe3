package proxmox

import (
	"cmp"
	"context"
	"slices"
	"strings"
)

// permissions are the token's effective rights: path, privilege, and whether
// it reaches the paths below. A token of its own privileges has those that
// both its ACLs and its user's give; {} is no right at all.
type permissions map[string]map[string]Bool

func (c *client) permissions(ctx context.Context) (permissions, error) {
	return read[permissions](ctx, c, question{path: path("access", "permissions")})
}

// below reports whether priv holds for everything below p. Proxmox lists the
// top paths (/, /vms, /nodes, /storage, …) by name whenever they have rights.
func (p permissions) below(path, priv string) bool { return bool(p[path][priv]) }

// topPaths are listed by Proxmox whenever the token has any right on them: one
// that is not has none, whatever / gives.
var topPaths = []string{"/access", "/nodes", "/pool", "/sdn", "/storage", "/vms"}

// may reports whether priv holds for path itself: by an entry of its own, else
// by the nearest one above that reaches down.
func (p permissions) may(path, priv string) bool {
	if have, ok := p[path]; ok {
		_, may := have[priv]
		return may
	}
	for path != "/" && !slices.Contains(topPaths, path) {
		path = cmp.Or(path[:strings.LastIndexByte(path, '/')], "/")
		if have, ok := p[path]; ok {
			return bool(have[priv])
		}
	}
	return false
}
