package proxmox

import (
	"regexp"
	"strconv"
	"strings"
	"time"

	"felhom.eu/messages"
)

// attempt is one backup of one guest, as a task's log tells it.
type attempt struct {
	vmid    messages.VMID
	kind    string // lxc, qemu; "" when the log is gone
	at      time.Time
	seconds uint64
	result  messages.BackupResult
	problem string // in Proxmox's words
	archive string // path of a file, or ct/110/2026-03-14T02:20:07Z of a backup server
	storage string // "" when the job was given a directory
	size    uint64 // as the log rounds it; 0 for backup servers
	endedAt time.Time
}

// vzdumpLog reads the log of a vzdump task, which has one section for each
// guest (pve-manager, PVE/VZDump.pm; the same texts in 7, 8 and 9). Only the
// guest whose section it is can end it: what programs print into the log never
// speaks for another one.
type vzdumpLog struct {
	zone    *time.Location // of the node's clock
	from    time.Time      // nothing happened before
	to      time.Time      // or after; zero while the task runs
	storage string
	open    *attempt
	closed  []attempt
}

var (
	logStorage  = regexp.MustCompile(`^INFO: starting new backup job: vzdump .*--storage (\S+)`)
	logStart    = regexp.MustCompile(`^INFO: Starting Backup of VM (\d+) \((lxc|qemu)\)$`)
	logStarted  = regexp.MustCompile(`^INFO: Backup started at (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)$`)
	logArchive  = regexp.MustCompile(`^INFO: creating .+ archive '(.+)'$`)
	logSize     = regexp.MustCompile(`^INFO: archive file size: (\d+(?:\.\d+)?)(KB|MB|GB|TB)$`)
	logFinished = regexp.MustCompile(`^INFO: Finished Backup of VM (\d+) \((\d{2,}):(\d\d):(\d\d)\)$`)
	logFailed   = regexp.MustCompile(`^ERROR: Backup of VM (\d+) failed - (.*)$`)
	// pbsSnapshot is a snapshot's name at a backup server.
	pbsSnapshot = regexp.MustCompile(`^(?:ct|vm)/(\d+)/(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)$`)
)

// line takes the log's next line.
func (l *vzdumpLog) line(text string) {
	if strings.HasPrefix(text, "WARN: ") && l.open != nil {
		l.open.result = messages.BackupWarnings
		return
	}
	if m := logFailed.FindStringSubmatch(text); m != nil {
		l.failed(m)
		return
	}
	if !strings.HasPrefix(text, "INFO: ") {
		return
	}
	if m := logStorage.FindStringSubmatch(text); m != nil && l.storage == "" {
		l.storage = m[1]
	} else if m := logStart.FindStringSubmatch(text); m != nil {
		l.start(m)
	} else if l.open != nil {
		l.guestLine(text)
	}
}

func (l *vzdumpLog) start(m []string) {
	if l.open != nil {
		return // a program's output: the guest before is not done
	}
	if id := logVMID(m[1]); id != 0 {
		l.open = &attempt{vmid: id, kind: m[2], at: l.from, storage: l.storage, result: messages.BackupRunning}
	}
}

// guestLine is a line within a guest's section.
func (l *vzdumpLog) guestLine(text string) {
	if m := logStarted.FindStringSubmatch(text); m != nil {
		l.open.at = l.instant(m[1])
	} else if m := logArchive.FindStringSubmatch(text); m != nil {
		l.open.archive = m[1]
		if s := pbsSnapshot.FindStringSubmatch(m[1]); s != nil {
			if at, err := time.Parse(time.RFC3339, s[2]); err == nil && l.within(at) {
				l.open.at = at
			}
		}
	} else if m := logSize.FindStringSubmatch(text); m != nil {
		n, err := parseSize(m[1] + m[2][:1])
		if err == nil {
			l.open.size = n
		}
	} else if m := logFinished.FindStringSubmatch(text); m != nil && logVMID(m[1]) == l.open.vmid {
		if l.open.result == messages.BackupRunning {
			l.open.result = messages.BackupOK
		}
		l.open.seconds = clock(m[2:])
		l.close()
	}
}

func (l *vzdumpLog) failed(m []string) {
	id := logVMID(m[1])
	switch {
	case id == 0 || l.open != nil && l.open.vmid != id:
		return
	case l.open == nil: // refused before its section began
		l.open = &attempt{vmid: id, at: l.from, storage: l.storage}
	}
	l.open.result, l.open.problem = messages.BackupFailed, m[2]
	l.close()
}

// close ends a guest's section. What comes next did not happen before it.
func (l *vzdumpLog) close() {
	a := l.open
	a.endedAt = a.at.Add(time.Duration(a.seconds) * time.Second)
	l.from = a.endedAt
	l.closed, l.open = append(l.closed, *a), nil
}

// end is the task's: a guest that is still open was not backed up.
func (l *vzdumpLog) end(status string) {
	if l.open == nil {
		return
	}
	l.open.result, l.open.problem = messages.BackupFailed, status
	l.close()
}

// within reports whether at is in the task's time, give or take a clock.
func (l *vzdumpLog) within(at time.Time) bool {
	const slack = time.Minute
	return !at.Before(l.from.Add(-slack)) && (l.to.IsZero() || !at.After(l.to.Add(slack)))
}

// instant is a local time of the log, which names no zone. It is taken in the
// agent's zone, the node's own in the usual case; of the hour that comes twice
// when clocks go back, the first that fits. When it is not in the task's time, the
// node is elsewhere: then it is the first instant that is, and shows the same
// minutes, as zones differ by quarters of an hour.
func (l *vzdumpLog) instant(text string) time.Time {
	at, err := time.ParseInLocation(time.DateTime, text, l.zone)
	if err != nil {
		return l.from
	}
	if early := at.Add(-time.Hour); early.Format(time.DateTime) == text && l.within(early) {
		return early
	}
	if l.within(at) {
		return at
	}
	const step = 15 * time.Minute
	late := l.from.Sub(at)
	steps := late / step
	if steps*step < late-time.Minute {
		steps++
	}
	if at = at.Add(steps * step); l.within(at) {
		return at
	}
	return l.from
}

func logVMID(digits string) messages.VMID {
	n, err := strconv.ParseUint(digits, 10, 32)
	if err != nil || n < messages.MinVMID || n > messages.MaxVMID {
		return 0
	}
	return messages.VMID(n)
}

// clock is hours, minutes and seconds in seconds; hours may be many.
func clock(hms []string) (seconds uint64) {
	for _, part := range hms {
		n, err := strconv.ParseUint(part, 10, 32)
		if err != nil {
			return 0
		}
		seconds = seconds*60 + n
	}
	return seconds
}
