package actors

import (
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/anthdm/hollywood/actor"
	"github.com/rs/zerolog"

	"felhom.eu/messages"
)

const (
	deadlinesEvery = 10 * time.Second
	maxDeadlines   = 100 // of a customer
)

// What the deadlines are told.
type (
	deadlinesTick struct{}
	// evidence is when what deadlines ask for was last seen.
	evidence      map[messages.DeadlineID]time.Time
	orderDeadline struct {
		put    *messages.Deadline // or
		remove *messages.Deadline // of which customer and id count
		wait
	}
)

// Deadlines looks every few seconds at the deadlines that have passed or were
// missed: it asks the store what was seen, decides all of them, and writes that at
// once. One thing is under way at a time.
type Deadlines struct {
	hub     *Hub
	known   map[messages.DeadlineID]*deadlineEntry
	busy    bool // evidence is being read, or a write is in flight
	token   uint64
	changed []messages.Deadline // in flight
	ordered *orderDeadline      // in flight
	queue   []*orderDeadline
	timer   *time.Timer
	log     zerolog.Logger
}

type deadlineEntry struct {
	messages.Deadline
	schedule
}

func newDeadlines(hub *Hub, stored []messages.Deadline, log zerolog.Logger) *Deadlines {
	ds := &Deadlines{hub: hub, known: make(map[messages.DeadlineID]*deadlineEntry, len(stored)), log: log}
	for _, d := range stored {
		ds.put(d)
	}
	return ds
}

func (ds *Deadlines) put(d messages.Deadline) {
	s, err := scheduleOf(&d)
	if err != nil { // a zone that the tables of this program do not have
		ds.log.Error().Err(err).Str("deadline", string(d.ID)).Msg("deadline not watched")
		return
	}
	ds.known[d.ID] = &deadlineEntry{d, s}
}

// Receive implements actor.Receiver.
func (ds *Deadlines) Receive(c *actor.Context) {
	switch m := c.Message().(type) {
	case actor.Initialized:
	case actor.Started:
		engine, self := c.Engine(), c.PID()
		ds.timer = time.AfterFunc(deadlinesEvery, func() { engine.Send(self, deadlinesTick{}) })
	case actor.Stopped:
		ds.timer.Stop()
	case deadlinesTick:
		ds.look(c)
		ds.timer.Reset(deadlinesEvery)
	case evidence:
		ds.judge(c, m)
	case *orderDeadline:
		ds.queue = append(ds.queue, m)
		ds.next(c)
	case written:
		ds.settle(c, m)
	default:
		ds.log.Warn().Type("message", m).Msg("unexpected message")
	}
}

// look asks the store about the deadlines to decide. While listening time stands
// still none is.
func (ds *Deadlines) look(c *actor.Context) {
	if ds.busy || ds.hub.stopping.Load() || !ds.hub.clock.open() {
		return
	}
	now := ds.hub.clock.Now()
	var due []messages.Deadline
	for id, d := range ds.known {
		switch {
		case ds.hub.customer(d.CustomerID) == nil:
			delete(ds.known, id)
		case d.pending(&d.Deadline, now, ds.hub.rules.ResumeGrace):
			due = append(due, d.Deadline)
		}
	}
	if len(due) == 0 {
		return
	}
	ds.busy = true
	engine, self := c.Engine(), c.PID()
	go func() {
		found := evidence{}
		for i := range due {
			seen, err := ds.seen(&due[i])
			if err != nil { // looked at again in a moment
				ds.log.Error().Err(err).Str("deadline", string(due[i].ID)).Msg("deadline not judged")
				continue
			}
			found[due[i].ID] = seen
		}
		engine.Send(self, found)
	}()
}

// seen is when what a deadline asks for was last seen; the zero time is never.
func (ds *Deadlines) seen(d *messages.Deadline) (time.Time, error) {
	switch d.Expect {
	case messages.ExpectController:
		s, err := ds.hub.store.Controller(messages.ControllerName{CustomerID: d.CustomerID, ID: messages.ControllerID(d.Subject)})
		if errors.Is(err, ErrNotFound) {
			return time.Time{}, nil
		}
		return instantOf(s.ContactAt), err
	case messages.ExpectHost:
		_, s, err := ds.hub.store.Host(messages.HostID(d.Subject))
		if errors.Is(err, ErrNotFound) {
			return time.Time{}, nil
		}
		return instantOf(s.ReportAt), err
	}
	host, vmid := messages.GuestID(d.Subject).Split()
	if vmid == 0 {
		host = messages.HostID(d.Subject)
	}
	s, err := ds.hub.store.Standing(host)
	return backupSeen(&s, vmid, ds.hub.book.of(host).ExcludedGuests), err
}

