package app

import (
	"context"
	"errors"
	"time"

	"felhom.eu/actors"
	reportrules "felhom.eu/actors/rules"
	"felhom.eu/hub/api"
	"felhom.eu/messages"
	"felhom.eu/storage"
)

// Rules implements api.Fleet.
func (f *fleet) Rules(_ context.Context, customer messages.CustomerID, host messages.HostID) (api.RulesView, error) {
	var err error
	if host != "" {
		_, err = f.db.Host(host)
	} else {
		_, err = f.db.Customer(customer)
	}
	if err != nil {
		return api.RulesView{}, translate(err)
	}
	own, effective := f.hub.RuleSettings(customer, host)
	return api.RulesView{Own: own, Effective: effective.Settings()}, nil
}

// SetRules implements api.Fleet.
func (f *fleet) SetRules(ctx context.Context, s messages.RuleSettings) error {
	err := f.hub.Order(ctx, actors.PutRules{Settings: s})
	if wrong := new(reportrules.FieldError); errors.As(err, &wrong) {
		return api.InvalidField(wrong.Field, wrong.Problem)
	}
	return translate(err)
}

// hostsAtOnce is how many standings are held while a page is made.
const hostsAtOnce = 64

// Protection implements api.Fleet.
func (f *fleet) Protection(ctx context.Context, filter api.ProtectionFilter, after messages.GuestID, limit int) ([]messages.Protection, error) {
	p := protectionPage{filter: filter, limit: limit, now: time.Now().UTC(), hub: f.hub}
	p.host, p.vmid = after.Split()
	if filter.HostID != "" {
		s, err := f.db.Standing(filter.HostID)
		if errors.Is(err, storage.ErrNotFound) {
			return nil, nil // it never reported
		}
		p.add(&s)
		return p.rows, err
	}
	if p.host != "" { // the rest of its guests
		s, err := f.db.Standing(p.host)
		if err != nil && !errors.Is(err, storage.ErrNotFound) {
			return nil, err
		}
		p.add(&s)
	}
	for last := p.host; len(p.rows) < limit; {
		standings, err := f.db.Standings(filter.CustomerID, last, hostsAtOnce)
		if err != nil || len(standings) == 0 || ctx.Err() != nil {
			return p.rows, errors.Join(err, ctx.Err())
		}
		for i := range standings {
			p.add(&standings[i])
		}
		last = standings[len(standings)-1].HostID
	}
	return p.rows, nil
}

// protectionPage collects the guests behind one of a host, up to a limit.
type protectionPage struct {
	hub    *actors.Hub
	filter api.ProtectionFilter
	host   messages.HostID
	vmid   messages.VMID
	limit  int
	now    time.Time
	rows   []messages.Protection
}

func (p *protectionPage) add(s *messages.Standing) {
	_, t := p.hub.RuleSettings("", s.HostID)
	for _, c := range reportrules.Chain(s, &t, p.now) {
		behind := c.HostID != p.host || c.VMID > p.vmid
		if behind && len(p.rows) < p.limit && (p.filter.State == "" || p.filter.State == c.State) {
			p.rows = append(p.rows, c)
		}
	}
}
