package command

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"felhom.eu/hub/terminal"
	"felhom.eu/messages"
)

// Controller is a controller as the admin API shows it.
type Controller struct {
	CustomerID      messages.CustomerID   `json:"customer_id"`
	ControllerID    messages.ControllerID `json:"controller_id"`
	GuestID         messages.GuestID      `json:"guest_id"`
	Version         string                `json:"version"`
	State           string                `json:"state"`
	StateSince      *time.Time            `json:"state_since"`
	LastReportAt    *time.Time            `json:"last_report_at"`
	IntervalSeconds int64                 `json:"interval_seconds"`
}

// CustomerKey is a key as the admin API shows it once.
type CustomerKey struct {
	CustomerID messages.CustomerID `json:"customer_id"`
	APIKey     messages.Secret     `json:"api_key"`
}

func (a *app) customerKeyCommand() *cobra.Command {
	return a.group("key", "Make and end the key by which a customer's controllers report",
		&cobra.Command{
			Use: "rotate CUSTOMER", Short: "Make a key; an old one ends when the new one is first used, or after a day",
			Args: idArg(messages.ParseCustomerID),
			RunE: a.ask(func(ctx context.Context, s *session, args []string) error {
				return told(ctx, a, s, http.MethodPost, "customers/"+args[0]+"/rotate-key", nil, a.printCustomerKey)
			}),
		},
		a.customerVerb("revoke", "End a customer's keys now", http.MethodPost, "/revoke-key", "has no valid key any more"),
	)
}

// printCustomerKey prints the key alone on its line: it is meant to be copied.
func (a *app) printCustomerKey(k CustomerKey) error {
	return a.out.Line("%s", k.APIKey.Reveal())
}

func (a *app) controllerCommand() *cobra.Command {
	return a.asks(a.group("controller", "See and remove the controllers in customers' guests",
		&cobra.Command{
			Use: "list CUSTOMER", Short: "List a customer's controllers and their state", Args: idArg(messages.ParseCustomerID),
			RunE: a.ask(func(ctx context.Context, s *session, args []string) error {
				path := "customers/" + args[0] + "/controllers"
				return show(a, list[Controller](ctx, s.Client, path, nil), list[json.RawMessage](ctx, s.Client, path, nil),
					a.controllerColumns(), "no controller yet; felhom-hub customer key rotate makes the key to report with")
			}),
		},
		&cobra.Command{
			Use: "show CUSTOMER CONTROLLER", Short: "Show one controller", Args: controllerArgs,
			RunE: a.ask(func(ctx context.Context, s *session, args []string) error {
				return told(ctx, a, s, http.MethodGet, controllerPath(args), nil, a.showController)
			}),
		},
		&cobra.Command{
			Use: "remove CUSTOMER CONTROLLER", Short: "Forget a controller; its events stay, and its next report makes it anew", Args: controllerArgs,
			RunE: a.ask(func(ctx context.Context, s *session, args []string) error {
				return told(ctx, a, s, http.MethodDelete, controllerPath(args), nil, func(struct{}) error {
					return a.out.Line("controller %s/%s removed", args[0], args[1])
				})
			}),
		},
	))
}

func controllerArgs(_ *cobra.Command, args []string) error {
	if len(args) != 2 {
		return fmt.Errorf("want two arguments, got %d", len(args))
	}
	if _, err := messages.ParseCustomerID(args[0]); err != nil {
		return err
	}
	_, err := messages.ParseControllerID(args[1])
	return err
}

func controllerPath(args []string) string { return "customers/" + args[0] + "/controllers/" + args[1] }

func (a *app) controllerColumns() []terminal.Column[Controller] {
	now := time.Now()
	return []terminal.Column[Controller]{
		{Title: "controller", Cell: func(c Controller) string { return string(c.ControllerID) }},
		{Title: "state", Cell: func(c Controller) string { return c.State }, Style: a.out.State},
		{Title: "last report", Cell: func(c Controller) string { return terminal.Ago(c.LastReportAt, now) }},
		{Title: "version", Cell: func(c Controller) string { return terminal.OrDash(c.Version) }},
		{Title: "guest", Cell: func(c Controller) string { return terminal.OrDash(string(c.GuestID)) }},
	}
}

func (a *app) showController(c Controller) error {
	now := time.Now()
	return a.out.Facts(
		terminal.Fact{Name: "controller", Value: string(c.ControllerID)},
		terminal.Fact{Name: "customer", Value: string(c.CustomerID)},
		terminal.Fact{Name: "guest", Value: string(c.GuestID)},
		terminal.Fact{Name: "version", Value: c.Version},
		terminal.Fact{Name: "state", Value: c.State, Style: a.out.State},
		terminal.Fact{Name: "since", Value: terminal.Ago(c.StateSince, now)},
		terminal.Fact{Name: "last report", Value: terminal.Ago(c.LastReportAt, now)},
	)
}
