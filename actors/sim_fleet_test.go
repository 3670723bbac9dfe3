package actors

import (
	"container/heap"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"felhom.eu/messages"
)

// A fleet and the troubles of 48 hours, all of it decided by one seed.

const (
	fleetHosts = 40
	fleetHours = 48 * time.Hour
	fleetPoll  = 15 * time.Minute
)

// world is one seed's run: agents, hub, network and the oracle that watches.
type world struct {
	rand        *rand.Rand
	hub         *modelHub
	oracle      *oracle
	agents      []simAgent
	controllers []simController
	ends        time.Duration
	queue       eventQueue
	order       int
	fate        fate // armed: what becomes of the next write
	wants       want // or rather of the next one of a kind
	logged      int  // the host whose story is kept; -1: none
	log         []string
}

// simAgent is one host with its agent: it numbers reports, keeps a backlog and
// retries with back-off as felhom-agent does.
type simAgent struct {
	world     *world
	host      int
	interval  time.Duration
	skew      time.Duration
	numbered  bool
	up        bool
	life      int // of the agent's process; what was scheduled in another is void
	cuts      int // of the network, overlapping
	boot      uint64
	bootedAt  time.Duration
	stream    uint64
	sequence  uint64
	emission  int
	backlog   []simReport
	failures  int
	retrying  bool
	delivered *simReport
	minted    int // how often the host was made anew
}

// want is the kind of write that an armed fate waits for.
type want int

const (
	anyWrite want = iota
	eventWrite
	outcomeWrite // between a try of a route and its mark
)

type simReport struct {
	emission int
	minted   int // the host's life that it is of
	sum      messages.Summary
	sent     time.Duration // true time; a copy that comes late was sent when it was
}

func newWorld(seed uint64, m mutant, logged int) *world {
	w := &world{rand: rand.New(rand.NewPCG(seed, 0x5eed)), logged: logged, ends: fleetHours}
	own := make([]int, fleetHosts)
	w.agents = make([]simAgent, fleetHosts)
	w.oracle = &oracle{poll: fleetPoll, stale: 30 * time.Minute, down: time.Hour,
		graceFrom: -1 << 60, calmFrom: -1 << 60,
		hosts: make([]watchedHost, fleetHosts), used: map[messages.IncidentID]bool{}, herald: newHerald()}
	for i := range own {
		own[i] = [...]int{0, 0, 0, 300, 1800, 3600}[w.rand.IntN(6)]
		interval := time.Duration(own[i]) * time.Second
		if own[i] == 0 {
			interval = fleetPoll
		}
		w.agents[i] = simAgent{world: w, host: i, interval: interval, numbered: w.chance(0.9), boot: uint64(i+1) << 32}
		if w.chance(0.3) {
			w.agents[i].skew = w.between(-2*time.Hour, 2*time.Hour)
		}
		w.oracle.hosts[i].interval = interval
	}
	h := newModelHub(defaultRules, own)
	h.mutant = m
	h.mono, h.boot = w.between(0, 1000*time.Hour), w.between(1000*time.Hour, 2000*time.Hour)
	h.fate, h.died, h.told, h.gap = w.decideFate, w.hubDied, w.told, func(g Gap) { w.note(-1, "gap of %v: %s", g.Duration(), g.Cause) }
	h.raised = func() time.Duration { return w.between(1, fleetPoll) } // within the grace: nothing may be late by it
	w.hub, w.oracle.now = h, func() time.Duration { return h.real }
	w.addControllers()
	w.oracle.name = func(i int) messages.HostID { return h.states[i].ID }
	h.post = newPost(w)
	for _, r := range h.post.routes {
		w.oracle.receivers = append(w.oracle.receivers, newReceiver(r))
	}
	return w
}

// onStore puts a world's hub onto the real store, in a directory of its own.
func (w *world) onStore(dir string) *world {
	w.hub.store = newSimStore(w.hub, dir, func(format string, args ...any) {
		w.note(-1, "store: "+format, args...)
		w.oracle.blame(-1, "stored", format, args...)
	})
	return w
}

