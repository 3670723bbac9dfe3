package api

import (
	"bytes"
	"context"
	"encoding/json"
	"time"

	"github.com/valyala/fasthttp"

	"felhom.eu/hub/notify"
	"felhom.eu/messages"
)

const (
	maxRouteName         = 100  // bytes
	maxPerHour           = 3600 // messages: one a second
	minEscalate          = time.Minute
	maxEscalate          = 7 * 24 * time.Hour
	defaultEscalateAfter = 15 * time.Minute
)

// routeChanger is what a Fleet knows of changing routes.
type routeChanger interface {
	// ChangeRoute changes a route as change says, whose error is the answer. ErrNotFound;
	// InvalidField of what it escalates to.
	ChangeRoute(ctx context.Context, id messages.RouteID, change func(*messages.Route) error) (messages.Route, error)
}

// routeSettings are what of a route may change. What is absent stays, or is the default
// of a new one; quiet_hours that are null are none.
type routeSettings struct {
	URL                  *string         `json:"url"`
	Secret               *string         `json:"secret"` // empty: make one
	Events               *[]string       `json:"events"`
	MinSeverity          *string         `json:"min_severity"`
	Name                 *string         `json:"name"`
	QuietHours           json.RawMessage `json:"quiet_hours"`
	MaxPerHour           *int            `json:"max_per_hour"`
	EscalateTo           *string         `json:"escalate_to"` // empty: nobody
	EscalateAfterSeconds *int64          `json:"escalate_after_seconds"`
	OnCall               *bool           `json:"on_call"`
}

// set applies the settings to a route.
func (in *routeSettings) set(r *messages.Route, private bool) error {
	for _, part := range []func(*messages.Route) error{
		func(r *messages.Route) error { return in.setURL(r, private) },
		in.setSecret, in.setFilter, in.setName, in.setQuiet, in.setEscalation,
	} {
		if err := part(r); err != nil {
			return err
		}
	}
	if n := in.MaxPerHour; n != nil {
		if *n < 0 || *n > maxPerHour {
			return &fieldError{"max_per_hour", "want 1 to 3600, or 0 for no limit"}
		}
		r.MaxPerHour = *n
	}
	if in.OnCall != nil {
		r.OnCall = *in.OnCall
	}
	return nil
}

func (in *routeSettings) setURL(r *messages.Route, private bool) error {
	if in.URL == nil {
		return nil
	}
	if err := notify.CheckURL(r.Kind, *in.URL, private); err != nil {
		return &fieldError{"url", err.Error()}
	}
	r.URL = messages.Secret(*in.URL)
	return nil
}

func (in *routeSettings) setSecret(r *messages.Route) (err error) {
	if in.Secret != nil {
		r.Secret, err = routeSecret(r.Kind, *in.Secret)
	}
	return err
}

// madeSecret is the secret that the hub made for a route, to be shown this once.
func (in *routeSettings) madeSecret(r messages.Route) string {
	if in.Secret != nil && *in.Secret == "" {
		return r.Secret.Reveal()
	}
	return ""
}

func (in *routeSettings) setFilter(r *messages.Route) (err error) {
	if in.Events != nil {
		if r.Events, err = routeEvents(*in.Events); err != nil {
			return err
		}
	}
	if in.MinSeverity != nil {
		r.MinSeverity, err = parseSeverity(*in.MinSeverity)
	}
	return err
}

func (in *routeSettings) setName(r *messages.Route) error {
	if in.Name == nil {
		return nil
	}
	if !printable(*in.Name, maxRouteName) {
		return &fieldError{"name", "want at most 100 bytes of printable text"}
	}
	r.Name = *in.Name
	return nil
}

func (in *routeSettings) setQuiet(r *messages.Route) error {
	if in.QuietHours == nil {
		return nil
	}
	if string(in.QuietHours) == "null" {
		r.Quiet = nil
		return nil
	}
	var q messages.QuietHours
	d := json.NewDecoder(bytes.NewReader(in.QuietHours))
	d.DisallowUnknownFields()
	if err := d.Decode(&q); err != nil {
		return &fieldError{"quiet_hours", `want {"from":"22:00","to":"07:00","time_zone":"Europe/Budapest"}, or null`}
	}
	if !timeOfDay(q.From) || !timeOfDay(q.To) || q.From == q.To {
		return &fieldError{"quiet_hours", "want two times of day, as 22:00 and 07:00"}
	}
	if _, err := messages.ParseZone(q.TimeZone); err != nil || q.TimeZone == "" {
		return &fieldError{"quiet_hours.time_zone", "want a name of the time zone database, as Europe/Budapest"}
	}
	r.Quiet = &q
	return nil
}

func timeOfDay(s string) bool {
	t, err := time.Parse("15:04", s)
	return err == nil && t.Format("15:04") == s
}

// setEscalation leaves to the Fleet where a route may escalate to.
func (in *routeSettings) setEscalation(r *messages.Route) (err error) {
	if to := in.EscalateTo; to != nil {
		r.EscalateTo = ""
		if *to != "" {
			if r.EscalateTo, err = field("escalate_to", *to, parseRouteID); err != nil {
				return err
			}
		}
	}
	if after := in.EscalateAfterSeconds; after != nil {
		if *after < int64(minEscalate.Seconds()) || *after > int64(maxEscalate.Seconds()) {
			return &fieldError{"escalate_after_seconds", "want 60 to 604800"}
		}
		r.EscalateAfter = time.Duration(*after) * time.Second
	}
	switch {
	case r.EscalateTo == "" && in.EscalateAfterSeconds != nil:
		return &fieldError{"escalate_after_seconds", "goes with escalate_to"}
	case r.EscalateTo == "":
		r.EscalateAfter = 0
	case r.EscalateAfter == 0:
		r.EscalateAfter = defaultEscalateAfter
	}
	return nil
}

func (s *Server) changeRoute(ctx *fasthttp.RequestCtx, a args) error {
	id, err := parseRouteID(a.params[0])
	if err != nil {
		return errNotFound
	}
	var in routeSettings
	if err := s.decode(ctx, &in); err != nil {
		return err
	}
	c, cancel := s.change(a)
	defer cancel()
	changed, err := s.fleet.ChangeRoute(c, id, func(r *messages.Route) error { return in.set(r, s.cfg.AllowPrivateRoutes) })
	if err != nil {
		return err
	}
	item := routeItemOf(changed)
	item.Secret = in.madeSecret(changed)
	return answerJSON(ctx, 200, item)
}
