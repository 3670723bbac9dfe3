package actors

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	crand "crypto/rand"

	"github.com/anthdm/hollywood/actor"
	"github.com/oklog/ulid/v2"
	"github.com/rs/zerolog"

	"felhom.eu/actors/telling"
	"felhom.eu/messages"
)

// A batch is cut at these bounds; what is over waits for the next.
const (
	maxBatchRows  = 8192    // hosts, guests and events: a transaction of the store has bounds, too
	maxBatchBytes = 8 << 20 // of bodies
)

// After a batch of gatherFrom writes the next one waits for gatherFor.
const (
	gatherFrom = 32
	gatherFor  = time.Millisecond
)

// Store is what the writer needs of storage. Both methods return when what they
// wrote is on stable storage. An error of WriteBodies that Is messages.ErrFull
// means that nothing was written; any other leaves the outcome unknown, and the
// hub stops: what a failed sync left behind only a new start can tell.
//
// Every batch goes through both, in order.
type Store interface {
	WriteBodies(*messages.Batch) error
	WriteState(*messages.Batch) error
}

// write is one atomic change on its way to the writer. What its pointers point
// to belongs to the writer until it answers with written.
type write struct {
	from  *actor.PID // who is told; nil for nobody
	host  *Host      // is told in place of from
	token uint64     // comes back in written

	state      *messages.HostState // Last is set by the writer when there is a report
	report     *messages.StoredReport
	guests     *messages.GuestsSeen
	standing   *messages.Standing
	outage     *messages.Outage
	controller *messages.ControllerState // Last as of state
	events     []messages.Event          // ids and sequences are set by the writer
	trace      *messages.Trace           // of what is in no report
	drill      *Drill                    // events are told of on its routes, at once
	more       *messages.Batch           // everything else, merged as it is
	order      bookOrder                 // decided when the batch is cut,
	refused    error                     // with this
}

// written is the writer's answer: err is nil when the write is durable, and Is
// messages.ErrFull when nothing happened.
type written struct {
	token uint64
	err   error
}

// What the writer tells itself, and is asked before the hub stops.
type (
	batchEnded struct {
		cut *cut
		err error
	}
	gathered struct{}
	bookDue  struct{} // something is to be told though nothing happened
	drain    struct{ done chan struct{} }
)

// cut is a batch with the writes it was made of.
type cut struct {
	messages.Batch
	writes []*write
}

// Writer is the one actor that waits for the disk. It commits in groups, one
// after the other: what came while the last batch was written is the next.
// (Two at a time, the bodies of one beside the state of the one before, were
// slower: batches of half the size cost more than the wait that they save.)
//
// It is also where order is decided: sequence numbers, ids that rise with them,
// and which deliveries an event goes into.
type Writer struct {
	hub     *Hub
	store   Store
	book    *telling.Book
	timer   *time.Timer // of the book
	cutAt   telling.Now // of the batch being cut
	ids     idSource
	months  calendar // as they are on stable storage
	pending []*write
	assigned,
	durable mark
	traced   messages.Trace // the newest of the clocks; zero: none since the start
	writing  bool           // a batch is under way
	failed   bool           // the last batch was not written,
	full     bool           // for want of space
	drainers []chan struct{}
	log      zerolog.Logger
}

// mark is how far the sequences have come.
type mark struct{ batch, event, delivery uint64 }

// Receive implements actor.Receiver.
func (w *Writer) Receive(c *actor.Context) {
	switch m := c.Message().(type) {
	case actor.Initialized:
	case actor.Started:
		w.pump(c)
	case actor.Stopped:
		if w.timer != nil {
			w.timer.Stop()
		}
	case *write:
		w.pending = append(w.pending, m)
		w.pump(c)
	case batchEnded:
		w.finish(c, m.cut, m.err)
		w.gather(c, len(m.cut.writes))
	case gathered:
		w.writing = false
		w.pump(c)
	case routesChanged:
		w.book.SetRoutes(m.routes)
		w.pump(c)
	case bookDue:
		w.pump(c)
	case drain:
		w.drainers = append(w.drainers, m.done)
		w.pump(c)
	default:
		w.log.Warn().Type("message", m).Msg("unexpected message")
	}
}

