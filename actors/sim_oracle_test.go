package actors

import (
	"fmt"
	"time"

	"felhom.eu/messages"
)

// The oracle knows what the hub cannot: the true time, when the hub truly
// listened, which report was truly newer than which, and which host truly
// lived. It judges by the words of the specification and calls none of the
// rules. All its instants are true time since the world began, except those
// called heard, which are listening time as it really was.

const (
	// patience is the late bound: an alarm is told at most this much listening
	// time after it was due, and a disturbance of the hub (crash, nap, closure)
	// may cost as much as the ledger can lose by it.
	patience    = 5 * time.Second
	disturbance = 12 * time.Second
	// shortGap is the deafness up to which an agent's own patience bridges it.
	// Between the two the hub may or may not give grace.
	shortGap, longGap = 25 * time.Second, 35 * time.Second
)

type oracle struct {
	now         func() time.Duration
	poll        time.Duration
	stale, down time.Duration

	listens   bool
	since     time.Duration // listens or not, since
	heardThen time.Duration // listening time as of since
	graceFrom time.Duration // heard at the end of the last long gap: at least the spec's grace from here
	calmFrom  time.Duration // heard at the end of whatever the hub may have taken for a gap

	hosts     []watchedHost
	receivers []*receiver
	herald    *herald
	name      func(host int) messages.HostID
	ends      int // of the hub's process

	disturbances int
	used         map[messages.IncidentID]bool
	problems     []problem
	tally        tally
}

// watchedHost is what is true of a host, and what was told of it.
type watchedHost struct {
	interval  time.Duration
	seen      bool          // had a contact
	newest    int           // emission of the newest report on the hub's disk
	contact   time.Duration // true time
	heard     time.Duration // the same moment in listening time
	wall      time.Time     // the same moment by the hub's clock
	hold      time.Duration // a goodbye's, from contact on
	held      bool
	disturbed int  // disturbances of the hub since contact
	stepped   bool // the hub's wall clock since contact

	reaches   bool // lives, and has a way to the hub
	reachFrom time.Duration

	phase     messages.Phase
	incident  messages.IncidentID
	recovered bool // told, and its contact is to follow

	first, down time.Duration // of listening time: where its first contact was, and for how long it was down
}

type problem struct {
	host int
	kind string // false, missed, late, doubled, unpaired, wrong; of deliveries untold, disordered, changed
	text string
}

type tally struct {
	contacts, stales, downs, recoveries, repeats, olders, gaps, naps, kills, goodbyes, orders, acks int

	deliveries, refusals, duplicates int // that were taken, that were not, and that came again
}

func (t *tally) add(u tally) {
	t.contacts += u.contacts
	t.stales += u.stales
	t.downs += u.downs
	t.recoveries += u.recoveries
	t.repeats += u.repeats
	t.olders += u.olders
	t.gaps += u.gaps
	t.naps += u.naps
	t.kills += u.kills
	t.goodbyes += u.goodbyes
	t.orders += u.orders
	t.acks += u.acks
	t.deliveries += u.deliveries
	t.refusals += u.refusals
	t.duplicates += u.duplicates
}

func (o *oracle) blame(host int, kind, format string, args ...any) {
	o.problems = append(o.problems, problem{host, kind, fmt.Sprintf(format, args...)})
}

func (o *oracle) heard() time.Duration {
	if o.listens {
		return o.heardThen + o.now() - o.since
	}
	return o.heardThen
}

// deaf notes that the hub stops to listen.
func (o *oracle) deaf() {
	if !o.listens {
		return
	}
	o.judgeAll()
	o.judgeTelling()
	o.judgeReceivers()
	o.disturb()
	o.heardThen, o.since, o.listens = o.heard(), o.now(), false
}

// hears notes that the hub listens again. visible is false for a pause that no
// clock of the machine shows.
func (o *oracle) hears(restart, visible bool) {
	o.disturb()
	deaf := o.now() - o.since
	o.since, o.listens = o.now(), true
	o.disturbances++
	for i := range o.hosts {
		o.hosts[i].disturbed++
	}
	if restart || deaf > longGap && visible {
		o.graceFrom = o.heardThen
	}
	if restart || deaf > shortGap {
		o.calmFrom = o.heardThen
		o.tally.gaps++
	}
}

