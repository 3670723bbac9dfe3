package app

import (
	"context"

	"felhom.eu/actors"
	"felhom.eu/hub/notify"
	"felhom.eu/hub/notify/text"
	"felhom.eu/messages"
)

// sender speaks to routes for the actors.
type sender struct{ *notify.Sender }

func (a *App) sender() sender {
	return sender{notify.New(notify.Options{
		AllowPrivate: a.cfg.AllowPrivateRoutes, Agent: "felhom-hub/" + a.version,
		Place: text.Place{ExternalURL: a.cfg.ExternalURL, Customer: a.customerName},
	})}
}

// Send implements actors.Sender.
func (s sender) Send(ctx context.Context, r messages.Route, d messages.Delivery, events []messages.Event) actors.Answer {
	a := s.Sender.Send(ctx, r, d, events)
	return actors.Answer{OK: a.OK, Permanent: a.Permanent, Status: a.Status, Text: a.Text, RetryAfter: a.RetryAfter}
}

// customerName is what a customer is called; "" when nobody said.
func (a *App) customerName(id messages.CustomerID) string {
	c, err := a.db.Customer(id)
	if err != nil {
		return ""
	}
	return c.DisplayName
}
