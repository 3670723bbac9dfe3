package command

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"felhom.eu/hub/terminal"
	"felhom.eu/messages"
)

// drillCommand tries the whole chain from an event to a phone.
func (a *app) drillCommand() *cobra.Command {
	var route string
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "drill CUSTOMER|HOST",
		Short: "Walk a marked test outage through the whole chain to the phone",
		Long: "Tell of an outage that is none, and of its end: an event and its deliveries are made\n" +
			"durable, the routes take them and send them, marked as a test, and the delay of each step\n" +
			"is shown. Nothing else knows of it: no host's state, no figure, no open alarm.\n" +
			"Fails when a route gives no good answer in time.",
		Example: "  felhom-hub drill acme-7f3a90c1\n  felhom-hub drill acme --route 01JZ0000000000000000000002 --timeout 10s",
		Args: func(cmd *cobra.Command, args []string) error {
			if timeout < time.Second || timeout > time.Minute {
				return fmt.Errorf("--timeout %s: want 1s to 1m", timeout)
			}
			if _, err := parseRouteID(route); route != "" && err != nil {
				return fmt.Errorf("--route: %w", err)
			}
			return onlyOwner(cmd, args)
		},
		RunE: a.ask(func(ctx context.Context, s *session, args []string) error {
			q := messages.DrillQuery{RouteID: messages.RouteID(route), TimeoutSeconds: int(timeout.Seconds())}
			if id, err := messages.ParseHostID(args[0]); err == nil {
				q.HostID = id
			} else {
				q.CustomerID = messages.CustomerID(args[0])
			}
			return a.drill(ctx, s, q)
		}),
	}
	cmd.Flags().StringVar(&route, "route", "", "only `ROUTE`, in place of all that would hear of an outage")
	cmd.Flags().DurationVar(&timeout, "timeout", 30*time.Second, "how long a route may take to answer each message")
	return a.asks(cmd)
}

func (a *app) drill(ctx context.Context, s *session, q messages.DrillQuery) error {
	if !a.json {
		if err := a.out.Line("%s", a.out.Bold(fmt.Sprintf("%-10s  %-8s  %10s  %-26s  %s", "PART", "STEP", "AFTER", "ROUTE", "ANSWER"))); err != nil {
			return err
		}
	}
	for l, err := range lines[messages.DrillLine](ctx, s.Client, "drill", q) {
		if err != nil {
			return err
		}
		if a.json {
			if err := a.out.Line("%s", l.raw); err != nil {
				return err
			}
		}
		switch {
		case l.value.Error != nil:
			return failedLine(l.value.Error)
		case l.value.Result != nil:
			return a.drilled(l.value.Result)
		case l.value.Step != nil && !a.json:
			if err := a.printStep(l.value.Step); err != nil {
				return err
			}
		}
	}
	return errBroken
}

func (a *app) printStep(x *messages.DrillStep) error {
	answer := ""
	if x.Step == messages.DrillAnswered {
		if answer = a.out.Green("ok"); !x.OK {
			answer = a.out.Red("refused")
		}
		if x.StatusCode != 0 {
			answer += fmt.Sprintf(" %d", x.StatusCode)
		}
		if !x.OK && x.Answer != "" {
			answer += ": " + terminal.Clean(x.Answer)
		}
	}
	part := map[messages.EventType]string{messages.Drill: "outage", messages.DrillOver: "recovery"}[x.Part]
	return a.out.Line("%-10s  %-8s  %7.1f ms  %-26s  %s", part, terminal.Clean(string(x.Step)), x.AfterMS, terminal.Clean(string(x.RouteID)), answer)
}

func (a *app) drilled(r *messages.DrillResult) error {
	bad := 0
	for _, x := range r.Routes {
		if !x.OK {
			bad++
			a.out.Remark("route %s: %s", terminal.Clean(string(x.RouteID)), terminal.Clean(x.Problem))
		}
	}
	switch {
	case bad > 0:
		return Hint(fmt.Errorf("%d of %d routes gave no good answer", bad, len(r.Routes)), "try one alone with `felhom-hub route test ROUTE`")
	case !r.OK:
		return errors.New("the drill failed")
	case a.json:
		return nil
	}
	return a.out.Line("%d routes took the outage and its end", len(r.Routes))
}
