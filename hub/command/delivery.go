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
		{Title: "created", Cell: func(d messages.Delivery) string { return terminal.Ago(&d.CreatedAt, now) }},
		{Title: "attempts", Right: true, Cell: func(d messages.Delivery) string { return fmt.Sprint(d.Attempts) }},
		{Title: "last answer", Cell: lastAnswer},
	}
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
