package actors

import (
	"slices"
	"time"

	"github.com/anthdm/hollywood/actor"

	"felhom.eu/messages"
)

// The orders an operator can give. The caller brings what is random (ids, keys)
// and when it is; the registry decides on what is durable.
type (
	// AddCustomer makes a customer: ErrExists.
	AddCustomer struct{ Customer messages.Customer }
	// PutCustomer replaces the record of a customer: ErrNotFound.
	PutCustomer struct{ Customer messages.Customer }
	// RemoveCustomer forgets a customer without hosts, its controllers and enrolment tokens:
	// ErrNotFound, ErrInUse.
	RemoveCustomer struct {
		ID     messages.CustomerID
		Tokens []messages.TokenID
	}
	// AddHost makes a host and its first key: ErrNotFound without its customer,
	// ErrExists when the id is taken.
	AddHost struct {
		Host messages.Host
		Key  messages.Key
	}
	// RemoveHost forgets a host, its guests and its keys: ErrNotFound.
	RemoveHost struct{ ID messages.HostID }
	// PutKeys adds keys of a host, or of a customer when Host is "", or changes
	// their records: ErrNotFound.
	PutKeys struct {
		Host     messages.HostID
		Customer messages.CustomerID
		Keys     []messages.Key
	}
	// AddRoute makes a route: ErrNotFound without its customer, a *FieldProblem of what it
	// escalates to.
	AddRoute struct{ Route messages.Route }
	// RemoveRoute forgets a route: ErrNotFound, ErrInUse while another escalates to it.
	RemoveRoute struct{ ID messages.RouteID }
	// Redeliver puts a delivery back into its route's queue.
	Redeliver struct{ Delivery messages.Delivery }
)

// routesChanged tells the writer and the alert actor which routes there are.
type routesChanged struct{ routes []messages.Route }

func (o AddCustomer) decide(r *Registry) (*messages.Batch, func(*actor.Context), error) {
	if r.customers[o.Customer.ID] != nil {
		return nil, nil, ErrExists
	}
	return &messages.Batch{PutCustomers: []messages.Customer{o.Customer}}, func(*actor.Context) {
		known := &customerEntry{}
		r.customers[o.Customer.ID] = known
		r.hub.customers.Store(o.Customer.ID, known)
		r.hub.stats.Customers.Add(1)
	}, nil
}

func (o PutCustomer) decide(r *Registry) (*messages.Batch, func(*actor.Context), error) {
	known := r.customers[o.Customer.ID]
	if known == nil {
		return nil, nil, ErrNotFound
	}
	return &messages.Batch{PutCustomers: []messages.Customer{o.Customer}}, func(*actor.Context) {
		known.blocked.Store(o.Customer.Blocked)
	}, nil
}

func (o RemoveCustomer) decide(r *Registry) (*messages.Batch, func(*actor.Context), error) {
	known := r.customers[o.ID]
	switch {
	case known == nil:
		return nil, nil, ErrNotFound
	case known.hosts.Load() > 0 || slices.ContainsFunc(r.routes, func(x messages.Route) bool { return x.CustomerID == o.ID }):
		return nil, nil, ErrInUse
	}
	return &messages.Batch{DelCustomers: []messages.CustomerID{o.ID}, DelTokens: o.Tokens}, func(*actor.Context) {
		known.gone.Store(true)
		delete(r.customers, o.ID)
		r.hub.customers.Delete(o.ID)
		r.hub.book.change(messages.RuleSettings{CustomerID: o.ID})
		r.hub.stats.Customers.Add(-1)
	}, nil
}

func (o AddHost) decide(r *Registry) (*messages.Batch, func(*actor.Context), error) {
	switch {
	case r.customers[o.Host.CustomerID] == nil:
		return nil, nil, ErrNotFound
	case r.hub.directory.get(o.Host.ID) != nil:
		return nil, nil, ErrExists
	}
	state := messages.HostState{ID: o.Host.ID}
	return &messages.Batch{
			PutHosts: []messages.Host{o.Host}, PutKeys: []messages.Key{o.Key}, Hosts: []messages.HostState{state},
		}, func(*actor.Context) {
			h := r.newHost(o.Host, state)
			h.entry.customer.hosts.Add(1)
			r.hub.directory.raise(h)
			r.hub.keys.Put(o.Key)
		}, nil
}

func (o RemoveHost) decide(r *Registry) (*messages.Batch, func(*actor.Context), error) {
	return &messages.Batch{DelHosts: []messages.HostID{o.ID}}, func(*actor.Context) {
		if known := r.customers[o.ID.Customer()]; known != nil {
			known.hosts.Add(-1)
		}
		r.hub.keys.Forget(o.ID)
		r.hub.book.change(messages.RuleSettings{HostID: o.ID})
	}, nil
}

func (o PutKeys) decide(r *Registry) (*messages.Batch, func(*actor.Context), error) {
	if o.Host == "" && r.customers[o.Customer] == nil || o.Host != "" && r.hub.directory.get(o.Host) == nil {
		return nil, nil, ErrNotFound
	}
	return &messages.Batch{PutKeys: o.Keys}, func(*actor.Context) {
		for _, k := range o.Keys {
			r.hub.keys.Put(k)
		}
	}, nil
}

func (o AddRoute) decide(r *Registry) (*messages.Batch, func(*actor.Context), error) {
	if o.Route.CustomerID != "" && r.customers[o.Route.CustomerID] == nil {
		return nil, nil, ErrNotFound
	}
	if err := checkEscalation(r.routes, &o.Route); err != nil {
		return nil, nil, err
	}
	return &messages.Batch{PutRoutes: []messages.Route{o.Route}}, func(c *actor.Context) {
		r.setRoutes(c, append(slices.Clone(r.routes), o.Route))
	}, nil
}

func (o RemoveRoute) decide(r *Registry) (*messages.Batch, func(*actor.Context), error) {
	i := slices.IndexFunc(r.routes, func(x messages.Route) bool { return x.ID == o.ID })
	if i < 0 {
		return nil, nil, ErrNotFound
	}
	if slices.ContainsFunc(r.routes, func(x messages.Route) bool { return x.EscalateTo == o.ID }) {
		return nil, nil, ErrInUse
	}
	return &messages.Batch{DelRoutes: []messages.RouteID{o.ID}}, func(c *actor.Context) {
		r.setRoutes(c, slices.Delete(slices.Clone(r.routes), i, i+1))
	}, nil
}

// setRoutes hands a new list, never changed again, to those who need it: first
// to the one that gives a new route its actor, then to the one that tells on it.
func (r *Registry) setRoutes(c *actor.Context, routes []messages.Route) {
	r.routes = routes
	c.Send(r.hub.alert, routesChanged{routes})
	c.Send(r.hub.writer, routesChanged{routes})
}

func (o Redeliver) decide(r *Registry) (*messages.Batch, func(*actor.Context), error) {
	if !slices.ContainsFunc(r.routes, func(x messages.Route) bool { return x.ID == o.Delivery.RouteID }) {
		return nil, nil, ErrNotFound
	}
	d := o.Delivery
	d.State, d.DueAt, d.Sealed, d.SentAt = messages.DeliveryPending, r.hub.clock.Now().Wall.UTC(), true, time.Time{}
	return &messages.Batch{Deliveries: []messages.Delivery{d}}, func(*actor.Context) {}, nil
}
