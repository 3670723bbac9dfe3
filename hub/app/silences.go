package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/oklog/ulid/v2"

	"felhom.eu/actors"
	"felhom.eu/hub/api"
	"felhom.eu/messages"
)

const (
	silencesStay = 30 * 24 * time.Hour // how long one is listed after its end
	maxSilences  = 1000                // that are not past
	shortestRun  = time.Minute         // of a recurring silence
)

// AddSilence implements api.Fleet.
func (f *fleet) AddSilence(ctx context.Context, s messages.Silence) (api.SilenceView, error) {
	now := time.Now().UTC()
	s.ID, s.CreatedAt = messages.SilenceID(ulid.Make().String()), now
	messages.AuditOf(ctx).About(string(s.ID), "")
	if s.StartsAt.IsZero() {
		s.StartsAt = now
	}
	if s.Schedule == "" && s.EndsAt.IsZero() && s.DurationSeconds > 0 && s.DurationSeconds <= int64(messages.MaxSilence/time.Second) {
		s.EndsAt, s.DurationSeconds = s.StartsAt.Add(time.Duration(s.DurationSeconds)*time.Second), 0
	}
	if err := checkSpan(&s, now); err != nil {
		return api.SilenceView{}, err
	}
	if err := f.checkScope(s.Scope); err != nil {
		return api.SilenceView{}, err
	}
	all, err := f.db.Silences()
	if err != nil {
		return api.SilenceView{}, err
	}
	kept, old := 0, []messages.SilenceID(nil)
	for i := range all {
		switch x := &all[i]; {
		case x.State(now) != messages.SilencePast:
			kept++
		case now.Sub(x.EndsAt) > silencesStay:
			old = append(old, x.ID)
		}
	}
	if kept >= maxSilences {
		return api.SilenceView{}, api.ErrTooMany
	}
	if len(old) > 0 {
		err = f.hub.Order(ctx, actors.DropSilences{IDs: old})
	}
	defer f.needs.forget()
	return api.ViewSilence(s, now), translate(errors.Join(err, f.hub.Order(ctx, actors.PutSilence{Silence: s})))
}

// checkSpan refuses a silence that would never be, or be for longer than one may.
func checkSpan(s *messages.Silence, now time.Time) error {
	switch {
	case !s.EndsAt.IsZero() && !s.EndsAt.After(s.StartsAt):
		return api.InvalidField("ends_at", "want an instant behind starts_at")
	case !s.EndsAt.IsZero() && !s.EndsAt.After(now):
		return api.InvalidField("ends_at", "is past")
	case s.Schedule == "" && s.TimeZone != "":
		return api.InvalidField("time_zone", "goes with a schedule")
	case s.Schedule != "":
		return checkRuns(s, now)
	case s.DurationSeconds != 0 && !s.EndsAt.IsZero():
		return api.InvalidField("duration_seconds", "want this or ends_at")
	case s.EndsAt.IsZero() || s.EndsAt.Sub(s.StartsAt) > messages.MaxSilence:
		return api.InvalidField("ends_at", "want this or duration_seconds, at most 30 days in all; what is to recur has a schedule")
	}
	return nil
}

// checkRuns is checkSpan of a recurring silence.
func checkRuns(s *messages.Silence, now time.Time) error {
	if _, err := messages.ParseCron(s.Schedule); err != nil {
		return api.InvalidField("schedule", err.Error())
	}
	if _, err := messages.ParseZone(s.TimeZone); err != nil {
		return api.InvalidField("time_zone", err.Error())
	}
	if run := s.DurationSeconds; run < int64(shortestRun/time.Second) || run > int64(messages.MaxSilenceRuns/time.Second) {
		return api.InvalidField("duration_seconds", fmt.Sprintf("want %d to %d: how long it lasts each time", shortestRun/time.Second, messages.MaxSilenceRuns/time.Second))
	}
	if s.State(now) == messages.SilencePast {
		return api.InvalidField("schedule", "names no instant before ends_at")
	}
	return nil
}

// checkScope refuses a silence of what is not there. A site is there when a host is
// said to be: it may still come.
func (f *fleet) checkScope(s messages.Scope) (err error) {
	switch s.Kind {
	case messages.ScopeHost:
		if _, err = f.db.Host(messages.HostID(s.ID)); err != nil {
			return api.InvalidField("scope.id", "there is no such host")
		}
	case messages.ScopeCustomer:
		if _, err = f.db.Customer(messages.CustomerID(s.ID)); err != nil {
			return api.InvalidField("scope.id", "there is no such customer")
		}
	case messages.ScopeSite:
		if s.ID == "" || !api.ValidSite(s.ID) {
			return api.InvalidField("scope.id", "want the name of a site, at most 64 bytes of printable text")
		}
	case messages.ScopeFleet:
		if s.ID != "" {
			return api.InvalidField("scope.id", "the fleet has none")
		}
	default:
		return api.InvalidField("scope.kind", "want host, customer, site or fleet")
	}
	return nil
}

// Silences implements api.Fleet.
func (f *fleet) Silences(context.Context) ([]api.SilenceView, error) {
	all, err := f.db.Silences()
	views, now := make([]api.SilenceView, len(all)), time.Now().UTC()
	for i := range all {
		views[i] = api.ViewSilence(all[i], now)
	}
	return views, err
}

// EndSilence implements api.Fleet.
func (f *fleet) EndSilence(ctx context.Context, id messages.SilenceID) error {
	defer f.needs.forget()
	return translate(f.hub.Order(ctx, actors.EndSilence{ID: id}))
}
