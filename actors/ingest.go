package actors

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/anthdm/hollywood/actor"
	"github.com/rs/zerolog"

	"felhom.eu/messages"
)

// answerTimeout ends the wait for an answer that will not come: an actor that
// panicked, or a disk that hangs. The caller is told to come again.
const answerTimeout = 10 * time.Second

// Receipt is what a durable report or goodbye is answered with.
type Receipt struct {
	PollIntervalSeconds int
	Blocked             bool
	DesiredGeneration   uint64
}

// record is a report on its way to its host, and with what the host decided on
// to the disk. The body is the record's own.
type record struct {
	sum      messages.Summary
	body     []byte
	decision hostWrite
	wait
}

// farewell is a goodbye on its way to its host.
type farewell struct {
	goodbye messages.Goodbye
	wait
}

// wait is where an answer is waited for, again and again. Its timer is lazy: set
// once, it runs on beside many answers that come in time, and looks when it rings.
type wait struct {
	answered chan error // room for one
	born     time.Time
	until    atomic.Int64 // since born, when who waits gives up; or one of the two below
	timer    *time.Timer
	wound    atomic.Bool // the timer runs
}

const (
	nobody  = 0  // waits
	givenUp = -1 // who waited did not wait for the answer
)

func (w *wait) init() {
	w.answered, w.born = make(chan error, 1), time.Now()
	w.timer = time.AfterFunc(answerTimeout, w.ring)
	w.wound.Store(true)
}

// answerer is a message that somebody waits for.
type answerer interface{ answer(error) }

// answer tells who waits; the second and later ones are dropped.
func (w *wait) answer(err error) {
	select {
	case w.answered <- err:
	default:
	}
}

// await returns the answer; again is false when none came in time, and then the
// message must not be used again.
func (w *wait) await() (err error, again bool) {
	until := int64(time.Since(w.born) + answerTimeout)
	w.until.Store(until)
	w.wind(answerTimeout)
	err = <-w.answered
	return err, w.until.CompareAndSwap(until, nobody)
}

// wind sets the timer unless it runs.
func (w *wait) wind(left time.Duration) {
	if w.wound.CompareAndSwap(false, true) {
		w.timer.Reset(left)
	}
}

func (w *wait) ring() {
	w.wound.Store(false) // before the look: who begins to wait after it winds
	until := w.until.Load()
	left := time.Duration(until) - time.Since(w.born)
	switch {
	case until == nobody:
	case left > 0:
		w.wind(left)
	case w.until.CompareAndSwap(until, givenUp):
		w.answer(ErrUnavailable)
	}
}

// What the door's actor is told by whoever runs the listeners.
type (
	// DoorOpened: a listener accepts agents.
	DoorOpened struct{}
	// DoorClosed: none does any more.
	DoorClosed struct{}
)

// Ingest is the door for what hosts say. Handlers walk through Record on their
// own goroutines, so many at once as there is room; its actor knows whether the
// door is open, and tells the ledger.
type Ingest struct {
	hub     *Hub
	inside  atomic.Int64
	room    int64
	records sync.Pool // of *record
	log     zerolog.Logger
}

func newIngest(hub *Hub, room int, log zerolog.Logger) *Ingest {
	i := &Ingest{hub: hub, room: int64(room), log: log}
	i.records.New = func() any {
		m := new(record)
		m.init()
		return m
	}
	return i
}

// Receive implements actor.Receiver.
func (i *Ingest) Receive(c *actor.Context) {
	switch m := c.Message().(type) {
	case actor.Initialized, actor.Started, actor.Stopped:
	case DoorOpened:
		c.Send(i.hub.ledger, listenerChanged{accepting: true})
	case DoorClosed:
		c.Send(i.hub.ledger, listenerChanged{accepting: false})
	default:
		i.log.Warn().Type("message", m).Msg("unexpected message")
	}
}

// Record hands a report to its host and waits until it is durable. It keeps
// neither argument. Errors: ErrUnknownHost, ErrUnavailable.
func (i *Ingest) Record(s *messages.Summary, body []byte) (Receipt, error) {
	h, err := i.enter(s.HostID)
	if err != nil {
		return Receipt{}, err
	}
	defer i.leave()
	m := i.records.Get().(*record)
	m.sum, m.body = *s, append(m.body[:0], body...)
	h.tell(m) // on this goroutine, which has nothing to do but wait
	err, again := m.await()
	if again && err == nil { // else it may still be in the writer's hands
		i.records.Put(m)
	}
	return i.receipt(&h.entry, err)
}

// Goodbye hands a goodbye to its host and waits until it is durable. Errors:
// ErrUnknownHost, ErrUnavailable.
func (i *Ingest) Goodbye(g messages.Goodbye) (Receipt, error) {
	h, err := i.enter(g.HostID)
	if err != nil {
		return Receipt{}, err
	}
	defer i.leave()
	m := &farewell{goodbye: g}
	m.init()
	h.tell(m)
	err, _ = m.await()
	return i.receipt(&h.entry, err)
}

func (i *Ingest) enter(id messages.HostID) (*Host, error) {
	h := i.hub.directory.host(id)
	if h == nil {
		return nil, ErrUnknownHost
	}
	if !i.admit() {
		return nil, ErrUnavailable
	}
	return h, nil
}

// admit lets somebody in, who leaves again, unless there is no room.
func (i *Ingest) admit() bool {
	if i.inside.Add(1) > i.room || !i.hub.clock.open() {
		i.leave()
		i.hub.stats.Refused.Add(1)
		return false
	}
	return true
}

func (i *Ingest) leave() { i.inside.Add(-1) }

func (i *Ingest) receipt(e *hostEntry, err error) (Receipt, error) {
	if err != nil {
		i.hub.stats.Refused.Add(1)
		return Receipt{}, ErrUnavailable
	}
	return Receipt{i.hub.interval(e), e.customer.blocked.Load(), e.generation.Load()}, nil
}
