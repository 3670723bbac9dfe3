package proxmox

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"felhom.eu/agent/api2"
	"felhom.eu/messages"
)

// sameBackup is how far the log's time of a backup and the storage's may be
// apart.
const sameBackup = 2 * time.Minute

// overlap is how much older than a good backup of the same guest a task may be and
// still be looked into: a guest may be backed up to several storages in turn.
const overlap = 48 * time.Hour

// past is what tasks told of one guest's backups.
type past struct {
	last *attempt
	good map[string]*attempt // the newest good one on each storage
}

// note adds an attempt that ended.
func (p *past) note(a attempt) {
	if p.last == nil || !a.at.Before(p.last.at) {
		p.last = &a
	}
	good := a.result == messages.BackupOK || a.result == messages.BackupWarnings
	if have := p.good[a.storage]; good && (have == nil || !a.at.Before(have.at)) {
		if p.good == nil {
			p.good = map[string]*attempt{}
		}
		p.good[a.storage] = &a
	}
}

// newest are the good backups, newest first.
func (p *past) newest() []*attempt {
	return slices.SortedFunc(maps.Values(p.good), func(a, b *attempt) int {
		return cmp.Or(b.at.Compare(a.at), cmp.Compare(a.storage, b.storage))
	})
}

// backupTask is a vzdump task whose log is being read.
type backupTask struct {
	taskLog
	vzdumpLog
}

// readBackupTasks reads the list of backups that ran or run, and of their logs
// what is new, newest first.
func (x *round) readBackupTasks(ctx context.Context) error {
	var since time.Time
	if x.allTasks {
		since = x.now.Add(-recentTasks)
	}
	rows, err := x.tasks(ctx, taskBackup, maxTasks, since)
	if err != nil {
		return err
	}
	x.allTasks = true
	listed := make(map[string]bool, len(rows))
	for _, t := range rows {
		listed[t.UPID] = true
		b := x.dumps[t.UPID]
		if b == nil {
			b = &backupTask{vzdumpLog: vzdumpLog{zone: x.zone, from: unix(t.Start), to: unix(t.End)}}
			x.dumps[t.UPID] = b
		}
		b.task, b.to = t, unix(t.End)
	}
	maps.DeleteFunc(x.dumps, func(upid string, b *backupTask) bool { return b.done && !listed[upid] })
	open := slices.SortedFunc(maps.Values(x.dumps), func(a, b *backupTask) int { return int(b.task.Start) - int(a.task.Start) })
	for i, b := range open {
		switch {
		case b.done:
		case i >= maxTasks || !b.task.running() && !x.wanted(&b.task):
			b.done = true
		case x.left > x.reserve && x.silent == nil:
			x.readDump(ctx, b)
		}
	}
	return nil
}

// wanted reports whether a task may tell something that is not known yet:
// newer ones may have told of all its guests.
func (x *round) wanted(t *task) bool {
	start := unix(t.Start)
	newer := func(id messages.VMID) bool {
		p := x.pasts[id]
		return p != nil && p.good != nil && p.newest()[0].at.After(start.Add(overlap))
	}
	if id := t.vmid(); id != 0 {
		return !newer(id) && (x.seen.guests[id] != nil || x.seen.err != nil)
	}
	for id := range x.seen.guests {
		if !newer(id) {
			return true
		}
	}
	return x.seen.err != nil
}

// readDump reads the next page of a task's log and keeps what it tells.
func (x *round) readDump(ctx context.Context, b *backupTask) {
	if err := b.read(ctx, x, b.line); err != nil {
		if silent(api2.KindOf(err)) {
			return // it is asked again
		}
		b.done = true
	}
	if b.done {
		b.end(x.clean(b.task.Status))
	}
	told := false
	for _, a := range b.closed {
		told = true
		if a.result == messages.BackupOK && b.task.vmid() == a.vmid && b.task.warned() {
			a.result = messages.BackupWarnings
		}
		x.noteAttempt(a)
	}
	b.closed = nil
	// The log may be gone; the task list still knows how a guest's own task ended.
	if id := b.task.vmid(); id != 0 && b.done && !told && x.lastStart(id).Before(unix(b.task.Start)) {
		x.noteAttempt(b.task.attempt(id))
	}
}

// lastStart is when the last known attempt for a guest began.
func (x *round) lastStart(id messages.VMID) time.Time {
	if p := x.pasts[id]; p != nil {
		return p.last.at
	}
	return time.Time{}
}

// attempt is what the task list alone tells of a guest's own task.
func (t *task) attempt(id messages.VMID) attempt {
	a := attempt{vmid: id, at: unix(t.Start), endedAt: unix(t.End), result: messages.BackupFailed, problem: t.Status}
	if a.endedAt.After(a.at) {
		a.seconds = uint64(a.endedAt.Sub(a.at) / time.Second)
	}
	switch {
	case t.warned():
		a.result, a.problem = messages.BackupWarnings, ""
	case t.ok():
		a.result, a.problem = messages.BackupOK, ""
	}
	return a
}

func (x *round) noteAttempt(a attempt) {
	p := x.pasts[a.vmid]
	if p == nil {
		p = &past{}
		x.pasts[a.vmid] = p
	}
	p.note(a)
}

// running are the backups under way, by guest.
func (x *round) running() map[messages.VMID]*attempt {
	now := map[messages.VMID]*attempt{}
	for _, b := range x.dumps {
		if !b.task.running() {
			continue
		}
		if b.open != nil {
			now[b.open.vmid] = b.open
		} else if id := b.task.vmid(); id != 0 && b.next == 0 {
			now[id] = &attempt{vmid: id, at: unix(b.task.Start), result: messages.BackupRunning}
		}
	}
	return now
}

