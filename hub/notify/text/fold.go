package text

import (
	"cmp"
	"slices"

	"felhom.eu/messages"
)

// manyHosts is how many hosts of one customer to which the same happened are told
// in one line.
const manyHosts = 4

// incident is what one item of a message tells: the events of one incident, oldest
// first; those of an outage of many hosts; or the incidents of one type that are
// told together.
type incident struct {
	events []messages.Event
	others []*incident // that are folded into this one; it tells the count and the names of all
}

// fold puts events together: an alarm and its recovery, an incident of many hosts
// and its members, the guests of one host, the hosts of one customer.
func (t *teller) fold(events []messages.Event) []*incident {
	events = unfoldedReboots(withoutMembers(events))
	var found []*incident
	byID := make(map[messages.IncidentID]*incident)
	for _, e := range events {
		id := cmp.Or(e.IncidentID, messages.IncidentID(e.ID))
		in := byID[id]
		if in == nil {
			in = &incident{}
			byID[id], found = in, append(found, in)
		}
		in.events = append(in.events, e)
	}
	found = together(found, 2, func(e *messages.Event) (group, bool) {
		return group{e.Type, e.CustomerID, e.HostID}, e.HostID != "" && e.Detail.OfRule()
	})
	return together(found, manyHosts, func(e *messages.Event) (group, bool) {
		return group{e.Type, e.CustomerID, ""}, e.HostID != "" && !e.Detail.OfRule()
	})
}

// group is what incidents that are told together have in common.
type group struct {
	typ      messages.EventType
	customer messages.CustomerID
	host     messages.HostID
}

// together folds incidents of one group into the first of them, where they are at
// least so many. of names an incident's group by its last event.
func together(found []*incident, least int, of func(*messages.Event) (group, bool)) []*incident {
	members := make(map[group][]*incident)
	for _, in := range found {
		if g, ok := of(in.lead()); ok {
			members[g] = append(members[g], in)
		}
	}
	return slices.DeleteFunc(found, func(in *incident) bool {
		g, ok := of(in.lead())
		if !ok || len(members[g]) < least {
			return false
		}
		first := members[g][0]
		if first != in {
			first.others = append(first.others, in)
		}
		return first != in
	})
}

// withoutMembers drops what an incident of many hosts tells for its members.
func withoutMembers(events []messages.Event) []messages.Event {
	var all []*messages.Event
	for i := range events {
		if events[i].Detail.Mass != nil {
			all = append(all, &events[i])
		}
	}
	if len(all) == 0 {
		return events
	}
	return slices.DeleteFunc(slices.Clone(events), func(e messages.Event) bool {
		return silent(e.Type) && slices.ContainsFunc(all, func(m *messages.Event) bool { return isMember(m, &e) })
	})
}

// isMember reports whether e is of a host that is in the incident m. An event does
// not say its host's site: of a site only those that are named are known.
func isMember(m, e *messages.Event) bool {
	return m.Detail.Mass.Scope.Covers(e.CustomerID, "", e.HostID) || slices.Contains(m.Detail.Mass.Hosts, e.HostID)
}

// unfoldedReboots drops a reboot whose host's return says why it was away.
func unfoldedReboots(events []messages.Event) []messages.Event {
	back := make(map[messages.HostID]bool)
	for i := range events {
		if events[i].Type == messages.HostRecovered && events[i].Detail.Cause != "" {
			back[events[i].HostID] = true
		}
	}
	if len(back) == 0 {
		return events
	}
	return slices.DeleteFunc(slices.Clone(events), func(e messages.Event) bool {
		return e.Type == messages.HostRebooted && back[e.HostID]
	})
}

// lead is the newest event: what became of it.
func (in *incident) lead() *messages.Event { return &in.events[len(in.events)-1] }

// first is the event that began it, as far as the delivery knows.
func (in *incident) first() *messages.Event { return &in.events[0] }

// open reports whether it is something wrong that has not ended.
func (in *incident) open() bool { return in.lead().Type.Recovery() != "" }

// over reports whether it is the end of something, and of all of it.
func (in *incident) over() bool {
	e := in.lead()
	return e.Type.IsRecovery() && (e.Detail.Mass == nil || e.Detail.Mass.Silent == 0)
}

func (in *incident) severity() messages.Severity {
	worst := in.lead().Severity()
	for _, o := range in.others {
		worst = max(worst, o.severity())
	}
	return worst
}

// host is whom it is about; "" when that is nobody, or many.
func (in *incident) host() messages.HostID {
	host := in.lead().HostID
	for _, o := range in.others {
		if o.lead().HostID != host {
			return ""
		}
	}
	return host
}
