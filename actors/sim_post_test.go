package actors

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"felhom.eu/actors/telling"
	"felhom.eu/messages"
)

// What is told, as simulations run it: the production's book of alarms and its rules of
// routes, driven in virtual time the way the writer and the routes' actors drive them.
// What counts is on the model's disk; the rest ends with the process.

const simGroupWait = 30 * time.Second

// post is the part of a modelHub that tells routes. A nil post tells nobody.
type post struct {
	hub  *modelHub
	dice *rand.Rand
	// far is the other end of a route: how long it takes and what it says.
	far   func(messages.RouteID, messages.Delivery) (time.Duration, Answer)
	after func(time.Duration, func())
	ended func(messages.Delivery) // is durably sent or dead
	// decided is told what is durably to be told: of events that are durable, too.
	decided func(messages.Delivery, []messages.Event)

	routes  []messages.Route // on disk,
	rows    map[messages.DeliveryID]messages.Delivery
	alarms  map[messages.IncidentID]messages.Alarm
	numbers mark

	book  *telling.Book // in memory
	given mark          // numbers given to the write that is being made
	ways  []*way
	life  int // of the process; an answer to another's question is nobody's
}

// way is one Route.
type way struct {
	id      messages.RouteID
	state   routeState
	at      time.Duration // its timer, by the monotonic clock; 0: none
	sending bool
	outcome *messages.Delivery  // not durable yet
	marked  messages.DeliveryID // by a mutant
}

func (p *post) start() {
	if p == nil {
		return
	}
	p.life++
	p.ways = nil
	for _, r := range p.routes {
		p.ways = append(p.ways, &way{id: r.ID})
	}
	pending := slices.SortedFunc(maps.Values(p.rows), func(a, b messages.Delivery) int { return int(a.Sequence) - int(b.Sequence) })
	pending = slices.DeleteFunc(pending, func(d messages.Delivery) bool { return d.State != messages.DeliveryPending })
	unsealed := slices.DeleteFunc(slices.Clone(pending), func(d messages.Delivery) bool { return d.Sealed })
	p.book = telling.New(simGroupWait, p, p.routes, nil, slices.Collect(maps.Values(p.alarms)), unsealed, p.now())
	p.forward(pending)
}

func (p *post) now() telling.Now {
	now := p.hub.read()
	return telling.Now{Wall: now.Wall, Mono: now.Mono}
}

// Hosts implements telling.Census.
func (p *post) Hosts(s messages.Scope) (n int) {
	for i := range p.hub.states {
		if id := p.hub.states[i].ID; p.hub.states[i].Phase != messages.PhaseNew && s.Covers(id.Customer(), "", id) {
			n++
		}
	}
	switch p.hub.mutant {
	case foldsNothing:
		return 1000
	case foldsEarly:
		return min(n, fewestHosts)
	}
	return n
}

// fewestHosts of a customer can be an incident.
const fewestHosts = 3

// Site implements telling.Census.
func (p *post) Site(messages.HostID) string { return "" }

// Event implements telling.Numbers.
func (p *post) Event(e *messages.Event) {
	p.given.event++
	e.ID, e.Sequence = messages.EventID(fmt.Sprintf("E%08d", p.given.event)), p.given.event
}

// Delivery implements telling.Numbers.
func (p *post) Delivery() (messages.DeliveryID, uint64) {
	p.given.delivery++
	return messages.DeliveryID(fmt.Sprintf("D%d", p.given.delivery)), p.given.delivery
}

// Incident implements telling.Numbers.
func (p *post) Incident() messages.IncidentID {
	p.hub.incidents++
	return messages.IncidentID(fmt.Sprintf("#%d", p.hub.incidents))
}

// cut adds to the batch of a write what its events lead to, an outcome, and what is told.
func (p *post) cut(b *messages.Batch, outcome *messages.Delivery) {
	if p == nil {
		return
	}
	p.given = p.numbers
	for i := range b.Events {
		p.Event(&b.Events[i])
		p.book.Hear(&b.Events[i], p.now())
	}
	if outcome != nil {
		b.Deliveries = append(b.Deliveries, *outcome)
	}
	p.book.Tell(p.now(), b, p)
}

// settle is a write's end, as the disk and the memory see it.
func (p *post) settle(b messages.Batch, f fate) {
	if p == nil {
		return
	}
	if f == fateWritten || f == fateKilledAfter {
		p.keep(b)
	}
	switch f {
	case fateWritten:
		p.book.Commit()
		p.forward(b.Deliveries)
	case fateRefused:
		p.book.Reset(p.now())
	}
}

// keep puts a batch onto the disk.
func (p *post) keep(b messages.Batch) {
	p.numbers = p.given
	for _, a := range b.Alarms {
		if p.hub.mutant == acksForgotten {
			a.Ack = nil
		}
		if delete(p.alarms, a.ID); p.hub.mutant != alarmsForgotten && (a.Open() || len(a.Pending) > 0) {
			p.alarms[a.ID] = a
		}
	}
	for _, d := range b.Deliveries {
		d.Events = slices.Clone(d.Events)
		_, known := p.rows[d.ID]
		p.rows[d.ID] = d
		if !known && p.decided != nil {
			p.decided(d, b.Events)
		}
		if d.State != messages.DeliveryPending {
			p.ended(d)
		}
	}
}

