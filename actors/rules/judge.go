package rules

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"felhom.eu/messages"
)

// Finding is something to be told: an event without what its host knows better.
type Finding struct {
	Type     messages.EventType
	Incident messages.IncidentID
	Severity messages.Severity
	VMID     messages.VMID // of a guest; 0 otherwise
	Subject  string        // what it is about, when it is no guest
	Duration time.Duration // of a recovery: how long the problem was open
	Reason   string        // what Proxmox said, or why it is no problem any more
	Words    string        // to be put behind the host's id
}

// Report is what a judgement is made of.
type Report struct {
	*messages.Report
	Thresholds *Thresholds
	Now        time.Time     // the hub's clock
	Skew       time.Duration // of the host's clock, ahead of the hub's
	Incident   func() messages.IncidentID
}

// maxFindings bounds what one report tells, and so what one write holds; the rest
// is told with the next one.
const maxFindings = 64

// Judge says what a report means: what is to be told, in order, and from when on it
// should be asked again though nothing has changed; zero is never. The standing is
// changed in place.
func Judge(s *messages.Standing, r Report) (findings []Finding, due time.Time) {
	j := judge{Standing: s, r: r.Report, limits: r.Thresholds, incident: r.Incident, now: r.Now.Unix(), open: map[problemKey]*messages.Problem{}}
	// What reports date is dated by the host's clock. Where the two clocks differ the
	// kinder one counts: that they do has an alarm of its own.
	j.dated = j.now + min(0, int64(r.Skew/time.Second))
	for _, p := range s.Problems {
		j.open[problemKey{p.Rule, p.Subject}] = &p
	}
	j.index()
	j.sections()
	j.tunnel()
	j.storage()
	j.offline()
	j.guests()
	j.learnSources()
	j.backups()
	j.verifications()
	j.restoreTests()
	j.disks()
	j.pools()
	j.leftOver()
	s.Problems = j.problems()
	if j.dueAt != 0 {
		due = time.Unix(max(j.dueAt, j.now), 0)
	}
	return j.told, due
}

// judge is one judgement under way. Instants are seconds of Unix time.
type judge struct {
	*messages.Standing
	r        *messages.Report
	limits   *Thresholds
	incident func() messages.IncidentID
	now      int64 // the hub's clock
	dated    int64 // against what reports date
	open     map[problemKey]*messages.Problem
	told     []Finding
	dueAt    int64 // 0: never

	// The report's lists by guest.
	backupOf map[messages.VMID]*messages.Backup
	groupsOf map[string][]*messages.PBSGroup // by backup id
	testsOf  map[messages.VMID][]*messages.RestoreTest
	leaving  map[string]bool          // guests that a task removed or moved away
	movedTo  map[messages.VMID]string // guests of other nodes of the cluster, and these
}

type problemKey struct {
	rule    messages.Rule
	subject string
}

// wait asks for another look when seconds from now have passed.
func (j *judge) wait(seconds int64) {
	if at := j.now + max(seconds, 0); j.dueAt == 0 || at < j.dueAt {
		j.dueAt = at
	}
}

// subject is what a problem is of: a guest, or something with a name.
type subject struct {
	vmid messages.VMID
	name string
}

func ofGuest(vmid messages.VMID) subject { return subject{vmid: vmid} }
func named(name string) subject          { return subject{name: Clean(name, maxSubject)} }

func (s subject) key() string {
	if s.vmid != 0 {
		return strconv.FormatUint(uint64(s.vmid), 10)
	}
	return s.name
}

// alarm is what a rule finds wrong.
type alarm struct {
	typ      messages.EventType
	severity messages.Severity
	words    string
	reason   string
}

// failing opens a problem, or tells that it is another or worse. It is not told
// twice.
func (j *judge) failing(rule messages.Rule, of subject, a alarm) {
	if j.limits.off(rule) {
		return
	}
	p := j.problem(rule, of.key())
	if p != nil && slices.Contains(p.Told, a.typ) && a.severity <= p.Severity {
		return
	}
	if !j.room() {
		return
	}
	if p == nil {
		p = &messages.Problem{Rule: rule, Subject: of.key(), Incident: j.incident(), Since: j.now}
		j.open[problemKey{rule, of.key()}] = p
	}
	p.Severity = max(p.Severity, a.severity)
	if !slices.Contains(p.Told, a.typ) {
		p.Told = append(p.Told, a.typ)
	}
	j.told = append(j.told, Finding{Type: a.typ, Incident: p.Incident, Severity: p.Severity,
		VMID: of.vmid, Subject: of.name, Words: a.words, Reason: Clean(a.reason, maxReason)})
}

// healthy ends a problem, if there is one.
func (j *judge) healthy(rule messages.Rule, of subject, words string) {
	p := j.problem(rule, of.key())
	if p == nil || !j.room() {
		return
	}
	delete(j.open, problemKey{rule, of.key()})
	j.told = append(j.told, Finding{Type: recoveries[rule], Incident: p.Incident, Severity: p.Severity,
		VMID: of.vmid, Subject: of.name, Words: words, Duration: time.Duration(j.now-p.Since) * time.Second})
}

