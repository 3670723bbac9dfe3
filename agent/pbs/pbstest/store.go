package pbstest

import (
	"fmt"
	"strings"
	"time"
)

// Store is a datastore. With an Error it has no figures and nothing in it can be
// listed.
type Store struct {
	Total, Used, Avail uint64
	FullDate           int64 // Unix seconds; 0 is no estimate
	Maintenance        string
	Error              string
	groups             []*Group
	namespaces         []string // "" is the root
}

// Group is a group of a datastore.
type Group struct {
	NS, Type, ID, Owner, Comment string
	Snapshots                    []Snapshot // in the directory's order, which is any
}

// Snapshot is one of a group. Unfinished has no manifest yet, Broken one that
// cannot be read.
type Snapshot struct {
	At         time.Time
	Size       uint64
	Verify     string // ok, failed; "" never verified
	Protected  bool
	Unfinished bool
	Broken     bool
	Encrypted  bool
	Signed     bool // and not encrypted: has a key's fingerprint all the same
	Notes      string
}

// VerifyJob is a verify job.
type VerifyJob struct {
	ID, Store, NS, Schedule, LastState string
	LastEnd, NextRun                   int64 // Unix seconds; 0 never
}

// AddStore adds an empty datastore with a terabyte, half of it used.
func (s *Server) AddStore(name string, namespaces ...string) *Store {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := &Store{Total: 1 << 40, Used: 1 << 39, Avail: 1 << 39, namespaces: append([]string{""}, namespaces...)}
	s.stores[name] = st
	return st
}

// RemoveStore removes a datastore.
func (s *Server) RemoveStore(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.stores, name)
}

// Put adds a group, or replaces the one of that namespace, type and id.
func (s *Server) Put(store string, g Group) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.stores[store]
	for i, old := range st.groups {
		if old.NS == g.NS && old.Type == g.Type && old.ID == g.ID {
			st.groups[i] = &g
			return
		}
	}
	st.groups = append(st.groups, &g)
}

// Change changes a datastore.
func (s *Server) Change(store string, f func(*Store)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(s.stores[store])
}

// RemoveGroup removes a group.
func (s *Server) RemoveGroup(store, ns, kind, id string) {
	s.Change(store, func(st *Store) {
		for i, g := range st.groups {
			if g.NS == ns && g.Type == kind && g.ID == id {
				st.groups = append(st.groups[:i], st.groups[i+1:]...)
				return
			}
		}
	})
}

// SetVerifyJobs replaces the verify jobs.
func (s *Server) SetVerifyJobs(jobs ...VerifyJob) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.jobs = jobs
}

type object = map[string]any

// list is the row of /groups. last-backup comes of the server's own fold, which
// may end at an unfinished snapshot or at an older one (list_groups).
func (g *Group) list() object {
	last := g.Snapshots[0]
	for _, s := range g.Snapshots {
		if last.Unfinished || !last.At.After(s.At) {
			last = s
		}
	}
	files := []string{}
	for _, f := range last.files() {
		files = append(files, f["filename"].(string))
	}
	row := object{"backup-type": g.Type, "backup-id": g.ID, "last-backup": last.At.Unix(),
		"backup-count": len(g.Snapshots), "files": files, "owner": g.Owner}
	if g.Comment != "" {
		row["comment"] = g.Comment
	}
	return row
}

// list is the row of /snapshots.
func (s *Snapshot) list(g *Group) object {
	row := object{"backup-type": g.Type, "backup-id": g.ID, "backup-time": s.At.Unix(), "files": s.files(),
		"owner": g.Owner, "protected": s.Protected}
	if s.Unfinished || s.Broken {
		return row
	}
	row["size"] = s.Size
	if s.Encrypted || s.Signed {
		row["fingerprint"] = "5a:10:c3:ff:20:31:7b:9e"
	}
	if s.Verify != "" {
		row["verification"] = object{"state": s.Verify, "upid": fmt.Sprintf("UPID:pbs:000002D1:00003FA1:0000004C:%08X:verificationjob:keller\\x3av\\x2d1:root@pam:", s.At.Unix())}
	}
	if s.Notes != "" {
		row["comment"] = s.Notes
	}
	return row
}

func (s *Snapshot) files() []object {
	switch {
	case s.Unfinished:
		return []object{{"filename": "qemu-server.conf.blob"}}
	case s.Broken:
		return []object{{"filename": "root.pxar.didx"}, {"filename": "index.json.blob"}}
	}
	mode, manifest := "none", "none"
	if s.Encrypted {
		mode = "encrypt"
	}
	if s.Encrypted || s.Signed {
		manifest = "sign-only"
	}
	if s.Signed {
		mode = "sign-only"
	}
	return []object{
		{"filename": "root.pxar.didx", "crypt-mode": mode, "size": s.Size},
		{"filename": "index.json.blob", "crypt-mode": manifest, "size": 611},
		{"filename": "client.log.blob"},
	}
}

// owns reports whether a group of owner is the token's own (check_backup_owner).
func owns(token, owner string) bool {
	return token == owner || !strings.Contains(token, "!") && strings.HasPrefix(owner, token+"!")
}
