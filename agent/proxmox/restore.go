package proxmox

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"time"

	"felhom.eu/agent/api2"
	"felhom.eu/agent/restore"
	"felhom.eu/messages"
)

// maxRestores is how many test restores a report tells of, and the agent keeps.
const maxRestores = 200

// ScratchRange is the numbers that guests have which were restored for a test.
// The zero value is none.
type ScratchRange struct{ First, Last messages.VMID }

func (r ScratchRange) contains(id messages.VMID) bool {
	return id != 0 && id >= r.First && id <= r.Last
}

// restoreTask is a restore into the scratch range, and what its log tells.
type restoreTask struct {
	taskLog
	source string        // volume, archive or snapshot; "" when the log does not say
	vmid   messages.VMID // the guest it is of
}

// Where the log of a restore names what is restored: a container's in words
// (pve-container, PVE/API2/LXC.pm), a VM's within the command that reads it.
var (
	restoreWords   = regexp.MustCompile(`^(?:recovering backed-up configuration from|restoring|extracting archive) '([^']+)'`)
	restoreCommand = regexp.MustCompile(`^(?:restore vma archive|restore proxmox backup image): `)
	restoreSource  = regexp.MustCompile(`\S*vzdump-(?:lxc|qemu|openvz)-(\d+)[-.]\S*|\b(?:ct|vm)/(\d+)/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`)
)

// line takes the log's next line.
func (t *restoreTask) line(text string) {
	if t.source != "" {
		return
	}
	if m := restoreWords.FindStringSubmatch(text); m != nil {
		text = m[1]
	} else if !restoreCommand.MatchString(text) {
		return
	}
	m := restoreSource.FindStringSubmatch(text)
	if m == nil {
		return
	}
	if id := logVMID(m[1] + m[2]); id != 0 {
		t.source, t.vmid = m[0], id
	}
}

// restoreTests are the restores of tasks, which show that an archive could be
// restored and no more, and those that the operator's script tells of. What a
// backup server verified is none.
func (x *round) restoreTests(ctx context.Context) (messages.Items[messages.RestoreTest], messages.Section) {
	if x.scratch == (ScratchRange{}) && x.resultsDir == "" {
		return nil, messages.Section{Status: messages.SectionNotConfigured}
	}
	list, notes := messages.Items[messages.RestoreTest]{}, []string(nil)
	if x.scratch != (ScratchRange{}) {
		err := x.readRestoreTasks(ctx)
		if section, bad := x.unseen(err, path("nodes", x.node), "Sys.Audit"); bad {
			return nil, section
		}
		list, notes = x.restoreTaskTests()
	}
	if x.resultsDir != "" {
		tests, problems, err := restore.ReadDir(x.resultsDir, x.now)
		if err != nil {
			return nil, messages.Section{Status: messages.SectionFailed, Detail: api2.OneLine(err.Error())}
		}
		list = append(list, tests...)
		if len(problems) > 0 {
			notes = append(notes, fmt.Sprintf("%d results do not count, the first: %s", len(problems), problems[0]))
		}
	}
	slices.SortStableFunc(list, func(a, b messages.RestoreTest) int { return b.StartedAt.Compare(a.StartedAt) })
	return list[:min(len(list), maxRestores)], told(notes)
}

// readRestoreTasks finds the restores into the scratch range that ended, and
// reads what is new in their logs.
func (x *round) readRestoreTasks(ctx context.Context) error {
	var since time.Time
	if x.allRestores {
		since = x.now.Add(-recentTasks)
	}
	for _, kind := range []string{taskRestoreLXC, taskRestoreQEMU} {
		rows, err := x.tasks(ctx, kind, maxTasks, since)
		if err != nil {
			return err
		}
		for _, t := range rows {
			if x.scratch.contains(t.vmid()) && !t.running() && x.restores[t.UPID] == nil {
				x.restores[t.UPID] = &restoreTask{taskLog: taskLog{task: t}}
			}
		}
	}
	x.allRestores = true
	for i, t := range x.sortedRestores() {
		switch {
		case i >= maxRestores:
			delete(x.restores, t.task.UPID)
		case t.done || x.left <= x.reserve:
		default:
			if err := t.read(ctx, x, t.line); err != nil && !silent(api2.KindOf(err)) {
				t.done = true // and of an unknown guest
			}
		}
	}
	return nil
}

// sortedRestores are the known restores, newest first.
func (x *round) sortedRestores() []*restoreTask {
	return slices.SortedFunc(maps.Values(x.restores), func(a, b *restoreTask) int { return int(b.task.Start) - int(a.task.Start) })
}

func (x *round) restoreTaskTests() (list messages.Items[messages.RestoreTest], notes []string) {
	nameless := 0
	for _, t := range x.sortedRestores() {
		if t.source == "" {
			nameless++
			continue
		}
		test := messages.RestoreTest{VMID: t.vmid, ScratchVMID: t.task.vmid(), Source: x.clean(t.source), Level: messages.RestoreRestored,
			OK: t.task.ok(), StartedAt: unix(t.task.Start).UTC()}
		if t.task.End > t.task.Start {
			test.Seconds = uint64(t.task.End - t.task.Start)
		}
		if t.task.Status != "OK" {
			test.Detail = discreet(x.clean(t.task.Status))
		}
		list = append(list, test)
	}
	if nameless > 0 {
		notes = append(notes, fmt.Sprintf("%d restores whose logs do not name the backup are left out", nameless))
	}
	return list, notes
}
