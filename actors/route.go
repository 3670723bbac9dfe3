package actors

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/anthdm/hollywood/actor"
	"github.com/rs/zerolog"

	"felhom.eu/messages"
)

const (
	sendTimeout = 15 * time.Second // one try, all in all
	storeRetry  = 5 * time.Second  // until an outcome that could not be written is written again
	lastTry     = 5 * time.Second  // what a try under way is given when the hub ends
)

// What a route tells itself.
type (
	routeTick  struct{}
	routeHeard struct{ answer Answer }
	routeStore struct{} // write the outcome again
)

// Route delivers to one far end: in order, at least once. What it is given is sealed,
// so that every try says the same; it takes the next one only when the outcome is
// durable.
type Route struct {
	hub     *Hub
	route   messages.Route
	state   routeState
	sending bool
	abandon context.CancelFunc // of the try under way, or the last one
	outcome *write             // on its way to the store; nil when none
	closing bool               // nothing more is tried,
	quitted bool               // and alert knows that nothing is under way
	token   uint64
	timer   *time.Timer
	log     zerolog.Logger
}

func newRoute(hub *Hub, r messages.Route, log zerolog.Logger) *Route {
	return &Route{hub: hub, route: r, state: routeState{perHour: r.MaxPerHour}, log: log}
}

// Receive implements actor.Receiver.
func (r *Route) Receive(c *actor.Context) {
	switch m := c.Message().(type) {
	case actor.Initialized, actor.Started:
	case actor.Stopped:
		r.stop(c)
	case messages.Delivery:
		r.take(c, m)
	case routeChanged:
		r.adopt(c, m.route)
	case routeTick:
		r.next(c)
	case routeHeard:
		r.heard(c, m.answer)
	case written:
		r.settle(c, m)
	case routeStore:
		r.store(c)
	case lastCall:
		r.closing = true
		if r.sending {
			time.AfterFunc(lastTry, r.abandon)
		}
		r.quit(c)
	default:
		r.log.Warn().Type("message", m).Msg("unexpected message")
	}
}

// take queues a delivery, or brings a queued one up to date. While the head is
// tried or written, what comes of it is its own echo from the store.
func (r *Route) take(c *actor.Context, d messages.Delivery) {
	if r.busy() && r.state.queue[0].ID == d.ID {
		return
	}
	r.state.held = r.busy()
	if r.state.put(d) {
		r.hub.stats.Pending.Add(1)
		r.hub.drilled(&d, DrillStep{Step: messages.DrillTaken})
	}
	r.next(c)
}

func (r *Route) busy() bool { return r.sending || r.outcome != nil }

// next tries the head, or sets the timer for it.
func (r *Route) next(c *actor.Context) {
	if r.closing {
		r.quit(c)
		return
	}
	wait, ok := r.state.wait(r.hub.clock.read())
	if !ok || r.busy() {
		return
	}
	if wait > 0 {
		r.wake(c, wait)
		return
	}
	if head := r.state.queue[0]; outdatedDrill(&head, r.hub.clock.read().Wall) {
		head.State, head.LastError = messages.DeliveryDead, "a drill that waited too long"
		r.outcome = &write{more: &messages.Batch{Deliveries: []messages.Delivery{head}}}
		r.store(c)
		return
	}
	r.send(c)
}

// quit answers the last call once nothing is under way.
func (r *Route) quit(c *actor.Context) {
	if !r.sending && r.outcome == nil && !r.quitted {
		r.quitted = true
		c.Send(r.hub.alert, routeQuit{})
	}
}

func (r *Route) wake(c *actor.Context, after time.Duration) {
	if r.timer != nil {
		r.timer.Reset(after)
		return
	}
	engine, self := c.Engine(), c.PID()
	r.timer = time.AfterFunc(after, func() { engine.Send(self, routeTick{}) })
}

func (r *Route) send(c *actor.Context) {
	r.sending = true
	engine, self, hub, route, d := c.Engine(), c.PID(), r.hub, r.route, r.state.queue[0]
	ctx, cancel := context.WithTimeout(context.Background(), sendTimeout)
	r.abandon = cancel
	hub.drilled(&d, DrillStep{Step: messages.DrillSent})
	go func() {
		defer cancel()
		engine.Send(self, routeHeard{trySend(ctx, hub, route, d)})
	}()
}

// trySend is one try, on a goroutine of its own.
func trySend(ctx context.Context, hub *Hub, r messages.Route, d messages.Delivery) (a Answer) {
	start := time.Now()
	defer func() {
		if v := recover(); v != nil {
			hub.watch.panics.Add(1)
			a = Answer{Text: "panic in sender"}
			hub.log.Error().Str("route", string(r.ID)).Str("panic", fmt.Sprint(v)).Msg("sender panicked")
		}
		a.Took = time.Since(start)
	}()
	events, err := hub.store.EventsByID(d.Events)
	if err != nil {
		return Answer{Text: err.Error()}
	}
	return hub.sender.Send(ctx, r, d, events)
}

