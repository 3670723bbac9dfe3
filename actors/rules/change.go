package rules

import (
	"fmt"
	"math"
	"strings"

	"felhom.eu/messages"
)

const (
	maxChanges   = 20   // that are told, the last of which may stand for more
	maxTasks     = 5    // among them
	movedRatio   = 0.05 // by how much a storage must have filled or emptied
	absent       = "absent"
	stillRunning = "running"
)

// Changes says what is otherwise in the newer of a host's reports: the kernel, a
// reboot, the tunnel, what is how full, disks and pools, the tasks that began or
// ended, and the guests. Of a collection that not both reports vouch for nothing is
// said.
func Changes(older, newer *messages.Report) []messages.Change {
	c := changes{older: older, newer: newer}
	c.host()
	c.told("tunnel", known(older.Cloudflared.Status), known(newer.Cloudflared.Status))
	c.storages()
	c.health()
	c.tasks()
	c.guests()
	if n := len(c.list) - maxChanges; n > 0 {
		c.list = append(c.list[:maxChanges-1], messages.Change{What: fmt.Sprintf("%d more", n+1)})
	}
	return c.list
}

type changes struct {
	older, newer *messages.Report
	list         []messages.Change
}

// told adds a change between two words; "" is unknown.
func (c *changes) told(what, from, to string) {
	if from != "" && to != "" && from != to {
		c.add(what, from, to)
	}
}

func (c *changes) add(what, from, to string) {
	c.list = append(c.list, messages.Change{What: Clean(what, maxSubject), From: Clean(from, maxSubject), To: Clean(to, maxSubject)})
}

// both reports whether the two reports vouch for a collection that has so many.
func (c *changes) both(section string, older, newer int) bool {
	vouched := func(r *messages.Report, n int) bool {
		status := r.Sections[section].Status
		return status == messages.SectionOK || status == "" && (n > 0 || section == messages.SectionGuests)
	}
	return vouched(c.older, older) && vouched(c.newer, newer)
}

func (c *changes) host() {
	from, to := &c.older.Host, &c.newer.Host
	c.told("kernel", from.Kernel, to.Kernel)
	if to.UptimeSeconds != 0 && to.UptimeSeconds < from.UptimeSeconds {
		c.list = append(c.list, messages.Change{What: "host", To: "rebooted"})
	}
	c.filled(rootSubject, ratio(from.RootUsedBytes, from.RootTotalBytes), ratio(to.RootUsedBytes, to.RootTotalBytes))
}

// ratio is NaN when nobody said.
func ratio(used, total uint64) float64 {
	if total == 0 {
		return math.NaN()
	}
	return float64(used) / float64(total)
}

func (c *changes) filled(what string, from, to float64) {
	if math.Abs(from-to) >= movedRatio {
		c.add(what, percent(from), percent(to))
	}
}

func percent(ratio float64) string { return fmt.Sprintf("%d %%", int(ratio*100)) }

func (c *changes) storages() {
	from, to := c.older.StorageTargets, c.newer.StorageTargets
	if !c.both(messages.SectionStorageTargets, len(from), len(to)) {
		return
	}
	pair(from, to, func(s *messages.StorageTarget) string { return s.Storage }, func(from, to *messages.StorageTarget) {
		switch {
		case to == nil:
			c.add("storage "+from.Storage, activity(from), absent)
		case from == nil:
			c.add("storage "+to.Storage, absent, activity(to))
		case from.Active && to.Active:
			c.filled("storage "+to.Storage, ratio(from.UsedBytes, from.TotalBytes), ratio(to.UsedBytes, to.TotalBytes))
		default:
			c.told("storage "+to.Storage, activity(from), activity(to))
		}
	})
}

func activity(s *messages.StorageTarget) string {
	if s.Active {
		return "active"
	}
	return "inactive"
}

func (c *changes) health() {
	if from, to := c.older.Disks, c.newer.Disks; c.both(messages.SectionDisks, len(from), len(to)) {
		pair(from, to, diskName, func(from, to *messages.Disk) {
			switch {
			case to == nil:
				c.add("disk "+from.Device, word(from.Health), absent)
			case from == nil:
				c.add("disk "+to.Device, absent, word(to.Health))
			default:
				c.told("disk "+to.Device, known(from.Health), known(to.Health))
			}
		})
	}
	if from, to := c.older.ZFSPools, c.newer.ZFSPools; c.both(messages.SectionZFSPools, len(from), len(to)) {
		pair(from, to, func(p *messages.ZFSPool) string { return p.Name }, func(from, to *messages.ZFSPool) {
			switch {
			case to == nil:
				c.add("pool "+from.Name, word(from.Health), absent)
			case from == nil:
				c.add("pool "+to.Name, absent, word(to.Health))
			default:
				c.told("pool "+to.Name, from.Health, to.Health)
			}
		})
	}
}

// tasks are those that began, or ended, between the two reports. A task list is as
// long as it is: one that was pushed out of the older report's is no news.
func (c *changes) tasks() {
	from, to := c.older.AuditTail, c.newer.AuditTail
	if !c.both(messages.SectionAuditTail, len(from), len(to)) {
		return
	}
	was, newest := map[string]*messages.AuditEntry{}, int64(math.MinInt64)
	for i := range from {
		was[from[i].UPID] = &from[i]
		newest = max(newest, from[i].StartedAt.Unix())
	}
	told := 0
	for i := range to {
		t := &to[i]
		before := was[t.UPID]
		if told >= maxTasks || before == nil && t.StartedAt.Unix() < newest || before != nil && (before.EndedAt != nil || t.EndedAt == nil) {
			continue
		}
		told++
		began := ""
		if before != nil {
			began = stillRunning
		}
		c.add(strings.TrimSpace("task "+t.Type+" "+t.ID), began, outcome(t))
	}
}

func outcome(t *messages.AuditEntry) string {
	if t.EndedAt == nil {
		return stillRunning
	}
	return word(t.Status)
}

func (c *changes) guests() {
	from, to := c.older.Guests, c.newer.Guests
	if !c.both(messages.SectionGuests, len(from), len(to)) {
		return
	}
	pair(from, to, func(g *messages.Guest) messages.VMID { return g.VMID }, func(from, to *messages.Guest) {
		switch {
		case to == nil:
			c.add(nameOf(from), word(from.Status), absent)
		case from == nil:
			c.add(nameOf(to), absent, word(to.Status))
		default:
			c.told(nameOf(to), known(from.Status), known(to.Status))
		}
	})
}

func nameOf(g *messages.Guest) string {
	return title(&messages.GuestStanding{VMID: g.VMID, Name: Clean(g.Name, maxTitle)})
}

// known is a status that says something; "" otherwise.
func known(status string) string {
	if strings.EqualFold(status, messages.GuestUnknown) {
		return ""
	}
	return status
}

// word is a status that is told even when it says nothing.
func word(status string) string {
	if status == "" {
		return messages.GuestUnknown
	}
	return status
}

// pair calls each with what two lists say of one thing, in the newer one's order and
// then what is only in the older: nil where it is not listed.
func pair[T any, K comparable](older, newer []T, key func(*T) K, each func(older, newer *T)) {
	was := map[K]*T{}
	for i := range older {
		was[key(&older[i])] = &older[i]
	}
	is := map[K]bool{}
	for i := range newer {
		k := key(&newer[i])
		if !is[k] {
			is[k] = true
			each(was[k], &newer[i])
		}
	}
	for i := range older {
		if k := key(&older[i]); !is[k] {
			is[k] = true
			each(&older[i], nil)
		}
	}
}
