package pbstest

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

const (
	audit  = "Datastore.Audit"
	backup = "Datastore.Backup"
	read   = "Datastore.Read"
	modify = "Datastore.Modify"
	verify = "Datastore.Verify"
)

// route answers a question that was let in.
func (s *Server) route(p string, query url.Values, c caller) (any, *Reply) {
	parts := strings.Split(strings.TrimPrefix(p, "/"), "/")
	known := map[string][]string{"snapshots": {"ns", "backup-type", "backup-id"}, "groups": {"ns"}}[parts[len(parts)-1]]
	for name := range query {
		if !slices.Contains(known, name) {
			return nil, text(http.StatusBadRequest, "parameter verification failed: "+name+": schema does not allow additional properties.")
		}
	}
	switch {
	case p == "/version":
		return object{"version": "4.1", "release": "2", "repoid": "b1c2d3e4f5061728394a5b6c7d8e9f0011223344"}, nil
	case p == "/access/permissions":
		return c.rights.permissions(), nil
	case p == "/admin/datastore":
		return s.listStores(c), nil
	case p == "/status/datastore-usage":
		return s.usage(c), nil
	case p == "/admin/verify":
		return s.verifyJobs(c), nil
	case len(parts) == 4 && parts[0] == "admin" && parts[1] == "datastore":
		return s.inStore(parts[2], parts[3], query, c)
	}
	return nil, text(http.StatusNotFound, fmt.Sprintf("Path '/api2/json%s' not found.", p))
}

func (s *Server) names() []string { return slices.Sorted(maps.Keys(s.stores)) }

func (s *Server) listStores(c caller) []object {
	list := []object{}
	for _, name := range s.names() {
		p, st := "/datastore/"+name, s.stores[name]
		if !c.may(p, audit, backup) && !c.mayBelow(p, audit, backup, read, modify) {
			continue
		}
		row := object{"store": name, "comment": nil}
		if s.knobs.PBS4 {
			row["mount-status"], row["backend-type"] = "nonremovable", "filesystem"
		}
		if st.Maintenance != "" {
			row["maintenance"] = st.Maintenance
		}
		list = append(list, row)
	}
	return list
}

func (s *Server) usage(c caller) []object {
	list := []object{}
	for _, name := range s.names() {
		p, st := "/datastore/"+name, s.stores[name]
		switch {
		case !c.may(p, audit, backup):
			if c.mayBelow(p, audit, backup, read, modify) {
				list = append(list, object{"store": name})
			}
		case st.Error != "":
			list = append(list, object{"store": name, "error": st.Error})
		default:
			row := object{"store": name, "total": st.Total, "used": st.Used, "avail": st.Avail,
				"history": []any{0.61, nil, 0.6452}, "history-start": 1770862800, "history-delta": 1800}
			if st.FullDate != 0 || !s.knobs.PBS4 {
				row["estimated-full-date"] = st.FullDate
			}
			list = append(list, row)
		}
	}
	return list
}

func (s *Server) verifyJobs(c caller) []object {
	list := []object{}
	for _, j := range s.jobs {
		if !c.may(aclPath(j.Store, j.NS), audit, verify) {
			continue
		}
		row := object{"id": j.ID, "store": j.Store, "ignore-verified": true}
		for key, v := range map[string]string{"ns": j.NS, "schedule": j.Schedule, "last-run-state": j.LastState} {
			if v != "" {
				row[key] = v
			}
		}
		for key, v := range map[string]int64{"last-run-endtime": j.LastEnd, "next-run": j.NextRun} {
			if v != 0 {
				row[key] = v
			}
		}
		list = append(list, row)
	}
	return list
}

func aclPath(store, ns string) string {
	return strings.TrimSuffix("/datastore/"+store+"/"+ns, "/")
}

// inStore looks at the rights before it looks whether there is such a thing.
func (s *Server) inStore(name, question string, query url.Values, c caller) (any, *Reply) {
	ns := query.Get("ns")
	path := aclPath(name, ns)
	st := s.stores[name]
	switch question {
	case "namespace":
		return s.namespaces(name, st, c)
	case "groups", "snapshots":
		if !c.may(path, audit, backup) {
			return nil, text(http.StatusForbidden, "permission check failed - missing Datastore.Audit|Datastore.Backup on "+path)
		}
	default:
		return nil, text(http.StatusNotFound, "Path '/api2/json/admin/datastore/"+name+"/"+question+"' not found.")
	}
	switch {
	case st == nil:
		return nil, text(http.StatusBadRequest, "no such datastore '"+name+"'")
	case st.Error != "":
		return nil, text(http.StatusBadRequest, st.Error)
	case !slices.Contains(st.namespaces, ns):
		return nil, text(http.StatusBadRequest, "no such namespace '"+ns+"'")
	}
	list := []object{}
	for _, g := range st.groups {
		switch {
		case g.NS != ns || !c.may(path, audit) && !owns(c.token, g.Owner):
		case question == "groups":
			if len(g.Snapshots) > 0 {
				list = append(list, g.list())
			}
		case matches(query, "backup-type", g.Type) && matches(query, "backup-id", g.ID):
			for i := range g.Snapshots {
				list = append(list, g.Snapshots[i].list(g))
			}
		}
	}
	return list, nil
}

func matches(query url.Values, name, value string) bool {
	return !query.Has(name) || query.Get(name) == value
}

func (s *Server) namespaces(name string, st *Store, c caller) (any, *Reply) {
	shown := []object{}
	if st != nil && st.Error != "" {
		return nil, text(http.StatusBadRequest, st.Error)
	}
	for _, ns := range st.all() {
		if c.may(aclPath(name, ns), audit, backup, read, modify) {
			shown = append(shown, object{"ns": ns})
		}
	}
	if len(shown) == 0 && !c.may(aclPath(name, ""), audit, backup, read, modify) {
		return nil, text(http.StatusForbidden, "permission check failed")
	}
	return shown, nil
}

func (st *Store) all() []string {
	if st == nil {
		return nil
	}
	return st.namespaces
}
