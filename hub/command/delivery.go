package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"felhom.eu/hub/terminal"
	"felhom.eu/messages"
)

func (a *app) deliveryCommand() *cobra.Command {
	var state string
	lister := &cobra.Command{
		Use: "list", Short: "List deliveries, newest first",
		Args: func(cmd *cobra.Command, args []string) error {
			switch messages.DeliveryState(state) {
			case "", messages.DeliveryPending, messages.DeliverySent, messages.DeliveryDead:
				return cobra.NoArgs(cmd, args)
			}
			return fmt.Errorf("--state %q: want pending, sent or dead", state)
		},
		RunE: a.ask(func(ctx context.Context, s *session, _ []string) error {
			q := filter("state", state)
			return show(a, list[messages.Delivery](ctx, s.Client, "deliveries", q),
				list[json.RawMessage](ctx, s.Client, "deliveries", q), a.deliveryColumns(), "no such delivery")
		}),
	}
	lister.Flags().StringVar(&state, "state", "", "only deliveries that are `STATE`: pending, sent or dead")
	return a.asks(a.group("delivery", "See what was told, and tell it again",
		lister,
		&cobra.Command{
			Use: "show DELIVERY", Short: "Show what a delivery tells, and what the far end said", Args: idArg(parseDeliveryID),
			RunE: a.ask(func(ctx context.Context, s *session, args []string) error {
				return told(ctx, a, s, http.MethodGet, "deliveries/"+args[0], nil, a.showDelivery)
			}),
		},
		&cobra.Command{
			Use: "retry DELIVERY", Short: "Send a delivery again, under the same id", Args: idArg(parseDeliveryID),
			RunE: a.ask(func(ctx context.Context, s *session, args []string) error {
				return told(ctx, a, s, http.MethodPost, "deliveries/"+args[0]+"/retry", nil, func(struct{}) error {
					return a.out.Line("delivery %s is pending again", args[0])
				})
			}),
		},
	))
}

func parseDeliveryID(s string) (messages.DeliveryID, error) {
	return messages.ParseULID[messages.DeliveryID]("delivery_id", s)
}

func (a *app) deliveryColumns() []terminal.Column[messages.Delivery] {
	now := time.Now()
	return []terminal.Column[messages.Delivery]{
		{Title: "delivery", Cell: func(d messages.Delivery) string { return string(d.ID) }},
		{Title: "route", Cell: func(d messages.Delivery) string { return string(d.RouteID) }},
		{Title: "state", Cell: func(d messages.Delivery) string { return string(d.State) }, Style: a.out.State},
		{Title: "events", Right: true, Cell: func(d messages.Delivery) string { return fmt.Sprint(len(d.Events)) }},
		{Title: "because", Cell: because},
		{Title: "created", Cell: func(d messages.Delivery) string { return terminal.Ago(&d.CreatedAt, now) }},
		{Title: "attempts", Right: true, Cell: func(d messages.Delivery) string { return fmt.Sprint(d.Attempts) }},
		{Title: "last answer", Cell: lastAnswer},
	}
}

// because is why something was told.
func because(d messages.Delivery) string {
	if d.Reason == messages.BecauseNews {
		return "news"
	}
	return string(d.Reason)
}

// deliveryDetail is one delivery as the admin API shows it.
type deliveryDetail struct {
	messages.Delivery
	Events []messages.Event `json:"events"`
}

func (a *app) showDelivery(d deliveryDetail) error {
	now := time.Now()
	if err := a.out.Facts(
		terminal.Fact{Name: "delivery", Value: string(d.ID)},
		terminal.Fact{Name: "route", Value: string(d.RouteID)},
		terminal.Fact{Name: "customer", Value: string(d.CustomerID)},
		terminal.Fact{Name: "because", Value: because(d.Delivery)},
		terminal.Fact{Name: "state", Value: string(d.State), Style: a.out.State},
		terminal.Fact{Name: "created", Value: terminal.Ago(&d.CreatedAt, now)},
		terminal.Fact{Name: "attempts", Value: fmt.Sprint(d.Attempts)},
		terminal.Fact{Name: "last attempt", Value: terminal.Ago(&d.LastAttemptAt, now)},
		terminal.Fact{Name: "far end said", Value: lastAnswer(d.Delivery)},
	); err != nil || len(d.Events) == 0 {
		return err
	}
	return errors.Join(a.out.Line(""), terminal.Tabulate(a.out, a.eventColumns(), terminal.All(d.Events), ""))
}

func lastAnswer(d messages.Delivery) string {
	switch {
	case d.LastError != "":
		return d.LastError
	case d.LastStatus != 0:
		return fmt.Sprint(d.LastStatus)
	}
	return "-"
}
