package command

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/spf13/cobra"

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
					return a.out.line("customer %s added; next: felhom-hub host mint %s", c.ID, c.ID)
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
		a.customerVerb("remove", "Remove a customer that has no hosts", http.MethodDelete, "", "removed"),
	))
}

// customerVerb is a command that does one thing to one customer.
func (a *app) customerVerb(verb, short, method, suffix, done string) *cobra.Command {
	return &cobra.Command{
		Use: verb + " CUSTOMER", Short: short, Args: idArg(messages.ParseCustomerID),
		RunE: a.ask(func(ctx context.Context, s *session, args []string) error {
			return told(ctx, a, s, method, "customers/"+args[0]+suffix, nil, func(struct{}) error {
				return a.out.line("customer %s %s", args[0], done)
			})
		}),
	}
}

func (a *app) customerColumns() []column[messages.Customer] {
	now := time.Now()
	return []column[messages.Customer]{
		{title: "customer", cell: func(c messages.Customer) string { return string(c.ID) }},
		{title: "name", cell: func(c messages.Customer) string { return orDash(c.DisplayName) }},
		{title: "status", cell: func(c messages.Customer) string { return a.out.state(customerStatus(c)) }},
		{title: "created", cell: func(c messages.Customer) string { return ago(&c.CreatedAt, now) }},
	}
}

func (a *app) showCustomer(c messages.Customer) error {
	return a.out.pairs(
		[2]string{"customer", string(c.ID)},
		[2]string{"name", c.DisplayName},
		[2]string{"status", a.out.state(customerStatus(c))},
		[2]string{"created", ago(&c.CreatedAt, time.Now())},
	)
}

func customerStatus(c messages.Customer) string {
	if c.Blocked {
		return "blocked"
	}
	return "active"
}

// idArg wants exactly one argument, which parse accepts.
func idArg[T ~string](parse func(string) (T, error)) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) != 1 {
			return fmt.Errorf("want one argument, got %d", len(args))
		}
		_, err := parse(args[0])
		return err
	}
}

// told asks the hub one question and hands its answer to print, or prints it
// as it came with --json. A hub that answers without a body is answered for
// with {}, so that whoever decodes the output finds a document.
func told[T any](ctx context.Context, a *app, s *session, method, path string, body any, print func(T) error) error {
	raw, err := call[json.RawMessage](ctx, s.Client, method, path, body)
	if err != nil {
		return err
	}
	if len(raw) == 0 {
		raw = json.RawMessage("{}")
	}
	if a.json {
		return a.out.document(raw)
	}
	var answer T
	if err := json.Unmarshal(raw, &answer); err != nil {
		return fmt.Errorf("decode the hub's answer to %s %s: %w", method, path, err)
	}
	return print(answer)
}