// steps notes that the hub's wall clock was set. Forward looks like a gap.
func (o *oracle) steps(by time.Duration) {
	o.judgeAll()
	o.judgeTelling()
	o.disturb()
	for i := range o.hosts {
		o.hosts[i].stepped = true
	}
	if by > shortGap {
		o.calmFrom = o.heard()
	}
}

// reach notes that a host can, or can no longer, be heard.
func (o *oracle) reach(i int, can bool) {
	if w := &o.hosts[i]; w.reaches != can {
		w.reaches, w.reachFrom = can, o.heard()
	}
}

// stored notes that a report is on the hub's disk: a contact, if it was sent after
// the last one. Clocks of whole seconds cannot tell two reports apart that follow
// each other at once: there, took is believed, and what the agent made after all
// before is one however long it took to come.
func (o *oracle) stored(i, emission int, wall time.Time, sent time.Duration, took bool) {
	w := &o.hosts[i]
	later := sent - w.contact
	newest := emission > w.newest
	w.newest = max(w.newest, emission)
	if later > 4*time.Second || took && (newest || later > 0) {
		o.contact(i, wall, 0, false)
	}
}

func (o *oracle) contact(i int, wall time.Time, hold time.Duration, held bool) {
	w := &o.hosts[i]
	o.judge(i)
	if alarmed := w.phase >= messages.PhaseStale; alarmed != w.recovered {
		o.blame(i, "unpaired", "contact while told %s, recovery told: %t", w.phase, w.recovered)
	}
	first, down := w.first, w.down
	if !w.seen {
		first = o.heard()
	}
	if w.phase == messages.PhaseDown {
		down += o.heard() - w.heard
	}
	*w = watchedHost{
		interval: w.interval, seen: true, newest: w.newest, contact: o.now(), heard: o.heard(), wall: wall, first: first, down: down,
		hold: min(max(hold, 0), 24*time.Hour), held: held, reaches: w.reaches, reachFrom: w.reachFrom, phase: messages.PhaseOK,
	}
	o.tally.contacts++
}

func (o *oracle) factor(w *watchedHost) float64 { return max(1, float64(w.interval)/float64(o.poll)) }

func (o *oracle) threshold(w *watchedHost, p messages.Phase) time.Duration {
	d := o.stale
	if p == messages.PhaseDown {
		d = o.down
	}
	return time.Duration(float64(d) * o.factor(w))
}

// may says why phase p must not be told of host i now; empty when it may.
func (o *oracle) may(i int, p messages.Phase) string {
	w := &o.hosts[i]
	// A starved hub may count up to two seconds in which it did not run.
	slack := time.Duration(w.disturbed) * 2 * time.Second
	silence := o.heard() - w.heard
	switch {
	case !w.seen:
		return "it never reported"
	case !o.listens:
		return "the hub is deaf"
	case silence+slack < o.threshold(w, p):
		return fmt.Sprintf("heard %v of listening time ago", silence)
	case o.heard()-o.graceFrom+slack < w.interval+time.Minute:
		return fmt.Sprintf("only %v since the gap", o.heard()-o.graceFrom)
	case o.now()-w.contact < w.hold:
		return "its goodbye still holds"
	case w.reaches && o.heard()-max(w.reachFrom, o.calmFrom) > w.interval*21/20+time.Minute:
		return "it lives, and had its chance to say so"
	}
	return ""
}

// must reports whether phase p ought to have been told of host i by now.
func (o *oracle) must(i int, p messages.Phase) bool {
	w := &o.hosts[i]
	slack := patience + time.Duration(w.disturbed)*disturbance
	grace := time.Duration(float64(o.poll+time.Minute) * o.factor(w))
	silence := o.heard() - w.heard
	return w.seen && silence > o.threshold(w, p)+slack && silence > w.hold+slack && o.heard()-o.calmFrom > grace+slack
}

