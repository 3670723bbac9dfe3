package actors

import (
	"errors"
	"time"

	"github.com/anthdm/hollywood/actor"
	"github.com/rs/zerolog"

	"felhom.eu/messages"
)

const (
	controllersEvery = time.Second
	// maxControllers bounds what one key can fill the hub with: a controller comes
	// to be with its first report.
	maxControllers = 4096
)

// ErrTooMany is answered when a customer has as many of something as it may.
var ErrTooMany = errors.New("too many")

// What the controllers are told.
type (
	controllersTick  struct{}
	controllerRecord struct {
		name     messages.ControllerName
		customer *customerEntry
		report   messages.ControllerReport
		body     []byte
		wait
	}
	removeController struct {
		name messages.ControllerName
		wait
	}
)

// Controllers watches every controller: a switch each, as hosts have, with one
// write in flight each. One actor serves them all: they are few beside the hosts,
// and what it does for a report takes a microsecond.
type Controllers struct {
	hub     *Hub
	known   map[messages.ControllerName]*controller
	count   map[messages.CustomerID]int
	writing map[uint64]*controller // by token
	timer   *time.Timer
	log     zerolog.Logger
}

// controller is one of them. It is believed as it is on stable storage.
type controller struct {
	state    messages.ControllerState
	customer *customerEntry
	writing  *controllerWrite // in flight; nil when none
}

type controllerWrite struct {
	write
	next    messages.ControllerState
	stored  messages.StoredReport
	removes bool
	asked   answerer // who waits; nil for a deadline
	waiting []any    // what came meanwhile, in order
}

func newControllers(hub *Hub, stored []messages.ControllerState, log zerolog.Logger) *Controllers {
	cs := &Controllers{
		hub: hub, known: make(map[messages.ControllerName]*controller, len(stored)), count: make(map[messages.CustomerID]int),
		writing: make(map[uint64]*controller), log: log,
	}
	for _, s := range stored {
		if customer := hub.customer(s.CustomerID); customer != nil { // else it came while its customer was removed
			cs.known[s.ControllerName] = &controller{state: s, customer: customer}
			cs.count[s.CustomerID]++
		}
	}
	return cs
}

// Receive implements actor.Receiver.
func (cs *Controllers) Receive(c *actor.Context) {
	switch m := c.Message().(type) {
	case actor.Initialized:
	case actor.Started:
		engine, self := c.Engine(), c.PID()
		cs.tally()
		cs.timer = time.AfterFunc(controllersEvery, func() { engine.Send(self, controllersTick{}) })
	case actor.Stopped:
		cs.timer.Stop()
	case *controllerRecord:
		cs.take(c, m.name, m)
	case *removeController:
		cs.take(c, m.name, m)
	case written:
		cs.settle(c, m)
	case controllersTick:
		cs.tick(c)
		cs.timer.Reset(controllersEvery)
	default:
		cs.log.Warn().Type("message", m).Msg("unexpected message")
	}
}

// take handles what is about a controller, or keeps it until the write in flight is
// settled.
func (cs *Controllers) take(c *actor.Context, name messages.ControllerName, m answerer) {
	k := cs.known[name]
	if k != nil && k.writing != nil {
		if len(k.writing.waiting) >= maxWaiting {
			m.answer(ErrUnavailable)
			return
		}
		k.writing.waiting = append(k.writing.waiting, m)
		return
	}
	switch m := m.(type) {
	case *controllerRecord:
		cs.report(c, k, m)
	case *removeController:
		if k == nil {
			m.answer(ErrNotFound)
			return
		}
		w := &controllerWrite{asked: m, removes: true}
		w.more = &messages.Batch{DelControllers: []messages.ControllerName{name}}
		cs.commit(c, k, w)
	}
}

func (cs *Controllers) report(c *actor.Context, k *controller, m *controllerRecord) {
	switch {
	case m.customer.gone.Load():
		m.answer(ErrNotFound)
		return
	case k == nil && cs.count[m.name.CustomerID] >= maxControllers:
		m.answer(ErrTooMany)
		return
	case k == nil:
		k = &controller{state: messages.ControllerState{ControllerName: m.name}, customer: m.customer}
		cs.known[m.name] = k
		cs.count[m.name.CustomerID]++
	}
	now := cs.hub.clock.Now()
	w := &controllerWrite{asked: m}
	w.next, w.events = onController(k.state, &m.report, now)
	w.stored = messages.StoredReport{
		Controller: m.name, ReceivedAt: now.Wall, Previous: k.state.Last, Figures: messages.UnknownFigures(), Body: m.body,
	}
	w.report, w.controller = &w.stored, &w.next
	cs.commit(c, k, w)
}

