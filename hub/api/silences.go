package api

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"felhom.eu/messages"
)

const maxReason = 500 // bytes of why something is silenced or acknowledged

// silencer is what a Fleet knows of silences.
type silencer interface {
	// AddSilence makes a silence; without StartsAt it begins now, and one that does not
	// recur may have DurationSeconds for EndsAt. InvalidField, ErrTooMany.
	AddSilence(ctx context.Context, s messages.Silence) (SilenceView, error)
	Silences(ctx context.Context) ([]SilenceView, error) // by id
	// EndSilence ends one now. ErrNotFound, also when it is past.
	EndSilence(ctx context.Context, id messages.SilenceID) error
}

// SilenceView is a silence with where it stands.
type SilenceView struct {
	messages.Silence
	State     messages.SilenceState `json:"state"`
	ChangesAt time.Time             `json:"changes_at,omitzero"` // when it next begins or ends
}

// ViewSilence is a silence as of now.
func ViewSilence(s messages.Silence, now time.Time) SilenceView {
	return SilenceView{Silence: s, State: s.State(now), ChangesAt: s.Change(now).UTC()}
}

// ValidSite reports whether a site may be called so; "" is no site.
func ValidSite(name string) bool { return printable(name, messages.MaxSiteLen) }

func (s *Server) addSilence(ctx *fasthttp.RequestCtx, a args) error {
	var in struct {
		Scope           messages.Scope `json:"scope"`
		Reason          string         `json:"reason"`
		StartsAt        string         `json:"starts_at"`
		EndsAt          string         `json:"ends_at"`
		DurationSeconds int64          `json:"duration_seconds"`
		Schedule        string         `json:"schedule"`
		TimeZone        string         `json:"time_zone"`
	}
	if err := s.decode(ctx, &in); err != nil {
		return err
	}
	if err := checkReason(in.Reason); err != nil {
		return err
	}
	made := messages.Silence{
		Scope: in.Scope, Reason: in.Reason, CreatedBy: a.by(),
		DurationSeconds: in.DurationSeconds, Schedule: in.Schedule, TimeZone: in.TimeZone,
	}
	var err error
	if made.StartsAt, err = parseInstant("starts_at", in.StartsAt); err != nil {
		return err
	}
	if made.EndsAt, err = parseInstant("ends_at", in.EndsAt); err != nil {
		return err
	}
	c, cancel := s.change(a)
	defer cancel()
	added, err := s.fleet.AddSilence(c, made)
	if err != nil {
		return err
	}
	return answerJSON(ctx, 201, added)
}

// by is who asks, as others are told.
func (a args) by() string {
	if a.who.User != "" {
		return string(a.who.User)
	}
	return "global key"
}

func checkReason(reason string) error {
	if reason == "" || !printable(reason, maxReason) {
		return &fieldError{"reason", "want at most 500 bytes of printable text, for those who wonder later"}
	}
	return nil
}

// parseInstant reads an instant; "" is the zero one. Years are those of four digits.
func parseInstant(name, text string) (t time.Time, err error) {
	if text == "" {
		return t, nil
	}
	if t, err = time.Parse(time.RFC3339, text); err != nil || t.Year() < 1970 {
		return t, &fieldError{name, "want an instant, as 2026-06-08T14:20:09Z"}
	}
	return t.UTC(), nil
}

func parseSilenceState(s string) (messages.SilenceState, error) {
	switch state := messages.SilenceState(s); state {
	case messages.SilenceActive, messages.SilenceUpcoming, messages.SilencePast:
		return state, nil
	}
	return "", messages.ErrBadID
}

// listSilences pages through the silences itself: there are few.
func (s *Server) listSilences(ctx *fasthttp.RequestCtx, _ args) error {
	q, err := readQuery(ctx, "state")
	if err != nil {
		return err
	}
	state, err := parsed(q, "state", parseSilenceState)
	if err != nil {
		return &fieldError{"state", "want active, upcoming or past"}
	}
	last, err := after(q, silenceList, parseSilenceID)
	if err != nil {
		return err
	}
	c, cancel := s.ask()
	defer cancel()
	all, err := s.fleet.Silences(c)
	if err != nil {
		return err
	}
	rows := slices.SortedFunc(slices.Values(all), func(a, b SilenceView) int { return strings.Compare(string(a.ID), string(b.ID)) })
	rows = slices.DeleteFunc(rows, func(v SilenceView) bool { return v.ID <= last || state != "" && v.State != state })
	rows = rows[:min(len(rows), q.limit+1)]
	return answerPage(ctx, rows, q.limit, silenceList, func(v SilenceView) string { return string(v.ID) }, same)
}

func parseSilenceID(s string) (messages.SilenceID, error) {
	return messages.ParseULID[messages.SilenceID]("silence_id", s)
}

func (s *Server) endSilence(ctx *fasthttp.RequestCtx, a args) error {
	id, err := parseSilenceID(a.params[0])
	if err != nil {
		return errNotFound
	}
	c, cancel := s.change(a)
	defer cancel()
	if err := s.fleet.EndSilence(c, id); err != nil {
		return err
	}
	ctx.SetStatusCode(204)
	return nil
}