// run lives to the world's end.
func (w *world) run() *oracle {
	w.hub.start()
	w.oracle.listens = true
	for i := range w.agents {
		if a := &w.agents[i]; w.chance(0.95) { // the rest never report, and never alarm
			w.at(w.between(0, time.Hour), a.powerOn)
			w.planTroubles(a)
		}
	}
	for i := range w.controllers {
		w.controllers[i].plan()
	}
	w.planSegment()
	w.planRoutes()
	w.planBlock()
	w.after(w.between(time.Hour, 8*time.Hour), w.attend)
	w.at(w.between(time.Hour, 8*time.Hour), w.troubleHub)
	for len(w.queue) > 0 && w.queue[0].at <= w.ends {
		if w.hub.runTo(w.queue[0].at); w.hub.real < w.queue[0].at {
			continue // the hub died on the way, and what follows from it comes first
		}
		heap.Pop(&w.queue).(scheduled).run()
	}
	w.hub.runTo(w.ends)
	w.oracle.judgeAll()
	w.oracle.judgeTelling()
	w.oracle.judgeReceivers()
	for i := range w.agents {
		lives := slices.Values([]Life{{&w.hub.states[i], w.hub.downs[i]}})
		w.oracle.judgeAvailability(i, AvailabilityOf(w.hub.months, w.hub.now(), 12, lives))
	}
	w.hub.store.end()
	return w.oracle
}

func (w *world) told(i int, e messages.Event) {
	w.note(i, "told %s", e.Summary)
	w.oracle.told(i, asOfHost(e))
	w.oracle.happened(i, e)
}

// The agents.

func (a *simAgent) powerOn() {
	if !a.up {
		a.bootedAt = a.world.hub.real
	}
	a.boot++
	a.start()
}

func (a *simAgent) start() {
	if a.up {
		return
	}
	a.up, a.life = true, a.life+1
	a.stream, a.sequence = a.boot<<8|uint64(a.life)|1<<62, 0
	a.backlog, a.failures, a.retrying = nil, 0, false
	a.reach()
	a.world.note(a.host, "agent starts")
	a.tick()
}

func (a *simAgent) stop() {
	a.up = false
	a.life++
	a.reach()
	a.world.note(a.host, "agent ends")
}

func (a *simAgent) reach() { a.world.oracle.reach(a.host, a.up && a.cuts == 0) }

// revert sets the machine back to a snapshot of its memory.
func (a *simAgent) revert(then simAgent, was time.Duration) {
	if !a.up || !then.up || !a.numbered || a.minted != then.minted {
		return
	}
	a.life++
	a.boot, a.bootedAt = then.boot, a.world.hub.real-(was-then.bootedAt)
	a.stream, a.sequence, a.backlog = then.stream, then.sequence, slices.Clone(then.backlog)
	a.failures, a.retrying = 0, false
	a.world.note(a.host, "set back to stream %x, sequence %d", a.stream, a.sequence)
	a.tick()
}

// after schedules within this life of the agent.
func (a *simAgent) after(d time.Duration, run func()) {
	life := a.life
	a.world.after(d, func() {
		if a.life == life {
			run()
		}
	})
}

func (a *simAgent) tick() {
	a.after(time.Duration(float64(a.interval)*(0.95+0.1*a.world.rand.Float64())), a.tick)
	a.emission++
	a.sequence++
	sent := worldBegan.Add(a.world.hub.real + a.skew).UnixNano()
	r := simReport{emission: a.emission, minted: a.minted, sum: messages.Summary{ReportedAt: sent, BootHash: a.boot,
		UptimeSecs: uint32((a.world.hub.real - a.bootedAt).Seconds())}}
	if a.numbered {
		r.sum.StreamHash, r.sum.Sequence = a.stream, a.sequence
		a.backlog = append(a.backlog[max(0, len(a.backlog)-63):], r)
	} else {
		a.backlog = []simReport{r} // such an agent knows only its last figures
	}
	if !a.retrying {
		a.try()
	}
}

// try sends the newest report kept, and goes on with the next or backs off.
func (a *simAgent) try() {
	a.retrying = false
	n := len(a.backlog)
	if n == 0 {
		return
	}
	r := a.backlog[n-1]
	if a.cuts > 0 || !a.world.deliver(a, r) {
		wait := time.Duration(a.world.rand.Float64() * float64(retryCeiling(a.failures)))
		if a.cuts > 0 || a.world.hub.asleep {
			wait += a.world.between(0, 30*time.Second) // nobody even refuses
		}
		a.failures++
		a.retrying = true
		a.after(wait, a.try)
		return
	}
	a.backlog, a.failures = a.backlog[:n-1], 0
	if len(a.backlog) > 0 {
		a.retrying = true
		a.after(100*time.Millisecond, a.try)
	}
}

