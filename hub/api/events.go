package api

import (
	"slices"

	"github.com/valyala/fasthttp"

	"felhom.eu/messages"
)

const maxSearch = 100 // bytes of a text that is searched for

func parseEventID(s string) (messages.EventID, error) {
	return messages.ParseULID[messages.EventID]("event_id", s)
}

func parseEventType(s string) (messages.EventType, error) {
	if t := messages.EventType(s); slices.Contains(messages.EventTypes, t) {
		return t, nil
	}
	return "", messages.ErrBadID
}

// listEvents starts behind the cursor, or behind after, which a reader that
// polls keeps itself; an empty one is the reader's first. With order=desc it goes back in
// time, from before.
func (s *Server) listEvents(ctx *fasthttp.RequestCtx, _ args) error {
	q, err := readQuery(ctx, "host_id", "customer_id", "type", "incident_id", "q", "order", "after", "before")
	if err != nil {
		return err
	}
	f, err := eventFilter(q)
	if err != nil {
		return err
	}
	list, from, other := byte(eventList), "after", "before"
	switch q.Get("order") {
	case "", "asc":
	case "desc":
		list, from, other = latestList, other, from
	default:
		return &fieldError{"order", "want asc or desc"}
	}
	if q.Has(other) {
		return &fieldError{other, "goes with the other order"}
	}
	behind, err := after(q, list, parseEventID)
	if err == nil && behind == "" && q.Get(from) != "" {
		behind, err = parsed(q, from, parseEventID)
	}
	if err != nil {
		return err
	}
	c, cancel := s.ask()
	defer cancel()
	rows, next, err := s.fleet.EventPage(c, f, list == latestList, behind, q.limit)
	if err != nil {
		return err
	}
	return answerJSON(ctx, 200, pageUpTo(rows, list, next))
}

func eventFilter(q query) (f EventFilter, err error) {
	if f.CustomerID, err = parsed(q, "customer_id", messages.ParseCustomerID); err != nil {
		return f, err
	}
	if f.HostID, err = parsed(q, "host_id", messages.ParseHostID); err != nil {
		return f, err
	}
	if f.IncidentID, err = parsed(q, "incident_id", parseIncidentID); err != nil {
		return f, err
	}
	if f.Text = q.Get("q"); !printable(f.Text, maxSearch) {
		return f, &fieldError{"q", "want at most 100 bytes of printable text"}
	}
	f.Type, err = parsed(q, "type", parseEventType)
	return f, err
}

func (s *Server) listDeliveries(ctx *fasthttp.RequestCtx, _ args) error {
	q, err := readQuery(ctx, "customer_id", "state")
	if err != nil {
		return err
	}
	var f DeliveryFilter
	if f.CustomerID, err = parsed(q, "customer_id", messages.ParseCustomerID); err != nil {
		return err
	}
	if f.State, err = parsed(q, "state", parseDeliveryState); err != nil {
		return err
	}
	before, err := after(q, deliveryList, parseDeliveryID)
	if err != nil {
		return err
	}
	c, cancel := s.ask()
	defer cancel()
	rows, err := s.fleet.Deliveries(c, f, before, q.limit+1)
	if err != nil {
		return err
	}
	return answerPage(ctx, rows, q.limit, deliveryList, func(d messages.Delivery) string { return string(d.ID) }, same)
}

func parseDeliveryState(s string) (messages.DeliveryState, error) {
	switch d := messages.DeliveryState(s); d {
	case messages.DeliveryPending, messages.DeliverySent, messages.DeliveryDead:
		return d, nil
	}
	return "", messages.ErrBadID
}

func parseDeliveryID(s string) (messages.DeliveryID, error) {
	return messages.ParseULID[messages.DeliveryID]("delivery_id", s)
}

// deliveryDetail is a delivery with what it tells.
type deliveryDetail struct {
	messages.Delivery
	Events []messages.Event `json:"events"`
}

func (s *Server) showDelivery(ctx *fasthttp.RequestCtx, a args) error {
	id, err := parseDeliveryID(a.params[0])
	if err != nil {
		return errNotFound
	}
	c, cancel := s.ask()
	defer cancel()
	d, events, err := s.fleet.Delivery(c, id)
	if err != nil {
		return err
	}
	return answerJSON(ctx, 200, deliveryDetail{d, events})
}

func (s *Server) retryDelivery(ctx *fasthttp.RequestCtx, a args) error {
	id, err := parseDeliveryID(a.params[0])
	if err != nil {
		return errNotFound
	}
	c, cancel := s.change(a)
	defer cancel()
	if err := s.fleet.RetryDelivery(c, id); err != nil {
		return err
	}
	ctx.SetStatusCode(204)
	return nil
}
