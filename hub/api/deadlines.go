package api

import (
	"time"

	"github.com/valyala/fasthttp"

	"felhom.eu/messages"
)

const maxDeadlineName = 100 // bytes

// DeadlineView is a deadline with when it comes next.
type DeadlineView struct {
	messages.Deadline
	NextAt time.Time `json:"next_at,omitzero"`
}

func (s *Server) addDeadline(ctx *fasthttp.RequestCtx, a args) error {
	id, err := customerOf(a)
	if err != nil {
		return err
	}
	var in struct {
		Name         string   `json:"name"`
		Time         string   `json:"time"`
		TimeZone     string   `json:"time_zone"`
		Weekdays     []string `json:"weekdays"`
		Expect       string   `json:"expect"`
		Subject      string   `json:"subject"`
		GraceSeconds *int64   `json:"grace_seconds"`
	}
	if err := s.decode(ctx, &in); err != nil {
		return err
	}
	if in.Name == "" || !printable(in.Name, maxDeadlineName) {
		return &fieldError{"name", "want at most 100 bytes of printable text"}
	}
	d := messages.Deadline{
		CustomerID: id, Name: in.Name, Time: in.Time, TimeZone: in.TimeZone, Weekdays: in.Weekdays,
		Expect: messages.Expectation(in.Expect), Subject: in.Subject, GraceSeconds: messages.DefaultDeadlineGrace,
	}
	if in.GraceSeconds != nil {
		d.GraceSeconds = *in.GraceSeconds
	}
	c, cancel := s.change(a)
	defer cancel()
	added, err := s.fleet.AddDeadline(c, d)
	if err != nil {
		return err
	}
	return answerJSON(ctx, 201, added)
}

// listDeadlines answers all: a customer has a hundred at most.
func (s *Server) listDeadlines(ctx *fasthttp.RequestCtx, a args) error {
	id, err := customerOf(a)
	if err != nil {
		return err
	}
	c, cancel := s.ask()
	defer cancel()
	rows, err := s.fleet.Deadlines(c, id)
	if err != nil {
		return err
	}
	return answerPage(ctx, rows, len(rows), deadlineList, func(v DeadlineView) string { return string(v.ID) }, same)
}

func (s *Server) removeDeadline(ctx *fasthttp.RequestCtx, a args) error {
	customer, err := customerOf(a)
	if err != nil {
		return err
	}
	id, err := messages.ParseULID[messages.DeadlineID]("deadline_id", a.params[1])
	if err != nil {
		return errNotFound
	}
	c, cancel := s.change(a)
	defer cancel()
	if err := s.fleet.RemoveDeadline(c, customer, id); err != nil {
		return err
	}
	ctx.SetStatusCode(204)
	return nil
}
