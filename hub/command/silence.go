package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"felhom.eu/hub/terminal"
	"felhom.eu/messages"
)

// Silence is a silence as the admin API shows it.
type Silence struct {
	messages.Silence
	State     messages.SilenceState `json:"state"`
	ChangesAt time.Time             `json:"changes_at"` // zero: never again
}

func (a *app) silenceCommand() *cobra.Command {
	return a.asks(a.group("silence", "Keep quiet about hosts that are worked on",
		a.silenceAddCommand(),
		a.silenceListCommand(),
		&cobra.Command{
			Use: "end SILENCE", Short: "End a silence now; what is still wrong is told", Args: idArg(parseSilenceID),
			RunE: a.ask(func(ctx context.Context, s *session, args []string) error {
				return told(ctx, a, s, http.MethodDelete, "silences/"+args[0], nil, func(struct{}) error {
					return a.out.Line("silence %s ended", args[0])
				})
			}),
		},
	))
}

func parseSilenceID(s string) (messages.SilenceID, error) {
	return messages.ParseULID[messages.SilenceID]("silence_id", s)
}

// newSilence is a silence as it is asked for.
type newSilence struct {
	Scope           messages.Scope `json:"scope"`
	Reason          string         `json:"reason"`
	StartsAt        *time.Time     `json:"starts_at,omitempty"`
	EndsAt          *time.Time     `json:"ends_at,omitempty"`
	DurationSeconds int64          `json:"duration_seconds,omitempty"`
	Schedule        string         `json:"schedule,omitempty"`
	TimeZone        string         `json:"time_zone,omitempty"`
}

func (a *app) silenceAddCommand() *cobra.Command {
	var in newSilence
	var from, until string
	var lasting time.Duration
	cmd := &cobra.Command{
		Use: "add HOST|CUSTOMER|site:NAME|fleet", Short: "Silence a host, a customer, a site or all of them",
		Long: "What goes wrong meanwhile is recorded, and not told; what is still wrong at the end is told then.\n" +
			"With --cron it begins again and again, and lasts --for each time.",
		Example: "  felhom-hub silence add acme-7f3a90c1 --for 2h --reason 'new disks'\n" +
			"  felhom-hub silence add site:vienna --until '2026-06-08 22:00' --reason 'power works'\n" +
			"  felhom-hub silence add acme --cron '0 3 * * 0' --tz Europe/Budapest --for 2h --reason updates",
		Args: func(_ *cobra.Command, args []string) (err error) {
			if len(args) != 1 {
				return fmt.Errorf("want one argument, got %d", len(args))
			}
			if in.Scope, err = parseScope(args[0]); err == nil && in.Reason == "" {
				err = errors.New("--reason: say why, for those who wonder later")
			}
			return err
		},
		RunE: a.ask(func(ctx context.Context, s *session, _ []string) (err error) {
			now := time.Now()
			if in.StartsAt, err = moment("--from", from, now); err != nil {
				return err
			}
			if in.EndsAt, err = moment("--until", until, now); err != nil {
				return err
			}
			if lasting == 0 && (until == "" || in.Schedule != "") {
				return Usage(errors.New("--for: say for how long, such as 2h, or until when with --until"))
			}
			in.DurationSeconds = int64(lasting.Seconds())
			return told(ctx, a, s, http.MethodPost, "silences", in, func(s Silence) error {
				return a.out.Line("silence %s of %s added; %s", s.ID, scopeInWords(s.Scope), changeInWords(s, now))
			})
		}),
	}
	f := cmd.Flags()
	f.DurationVar(&lasting, "for", 0, "how long (`DURATION`), such as 2h; with --cron: each time")
	f.StringVar(&until, "until", "", "until `TIME`: 22:00, '2026-06-08 22:00' or 2026-06-08T22:00:00Z")
	f.StringVar(&from, "from", "", "from `TIME` on (default: now)")
	f.StringVar(&in.Reason, "reason", "", "why, for those who wonder later (`TEXT`)")
	f.StringVar(&in.Schedule, "cron", "", "when it begins, as five `FIELDS` of crontab, such as '0 3 * * 0'")
	f.StringVar(&in.TimeZone, "tz", "", "time zone of --cron (`NAME`), such as Europe/Budapest (default: UTC)")
	return cmd
}

