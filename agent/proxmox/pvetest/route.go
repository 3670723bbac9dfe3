package pvetest

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Node is the name of the node, Other of the cluster's second one, which is
// off.
const (
	Node  = "kiefer"
	Other = "birke"
)

// call is a request that was let in.
type call struct {
	rights acl
	args   map[string]string // the {parts} of the path
	query  map[string]string
}

// refused is an answer other than 200.
type refused struct {
	status int
	reason string
	errors Object // by parameter
}

type route struct {
	pattern   string
	protected bool // pvedaemon answers, pveproxy only hands it on
	params    []string
	answer    func(*Server, *call) (any, *refused)
}

var routes = []route{
	{"/version", false, nil, (*Server).version},
	{"/access/permissions", false, nil, (*Server).permissions},
	{"/nodes", false, nil, (*Server).nodes},
	{"/nodes/{node}/status", false, nil, (*Server).nodeStatus},
	{"/nodes/{node}/lxc", true, nil, func(s *Server, c *call) (any, *refused) { return s.list("lxc", c.rights), nil }},
	{"/nodes/{node}/qemu", true, []string{"full"}, func(s *Server, c *call) (any, *refused) { return s.list("qemu", c.rights), nil }},
	{"/nodes/{node}/lxc/{vmid}/config", false, []string{"current"}, (*Server).config},
	{"/nodes/{node}/qemu/{vmid}/config", false, []string{"current"}, (*Server).config},
	{"/nodes/{node}/storage", true, []string{"storage", "content"}, (*Server).storages},
	{"/nodes/{node}/storage/{storage}/prunebackups", true, []string{"prune-backups", "vmid", "type"}, (*Server).prunebackups},
	{"/nodes/{node}/storage/{storage}/content", true, []string{"content", "vmid"}, (*Server).content},
	{"/nodes/{node}/tasks", false, []string{"typefilter", "limit", "since", "until", "source", "start", "errors", "statusfilter", "vmid", "userfilter"}, (*Server).nodeTasks},
	{"/nodes/{node}/tasks/{upid}/log", true, []string{"start", "limit"}, (*Server).taskLog},
	{"/nodes/{node}/disks/list", true, []string{"skipsmart", "include-partitions", "type"}, (*Server).diskList},
	{"/nodes/{node}/disks/zfs", true, nil, (*Server).zfsPools},
	{"/cluster/backup", false, nil, (*Server).backupJobs},
	{"/cluster/backup-info/not-backed-up", true, nil, (*Server).notBackedUp},
	{"/cluster/resources", false, []string{"type"}, (*Server).clusterResources},
	{"/cluster/status", true, nil, (*Server).clusterStatus},
}

