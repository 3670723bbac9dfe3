package telling

import (
	"maps"
	"slices"
	"time"

	"felhom.eu/messages"
)

// Now is a moment as the Book needs it: waits are measured on the monotonic clock, so
// that a step of the wall clock neither holds a message back nor sends it early.
type Now struct {
	Wall time.Time
	Mono time.Duration
}

// never is when nothing is due.
const never = time.Duration(1 << 62)

// Numbers are given by who cuts the batch.
type Numbers interface {
	// Event gives a new event its id and sequence.
	Event(*messages.Event)
	Delivery() (messages.DeliveryID, uint64)
	Incident() messages.IncidentID
}

// Census knows how many hosts there are. It is asked from one goroutine.
type Census interface {
	// Hosts counts those of a customer, a site or the fleet that ever reported.
	Hosts(messages.Scope) int
	// Site is where a host is; "" is not known.
	Site(messages.HostID) string
}

// Book is the memory of what is wrong, and of what is yet to be told of it.
type Book struct {
	wait   time.Duration
	census Census
	routes routes
	maintenance

	alarms map[messages.IncidentID]*entry
	groups map[messages.CustomerID]*group
	armed  map[messages.CustomerID]*group // that have an instant to be told at
	mail   mail
	timers timers
	masses
	flaps

	wake    time.Duration // when Tell has something to do, if nothing is heard
	changed []*entry      // rows to be written with this batch,
	behind  []*entry      // and rows that may come later: what is in them follows from others
	undo    map[*entry]*messages.Alarm
}

// entry is an alarm in the Book, with what follows from it.
type entry struct {
	messages.Alarm
	place    place
	changed  bool
	silenced bool          // a silence held it back: it is told when that ends
	windows  uint8         // those of windowKinds that count it
	fell     time.Duration // when its host fell silent, as far as is known; monotonic
	lookAt   time.Duration // its timer
	mass     *mass         // of an incident
}

// place is where an entry with something pending waits.
type place uint8

const (
	nowhere place = iota
	listed        // to be told with its group
	held          // until what holds it back is over
)

// group is what waits to be told together: what befell one customer.
type group struct {
	customer messages.CustomerID
	listed   []*entry
	held     []*entry // and some that are not any more
	since    time.Duration
	due      time.Duration
	recheck  bool // what holds the held may be over
}

// New is the Book as the last run left it: its rows, the deliveries that are not
// sealed, and what else the store knows. wait is group_wait; 0 tells at once.
func New(wait time.Duration, census Census, routes []messages.Route, silences []messages.Silence, alarms []messages.Alarm,
	unsealed []messages.Delivery, now Now) *Book {
	b := &Book{wait: wait, census: census, alarms: make(map[messages.IncidentID]*entry, len(alarms)), undo: make(map[*entry]*messages.Alarm)}
	b.SetRoutes(routes)
	b.setSilences(silences)
	for i := range alarms {
		b.alarms[alarms[i].ID] = &entry{Alarm: alarms[i]}
	}
	b.mail.durable = make(map[messages.DeliveryID]messages.Delivery)
	for _, d := range unsealed {
		b.mail.durable[d.ID] = d
	}
	b.flaps.forget()
	b.rebuild(false, now)
	return b
}

// Hear takes note of an event that is in the batch being cut.
func (b *Book) Hear(e *messages.Event, now Now) {
	id := e.IncidentID
	if id == "" {
		id = messages.IncidentID(e.ID)
	}
	a := b.alarms[id]
	if a == nil {
		a = b.open(id, e, now)
	}
	b.touch(a)
	if e.Type.IsRecovery() {
		b.close(a, e, now)
	} else {
		b.raise(a, e, now)
	}
	if a.Incident != "" && a.mass == nil { // its incident speaks for it
		b.settle(a)
		return
	}
	b.pend(a, messages.PendingEvent{ID: e.ID, Type: e.Type, Severity: e.Severity()}, now)
	b.list(a, now)
}

// open makes the alarm of an event.
func (b *Book) open(id messages.IncidentID, e *messages.Event, now Now) *entry {
	a := &entry{lookAt: never, fell: now.Mono, Alarm: messages.Alarm{
		ID: id, CustomerID: e.CustomerID, HostID: e.HostID, RouteID: e.RouteID, VMID: e.Detail.VMID, Subject: e.Detail.Subject,
		Type: e.Type, OpenedAt: e.At,
	}}
	if e.HostID != "" {
		a.Site = b.census.Site(e.HostID)
	}
	b.undo[a] = nil
	b.alarms[id] = a
	return a
}

func (b *Book) raise(a *entry, e *messages.Event, now Now) {
	down := e.Type == messages.HostDown && a.Type != messages.HostDown
	fresh := a.Raised == ""
	a.Type, a.Raised, a.Summary, a.ClosedAt = e.Type, e.ID, e.Summary, time.Time{}
	a.Severity = max(a.Severity, e.Severity())
	switch {
	case ofSilence(a) && fresh:
		b.fell(a, now)
	case ofSilence(a) && down:
		b.wentDown(a)
	}
	if fresh {
		b.flipped(a, now)
	}
}

