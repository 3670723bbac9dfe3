package telling

import (
	"slices"

	"felhom.eu/messages"
)

// routes are who can be told.
type routes struct {
	all        []messages.Route
	operators  []*messages.Route
	byCustomer map[messages.CustomerID][]*messages.Route
	byID       map[messages.RouteID]*messages.Route
}

// SetRoutes is the list from now on; nobody may change it afterwards.
func (b *Book) SetRoutes(all []messages.Route) {
	rs := routes{all: all, byCustomer: map[messages.CustomerID][]*messages.Route{}, byID: map[messages.RouteID]*messages.Route{}}
	for i := range all {
		r := &all[i]
		rs.byID[r.ID] = r
		if r.CustomerID == "" {
			rs.operators = append(rs.operators, r)
		} else {
			rs.byCustomer[r.CustomerID] = append(rs.byCustomer[r.CustomerID], r)
		}
	}
	b.routes = rs
	b.wake = 0 // what waits for one that went need not wait any more
}

// of are the routes that may hear of a customer.
func (rs *routes) of(c messages.CustomerID) []*messages.Route {
	if c == "" {
		return rs.operators
	}
	return append(rs.operators[:len(rs.operators):len(rs.operators)], rs.byCustomer[c]...)
}

// concerns reports whether an alarm is a route's business at all.
func concerns(r *messages.Route, a *entry) bool {
	switch {
	case r.CustomerID != "" && r.CustomerID != a.CustomerID:
		return false
	case a.RouteID != "" && (r.CustomerID != "" || r.ID == a.RouteID):
		return false // a failing route is for the operator to mend, and told on another of his
	case r.CustomerID == "":
		return a.Wide == "" // his incident speaks for it
	}
	return true
}

// wants reports whether a route asked for what is of a type and severity. Who named
// silent hosts hears of them as well when they are an incident.
func wants(r *messages.Route, t messages.EventType, s messages.Severity) bool {
	if len(r.Events) == 0 {
		return s >= r.MinSeverity
	}
	if slices.Contains(r.Events, t) {
		return true
	}
	switch t {
	case messages.IncidentOpened:
		return slices.Contains(r.Events, messages.HostStale) || s >= messages.SeverityCritical && slices.Contains(r.Events, messages.HostDown)
	case messages.IncidentClosed:
		return slices.Contains(r.Events, messages.HostRecovered)
	}
	return false
}

// told is one alarm as it is told: what is news of it.
type told struct {
	*entry
	events []messages.PendingEvent
	before []messages.EventType // what was told of it earlier,
	worse  bool                 // of an incident: those who heard of it then need not hear that it is worse
}

// hears reports whether a route is to be told of an event of an alarm.
func (b *Book) hears(r *messages.Route, t *told, e messages.PendingEvent) bool {
	if !concerns(r, t.entry) {
		return false
	}
	if e.Type.IsRecovery() && t.Type.Recovery() != "" {
		return b.hearsEnd(r, t, e)
	}
	if r.OnCall || t.worse && wants(r, e.Type, messages.SeverityWarning) {
		return false
	}
	return wants(r, e.Type, e.Severity)
}

// hearsEnd: a recovery is for those who heard the alarm.
func (b *Book) hearsEnd(r *messages.Route, t *told, e messages.PendingEvent) bool {
	if slices.ContainsFunc(t.Escalated, func(by messages.RouteID) bool { return b.passes(by, r.ID) }) {
		return true
	}
	if r.OnCall || len(r.Events) > 0 && !wants(r, e.Type, e.Severity) {
		return false
	}
	for _, p := range t.events {
		if !p.Type.IsRecovery() && wants(r, p.Type, p.Severity) {
			return true
		}
	}
	if r.CreatedAt.After(t.ToldAt) {
		return false
	}
	return slices.ContainsFunc(t.before, func(typ messages.EventType) bool { return wants(r, typ, t.severityOf(typ)) })
}

// passes reports whether a route passes on to another what nobody acknowledges.
func (b *Book) passes(from, to messages.RouteID) bool {
	r := b.routes.byID[from]
	return r != nil && r.EscalateTo == to
}

// severityOf is how much an alarm's type matters in it: that of some depends on
// what the event says.
func (a *entry) severityOf(t messages.EventType) messages.Severity {
	if t == messages.IncidentOpened || slices.Contains(messages.RuleEvents, t) {
		return max(a.Severity, t.Severity())
	}
	return t.Severity()
}

// Reaches reports whether an outage of a customer's would reach a route: told at once, or
// passed on when nobody acknowledges it.
func Reaches(r *messages.Route, c messages.CustomerID) bool {
	return (r.CustomerID == "" || r.CustomerID == c) && (r.OnCall || wants(r, messages.HostDown, messages.HostDown.Severity()))
}