func (s *Server) route(p, rawQuery string, rights acl, knobs Knobs) *Reply {
	c := &call{rights: rights}
	i := slices.IndexFunc(routes, func(r route) bool { return c.match(r.pattern, p) })
	if i < 0 {
		return s.refusal(notImplemented(p))
	}
	r := routes[i]
	s.mu.Lock()
	daemon := s.daemon
	s.mu.Unlock()
	if away := s.otherNode(c.args["node"]); away != nil {
		return away
	}
	switch {
	case r.protected && daemon == daemonDown:
		return &Reply{Status: 595, Reason: "Connection refused", Header: []string{"Connection: close"}}
	case r.protected && daemon == daemonStuck:
		time.Sleep(knobs.HangDelay)
		return &Reply{Status: 596, Reason: "Connection timed out"}
	}
	if no := c.parse(rawQuery, r.params); no != nil {
		return s.refusal(no)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	data, no := r.answer(s, c)
	if no != nil && no.status == 596 {
		return &Reply{Status: no.status, Reason: no.reason}
	}
	if no != nil {
		return s.refusal(no)
	}
	if rows, ok := data.([]Object); ok {
		rand.Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
	}
	a := &Reply{Status: 200, Reason: "OK", Body: encode(Object{"data": data})}
	if r.protected {
		a.Header = []string{"Connection: close", "Connection: Keep-Alive"}
	}
	return a
}

// match fills in args.
func (c *call) match(pattern, p string) bool {
	want, have := strings.Split(pattern, "/"), strings.Split(p, "/")
	c.args = map[string]string{}
	if len(want) != len(have) {
		return false
	}
	for i := range want {
		if name, ok := strings.CutPrefix(want[i], "{"); ok {
			c.args[strings.TrimSuffix(name, "}")] = have[i]
		} else if want[i] != have[i] {
			return false
		}
	}
	return true
}

// parse splits at every "=", as pveproxy does: what follows a second one is
// lost unless it is written %3D.
func (c *call) parse(raw string, known []string) *refused {
	c.query = map[string]string{}
	for pair := range strings.SplitSeq(raw, "&") {
		if pair == "" {
			continue
		}
		parts := append(strings.Split(pair, "="), "")
		name, err1 := url.QueryUnescape(parts[0])
		value, err2 := url.QueryUnescape(parts[1])
		if err1 != nil || err2 != nil || !slices.Contains(known, name) {
			return badParameter(name, "property is not defined in schema and the schema does not allow additional properties")
		}
		c.query[name] = value
	}
	return nil
}

// refusal is the answer's form: since 8.4 with the text in the body.
func (s *Server) refusal(no *refused) *Reply {
	body := Object{"data": nil}
	if s.mode == PVE9 {
		body["message"] = no.reason + "\n"
	}
	if no.errors != nil {
		body["errors"] = no.errors
	}
	return &Reply{Status: no.status, Reason: no.reason, Body: encode(body)}
}

func notImplemented(p string) *refused {
	return &refused{501, fmt.Sprintf("Method 'GET %s' not implemented", p), nil}
}

func badParameter(name, text string) *refused {
	return &refused{400, "Parameter verification failed.", Object{name: text}}
}

// need refuses callers without one of the privileges ("A|B") on path.
func (c *call) need(path, privileges string) *refused {
	if c.rights.may(path, privileges) {
		return nil
	}
	return &refused{403, fmt.Sprintf("Permission check failed (%s, %s)", path, privileges), nil}
}

// otherNode is the answer when the request is for a node that is not this one.
func (s *Server) otherNode(node string) *Reply {
	switch node {
	case "", Node, "localhost":
		return nil
	case Other:
		return &Reply{Status: 595, Reason: "No route to host"}
	}
	return s.refusal(&refused{500, fmt.Sprintf(
		"hostname lookup '%s' failed - failed to get address info for: %[1]s: Name or service not known", node), nil})
}

// recorded is the fixtures' word for the mode.
func (s *Server) recorded() string {
	return map[Mode]string{PVE7: "pve7", PVE83: "pve8", PVE9: "pve9"}[s.mode]
}

func (s *Server) version(*call) (any, *refused) {
	v := object("version", s.recorded())
	if s.mode == PVE83 {
		v["version"], v["release"] = "8.3.5", "8.3"
	}
	return v, nil
}

func (s *Server) permissions(c *call) (any, *refused) { return c.rights.permissions(), nil }

func (s *Server) nodes(c *call) (any, *refused) {
	rows := objects("nodes", "cluster-one-offline")
	for _, r := range rows {
		if r["node"] == Node {
			r["ssl_fingerprint"] = s.fingerprint()
		}
		s.hideMetrics(r, c.rights)
	}
	return rows, nil
}

// hideMetrics leaves out what needs Sys.Audit: the keys are missing then.
func (s *Server) hideMetrics(row Object, rights acl) {
	if rights.may(fmt.Sprint("/nodes/", row["node"]), "Sys.Audit") {
		return
	}
	maps.DeleteFunc(row, func(k string, _ any) bool {
		return slices.Contains([]string{"cpu", "maxcpu", "mem", "maxmem", "disk", "maxdisk", "uptime"}, k)
	})
}

func (s *Server) nodeStatus(c *call) (any, *refused) {
	if no := c.need("/nodes/"+c.args["node"], "Sys.Audit"); no != nil {
		return nil, no
	}
	v := object("node_status", s.recorded())
	if s.mode == PVE83 {
		v["pveversion"] = "pve-manager/8.3.5/dac3aa88bac3f300"
	}
	v["cpu"] = s.workerCPU("/nodes/" + Node + "/status")
	return v, nil
}

func (s *Server) config(c *call) (any, *refused) {
	vmid, err := strconv.Atoi(c.args["vmid"])
	if err != nil || vmid < 100 {
		return nil, badParameter("vmid", "invalid format - value does not look like a valid VM ID\n")
	}
	if no := c.need("/vms/"+c.args["vmid"], "VM.Audit"); no != nil {
		return nil, no
	}
	g, ok := s.guests[vmid]
	if !ok {
		return nil, &refused{500, fmt.Sprintf("Configuration file 'nodes/%s/lxc/%d.conf' does not exist", Node, vmid), nil}
	}
	return g.Config, nil
}

// clusterResources has this node's guests from the state, the rest recorded.
func (s *Server) clusterResources(c *call) (any, *refused) {
	rows := s.resources(c.rights)
	for _, r := range objects("cluster_resources", "pve9") {
		if s.resourceShown(r, c.rights) {
			if r["type"] == "node" {
				s.hideMetrics(r, c.rights)
			}
			rows = append(rows, r)
		}
	}
	kind := c.query["type"]
	if kind != "" && !slices.Contains([]string{"vm", "storage", "node", "sdn"}, kind) {
		return nil, badParameter("type", "value '"+kind+"' does not have a value in the enumeration 'vm, storage, node, sdn'")
	}
	return slices.DeleteFunc(rows, func(r Object) bool {
		guest := r["type"] == "lxc" || r["type"] == "qemu"
		return kind != "" && r["type"] != kind && !(kind == "vm" && guest)
	}), nil
}

func (s *Server) resourceShown(r Object, rights acl) bool {
	switch r["type"] {
	case "node":
		return true
	case "lxc", "qemu":
		return r["node"] != Node && rights.may(fmt.Sprint("/vms/", r["vmid"]), "VM.Audit")
	case "storage":
		return rights.may(fmt.Sprint("/storage/", r["storage"]), "Datastore.Audit|Datastore.AllocateSpace")
	case "network":
		return s.mode == PVE9 && rights.may("/sdn", "SDN.Audit")
	}
	return rights.may(fmt.Sprint("/pool/", r["pool"]), "Pool.Audit")
}