func (cs *Controllers) commit(c *actor.Context, k *controller, w *controllerWrite) {
	w.from, w.token = c.PID(), cs.hub.token()
	k.writing = w
	cs.writing[w.token] = k
	c.Send(cs.hub.writer, &w.write)
}

// settle believes what is durable, answers who asked, and turns to what came meanwhile.
func (cs *Controllers) settle(c *actor.Context, m written) {
	k := cs.writing[m.token]
	if k == nil {
		return
	}
	delete(cs.writing, m.token)
	w := k.writing
	k.writing = nil
	if m.err == nil && !w.removes {
		k.state = w.next
	}
	if m.err == nil && w.removes || k.state.Phase == messages.PhaseNew {
		cs.forget(k)
	}
	if w.asked != nil {
		w.asked.answer(orderError(m.err))
	}
	for _, next := range w.waiting {
		cs.take(c, k.state.ControllerName, next.(answerer))
	}
}

func orderError(err error) error {
	if err != nil {
		return ErrUnavailable
	}
	return nil
}

func (cs *Controllers) forget(k *controller) {
	delete(cs.known, k.state.ControllerName)
	if cs.count[k.state.CustomerID]--; cs.count[k.state.CustomerID] == 0 {
		delete(cs.count, k.state.CustomerID)
	}
}

// tally counts them by phase.
func (cs *Controllers) tally() {
	var n [4]int64
	for _, k := range cs.known {
		n[k.state.Phase]++
	}
	for p := range n {
		cs.hub.stats.controllers[p].Store(n[p])
	}
}

// tick tells of who has fallen silent. While listening time stands still nobody has.
func (cs *Controllers) tick(c *actor.Context) {
	cs.tally()
	if !cs.hub.clock.open() || cs.hub.stopping.Load() {
		return
	}
	now := cs.hub.clock.Now()
	for _, k := range cs.known {
		switch {
		case k.writing != nil:
		case k.customer.gone.Load():
			cs.forget(k)
		default:
			next, events := expireController(k.state, cs.hub.rules.scaled(int(k.state.IntervalSecs)), now, newIncident)
			if len(events) > 0 {
				w := &controllerWrite{next: next}
				w.controller, w.events = &w.next, events
				cs.commit(c, k, w)
			}
		}
	}
}

// Controller hands a controller's report to the one that watches it and waits until
// it is durable. It keeps no argument. Errors: ErrNotFound when the customer is gone,
// ErrTooMany, ErrUnavailable.
func (i *Ingest) Controller(customer messages.CustomerID, r messages.ControllerReport, body []byte) (Receipt, error) {
	owner := i.hub.customer(customer)
	if owner == nil {
		return Receipt{}, ErrNotFound
	}
	if !i.admit() {
		return Receipt{}, ErrUnavailable
	}
	defer i.leave()
	m := &controllerRecord{
		name: messages.ControllerName{CustomerID: customer, ID: r.ID}, customer: owner, report: r, body: append([]byte(nil), body...),
	}
	m.init()
	i.hub.engine.Send(i.hub.controllers, m)
	if err, _ := m.await(); err != nil {
		i.hub.stats.Refused.Add(1)
		return Receipt{}, err
	}
	interval := int(r.IntervalSeconds)
	if interval == 0 {
		interval = int(i.hub.rules.PollInterval.Seconds())
	}
	return Receipt{PollIntervalSeconds: interval, Blocked: owner.blocked.Load()}, nil
}

// RemoveController forgets a controller; its next report makes it anew. Errors:
// ErrNotFound, ErrUnavailable.
func (h *Hub) RemoveController(name messages.ControllerName) error {
	m := &removeController{name: name}
	m.init()
	h.engine.Send(h.controllers, m)
	err, _ := m.await()
	return err
}

// customer is what every goroutine may know of a customer; nil when there is none.
func (h *Hub) customer(id messages.CustomerID) *customerEntry {
	e, _ := h.customers.Load(id)
	known, _ := e.(*customerEntry)
	return known
}
