package app

import (
	"cmp"
	"errors"
	"fmt"

	"felhom.eu/actors"
	reportrules "felhom.eu/actors/rules"
	"felhom.eu/messages"
	"felhom.eu/storage"
)

// memory is the store as the actors see it.
type memory struct{ *storage.DB }

// Host implements actors.Memory.
func (m memory) Host(id messages.HostID) (messages.Host, messages.HostState, error) {
	h, err := m.DB.Host(id)
	if errors.Is(err, storage.ErrNotFound) {
		return h, messages.HostState{}, actors.ErrNotFound
	}
	if err != nil {
		return h, messages.HostState{}, err
	}
	s, err := m.HostState(id)
	return h, s, err
}

// Controller implements actors.Memory.
func (m memory) Controller(name messages.ControllerName) (messages.ControllerState, error) {
	s, err := m.DB.Controller(name)
	if errors.Is(err, storage.ErrNotFound) {
		err = actors.ErrNotFound
	}
	return s, err
}

// Standing implements actors.Memory.
func (m memory) Standing(id messages.HostID) (messages.Standing, error) {
	s, err := m.DB.Standing(id)
	switch {
	case errors.Is(err, storage.ErrNotFound):
		return messages.Standing{}, nil
	case errors.Is(err, storage.ErrCorrupt):
		problems, readErr := m.problems(id)
		return messages.Standing{Problems: problems}, errors.Join(fmt.Errorf("%w: %w", actors.ErrDamaged, err), readErr)
	}
	return s, err
}

// problems are a host's open ones as its alarms have them.
func (m memory) problems(id messages.HostID) ([]messages.Problem, error) {
	var its []messages.Alarm
	err := m.EachAlarm(func(a messages.Alarm) error {
		if a.HostID == id {
			its = append(its, a)
		}
		return nil
	})
	return reportrules.Reopen(its), err
}

// EventsByID implements actors.Memory.
func (m memory) EventsByID(ids []messages.EventID) ([]messages.Event, error) {
	events := make([]messages.Event, len(ids))
	for i, id := range ids {
		e, err := m.Event(id)
		if err != nil {
			return nil, fmt.Errorf("read event %s: %w", id, err)
		}
		events[i] = e
	}
	return events, nil
}

// Days implements actors.History.
func (m memory) Days() ([]uint32, error) {
	days, err := m.DB.Days()
	if err != nil {
		return nil, err
	}
	numbers := make([]uint32, len(days))
	for i, d := range days {
		numbers[i] = d.Number
	}
	return numbers, nil
}

// past reads where the last run left off.
func (m memory) past() (actors.Past, error) {
	r := m.Recovery()
	p := actors.Past{
		Ledger: r.Ledger, Batch: r.BatchSequence, Event: r.EventSequence, Delivery: r.DeliverySequence,
		Hosts: int(r.Hosts), BatchAt: r.BatchAt, NewestID: string(r.EventID),
	}
	var err error
	if p.Silences, err = m.Silences(); err != nil {
		return p, err
	}
	if p.Months, err = m.Months(); err != nil {
		return p, err
	}
	err = cmp.Or(
		m.EachAlarm(func(a messages.Alarm) error { p.Alarms = append(p.Alarms, a); return nil }),
		m.EachCustomer(func(c messages.Customer) error { p.Customers = append(p.Customers, c); return nil }),
		m.EachRoute(func(r messages.Route) error { p.Routes = append(p.Routes, r); return nil }),
		m.EachRules(func(s messages.RuleSettings) error { p.Rules = append(p.Rules, s); return nil }),
		m.EachController(func(s messages.ControllerState) error { p.Controllers = append(p.Controllers, s); return nil }),
		m.EachDeadline(func(d messages.Deadline) error { p.Deadlines = append(p.Deadlines, d); return nil }),
		m.EachPendingDelivery(func(d messages.Delivery) error { p.Pending = append(p.Pending, d); return nil }),
	)
	return p, err
}
