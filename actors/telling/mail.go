package telling

import (
	"maps"
	"slices"

	"felhom.eu/messages"
)

const (
	// rowsOfDelivery is how many rows of the store a delivery touches, and one more for
	// each of its events.
	rowsOfDelivery = 4
	// maxEvents bounds one message; what is over begins the next.
	maxEvents = 500
	// maxApart is how many customers are told apart on one route of the operator's when
	// they are many at once; all others are told together. What befalls them all is one
	// cause to him, and the number of messages is bounded by that of the events.
	maxApart = 16
)

// pairing is what is told together on a route.
type pairing struct {
	route    messages.RouteID
	customer messages.CustomerID
	reason   messages.DeliveryReason
}

// mail is what the Book keeps of deliveries: those that a route's quiet hours hold
// back, to which more may be added. All others are sealed when they are made.
type mail struct {
	durable map[messages.DeliveryID]messages.Delivery
	waiting map[pairing][]*messages.Delivery
	apart   map[messages.RouteID]map[messages.CustomerID]bool // while many are told
	written []messages.Delivery                               // in the batch being cut, that wait or did
	dirty   bool
}

func (m *mail) commit() {
	for _, d := range m.written {
		if d.Sealed {
			delete(m.durable, d.ID)
		} else {
			m.durable[d.ID] = d
		}
	}
	m.written, m.dirty = nil, false
}

// reset goes back to what is durable.
func (m *mail) reset() {
	m.written, m.dirty, m.apart = nil, false, nil
	m.waiting = make(map[pairing][]*messages.Delivery)
	for _, d := range slices.SortedFunc(maps.Values(m.durable), func(x, y messages.Delivery) int { return int(int64(x.Sequence) - int64(y.Sequence)) }) {
		p := pairing{d.RouteID, d.CustomerID, d.Reason}
		m.waiting[p] = append(m.waiting[p], &d)
	}
}

// customer is under whose name an operator's route is told of a customer.
func (m *mail) customer(r *messages.Route, c messages.CustomerID, quiet bool) messages.CustomerID {
	if r.CustomerID != "" || c == "" {
		return c
	}
	apart := m.apart[r.ID]
	if quiet {
		apart = make(map[messages.CustomerID]bool)
		for p := range m.waiting {
			if p.route == r.ID && p.customer != "" {
				apart[p.customer] = true
			}
		}
	}
	if apart[c] || len(apart) < maxApart {
		if m.apart == nil {
			m.apart = make(map[messages.RouteID]map[messages.CustomerID]bool)
		}
		if m.apart[r.ID] == nil {
			m.apart[r.ID] = make(map[messages.CustomerID]bool)
		}
		m.apart[r.ID][c] = true
		return c
	}
	return ""
}

// put has a route told of an event. What is not critical waits for the end of its
// quiet hours; what is takes along what waits, for somebody is woken anyway.
func (t *round) put(r *messages.Route, c messages.CustomerID, why messages.DeliveryReason, s messages.Severity, e messages.EventID) {
	m := &t.book.mail
	until, quiet := quietUntil(r.Quiet, t.now.Wall)
	p := pairing{r.ID, m.customer(r, c, quiet), why}
	d := t.open[p]
	switch {
	case d != nil && len(d.Events) < maxEvents:
	case quiet && s < messages.SeverityCritical:
		if d = last(m.waiting[p]); d == nil {
			d = t.begin(p)
			d.DueAt, d.Sealed = until.UTC(), false
			m.waiting[p] = append(m.waiting[p], d)
		}
	default:
		t.release(p)
		if d = t.open[p]; d == nil || len(d.Events) >= maxEvents {
			d = t.begin(p)
		}
		t.open[p] = d
	}
	t.touch(d)
	if why == messages.BecauseNews || !slices.Contains(d.Events, e) { // who sleeps is reminded once
		d.Events = append(d.Events, e)
		t.size++
	}
}

// last is the delivery that more may be added to; nil when there is none.
func last(ds []*messages.Delivery) *messages.Delivery {
	if len(ds) == 0 || len(ds[len(ds)-1].Events) >= maxEvents {
		return nil
	}
	return ds[len(ds)-1]
}

// begin makes a delivery that is to be sent at once.
func (t *round) begin(p pairing) *messages.Delivery {
	id, sequence := t.numbers.Delivery()
	now := t.now.Wall.UTC()
	return &messages.Delivery{ID: id, Sequence: sequence, RouteID: p.route, CustomerID: p.customer, Reason: p.reason,
		State: messages.DeliveryPending, Sealed: true, CreatedAt: now, DueAt: now}
}

// release has what waits sent now.
func (t *round) release(p pairing) {
	for _, d := range t.book.mail.waiting[p] {
		d.Sealed = true
		t.touch(d)
		t.open[p] = d
	}
	delete(t.book.mail.waiting, p)
}

// releaseDue has sent what waited for the end of quiet hours, or for a route that has
// none any more.
func (t *round) releaseDue() {
	m := &t.book.mail
	for _, p := range slices.SortedFunc(maps.Keys(m.waiting), func(x, y pairing) int {
		return int(int64(m.waiting[x][0].Sequence) - int64(m.waiting[y][0].Sequence))
	}) {
		r := t.book.routes.byID[p.route]
		if r == nil || !m.waiting[p][0].DueAt.After(t.now.Wall) {
			t.release(p)
		} else if _, quiet := quietUntil(r.Quiet, t.now.Wall); !quiet {
			t.release(p)
		}
	}
	clear(t.open) // what comes now is news
}

// touch puts a delivery into the batch.
func (t *round) touch(d *messages.Delivery) {
	if !slices.Contains(t.letters, d) {
		t.letters = append(t.letters, d)
		t.size += rowsOfDelivery + len(d.Events)
	}
}

// post puts the round's deliveries into the batch, as they are now.
func (t *round) post() {
	m := &t.book.mail
	for _, d := range t.letters {
		t.batch.Deliveries = append(t.batch.Deliveries, *d)
		if _, waited := m.durable[d.ID]; waited || !d.Sealed {
			m.written = append(m.written, *d)
		}
		m.dirty = true
	}
}
