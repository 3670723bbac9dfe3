package actors

import (
	"slices"
	"time"

	"felhom.eu/messages"
)

const (
	// maxDeliveryEvents bounds one message; what is over begins the next.
	maxDeliveryEvents = 500
	// maxApart is how many customers' events wait apart on one route, while it keeps up.
	maxApart = 16
)

// outbox is the rule by which events become deliveries. It runs where batches
// are cut, so that an event and its deliveries are one write.
//
// The events of one customer on one route wait together: the first opens a
// delivery, later ones join until wait has passed, the route seals it, or it is
// full. On a route of the operator's on which many customers' wait at once, those
// of all the others wait together: what befalls them all is one cause to him, and
// the number of messages is bounded by that of the events, not of the customers.
type outbox struct {
	wait     time.Duration
	routes   []messages.Route
	open     map[pairing]*openDelivery
	apart    map[messages.RouteID]int              // how many are open, by route
	unsealed map[messages.DeliveryID]*openDelivery // those that are not durably sealed: the open ones, and more
	dirty    []*openDelivery                       // changed since the last batch, in order
	size     int                                   // about how many rows of the store dirty would touch
}

type openDelivery struct {
	messages.Delivery
	durable int // how many of Events are on stable storage
}

// newOutbox is an empty outbox; wait is group_wait, 0 tells at once.
func newOutbox(wait time.Duration, routes []messages.Route) outbox {
	return outbox{
		wait: wait, routes: routes,
		open:     make(map[pairing]*openDelivery),
		apart:    make(map[messages.RouteID]int),
		unsealed: make(map[messages.DeliveryID]*openDelivery),
	}
}

type pairing struct {
	route    messages.RouteID
	customer messages.CustomerID
}

// tell puts e into a delivery on every route that wants it. number names a new one.
func (o *outbox) tell(e messages.Event, now time.Time, number func() (messages.DeliveryID, uint64)) {
	for i := range o.routes {
		if r := &o.routes[i]; wants(r, &e) {
			o.join(o.pair(r, e.CustomerID, now), e.ID, now, number)
		}
	}
}

// pair is what an event of a customer waits with on a route.
func (o *outbox) pair(r *messages.Route, customer messages.CustomerID, now time.Time) pairing {
	own := pairing{r.ID, customer}
	if d := o.open[own]; r.CustomerID != "" || d != nil && now.Before(d.DueAt) {
		return own
	}
	if o.apart[r.ID] >= maxApart {
		return pairing{r.ID, ""}
	}
	return own
}

// begin opens a delivery to further events, in place of the one before.
func (o *outbox) begin(p pairing, d *openDelivery) {
	if o.open[p] == nil {
		o.apart[p.route]++
	}
	o.open[p], o.unsealed[d.ID] = d, d
}

// end closes the open one.
func (o *outbox) end(p pairing) {
	delete(o.open, p)
	if o.apart[p.route]--; o.apart[p.route] == 0 {
		delete(o.apart, p.route)
	}
}

func (o *outbox) join(p pairing, e messages.EventID, now time.Time, number func() (messages.DeliveryID, uint64)) {
	d := o.open[p]
	if d == nil || !now.Before(d.DueAt) || len(d.Events) >= maxDeliveryEvents {
		id, seq := number()
		d = &openDelivery{Delivery: messages.Delivery{
			ID: id, Sequence: seq, RouteID: p.route, CustomerID: p.customer,
			State: messages.DeliveryPending, CreatedAt: now.UTC(), DueAt: now.Add(o.wait).UTC(), Sealed: o.wait <= 0,
		}}
		if o.wait > 0 {
			o.begin(p, d)
		}
	}
	d.Events = append(d.Events, e)
	o.touch(d)
	o.size++
	if len(d.Events) == maxDeliveryEvents && !d.Sealed { // nothing to wait for
		d.Sealed, d.DueAt = true, now.UTC()
		o.end(p)
	}
}

// seal closes a delivery to further events. The outbox's own copy, when it has
// one, knows of events that the caller's may not.
func (o *outbox) seal(d messages.Delivery) {
	p := pairing{d.RouteID, d.CustomerID}
	own := o.unsealed[d.ID]
	if own == nil {
		own = &openDelivery{Delivery: d}
	}
	if o.open[p] == own {
		o.end(p)
	}
	own.Sealed = true
	o.touch(own)
}

// rowsOfDelivery is how many rows of the store a delivery touches.
const rowsOfDelivery = 4

func (o *outbox) touch(d *openDelivery) {
	if !slices.Contains(o.dirty, d) {
		o.dirty = append(o.dirty, d)
		o.size += rowsOfDelivery + len(d.Events)
	}
}

// changed returns copies of what changed since it was last called.
func (o *outbox) changed() []messages.Delivery {
	if len(o.dirty) == 0 {
		return nil
	}
	ds := make([]messages.Delivery, len(o.dirty))
	for i, d := range o.dirty {
		ds[i] = d.Delivery
		ds[i].Events = slices.Clone(d.Events)
	}
	o.dirty, o.size = o.dirty[:0], 0
	return ds
}

// committed notes what is durable now. A seal may be in a batch that fails: until
// it is durable the outbox alone knows all of a delivery's events.
func (o *outbox) committed(ds []messages.Delivery) {
	for i := range ds {
		d := o.unsealed[ds[i].ID]
		if d == nil {
			continue
		}
		d.durable = len(ds[i].Events)
		if ds[i].Sealed || ds[i].State != messages.DeliveryPending {
			delete(o.unsealed, d.ID)
		}
	}
}

// reset goes back to what is durable, after a batch failed. The next event
// opens a new delivery; the route seals the old ones.
func (o *outbox) reset() {
	clear(o.open)
	clear(o.apart)
	o.dirty, o.size = o.dirty[:0], 0
	for id, d := range o.unsealed {
		if d.Events = d.Events[:d.durable]; d.durable == 0 {
			delete(o.unsealed, id)
		}
	}
}

// wants reports whether a route is to be told of an event.
func wants(r *messages.Route, e *messages.Event) bool {
	if r.CustomerID != "" && r.CustomerID != e.CustomerID || e.RouteID != "" && e.RouteID == r.ID {
		return false
	}
	// A failing route is the operator's business: only another of the
	// operator's own can tell of it.
	if e.RouteID != "" && r.CustomerID != "" {
		return false
	}
	if len(r.Events) > 0 {
		return slices.Contains(r.Events, e.Type)
	}
	return e.Severity() >= r.MinSeverity
}