// heard turns an answer into an outcome and writes it, with the route's own
// alarm or its end where that is due.
func (r *Route) heard(c *actor.Context, a Answer) {
	r.sending = false
	now := r.hub.clock.read()
	failed := r.state.failedFor(now)
	d := r.state.outcome(a, now, rand.Float64())
	r.report(d, a)
	r.hub.drilled(&d, DrillStep{Step: messages.DrillAnswered, Answer: a})
	r.outcome = &write{more: &messages.Batch{Deliveries: []messages.Delivery{d}}}
	switch {
	case a.OK && r.route.Incident != "":
		r.tell(messages.RouteRecovered, "", now.Wall, "route "+string(r.route.ID)+" delivers again", "")
	case !a.OK && r.route.Incident == "" && failed >= failingAfter:
		r.tell(messages.RouteFailing, newIncident(), now.Wall, "route "+string(r.route.ID)+" has been failing for "+inWords(failed), a.Text)
	}
	r.store(c)
}

// tell adds an event about the route itself to the outcome; other routes of the
// operator carry it. open is the route's incident from then on, "" when it ends.
func (r *Route) tell(typ messages.EventType, open messages.IncidentID, now time.Time, summary, why string) {
	incident := open
	if incident == "" {
		incident = r.route.Incident
	}
	r.outcome.events = append(r.outcome.events, messages.Event{
		Type: typ, At: now.UTC(), CustomerID: r.route.CustomerID, RouteID: r.route.ID, IncidentID: incident,
		Summary: summary, Detail: messages.EventDetail{Error: why},
	})
	changed := r.route
	changed.Incident = open
	r.outcome.more.PutRoutes = []messages.Route{changed}
}

func (r *Route) report(d messages.Delivery, a Answer) {
	e := r.log.Debug()
	if !a.OK {
		e = r.log.Warn()
	}
	e.Str("delivery", string(d.ID)).Int("events", len(d.Events)).Int("attempt", d.Attempts).Int("status", a.Status).
		Str("answer", a.Text).Dur("took_ms", a.Took).Str("state", string(d.State)).Msg("delivery tried")
}

func (r *Route) store(c *actor.Context) {
	if r.outcome == nil {
		return
	}
	w := *r.outcome // the writer owns what it is sent; a refused one is sent afresh
	r.token = r.hub.token()
	w.from, w.token = c.PID(), r.token
	c.Send(r.hub.writer, &w)
}

// settle believes an outcome that is durable, and writes again one that is not,
// unless the hub ends: the next start then tries again what this one did.
func (r *Route) settle(c *actor.Context, m written) {
	if r.outcome == nil || m.token != r.token {
		return
	}
	if m.err != nil && r.closing {
		r.outcome = nil
		r.quit(c)
		return
	}
	if m.err != nil {
		engine, self := c.Engine(), c.PID()
		time.AfterFunc(storeRetry, func() { engine.Send(self, routeStore{}) })
		return
	}
	w := r.outcome
	r.outcome = nil
	if len(w.more.PutRoutes) > 0 {
		r.route = w.more.PutRoutes[0]
	}
	d := w.more.Deliveries[0]
	r.state.keep(d)
	r.count(d.State)
	r.next(c)
}

// count takes a delivery that is done with out of the pending ones.
func (r *Route) count(s messages.DeliveryState) {
	if s == messages.DeliveryPending {
		return
	}
	r.hub.stats.Pending.Add(-1)
	if s == messages.DeliveryDead {
		r.hub.stats.Dead.Add(1)
	}
}

// stop gives up what is queued: the route was removed. What it wrote of itself
// since then brought its record back, so that is removed again.
func (r *Route) stop(c *actor.Context) {
	if r.timer != nil {
		r.timer.Stop()
	}
	if r.hub.stopping.Load() {
		return
	}
	c.Send(r.hub.writer, &write{more: &messages.Batch{DelRoutes: []messages.RouteID{r.route.ID}}})
	queue := r.state.queue
	if r.outcome != nil && r.outcome.more.Deliveries[0].State != messages.DeliveryPending {
		r.count(r.outcome.more.Deliveries[0].State) // its end is on its way to the store
		queue = queue[1:]
	}
	for _, q := range queue {
		q.State, q.LastError = messages.DeliveryDead, "the route was removed"
		r.count(q.State)
		c.Send(r.hub.writer, &write{more: &messages.Batch{Deliveries: []messages.Delivery{q}}})
	}
}