// forget removes hosts, and what waits to be told of them.
func (p *post) forget(b messages.Batch) {
	p.given = p.numbers
	p.book.Forget(&b, p.now())
	p.book.Tell(p.now(), &b, p)
	p.hub.write(b)
	p.settle(b, fateWritten)
}

// write is one of the post's own writes: an outcome, or what the book's time has come for.
func (p *post) write(outcome *messages.Delivery) (durable bool) {
	var b messages.Batch
	p.cut(&b, outcome)
	if p.hub.full {
		p.settle(b, fateRefused)
		return false
	}
	kind := ofOutcomes
	if outcome == nil {
		kind = len(b.Events) + len(b.Deliveries)
	}
	f := p.hub.fate(kind)
	if f == fateWritten || f == fateKilledAfter {
		p.hub.write(b)
	}
	p.settle(b, f)
	p.hub.endWrite(f)
	return f == fateWritten
}

// acknowledge is an operator's order, or with nil takes one back; false when nobody is there
// to take it, or it is not durable.
func (p *post) acknowledge(id messages.IncidentID, ack *messages.Ack) (durable bool) {
	if !p.hub.listens() || p.book.Ack([]messages.IncidentID{id}, ack, p.now()) == 0 {
		return false
	}
	var b messages.Batch
	p.cut(&b, nil)
	f := p.hub.fate(ofOrders)
	if durable = f == fateWritten || f == fateKilledAfter; durable {
		p.hub.write(b)
	}
	p.settle(b, f)
	p.hub.endWrite(f)
	return durable
}

func (p *post) forward(ds []messages.Delivery) {
	now := p.hub.read()
	for _, d := range ds {
		if w := p.way(d.RouteID); w != nil && d.State == messages.DeliveryPending && d.Sealed && (w.outcome == nil || w.outcome.ID != d.ID) {
			w.state.held = w.sending || w.outcome != nil
			w.state.put(d)
			w.wake(now.Mono)
		}
	}
}

func (p *post) way(id messages.RouteID) *way {
	for _, w := range p.ways {
		if w.id == id {
			return w
		}
	}
	return nil
}

func (w *way) wake(at time.Duration) {
	at = max(at, 1) // the clock is at 0 when the machine starts
	if w.at == 0 || at < w.at {
		w.at = at
	}
}

func (p *post) due() time.Duration {
	due := never
	if p != nil {
		for _, w := range p.ways {
			if w.at != 0 {
				due = min(due, w.at)
			}
		}
		if wait, ok := p.book.Wake(p.now()); ok && !p.hub.full {
			due = min(due, p.hub.read().Mono+max(wait, 0))
		}
	}
	return due
}

// fire runs the routes' timers that are due.
func (p *post) fire(mono time.Duration) {
	if wait, ok := p.book.Wake(p.now()); ok && wait <= 0 && !p.hub.full {
		p.write(nil)
	}
	for _, w := range slices.Clone(p.ways) {
		if w.at != 0 && w.at <= mono && p.hub.running {
			w.at = 0
			p.next(w)
		}
	}
}

// next stores an outcome again, or tries or awaits the head.
func (p *post) next(w *way) {
	now := p.hub.read()
	wait, ok := w.state.wait(now)
	switch {
	case w.sending:
	case w.outcome != nil:
		p.store(w)
	case !ok:
	case wait > 0:
		w.wake(now.Mono + wait)
	case p.hub.mutant == markBeforeSend && w.marked != w.state.queue[0].ID:
		sent := w.state.queue[0]
		sent.State, w.marked = messages.DeliverySent, sent.ID
		if p.write(&sent) {
			p.send(w)
		}
	default:
		p.send(w)
	}
}

func (p *post) send(w *way) {
	w.sending = true
	life := p.life
	took, a := p.far(w.id, w.state.queue[0])
	var heard func()
	heard = func() {
		switch {
		case p.life != life || !p.hub.running || p.way(w.id) != w:
		case p.hub.asleep:
			p.after(time.Second, heard)
		default:
			w.sending = false
			d := w.state.outcome(a, p.hub.read(), p.dice.Float64())
			w.outcome = &d
			p.store(w)
		}
	}
	p.after(took, heard)
}

// store makes an outcome durable, however often it takes.
func (p *post) store(w *way) {
	d := *w.outcome
	if p.hub.mutant == outcomesForgotten {
		w.outcome = nil
		w.state.keep(d)
		w.wake(p.hub.read().Mono)
		return
	}
	if !p.write(&d) {
		w.wake(p.hub.read().Mono + storeRetry)
		return
	}
	w.outcome = nil
	w.state.keep(d)
	w.wake(p.hub.read().Mono)
}

// remove takes a route away while the hub runs, and gives up what is queued.
func (p *post) remove(id messages.RouteID) {
	p.routes = slices.DeleteFunc(slices.Clone(p.routes), func(r messages.Route) bool { return r.ID == id })
	p.book.SetRoutes(p.routes)
	p.ways = slices.DeleteFunc(p.ways, func(w *way) bool { return w.id == id })
	b := messages.Batch{DelRoutes: []messages.RouteID{id}}
	for _, d := range p.rows {
		if d.RouteID == id && d.State == messages.DeliveryPending {
			d.State = messages.DeliveryDead
			p.rows[d.ID] = d
			b.Deliveries = append(b.Deliveries, d)
		}
	}
	p.hub.write(b)
}
