package actors

import (
	"slices"

	"github.com/anthdm/hollywood/actor"

	"felhom.eu/messages"
)

// PutRoute changes the settings of a route: ErrNotFound, a *FieldProblem of what it
// escalates to. Its incident is the caller's newest knowledge; the route's actor knows better.
type PutRoute struct{ Route messages.Route }

// routeChanged tells a route, by way of alert, how it is set from now on.
type routeChanged struct{ route messages.Route }

func (o PutRoute) decide(r *Registry) (*messages.Batch, func(*actor.Context), error) {
	i := slices.IndexFunc(r.routes, func(x messages.Route) bool { return x.ID == o.Route.ID })
	if i < 0 {
		return nil, nil, ErrNotFound
	}
	if err := checkEscalation(r.routes, &o.Route); err != nil {
		return nil, nil, err
	}
	return &messages.Batch{PutRoutes: []messages.Route{o.Route}}, func(c *actor.Context) {
		routes := slices.Clone(r.routes)
		routes[i] = o.Route
		r.setRoutes(c, routes)
		c.Send(r.hub.alert, routeChanged{o.Route})
	}, nil
}

// checkEscalation refuses a route that would escalate to none, to another owner's, or in
// the end to itself. The error is a *FieldProblem.
func checkEscalation(routes []messages.Route, r *messages.Route) error {
	seen := []messages.RouteID{r.ID}
	for to := r.EscalateTo; to != ""; {
		i := slices.IndexFunc(routes, func(x messages.Route) bool { return x.ID == to })
		switch {
		case slices.Contains(seen, to):
			return &FieldProblem{"escalate_to", "it would come back to this route; want one that escalates elsewhere or nowhere"}
		case i < 0 && to == r.EscalateTo:
			return &FieldProblem{"escalate_to", "there is no such route"}
		case i < 0:
			return nil // one of before that rule
		case to == r.EscalateTo && routes[i].CustomerID != r.CustomerID:
			return &FieldProblem{"escalate_to", "want a route of the same owner: a customer's of that customer, the operator's of the operator"}
		}
		seen = append(seen, to)
		to = routes[i].EscalateTo
	}
	return nil
}

// adopt takes new settings. The incident stays the actor's own; what was written without
// knowing the one or the other is written again.
func (r *Route) adopt(c *actor.Context, changed messages.Route) {
	unwritten := changed.Incident != r.route.Incident
	changed.Incident = r.route.Incident
	r.route, r.state.perHour = changed, changed.MaxPerHour
	if r.outcome != nil && r.outcome.more != nil && len(r.outcome.more.PutRoutes) > 0 {
		unwritten = true
		next, more := *r.outcome, *r.outcome.more // what was sent is the writer's
		changed.Incident = more.PutRoutes[0].Incident
		more.PutRoutes = []messages.Route{changed}
		next.more = &more
		r.outcome = &next
	}
	if unwritten {
		c.Send(r.hub.writer, &write{more: &messages.Batch{PutRoutes: []messages.Route{changed}}})
	}
}
