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
					return a.out.line("delivery %s is pending again", args[0])
				})
			}),
		},
	))
}

func parseDeliveryID(s string) (messages.DeliveryID, error) {
	return messages.ParseULID[messages.DeliveryID]("delivery_id", s)
}

func (a *app) deliveryColumns() []column[messages.Delivery] {
	now := time.Now()
	return []column[messages.Delivery]{
		{title: "delivery", cell: func(d messages.Delivery) string { return string(d.ID) }},
		{title: "route", cell: func(d messages.Delivery) string { return string(d.RouteID) }},
		{title: "state", cell: func(d messages.Delivery) string { return a.out.state(string(d.State)) }},
		{title: "events", right: true, cell: func(d messages.Delivery) string { return fmt.Sprint(len(d.Events)) }},
		{title: "created", cell: func(d messages.Delivery) string { return ago(&d.CreatedAt, now) }},
		{title: "attempts", right: true, cell: func(d messages.Delivery) string { return fmt.Sprint(d.Attempts) }},
		{title: "last answer", cell: lastAnswer},
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