// recoveries are the ends of each rule's alarms.
var recoveries = map[messages.Rule]messages.EventType{
	messages.RuleGuest:       messages.GuestStarted,
	messages.RulePresence:    messages.GuestReturned,
	messages.RuleTunnel:      messages.TunnelRecovered,
	messages.RuleStorage:     messages.StorageRecovered,
	messages.RuleOffline:     messages.StorageOnline,
	messages.RuleBackup:      messages.BackupRecovered,
	messages.RuleVerify:      messages.VerifyRecovered,
	messages.RuleRestoreTest: messages.RestoreTestRecovered,
	messages.RuleDisk:        messages.DiskRecovered,
	messages.RulePool:        messages.PoolRecovered,
	messages.RuleSection:     messages.SectionKnown,
}

// room reports whether something more can be told now; else the next report is
// looked at again.
func (j *judge) room() bool {
	if len(j.told) < maxFindings {
		return true
	}
	j.wait(0)
	return false
}

func (j *judge) problem(rule messages.Rule, key string) *messages.Problem {
	return j.open[problemKey{rule, key}]
}

// problems are the open ones, oldest first.
func (j *judge) problems() []messages.Problem {
	var ps []messages.Problem
	for _, p := range j.open {
		ps = append(ps, *p)
	}
	slices.SortFunc(ps, func(a, b messages.Problem) int {
		return cmp.Or(cmp.Compare(a.Since, b.Since), cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Subject, b.Subject))
	})
	return ps
}

// index sorts the report's lists by guest.
func (j *judge) index() {
	j.backupOf, j.groupsOf = map[messages.VMID]*messages.Backup{}, map[string][]*messages.PBSGroup{}
	j.testsOf, j.leaving = map[messages.VMID][]*messages.RestoreTest{}, map[string]bool{}
	for i := range j.r.Backups {
		j.backupOf[j.r.Backups[i].VMID] = &j.r.Backups[i]
	}
	for i := range j.r.PBSSnapshots {
		g := &j.r.PBSSnapshots[i]
		if g.BackupType == "ct" || g.BackupType == "vm" {
			j.groupsOf[g.BackupID] = append(j.groupsOf[g.BackupID], g)
		}
	}
	for i := range j.r.RestoreTests {
		t := &j.r.RestoreTests[i]
		j.testsOf[t.VMID] = append(j.testsOf[t.VMID], t)
	}
	j.movedTo = map[messages.VMID]string{}
	if j.r.Cluster != nil {
		for _, m := range j.r.Cluster.Members {
			for _, vmid := range m.VMIDs {
				j.movedTo[vmid] = Clean(m.Node, maxTitle)
			}
		}
	}
	for i := range j.r.AuditTail {
		if t := &j.r.AuditTail[i]; removes(t) {
			j.leaving[t.ID] = true
		}
	}
}

// gone ends the problems of a rule whose subject is not there any more. The caller
// vouches for what is there.
func (j *judge) gone(rule messages.Rule, there func(key string) bool, words string) {
	for _, p := range j.problems() {
		if p.Rule == rule && !there(p.Subject) {
			j.healthy(rule, subjectOf(p), p.Subject+words)
		}
	}
}

// leftOver ends the problems that nobody watches any more.
func (j *judge) leftOver() {
	for _, p := range j.problems() {
		of := subjectOf(p)
		switch {
		case j.limits.off(p.Rule):
			j.healthy(p.Rule, of, what(of)+": the rule was switched off")
		case of.vmid == 0:
		case j.limits.leavesOut(of.vmid):
			j.healthy(p.Rule, of, what(of)+" is not watched any more")
		case j.guest(of.vmid) != nil:
		case j.movedTo[of.vmid] != "":
			j.healthy(p.Rule, of, what(of)+" is on "+j.movedTo[of.vmid]+" now")
		default:
			j.healthy(p.Rule, of, what(of)+" was removed")
		}
	}
}

func what(of subject) string {
	if of.vmid != 0 {
		return "guest " + of.key()
	}
	return of.name
}

// subjectOf reads a problem's subject back. Only these rules are of guests.
func subjectOf(p messages.Problem) subject {
	switch p.Rule {
	case messages.RuleGuest, messages.RulePresence, messages.RuleBackup, messages.RuleVerify, messages.RuleRestoreTest:
		vmid, _ := strconv.ParseUint(p.Subject, 10, 32)
		return ofGuest(messages.VMID(vmid))
	}
	return subject{name: p.Subject}
}

// Lengths of foreign texts in what is told.
const (
	maxSubject = 64
	maxReason  = 200
	maxTitle   = 32
)

// Clean makes a foreign text fit for a message: one line, printable, no longer than
// limit bytes.
func Clean(text string, limit int) string {
	text = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case r == utf8.RuneError || !unicode.IsPrint(r):
			return -1
		}
		return r
	}, text)
	if len(text) > limit {
		text = strings.ToValidUTF8(text[:limit], "") // not half a character
	}
	return text
}
