package dashboard

import (
	"slices"

	"felhom.eu/hub/api"
	"felhom.eu/messages"
)

const (
	availabilityMonths = 12
	customerEvents     = 10
	customerDeliveries = 10
	maxControllers     = 200
)

// customersPage lists customers with how their hosts are.
type customersPage struct {
	Rows []customerRow
}

type customerRow struct {
	messages.Customer
	Counts [4]int
	Hosts  int
	Tone   string
	Word   string
	Open   int // groups that need attention
}

// customerPage is one customer.
type customerPage struct {
	Customer     messages.Customer
	Row          customerRow
	Fleet        fleet
	Groups       []group
	Availability []monthRow
	Controllers  []api.ControllerView
	Deadlines    []api.DeadlineView
	Routes       []routeRow
	Deliveries   []deliveryRow
	Events       []messages.Event
}

// monthRow is a month of a customer's hosts.
type monthRow struct {
	messages.Availability
	Known   bool
	Ratio   float64
	Percent string
}

func (d *Dashboard) customers(r *request) error {
	p := &customersPage{}
	err := d.board.look(r.ctx, func() {
		open := make(map[messages.CustomerID]int)
		for _, g := range d.board.attention(r.viewer, r.now).Groups {
			open[g.Customer]++
		}
		counts := d.board.countsByCustomer()
		for _, c := range d.board.customersOf(r.viewer) {
			p.Rows = append(p.Rows, rowOfCustomer(c, counts[c.ID], open[c.ID]))
		}
	})
	if err != nil {
		return err
	}
	slices.SortStableFunc(p.Rows, func(a, b customerRow) int {
		return b.Counts[messages.PhaseDown]*1000 + b.Counts[messages.PhaseStale] - a.Counts[messages.PhaseDown]*1000 - a.Counts[messages.PhaseStale]
	})
	return d.render(r, "customers", "customers", "Customers", p)
}

// countsByCustomer counts hosts by phase. b.mu is held.
func (b *board) countsByCustomer() map[messages.CustomerID][4]int {
	counts := make(map[messages.CustomerID][4]int)
	for _, r := range b.sorted {
		n := counts[r.id.Customer()]
		n[r.phase]++
		counts[r.id.Customer()] = n
	}
	return counts
}

func rowOfCustomer(c messages.Customer, counts [4]int, open int) customerRow {
	v := customerRow{Customer: c, Counts: counts, Open: open, Tone: "ok", Word: "all ok"}
	for _, n := range counts {
		v.Hosts += n
	}
	switch {
	case counts[messages.PhaseDown] > 0:
		v.Tone, v.Word = "down", plural(counts[messages.PhaseDown], "down", "down")
	case counts[messages.PhaseStale] > 0:
		v.Tone, v.Word = "stale", plural(counts[messages.PhaseStale], "stale", "stale")
	case counts[messages.PhaseOK] == 0:
		v.Tone, v.Word = "new", "not heard yet"
	}
	return v
}

// customerID is the customer in the path, when the viewer may see it.
func (r *request) customerID() (messages.CustomerID, error) {
	id, err := messages.ParseCustomerID(r.params[0])
	if err != nil || !r.viewer.sees(id) {
		return "", errBad
	}
	return id, nil
}

func (d *Dashboard) customer(r *request) error {
	id, err := r.customerID()
	if err != nil {
		return err
	}
	p := &customerPage{}
	if p.Customer, err = d.hub.Customer(r.ctx, id); err != nil {
		return err
	}
	if p.Fleet, err = d.fleet(r, "/customers/"+string(id), id); err != nil {
		return err
	}
	part := string(r.QueryArgs().Peek("part"))
	if part != "fleet" {
		if err := d.fillCustomer(r, p); err != nil {
			return err
		}
	}
	return d.render(r, "customer", "customers", or(p.Customer.DisplayName, string(id)), p)
}

func (d *Dashboard) fillCustomer(r *request, p *customerPage) error {
	id := p.Customer.ID
	err := d.board.look(r.ctx, func() {
		p.Groups = d.board.attention(viewer{customer: id}, r.now).Groups
		p.Row = rowOfCustomer(p.Customer, d.board.countsByCustomer()[id], len(p.Groups))
	})
	if err != nil {
		return err
	}
	months, err := d.hub.CustomerAvailability(r.ctx, id, availabilityMonths)
	if err != nil {
		return unlessGone(err)
	}
	p.Availability = monthRows(months)
	if p.Controllers, err = d.hub.Controllers(r.ctx, id, "", maxControllers); err != nil {
		return err
	}
	if p.Deadlines, err = d.hub.Deadlines(r.ctx, id); err != nil {
		return err
	}
	if p.Routes, err = d.routes(r, id); err != nil {
		return err
	}
	if p.Deliveries, _, err = d.deliveryRows(r, deliveryQuery{customer: id, limit: customerDeliveries}); err != nil {
		return err
	}
	p.Events, _, err = d.hub.LatestEvents(r.ctx, EventQuery{EventFilter: api.EventFilter{CustomerID: id}, Limit: customerEvents, Look: customerEvents})
	return err
}

func monthRows(months []messages.Availability) (rows []monthRow) {
	for _, m := range months {
		v := monthRow{Availability: m, Percent: "–"}
		if v.Ratio, v.Known = m.Ratio(); v.Known {
			v.Percent = availabilityWord(v.Ratio)
		}
		rows = append(rows, v)
	}
	return rows
}

func or(s, otherwise string) string {
	if s != "" {
		return s
	}
	return otherwise
}
