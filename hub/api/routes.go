package api

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"felhom.eu/hub/notify"
	"felhom.eu/messages"
)

const (
	secretPrefix    = "whsec_"
	secretBytes     = 32
	minSecret       = 24 // bytes, as Standard Webhooks asks
	maxSecret       = 64
	maxRouteFilters = 64
)

var severities = [...]string{"info", "warning", "critical"} // by messages.Severity

// routeItem is a route as it may be shown: where it goes, not the token in its URL.
type routeItem struct {
	RouteID     messages.RouteID     `json:"route_id"`
	CustomerID  messages.CustomerID  `json:"customer_id,omitempty"` // absent: the operator's, all customers
	Kind        messages.RouteKind   `json:"kind"`
	URL         string               `json:"url"`
	Events      []messages.EventType `json:"events"` // empty: all of min_severity and above
	MinSeverity string               `json:"min_severity"`
	CreatedAt   time.Time            `json:"created_at"`
	Secret      string               `json:"secret,omitempty"` // only when the hub made it, and only this once

	Name                 string               `json:"name,omitempty"`
	QuietHours           *messages.QuietHours `json:"quiet_hours,omitempty"`
	MaxPerHour           int                  `json:"max_per_hour,omitempty"`
	EscalateTo           messages.RouteID     `json:"escalate_to,omitempty"`
	EscalateAfterSeconds int64                `json:"escalate_after_seconds,omitempty"`
	OnCall               bool                 `json:"on_call,omitempty"` // hears escalations only
	Failing              bool                 `json:"failing,omitempty"` // its far end has not answered for a while
}

func routeItemOf(r messages.Route) routeItem {
	events := r.Events
	if events == nil {
		events = []messages.EventType{}
	}
	return routeItem{
		RouteID:     r.ID,
		CustomerID:  r.CustomerID,
		Kind:        r.Kind,
		URL:         notify.Mask(r.Kind, r.URL.Reveal()),
		Events:      events,
		MinSeverity: severities[min(int(r.MinSeverity), len(severities)-1)],
		CreatedAt:   r.CreatedAt,

		Name: r.Name, QuietHours: r.Quiet, MaxPerHour: r.MaxPerHour, OnCall: r.OnCall, Failing: r.Incident != "",
		EscalateTo: r.EscalateTo, EscalateAfterSeconds: int64(r.EscalateAfter / time.Second),
	}
}

// routeInput is a new route. It has a URL, and a webhook a secret, whether they are given
// or not.
type routeInput struct {
	CustomerID string `json:"customer_id"`
	Kind       string `json:"kind"`
	routeSettings
}

func (s *Server) addRoute(ctx *fasthttp.RequestCtx, a args) error {
	var in routeInput
	if err := s.decode(ctx, &in); err != nil {
		return err
	}
	r, err := s.newRoute(&in)
	if err != nil {
		return err
	}
	c, cancel := s.change(a)
	defer cancel()
	added, err := s.fleet.AddRoute(c, r)
	if err != nil {
		return noSuchCustomer(err)
	}
	item := routeItemOf(added)
	item.Secret = in.madeSecret(added)
	return answerJSON(ctx, 201, item)
}

func (s *Server) newRoute(in *routeInput) (r messages.Route, err error) {
	if in.CustomerID != "" {
		if r.CustomerID, err = field("customer_id", in.CustomerID, messages.ParseCustomerID); err != nil {
			return r, err
		}
	}
	if r.Kind = messages.RouteKind(in.Kind); r.Kind != messages.RouteWebhook && r.Kind != messages.RouteShoutrrr {
		return r, &fieldError{"kind", "want webhook or shoutrrr"}
	}
	if in.URL == nil {
		in.URL = new("")
	}
	if in.Secret == nil {
		in.Secret = new("")
	}
	return r, in.set(&r, s.cfg.AllowPrivateRoutes)
}

// routeSecret is what a webhook is signed with; nothing else is signed.
func routeSecret(kind messages.RouteKind, given string) (messages.Secret, error) {
	if kind != messages.RouteWebhook {
		if given != "" {
			return "", &fieldError{"secret", "only a webhook is signed; leave it out"}
		}
		return "", nil
	}
	if given == "" {
		var b [secretBytes]byte
		rand.Read(b[:])
		return messages.Secret(secretPrefix + base64.StdEncoding.EncodeToString(b[:])), nil
	}
	text, ok := strings.CutPrefix(given, secretPrefix)
	b, err := base64.StdEncoding.DecodeString(text)
	if !ok || err != nil || len(b) < minSecret || len(b) > maxSecret {
		return "", &fieldError{"secret", "want whsec_ and 24 to 64 bytes in base64, or none to have one made"}
	}
	return messages.Secret(given), nil
}

func routeEvents(names []string) ([]messages.EventType, error) {
	if len(names) > maxRouteFilters {
		return nil, &fieldError{"events", "too many"}
	}
	var types []messages.EventType
	for _, n := range names {
		t, err := parseEventType(n)
		if err != nil {
			return nil, &fieldError{"events", "no event is called " + echo(n)}
		}
		types = append(types, t)
	}
	return types, nil
}

func parseSeverity(s string) (messages.Severity, error) {
	if s == "" {
		return messages.SeverityInfo, nil
	}
	i := slices.Index(severities[:], s)
	if i < 0 {
		return 0, &fieldError{"min_severity", "want info, warning or critical"}
	}
	return messages.Severity(i), nil
}

// listRoutes pages through the routes itself: there are few.
func (s *Server) listRoutes(ctx *fasthttp.RequestCtx, _ args) error {
	q, err := readQuery(ctx, "customer_id")
	if err != nil {
		return err
	}
	customer, err := parsed(q, "customer_id", messages.ParseCustomerID)
	if err != nil {
		return err
	}
	last, err := after(q, routeList, parseRouteID)
	if err != nil {
		return err
	}
	c, cancel := s.ask()
	defer cancel()
	all, err := s.fleet.Routes(c)
	if err != nil {
		return err
	}
	rows := slices.Clone(all)
	slices.SortFunc(rows, func(a, b messages.Route) int { return strings.Compare(string(a.ID), string(b.ID)) })
	rows = slices.DeleteFunc(rows, func(r messages.Route) bool {
		return r.ID <= last || customer != "" && r.CustomerID != customer
	})
	rows = rows[:min(len(rows), q.limit+1)]
	return answerPage(ctx, rows, q.limit, routeList, func(r messages.Route) string { return string(r.ID) }, routeItemOf)
}

var errEscalatedTo = newProblem(409, messages.CodeConflict, "another route escalates to this one; change that first")

func parseRouteID(s string) (messages.RouteID, error) {
	return messages.ParseULID[messages.RouteID]("route_id", s)
}

func (s *Server) removeRoute(ctx *fasthttp.RequestCtx, a args) error {
	id, err := parseRouteID(a.params[0])
	if err != nil {
		return errNotFound
	}
	c, cancel := s.change(a)
	defer cancel()
	switch err := s.fleet.RemoveRoute(c, id); {
	case errors.Is(err, ErrInUse):
		return errEscalatedTo
	case err != nil:
		return err
	}
	ctx.SetStatusCode(204)
	return nil
}

func (s *Server) testRoute(ctx *fasthttp.RequestCtx, a args) error {
	id, err := parseRouteID(a.params[0])
	if err != nil {
		return errNotFound
	}
	c, cancel := context.WithTimeout(s.life, testTimeout)
	defer cancel()
	said, err := s.fleet.TestRoute(c, id)
	if err != nil {
		return err
	}
	return answerJSON(ctx, 200, said)
}
