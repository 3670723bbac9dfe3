package actors

import (
	"time"

	"github.com/anthdm/hollywood/actor"

	"felhom.eu/actors/telling"
	"felhom.eu/messages"
)

// A drill walks a made-up outage through the whole chain: an event and its deliveries in
// one write, the route's actor, the far end. Its events are of types of their own, so
// that no host's state, no figure and no rule knows of them, and its deliveries are told
// by themselves, now.

const (
	// drillPatience is how long a drill is worth sending: a TEST on a phone hours later
	// would be a riddle.
	drillPatience = time.Minute
	drillSteps    = 64 // that wait for who asked; more are dropped
)

// Drill is an order for one message of a drill: ErrNotFound without its customer, host or
// route, ErrNoRoute when nobody would hear of it. It is used once.
type Drill struct {
	Customer messages.CustomerID
	Host     messages.HostID  // "": all of the customer's
	Route    messages.RouteID // "": all that would hear of it
	Over     bool             // its end, not its beginning
	Incident messages.IncidentID

	Deliveries []messages.Delivery // once it is durable
	Steps      chan DrillStep      // of the deliveries, as they happen
	routes     []messages.Route
}

// NewDrill is a drill whose steps somebody is going to read.
func NewDrill(d Drill) *Drill {
	d.Steps = make(chan DrillStep, drillSteps)
	return &d
}

// DrillStep is what a route did with a delivery of a drill.
type DrillStep struct {
	Step       messages.DrillStepName
	At         time.Time
	RouteID    messages.RouteID
	DeliveryID messages.DeliveryID
	Answer     Answer // of the step DrillAnswered
}

func (d *Drill) decide(r *Registry) (*messages.Batch, func(*actor.Context), error) {
	if r.customers[d.Customer] == nil || d.Host != "" && r.hub.directory.get(d.Host) == nil {
		return nil, nil, ErrNotFound
	}
	d.routes = nil
	for _, x := range r.routes {
		if x.ID == d.Route || d.Route == "" && telling.Reaches(&x, d.Customer) {
			d.routes = append(d.routes, x)
		}
	}
	switch {
	case len(d.routes) == 0 && d.Route != "":
		return nil, nil, ErrNotFound
	case len(d.routes) == 0:
		return nil, nil, ErrNoRoute
	}
	return &messages.Batch{}, func(*actor.Context) {}, nil
}

// event is what the drill tells.
func (d *Drill) event(now time.Time) messages.Event {
	e := messages.Event{Type: messages.Drill, At: now.UTC(), CustomerID: d.Customer, HostID: d.Host, IncidentID: d.Incident}
	what := string(d.Host) + " is"
	if d.Host == "" {
		what = "all hosts of " + string(d.Customer) + " are"
	}
	e.Summary = what + " down (drill)"
	if d.Over {
		e.Type, e.Summary = messages.DrillOver, what+" back (drill)"
	}
	return e
}

// Drilled forgets a drill: nobody reads its steps any more.
func (h *Hub) Drilled(d *Drill) {
	for i := range d.Deliveries {
		h.drills.Delete(d.Deliveries[i].ID)
	}
}

// drilled tells a step of a delivery to who asked for the drill, if it is of one.
func (h *Hub) drilled(d *messages.Delivery, s DrillStep) {
	if d.Reason != messages.BecauseDrill {
		return
	}
	v, ok := h.drills.Load(d.ID)
	if !ok {
		return
	}
	s.At, s.RouteID, s.DeliveryID = h.clock.Now().Wall, d.RouteID, d.ID
	select {
	case v.(*Drill).Steps <- s:
	default:
	}
}

// outdatedDrill reports whether a delivery is of a drill that is not worth sending any
// more.
func outdatedDrill(d *messages.Delivery, now time.Time) bool {
	return d.Reason == messages.BecauseDrill && now.Sub(d.DueAt) >= drillPatience
}
