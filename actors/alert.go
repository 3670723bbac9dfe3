package actors

import (
	"context"
	"time"

	"github.com/anthdm/hollywood/actor"
	"github.com/rs/zerolog"

	"felhom.eu/messages"
)

// Answer is what the far end of a route said.
type Answer struct {
	OK         bool
	Permanent  bool          // trying again would not help
	Status     int           // of HTTP; 0 when there was no answer
	Text       string        // at most 500 bytes of the body, or the error without secrets
	RetryAfter time.Duration // 0 when it did not say
	Took       time.Duration
}

// Sender sends one delivery. It may take as long as ctx allows.
type Sender interface {
	Send(ctx context.Context, r messages.Route, d messages.Delivery, events []messages.Event) Answer
}

// What alert is told.
type (
	// deliveriesWritten: what a batch put into the store.
	deliveriesWritten struct{ deliveries []messages.Delivery }
	// lastCall: nothing more is to be sent; done is closed when the outcome of
	// all that was sent is durable.
	lastCall  struct{ done chan struct{} }
	routeQuit struct{} // a route's answer to it
)

// Alert hands deliveries to their routes, an actor each, so that a slow one
// holds nobody back. What it knows is in the store: it begins with what is
// pending there.
type Alert struct {
	hub      *Hub
	routes   []messages.Route
	pending  []messages.Delivery // at start
	actors   map[messages.RouteID]*actor.PID
	closing  chan struct{} // of lastCall
	quitting int           // routes that have not answered it
	log      zerolog.Logger
}

// Receive implements actor.Receiver.
func (a *Alert) Receive(c *actor.Context) {
	switch m := c.Message().(type) {
	case actor.Initialized, actor.Stopped:
	case actor.Started:
		a.apply(c, a.routes)
		a.forward(c, a.pending)
		a.pending = nil
	case routesChanged:
		a.apply(c, m.routes)
	case routeChanged:
		if pid := a.actors[m.route.ID]; pid != nil {
			c.Send(pid, m)
		}
	case deliveriesWritten:
		a.forward(c, m.deliveries)
	case lastCall:
		a.close(c, m)
	case routeQuit:
		a.quit()
	default:
		a.log.Warn().Type("message", m).Msg("unexpected message")
	}
}

// apply gives every route its actor, and stops those of routes that went.
func (a *Alert) apply(c *actor.Context, routes []messages.Route) {
	gone := a.actors
	a.actors = make(map[messages.RouteID]*actor.PID, len(routes))
	for _, r := range routes {
		pid := gone[r.ID]
		if pid == nil {
			log := a.log.With().Str("route", string(r.ID)).Logger()
			pid = spawn(c.Engine(), a.hub.watch, newRoute(a.hub, r, log), "route", string(r.ID))
		}
		a.actors[r.ID] = pid
		delete(gone, r.ID)
	}
	for _, pid := range gone {
		c.Engine().Poison(pid)
	}
}

func (a *Alert) forward(c *actor.Context, ds []messages.Delivery) {
	for _, d := range ds {
		if d.State != messages.DeliveryPending || !d.Sealed {
			continue // done with; or to be added to, by the book
		}
		if pid := a.actors[d.RouteID]; pid != nil {
			c.Send(pid, d)
			continue
		}
		d.State, d.LastError = messages.DeliveryDead, "the route was removed"
		c.Send(a.hub.writer, &write{more: &messages.Batch{Deliveries: []messages.Delivery{d}}})
	}
}

func (a *Alert) close(c *actor.Context, m lastCall) {
	a.closing, a.quitting = m.done, len(a.actors)+1
	for _, pid := range a.actors {
		c.Send(pid, m)
	}
	a.quit() // its own
}

func (a *Alert) quit() {
	if a.quitting--; a.quitting == 0 {
		close(a.closing)
	}
}