// pump begins the next batch, or tells who waits for the end that it is here.
func (w *Writer) pump(c *actor.Context) {
	if w.writing {
		return
	}
	wait, due := w.book.Wake(w.now())
	due = due && !w.failed && !w.hub.stopping.Load()
	if len(w.pending) > 0 || due && wait <= 0 {
		w.write(c, w.cut())
		return
	}
	if due {
		w.wind(c, wait)
	}
	for _, done := range w.drainers {
		close(done)
	}
	w.drainers = nil
}

// wind sets the timer for what the book is to tell. After a batch that was not written,
// the book waits for one that is.
func (w *Writer) wind(c *actor.Context, wait time.Duration) {
	if w.timer != nil {
		w.timer.Reset(wait)
		return
	}
	engine, self := c.Engine(), c.PID()
	w.timer = time.AfterFunc(wait, func() { engine.Send(self, bookDue{}) })
}

func (w *Writer) now() telling.Now {
	now := w.hub.clock.read()
	return telling.Now{Wall: now.Wall, Mono: now.Mono}
}

// gather lets the next batch fill a little after a large one: who was answered
// just now is on the way with the next report, and what a batch costs by itself
// is shared. At 256 connections it is worth 4 % of the throughput; below
// gatherFrom writes nobody waits.
func (w *Writer) gather(c *actor.Context, size int) {
	if size < gatherFrom {
		w.writing = false
		w.pump(c)
		return
	}
	engine, self := c.Engine(), c.PID()
	time.AfterFunc(gatherFor, func() { engine.Send(self, gathered{}) })
}

// write makes a batch durable on a goroutine of its own.
func (w *Writer) write(c *actor.Context, b *cut) {
	w.writing = true
	engine, self, store, stats := c.Engine(), c.PID(), w.store, w.hub.stats
	go func() {
		start := time.Now()
		err := store.WriteBodies(&b.Batch)
		if err == nil {
			err = store.WriteState(&b.Batch)
		}
		stats.CommitNanos.Store(int64(time.Since(start)))
		if err == nil {
			answer(engine, b.writes, nil) // here, not in Receive: whoever waits is told a hop earlier
		}
		engine.Send(self, batchEnded{b, err})
	}()
}

// finish takes note of a batch's end.
func (w *Writer) finish(c *actor.Context, b *cut, err error) {
	if err != nil {
		w.fail(c, b, err)
		return
	}
	w.failed = false
	w.durable = mark{b.Sequence, w.durable.event + uint64(len(b.Events)), max(w.durable.delivery, lastDelivery(b.Deliveries))}
	for _, s := range b.Months {
		w.months = w.months.with(s)
	}
	stats := w.hub.stats
	stats.Batches.Add(1)
	stats.Reports.Add(uint64(len(b.Reports)))
	stats.Events.Add(uint64(len(b.Events)))
	if w.full {
		w.full = false
		w.log.Info().Msg("store takes writes again")
		c.Send(w.hub.ledger, storeChanged{writing: true})
	}
	w.book.Commit()
	if len(b.Deliveries) > 0 {
		c.Send(w.hub.alert, deliveriesWritten{b.Deliveries})
	}
	w.hub.feed.tell(&b.Batch)
}

// fail goes back to what is durable, and only then answers: who looks into the
// store on a bad answer finds it at rest.
func (w *Writer) fail(c *actor.Context, b *cut, err error) {
	w.assigned, w.traced, w.failed = w.durable, messages.Trace{}, true
	w.book.Reset(w.now())
	if !errors.Is(err, messages.ErrFull) {
		w.hub.watch.fatal(fmt.Errorf("write batch %d: %w", b.Sequence, err))
	} else if !w.full {
		w.full = true
		w.log.Error().Err(err).Msg("store refuses writes")
		c.Send(w.hub.ledger, storeChanged{why: "the store was full"})
	}
	answer(c.Engine(), b.writes, err)
}

func answer(engine *actor.Engine, writes []*write, err error) {
	for _, m := range writes {
		err := cmp.Or(err, m.refused)
		switch {
		case m.host != nil:
			m.host.tell(written{m.token, err})
		case m.from != nil:
			engine.Send(m.from, written{m.token, err})
		}
	}
}

