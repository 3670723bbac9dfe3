package actors

import (
	"time"

	"github.com/anthdm/hollywood/actor"
	"github.com/oklog/ulid/v2"

	"felhom.eu/messages"
)

const (
	// maxWaiting bounds what a host keeps while its write is in flight. A host
	// reports once in minutes; more than this is a flood, and is told to wait.
	maxWaiting = 128
	// idleCheck is how soon a timer looks again while listening time stands still.
	idleCheck = 5 * time.Second
)

// What a host is told, beside *record and *farewell from the door.
type (
	checkDeadline struct{}
	loadHost      struct{}
	hostLoaded    struct {
		state messages.HostState
		err   error
	}
)

// Host watches one host. It keeps the state of the newest report and a timer
// for the moment at which silence would mean something. It waits for nothing:
// Writer waits for the disk, and what Host decided counts when Writer says so.
type Host struct {
	hub     *Hub
	entry   *hostEntry
	state   messages.HostState // as it is on stable storage
	writing *hostWrite         // in flight; nil when none
	timer   *time.Timer
	due     messages.Listened // what the running timer was armed for; 0 when none runs
	lost    bool              // state is being read back after a panic
}

// hostWrite is a host's decision on its way to the disk.
type hostWrite struct {
	write
	next    messages.HostState
	stored  messages.StoredReport
	asked   answerer // who waits; nil for a deadline
	waiting []any    // what came meanwhile, in order
}

// Receive implements actor.Receiver.
func (h *Host) Receive(c *actor.Context) {
	switch m := c.Message().(type) {
	case actor.Initialized:
	case actor.Started:
		h.state.ID = idOf(c.PID())
		h.arm(c)
	case actor.Stopped:
		h.stop()
	case written:
		h.settle(c, m)
	case loadHost:
		h.load(c)
	case *hostLoaded:
		h.loaded(c, m)
	case checkDeadline:
		h.due = 0
		h.take(c, m)
	default:
		h.take(c, m)
	}
}

// take handles what may change the state, or keeps it until the write in flight is settled.
func (h *Host) take(c *actor.Context, m any) {
	if h.writing != nil || h.lost {
		h.wait(m)
		return
	}
	switch m := m.(type) {
	case *record:
		h.report(c, m)
	case *farewell:
		h.goodbye(c, m)
	case checkDeadline:
		h.expire(c)
	default:
		h.hub.log.Warn().Str("host", string(h.state.ID)).Type("message", m).Msg("unexpected message")
	}
}

func (h *Host) wait(m any) {
	asked, _ := m.(answerer)
	if h.lost || len(h.writing.waiting) >= maxWaiting {
		if asked != nil {
			asked.answer(ErrUnavailable)
		}
		return
	}
	h.writing.waiting = append(h.writing.waiting, m)
}

func (h *Host) report(c *actor.Context, m *record) {
	now := h.hub.clock.Now()
	w := &m.decision
	*w = hostWrite{asked: m}
	w.next = h.state
	v, events := onReport(&w.next, &m.sum, now)
	if v == repeat {
		h.hub.stats.Repeats.Add(1)
		m.answer(nil)
		return
	}
	if v == fresh {
		w.next.IntervalSecs = uint16(h.hub.interval(h.entry))
		h.noteGuests(w, m, now)
	}
	w.stored.HostID, w.stored.ReceivedAt, w.stored.Previous = h.state.ID, now.Wall, h.state.Last
	w.stored.Older, w.stored.Figures, w.stored.Body = v == older, m.sum.Figures, m.body
	if m.sum.ReportedAt != 0 {
		w.stored.ReportedAt = time.Unix(0, m.sum.ReportedAt)
	}
	w.report, w.events = &w.stored, events
	h.commit(c, w)
}

// noteGuests adds the guests to a write when they are known and not those of
// the report before.
func (h *Host) noteGuests(w *hostWrite, m *record, now Moment) {
	if m.sum.Figures.GuestsUnknown || m.sum.GuestHash == h.state.GuestHash {
		return
	}
	guests, err := messages.DecodeGuests(m.body)
	if err != nil { // Scan took the same body: a bug, but not the host's
		h.hub.log.Error().Err(err).Str("host", string(h.state.ID)).Msg("guests not decoded")
		return
	}
	w.guests = &messages.GuestsSeen{HostID: h.state.ID, At: now.Wall, Guests: guests}
	w.next.GuestHash = m.sum.GuestHash
}

