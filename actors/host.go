package actors

import (
	"time"

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
	dismissed     struct{ left chan struct{} } // the host is being removed
	loadHost      struct{}
	hostLoaded    struct {
		state messages.HostState
		err   error
	}
)

// Host watches one host. It keeps the state of the newest report and an alarm
// for the moment at which silence would mean something. It waits for nothing:
// Writer waits for the disk, and what Host decided counts when Writer says so.
//
// There are a million of them, so Host is its own actor.Processer: hollywood's
// costs 610 bytes and two broadcast events each. What is in it is the host's
// alone, and touched by whoever works its mailbox off; only entry is read by all.
type Host struct {
	entry   hostEntry
	hub     *Hub
	mail    mailbox
	writing *hostWrite         // in flight; nil when none
	state   messages.HostState // as it is on stable storage
	due     messages.Listened  // what the alarm was set for; 0 when none is
	alarmAt int64              // of alarms
	lost    bool               // state is being read back after a panic
	gone    bool               // the host was removed
}

// hostWrite is a host's decision on its way to the disk.
type hostWrite struct {
	write
	next    messages.HostState
	stored  messages.StoredReport
	asked   answerer // who waits; nil for a deadline
	waiting []any    // what came meanwhile, in order
	quiet   bool     // no deadline's: nobody counts it
}

// ofDeadline reports whether silence, not somebody, made the write.
func (w *hostWrite) ofDeadline() bool { return w.asked == nil && !w.quiet }

// receive handles one message.
func (h *Host) receive(m any) {
	switch m := m.(type) {
	case written:
		h.settle(m)
	case loadHost:
		h.load()
	case *hostLoaded:
		h.loaded(m)
	case *studied:
		h.studied(m)
	case *recalled:
		h.recalled(m)
	case dismissed:
		h.leave(m)
	case checkDeadline:
		h.due = 0
		h.take(m)
	default:
		h.take(m)
	}
}

// take handles what may change the state, or keeps it until the write in flight is settled.
func (h *Host) take(m any) {
	if h.writing != nil || h.lost {
		h.wait(m)
		return
	}
	switch m := m.(type) {
	case *record:
		h.report(m)
	case *farewell:
		h.goodbye(m)
	case checkDeadline:
		h.expire()
	case rejudge:
		h.rejudge()
	default:
		h.hub.log.Warn().Str("host", string(h.state.ID)).Type("message", m).Msg("unexpected message")
	}
}

func (h *Host) wait(m any) {
	if h.lost || len(h.writing.waiting) >= maxWaiting {
		refuse(m)
		return
	}
	h.writing.waiting = append(h.writing.waiting, m)
}

func (h *Host) report(m *record) {
	now := h.hub.clock.Now()
	if h.late(m, now) {
		return
	}
	w := &m.decision
	*w = hostWrite{asked: m}
	w.next = h.state
	v, events := onReport(&w.next, &m.sum, now)
	if v == repeat {
		h.again(w, m, events, now)
		return
	}
	if v == fresh {
		noteVersion(&w.next, h.state.AgentVersion, h.hub.release, now, (*news)(&events))
		w.next.IntervalSecs = uint16(h.hub.interval(&h.entry))
		h.noteGuests(w, m, now)
	}
	w.stored.HostID, w.stored.ReceivedAt, w.stored.Previous = h.state.ID, now.Wall, h.state.Last
	w.stored.Older, w.stored.Figures, w.stored.Body = v == older, m.sum.Figures, m.body
	if m.sum.ReportedAt != 0 {
		w.stored.ReportedAt = time.Unix(0, m.sum.ReportedAt)
	}
	if m.sum.SentAt != 0 {
		w.stored.SentAt = time.Unix(0, m.sum.SentAt)
	}
	w.report, w.events = &w.stored, events
	if v == fresh && remarkable(&h.state, &m.sum, h.hub.book.of(h.state.ID), now) {
		h.study(w, &studied{now: now, facts: factsHash(&m.sum, h.hub.book.of(h.state.ID)), body: m.body})
		return
	}
	h.commit(w)
}