// cut makes a batch of what is pending, within bounds.
func (w *Writer) cut() *cut {
	now := w.hub.clock.Now()
	w.cutAt = telling.Now{Wall: now.Wall, Mono: w.hub.clock.read().Mono}
	b := &cut{}
	w.assigned.batch++
	b.Sequence, b.At = w.assigned.batch, now.Wall
	b.Ledger = messages.Ledger{Listened: now.At, At: now.Wall}
	if t, parted := traceClocks(w.traced, now); parted {
		w.traced, b.Traces = t, append(b.Traces, t)
	}
	if s, due := w.months.begins(now); due {
		b.Months = []messages.MonthStart{s}
	}
	n, reports := w.fits()
	b.Reports, b.Hosts = make([]messages.StoredReport, 0, reports), make([]messages.HostState, 0, n)
	for _, m := range w.pending[:n] {
		w.add(b, m)
	}
	b.writes = slices.Clone(w.pending[:n])
	w.pending = append(w.pending[:0], w.pending[n:]...)
	clear(w.pending[len(w.pending):cap(w.pending)])
	w.book.Tell(w.cutAt, &b.Batch, w)
	return b
}

// fits is how many pending writes fit into one batch, and how many of them bring
// a report.
func (w *Writer) fits() (n, reports int) {
	for rows, bytes := 0, 0; n < len(w.pending) && rows < maxBatchRows && bytes < maxBatchBytes; n++ {
		m := w.pending[n]
		rows += m.rows()
		if m.report != nil {
			reports++
			bytes += len(m.report.Body)
		}
		if m.standing != nil {
			bytes += bytesOfGuest * (len(m.standing.Guests) + len(m.standing.Problems))
		}
	}
	return n, reports
}

// bytesOfGuest is about what a host's standing takes for a guest.
const bytesOfGuest = 150

// rows is about how many rows of the store a write touches.
func (m *write) rows() int {
	n := 1 + 3*len(m.events)
	if m.guests != nil {
		n += len(m.guests.Guests)
	}
	if m.more != nil {
		n += 4 * len(m.more.Deliveries)
	}
	if m.drill != nil {
		n += 5 * len(m.drill.routes)
	}
	return n
}

// add numbers a write and puts it into the batch.
func (w *Writer) add(b *cut, m *write) {
	if m.report != nil {
		m.report.ID = messages.ReportID(w.ids.next(b.At))
		if m.state != nil {
			m.state.Last = messages.ReportRef{Day: b.Day(), Batch: b.Sequence, Entry: uint32(len(b.Reports))}
		}
		b.Reports = append(b.Reports, *m.report)
	}
	if m.state != nil {
		b.Hosts = append(b.Hosts, *m.state)
	}
	if m.controller != nil {
		if m.report != nil {
			m.controller.Last = messages.ReportRef{Day: b.Day(), Batch: b.Sequence, Entry: uint32(len(b.Reports) - 1)}
		}
		b.Controllers = append(b.Controllers, *m.controller)
	}
	if m.guests != nil {
		b.Guests = append(b.Guests, *m.guests)
	}
	if m.standing != nil {
		b.Standings = append(b.Standings, *m.standing)
	}
	if m.outage != nil {
		b.Outages = append(b.Outages, *m.outage)
	}
	for _, e := range m.events {
		w.Event(&e)
		b.Events = append(b.Events, e)
		if m.drill == nil {
			w.book.Hear(&e, w.cutAt)
		} else {
			w.try(&b.Batch, m.drill, e)
		}
	}
	if m.trace != nil {
		b.Traces = append(b.Traces, *m.trace)
	}
	if m.more != nil {
		merge(&b.Batch, m.more)
		w.forget(m.more)
	}
	if m.order != nil {
		m.refused = m.order.enter(w.book, &b.Batch, w.cutAt)
	}
}

// Event implements telling.Numbers.
func (w *Writer) Event(e *messages.Event) {
	w.assigned.event++
	e.ID, e.Sequence = messages.EventID(w.ids.next(w.cutAt.Wall)), w.assigned.event
}

// Delivery implements telling.Numbers.
func (w *Writer) Delivery() (messages.DeliveryID, uint64) {
	w.assigned.delivery++
	return messages.DeliveryID(w.ids.next(w.cutAt.Wall)), w.assigned.delivery
}

