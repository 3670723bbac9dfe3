package actors

import (
	"fmt"
	"time"

	"felhom.eu/messages"
)

// The hub as stories and simulations run it: the production rules, driven in
// virtual time the way the ledger's and the hosts' actors drive them. Nothing
// counts before it is on the model's disk, and a crash leaves only that.

// worldBegan is the true instant at which every story and simulation begins.
var worldBegan = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// machine is a computer with three clocks. real is the true time since the
// world began, which nobody in it knows; the rest is how far each clock is off.
type machine struct {
	real             time.Duration
	wall, mono, boot time.Duration
}

func (m *machine) read() Instant {
	return Instant{Wall: worldBegan.Add(m.real + m.wall), Mono: m.real + m.mono, Boot: m.real + m.boot}
}

// fate is what becomes of a write.
type fate int

const (
	fateWritten      fate = iota
	fateRefused           // the store is full: the hub stops listening
	fateKilledBefore      // kill -9 between the decision and the write
	fateKilledAfter       // kill -9 between the write and the answer
)

// mutant is a way to get the dead-man's switch wrong on purpose. It lives in
// the model only: it shows that the oracle can fail.
type mutant int

const (
	faithful            mutant = iota
	wallSilence                // no ledger: silence by the wall clock
	noGrace                    // alarms right after a gap
	repeatsCount               // late duplicates are signs of life
	tornWrites                 // the event is written before the state
	sleepyTimers               // a timer that looked too early is not armed again
	agentsClock                // silence since reported_at
	holdsForgotten             // a goodbye holds nothing
	toldAtStart                // a start tells the alarms that stand
	markBeforeSend             // a delivery is marked sent, then sent
	outcomesForgotten          // that it was sent is not written
	controllersUngraced        // alarms of controllers right after a gap
	alarmsForgotten            // what is pending and what was told is not written
	foldsNothing               // no incident, however many fall silent
	foldsEarly                 // three hosts of forty are one
	outagesForgotten           // the contact that ends an outage writes none
	acksForgotten              // that an alarm was acknowledged is not written
	mutants
)

func (m mutant) String() string {
	return [...]string{"faithful", "ledger off, silence by the wall clock", "no grace after a gap", "duplicates count as contact",
		"event and state in two writes", "timer not armed again", "silence since reported_at", "goodbye holds nothing",
		"start tells what stands", "marked sent before it is", "outcome of a try not written",
		"no grace for controllers", "alarms not written", "nothing is an incident", "three of forty are an incident", "no outage is written",
		"acknowledgement not written"}[m]
}

// modelHub is one hub: its machine, its disk, and what it has in memory.
type modelHub struct {
	machine
	rules  Rules
	mutant mutant
	fate   func(events int) fate            // asked at every write, by its events, or ofOutcomes, ofOrders
	told   func(host int, e messages.Event) // what became durable, in order
	gap    func(Gap)
	raised func() time.Duration // how long after a start a host's actor is up; above 0
	died   func(fate)           // after a write that ended in refused or a kill

	ledger messages.Ledger      // on disk
	states []messages.HostState // on disk, which is what the hosts believe
	acme   messages.Customer    // on disk: the customer of all hosts
	months calendar             // on disk
	downs  map[int][]messages.Outage

	controllers []messages.ControllerState // on disk

	post            *post
	store           *simStore
	full            bool // the store refuses writes
	coasts          bool // see coast
	running, asleep bool // asleep: the process does not run, though it exists
	ear             listening
	timers          []time.Duration // monotonic clock; 0: none
	own             []int           // hosts' intervals in seconds
	tick, look      time.Duration   // monotonic clock: the ledger's next tick, the earliest timer
	incidents       int
}

const (
	never      = time.Duration(1 << 62)
	ofOutcomes = -1 // a write of the post's own: what a try came to
	ofOrders   = -2 // an operator's
)

func newModelHub(r Rules, own []int) *modelHub {
	h := &modelHub{rules: r, acme: messages.Customer{ID: "acme"}, downs: map[int][]messages.Outage{}, own: own, timers: make([]time.Duration, len(own))}
	for i := range own {
		id := messages.HostID(fmt.Sprintf("acme-%08x", i+1))
		h.states = append(h.states, messages.HostState{ID: id})
	}
	h.fate = func(int) fate { return fateWritten }
	h.told, h.gap, h.died = func(int, messages.Event) {}, func(Gap) {}, func(fate) {}
	h.raised = func() time.Duration { return time.Millisecond }
	return h
}

func (h *modelHub) start() {
	h.store.reopen()
	now := h.read()
	h.running, h.full, h.ear = true, false, resume(h.ledger, now)
	h.post.start()
	if gap, deaf := h.ear.openAt(now); deaf {
		h.gap(gap)
	}
	h.tick, h.look = now.Mono+maxStep, never
	for i := range h.timers {
		h.timers[i] = 0
		if s := &h.states[i]; h.mutant == toldAtStart && s.Phase == messages.PhaseDown {
			var n news
			n.silent(s, messages.HostDown, h.now())
			h.told(i, n[0])
		}
		// A host's actor is up a while after the start, or at its first report.
		h.timers[i] = now.Mono + h.raised()
		h.look = min(h.look, h.timers[i])
	}
}

