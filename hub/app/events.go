package app

import (
	"context"
	"time"

	"github.com/oklog/ulid/v2"

	"felhom.eu/hub/api"
	"felhom.eu/messages"
	"felhom.eu/storage"
)

// beforeIncident is how much older than its id the first event of an incident may be: the
// id is made before the event is written, by a clock that may have been set meanwhile.
const beforeIncident = 10 * time.Minute

// EventPage implements api.Fleet.
func (f *fleet) EventPage(_ context.Context, filter api.EventFilter, newest bool, behind messages.EventID, limit int) (rows []messages.Event, next messages.EventID, err error) {
	first := f.firstOf(&filter)
	if newest {
		rows, next, err = f.db.LatestEventPage(storage.EventFilter(filter), behind, limit)
		if next < first {
			next = ""
		}
		return rows, next, translate(err)
	}
	rows, next, err = f.db.EventPage(storage.EventFilter(filter), max(behind, first), limit)
	return rows, next, translate(err)
}

// firstOf is an id before which an incident has no events, and narrows the filter to whose
// incident it is while it is open: fewer events are to be looked at then.
func (f *fleet) firstOf(filter *api.EventFilter) messages.EventID {
	if filter.IncidentID == "" {
		return ""
	}
	if a, err := f.db.Alarm(filter.IncidentID); err == nil && a.Type != messages.IncidentOpened {
		if filter.HostID == "" {
			filter.HostID = a.HostID
		}
		if filter.CustomerID == "" {
			filter.CustomerID = a.CustomerID
		}
	}
	id, err := ulid.Parse(string(filter.IncidentID))
	if err != nil {
		return ""
	}
	var floor ulid.ULID
	_ = floor.SetTime(id.Time() - min(id.Time(), uint64(beforeIncident.Milliseconds()))) // cannot be past the last year
	return messages.EventID(floor.String())
}

// Delivery implements api.Fleet. Events that are not there any more are left out.
func (f *fleet) Delivery(_ context.Context, id messages.DeliveryID) (messages.Delivery, []messages.Event, error) {
	d, err := f.db.Delivery(id)
	if err != nil {
		return d, nil, translate(err)
	}
	events := make([]messages.Event, 0, len(d.Events))
	for _, id := range d.Events {
		if e, err := f.db.Event(id); err == nil {
			events = append(events, e)
		}
	}
	return d, events, nil
}
