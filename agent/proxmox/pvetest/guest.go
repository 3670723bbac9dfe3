package pvetest

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
)

// Guest is a container or VM. Change it through Server.Change.
type Guest struct {
	Kind       string // lxc or qemu
	Row        Object // of /nodes/{node}/{kind}
	Config     Object // of …/{vmid}/config
	QMPStatus  string // QEMU's own word, which pvestatd reports; "" is the row's
	Unmeasured bool   // pvestatd has no figures of it
	Pool       string // that it is in; "" for none
}

// Change lets f change a guest.
func (s *Server) Change(vmid int, f func(*Guest)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g, ok := s.guests[vmid]
	if !ok {
		s.tb.Fatalf("no guest %d", vmid)
	}
	f(g)
}

// Put adds a guest, or replaces it. Its row gets the vmid, and what every row
// has when it is missing.
func (s *Server) Put(vmid int, g Guest) {
	s.mu.Lock()
	defer s.mu.Unlock()
	row := Object{"name": fmt.Sprint("guest-", vmid), "status": "stopped", "cpus": 1, "mem": 0, "uptime": 0}
	maps.Copy(row, g.Row)
	row["vmid"] = vmid
	g.Row = row
	if g.Config == nil {
		g.Config = plainConfig(g.Kind, row)
	}
	s.guests[vmid] = &g
}

// Remove destroys a guest.
func (s *Server) Remove(vmid int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.guests, vmid)
}

// RemoveAll destroys every guest.
func (s *Server) RemoveAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.guests)
}

// defaultGuests are those of the recorded lists with their recorded
// configurations, and plain ones where none was recorded.
func defaultGuests() map[int]*Guest {
	recorded := map[int]Object{
		110: object("lxc_config", "full"), 112: object("lxc_config", "cpulimit-only"),
		114: object("lxc_config", "minimal"), 9001: object("lxc_config", "template-locked"),
		210: object("qemu_config", "linux"), 211: object("qemu_config", "hibernated"),
	}
	guests := map[int]*Guest{}
	for _, kind := range []string{"lxc", "qemu"} {
		for _, row := range objects(kind+"_list", "mixed") {
			var vmid int
			mustScan(row["vmid"], &vmid)
			conf := recorded[vmid]
			if conf == nil {
				conf = plainConfig(kind, row)
			}
			guests[vmid] = &Guest{Kind: kind, Row: row, Config: conf}
		}
	}
	guests[114].Unmeasured = true
	return guests
}

func plainConfig(kind string, row Object) Object {
	name, disk := "hostname", "rootfs"
	if kind == "qemu" {
		name, disk = "name", "scsi0"
	}
	c := Object{name: row["name"], "cores": row["cpus"], disk: "local-zfs:disk-0,size=4G", "digest": "0"}
	for _, key := range []string{"lock", "tags", "template"} {
		if v, ok := row[key]; ok {
			c[key] = v
		}
	}
	return c
}

func mustScan(v any, into *int) {
	if _, err := fmt.Sscan(fmt.Sprint(v), into); err != nil {
		panic(err)
	}
}

// list is the guests of a kind that may be seen. cpu is what a worker says:
// nothing at first, then an average since it was last asked.
func (s *Server) list(kind string, rights acl) []Object {
	rows := []Object{}
	for vmid, g := range s.guests {
		if g.Kind != kind || !rights.may(fmt.Sprintf("/vms/%d", vmid), "VM.Audit") {
			continue
		}
		row := maps.Clone(g.Row)
		row["cpu"] = s.workerCPU("/nodes/" + Node + "/" + kind)
		if s.mode != PVE9 {
			maps.DeleteFunc(row, func(k string, _ any) bool { return len(k) > 8 && k[:8] == "pressure" || k == "memhost" })
		}
		if s.mode == PVE7 {
			row["vmid"] = fmt.Sprint(vmid)
		}
		rows = append(rows, row)
	}
	return rows
}

func (s *Server) workerCPU(path string) float64 {
	if s.asked[path] <= 3 { // three workers, each at its first request
		return 0
	}
	return 0.9 + rand.Float64()/10
}

// resources is what pvestatd knows of the guests that may be seen: real
// numbers, and a VM's status in QEMU's words.
func (s *Server) resources(rights acl) []Object {
	rows := []Object{}
	for vmid, g := range s.guests {
		if !rights.may(fmt.Sprintf("/vms/%d", vmid), "VM.Audit") {
			continue
		}
		row := Object{"id": fmt.Sprintf("%s/%d", g.Kind, vmid), "vmid": vmid, "node": Node, "type": g.Kind, "status": "unknown"}
		for _, key := range []string{"lock", "tags"} {
			copyKey(row, key, g.Row, key)
		}
		if g.Pool != "" {
			row["pool"] = g.Pool
		}
		rows = append(rows, row)
		if g.Unmeasured {
			continue
		}
		for _, key := range []string{"name", "status", "uptime", "cpu", "mem", "maxmem", "disk", "maxdisk", "netin", "netout"} {
			copyKey(row, key, g.Row, key)
		}
		row["template"] = 0
		copyKey(row, "template", g.Row, "template")
		if cpus, ok := g.Row["cpus"]; ok {
			row["maxcpu"] = json.Number(fmt.Sprint(cpus)) // a number here, never a string
		}
		if g.QMPStatus != "" {
			row["status"] = g.QMPStatus
		}
	}
	return rows
}

func copyKey(to Object, as string, from Object, key string) {
	if v, ok := from[key]; ok {
		to[as] = v
	}
}