// backupSeen is the newest good backup of a guest; with vmid 0 the oldest of those
// of all guests that are to have one.
func backupSeen(s *messages.Standing, vmid messages.VMID, excluded []messages.VMID) (seen time.Time) {
	for i := range s.Guests {
		g := &s.Guests[i]
		left := g.MissingSince != 0 || g.NoBackup || slices.Contains(excluded, g.VMID)
		if vmid != 0 && g.VMID != vmid || vmid == 0 && left {
			continue
		}
		if g.BackupAt == 0 {
			return time.Time{}
		}
		if at := time.Unix(g.BackupAt, 0); seen.IsZero() || at.Before(seen) {
			seen = at
		}
	}
	return seen
}

func instantOf(nanos int64) time.Time {
	if nanos == 0 {
		return time.Time{}
	}
	return time.Unix(0, nanos)
}

func (ds *Deadlines) judge(c *actor.Context, found evidence) {
	ds.busy = false
	now := ds.hub.clock.Now()
	w := &write{more: &messages.Batch{}}
	for _, id := range slices.Sorted(maps.Keys(found)) {
		d := ds.known[id]
		next, told := judgeDeadline(d.Deadline, &d.schedule, found[id], now, ds.hub.rules.ResumeGrace, newIncident)
		if next.DecidedAt != d.DecidedAt || next.Incident != d.Incident {
			ds.changed = append(ds.changed, next)
			w.events = append(w.events, told...)
		}
	}
	if len(ds.changed) > 0 && !ds.hub.stopping.Load() {
		w.more.PutDeadlines = ds.changed
		ds.commit(c, w)
		return
	}
	ds.changed = nil
	ds.next(c)
}

func (ds *Deadlines) commit(c *actor.Context, w *write) {
	ds.busy, ds.token = true, ds.hub.token()
	w.from, w.token = c.PID(), ds.token
	c.Send(ds.hub.writer, w)
}

// next takes the next order.
func (ds *Deadlines) next(c *actor.Context) {
	for !ds.busy && len(ds.queue) > 0 {
		m := ds.queue[0]
		ds.queue = ds.queue[1:]
		more, err := ds.decide(m)
		if err != nil {
			m.answer(err)
			continue
		}
		ds.ordered = m
		ds.commit(c, &write{more: more})
	}
}

func (ds *Deadlines) decide(m *orderDeadline) (*messages.Batch, error) {
	if m.remove != nil {
		d := ds.known[m.remove.ID]
		if d == nil || d.CustomerID != m.remove.CustomerID {
			return nil, ErrNotFound
		}
		return &messages.Batch{DelDeadlines: []messages.Deadline{d.Deadline}}, nil
	}
	n := 0
	for _, d := range ds.known {
		if d.CustomerID == m.put.CustomerID {
			n++
		}
	}
	switch {
	case ds.hub.customer(m.put.CustomerID) == nil:
		return nil, ErrNotFound
	case n >= maxDeadlines:
		return nil, ErrTooMany
	}
	s, err := scheduleOf(m.put)
	if err != nil {
		return nil, err
	}
	// The first one that is decided is the next to come.
	m.put.DecidedAt = s.last(ds.hub.clock.Now().Wall).UTC()
	return &messages.Batch{PutDeadlines: []messages.Deadline{*m.put}}, nil
}

func (ds *Deadlines) settle(c *actor.Context, m written) {
	if !ds.busy || m.token != ds.token {
		return
	}
	ds.busy = false
	if m.err == nil {
		for _, d := range ds.changed {
			ds.put(d)
		}
		if o := ds.ordered; o != nil && o.put != nil {
			ds.put(*o.put)
		} else if o != nil {
			delete(ds.known, o.remove.ID)
		}
	}
	if ds.ordered != nil {
		ds.ordered.answer(orderError(m.err))
	}
	ds.changed, ds.ordered = nil, nil
	ds.next(c)
}

// AddDeadline makes a deadline; the first one that is decided is the next to come.
// Errors: *FieldProblem, ErrNotFound without its customer, ErrTooMany, ErrUnavailable.
func (h *Hub) AddDeadline(d messages.Deadline) error { return h.orderDeadline(&orderDeadline{put: &d}) }

// RemoveDeadline forgets a deadline. Errors: ErrNotFound, ErrUnavailable.
func (h *Hub) RemoveDeadline(customer messages.CustomerID, id messages.DeadlineID) error {
	return h.orderDeadline(&orderDeadline{remove: &messages.Deadline{CustomerID: customer, ID: id}})
}

func (h *Hub) orderDeadline(m *orderDeadline) error {
	m.init()
	h.engine.Send(h.deadlines, m)
	err, _ := m.await()
	return err
}

// NextDeadline is when a deadline comes next; the zero time when it cannot be read.
func NextDeadline(d *messages.Deadline, now time.Time) time.Time {
	s, err := scheduleOf(d)
	if err != nil {
		return time.Time{}
	}
	return s.next(now).UTC()
}