// stop is a clean one: the ledger's last row is written.
func (h *modelHub) stop() {
	h.close("the hub stops")
	h.running = false
	h.store.close()
}

func (h *modelHub) crash() {
	h.running = false
	h.store.kill()
}

func (h *modelHub) close(why string) {
	h.ear.closeAt(h.read(), why)
	h.writeLedger()
}

func (h *modelHub) open() {
	h.full = false
	if gap, deaf := h.ear.openAt(h.read()); deaf {
		h.gap(gap)
	}
}

func (h *modelHub) listens() bool { return h.running && !h.asleep && h.ear.open }

func (h *modelHub) writeLedger() { h.write(messages.Batch{}) }

// write makes a batch durable, and the ledger with it, as every batch does.
func (h *modelHub) write(b messages.Batch) {
	now := h.read()
	m := h.ear.moment(now)
	h.ledger = messages.Ledger{Listened: m.At, At: now.Wall}
	if s, due := h.months.begins(m); due {
		h.months = h.months.with(s)
		b.Months = append(b.Months, s)
	}
	h.store.write(b)
}

func (h *modelHub) now() Moment {
	m := h.ear.moment(h.read())
	switch h.mutant {
	case wallSilence:
		m.At, m.Resumed = messages.Listened(m.Wall.UnixNano()), NeverResumed
	case noGrace:
		m.Resumed = NeverResumed
	}
	return m
}

// runTo lets true time pass, up to real or to the hub's death. What is due at one moment runs timers first: a
// timer may look before the ledger's tick has noticed a gap.
func (h *modelHub) runTo(real time.Duration) {
	for h.running && !h.asleep {
		post := h.post.due()
		due := min(h.tick, h.look, post) - h.mono
		if due > real {
			break
		}
		h.real = max(h.real, due)
		if mono := h.real + h.mono; h.look <= mono {
			h.lookAt(mono)
		} else if post <= mono {
			h.post.fire(mono)
		} else {
			h.ticked(mono)
			h.coast(real)
		}
		if !h.running {
			return
		}
	}
	h.real = max(h.real, real)
}

// ticked is the ledger's tick, always as late as is still counted in full: the
// harder case, and half the work.
func (h *modelHub) ticked(mono time.Duration) {
	gap, deaf := h.ear.advance(h.read())
	if deaf {
		h.gap(gap)
	}
	if h.ear.heard.Add(-ledgerEvery) >= h.ledger.Listened {
		h.writeLedger()
	}
	h.tick = mono + maxStep
	h.controllersTick()
}

// coast takes the quiet ticks after the one just taken at once, for stories of
// a year: while nobody acts, each would add its step and nothing else.
func (h *modelHub) coast(real time.Duration) {
	now := h.real + h.mono
	// Only from one of the ledger's rows to a later one, so that a kill loses the same.
	row := ledgerEvery / maxStep
	n := ((min(real+h.mono, h.look, now+h.leftOfMonth())-now)/maxStep - 1) / row * row
	if !h.coasts || !h.ear.open || n <= 0 || h.ledger.Listened != h.ear.heard {
		return
	}
	h.real += n * maxStep
	h.ear.heard, h.ear.last = h.ear.heard.Add(n*maxStep), h.read()
	h.tick += n * maxStep
	h.writeLedger()
}

// leftOfMonth is how long it is until another begins: the first batch in it counts.
func (h *modelHub) leftOfMonth() time.Duration {
	now := h.read().Wall
	return time.Date(now.Year(), now.Month()+1, 1, 0, 0, 0, 0, time.UTC).Sub(now)
}

// lookAt fires the timers that are due.
func (h *modelHub) lookAt(mono time.Duration) {
	h.look = never
	for i, at := range h.timers {
		switch {
		case at == 0:
		case at <= mono && h.running:
			h.timers[i] = 0
			h.expire(i)
		default:
			h.look = min(h.look, at)
		}
	}
}

func (h *modelHub) expire(i int) {
	if !h.ear.open {
		h.arm(i) // what is due while deaf waits for the grace after it
		return
	}
	next, events := expire(h.states[i], h.rules.scaled(h.own[i]), h.now(), h.newIncident)
	if len(events) > 0 {
		h.commit(i, next, events, nil)
	} else if h.mutant == sleepyTimers {
		h.timers[i] = never
	}
	h.arm(i)
}

func (h *modelHub) newIncident() messages.IncidentID {
	h.incidents++
	return messages.IncidentID(fmt.Sprintf("#%d", h.incidents))
}

