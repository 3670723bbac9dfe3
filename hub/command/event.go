package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/url"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/spf13/cobra"

	"felhom.eu/hub/terminal"
	"felhom.eu/messages"
)

const followInterval = time.Second // how soon an event shows; the hub answers an empty page in microseconds

// eventQuery is which events are asked for.
type eventQuery struct {
	host, customer, kind, after string
	incident, text              string
	since                       time.Duration
	follow                      bool
	limit                       int
	newest                      bool
}

func (a *app) eventCommand() *cobra.Command {
	var e eventQuery
	cmd := &cobra.Command{
		Use: "list", Short: "List events, oldest first",
		Args: func(cmd *cobra.Command, args []string) error {
			if e.after != "" && e.since != 0 {
				return errors.New("--after and --since: want one of them")
			}
			if e.newest && (e.after != "" || e.since != 0 || e.follow) {
				return errors.New("--newest goes back to the first event: leave out --after, --since and --follow")
			}
			return cobra.NoArgs(cmd, args)
		},
		RunE: a.ask(func(ctx context.Context, s *session, _ []string) error {
			if e.follow {
				return a.followEvents(ctx, s, e.values(time.Now()))
			}
			q := e.values(time.Now())
			return show(a, cut(s.Events(ctx, q), e.limit), cut(list[json.RawMessage](ctx, s.Client, "events", q), e.limit),
				a.eventColumns(), "no event")
		}),
	}
	f := cmd.Flags()
	f.StringVar(&e.host, "host", "", "only events of `HOST`")
	f.StringVar(&e.customer, "customer", "", "only events of `CUSTOMER`")
	f.StringVar(&e.kind, "type", "", "only events of `TYPE`, such as host_down")
	f.StringVar(&e.after, "after", "", "only what came after the event with this `ID`")
	f.DurationVar(&e.since, "since", 0, "only what came in the last `DURATION`, such as 24h")
	f.StringVar(&e.incident, "incident", "", "only events of the incident with this `ID`")
	f.StringVar(&e.text, "search", "", "only events with this `TEXT` in what, the host or the customer")
	f.BoolVar(&e.newest, "newest", false, "newest first")
	f.IntVar(&e.limit, "limit", 0, "only the first `N`")
	f.BoolVarP(&e.follow, "follow", "f", false, "keep printing events as they come")
	return a.asks(a.group("event", "See what happened", cmd))
}

// values is e as the admin API takes it. Event ids sort by time, so "since" is
// the smallest id of that instant.
func (e eventQuery) values(now time.Time) url.Values {
	after := e.after
	if e.since > 0 {
		var floor ulid.ULID
		_ = floor.SetTime(ulid.Timestamp(now.Add(-e.since))) // fails past the year 10889
		after = floor.String()
	}
	order := ""
	if e.newest {
		order = "desc"
	}
	return filter("host_id", e.host, "customer_id", e.customer, "type", e.kind, "after", after,
		"incident_id", e.incident, "q", e.text, "order", order)
}

// cut is at most n of the items; 0 is all.
func cut[T any](items iter.Seq2[T, error], n int) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		left := n
		for item, err := range items {
			if !yield(item, err) || left == 1 {
				return
			}
			left--
		}
	}
}

func (a *app) eventColumns() []terminal.Column[messages.Event] {
	return []terminal.Column[messages.Event]{
		{Title: "at", Cell: func(e messages.Event) string { return e.At.Local().Format(time.DateTime) }},
		{Title: "type", Cell: func(e messages.Event) string { return string(e.Type) }, Style: a.out.Event},
		{Title: "subject", Cell: subjectOf},
		{Title: "what", Cell: func(e messages.Event) string { return e.Summary }},
	}
}

func subjectOf(e messages.Event) string {
	switch {
	case e.HostID != "":
		return string(e.HostID)
	case e.RouteID != "":
		return string(e.RouteID)
	}
	return terminal.OrDash(e.CustomerID)
}

// followEvents prints events, a line each, until the context ends. A hub that
// cannot be reached is asked again: it may only be restarting.
func (a *app) followEvents(ctx context.Context, s *session, q url.Values) error {
	tick := time.NewTicker(followInterval)
	defer tick.Stop()
	var lost bool
	for {
		err := a.printEvents(list[json.RawMessage](ctx, s.Client, "events", q), q)
		switch refused := new(*APIError); {
		case ctx.Err() != nil:
			return nil
		case errors.As(err, refused), err != nil && !unreachable(err):
			return err
		case err != nil && !lost:
			a.out.Remark("felhom-hub: %s; asking again", oneLine(err.Error()))
		}
		lost = err != nil
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func unreachable(err error) bool { return errors.As(err, new(*url.Error)) }

// printEvents prints what there is and moves q behind the last of it.
func (a *app) printEvents(events iter.Seq2[json.RawMessage, error], q url.Values) error {
	for raw, err := range events {
		if err != nil {
			return err
		}
		var e messages.Event
		if err := json.Unmarshal(raw, &e); err != nil {
			return fmt.Errorf("decode an event: %w", err)
		}
		if err := a.printEvent(e, raw); err != nil {
			return err
		}
		q.Set("after", string(e.ID))
	}
	return nil
}

func (a *app) printEvent(e messages.Event, raw json.RawMessage) error {
	if a.json {
		return a.out.Line("%s", raw)
	}
	return a.out.Line("%s  %s  %s  %s", e.At.Local().Format(time.DateTime), a.out.Event(string(e.Type)), subjectOf(e), terminal.Clean(e.Summary))
}
