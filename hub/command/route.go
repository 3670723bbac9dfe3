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

func parseRouteID(s string) (messages.RouteID, error) {
	return messages.ParseULID[messages.RouteID]("route_id", s)
}

func (a *app) routeCommand() *cobra.Command {
	return a.asks(a.group("route", "Say where notifications go",
		a.routeAddCommand(),
		a.routeSetCommand(),
		&cobra.Command{
			Use: "list", Short: "List routes", Args: cobra.NoArgs,
			RunE: a.ask(func(ctx context.Context, s *session, _ []string) error {
				return show(a, list[Route](ctx, s.Client, "routes", nil),
					list[json.RawMessage](ctx, s.Client, "routes", nil), routeColumns(),
					"no route: nobody is told; felhom-hub route add makes one")
			}),
		},
		&cobra.Command{
			Use: "test ROUTE", Short: "Send one notification now and show the answer", Args: idArg(parseRouteID),
			RunE: a.ask(func(ctx context.Context, s *session, args []string) error {
				return told(ctx, a, s, http.MethodPost, "routes/"+args[0]+"/test", nil, a.printTested)
			}),
		},
		&cobra.Command{
			Use: "remove ROUTE", Short: "Remove a route", Args: idArg(parseRouteID),
			RunE: a.ask(func(ctx context.Context, s *session, args []string) error {
				return told(ctx, a, s, http.MethodDelete, "routes/"+args[0], nil, func(struct{}) error {
					return a.out.Line("route %s removed", args[0])
				})
			}),
		},
	))
}

func (a *app) routeAddCommand() *cobra.Command {
	var customer string
	var flags routeFlags
	cmd := &cobra.Command{
		Use:   "add URL",
		Short: "Make a route: a webhook, or mail, ntfy, Telegram and others",
		Long: "Make a route. An https:// URL is a webhook: notifications are POSTed to it, signed the\n" +
			"Standard Webhooks way. Any other is a service that shoutrrr names, such as\n\n" +
			"  smtp://USER:PASSWORD@mail.example.com:587/?from=felhom@example.com&to=you@example.com\n" +
			"  ntfy://ntfy.sh/TOPIC\n" +
			"  telegram://TOKEN@telegram?chats=CHAT\n\n" +
			"Without --customer the route hears of every customer's hosts.",
		Args: cobra.ExactArgs(1),
		RunE: a.ask(func(ctx context.Context, s *session, args []string) error {
			body, err := flags.values()
			if err != nil {
				return err
			}
			body["kind"], body["url"] = routeKind(args[0]), args[0]
			if customer != "" {
				body["customer_id"] = customer
			}
			return told(ctx, a, s, http.MethodPost, "routes", body, a.printAddedRoute)
		}),
	}
	cmd.Flags().StringVar(&customer, "customer", "", "only what concerns `CUSTOMER`")
	flags.add(cmd.Flags())
	return cmd
}

// routeKind is what a URL means: a service that is no web page is one of shoutrrr's.
func routeKind(url string) messages.RouteKind {
	if scheme, _, _ := strings.Cut(strings.ToLower(url), ":"); scheme == "https" || scheme == "http" {
		return messages.RouteWebhook
	}
	return messages.RouteShoutrrr
}

func (a *app) printAddedRoute(r Route) error {
	facts := []terminal.Fact{{Name: "route_id", Value: string(r.ID)}, {Name: "url", Value: r.URL}}
	once := ""
	if r.Secret != "" {
		facts = append(facts, terminal.Fact{Name: "secret", Value: r.Secret})
		once = "The secret is shown this once. "
	}
	if err := a.out.Facts(facts...); err != nil {
		return err
	}
	return a.out.Line("\n%sTry the route: felhom-hub route test %s", once, r.ID)
}

// printTested fails when the far end did not take the notification, so that a
// script sees it.
func (a *app) printTested(t RouteAnswer) error {
	took := time.Duration(t.DurationMS) * time.Millisecond
	if t.OK {
		return a.out.Line("delivered: the far end answered %d in %s", t.StatusCode, took)
	}
	if t.StatusCode == 0 {
		return fmt.Errorf("not delivered after %s: %s", took, t.Error)
	}
	err := fmt.Errorf("not delivered: the far end answered %d in %s", t.StatusCode, took)
	if t.Answer == "" {
		return err
	}
	return Hint(err, "it said: %s", t.Answer)
}

func routeColumns() []terminal.Column[Route] {
	return []terminal.Column[Route]{
		{Title: "route", Cell: func(r Route) string { return string(r.ID) }},
		{Title: "customer", Cell: func(r Route) string {
			if r.CustomerID == "" {
				return "(all)"
			}
			return string(r.CustomerID)
		}},
		{Title: "kind", Cell: func(r Route) string { return string(r.Kind) }},
		{Title: "url", Cell: func(r Route) string { return r.URL }},
		{Title: "name", Cell: func(r Route) string { return terminal.OrDash(r.Name) }},
		{Title: "hears", Cell: routeInWords},
	}
}

func joined[T ~string](words []T) string {
	var b strings.Builder
	for i, w := range words {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(string(w))
	}
	return b.String()
}
