package actors

import (
	"maps"
	"sync/atomic"

	"github.com/anthdm/hollywood/actor"

	"felhom.eu/actors/rules"
	"felhom.eu/messages"
)

// ruleBook is where a host finds the thresholds in effect for it. The registry
// alone writes it: a new page for every change, so that hosts read without a lock.
type ruleBook struct{ page atomic.Pointer[rulePage] }

type rulePage struct {
	customers  map[messages.CustomerID]messages.RuleSettings
	hosts      map[messages.HostID]messages.RuleSettings
	defaults   rules.Thresholds
	ofCustomer map[messages.CustomerID]*rules.Thresholds
	ofHost     map[messages.HostID]*rules.Thresholds
}

func newRuleBook(all []messages.RuleSettings) *ruleBook {
	p := &rulePage{customers: map[messages.CustomerID]messages.RuleSettings{}, hosts: map[messages.HostID]messages.RuleSettings{}}
	for _, s := range all {
		p.put(s)
	}
	p.resolve()
	b := &ruleBook{}
	b.page.Store(p)
	return b
}

// put lays settings down; those that set nothing are taken away.
func (p *rulePage) put(s messages.RuleSettings) {
	switch {
	case s.HostID != "" && s.Empty():
		delete(p.hosts, s.HostID)
	case s.HostID != "":
		p.hosts[s.HostID] = s
	case s.Empty():
		delete(p.customers, s.CustomerID)
	default:
		p.customers[s.CustomerID] = s
	}
}

func (p *rulePage) resolve() {
	p.defaults = rules.Resolve(nil, nil)
	p.ofCustomer = make(map[messages.CustomerID]*rules.Thresholds, len(p.customers))
	for id, s := range p.customers {
		t := rules.Resolve(&s, nil)
		p.ofCustomer[id] = &t
	}
	p.ofHost = make(map[messages.HostID]*rules.Thresholds, len(p.hosts))
	for id, s := range p.hosts {
		t := rules.Resolve(p.customer(id.Customer()), &s)
		p.ofHost[id] = &t
	}
}

// customer is a customer's settings; nil when it has none.
func (p *rulePage) customer(id messages.CustomerID) *messages.RuleSettings {
	s, ok := p.customers[id]
	if !ok {
		return nil
	}
	return &s
}

// of is what holds for a host.
func (b *ruleBook) of(id messages.HostID) *rules.Thresholds {
	p := b.page.Load()
	if len(p.ofHost) > 0 {
		if t := p.ofHost[id]; t != nil {
			return t
		}
	}
	return p.forCustomer(id.Customer())
}

func (p *rulePage) forCustomer(id messages.CustomerID) *rules.Thresholds {
	if len(p.ofCustomer) > 0 {
		if t := p.ofCustomer[id]; t != nil {
			return t
		}
	}
	return &p.defaults
}

// change writes a new page.
func (b *ruleBook) change(s messages.RuleSettings) {
	old := b.page.Load()
	p := &rulePage{customers: maps.Clone(old.customers), hosts: maps.Clone(old.hosts)}
	p.put(s)
	p.resolve()
	b.page.Store(p)
}

// PutRules replaces a customer's or a host's settings of the rules on reports; those
// that set nothing are removed: ErrNotFound, *rules.FieldError.
type PutRules struct{ Settings messages.RuleSettings }

func (o PutRules) decide(r *Registry) (*messages.Batch, func(*actor.Context), error) {
	s := o.Settings
	var over *messages.RuleSettings
	if s.HostID != "" {
		if r.hub.directory.get(s.HostID) == nil {
			return nil, nil, ErrNotFound
		}
		over = r.hub.book.page.Load().customer(s.HostID.Customer())
	} else if r.customers[s.CustomerID] == nil {
		return nil, nil, ErrNotFound
	}
	if err := rules.Validate(&s, over); err != nil {
		return nil, nil, err
	}
	return &messages.Batch{PutRules: []messages.RuleSettings{s}}, func(*actor.Context) {
		r.hub.book.change(s)
		r.hub.rejudge(s)
	}, nil
}

// rejudge tells the hosts that settings are for.
func (h *Hub) rejudge(s messages.RuleSettings) {
	if s.HostID != "" {
		if host := h.directory.get(s.HostID); host != nil {
			h.engine.Send(host.PID(), rejudge{})
		}
		return
	}
	for _, host := range h.directory.of(s.CustomerID) {
		h.engine.Send(host.PID(), rejudge{})
	}
}

// RuleSettings are what is set for a customer or a host itself, and the thresholds
// in effect for it. Either id is empty.
func (h *Hub) RuleSettings(customer messages.CustomerID, host messages.HostID) (own messages.RuleSettings, effective rules.Thresholds) {
	p := h.book.page.Load()
	if host != "" {
		return p.hosts[host], *h.book.of(host)
	}
	return p.customers[customer], *p.forCustomer(customer)
}