// deliver carries a report to the hub, and now and then loses the answer or
// carries a copy of it later.
func (w *world) deliver(a *simAgent, r simReport) (acked bool) {
	r.sent = w.hub.real
	durable, acked := w.arrive(a.host, r)
	if !durable || !a.numbered {
		return acked
	}
	a.delivered = &r
	if w.chance(0.002) {
		w.after(w.between(0, 2*time.Hour), func() { w.arrive(a.host, r) })
	}
	return acked && !w.chance(0.002)
}

func (w *world) arrive(host int, r simReport) (durable, acked bool) {
	if r.minted != w.agents[host].minted {
		return false, false // its key is no key any more
	}
	r.sum.SentAt = worldBegan.Add(r.sent + w.agents[host].skew).Truncate(time.Second).UnixNano() // as Date has it
	wall, before := w.hub.read().Wall, w.hub.states[host].ContactHeard
	durable, acked, v := w.hub.report(host, r.sum)
	if w.logged == host && (durable || w.agents[host].failures == 0) {
		w.note(host, "report %d (stream %x, sequence %d): on disk %t, acknowledged %t", r.emission, r.sum.StreamHash, r.sum.Sequence, durable, acked)
	}
	switch {
	case !durable:
	case v == repeat:
		w.oracle.tally.repeats++
	case v == older:
		w.oracle.tally.olders++
	}
	if !w.agents[host].numbered {
		r.emission = w.oracle.hosts[host].newest + 1 // without numbers a repeat is as good as a report
	}
	if durable {
		w.oracle.stored(host, r.emission, wall, r.sent, w.hub.states[host].ContactHeard != before)
	}
	return durable, acked
}

// sayGoodbye is one attempt, as the agent's end leaves no time for another.
func (a *simAgent) sayGoodbye(backIn time.Duration) {
	sent := worldBegan.Add(a.world.hub.real + a.skew)
	g := messages.Goodbye{SentAt: sent, Reason: "reboot"}
	if backIn > 0 {
		by := sent.Add(backIn)
		g.BackBy = &by
	}
	stream := a.stream
	if !a.numbered {
		stream = 0
	}
	wall, seen := a.world.hub.read().Wall, a.world.oracle.hosts[a.host].seen
	if a.cuts > 0 {
		return
	}
	durable, heard := a.world.hub.goodbye(a.host, g, stream)
	if durable && seen {
		a.world.oracle.contact(a.host, wall, backIn, backIn > 0)
		a.world.oracle.tally.goodbyes++
	}
	a.world.note(a.host, "goodbye, back in %v: on disk %t, heard %t", backIn, durable, heard)
}

// planTroubles spreads a host's own over the two days, never two at once.
func (w *world) planTroubles(a *simAgent) {
	for at := w.between(time.Hour, 40*time.Hour); w.chance(0.5) && at < 46*time.Hour; {
		lasts := w.between(5*time.Minute, 6*time.Hour)
		switch w.rand.IntN(7) {
		case 6:
			w.at(at, func() {
				then, was := *a, w.hub.real
				w.at(at+lasts, func() { a.revert(then, was) })
			})
		case 0:
			w.at(at, a.stop)
			w.at(at+lasts, a.powerOn)
			w.copyOf(a, at)
		case 5:
			w.at(at, func() { w.remint(a) })
			w.copyOf(a, at)
		case 1:
			if w.chance(0.5) {
				lasts = w.between(time.Second, 10*time.Minute)
			}
			w.at(at, a.stop)
			w.at(at+lasts, a.start)
			w.copyOf(a, at)
		case 2:
			w.cut(at, lasts, a)
			w.copyOf(a, at)
		default:
			said := w.between(10*time.Minute, 3*time.Hour)
			if w.chance(0.3) {
				said = 0
			}
			lasts = w.between(0, said+said/2+10*time.Minute) // some come late
			w.at(at, func() {
				if a.up {
					a.sayGoodbye(said)
					a.stop()
				}
			})
			if w.chance(0.9) {
				w.at(at+lasts, a.powerOn)
			}
		}
		at += lasts + w.between(time.Hour, 12*time.Hour)
	}
}