// judge blames what should have been told by now.
func (o *oracle) judge(i int) {
	for p := max(o.hosts[i].phase+1, messages.PhaseStale); p <= messages.PhaseDown; p++ {
		if o.must(i, p) {
			o.blame(i, "missed", "%s not told after %v of silence", p, o.heard()-o.hosts[i].heard)
		}
	}
}

func (o *oracle) judgeAll() {
	for i := range o.hosts {
		o.judge(i)
	}
}

// told judges an event that became durable.
func (o *oracle) told(i int, e messages.Event) {
	w := &o.hosts[i]
	switch e.Type {
	case messages.HostStale:
		o.tally.stales++
		o.alarm(i, messages.PhaseOK, e)
		if o.used[e.IncidentID] || e.IncidentID == "" {
			o.blame(i, "unpaired", "%s of incident %q, which was used before", e.Type, e.IncidentID)
		}
		o.used[e.IncidentID] = true
		w.phase, w.incident = messages.PhaseStale, e.IncidentID
	case messages.HostDown:
		o.tally.downs++
		o.alarm(i, messages.PhaseStale, e)
		w.phase = messages.PhaseDown
	case messages.HostRecovered:
		o.tally.recoveries++
		o.recovery(i, e)
		w.recovered = true
	}
	if e.Type != messages.HostStale && e.Type != messages.HostDown && e.Type != messages.HostRecovered {
		return
	}
	if e.IncidentID != w.incident {
		o.blame(i, "unpaired", "%s of incident %q, not %q", e.Type, e.IncidentID, w.incident)
	}
	if e.Detail.LastContactAt == nil || !e.Detail.LastContactAt.Equal(w.wall) {
		o.blame(i, "wrong", "%s names last contact %v, it was at %v", e.Type, e.Detail.LastContactAt, w.wall)
	}
	if e.Detail.Planned != w.held {
		o.blame(i, "wrong", "%s says planned: %t", e.Type, e.Detail.Planned)
	}
}

func (o *oracle) alarm(i int, from messages.Phase, e messages.Event) {
	w := &o.hosts[i]
	if w.phase != from {
		o.blame(i, "doubled", "%s while told %s", e.Type, w.phase)
	}
	if why := o.may(i, from+1); why != "" {
		o.blame(i, "false", "%s although %s", e.Type, why)
	}
	if o.must(i, from+1) {
		o.blame(i, "late", "%s after %v of silence", e.Type, o.heard()-w.heard)
	}
}

func (o *oracle) recovery(i int, e messages.Event) {
	w := &o.hosts[i]
	if w.phase < messages.PhaseStale || w.recovered {
		o.blame(i, "unpaired", "%s while told %s", e.Type, w.phase)
	}
	out, gone := time.Duration(e.Detail.DurationSeconds)*time.Second, o.now()-w.contact
	lost := time.Duration(w.disturbed)*disturbance + time.Second
	if out+lost < o.heard()-w.heard || !w.stepped && (out > gone || out < gone-time.Second) {
		o.blame(i, "wrong", "%s after %v, it was %v", e.Type, out, gone)
	}
}

// judgeAvailability holds what the hub makes of its outages against what was: how long
// it listened to host i since its first contact, and for how much of that it was down.
func (o *oracle) judgeAvailability(i int, months []messages.Availability) {
	w := &o.hosts[i]
	var listened, down time.Duration
	for _, m := range months {
		listened += m.Listened
		down += m.Down
	}
	if !w.seen {
		if listened != 0 {
			o.blame(i, "wrong", "counts %v, though it never reported", listened)
		}
		return
	}
	was := w.down
	if w.phase == messages.PhaseDown {
		was += o.heard() - w.heard
	}
	slack := patience + time.Duration(o.disturbances)*disturbance
	if off := listened - (o.heard() - w.first); off.Abs() > slack {
		o.blame(i, "wrong", "counts %v since its first contact, it was %v", listened, o.heard()-w.first)
	}
	if off := down - was; off.Abs() > slack {
		o.blame(i, "wrong", "was down for %v by its outages, it was %v", down, was)
	}
}
