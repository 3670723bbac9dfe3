package telling

import (
	"maps"
	"slices"
	"time"

	"felhom.eu/messages"
)

const (
	// maxRows bounds what one batch tells; the rest is told with the next.
	maxRows = 16384
	// maxBehind bounds the rows in it that might as well come later.
	maxBehind = 4096
	// lookOut is how often the wall clock is looked at while something waits for it.
	lookOut = time.Minute
)

// round is one Tell.
type round struct {
	book    *Book
	now     Now
	batch   *messages.Batch
	numbers Numbers
	open    map[pairing]*messages.Delivery
	letters []*messages.Delivery // in order
	size    int                  // about how many rows of the store the deliveries touch
}

// Tell adds to the batch being cut what is to be told by now, and the rows of all
// alarms that have changed.
func (b *Book) Tell(now Now, batch *messages.Batch, numbers Numbers) {
	if now.Mono < b.wake && len(b.changed) == 0 && len(b.restless) == 0 {
		return
	}
	t := &round{book: b, now: now, batch: batch, numbers: numbers, open: make(map[pairing]*messages.Delivery)}
	b.turn(now.Wall)
	t.flapping()
	t.look()
	t.incidents()
	t.releaseDue()
	t.groups()
	t.post()
	t.rows()
	b.wake = b.next(now)
}

// groups tells those whose time has come.
func (t *round) groups() {
	b := t.book
	for _, g := range b.groups {
		if g.recheck {
			b.recheck(g, t.now)
		}
	}
	due := slices.DeleteFunc(slices.Collect(maps.Values(b.armed)), func(g *group) bool { return g.due > t.now.Mono })
	slices.SortFunc(due, func(x, y *group) int {
		if x.due != y.due {
			return int(min(max(x.due-y.due, -1), 1))
		}
		return compare(x.customer, y.customer)
	})
	for _, g := range due {
		if t.group(g); len(g.listed) > 0 {
			return // the rest with the next batch
		}
		delete(b.armed, g.customer)
		if len(g.held) == 0 {
			delete(b.groups, g.customer)
		}
	}
	b.mail.apart = nil
}

// recheck lists again what nothing holds any more.
func (b *Book) recheck(g *group, now Now) {
	g.recheck = false
	was := g.held
	g.held = nil
	for _, a := range was {
		switch {
		case a.place != held || b.alarms[a.ID] != a:
		case b.holds(a, now) != free:
			g.held = append(g.held, a)
		default:
			b.list(a, now)
		}
	}
}

// group tells what a customer's routes are to hear, as far as the batch takes it.
func (t *round) group(g *group) {
	b := t.book
	slices.SortStableFunc(g.listed, func(x, y *entry) int { return compare(x.next(), y.next()) })
	listeners := b.routes.of(g.customer)
	for len(g.listed) > 0 && t.size < maxRows {
		room := max(min((maxRows-t.size)/max(len(listeners), 1)-rowsOfDelivery, maxEvents), 1)
		var news []*told
		for len(g.listed) > 0 && room > 0 {
			a := g.listed[0]
			g.listed = g.listed[1:]
			a.place = nowhere
			if n := t.judge(g, a); n != nil {
				news = append(news, n)
				room -= len(n.events)
			}
		}
		t.deliver(g.customer, listeners, news)
	}
	if len(g.listed) == 0 {
		g.listed = nil
	}
}

// next is the event by which an alarm is sorted among others.
func (a *entry) next() messages.EventID {
	if len(a.Pending) == 0 {
		return "~" // its event is yet to be made
	}
	return a.Pending[0].ID
}

// judge says what is to be told of an alarm now; nil when that is nothing.
func (t *round) judge(g *group, a *entry) *told {
	b := t.book
	if b.alarms[a.ID] != a {
		return nil
	}
	why, worse := b.holds(a, t.now), a.mass != nil && len(a.Told) > 0
	if a.mass != nil && !t.incident(a.mass, why) || len(a.Pending) == 0 {
		b.remind(a, t.now)
		return nil
	}
	if why != free && a.Open() {
		a.place, a.silenced = held, a.silenced || why == bySilence
		g.held = append(g.held, a)
		return nil
	}
	b.touch(a)
	n := &told{entry: a, events: a.Pending, before: a.Told, worse: worse}
	if why != free {
		n.events = slices.DeleteFunc(slices.Clone(n.events), func(e messages.PendingEvent) bool {
			return why == byFlapping || len(a.Told) == 0 || !e.Type.IsRecovery()
		})
	}
	a.Pending, a.PendingSince = nil, time.Time{}
	a.tell(n.events, t.now.Wall)
	b.settle(a)
	b.remind(a, t.now)
	if len(n.events) == 0 {
		return nil
	}
	return n
}

// tell notes that an alarm was told.
func (a *entry) tell(events []messages.PendingEvent, now time.Time) {
	for _, e := range events {
		if e.Type.IsRecovery() && a.Type.Recovery() != "" {
			continue
		}
		if !slices.Contains(a.Told, e.Type) {
			a.Told = append(a.Told[:len(a.Told):len(a.Told)], e.Type)
		}
		if a.ToldAt.IsZero() {
			a.ToldAt = now.UTC()
		} else {
			a.RemindedAt = now.UTC() // who heard that it is worse knows that it is still so
		}
	}
}

// deliver has the routes told of news, in the order of the events.
func (t *round) deliver(c messages.CustomerID, listeners []*messages.Route, news []*told) {
	type line struct {
		*told
		event messages.PendingEvent
		why   messages.DeliveryReason
	}
	var lines []line
	for _, n := range news {
		why := messages.BecauseNews
		if n.silenced && !n.events[len(n.events)-1].Type.IsRecovery() {
			why = messages.BecauseUnsilenced
		}
		n.silenced = false
		for _, e := range n.events {
			lines = append(lines, line{n, e, why})
		}
	}
	slices.SortStableFunc(lines, func(x, y line) int { return compare(x.event.ID, y.event.ID) })
	for _, r := range listeners {
		for _, l := range lines {
			if t.book.hears(r, l.told, l.event) {
				t.put(r, c, l.why, max(l.Severity, l.event.Severity), l.event.ID)
			}
		}
	}
}

// rows puts the alarms that have changed into the batch.
func (t *round) rows() {
	b := t.book
	n := min(len(b.behind), maxBehind)
	for _, a := range b.behind[:n] {
		if b.alarms[a.ID] == a {
			b.write(a)
		}
	}
	if b.behind = b.behind[n:]; len(b.behind) == 0 {
		b.behind = nil
	}
	for _, a := range b.changed {
		a.changed = false
		t.batch.Alarms = append(t.batch.Alarms, a.Alarm)
	}
	b.changed = b.changed[:0]
}

// next is when the Book has something to do, if nothing is heard.
func (b *Book) next(now Now) time.Duration {
	at := b.timers.next()
	if len(b.behind) > 0 {
		at = now.Mono
	}
	waits := len(b.mail.waiting) > 0
	for _, g := range b.armed {
		at = min(at, g.due)
	}
	for _, g := range b.groups {
		waits = waits || len(g.held) > 0
	}
	if waits {
		at = min(at, now.Mono+min(b.until(now.Wall), lookOut))
	}
	return at
}