// parseScope reads what a silence is of. A customer that is called like a host, or fleet,
// is customer:NAME.
func parseScope(s string) (messages.Scope, error) {
	kind, id, named := strings.Cut(s, ":")
	switch {
	case s == "fleet":
		return messages.Scope{Kind: messages.ScopeFleet}, nil
	case named && (kind == "host" || kind == "customer" || kind == "site"):
		return messages.Scope{Kind: messages.ScopeKind(kind), ID: id}, nil
	}
	if _, err := messages.ParseHostID(s); err == nil {
		return messages.Scope{Kind: messages.ScopeHost, ID: s}, nil
	}
	if _, err := messages.ParseCustomerID(s); err == nil {
		return messages.Scope{Kind: messages.ScopeCustomer, ID: s}, nil
	}
	return messages.Scope{}, fmt.Errorf("%q: want a host, a customer, site:NAME or fleet", s)
}

func scopeInWords(s messages.Scope) string {
	switch s.Kind {
	case messages.ScopeFleet:
		return "the fleet"
	case messages.ScopeSite:
		return "site " + s.ID
	}
	return s.ID
}

// moment reads an instant as people write it, on this machine's clock; nil when none is
// given. A time of day is the next to come.
func moment(flag, text string, now time.Time) (*time.Time, error) {
	if text == "" {
		return nil, nil
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return &t, nil
	}
	if t, err := time.ParseInLocation("2006-01-02 15:04", text, now.Location()); err == nil {
		return &t, nil
	}
	clock, err := time.Parse("15:04", text)
	if err != nil {
		return nil, Usage(fmt.Errorf("%s %q: want 22:00, '2026-06-08 22:00' or 2026-06-08T22:00:00Z", flag, text))
	}
	year, month, day := now.Date()
	t := time.Date(year, month, day, clock.Hour(), clock.Minute(), 0, 0, now.Location())
	if !t.After(now) {
		t = time.Date(year, month, day+1, clock.Hour(), clock.Minute(), 0, 0, now.Location())
	}
	return &t, nil
}

func (a *app) silenceListCommand() *cobra.Command {
	var state string
	cmd := &cobra.Command{
		Use: "list", Short: "List silences",
		Args: func(cmd *cobra.Command, args []string) error {
			switch messages.SilenceState(state) {
			case "", messages.SilenceActive, messages.SilenceUpcoming, messages.SilencePast:
				return cobra.NoArgs(cmd, args)
			}
			return fmt.Errorf("--state %q: want active, upcoming or past", state)
		},
		RunE: a.ask(func(ctx context.Context, s *session, _ []string) error {
			q := filter("state", state)
			return show(a, list[Silence](ctx, s.Client, "silences", q), list[json.RawMessage](ctx, s.Client, "silences", q),
				a.silenceColumns(time.Now()), "no such silence; felhom-hub silence add makes one")
		}),
	}
	cmd.Flags().StringVar(&state, "state", "", "only silences that are `STATE`: active, upcoming or past")
	return cmd
}

func (a *app) silenceColumns(now time.Time) []terminal.Column[Silence] {
	return []terminal.Column[Silence]{
		{Title: "silence", Cell: func(s Silence) string { return string(s.ID) }},
		{Title: "of", Cell: func(s Silence) string { return scopeInWords(s.Scope) }},
		{Title: "state", Cell: func(s Silence) string { return string(s.State) }, Style: a.out.State},
		{Title: "then", Cell: func(s Silence) string { return changeInWords(s, now) }},
		{Title: "recurs", Cell: recurrence},
		{Title: "reason", Cell: func(s Silence) string { return s.Reason }},
		{Title: "by", Cell: func(s Silence) string { return s.CreatedBy }},
	}
}

// changeInWords is what comes next of a silence.
func changeInWords(s Silence, now time.Time) string {
	switch s.State {
	case messages.SilenceActive:
		if s.ChangesAt.IsZero() {
			return "has no end"
		}
		return "ends in " + terminal.InWords(s.ChangesAt.Sub(now))
	case messages.SilenceUpcoming:
		return "begins in " + terminal.InWords(s.ChangesAt.Sub(now))
	}
	return "ended " + terminal.Ago(&s.EndsAt, now)
}

func recurrence(s Silence) string {
	if s.Schedule == "" {
		return "-"
	}
	zone := s.TimeZone
	if zone == "" {
		zone = "UTC"
	}
	return fmt.Sprintf("%s %s for %s", s.Schedule, zone, terminal.InWords(time.Duration(s.DurationSeconds)*time.Second))
}