// remint removes a host and makes it anew, when the hub is there to do so: its
// past is forgotten, and what is still on the way is refused.
func (w *world) remint(a *simAgent) {
	if !w.hub.listens() {
		return
	}
	w.note(a.host, "removed, and minted anew")
	a.minted++
	a.delivered = nil
	w.oracle.judge(a.host)
	gone := w.hub.states[a.host].ID
	anew := messages.HostState{ID: messages.HostID(fmt.Sprintf("acme-%04x%04x", a.minted, a.host+1))}
	w.hub.states[a.host], w.hub.downs[a.host] = anew, nil
	w.hub.post.forget(messages.Batch{DelHosts: []messages.HostID{gone}})
	w.oracle.removed(a.host)
	w.hub.write(messages.Batch{PutHosts: []messages.Host{{ID: anew.ID, CustomerID: "acme", PollIntervalSeconds: w.hub.own[a.host]}},
		Hosts: []messages.HostState{anew}})
	w.hub.timers[a.host] = 0
	old := &w.oracle.hosts[a.host]
	*old = watchedHost{interval: old.interval, reaches: old.reaches, reachFrom: old.reachFrom}
	if a.up {
		a.stop()
		a.start()
	}
}

// copyOf lets the network deliver a copy of the last report long after.
func (w *world) copyOf(a *simAgent, at time.Duration) {
	w.at(at+w.between(time.Minute, 2*time.Hour), func() {
		if a.delivered != nil {
			w.note(a.host, "a late copy")
			w.arrive(a.host, *a.delivered)
		}
	})
}

func (w *world) cut(at, lasts time.Duration, agents ...*simAgent) {
	turn := func(by int) func() {
		return func() {
			for _, a := range agents {
				a.cuts += by
				a.reach()
				w.note(a.host, "cuts of the network: %d", a.cuts)
			}
		}
	}
	w.at(at, turn(1))
	w.at(at+lasts, turn(-1))
}

func (w *world) planSegment() {
	if w.chance(0.5) {
		var half []*simAgent
		for i := range w.agents[:fleetHosts/2] {
			half = append(half, &w.agents[i])
		}
		w.cut(w.between(0, fleetHours), w.between(10*time.Minute, 3*time.Hour), half...)
	}
}

// planBlock has an operator block the customer for a while, and lift the block,
// as often as it takes to be heard. The oracle knows of no block: it changes
// nothing of what is stored and told.
func (w *world) planBlock() {
	at, lasts := w.between(0, fleetHours), w.between(time.Minute, 12*time.Hour)
	if w.chance(0.3) {
		w.at(at, func() { w.block(true) })
		w.at(at+lasts, func() { w.block(false) })
	}
}

func (w *world) block(blocked bool) {
	durable := w.hub.block(blocked)
	w.note(-1, "customer is to be blocked: %t, on disk %t", blocked, durable)
	if !durable {
		w.after(w.between(time.Minute, time.Hour), func() { w.block(blocked) })
		return
	}
	w.oracle.tally.orders++
}

// attend has an operator look at what is wrong now and then: half of what nobody has seen
// is acknowledged, and of the rest a quarter taken back.
func (w *world) attend() {
	w.after(w.between(time.Hour, 8*time.Hour), w.attend)
	for _, id := range slices.Sorted(maps.Keys(w.hub.post.alarms)) {
		a := w.hub.post.alarms[id]
		ack := &messages.Ack{By: "operator", Reason: "seen", At: w.hub.read().Wall}
		often := 0.5
		if a.Ack != nil {
			ack, often = nil, 0.25
		}
		if !a.Open() || !w.chance(often) {
			continue
		}
		if ack == nil { // what is overdue is told in the very batch
			w.oracle.acknowledged(id, false)
		}
		if w.hub.post.acknowledge(id, ack) {
			w.note(-1, "%s of %s is acknowledged: %t", a.Type, a.HostID, ack != nil)
			w.oracle.acknowledged(id, ack != nil)
		}
	}
}

// The hub's troubles: one after another, with the clock set at any time.

func (w *world) troubleHub() {
	lasts := w.between(5*time.Second, 3*time.Hour)
	if w.chance(0.4) {
		lasts = w.between(time.Second, 2*time.Minute)
	}
	switch w.rand.IntN(8) {
	case 0:
		w.note(-1, "hub stops for %v", lasts)
		w.oracle.deaf()
		w.oracle.ends++
		w.hub.stop()
		w.after(lasts, w.startHub)
	case 1:
		w.note(-1, "hub is killed for %v", lasts)
		w.oracle.deaf()
		w.hub.crash()
		w.oracle.ends++
		w.oracle.tally.kills++
		w.after(lasts, w.startHub)
	case 2:
		w.arm(fateKilledBefore)
	case 3:
		w.arm(fateKilledAfter)
	case 4:
		w.arm(fateRefused)
	case 5:
		w.step(w.between(-2*time.Hour, 2*time.Hour))
		w.nextTrouble()
	default:
		w.nap(nap(w.rand.IntN(4)), lasts)
	}
	if w.chance(0.3) {
		w.after(w.between(0, 2*time.Hour), func() { w.step(w.between(-2*time.Hour, 2*time.Hour)) })
	}
}

