package actors

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"felhom.eu/actors/telling"
	"felhom.eu/messages"
)

// retold is who would have been told of what: the hub's own book, on the replay's clock,
// with batches that nobody writes.
type retold struct {
	replay *Replay
	book   *telling.Book // nil before the first event
	began  time.Time
	told   time.Time // up to here; it never goes back
	all    map[messages.DeliveryID]messages.Delivery

	events, deliveries uint64 // numbers given
}

func newRetold(r *Replay) *retold {
	return &retold{replay: r, all: make(map[messages.DeliveryID]messages.Delivery)}
}

// hear notes an event, after what was to be told before it.
func (t *retold) hear(e messages.Event, now time.Time) {
	if t.book == nil {
		o := &t.replay.o
		t.began, t.told = now, now
		t.book = telling.New(o.GroupWait, t, o.Routes, o.Silences, nil, nil, t.at(now))
	}
	t.pass(now)
	t.Event(&e)
	t.replay.events = append(t.replay.events, e)
	t.book.Hear(&e, t.at(t.told))
	t.tell(t.at(t.told))
}

// at is an instant of the wall clock as the book has it.
func (t *retold) at(now time.Time) telling.Now {
	return telling.Now{Wall: now, Mono: now.Sub(t.began)}
}

// pass lets the book tell what is due up to an instant.
func (t *retold) pass(until time.Time) {
	for {
		at := t.at(t.told)
		wait, due := t.book.Wake(at)
		if !due || t.told.Add(wait).After(until) {
			break
		}
		t.told = t.told.Add(wait)
		t.tell(t.at(t.told))
	}
	if until.After(t.told) {
		t.told = until
	}
}

func (t *retold) tell(now telling.Now) {
	var b messages.Batch
	t.book.Tell(now, &b, t)
	t.book.Commit()
	t.replay.events = append(t.replay.events, b.Events...)
	for _, d := range b.Deliveries {
		t.all[d.ID] = d
	}
}

// end lets time pass up to an instant, and says which messages there were.
func (t *retold) end(at time.Time) []messages.Delivery {
	if t.book != nil {
		t.pass(at)
	}
	return slices.SortedFunc(maps.Values(t.all), func(a, b messages.Delivery) int { return int(int64(a.Sequence) - int64(b.Sequence)) })
}

// Event implements telling.Numbers.
func (t *retold) Event(e *messages.Event) {
	t.events++
	e.ID, e.Sequence = messages.EventID(fmt.Sprintf("%026d", t.events)), t.events
}

// Delivery implements telling.Numbers.
func (t *retold) Delivery() (messages.DeliveryID, uint64) {
	t.deliveries++
	return messages.DeliveryID(fmt.Sprintf("%026d", t.deliveries)), t.deliveries
}

// Incident implements telling.Numbers.
func (t *retold) Incident() messages.IncidentID { return t.replay.newIncident() }

// Hosts implements telling.Census.
func (t *retold) Hosts(s messages.Scope) (n int) {
	for id, h := range t.replay.hosts {
		if h.state.Phase != messages.PhaseNew && s.Covers(id.Customer(), t.Site(id), id) {
			n++
		}
	}
	return n
}

// Site implements telling.Census.
func (t *retold) Site(id messages.HostID) string {
	if t.replay.o.Site == nil {
		return ""
	}
	return t.replay.o.Site(id)
}
