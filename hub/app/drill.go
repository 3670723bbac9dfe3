package app

import (
	"cmp"
	"context"
	"time"

	"github.com/oklog/ulid/v2"

	"felhom.eu/actors"
	"felhom.eu/hub/api"
	"felhom.eu/messages"
)

const drillTimeout = 30 * time.Second // for the answers to each message, unless somebody says otherwise

// Drill implements api.Fleet: first the outage, then its end, each told step by step
// until every route has answered well, or for as long as is waited.
func (f *fleet) Drill(ctx context.Context, q messages.DrillQuery, line func(messages.DrillLine) error) error {
	t := trial{fleet: f, line: line, patience: drillTimeout, incident: messages.IncidentID(ulid.Make().String()), routes: map[messages.RouteID]*messages.DrillOfRoute{}}
	if q.TimeoutSeconds > 0 {
		t.patience = seconds(q.TimeoutSeconds)
	}
	if q.HostID != "" {
		q.CustomerID = q.HostID.Customer()
	}
	for _, over := range []bool{false, true} {
		d := actors.NewDrill(actors.Drill{Customer: q.CustomerID, Host: q.HostID, Route: q.RouteID, Over: over, Incident: t.incident})
		if err := t.run(ctx, d); err != nil {
			return err
		}
	}
	r := messages.DrillResult{OK: true}
	for _, id := range t.order {
		x := t.routes[id]
		r.OK = r.OK && x.OK
		r.Routes = append(r.Routes, *x)
	}
	return line(messages.DrillLine{Result: &r})
}

// trial is a drill under way.
type trial struct {
	*fleet
	line     func(messages.DrillLine) error
	patience time.Duration
	incident messages.IncidentID
	routes   map[messages.RouteID]*messages.DrillOfRoute
	order    []messages.RouteID
	decided  time.Time // of the message under way
	part     messages.EventType
}

func (t *trial) run(ctx context.Context, d *actors.Drill) error {
	t.part = messages.Drill
	if d.Over {
		t.part = messages.DrillOver
	}
	t.decided = t.hub.Now().Wall
	if err := t.hub.Order(ctx, d); err != nil {
		return translate(err)
	}
	defer t.hub.Drilled(d)
	durable := actors.DrillStep{Step: messages.DrillDurable, At: t.hub.Now().Wall}
	for _, s := range []actors.DrillStep{{Step: messages.DrillDecided, At: t.decided}, durable} {
		if err := t.tell(s); err != nil {
			return err
		}
	}
	open := make(map[messages.RouteID]bool, len(d.Deliveries))
	for _, x := range d.Deliveries {
		open[x.RouteID] = true
		if t.routes[x.RouteID] == nil {
			t.routes[x.RouteID] = &messages.DrillOfRoute{RouteID: x.RouteID, OK: true}
			t.order = append(t.order, x.RouteID)
		}
	}
	return t.await(ctx, d, open)
}

// await tells the steps of the routes until each has answered.
func (t *trial) await(ctx context.Context, d *actors.Drill, open map[messages.RouteID]bool) error {
	late := time.NewTimer(t.patience)
	defer late.Stop()
	problems := make(map[messages.RouteID]string, len(open))
	for len(open) > 0 {
		select {
		case s := <-d.Steps:
			if err := t.tell(s); err != nil {
				return err
			}
			if s.Step != messages.DrillAnswered {
				continue
			}
			r := t.routes[s.RouteID]
			r.AfterMS = max(r.AfterMS, milliseconds(s.At.Sub(t.decided)))
			if problems[s.RouteID] = s.Answer.Text; s.Answer.OK || s.Answer.Permanent {
				delete(open, s.RouteID)
			}
			if s.Answer.Permanent && !s.Answer.OK {
				t.failed(s.RouteID, s.Answer.Text)
			}
		case <-late.C:
			for id := range open {
				why := "no good answer within " + t.patience.String()
				if said := problems[id]; said != "" {
					why += ": " + said
				}
				t.failed(id, why)
			}
			return nil
		case <-ctx.Done():
			return api.ErrUnavailable
		}
	}
	return nil
}

// failed notes the first problem of a route.
func (t *trial) failed(id messages.RouteID, why string) {
	r := t.routes[id]
	r.OK, r.Problem = false, cmp.Or(r.Problem, why)
}

func (t *trial) tell(s actors.DrillStep) error {
	x := messages.DrillStep{
		Part: t.part, Step: s.Step, At: s.At.UTC(), AfterMS: milliseconds(s.At.Sub(t.decided)), RouteID: s.RouteID, DeliveryID: s.DeliveryID,
	}
	if s.Step == messages.DrillAnswered {
		x.OK, x.StatusCode, x.Answer = s.Answer.OK, s.Answer.Status, s.Answer.Text
	}
	return t.line(messages.DrillLine{Step: &x})
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