// again is a report that is stored already. It may be a contact all the same.
func (h *Host) again(w *hostWrite, m *record, events []messages.Event, now Moment) {
	h.hub.stats.Repeats.Add(1)
	if w.next.ContactHeard == h.state.ContactHeard && w.next.Voice == h.state.Voice {
		m.answer(nil)
		return
	}
	w.events = events
	w.trace = &messages.Trace{Kind: messages.TraceRepeat, At: now.Wall, HostID: h.state.ID, Report: m.sum}
	h.commit(w)
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

func (h *Host) goodbye(m *farewell) {
	now := h.hub.clock.Now()
	if h.late(m, now) {
		return
	}
	next, events, heard := onGoodbye(h.state, m.goodbye, messages.HashText(m.goodbye.Stream), now)
	if !heard {
		m.answer(nil)
		return
	}
	w := &hostWrite{next: next, asked: m}
	w.events = events
	w.trace = &messages.Trace{Kind: messages.TraceGoodbye, At: now.Wall, HostID: h.state.ID, Goodbye: m.goodbye}
	h.commit(w)
}

// late tells what was due before a sign of life came, which waits for that then: an
// alarm may ring late, when very many do or the host was raised for this sign.
func (h *Host) late(m any, now Moment) bool {
	if h.due == 0 || now.At < h.due {
		return false
	}
	if h.expire(); h.writing == nil {
		return false
	}
	h.wait(m)
	return true
}

// expire tells what is due. While listening time stands still nothing is: a
// write that met the store in the moment it came back would be before the grace
// that every host has then.
func (h *Host) expire() {
	if !h.hub.clock.open() {
		h.arm()
		return
	}
	next, events := expire(h.state, h.rules(), h.hub.clock.Now(), newIncident)
	if len(events) == 0 {
		h.arm()
		return
	}
	w := &hostWrite{next: next}
	w.events = events
	h.hold(w)
	if next.Phase != messages.PhaseDown || !h.recall(w) {
		h.send(w)
	}
}

func (h *Host) commit(w *hostWrite) {
	h.hold(w)
	h.send(w)
}

// hold lets what comes wait for a write.
func (h *Host) hold(w *hostWrite) {
	h.writing = w
	if w.ofDeadline() {
		h.hub.alarms.began()
	}
}

func (h *Host) send(w *hostWrite) {
	w.host, w.token, w.state = h, h.hub.token(), &w.next
	if h.state.Phase != messages.PhaseOK {
		w.outage = outageOf(&h.state, &w.next)
	}
	h.hub.engine.Send(h.hub.writer, &w.write)
}

// settle believes what is durable, answers who asked, and turns to what came meanwhile.
func (h *Host) settle(m written) {
	w := h.writing
	if w == nil || w.token != m.token {
		return
	}
	h.writing = nil
	if w.ofDeadline() {
		h.hub.alarms.ended()
	}
	if m.err == nil {
		h.moved(h.state.Phase, w.next.Phase)
		h.state = w.next
	}
	waiting := w.waiting
	if w.asked != nil {
		w.asked.answer(m.err) // w may be part of what is answered, and somebody else's now
	}
	if h.lost {
		h.load()
	} else {
		h.arm()
	}
	for _, next := range waiting {
		h.take(next)
	}
}

// arm sees to it that an alarm is set that rings no later than the next transition
// is due. One that rings earlier looks, and arms again: a report, which only
// moves the deadline further away, touches no alarm.
func (h *Host) arm() {
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
	h.hub.alarms.set(h, wait)
}

// leave ends the actor, and answers whoever still waits.
func (h *Host) leave(m dismissed) {
	h.gone = true
	h.hub.engine.Registry.Remove(&h.entry.pid)
	h.hub.stats.phases[h.state.Phase].Add(-1)
	if h.state.Phase != messages.PhaseNew {
		h.reports(false)
	}
	h.hub.sites.put(h.state.ID, "")
	h.hub.alarms.forget(h)
	if w := h.writing; w != nil {
		for _, m := range append(w.waiting, w.asked) {
			refuse(m)
		}
		if w.ofDeadline() {
			h.hub.alarms.ended()
		}
	}
	close(m.left)
}

// refuse tells who waits for m, if anybody does, to come again.
func refuse(m any) {
	if asked, ok := m.(answerer); ok && asked != nil {
		asked.answer(ErrUnavailable)
	}
}

// rules are those for the longer of the interval the host is to report at and
// the one it was last told: until it comes and hears of a shorter one, it keeps
// to the old.
func (h *Host) rules() Rules {
	return h.hub.rules.scaled(max(int(h.entry.interval.Load()), int(h.state.IntervalSecs)))
}

// mend replaces what a panic over m may have spoiled by what is stored. A write
// in flight is settled first: the store must be at rest when it is read.
func (h *Host) mend(m any) {
	h.lost = true
	if h.writing != nil {
		return
	}
	refuse(m)
	h.load()
}

func (h *Host) load() {
	go func() {
		s, err := h.hub.store.HostState(h.state.ID)
		h.hub.engine.Send(&h.entry.pid, &hostLoaded{s, err})
	}()
}

func (h *Host) loaded(m *hostLoaded) {
	if m.err != nil {
		h.hub.log.Error().Err(m.err).Str("host", string(h.state.ID)).Msg("host state not read")
		time.AfterFunc(idleCheck, func() { h.hub.engine.Send(&h.entry.pid, loadHost{}) })
		return
	}
	m.state.ID = h.state.ID
	h.moved(h.state.Phase, m.state.Phase)
	h.state, h.lost = m.state, false
	h.arm()
}

func newIncident() messages.IncidentID { return messages.IncidentID(ulid.Make().String()) }