func (b *Book) close(a *entry, e *messages.Event, now Now) {
	if !a.Open() {
		return // what it ends was opened before there was a Book
	}
	if ofSilence(a) {
		b.returned(a, now)
	}
	a.ClosedAt = e.At
	b.flipped(a, now)
}

// ofSilence reports whether an alarm is of a host that says nothing.
func ofSilence(a *entry) bool { return a.Type == messages.HostStale || a.Type == messages.HostDown }

func (b *Book) pend(a *entry, e messages.PendingEvent, now Now) {
	if len(a.Pending) == 0 {
		a.PendingSince = now.Wall.UTC()
	}
	a.Pending = append(a.Pending, e)
}

// list puts an alarm among those that its group is to tell.
func (b *Book) list(a *entry, now Now) {
	g := b.group(a.CustomerID)
	if a.place != listed {
		a.place = listed
		g.listed = append(g.listed, a)
	}
	b.arm(g, now.Mono, now.Mono+b.wait)
}

func (b *Book) group(id messages.CustomerID) *group {
	g := b.groups[id]
	if g == nil {
		g = &group{customer: id}
		b.groups[id] = g
	}
	return g
}

// arm gives a group an instant to be told at, unless it has one.
func (b *Book) arm(g *group, since, due time.Duration) {
	if b.armed[g.customer] == nil {
		g.since, g.due = since, due
		b.armed[g.customer] = g
	}
	b.wake = min(b.wake, g.due)
}

// touch is for an alarm that changes with this batch.
func (b *Book) touch(a *entry) {
	b.keep(a)
	b.write(a)
}

// keep keeps an alarm as it is on stable storage, before it changes.
func (b *Book) keep(a *entry) {
	if _, kept := b.undo[a]; !kept {
		was := a.Alarm
		b.undo[a] = &was
	}
}

// write puts an alarm's row into the batch.
func (b *Book) write(a *entry) {
	if !a.changed {
		a.changed = true
		b.changed = append(b.changed, a)
	}
}

// settle forgets an alarm that has ended and of which nothing is to be told.
func (b *Book) settle(a *entry) {
	if a.Open() || len(a.Pending) > 0 {
		return
	}
	delete(b.alarms, a.ID)
	a.lookAt = never
}

// Wake is how long until Tell has something to tell though nothing happens; ok is
// false when there is nothing.
func (b *Book) Wake(now Now) (wait time.Duration, ok bool) {
	return max(b.wake-now.Mono, 0), b.wake < never
}

// Commit notes that the batch is durable.
func (b *Book) Commit() {
	if len(b.undo) == 0 && !b.mail.dirty {
		return
	}
	clear(b.undo)
	b.mail.commit()
	b.maintenance.commit()
	b.flaps.commit()
}

// Reset takes back what has changed since the last Commit: the batch was refused.
func (b *Book) Reset(now Now) {
	for a, was := range b.undo {
		a.changed = false
		if was == nil {
			delete(b.alarms, a.ID)
			continue
		}
		a.Alarm = *was
		b.alarms[a.ID] = a
	}
	clear(b.undo)
	b.maintenance.reset()
	b.rebuild(true, now)
}

// rebuild derives from the alarms what follows from them; again: after a refused batch.
func (b *Book) rebuild(again bool, now Now) {
	b.groups, b.armed = make(map[messages.CustomerID]*group), make(map[messages.CustomerID]*group)
	b.timers, b.changed, b.behind, b.wake = timers{}, nil, nil, never
	b.mail.reset()
	b.masses = newMasses()
	b.turn(now.Wall)
	sorted := slices.SortedFunc(maps.Values(b.alarms), func(x, y *entry) int { return compare(x.ID, y.ID) })
	for _, a := range sorted {
		a.place, a.changed, a.windows, a.mass, a.lookAt = nowhere, false, 0, nil, never
		if !again {
			a.fell = now.Mono - age(a.OpenedAt, now.Wall)
		}
	}
	b.regather(sorted, again, now)
	b.reflap(sorted, now)
	for _, a := range sorted {
		if len(a.Pending) > 0 {
			since := now.Mono - min(max(now.Wall.Sub(a.PendingSince), 0), b.wait)
			g := b.group(a.CustomerID)
			a.place, g.listed = listed, append(g.listed, a)
			b.arm(g, since, since+b.wait)
			a.silenced = b.coveredAt(a, a.PendingSince.Add(b.wait))
		}
		b.remind(a, now)
	}
	b.wake = now.Mono
}

// age is how long ago an instant of the wall clock was, an hour at most. One that is yet to
// come was before the clock was set back, and nobody knows when: long ago.
func age(at, now time.Time) time.Duration {
	if d := now.Sub(at); d >= 0 && d < time.Hour {
		return d
	}
	return time.Hour
}

func compare[T ~string](x, y T) int {
	switch {
	case x < y:
		return -1
	case x > y:
		return 1
	}
	return 0
}