// backups are what is known of each guest's backups.
func (x *round) backups(guests []messages.Guest, ofGuests messages.Section, tasksErr error) (messages.Items[messages.Backup], messages.Section) {
	if ofGuests.Status != messages.SectionOK {
		ofGuests.Detail = api2.OneLine("which guests there are is unknown: " + ofGuests.Detail)
		return nil, ofGuests
	}
	if section, bad := x.unseen(tasksErr, path("nodes", x.node), "Sys.Audit"); bad {
		return nil, section
	}
	running, pools := x.running(), x.perms.below("/pool", "Pool.Audit")
	book, _ := x.keptJobs.get(x.now, x.period)
	list := make(messages.Items[messages.Backup], 0, len(guests))
	var unproved messages.VMID // a guest without any good backup
	for _, g := range guests {
		b := x.backup(g, running[g.VMID])
		b.InJob = book.covers(g.VMID, x.node, x.seen.pool(g.VMID), pools)
		if b.NewestGoodAt == nil && unproved == 0 {
			unproved = g.VMID
		}
		list = append(list, b)
	}
	x.forget(guests)
	return x.vouchBackups(list, unproved)
}

// vouchBackups takes the list for what it is worth. A guest that seems to have no backup
// may have one on a storage that could not be read.
func (x *round) vouchBackups(list messages.Items[messages.Backup], unproved messages.VMID) (messages.Items[messages.Backup], messages.Section) {
	section, notes := x.unlisted()
	if !x.perms.below("/storage", "Datastore.Audit") {
		section = messages.Section{Status: messages.SectionDenied,
			Detail: "token lacks Datastore.Audit on /storage: which backups there are is known from tasks only"}
	}
	if section.Status != messages.SectionOK {
		if unproved != 0 {
			section.Detail = api2.OneLine(fmt.Sprintf("whether guest %d has a backup is unknown: %s", unproved, section.Detail))
			return nil, section
		}
		notes = append(notes, section.Detail)
	}
	if n := x.unread(); n > 0 {
		notes = append(notes, fmt.Sprintf("%d task logs are still to be read", n))
		if unproved != 0 && !x.caughtUp {
			return nil, messages.Section{Status: messages.SectionFailed, Detail: api2.OneLine(strings.Join(notes, "; "))}
		}
	} else {
		x.caughtUp = true
	}
	return list, told(notes)
}

// unread counts finished tasks whose logs were not read to the end.
func (x *round) unread() (n int) {
	for _, b := range x.dumps {
		if !b.done && !b.task.running() {
			n++
		}
	}
	return n
}

// forget drops what is known of guests that are gone.
func (x *round) forget(guests []messages.Guest) {
	here := make(map[messages.VMID]bool, len(guests))
	for _, g := range guests {
		here[g.VMID] = true
	}
	maps.DeleteFunc(x.pasts, func(id messages.VMID, _ *past) bool { return !here[id] })
}

// backup is one guest's.
func (x *round) backup(g messages.Guest, running *attempt) messages.Backup {
	b := messages.Backup{VMID: g.VMID, Kind: g.Kind}
	p := x.pasts[g.VMID]
	if p == nil {
		p = &past{}
	}
	x.putGood(&b, p)
	last := cmp.Or(running, p.last)
	if last != nil {
		b.LastResult, b.LastAt, b.LastSeconds, b.LastError = last.result, utc(last.at), last.seconds, discreet(x.clean(last.problem))
	}
	// Made by another node, or by a task that nobody remembers.
	if good := b.NewestGoodAt; running == nil && good != nil && (last == nil || good.After(last.at.Add(sameBackup))) {
		b.LastResult, b.LastAt, b.LastSeconds, b.LastError = messages.BackupOK, good, 0, ""
	}
	return b
}

// putGood fills in the newest good backup: of the tasks' and the storages' the
// newest that is still there.
func (x *round) putGood(b *messages.Backup, p *past) {
	storage := ""
	for _, a := range p.newest() {
		if x.pruned(a) {
			continue
		}
		storage = a.storage
		b.NewestGoodAt, b.Volume, b.Storage = utc(a.at), x.clean(a.archive), x.clean(a.storage)
		b.SizeBytes, b.Evidence = a.size, messages.EvidenceTask
		break
	}
	for _, name := range sortedKeys(x.listings) {
		l, _ := x.listings[name].get(x.now, x.period)
		v, ok := l[b.VMID]
		if !ok {
			continue
		}
		b.Count += v.count
		switch {
		case v.at.IsZero() || v.kind != "" && v.kind != b.Kind:
		case b.Evidence == messages.EvidenceTask && near(v.at, *b.NewestGoodAt):
			if storage != "" && storage != name {
				continue
			}
			b.Volume, b.Storage, b.SizeBytes = v.volid, name, cmp.Or(v.size, b.SizeBytes)
		case b.NewestGoodAt == nil || v.at.After(*b.NewestGoodAt):
			b.NewestGoodAt, b.Volume, b.Storage, b.SizeBytes, b.Evidence = utc(v.at), v.volid, name, v.size, messages.EvidenceStorage
			if v.shared {
				b.Evidence = messages.EvidenceShared
			}
		}
	}
}

// pruned reports whether a storage that was listed after a backup was made does
// not have it any more.
func (x *round) pruned(a *attempt) bool {
	k := x.listings[a.storage]
	if a.storage == "" || k == nil || k.err != nil || !k.readAt.After(a.endedAt.Add(sameBackup)) {
		return false
	}
	return k.value[a.vmid].at.Before(a.at.Add(-sameBackup))
}

func near(a, b time.Time) bool { return a.Sub(b).Abs() <= sameBackup }

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
