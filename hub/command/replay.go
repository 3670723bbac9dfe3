package command

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"felhom.eu/hub/terminal"
	"felhom.eu/messages"
)

// replaying is how a replay was asked for.
type replaying struct {
	since, until, customer, host, rules, stale, down string
	changes                                          bool
}

// replayCommand tells the past once more.
func (a *app) replayCommand() *cobra.Command {
	var r replaying
	cmd := &cobra.Command{
		Use:   "replay",
		Short: "Run stored reports through the rules again, and compare what would have been told",
		Long: "Run the stored reports of a stretch of the past through the rules once more, on its own\n" +
			"clock, and show which messages would have been sent, to whom, and when, beside what was\n" +
			"really sent. With other thresholds it shows what these would have meant.\n\n" +
			"  same    told then, and in the replay     replay  only in the replay\n" +
			"  partly  a message of both kinds          then    only then\n\n" +
			"The hub goes on meanwhile; it runs one replay at a time, on half a processor at most.\n" +
			"--rules names a JSON file of settings that replace those of today:\n\n" +
			`  {"stale_seconds": 2400, "down_seconds": 5400,` + "\n" +
			`   "customers": {"acme": {"storage_warning_ratio": 0.9}}, "hosts": {"acme-7f3a90c1": {"disabled_rules": ["backup"]}}}`,
		Example: "  felhom-hub replay --since 30d\n  felhom-hub replay --since 30d --customer acme --stale 45m --down 90m --changes",
		Args: func(cmd *cobra.Command, args []string) error {
			_, err := r.query(time.Now())
			return errors.Join(err, cobra.NoArgs(cmd, args))
		},
		RunE: a.ask(func(ctx context.Context, s *session, _ []string) error {
			q, err := r.query(time.Now())
			if err != nil {
				return Usage(err)
			}
			return a.replay(ctx, s, q, r.changes)
		}),
	}
	f := cmd.Flags()
	f.StringVar(&r.since, "since", "30d", "from `WHEN` on: an age such as 30d or 12h, or an instant such as 2026-06-08T14:20:09Z")
	f.StringVar(&r.until, "until", "", "up to `WHEN`; an age or an instant (default: now)")
	f.StringVar(&r.customer, "customer", "", "only hosts of `CUSTOMER`")
	f.StringVar(&r.host, "host", "", "only `HOST`")
	f.StringVar(&r.rules, "rules", "", "`FILE` with settings to try")
	f.StringVar(&r.stale, "stale", "", "a host is stale after `AGE` of silence, such as 45m")
	f.StringVar(&r.down, "down", "", "and down after `AGE`")
	f.BoolVar(&r.changes, "changes", false, "leave out what is the same")
	return a.asks(cmd)
}

func (r *replaying) query(now time.Time) (q messages.ReplayQuery, err error) {
	if q.Since, err = whenOf(r.since, now); err != nil {
		return q, fmt.Errorf("--since: %w", err)
	}
	if r.until != "" {
		if q.Until, err = whenOf(r.until, now); err != nil {
			return q, fmt.Errorf("--until: %w", err)
		}
	}
	if r.customer != "" {
		if q.CustomerID, err = messages.ParseCustomerID(r.customer); err != nil {
			return q, fmt.Errorf("--customer: %w", err)
		}
	}
	if r.host != "" {
		if q.HostID, err = messages.ParseHostID(r.host); err != nil {
			return q, fmt.Errorf("--host: %w", err)
		}
	}
	if r.rules != "" {
		if q.Rules, err = readRules(r.rules); err != nil {
			return q, err
		}
	}
	for text, seconds := range map[string]*int{r.stale: &q.Rules.StaleSeconds, r.down: &q.Rules.DownSeconds} {
		if text == "" {
			continue
		}
		d, err := spanOf(text)
		if err != nil || d < time.Second {
			return q, fmt.Errorf("--stale, --down: %q: want an age, such as 45m", text)
		}
		*seconds = int(d.Seconds())
	}
	return q, nil
}

