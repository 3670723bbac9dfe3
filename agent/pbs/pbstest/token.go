package pbstest

import (
	"maps"
	"slices"
	"strings"
)

// Secret is every token's secret. A test that finds it in a log, an error or a
// report has found a leak.
const Secret = "5c0ffee5-dead-4bad-8bad-ca11ab1e5ec7"

// The tokens a Server knows.
const (
	Auditor          = "felhom@pbs!audit"           // role Audit on /
	DatastoreAuditor = "felhom@pbs!datastore-audit" // role DatastoreAudit on /datastore
	Bare             = "felhom@pbs!bare"            // no rights, as every new token
	NodeOwner        = "node@pbs!kiefer"            // role DatastoreBackup on /datastore: its own groups
	Stranger         = "other@pbs!birke"            // the same, and owns nothing
	OneStore         = "felhom@pbs!one-store"       // role DatastoreAudit on /datastore/keller
	OneNamespace     = "felhom@pbs!one-ns"          // role DatastoreAudit on /datastore/keller/wald
	NotBelow         = "felhom@pbs!not-below"       // role DatastoreAudit on /datastore, but on nothing below
	Admin            = "felhom@pbs!admin"           // role DatastoreAdmin on /datastore
)

// The roles' privileges (pbs-api-types, acl.rs).
var (
	roleAudit     = []string{"Sys.Audit", "Datastore.Audit"}
	roleDatastore = []string{"Datastore.Audit"}
	roleBackup    = []string{"Datastore.Backup"}
	roleAdmin     = []string{"Datastore.Audit", "Datastore.Modify", "Datastore.Read", "Datastore.Verify", "Datastore.Backup", "Datastore.Prune"}
)

// grant is an ACL entry. It reaches the paths below unless pathOnly.
type grant struct {
	privileges []string
	pathOnly   bool
}

// acl is a token's effective rights. A deeper path's entry replaces what comes
// from above.
type acl map[string]grant

func defaultTokens() map[string]acl {
	return map[string]acl{
		Auditor:          {"/": {privileges: roleAudit}},
		DatastoreAuditor: {"/datastore": {privileges: roleDatastore}},
		Bare:             {},
		NodeOwner:        {"/datastore": {privileges: roleBackup}},
		Stranger:         {"/datastore": {privileges: roleBackup}},
		OneStore:         {"/datastore/keller": {privileges: roleDatastore}},
		OneNamespace:     {"/datastore/keller/wald": {privileges: roleDatastore}},
		NotBelow:         {"/datastore": {privileges: roleDatastore, pathOnly: true}},
		Admin:            {"/datastore": {privileges: roleAdmin}},
	}
}

// Grant replaces a token's rights: ACL paths and the privileges on each.
func (s *Server) Grant(token string, rights map[string][]string) {
	a := acl{}
	for p, privileges := range rights {
		a[p] = grant{privileges: privileges}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens[token] = a
}

// caller is who asks.
type caller struct {
	token  string
	rights acl
}

// may reports whether one of the privileges holds on path.
func (c caller) may(path string, privileges ...string) bool {
	have := c.rights.effective(path)
	return slices.ContainsFunc(privileges, func(p string) bool { _, ok := have[p]; return ok })
}

// mayBelow reports whether one of them holds somewhere below path.
func (c caller) mayBelow(path string, privileges ...string) bool {
	for p := range c.rights {
		if strings.HasPrefix(p, path+"/") && c.may(p, privileges...) {
			return true
		}
	}
	return false
}

// effective are the privileges on path, and whether they reach below.
func (a acl) effective(path string) map[string]bool {
	have := map[string]bool{}
	at := ""
	for _, part := range strings.Split(strings.TrimSuffix("/"+strings.Trim(path, "/"), "/"), "/") {
		at = strings.TrimSuffix(at, "/") + "/" + part
		g, ok := a[at]
		if !ok || g.pathOnly && at != path {
			continue
		}
		have = map[string]bool{}
		for _, p := range g.privileges {
			have[p] = !g.pathOnly
		}
	}
	return have
}

// permissions is /access/permissions: the paths that everyone has and those with
// an entry, as far as there are rights.
func (a acl) permissions() map[string]map[string]bool {
	paths := slices.AppendSeq([]string{"/", "/access", "/datastore", "/remote", "/system"}, maps.Keys(a))
	all := map[string]map[string]bool{}
	for _, p := range paths {
		if have := a.effective(p); len(have) > 0 {
			all[p] = have
		}
	}
	return all
}
