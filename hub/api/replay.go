package api

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"time"

	"github.com/valyala/fasthttp"

	"felhom.eu/messages"
)

const (
	maxReplay     = 400 * 24 * time.Hour
	maxThreshold  = 30 * 24 * 3600 // seconds
	maxReplaySets = 1000
	lineType      = "application/x-ndjson"
)

// replay streams the past as other rules would have told it, a JSON document a line.
// Whoever hangs up ends it.
func (s *Server) replay(ctx *fasthttp.RequestCtx, _ args) error {
	q, err := s.replayQuery(ctx)
	if err != nil {
		return err
	}
	return s.lines(ctx, "replay", func(c context.Context, line func(any) error) error {
		return s.fleet.Replay(c, q, func(l messages.ReplayLine) error { return line(l) })
	}, func(e messages.ErrorDetail) any { return messages.ReplayLine{Error: &e} })
}

type replayInput struct {
	Since      time.Time       `json:"since"`
	Until      time.Time       `json:"until"`
	CustomerID string          `json:"customer_id"`
	HostID     string          `json:"host_id"`
	Rules      json.RawMessage `json:"rules"`
}

func (s *Server) replayQuery(ctx *fasthttp.RequestCtx) (q messages.ReplayQuery, err error) {
	var in replayInput
	if err := s.decode(ctx, &in); err != nil {
		return q, err
	}
	q.Since, q.Until = in.Since, in.Until
	if in.CustomerID != "" {
		if q.CustomerID, err = field("customer_id", in.CustomerID, messages.ParseCustomerID); err != nil {
			return q, err
		}
	}
	if in.HostID != "" {
		if q.HostID, err = field("host_id", in.HostID, messages.ParseHostID); err != nil {
			return q, err
		}
	}
	if len(in.Rules) > 0 { // what is misspelt would look as if it changed nothing
		d := json.NewDecoder(bytes.NewReader(in.Rules))
		d.DisallowUnknownFields()
		if err := d.Decode(&q.Rules); err != nil {
			return q, &fieldError{"rules", "want an object of stale_seconds, down_seconds, customers and hosts, with settings of the rules on reports"}
		}
	}
	return q, checkReplay(&q, time.Now())
}

// lines streams documents. What goes wrong after the first is the last of them; a hub
// that is to end does not wait for the others.
func (s *Server) lines(ctx *fasthttp.RequestCtx, what string, run func(context.Context, func(any) error) error, failed func(messages.ErrorDetail) any) error {
	err := s.stream(ctx, what, func(c context.Context, w io.Writer) error {
		out, said := json.NewEncoder(w), false
		line := func(v any) error {
			if s.closing.Load() {
				return ErrUnavailable
			}
			said = true
			return out.Encode(v)
		}
		err := run(c, line)
		if err == nil || !said || c.Err() != nil {
			return err
		}
		p, ours := problemOf(err)
		if !ours {
			s.log.Error().Str("error", redact(err.Error())).Msg(what + " failed")
		}
		return out.Encode(failed(messages.ErrorDetail{Code: p.code, Message: p.message}))
	})
	if err == nil {
		ctx.Response.Header.SetContentType(lineType)
	}
	return err
}

func checkReplay(q *messages.ReplayQuery, now time.Time) error {
	until := q.Until
	if until.IsZero() {
		until = now
	}
	switch {
	case q.Since.IsZero():
		return &fieldError{"since", "want when the replay begins"}
	case until.After(now.Add(time.Minute)):
		return &fieldError{"until", "is in the future"}
	case !q.Since.Before(until):
		return &fieldError{"since", "want an instant before until"}
	case until.Sub(q.Since) > maxReplay:
		return &fieldError{"since", "want at most 400 days"}
	case q.Rules.StaleSeconds < 0 || q.Rules.StaleSeconds > maxThreshold:
		return &fieldError{"rules.stale_seconds", "want 1 to 2592000"}
	case q.Rules.DownSeconds < 0 || q.Rules.DownSeconds > maxThreshold:
		return &fieldError{"rules.down_seconds", "want 1 to 2592000"}
	case len(q.Rules.Customers)+len(q.Rules.Hosts) > maxReplaySets:
		return &fieldError{"rules", "want at most 1000"}
	}
	for id := range q.Rules.Customers {
		if _, err := field("rules.customers", string(id), messages.ParseCustomerID); err != nil {
			return err
		}
	}
	for id := range q.Rules.Hosts {
		if _, err := field("rules.hosts", string(id), messages.ParseHostID); err != nil {
			return err
		}
	}
	return nil
}
