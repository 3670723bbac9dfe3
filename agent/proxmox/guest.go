package proxmox

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"felhom.eu/messages"
)

// The two kinds of guest, as the API's paths spell them.
const (
	kindLXC  = "lxc"
	kindQEMU = "qemu"
)

// guestRow is what /nodes/{node}/lxc, …/qemu and /cluster/resources have in
// common. Their cpu is not: see resource.
type guestRow struct {
	VMID     U64    `json:"vmid"` // a string before PVE 8.2
	Name     string `json:"name"`
	Status   string `json:"status"`
	Lock     string `json:"lock"`
	Tags     string `json:"tags"` // "a;b"
	CPUs     F64    `json:"cpus"` // "0.5" for a container with only a cpulimit
	Memory   U64    `json:"mem"`
	MaxMem   U64    `json:"maxmem"`
	Disk     U64    `json:"disk"` // of a container's root while it runs; always 0 for a VM
	MaxDisk  U64    `json:"maxdisk"`
	Uptime   U64    `json:"uptime"`
	Template Bool   `json:"template"`
}

// resource is a row of /cluster/resources: what pvestatd measured in the last
// 10 s. CPU is nil when it did not, or when the token may not know.
type resource struct {
	ID   string `json:"id"` // "lxc/110", "node/pve1"
	Node string `json:"node"`
	Type string `json:"type"`
	CPU  *F64   `json:"cpu"`
	Pool string `json:"pool"` // of a guest
	// Of a storage, whose sizes are MaxDisk and Disk.
	Storage    string `json:"storage"`
	PluginType string `json:"plugintype"`
	Content    string `json:"content"`
	Shared     Bool   `json:"shared"`
	guestRow
}

// sighting is one guest as the lists show it.
type sighting struct {
	guestRow
	kind  string
	cpu   float64
	stats string // pvestatd's word for the status; "" when it has none
}

// survey is what one cycle saw of the guests.
type survey struct {
	guests map[messages.VMID]*sighting
	stats  map[string]resource // by id; nil when unread
	notes  []string            // what went wrong without making the lists useless
	err    error               // why the lists are unknown

	perms    permissions // the token's
	permsErr error       // why they are unknown
}

// survey reads both lists at once, then the resources, in this order: a guest
// that only the resources have is then new, or its row could not be read.
func (s *Source) survey(ctx context.Context, node string) *survey {
	v := &survey{guests: map[messages.VMID]*sighting{}}
	v.perms, v.permsErr = s.client.permissions(ctx)
	type list struct {
		rows []guestRow
		bad  []error
		err  error
	}
	kinds, lists := []string{kindLXC, kindQEMU}, make([]list, 2)
	var wg sync.WaitGroup
	for i, kind := range kinds {
		wg.Go(func() {
			l := &lists[i]
			l.rows, l.bad, l.err = readRows[guestRow](ctx, s.client, question{path: path("nodes", node, kind), slow: true})
		})
	}
	wg.Wait()
	for i, l := range lists {
		if l.err != nil && v.err == nil {
			v.err = l.err
		}
		v.noteBad(l.bad)
		for _, r := range l.rows {
			v.add(kinds[i], r)
		}
	}
	unread := len(v.notes) > 0
	if err := v.addResources(ctx, s.client, node); err != nil {
		v.notes = append(v.notes, "cpu unknown: "+err.Error())
		if unread && v.err == nil {
			v.err = fmt.Errorf("%s; and nothing else tells of it", v.notes[0])
		}
	}
	return v
}

func (v *survey) noteBad(bad []error) {
	if len(bad) > 0 {
		v.notes = append(v.notes, fmt.Sprintf("%d unreadable rows, the first: %v", len(bad), bad[0]))
	}
}

// add notes a guest and gives it back; nil when the vmid is none.
func (v *survey) add(kind string, r guestRow) *sighting {
	if r.VMID < messages.MinVMID || r.VMID > messages.MaxVMID {
		v.notes = append(v.notes, fmt.Sprintf("%s with vmid %d left out", kind, r.VMID))
		return nil
	}
	g := &sighting{guestRow: r, kind: kind}
	v.guests[messages.VMID(r.VMID)] = g
	return g
}

// addResources lays pvestatd's figures over the lists. Guests of other nodes
// are not ours.
func (v *survey) addResources(ctx context.Context, c *client, node string) error {
	rows, bad, err := readRows[resource](ctx, c, question{path: path("cluster", "resources")})
	if err != nil {
		return err
	}
	v.noteBad(bad)
	v.stats = make(map[string]resource, len(rows))
	for _, r := range rows {
		v.stats[r.ID] = r
		if r.Node != node || (r.Type != kindLXC && r.Type != kindQEMU) {
			continue
		}
		g := v.guests[messages.VMID(r.VMID)]
		if g == nil {
			g = v.add(r.Type, r.guestRow)
		}
		if g == nil {
			continue
		}
		g.stats = r.Status
		if r.CPU != nil {
			g.cpu = float64(*r.CPU)
		}
	}
	return nil
}

// vmids are the guests' numbers in order: rows come in any, the hub compares.
func (v *survey) vmids() []messages.VMID {
	ids := make([]messages.VMID, 0, len(v.guests))
	for id := range v.guests {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// pool is the resource pool that a guest is in; "" for none, or when that is not
// shown.
func (v *survey) pool(id messages.VMID) string {
	g := v.guests[id]
	if g == nil {
		return ""
	}
	return v.stats[fmt.Sprintf("%s/%d", g.kind, id)].Pool
}

// report is the guest as it is sent, without its spec.
func (g *sighting) report(id messages.VMID) messages.Guest {
	return messages.Guest{
		VMID:            id,
		Kind:            g.kind,
		Name:            g.Name,
		Status:          g.status(),
		UptimeSeconds:   uint64(g.Uptime),
		CPUUsedRatio:    g.cpu,
		MemoryUsedBytes: uint64(g.Memory),
		DiskUsedBytes:   uint64(g.Disk),
		Tags:            words(g.Tags),
		Lock:            g.Lock,
	}
}

// status is the list's word, which is of this moment. Two states hide behind
// it: a hibernated VM is "stopped" with a lock, and a paused one is "running"
// to everyone but pvestatd, whose word for VMs is QEMU's own: paused, prelaunch,
// io-error… (pve-manager, PVE/Service/pvestatd.pm update_qemu_status).
func (g *sighting) status() string {
	switch {
	case g.Status == "":
		return messages.GuestUnknown
	case g.Status == "stopped" && g.Lock == "suspended":
		return "hibernated"
	case g.Status == messages.GuestRunning && g.kind == kindQEMU && !slices.Contains(plainStatus, g.stats):
		return g.stats
	}
	return g.Status
}

// plainStatus are pvestatd's words that know no better than the list.
var plainStatus = []string{"", messages.GuestRunning, "stopped", messages.GuestUnknown}
