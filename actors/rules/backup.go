package rules

import (
	"cmp"
	"time"

	"felhom.eu/messages"
)

// backup is what a report says of a guest's backups, when it vouches for them.
func (j *judge) backup(vmid messages.VMID) *messages.Backup {
	if !j.knows(messages.SectionBackups) {
		return nil
	}
	return j.backupOf[vmid]
}

// backups tells of guests whose last backup failed, and of those whose newest good
// one is too old, or that have none: also of one that every job forgot.
func (j *judge) backups() {
	for i := range j.Guests {
		s := &j.Guests[i]
		if s.MissingSince != 0 || j.limits.leavesOut(s.VMID) {
			continue
		}
		entry, known := j.noteBackup(s), j.knows(messages.SectionBackups)
		of := ofGuest(s.VMID)
		if s.NoBackup {
			j.healthy(messages.RuleBackup, of, title(s)+" is tagged "+TagNoBackup)
			continue
		}
		if (!known || s.Doubtful) && !j.groupKnown(s) {
			continue
		}
		if s.BackupFailed && entry != nil && entry.LastResult == messages.BackupFailed {
			j.failing(messages.RuleBackup, of, alarm{typ: messages.BackupFailedEvent, severity: messages.SeverityWarning,
				words: "backup of " + title(s) + " failed", reason: entry.LastError})
		}
		j.backupAge(s)
	}
}

// noteBackup keeps what a report says of a guest's backups, from the node's own
// tasks and from the group that is the guest's on a Proxmox Backup Server.
func (j *judge) noteBackup(s *messages.GuestStanding) *messages.Backup {
	newest := s.BackupAt
	entry := j.backup(s.VMID)
	if entry != nil {
		s.Doubtful = doubtful(entry)
		switch {
		case s.Doubtful:
		case anothers(entry):
			newest = 0
		default:
			newest = unix(entry.NewestGoodAt)
		}
		if entry.LastResult != messages.BackupRunning { // which says nothing yet
			s.BackupFailed = entry.LastResult == messages.BackupFailed
		}
		s.Uncovered = entry.InJob != nil && !*entry.InJob
	}
	if g := j.group(s); g != nil {
		newest = max(newest, unix(g.NewestAt))
		if entry == nil && unix(g.NewestAt) > s.BackupAt {
			s.BackupFailed = false
		}
	}
	s.BackupAt = newest
	return entry
}

// Two hosts that are no cluster may keep a guest of one number each on a storage
// that both write to. What only such a storage lists is the guest's own when a job of
// its host includes it, another's when none does, and doubtful when that is not known.

func anothers(b *messages.Backup) bool {
	return b.Evidence == messages.EvidenceShared && b.InJob != nil && !*b.InJob
}

func doubtful(b *messages.Backup) bool {
	return b.Evidence == messages.EvidenceShared && b.InJob == nil
}

// backupAge is the dead-man's switch of backups.
func (j *judge) backupAge(s *messages.GuestStanding) {
	of := ofGuest(s.VMID)
	since, words := s.BackupAt, "has had no good backup for "
	if since == 0 {
		since, words = s.FirstSeenAt, "has no backup at all, known for "
	}
	age := time.Duration(j.dated-since) * time.Second
	severity := messages.SeverityCritical
	switch {
	case age < j.limits.BackupWarning:
		j.wait(seconds(j.limits.BackupWarning - age))
		if s.BackupAt != 0 && !s.BackupFailed {
			j.healthy(messages.RuleBackup, of, title(s)+" is backed up again")
		}
		return
	case age < j.limits.BackupCritical:
		j.wait(seconds(j.limits.BackupCritical - age))
		severity = messages.SeverityWarning
	}
	words = title(s) + " " + words + span(seconds(age))
	if s.Uncovered {
		words += ", is in no backup job"
	}
	j.failing(messages.RuleBackup, of, alarm{typ: messages.BackupOverdue, severity: severity, words: words})
}

// seconds rounds up: what is due is past when it is looked at.
func seconds(d time.Duration) int64 { return int64((d + time.Second - 1) / time.Second) }

// unix is the instant of an optional time; 0 when there is none.
func unix(t *time.Time) int64 {
	if t == nil {
		return 0
	}
	return max(t.Unix(), 0)
}

// restoreTests tells of guests whose newest restore test failed, and of those that
// were not tested for too long.
func (j *judge) restoreTests() {
	if !j.knows(messages.SectionRestoreTests) {
		return
	}
	known := j.section(messages.SectionRestoreTests).KnownAt
	for i := range j.Guests {
		s := &j.Guests[i]
		if s.MissingSince != 0 || j.limits.leavesOut(s.VMID) {
			continue
		}
		failed := j.noteTests(s)
		of := ofGuest(s.VMID)
		if s.NoBackup || s.NoTest {
			j.healthy(messages.RuleRestoreTest, of, title(s)+" is tagged to be left out")
			continue
		}
		if failed != nil {
			j.failing(messages.RuleRestoreTest, of, alarm{typ: messages.RestoreTestFailed, severity: messages.SeverityWarning,
				words: "restore test of " + title(s) + " failed", reason: failed.Detail})
		}
		age := time.Duration(j.dated-cmp.Or(s.TestedOKAt, max(s.FirstSeenAt, known))) * time.Second
		switch {
		case age >= j.limits.RestoreTest:
			j.failing(messages.RuleRestoreTest, of, alarm{typ: messages.RestoreTestOverdue, severity: messages.SeverityWarning,
				words: title(s) + " was not restored for a test for " + span(seconds(age))})
		default:
			j.wait(seconds(j.limits.RestoreTest - age))
			if failed == nil && s.TestedOKAt != 0 && s.TestedOKAt >= s.TestedAt {
				j.healthy(messages.RuleRestoreTest, of, "restore test of "+title(s)+" passed")
			}
		}
	}
}

// noteTests keeps the newest restore tests of a guest. It returns the newest of all
// when that failed. A list that begins later than what is kept says nothing new.
func (j *judge) noteTests(s *messages.GuestStanding) (failed *messages.RestoreTest) {
	for _, t := range j.testsOf[s.VMID] {
		at := max(t.StartedAt.Unix(), 0)
		if at >= s.TestedAt {
			s.TestedAt, failed = at, nil
			if !t.OK {
				failed = t
			}
		}
		if t.OK && at >= s.TestedOKAt {
			s.TestedOKAt, s.TestLevel = at, messages.RestoreLevel(Clean(string(t.Level), maxTitle))
		}
	}
	return failed
}