// whenOf reads an instant, or how long ago it was.
func whenOf(text string, now time.Time) (time.Time, error) {
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t.UTC(), nil
	}
	d, err := spanOf(text)
	if err != nil || d < 0 {
		return time.Time{}, fmt.Errorf("%q: want an age, such as 30d, or an instant, such as 2026-06-08T14:20:09Z", text)
	}
	return now.Add(-d).UTC(), nil
}

func readRules(file string) (r messages.ReplayRules, err error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return r, fmt.Errorf("read rules: %w", err)
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		return r, fmt.Errorf("read rules from %s: %w", file, err)
	}
	return r, nil
}

func (a *app) replay(ctx context.Context, s *session, q messages.ReplayQuery, changes bool) error {
	var told []messages.ReplayedMessage
	for l, err := range lines[messages.ReplayLine](ctx, s.Client, "replay", q) {
		if err != nil {
			return err
		}
		v := &l.value
		if a.json && v.Progress == nil && (v.Message == nil || !changes || v.Message.Verdict != messages.ReplaySame) {
			if err := a.out.Line("%s", l.raw); err != nil {
				return err
			}
		}
		switch {
		case v.Error != nil:
			return failedLine(v.Error)
		case v.Progress != nil && a.out.IsTerminal():
			a.out.Remark("%s  %d reports", v.Progress.At.Format(time.DateTime), v.Progress.Reports)
		case v.Message != nil && (!changes || v.Message.Verdict != messages.ReplaySame):
			told = append(told, *v.Message)
		case v.Summary != nil && a.json:
			return nil
		case v.Summary != nil:
			if err := terminal.Tabulate(a.out, a.replayColumns(), terminal.All(flat(told)), "no message"); err != nil {
				return err
			}
			return a.printReplay(v.Summary)
		}
	}
	return errBroken
}

// toldLine is an event of a message: the first of each names the message.
type toldLine struct {
	*messages.ReplayedMessage
	event messages.ToldEvent
	first bool
}

func flat(all []messages.ReplayedMessage) (lines []toldLine) {
	for i := range all {
		for j, e := range all[i].Events {
			lines = append(lines, toldLine{&all[i], e, j == 0})
		}
	}
	return lines
}

func (a *app) replayColumns() []terminal.Column[toldLine] {
	once := func(of func(toldLine) string) func(toldLine) string {
		return func(l toldLine) string {
			if !l.first {
				return ""
			}
			return of(l)
		}
	}
	verdict := func(s string) string {
		switch messages.ReplayVerdict(strings.TrimSpace(s)) {
		case messages.ReplayNew:
			return a.out.Yellow(s)
		case messages.ReplayThen:
			return a.out.Red(s)
		}
		return a.out.Dim(s)
	}
	return []terminal.Column[toldLine]{
		{Title: "message", Cell: once(func(l toldLine) string { return l.At.Format(time.DateTime) })},
		{Title: "route", Cell: once(func(l toldLine) string { return string(l.RouteID) })},
		{Title: "told", Cell: func(l toldLine) string { return string(l.event.Verdict) }, Style: verdict},
		{Title: "event", Cell: func(l toldLine) string { return string(l.event.Type) }, Style: a.out.Event},
		{Title: "what", Cell: func(l toldLine) string { return l.event.Summary }},
	}
}

func (a *app) printReplay(s *messages.ReplaySummary) error {
	if err := a.out.Line("\n%d messages in the replay, %d then; events told: %d the same, %d only in the replay, %d only then",
		s.Messages.Replay, s.Messages.Then, s.Events.Same, s.Events.Replay, s.Events.Then); err != nil {
		return err
	}
	a.out.Remark("%d reports of %d hosts, from %s to %s", s.Reports, s.Hosts, s.Since.Format(time.DateTime), s.Until.Format(time.DateTime))
	for _, n := range s.Notes {
		a.out.Remark("note: %s", terminal.Clean(n))
	}
	return nil
}
