package rules

import (
	"fmt"
	"slices"
	"strings"

	"felhom.eu/messages"
)

// Seconds.
const (
	ranLong   = 24 * 3600     // a guest that ran so long is meant to run
	busyLimit = 6 * 3600      // how long a task may keep it stopped
	bootGrace = 10 * 60       // of the host's uptime, in which it starts its guests
	forgotten = 7 * 24 * 3600 // a guest that is missing so long is not waited for
)

// The tags by which an operator leaves a guest out.
const (
	TagNoBackup      = "no-backup"
	TagNoRestoreTest = "no-restore-test"
)

// guests tells of those that stopped though they are meant to run, and of those
// that are not listed any more.
func (j *judge) guests() {
	if !j.knows(messages.SectionGuests) {
		return
	}
	for i := range j.r.Guests {
		g := &j.r.Guests[i]
		s := j.remember(g)
		if j.limits.leavesOut(g.VMID) {
			note(s, g, j.now)
			continue
		}
		if s.MissingSince != 0 {
			s.MissingSince = 0
			j.healthy(messages.RulePresence, ofGuest(g.VMID), title(s)+" is back")
		}
		j.guestRuns(s, g)
	}
	j.missing()
}

// remember finds what is kept of a guest, and notes what does not wait for a rule.
func (j *judge) remember(g *messages.Guest) *messages.GuestStanding {
	i, found := slices.BinarySearchFunc(j.Guests, g.VMID, byVMID)
	if !found {
		j.Guests = slices.Insert(j.Guests, i, messages.GuestStanding{VMID: g.VMID, FirstSeenAt: j.now})
	}
	s := &j.Guests[i]
	s.Name = Clean(g.Name, maxTitle)
	s.NoBackup, s.NoTest = slices.Contains(g.Tags, TagNoBackup), slices.Contains(g.Tags, TagNoRestoreTest)
	return s
}

func byVMID(s messages.GuestStanding, vmid messages.VMID) int { return int(s.VMID) - int(vmid) }

func (j *judge) guest(vmid messages.VMID) *messages.GuestStanding { return guestOf(j.Standing, vmid) }

func guestOf(s *messages.Standing, vmid messages.VMID) *messages.GuestStanding {
	i, found := slices.BinarySearchFunc(s.Guests, vmid, byVMID)
	if !found {
		return nil
	}
	return &s.Guests[i]
}

// title is a guest as people call it.
func title(s *messages.GuestStanding) string {
	if s.Name == "" {
		return fmt.Sprintf("guest %d", s.VMID)
	}
	return fmt.Sprintf("guest %d (%s)", s.VMID, s.Name)
}

// note keeps how a guest is without a judgement.
func note(s *messages.GuestStanding, g *messages.Guest, now int64) {
	switch {
	case g.Status == messages.GuestUnknown:
		return
	case g.Status != messages.GuestRunning:
		s.RunningSince = 0
	case s.RunningSince == 0:
		s.RunningSince = now - int64(min(g.UptimeSeconds, uint64(now-1)))
	}
	s.OnBoot, s.BusySince = g.OnBoot, 0
}

// guestRuns is the rule of guests that stop.
func (j *judge) guestRuns(s *messages.GuestStanding, g *messages.Guest) {
	switch {
	case g.Status == messages.GuestUnknown:
		return
	case g.Status == messages.GuestRunning:
		note(s, g, j.now)
		j.healthy(messages.RuleGuest, ofGuest(g.VMID), title(s)+" runs again")
		return
	case s.RunningSince == 0:
		s.OnBoot = g.OnBoot
		return
	}
	meant := s.OnBoot || g.OnBoot || j.now-s.RunningSince >= ranLong
	if meant && j.excused(s, g) || !meant && j.busy(g) {
		return
	}
	ran := j.now - s.RunningSince
	if meant {
		j.failing(messages.RuleGuest, ofGuest(g.VMID), alarm{
			typ: messages.GuestStopped, severity: messages.SeverityCritical, reason: g.Status,
			words: fmt.Sprintf("%s is %s, ran %s", title(s), Clean(g.Status, maxTitle), span(ran)),
		})
		if j.problem(messages.RuleGuest, ofGuest(g.VMID).key()) == nil && !j.limits.off(messages.RuleGuest) {
			return // no room: next time
		}
	}
	note(s, g, j.now)
}

// excused reports whether a guest that stopped is given time: one that a task works
// on until that task's end, and all while their host starts.
func (j *judge) excused(s *messages.GuestStanding, g *messages.Guest) bool {
	up := j.r.Host.UptimeSeconds // 0: the agent does not say
	if left := bootGrace - int64(min(up, bootGrace)); up != 0 && left > 0 {
		j.wait(left)
		return true
	}
	if !j.busy(g) {
		return false
	}
	if s.BusySince == 0 {
		s.BusySince = j.now
	}
	left := s.BusySince + busyLimit - j.now
	if left > 0 {
		j.wait(left)
	}
	return left > 0
}

// busy reports whether Proxmox is working on a guest. One that an operator put to
// sleep is locked, too.
func (j *judge) busy(g *messages.Guest) bool {
	if g.Lock != "" && !strings.HasPrefix(g.Lock, "suspend") {
		return true
	}
	b := j.backup(g.VMID)
	return b != nil && b.LastResult == messages.BackupRunning
}

// missing tells of guests that are not listed any more, unless a task says where
// they went, or another node of the cluster has them: a cluster that recovers the
// guests of a node that failed asks nobody.
func (j *judge) missing() {
	listed := make(map[messages.VMID]bool, len(j.r.Guests))
	for i := range j.r.Guests {
		listed[j.r.Guests[i].VMID] = true
	}
	j.Guests = slices.DeleteFunc(j.Guests, func(s messages.GuestStanding) bool {
		return !listed[s.VMID] && (j.limits.leavesOut(s.VMID) || j.leaving[ofGuest(s.VMID).key()] || j.movedTo[s.VMID] != "" ||
			s.MissingSince != 0 && j.now-s.MissingSince >= forgotten)
	})
	for i := range j.Guests {
		s := &j.Guests[i]
		if listed[s.VMID] {
			continue
		}
		if s.MissingSince == 0 {
			s.MissingSince = j.now
		}
		j.wait(s.MissingSince + forgotten - j.now)
		severity := messages.SeverityWarning
		if s.RunningSince != 0 {
			severity = messages.SeverityCritical
		}
		j.failing(messages.RulePresence, ofGuest(s.VMID), alarm{
			typ: messages.GuestMissing, severity: severity, words: title(s) + " is not listed any more",
		})
	}
}

// removes reports whether a task of the node removed a guest or moved it away.
func removes(t *messages.AuditEntry) bool {
	switch t.Type {
	case "vzdestroy", "qmdestroy", "vzmigrate", "qmigrate":
		return t.Status == "OK" || strings.HasPrefix(t.Status, "WARNINGS")
	}
	return false
}

// span says seconds the way people do.
func span(seconds int64) string {
	switch {
	case seconds >= 3*24*3600:
		return fmt.Sprintf("%d d", seconds/(24*3600))
	case seconds >= 2*3600:
		return fmt.Sprintf("%d h", seconds/3600)
	}
	return fmt.Sprintf("%d min", max(seconds, 0)/60)
}
