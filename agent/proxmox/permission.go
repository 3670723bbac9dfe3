package proxmox

import "context"

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
