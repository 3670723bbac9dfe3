package app

import (
	"context"
	"errors"
	"time"

	"github.com/oklog/ulid/v2"

	_ "time/tzdata" // deadlines have time zones wherever the hub runs

	"felhom.eu/actors"
	"felhom.eu/hub/api"
	"felhom.eu/messages"
)

// AddDeadline implements api.Fleet.
func (f *fleet) AddDeadline(ctx context.Context, d messages.Deadline) (api.DeadlineView, error) {
	if _, err := f.db.Customer(d.CustomerID); err != nil {
		return api.DeadlineView{}, translate(err)
	}
	if err := f.checkSubject(&d); err != nil {
		return api.DeadlineView{}, err
	}
	now := time.Now().UTC()
	d.ID, d.CreatedAt = messages.DeadlineID(ulid.Make().String()), now
	messages.AuditOf(ctx).About(string(d.ID), d.CustomerID)
	err := f.hub.AddDeadline(d)
	if wrong := new(actors.FieldProblem); errors.As(err, &wrong) {
		return api.DeadlineView{}, api.InvalidField(wrong.Field, wrong.Problem)
	}
	return api.DeadlineView{Deadline: d, NextAt: actors.NextDeadline(&d, now)}, translate(err)
}

// checkSubject refuses a deadline of what is not there, or is another customer's. A
// controller may still have to report for the first time.
func (f *fleet) checkSubject(d *messages.Deadline) error {
	host := messages.HostID(d.Subject)
	switch d.Expect {
	case messages.ExpectController:
		if _, err := messages.ParseControllerID(d.Subject); err != nil {
			return api.InvalidField("subject", "want a controller_id")
		}
		return nil
	case messages.ExpectBackup:
		if guest, err := messages.ParseGuestID(d.Subject); err == nil {
			host, _ = guest.Split()
		}
	case messages.ExpectHost:
	default:
		return api.InvalidField("expect", "want controller, host or backup")
	}
	if _, err := messages.ParseHostID(string(host)); err != nil || host.Customer() != d.CustomerID {
		return api.InvalidField("subject", "want a host of the customer, or a guest of one for a backup")
	}
	if _, err := f.db.Host(host); err != nil {
		return api.InvalidField("subject", "there is no such host")
	}
	return nil
}

// Deadlines implements api.Fleet.
func (f *fleet) Deadlines(_ context.Context, c messages.CustomerID) ([]api.DeadlineView, error) {
	if _, err := f.db.Customer(c); err != nil {
		return nil, translate(err)
	}
	rows, err := f.db.Deadlines(c)
	views := make([]api.DeadlineView, len(rows))
	for i := range rows {
		views[i] = api.DeadlineView{Deadline: rows[i], NextAt: actors.NextDeadline(&rows[i], time.Now())}
	}
	return views, translate(err)
}

// RemoveDeadline implements api.Fleet.
func (f *fleet) RemoveDeadline(_ context.Context, c messages.CustomerID, id messages.DeadlineID) error {
	return translate(f.hub.RemoveDeadline(c, id))
}