// arm is Host.arm: a timer no later than the next transition.
func (h *modelHub) arm(i int) {
	now := h.now()
	at, armed := deadline(&h.states[i], h.rules.scaled(h.own[i]), now.Resumed)
	if !h.running || !armed || h.timers[i] == never {
		return
	}
	wait := max(at-now.At, 0).Duration() + time.Millisecond
	if !h.ear.open {
		wait = max(wait, idleCheck)
	}
	if due := h.real + h.mono + wait; h.timers[i] == 0 || due < h.timers[i] {
		h.timers[i] = due
		h.look = min(h.look, due)
	}
}

// report is what an agent's attempt comes to: whether the hub has it on disk,
// and whether the hub said so.
func (h *modelHub) report(i int, r messages.Summary) (durable, acked bool, v verdict) {
	if !h.listens() {
		return false, false, fresh
	}
	now := h.now()
	next, v, events := heard(h.states[i], &r, now)
	switch {
	case h.mutant == repeatsCount && v != fresh:
		contact(&next, now, (*news)(&events))
	case h.mutant == agentsClock && v == fresh:
		next.ContactHeard = now.At.Add(time.Unix(0, r.ReportedAt).Sub(now.Wall))
	case v == repeat && next == h.states[i]:
		return true, true, v
	}
	durable, acked = h.commit(i, next, events, h.store.report(h.states[i].Last, next.ID, &r, v))
	h.arm(i)
	return durable, acked, v
}

// goodbye is the same for a goodbye; heard is false when it means nothing.
func (h *modelHub) goodbye(i int, g messages.Goodbye, stream uint64) (durable, heard bool) {
	if !h.listens() {
		return false, false
	}
	next, events, heard := onGoodbye(h.states[i], g, stream, h.now())
	if !heard {
		return true, false
	}
	if h.mutant == holdsForgotten {
		next.HeldUntil = 0
	}
	durable, _ = h.commit(i, next, events, nil)
	h.arm(i)
	return durable, true
}

// commit is one atomic write of a state, its events, their deliveries and the
// ledger; r is the report behind it, for a hub with a store.
func (h *modelHub) commit(i int, next messages.HostState, events []messages.Event, r *messages.StoredReport) (durable, acked bool) {
	b := messages.Batch{Events: events}
	if o := outageOf(&h.states[i], &next); o != nil && (h.mutant != outagesForgotten || o.First()) {
		b.Outages = []messages.Outage{*o}
	}
	if h.store != nil {
		if r != nil {
			next.Last, b.Reports = h.store.place(), []messages.StoredReport{*r}
		}
		b.Hosts = []messages.HostState{next}
	}
	return h.put(i, b, func() {
		h.states[i] = next
		h.downs[i] = append(h.downs[i], b.Outages...)
	})
}

// put is one atomic write of what was decided about i, which is believed when it is
// durable.
func (h *modelHub) put(i int, b messages.Batch, believe func()) (durable, acked bool) {
	f := h.fate(len(b.Events))
	durable = f == fateWritten || f == fateKilledAfter
	events := b.Events
	h.post.cut(&b, nil)
	if durable || h.mutant == tornWrites {
		for _, e := range events {
			h.told(i, e)
		}
	}
	switch {
	case durable:
		believe()
		h.write(b)
	case f == fateKilledBefore:
		h.store.tear(b)
	}
	h.post.settle(b, f)
	h.endWrite(f)
	return durable, f == fateWritten
}

// block is an operator's order; false when nobody is there to take it. From then
// on each answer to a report of the customer's hosts says so, and nothing else
// is different: they are stored, watched and told of as before.
func (h *modelHub) block(blocked bool) (durable bool) {
	if !h.listens() {
		return false
	}
	next := h.acme
	next.Blocked = blocked
	f := h.fate(ofOrders)
	if durable = f == fateWritten || f == fateKilledAfter; durable {
		h.acme = next
		h.write(messages.Batch{PutCustomers: []messages.Customer{next}})
	}
	h.endWrite(f)
	return durable
}

// endWrite is what else a write's end means.
func (h *modelHub) endWrite(f fate) {
	switch f {
	case fateRefused:
		h.full = true
		h.close("the store is full")
		h.died(f)
	case fateKilledBefore, fateKilledAfter:
		h.crash()
		h.died(f)
	}
}

// Three ways in which the process does not run for a while, though nothing
// ended it. Each is begun by sleep.
type nap int

const (
	suspended   nap = iota // the machine sleeps: the monotonic clock stands still
	paused                 // the virtual machine stands still; its wall clock is right afterwards
	pausedStale            // the same, and the wall clock is as far behind as the pause was long
	starved                // no CPU: every clock runs
)

func (h *modelHub) sleep() { h.asleep = true }

// wake ends a nap that lasted d.
func (h *modelHub) wake(n nap, d time.Duration) {
	h.asleep = false
	if n == starved {
		return
	}
	h.mono -= d
	if n != suspended {
		h.boot -= d
	}
	if n == pausedStale {
		h.wall -= d
	}
}
