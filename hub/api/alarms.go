package api

import (
	"context"
	"strconv"
	"time"

	"github.com/valyala/fasthttp"

	"felhom.eu/messages"
)

// AlarmsAll is the state of every alarm, of those that ended and are still to be told,
// too.
const AlarmsAll messages.AlarmState = "all"

const defaultGroups = 50 // of what needs attention

// alarmKeeper is what a Fleet knows of alarms.
type alarmKeeper interface {
	// Alarms are newest first; before is exclusive, and next is where the next page goes
	// on, "" at the end. A page may hold fewer than limit, or none, and not be the last:
	// what a page looks at is bounded. Those that their incident is told for are left out.
	Alarms(ctx context.Context, f AlarmFilter, before messages.IncidentID, limit int) (rows []messages.AlarmView, next messages.IncidentID, err error)
	Alarm(ctx context.Context, id messages.IncidentID) (messages.AlarmView, error) // ErrNotFound
	// Members are the alarms that an incident is told for, as Alarms.
	Members(ctx context.Context, id, before messages.IncidentID, limit int) (rows []messages.AlarmView, next messages.IncidentID, err error)
	// Acknowledge says of alarms, and of the members of incidents, that they are known; a
	// nil ack takes that back. ErrNotFound when none of them is open.
	Acknowledge(ctx context.Context, ids []messages.IncidentID, ack *messages.Ack) error
	// Attention is what is wrong, in groups; with very many alarms that of some seconds ago.
	Attention(ctx context.Context) (messages.NeedsAttention, error)
}

// AlarmFilter narrows a list of alarms; zero fields match all that is still wrong.
type AlarmFilter struct {
	CustomerID messages.CustomerID
	HostID     messages.HostID
	Severity   *messages.Severity
	State      messages.AlarmState
}

func parseIncidentID(s string) (messages.IncidentID, error) {
	return messages.ParseULID[messages.IncidentID]("incident_id", s)
}

func (s *Server) listAlarms(ctx *fasthttp.RequestCtx, _ args) error {
	q, err := readQuery(ctx, "customer_id", "host_id", "state", "severity")
	if err != nil {
		return err
	}
	f, err := alarmFilter(q)
	if err != nil {
		return err
	}
	before, err := after(q, alarmList, parseIncidentID)
	if err != nil {
		return err
	}
	c, cancel := s.ask()
	defer cancel()
	rows, next, err := s.fleet.Alarms(c, f, before, q.limit)
	if err != nil {
		return err
	}
	return answerJSON(ctx, 200, pageUpTo(rows, alarmList, next))
}

// pageUpTo is a page whose end the Fleet tells.
func pageUpTo[T any, ID ~string](rows []T, list byte, next ID) page[T] {
	p := page[T]{Items: rows}
	if rows == nil {
		p.Items = []T{}
	}
	if next != "" {
		p.Next = new(makeCursor(list, string(next)))
	}
	return p
}

func alarmFilter(q query) (f AlarmFilter, err error) {
	if f.CustomerID, err = parsed(q, "customer_id", messages.ParseCustomerID); err != nil {
		return f, err
	}
	if f.HostID, err = parsed(q, "host_id", messages.ParseHostID); err != nil {
		return f, err
	}
	if q.Has("severity") {
		severity, ok := messages.ParseSeverity(q.Get("severity"))
		if !ok {
			return f, &fieldError{"severity", "want info, warning or critical"}
		}
		f.Severity = &severity
	}
	switch f.State = messages.AlarmState(q.Get("state")); f.State {
	case "", messages.AlarmOpen, messages.AlarmAcknowledged, messages.AlarmSilenced, AlarmsAll:
		return f, nil
	}
	return f, &fieldError{"state", "want open, acknowledged, silenced or all"}
}

// alarmDetail is one alarm, with a page of what it is told for when it is an incident.
type alarmDetail struct {
	messages.AlarmView
	MemberAlarms page[messages.AlarmView] `json:"member_alarms"`
}

func (s *Server) showAlarm(ctx *fasthttp.RequestCtx, a args) error {
	q, err := readQuery(ctx)
	if err != nil {
		return err
	}
	id, err := parseIncidentID(a.params[0])
	if err != nil {
		return errNotFound
	}
	before, err := after(q, memberList, parseIncidentID)
	if err != nil {
		return err
	}
	c, cancel := s.ask()
	defer cancel()
	d := alarmDetail{MemberAlarms: page[messages.AlarmView]{Items: []messages.AlarmView{}}}
	if d.AlarmView, err = s.fleet.Alarm(c, id); err != nil {
		return err
	}
	if d.Type == messages.IncidentOpened {
		rows, next, err := s.fleet.Members(c, id, before, q.limit)
		if err != nil {
			return err
		}
		d.MemberAlarms = pageUpTo(rows, memberList, next)
	}
	return answerJSON(ctx, 200, d)
}

func (s *Server) acknowledge(ctx *fasthttp.RequestCtx, a args) error {
	id, err := parseIncidentID(a.params[0])
	if err != nil {
		return errNotFound
	}
	var in struct {
		Reason string `json:"reason"`
	}
	if err := s.decode(ctx, &in); err != nil {
		return err
	}
	if err := checkReason(in.Reason); err != nil {
		return err
	}
	c, cancel := s.change(a)
	defer cancel()
	ack := &messages.Ack{By: a.by(), Reason: in.Reason, At: time.Now().UTC()}
	if err := s.fleet.Acknowledge(c, []messages.IncidentID{id}, ack); err != nil {
		return err
	}
	v, err := s.fleet.Alarm(c, id)
	if err != nil {
		return err
	}
	return answerJSON(ctx, 200, v)
}

func (s *Server) unacknowledge(ctx *fasthttp.RequestCtx, a args) error {
	id, err := parseIncidentID(a.params[0])
	if err != nil {
		return errNotFound
	}
	c, cancel := s.change(a)
	defer cancel()
	if err := s.fleet.Acknowledge(c, []messages.IncidentID{id}, nil); err != nil {
		return err
	}
	ctx.SetStatusCode(204)
	return nil
}

// attention answers what a first screen shows; limit is of groups.
func (s *Server) attention(ctx *fasthttp.RequestCtx, _ args) error {
	q, err := readQuery(ctx)
	if err != nil {
		return err
	}
	groups := defaultGroups
	if q.Has("limit") {
		if groups = q.limit; groups > messages.MaxAttention {
			return &fieldError{"limit", "want 1 to " + strconv.Itoa(messages.MaxAttention)}
		}
	}
	if q.Has("cursor") {
		return &fieldError{"cursor", "unknown parameter"}
	}
	c, cancel := s.ask()
	defer cancel()
	a, err := s.fleet.Attention(c)
	if err != nil {
		return err
	}
	shown := min(groups, len(a.Groups))
	a.MoreGroups += len(a.Groups) - shown
	a.Groups = a.Groups[:shown]
	return answerJSON(ctx, 200, a)
}
