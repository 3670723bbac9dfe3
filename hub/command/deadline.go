package command

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"felhom.eu/hub/terminal"
	"felhom.eu/messages"
)

// Deadline is a deadline as the admin API shows it.
type Deadline struct {
	messages.Deadline
	NextAt time.Time `json:"next_at"`
}

func (a *app) deadlineCommand() *cobra.Command {
	return a.asks(a.group("deadline", "Ask for a report or a backup by a time of day",
		a.deadlineAddCommand(),
		&cobra.Command{
			Use: "list CUSTOMER", Short: "List a customer's deadlines", Args: idArg(messages.ParseCustomerID),
			RunE: a.ask(func(ctx context.Context, s *session, args []string) error {
				path := "customers/" + args[0] + "/deadlines"
				return show(a, list[Deadline](ctx, s.Client, path, nil), list[json.RawMessage](ctx, s.Client, path, nil),
					deadlineColumns(), "no deadline yet; felhom-hub deadline add makes one")
			}),
		},
		&cobra.Command{
			Use: "remove CUSTOMER DEADLINE", Short: "Remove a deadline; its events stay",
			Args: func(_ *cobra.Command, args []string) error {
				if len(args) != 2 {
					return fmt.Errorf("want two arguments, got %d", len(args))
				}
				_, err := messages.ParseULID[messages.DeadlineID]("deadline", args[1])
				return err
			},
			RunE: a.ask(func(ctx context.Context, s *session, args []string) error {
				path := "customers/" + args[0] + "/deadlines/" + args[1]
				return told(ctx, a, s, http.MethodDelete, path, nil, func(struct{}) error {
					return a.out.Line("deadline %s removed", args[1])
				})
			}),
		},
	))
}

func (a *app) deadlineAddCommand() *cobra.Command {
	var name, at, zone, days string
	var grace int64
	cmd := &cobra.Command{
		Use: "add CUSTOMER controller|host|backup SUBJECT", Short: "Ask for something by a time of day",
		Long: "Ask for a report of a controller or a host, or for a good backup of a guest (HOST/VMID) or of\n" +
			"every guest of a host, by a time of day. Where clocks change it is reckoned by the clock before\n" +
			"the change: of an hour that is skipped it comes as much later, of one that is repeated the first time.",
		Example: "  felhom-hub deadline add acme controller web --at 06:00 --zone Europe/Budapest --days weekdays\n" +
			"  felhom-hub deadline add acme backup acme-7f3a90c1/101 --at 06:00 --zone Europe/Budapest",
		Args: cobra.ExactArgs(3),
		RunE: a.ask(func(ctx context.Context, s *session, args []string) error {
			if name == "" {
				name = args[1] + " by " + at
			}
			body := map[string]any{"name": name, "time": at, "time_zone": zone, "weekdays": weekdays(days),
				"expect": args[1], "subject": args[2], "grace_seconds": grace}
			return told(ctx, a, s, http.MethodPost, "customers/"+args[0]+"/deadlines", body, func(d Deadline) error {
				return a.out.Line("deadline %s added; it comes next at %s", d.ID, d.NextAt.Format(time.RFC3339))
			})
		}),
	}
	cmd.Flags().StringVar(&name, "name", "", "what messages call it (`NAME`)")
	cmd.Flags().StringVar(&at, "at", "", "time of day, as `06:00`")
	cmd.Flags().StringVar(&zone, "zone", "UTC", "time zone, as `Europe/Budapest`")
	cmd.Flags().StringVar(&days, "days", "", "`DAYS`: weekdays, or a list as mon,wed,fri (default: every day)")
	cmd.Flags().Int64Var(&grace, "grace-seconds", messages.DefaultDeadlineGrace, "`SECONDS` for which it is waited behind the deadline")
	_ = cmd.MarkFlagRequired("at")
	return cmd
}

func weekdays(days string) []string {
	switch days {
	case "":
		return []string{}
	case "weekdays":
		return []string{"mon", "tue", "wed", "thu", "fri"}
	}
	return strings.Split(days, ",")
}

func deadlineColumns() []terminal.Column[Deadline] {
	return []terminal.Column[Deadline]{
		{Title: "deadline", Cell: func(d Deadline) string { return string(d.ID) }},
		{Title: "name", Cell: func(d Deadline) string { return d.Name }},
		{Title: "expects", Cell: func(d Deadline) string { return string(d.Expect) + " " + d.Subject }},
		{Title: "by", Cell: func(d Deadline) string {
			return strings.TrimSpace(d.Time + " " + d.TimeZone + " " + strings.Join(d.Weekdays, ","))
		}},
		{Title: "next", Cell: func(d Deadline) string { return d.NextAt.Format(time.RFC3339) }},
		{Title: "missed", Cell: func(d Deadline) string {
			if d.MissedAt.IsZero() {
				return "-"
			}
			return d.MissedAt.Format(time.RFC3339)
		}},
	}
}
