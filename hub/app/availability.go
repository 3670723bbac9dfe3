package app

import (
	"context"
	"slices"

	"felhom.eu/actors"
	"felhom.eu/messages"
	"felhom.eu/storage"
)

// livesAtOnce is how many hosts of a customer are held in memory for its availability.
const livesAtOnce = 1000

// HostAvailability implements api.Fleet.
func (f *fleet) HostAvailability(_ context.Context, id messages.HostID, months int) ([]messages.Availability, error) {
	if _, err := f.db.Host(id); err != nil {
		return nil, translate(err)
	}
	s, err := f.db.HostState(id)
	if err != nil {
		return nil, translate(err)
	}
	outages, err := f.db.Outages(id)
	if err != nil {
		return nil, err
	}
	return f.availability(months, slices.Values([]actors.Life{{State: &s, Outages: outages}}))
}

// CustomerAvailability implements api.Fleet.
func (f *fleet) CustomerAvailability(ctx context.Context, id messages.CustomerID, months int) ([]messages.Availability, error) {
	if _, err := f.db.Customer(id); err != nil {
		return nil, translate(err)
	}
	outages, err := f.db.OutagesOf(id)
	if err != nil {
		return nil, err
	}
	var failed error
	all, err := f.availability(months, func(yield func(actors.Life) bool) {
		failed = f.eachHost(ctx, id, func(s *messages.HostState) bool { return yield(actors.Life{State: s, Outages: outages[s.ID]}) })
	})
	if failed != nil {
		return nil, failed
	}
	return all, err
}

// eachHost goes through a customer's hosts, a page at a time.
func (f *fleet) eachHost(ctx context.Context, id messages.CustomerID, fn func(*messages.HostState) bool) error {
	var after messages.HostID
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		rows, err := f.db.Hosts(storage.HostFilter{CustomerID: id}, after, livesAtOnce)
		if err != nil {
			return err
		}
		for i := range rows {
			if !fn(&rows[i].State) {
				return nil
			}
		}
		if len(rows) < livesAtOnce {
			return nil
		}
		after = rows[len(rows)-1].Host.ID
	}
}

func (f *fleet) availability(months int, lives func(yield func(actors.Life) bool)) ([]messages.Availability, error) {
	starts, err := f.db.Months()
	if err != nil {
		return nil, err
	}
	return actors.AvailabilityOf(starts, f.hub.Now(), months, lives), nil
}
