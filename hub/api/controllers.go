package api

import (
	"context"
	"time"

	"github.com/valyala/fasthttp"

	"felhom.eu/messages"
)

// controllerReport is what a controller posts: any JSON object that names it.
func (s *Server) controllerReport(ctx *fasthttp.RequestCtx, a args) error {
	body, err := s.body(ctx, s.cfg.MaxBodyBytes)
	if err != nil {
		return err
	}
	r, err := messages.ScanController(body)
	if err != nil {
		return err
	}
	if host, _ := r.GuestID.Split(); host != "" && host.Customer() != a.who.CustomerID {
		return &messages.InvalidError{Field: "guest_id", Problem: "a guest of another customer"}
	}
	receipt, err := s.fleet.RecordController(a.who.CustomerID, r, body)
	if err != nil {
		return err
	}
	s.answerReceipt(ctx, receipt)
	return nil
}

// mintedCustomerKey shows a customer's key, this once.
type mintedCustomerKey struct {
	CustomerID messages.CustomerID `json:"customer_id"`
	APIKey     string              `json:"api_key"`
}

func (s *Server) rotateCustomerKey(ctx *fasthttp.RequestCtx, a args) error {
	id, err := customerOf(a)
	if err != nil {
		return err
	}
	c, cancel := s.change(a)
	defer cancel()
	key, err := s.fleet.RotateCustomerKey(c, id)
	if err != nil {
		return err
	}
	return answerJSON(ctx, 200, mintedCustomerKey{id, key.Reveal()})
}

func (s *Server) revokeCustomerKey(ctx *fasthttp.RequestCtx, a args) error {
	id, err := customerOf(a)
	if err != nil {
		return err
	}
	c, cancel := s.change(a)
	defer cancel()
	if err := s.fleet.RevokeCustomerKey(c, id); err != nil {
		return err
	}
	ctx.SetStatusCode(204)
	return nil
}

// controllerItem is a controller as it may be shown.
type controllerItem struct {
	CustomerID      messages.CustomerID   `json:"customer_id"`
	ControllerID    messages.ControllerID `json:"controller_id"`
	GuestID         messages.GuestID      `json:"guest_id,omitempty"`
	Version         string                `json:"version"`
	State           messages.Phase        `json:"state"`
	StateSince      *time.Time            `json:"state_since"`
	FirstSeenAt     *time.Time            `json:"first_seen_at"`
	LastReportAt    *time.Time            `json:"last_report_at"`
	SilenceSeconds  int64                 `json:"silence_seconds"`
	IntervalSeconds uint32                `json:"interval_seconds,omitempty"` // absent: the hub's
}

func controllerItemOf(v ControllerView) controllerItem {
	c := v.State
	return controllerItem{
		CustomerID: c.CustomerID, ControllerID: c.ID, GuestID: c.GuestID, Version: c.Version,
		State: c.Phase, StateSince: instant(c.PhaseSince), FirstSeenAt: instant(c.FirstSeenAt), LastReportAt: instant(c.ContactAt),
		SilenceSeconds: int64(v.Silence.Seconds()), IntervalSeconds: c.IntervalSecs,
	}
}

func (s *Server) listControllers(ctx *fasthttp.RequestCtx, a args) error {
	id, err := customerOf(a)
	if err != nil {
		return err
	}
	q, err := readQuery(ctx)
	if err != nil {
		return err
	}
	last, err := after(q, controllerList, messages.ParseControllerID)
	if err != nil {
		return err
	}
	c, cancel := s.ask()
	defer cancel()
	rows, err := s.fleet.Controllers(c, id, last, q.limit+1)
	if err != nil {
		return err
	}
	return answerPage(ctx, rows, q.limit, controllerList, func(v ControllerView) string { return string(v.State.ID) }, controllerItemOf)
}

// controllerOf parses the path's controller; what is malformed does not exist.
func controllerOf(a args) (n messages.ControllerName, err error) {
	if n.CustomerID, err = customerOf(a); err != nil {
		return n, err
	}
	if n.ID, err = messages.ParseControllerID(a.params[1]); err != nil {
		return n, errNotFound
	}
	return n, nil
}

func (s *Server) showController(ctx *fasthttp.RequestCtx, a args) error {
	name, err := controllerOf(a)
	if err != nil {
		return err
	}
	c, cancel := s.ask()
	defer cancel()
	v, err := s.fleet.Controller(c, name)
	if err != nil {
		return err
	}
	return answerJSON(ctx, 200, controllerItemOf(v))
}

func (s *Server) removeController(ctx *fasthttp.RequestCtx, a args) error {
	name, err := controllerOf(a)
	if err != nil {
		return err
	}
	c, cancel := s.change(a)
	defer cancel()
	if err := s.fleet.RemoveController(c, name); err != nil {
		return err
	}
	ctx.SetStatusCode(204)
	return nil
}

// controllerReportItem is a report of a controller in a list.
type controllerReportItem struct {
	ID         messages.ReportID `json:"id"`
	ReceivedAt time.Time         `json:"received_at"`
	Bytes      int               `json:"bytes"`
}

func (s *Server) listControllerReports(ctx *fasthttp.RequestCtx, a args) error {
	name, err := controllerOf(a)
	if err != nil {
		return err
	}
	return listReportsOf(s, ctx, func(c context.Context, from messages.ReportRef, limit int) ([]ReportView, messages.ReportRef, error) {
		return s.fleet.ControllerReports(c, name, from, limit)
	}, func(r ReportView) controllerReportItem { return controllerReportItem{r.ID, r.ReceivedAt, r.Bytes} })
}

func (s *Server) showControllerReport(ctx *fasthttp.RequestCtx, a args) error {
	name, err := controllerOf(a)
	if err != nil {
		return err
	}
	return showReportOf(s, ctx, a.params[2], func(c context.Context, report messages.ReportID) ([]byte, error) {
		return s.fleet.ControllerReport(c, name, report)
	})
}
