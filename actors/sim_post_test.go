package actors

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"felhom.eu/messages"
)

// The outbox as simulations run it: the production rules of deliveries, driven in
// virtual time the way the writer and the routes' actors drive them. What counts
// is on the model's disk; the rest ends with the process.

const simGroupWait = 30 * time.Second

// post is the part of a modelHub that tells routes. A nil post tells nobody.
type post struct {
	hub  *modelHub
	dice *rand.Rand
	// far is the other end of a route: how long it takes and what it says.
	far   func(messages.RouteID, messages.Delivery) (time.Duration, Answer)
	after func(time.Duration, func())
	ended func(messages.Delivery) // is durably sent or dead

	routes  []messages.Route // on disk,
	rows    map[messages.DeliveryID]messages.Delivery
	numbers mark

	outbox outbox // in memory
	ways   []*way
	life   int // of the process; an answer to another's question is nobody's
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
	p.outbox = newOutbox(simGroupWait, p.routes)
	p.ways = nil
	for _, r := range p.routes {
		p.ways = append(p.ways, &way{id: r.ID, state: routeState{groupWait: simGroupWait}})
	}
	pending := slices.SortedFunc(maps.Values(p.rows), func(a, b messages.Delivery) int { return int(a.Sequence) - int(b.Sequence) })
	p.forward(slices.DeleteFunc(pending, func(d messages.Delivery) bool { return d.State != messages.DeliveryPending }))
}

// decide numbers events and says what of the outbox their write carries.
func (p *post) decide(events []messages.Event, seal, outcome *messages.Delivery) (ds []messages.Delivery, next mark) {
	if p == nil {
		return nil, next
	}
	now := p.hub.read().Wall
	next = p.numbers
	for i := range events {
		next.event++
		events[i].ID, events[i].Sequence = messages.EventID(fmt.Sprintf("E%08d", next.event)), next.event
		p.outbox.tell(events[i], now, func() (messages.DeliveryID, uint64) {
			next.delivery++
			return messages.DeliveryID(fmt.Sprintf("D%d", next.delivery)), next.delivery
		})
	}
	if seal != nil {
		p.outbox.seal(*seal)
	}
	if outcome != nil {
		ds = append(ds, *outcome)
	}
	return append(ds, p.outbox.changed()...), next
}

// settle is a write's end, as the disk and the memory see it.
func (p *post) settle(ds []messages.Delivery, next mark, f fate) {
	if p == nil {
		return
	}
	if f == fateWritten || f == fateKilledAfter {
		p.numbers = next
		for _, d := range ds {
			d.Events = slices.Clone(d.Events)
			p.rows[d.ID] = d
			if d.State != messages.DeliveryPending {
				p.ended(d)
			}
		}
	}
	switch f {
	case fateWritten:
		p.outbox.committed(ds)
		p.forward(ds)
	case fateRefused:
		p.outbox.reset()
	}
}

// write is one of the post's own writes: a seal, or an outcome.
func (p *post) write(seal, outcome *messages.Delivery) (durable bool) {
	ds, next := p.decide(nil, seal, outcome)
	if p.hub.full {
		p.settle(ds, next, fateRefused)
		return false
	}
	kind := ofOutcomes
	if seal != nil {
		kind = ofSeals
	}
	f := p.hub.fate(kind)
	if f == fateWritten || f == fateKilledAfter {
		p.hub.write(messages.Batch{Deliveries: ds})
	}
	p.settle(ds, next, f)
	p.hub.endWrite(f)
	return f == fateWritten
}

func (p *post) forward(ds []messages.Delivery) {
	now := p.hub.read()
	for _, d := range ds {
		if w := p.way(d.RouteID); w != nil && d.State == messages.DeliveryPending && (w.outcome == nil || w.outcome.ID != d.ID) {
			w.state.held = w.sending || w.outcome != nil
			w.state.put(d, now)
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
	}
	return due
}

// fire runs the routes' timers that are due.
func (p *post) fire(mono time.Duration) {
	for _, w := range slices.Clone(p.ways) {
		if w.at != 0 && w.at <= mono && p.hub.running {
			w.at = 0
			p.next(w)
		}
	}
}

// next stores an outcome again, or seals, tries or awaits the head.
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
	case !w.state.queue[0].Sealed:
		head := w.state.queue[0].Delivery
		if !p.write(&head, nil) {
			w.wake(now.Mono + storeRetry)
		}
	case p.hub.mutant == markBeforeSend && w.marked != w.state.queue[0].ID:
		sent := w.state.queue[0].Delivery
		sent.State, w.marked = messages.DeliverySent, sent.ID
		if p.write(nil, &sent) {
			p.send(w)
		}
	default:
		p.send(w)
	}
}

func (p *post) send(w *way) {
	w.sending = true
	life := p.life
	took, a := p.far(w.id, w.state.queue[0].Delivery)
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
	if !p.write(nil, &d) {
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
	p.outbox.routes = p.routes
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