func (w *world) nextTrouble() { w.after(w.between(10*time.Minute, 12*time.Hour), w.troubleHub) }

func (w *world) startHub() {
	w.note(-1, "hub starts")
	if w.chance(0.3) { // with its machine
		w.hub.mono, w.hub.boot = -w.hub.real, -w.hub.real
	}
	w.hub.start()
	w.oracle.hears(true, true)
	w.nextTrouble()
}

func (w *world) step(by time.Duration) {
	w.note(-1, "hub's clock steps by %v", by)
	w.oracle.steps(by)
	w.hub.wall += by
}

func (w *world) nap(n nap, lasts time.Duration) {
	if n == starved {
		lasts = w.between(3*time.Second, 2*time.Minute)
	}
	w.note(-1, "hub naps (%d) for %v", n, lasts)
	w.oracle.deaf()
	w.oracle.tally.naps++
	w.hub.sleep()
	before := w.hub.read().Wall
	w.after(lasts, func() {
		w.note(-1, "hub wakes")
		w.hub.wake(n, lasts)
		// What happened to a paused machine only its wall clock can tell, and
		// not if it was set back meanwhile.
		visible := n == suspended || n == starved || w.hub.read().Wall.Sub(before) > longGap
		w.oracle.hears(false, visible)
		if n == pausedStale { // until the time service notices
			w.oracle.steps(-lasts)
			w.after(w.between(0, 10*time.Minute), func() { w.step(lasts) })
		}
		w.nextTrouble()
	})
}

// decideFate springs an armed fate.
func (w *world) decideFate(events int) fate {
	f := w.fate
	if w.wants == eventWrite && events <= 0 || w.wants == outcomeWrite && events != ofOutcomes {
		return fateWritten
	}
	w.fate = fateWritten
	return f
}

func (w *world) arm(f fate) {
	w.fate, w.wants = f, [...]want{anyWrite, eventWrite, eventWrite, outcomeWrite, outcomeWrite}[w.rand.IntN(5)]
}

func (w *world) hubDied(f fate) {
	w.note(-1, "hub's write ends in %d", f)
	w.oracle.deaf()
	lasts := w.between(5*time.Second, time.Hour)
	if f != fateRefused {
		w.oracle.ends++
		w.oracle.tally.kills++
		w.after(lasts, w.startHub)
		return
	}
	w.after(lasts, func() {
		w.note(-1, "store writes again")
		w.hub.open()
		w.oracle.hears(false, true)
		w.nextTrouble()
	})
}

// Time and chance.

type scheduled struct {
	at    time.Duration
	order int
	run   func()
}

type eventQueue []scheduled

func (q eventQueue) Len() int { return len(q) }
func (q eventQueue) Less(i, j int) bool {
	return q[i].at < q[j].at || q[i].at == q[j].at && q[i].order < q[j].order
}
func (q eventQueue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *eventQueue) Push(x any)   { *q = append(*q, x.(scheduled)) }
func (q *eventQueue) Pop() any {
	last := len(*q) - 1
	e := (*q)[last]
	*q = (*q)[:last]
	return e
}

func (w *world) at(t time.Duration, run func()) {
	w.order++
	heap.Push(&w.queue, scheduled{t, w.order, run})
}

func (w *world) after(d time.Duration, run func()) { w.at(w.hub.real+d, run) }

func (w *world) between(a, b time.Duration) time.Duration {
	return a + time.Duration(w.rand.Int64N(int64(b-a)+1))
}

func (w *world) chance(p float64) bool { return w.rand.Float64() < p }

// note keeps a line of the logged host's story; host -1 is the hub.
func (w *world) note(host int, format string, args ...any) {
	if w.logged < 0 || host >= 0 && host != w.logged {
		return
	}
	w.log = append(w.log, fmt.Sprintf("%-15v %s", w.hub.real.Round(time.Millisecond), fmt.Sprintf(format, args...)))
}
