package pvetest

import (
	"net/url"
	"strings"
)

// Secret is every token's secret. A test that finds it in a log, an error or a
// report has found a leak.
const Secret = "5c0ffee5-dead-4bad-8bad-ca11ab1e5ec7"

// The tokens a Server knows.
const (
	Auditor      = "felhom@pve!auditor"       // PVEAuditor on /
	Bare         = "felhom@pve!bare"          // of its own privileges, and none given
	BackupLister = "felhom@pve!backup-lister" // Auditor, Datastore.AllocateSpace and VM.Backup
	NodeAuditor  = "felhom@pve!node-auditor"  // Sys.Audit on /nodes: sees the node and no guest
	OneGuest     = "felhom@pve!one-guest"     // NodeAuditor, and VM.Audit on /vms/110
	NotBelow     = "felhom@pve!not-below"     // NodeAuditor, and VM.Audit on /vms but on nothing below
	Root         = "root@pam!agent"           // everything
	NoStorage    = "felhom@pve!no-storage"    // Auditor, but nothing on /storage

	// Tokens of their own privileges, which have what both they and their user have.
	UserHalf  = "felhom@pve!user-half"  // the user is auditor, the token nothing
	TokenHalf = "bare@pve!token-half"   // the token is auditor, its user nothing
	NodeHalf  = "felhom@pve!node-half"  // the user is auditor, the token on /nodes only
	BothHalf  = "felhom@pve!both-halfs" // both are auditors
)

// grant is an ACL entry. It reaches the paths below unless pathOnly.
type grant struct {
	privileges []string
	pathOnly   bool
}

// acl is a token's effective rights. A deeper path's entry replaces what comes
// from above.
type acl map[string]grant

var auditPrivileges = []string{"Datastore.Audit", "Mapping.Audit", "Pool.Audit", "SDN.Audit", "Sys.Audit", "VM.Audit"}

func defaultTokens() map[string]acl {
	nodes := grant{privileges: []string{"Sys.Audit"}}
	auditor := acl{"/": {privileges: auditPrivileges}}
	all := append([]string{"Datastore.Allocate", "Datastore.AllocateSpace", "Sys.Modify", "VM.Allocate", "VM.Backup"}, auditPrivileges...)
	return map[string]acl{
		Auditor:      {"/": {privileges: auditPrivileges}},
		Bare:         {},
		Root:         {"/": {privileges: all}},
		NoStorage:    {"/": {privileges: auditPrivileges}, "/storage": {}},
		UserHalf:     both(auditor, acl{}),
		TokenHalf:    both(acl{}, auditor),
		NodeHalf:     both(auditor, acl{"/nodes": {privileges: auditPrivileges}}),
		BothHalf:     both(auditor, auditor),
		BackupLister: {"/": {privileges: append([]string{"Datastore.AllocateSpace", "VM.Backup"}, auditPrivileges...)}},
		NodeAuditor:  {"/nodes": nodes},
		OneGuest:     {"/nodes": nodes, "/vms/110": {privileges: []string{"VM.Audit"}}},
		NotBelow:     {"/nodes": nodes, "/vms": {privileges: []string{"VM.Audit"}, pathOnly: true}},
	}
}

// both is what is left of a user's rights for a token of its own privileges.
func both(user, token acl) acl {
	left := acl{}
	for _, of := range []acl{user, token} {
		for path := range of {
			var common []string
			have := token.effective(path)
			for p := range user.effective(path) {
				if _, ok := have[p]; ok {
					common = append(common, p)
				}
			}
			left[path] = grant{privileges: common}
		}
	}
	return left
}

// may reports whether one of the privileges ("A|B") holds on path.
func (a acl) may(path, privileges string) bool {
	have := a.effective(path)
	for p := range strings.SplitSeq(privileges, "|") {
		if _, ok := have[p]; ok {
			return true
		}
	}
	return false
}

// effective are the privileges on path: 1 when they reach below, else 0.
func (a acl) effective(path string) map[string]int {
	have := map[string]int{}
	at := ""
	for _, part := range strings.Split(strings.TrimSuffix("/"+strings.Trim(path, "/"), "/"), "/") {
		at = strings.TrimSuffix(at, "/") + "/" + part
		g, ok := a[at]
		if !ok || g.pathOnly && at != path {
			continue
		}
		have = map[string]int{}
		for _, p := range g.privileges {
			have[p] = 1
			if g.pathOnly {
				have[p] = 0
			}
		}
	}
	return have
}

// permissions is /access/permissions: the paths that everyone has and those
// with an entry, as far as there are rights.
func (a acl) permissions() Object {
	paths := []string{"/", "/access", "/access/groups", "/nodes", "/pool", "/sdn", "/storage", "/vms"}
	for p := range a {
		paths = append(paths, p)
	}
	all := Object{}
	for _, p := range paths {
		if have := a.effective(p); len(have) > 0 {
			all[p] = have
		}
	}
	return all
}

// authenticate is the caller's rights, or the reason of the 401.
func (s *Server) authenticate(header string) (rights acl, refused string) {
	value, ok := strings.CutPrefix(header, "PVEAPIToken")
	if !ok || value == "" || value[0] != '=' && value[0] != ' ' {
		return nil, "No ticket"
	}
	if plain, err := url.PathUnescape(value[1:]); err == nil {
		value = plain
	}
	cut := max(strings.LastIndexByte(value, '='), 0)
	rights, ok = s.tokens[value[:cut]]
	if !ok || value[cut:] != "="+Secret {
		return nil, "Authentication failed!"
	}
	return rights, ""
}

// Regrant gives a token the rights of another one from now on.
func (s *Server) Regrant(token, like string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens[token] = s.tokens[like]
}
