package dashboard

import (
	"net/url"
	"slices"
	"strings"
	"time"

	"felhom.eu/hub/api"
	"felhom.eu/messages"
)

const (
	eventsAtOnce = 60
	eventLooks   = 20_000 // events that a search looks at before it asks whether to go on
)

// eventsPage is the log.
type eventsPage struct {
	Events    []messages.Event
	Filter    eventFilter
	Types     []messages.EventType
	Customers []messages.Customer
	Older     string
	Until     time.Time // a search came so far; zero when all was looked at
	First     bool
}

type eventFilter struct {
	Text, Customer, Host, Type, Severity string
}

func (d *Dashboard) events(r *request) error {
	p := &eventsPage{Types: messages.EventTypes, First: true}
	q, err := p.read(r)
	if err != nil {
		return err
	}
	var next messages.EventID
	if p.Events, next, err = d.hub.LatestEvents(r.ctx, q); err != nil {
		return err
	}
	if next != "" {
		p.Older = p.href(next)
		if len(p.Events) < eventsAtOnce {
			p.Until = timeOf(next)
		}
	}
	if err := d.board.look(r.ctx, func() { p.Customers = d.board.customersOf(r.viewer) }); err != nil {
		return err
	}
	return d.render(r, "events", "events", "Events", p)
}

// read reads the address; what it does not understand it leaves out.
func (p *eventsPage) read(r *request) (EventQuery, error) {
	arg := func(name string) string { return strings.TrimSpace(string(r.QueryArgs().Peek(name))) }
	q := EventQuery{Limit: eventsAtOnce, Look: eventLooks}
	if c, err := messages.ParseCustomerID(arg("customer")); err == nil {
		q.CustomerID, p.Filter.Customer = c, string(c)
	}
	if h, err := messages.ParseHostID(arg("host")); err == nil {
		q.HostID, p.Filter.Host = h, string(h)
		if !r.viewer.sees(h.Customer()) {
			return q, errBad
		}
	}
	if r.viewer.customer != "" {
		q.CustomerID = r.viewer.customer
	}
	if t := messages.EventType(arg("type")); slices.Contains(messages.EventTypes, t) {
		q.Type, p.Filter.Type = t, string(t)
	}
	severity, severe := messages.ParseSeverity(arg("severity"))
	if severe {
		p.Filter.Severity = severity.String()
	}
	p.Filter.Text = short(100, strings.ToValidUTF8(arg("q"), ""))
	if before, err := messages.ParseULID[messages.EventID]("event_id", arg("before")); err == nil {
		q.Before, p.First = before, false
	}
	if text := strings.ToLower(p.Filter.Text); text != "" || severe {
		q.Match = func(e *messages.Event) bool { return e.Severity() >= severity && mentions(e, text) }
	}
	return q, nil
}

// mentions reports whether an event has a text in what a reader sees of it.
func mentions(e *messages.Event, text string) bool {
	for _, s := range []string{e.Summary, string(e.HostID), string(e.CustomerID), strings.ReplaceAll(string(e.Type), "_", " "), e.Detail.Subject, e.Detail.Reason} {
		if strings.Contains(strings.ToLower(s), text) {
			return true
		}
	}
	return false
}

// timeOf is when an id was made: the first 48 bits of a ULID are milliseconds.
func timeOf(id messages.EventID) time.Time {
	const digits = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
	ms := int64(0)
	for _, c := range id[:min(len(id), 10)] {
		ms = ms<<5 | int64(max(strings.IndexRune(digits, c), 0))
	}
	return time.UnixMilli(ms).UTC()
}

func (p *eventsPage) href(before messages.EventID) string {
	v := url.Values{}
	for name, value := range map[string]string{
		"q": p.Filter.Text, "customer": p.Filter.Customer, "host": p.Filter.Host, "type": p.Filter.Type, "severity": p.Filter.Severity, "before": string(before),
	} {
		if value != "" {
			v.Set(name, value)
		}
	}
	return "/events?" + v.Encode()
}

// deliveryRow is a delivery as lists show it.
type deliveryRow struct {
	messages.Delivery
	Route routeRow
	Tone  string
}

type deliveryQuery struct {
	customer messages.CustomerID
	state    messages.DeliveryState
	before   messages.DeliveryID
	limit    int
}

const deliveriesAtOnce = 50

// deliveryRows are newest first; next is where to go on, "" at the end.
func (d *Dashboard) deliveryRows(r *request, q deliveryQuery) (rows []deliveryRow, next messages.DeliveryID, err error) {
	routes, err := d.routes(r, "")
	if err != nil {
		return nil, "", err
	}
	by := make(map[messages.RouteID]routeRow, len(routes))
	for _, route := range routes {
		by[route.ID] = route
	}
	rows = make([]deliveryRow, 0, q.limit)
	found, err := d.hub.Deliveries(r.ctx, api.DeliveryFilter{CustomerID: q.customer, State: q.state}, q.before, q.limit+1)
	if err != nil {
		return nil, "", err
	}
	if len(found) > q.limit {
		found = found[:q.limit]
		next = found[q.limit-1].ID
	}
	for i := range found {
		rows = append(rows, deliveryRow{found[i], by[found[i].RouteID], toneOfDelivery(found[i].State)})
	}
	return rows, next, nil
}

func toneOfDelivery(s messages.DeliveryState) string {
	switch s {
	case messages.DeliverySent:
		return "ok"
	case messages.DeliveryDead:
		return "down"
	}
	return "stale"
}

// deliveriesPage is what was told, and what could not be.
type deliveriesPage struct {
	Rows   []deliveryRow
	State  string
	States []string
	Older  string
	Health api.Health
}

func (d *Dashboard) deliveries(r *request) error {
	p := &deliveriesPage{States: []string{"", "pending", "dead", "sent"}, Health: d.hub.Health()}
	q := deliveryQuery{customer: r.viewer.customer, limit: deliveriesAtOnce}
	switch s := messages.DeliveryState(r.QueryArgs().Peek("state")); s {
	case messages.DeliveryPending, messages.DeliverySent, messages.DeliveryDead:
		q.state, p.State = s, string(s)
	}
	if before, err := messages.ParseULID[messages.DeliveryID]("delivery_id", string(r.QueryArgs().Peek("before"))); err == nil {
		q.before = before
	}
	rows, next, err := d.deliveryRows(r, q)
	if err != nil {
		return err
	}
	if p.Rows = rows; next != "" {
		p.Older = "/deliveries?" + url.Values{"state": {p.State}, "before": {string(next)}}.Encode()
	}
	return d.render(r, "deliveries", "deliveries", "Deliveries", p)
}