func (h *Host) goodbye(c *actor.Context, m *farewell) {
	next, events, heard := onGoodbye(h.state, m.goodbye, messages.HashText(m.goodbye.Stream), h.hub.clock.Now())
	if !heard {
		m.answer(nil)
		return
	}
	w := &hostWrite{next: next, asked: m}
	w.events = events
	h.commit(c, w)
}

// expire tells what is due. While listening time stands still nothing is: a
// write that met the store in the moment it came back would be before the grace
// that every host has then.
func (h *Host) expire(c *actor.Context) {
	if !h.hub.clock.open() {
		h.arm(c)
		return
	}
	next, events := expire(h.state, h.rules(), h.hub.clock.Now(), newIncident)
	if len(events) == 0 {
		h.arm(c)
		return
	}
	w := &hostWrite{next: next}
	w.events = events
	h.commit(c, w)
}

func (h *Host) commit(c *actor.Context, w *hostWrite) {
	w.from, w.token, w.state = c.PID(), h.hub.token(), &w.next
	h.writing = w
	c.Send(h.hub.writer, &w.write)
}

// settle believes what is durable, answers who asked, and turns to what came meanwhile.
func (h *Host) settle(c *actor.Context, m written) {
	w := h.writing
	if w == nil || w.token != m.token {
		return
	}
	h.writing = nil
	if m.err == nil {
		h.hub.stats.moved(h.state.Phase, w.next.Phase)
		h.state = w.next
	}
	waiting := w.waiting
	if w.asked != nil {
		w.asked.answer(m.err) // w may be part of what is answered, and somebody else's now
	}
	if h.lost {
		h.load(c)
	} else {
		h.arm(c)
	}
	for _, next := range waiting {
		h.take(c, next)
	}
}

// arm sees to it that a timer runs that fires no later than the next transition
// is due. One that fires earlier looks, and arms again: a report, which only
// moves the deadline further away, touches no timer.
func (h *Host) arm(c *actor.Context) {
	now := h.hub.clock.Now()
	at, armed := deadline(&h.state, h.rules(), now.Resumed)
	if !armed || h.due != 0 && h.due <= at {
		return
	}
	h.due = at
	wait := (at - now.At).Duration() + time.Millisecond
	if !h.hub.clock.open() {
		wait = max(wait, idleCheck)
	}
	if h.timer != nil {
		h.timer.Reset(wait)
		return
	}
	engine, self := c.Engine(), c.PID()
	h.timer = time.AfterFunc(wait, func() { engine.Send(self, checkDeadline{}) })
}

// stop answers whoever still waits: the host is being removed.
func (h *Host) stop() {
	h.hub.stats.phases[h.state.Phase].Add(-1)
	if h.timer != nil {
		h.timer.Stop()
	}
	if h.writing == nil {
		return
	}
	for _, m := range append(h.writing.waiting, h.writing.asked) {
		if asked, ok := m.(answerer); ok && asked != nil {
			asked.answer(ErrUnavailable)
		}
	}
}

// rules are those for the longer of the interval the host is to report at and
// the one it was last told: until it comes and hears of a shorter one, it keeps
// to the old.
func (h *Host) rules() Rules {
	return h.hub.rules.scaled(max(int(h.entry.interval.Load()), int(h.state.IntervalSecs)))
}

// mend replaces what a panic may have spoiled by what is stored. A write in
// flight is settled first: the store must be at rest when it is read.
func (h *Host) mend(c *actor.Context) {
	h.lost = true
	if h.writing != nil {
		return
	}
	if asked, ok := c.Message().(answerer); ok {
		asked.answer(ErrUnavailable)
	}
	h.load(c)
}

func (h *Host) load(c *actor.Context) {
	engine, self, id, store := c.Engine(), c.PID(), h.state.ID, h.hub.store
	go func() {
		s, err := store.HostState(id)
		engine.Send(self, &hostLoaded{s, err})
	}()
}

func (h *Host) loaded(c *actor.Context, m *hostLoaded) {
	if m.err != nil {
		h.hub.log.Error().Err(m.err).Str("host", string(h.state.ID)).Msg("host state not read")
		engine, self := c.Engine(), c.PID()
		time.AfterFunc(idleCheck, func() { engine.Send(self, loadHost{}) })
		return
	}
	h.hub.stats.moved(h.state.Phase, m.state.Phase)
	h.state, h.lost = m.state, false
	h.arm(c)
}

func newIncident() messages.IncidentID { return messages.IncidentID(ulid.Make().String()) }