// Incident implements telling.Numbers.
func (w *Writer) Incident() messages.IncidentID { return messages.IncidentID(w.ids.next(w.cutAt.Wall)) }

// forget drops the alarms of what is removed.
func (w *Writer) forget(more *messages.Batch) {
	if len(more.DelHosts)+len(more.DelCustomers)+len(more.DelRoutes)+len(more.DelControllers)+len(more.DelDeadlines) > 0 {
		w.book.Forget(more, w.cutAt)
	}
}

// try puts a drill's event into a delivery of its own on each of its routes: what is told
// of what really happened is told as without it.
func (w *Writer) try(b *messages.Batch, d *Drill, e messages.Event) {
	d.Deliveries = d.Deliveries[:0]
	for _, r := range d.routes {
		id, sequence := w.Delivery()
		x := messages.Delivery{
			ID: id, Sequence: sequence, RouteID: r.ID, CustomerID: e.CustomerID,
			Events: []messages.EventID{e.ID}, State: messages.DeliveryPending, Sealed: true, CreatedAt: b.At.UTC(), DueAt: b.At.UTC(),
			Reason: messages.BecauseDrill,
		}
		b.Deliveries, d.Deliveries = append(b.Deliveries, x), append(d.Deliveries, x)
		w.hub.drills.Store(x.ID, d)
	}
}

func merge(b *messages.Batch, m *messages.Batch) {
	b.Deliveries = append(b.Deliveries, m.Deliveries...)
	b.PutCustomers = append(b.PutCustomers, m.PutCustomers...)
	b.PutHosts = append(b.PutHosts, m.PutHosts...)
	b.PutKeys = append(b.PutKeys, m.PutKeys...)
	b.PutRoutes = append(b.PutRoutes, m.PutRoutes...)
	b.PutRules = append(b.PutRules, m.PutRules...)
	b.DelCustomers = append(b.DelCustomers, m.DelCustomers...)
	b.DelHosts = append(b.DelHosts, m.DelHosts...)
	b.PutDeadlines = append(b.PutDeadlines, m.PutDeadlines...)
	b.DelDeadlines = append(b.DelDeadlines, m.DelDeadlines...)
	b.PutUsers = append(b.PutUsers, m.PutUsers...)
	b.DelUsers = append(b.DelUsers, m.DelUsers...)
	b.PutSessions = append(b.PutSessions, m.PutSessions...)
	b.DelSessions = append(b.DelSessions, m.DelSessions...)
	b.Audit = append(b.Audit, m.Audit...)
	b.DelControllers = append(b.DelControllers, m.DelControllers...)
	b.DelRoutes = append(b.DelRoutes, m.DelRoutes...)
	b.PutTokens = append(b.PutTokens, m.PutTokens...)
	b.DelTokens = append(b.DelTokens, m.DelTokens...)
	b.PutSilences = append(b.PutSilences, m.PutSilences...)
	b.DelSilences = append(b.DelSilences, m.DelSilences...)
}

func lastDelivery(ds []messages.Delivery) (last uint64) {
	for i := range ds {
		last = max(last, ds[i].Sequence)
	}
	return last
}

// idSource makes ULIDs that rise, whatever the wall clock does.
type idSource struct {
	ms      uint64
	entropy *ulid.MonotonicEntropy
}

// newIDSource continues after the newest id, "" when there is none, and after
// the instant of the newest batch, which gave ids to more than events.
func newIDSource(newest string, at time.Time) idSource {
	var seed [32]byte
	_, _ = crand.Read(seed[:]) // never fails (crypto/rand)
	s := idSource{entropy: ulid.Monotonic(rand.NewChaCha8(seed), 0)}
	if id, err := ulid.Parse(newest); err == nil {
		s.ms = id.Time() + 1
	}
	if !at.IsZero() {
		s.ms = max(s.ms, ulid.Timestamp(at)+1)
	}
	return s
}

func (s *idSource) next(now time.Time) string {
	s.ms = max(s.ms, ulid.Timestamp(now))
	id, err := ulid.New(s.ms, s.entropy)
	if err != nil { // 2^80 ids in one millisecond: the entropy overflowed
		s.ms++
		id = ulid.MustNew(s.ms, s.entropy)
	}
	return id.String()
}
