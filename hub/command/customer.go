package command

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"felhom.eu/hub/terminal"
	"felhom.eu/messages"
)

func (a *app) customerCommand() *cobra.Command {
	var name string
	add := &cobra.Command{
		Use:   "add CUSTOMER",
		Short: "Make a customer",
		Args:  idArg(messages.ParseCustomerID),
		RunE: a.ask(func(ctx context.Context, s *session, args []string) error {
			return told(ctx, a, s, http.MethodPost, "customers",
				map[string]string{"customer_id": args[0], "display_name": name},
				func(c messages.Customer) error {
					return a.out.Line("customer %s added; next: felhom-hub host mint %s", c.ID, c.ID)
				})
		}),
	}
	add.Flags().StringVar(&name, "name", "", "the customer's `NAME` for people")
	return a.asks(a.group("customer", "Make, show and block customers",
		add,
		&cobra.Command{
			Use: "list", Short: "List customers", Args: cobra.NoArgs,
			RunE: a.ask(func(ctx context.Context, s *session, _ []string) error {
				return show(a, list[messages.Customer](ctx, s.Client, "customers", nil),
					list[json.RawMessage](ctx, s.Client, "customers", nil), a.customerColumns(),
					"no customer yet; felhom-hub customer add makes one")
			}),
		},
		&cobra.Command{
			Use: "show CUSTOMER", Short: "Show one customer", Args: idArg(messages.ParseCustomerID),
			RunE: a.ask(func(ctx context.Context, s *session, args []string) error {
				return told(ctx, a, s, http.MethodGet, "customers/"+args[0], nil, a.showCustomer)
			}),
		},
		a.customerVerb("block", "Tell a customer's agents that it is blocked", http.MethodPost, "/block", "blocked"),
		a.customerVerb("unblock", "Lift a block", http.MethodPost, "/unblock", "unblocked"),
		a.customerVerb("remove", "Remove a customer that has no hosts, and its controllers", http.MethodDelete, "", "removed"),
		a.availabilityCommand("CUSTOMER", "customers", "Show how much of each month a customer's hosts could be heard", idArg(messages.ParseCustomerID)),
		a.customerKeyCommand(),
	))
}

// customerVerb is a command that does one thing to one customer.
func (a *app) customerVerb(verb, short, method, suffix, done string) *cobra.Command {
	return &cobra.Command{
		Use: verb + " CUSTOMER", Short: short, Args: idArg(messages.ParseCustomerID),
		RunE: a.ask(func(ctx context.Context, s *session, args []string) error {
			return told(ctx, a, s, method, "customers/"+args[0]+suffix, nil, func(struct{}) error {
				return a.out.Line("customer %s %s", args[0], done)
			})
		}),
	}
}

func (a *app) customerColumns() []terminal.Column[messages.Customer] {
	now := time.Now()
	return []terminal.Column[messages.Customer]{
		{Title: "customer", Cell: func(c messages.Customer) string { return string(c.ID) }},
		{Title: "name", Cell: func(c messages.Customer) string { return terminal.OrDash(c.DisplayName) }},
		{Title: "status", Cell: func(c messages.Customer) string { return customerStatus(c) }, Style: a.out.State},
		{Title: "created", Cell: func(c messages.Customer) string { return terminal.Ago(&c.CreatedAt, now) }},
	}
}

func (a *app) showCustomer(c messages.Customer) error {
	return a.out.Facts(
		terminal.Fact{Name: "customer", Value: string(c.ID)},
		terminal.Fact{Name: "name", Value: c.DisplayName},
		terminal.Fact{Name: "status", Value: customerStatus(c), Style: a.out.State},
		terminal.Fact{Name: "created", Value: terminal.Ago(&c.CreatedAt, time.Now())},
	)
}

func customerStatus(c messages.Customer) string {
	if c.Blocked {
		return "blocked"
	}
	return "active"
}
