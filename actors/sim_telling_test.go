package actors

import (
	"slices"
	"time"

	"felhom.eu/messages"
)

// The part of the oracle that judges what is decided to be told: every alarm and every
// recovery of it to whom the specification says, once, in time; and many hosts that fall
// silent together as one incident in their place. It sees what becomes durable and knows
// the truth; it calls none of the book's rules.

const (
	// tellingTime is the most listening time from an event to the decision: group_wait,
	// and the five minutes in which a group may grow into an incident, with some slack.
	tellingTime = 7 * time.Minute
	// calm is how long nothing may have disturbed the hub for the oracle to be sure of
	// what falls within five minutes on its clocks.
	calm = 15 * time.Minute
	// before an incident is told its members fell silent at most so long ago.
	memberTime = 12 * time.Minute
)

// outage is one silence of one host or controller, as it became durable.
type outage struct {
	host   int                             // a controller is behind the hosts
	events map[messages.EventType]tellable // by what it would be of a host
	at     time.Duration                   // of host_stale; true time
	ended  bool
	gone   bool // the host was removed
	folded bool // certainly a member of an incident
	left   bool // named in the last message of one
	acked  bool
	heard  map[messages.RouteID][]messages.EventType
}

func (x *outage) controller() bool { return x.host >= fleetHosts }

// tellable is an event that may have to be told.
type tellable struct {
	id     messages.EventID
	typ    messages.EventType
	heard  time.Duration // listening time
	judged bool
}

// massOutage is an incident as the hub tells it.
type massOutage struct {
	id             messages.IncidentID
	opened, closed time.Duration // of its events; true time. closed is never while it is open
	heardBy        map[messages.RouteID]int
	closedBy       map[messages.RouteID]bool
	acked          bool
}

// herald is what the oracle knows of telling.
type herald struct {
	outages   map[messages.IncidentID]*outage
	order     []*outage
	masses    map[messages.IncidentID]*massOutage
	event     map[messages.EventID]messages.Event
	disturbed time.Duration // true time of the last disturbance
	due       time.Duration // listening time at which an incident was certain and not told yet; never
	full      time.Duration // true time at which enough may have been silent together
	allBack   time.Duration // listening time since which no host is silent; never while one is
}

func newHerald() *herald {
	return &herald{outages: map[messages.IncidentID]*outage{}, masses: map[messages.IncidentID]*massOutage{}, event: map[messages.EventID]messages.Event{},
		due: never, full: -never, allBack: never}
}

// disturb notes whatever may blur the hub's clocks or memory.
func (o *oracle) disturb() { o.herald.disturbed = o.now() }

// happened notes an event that became durable.
func (o *oracle) happened(host int, e messages.Event) {
	h := o.herald
	h.event[e.ID] = e
	x, typ := h.outages[e.IncidentID], asOfHost(e).Type
	switch typ {
	default:
		return
	case messages.HostStale:
		x = &outage{host: host, at: o.now(), events: map[messages.EventType]tellable{}, heard: map[messages.RouteID][]messages.EventType{}}
		h.outages[e.IncidentID] = x
		h.order = append(h.order, x)
		if !x.controller() {
			h.allBack = never
		}
	case messages.HostDown, messages.HostRecovered:
		if x == nil {
			return // the switch's own oracle blames it
		}
	}
	x.events[typ] = tellable{id: e.ID, typ: e.Type, heard: o.heard()}
	if typ == messages.HostStale && !x.controller() {
		o.gather(x)
	}
	if x.ended = typ == messages.HostRecovered; x.ended && o.silentHosts() == 0 {
		h.allBack = o.heard()
	}
}

func (o *oracle) silentHosts() (n int) {
	for _, x := range o.herald.order {
		if !x.ended && !x.gone && !x.controller() {
			n++
		}
	}
	return n
}

// fold says how many hosts silent together are an incident.
func (o *oracle) fold() int {
	n := 0
	for i := range o.hosts[:fleetHosts] {
		if o.hosts[i].seen {
			n++
		}
	}
	return max(3, (n+4)/5)
}

// gather judges whether the host that just fell silent makes an incident of those
// before it, surely or perhaps, or belongs to the one that is open.
func (o *oracle) gather(x *outage) {
	h := o.herald
	blurred := o.now()-h.disturbed < calm
	for _, m := range h.masses {
		if m.closed == never {
			x.folded = !blurred
			return
		}
	}
	sure, maybe := []*outage(nil), 0
	for _, y := range h.order {
		if y.ended || y.gone || y.left || y.controller() {
			continue
		}
		if o.now()-y.at < 5*time.Minute-10*time.Second {
			sure = append(sure, y)
		}
		if o.now()-y.at < 5*time.Minute+10*time.Second || blurred {
			maybe++
		}
	}
	if maybe >= o.fold() {
		h.full = o.now()
	}
	if len(sure) >= o.fold() && !blurred {
		h.due = min(h.due, o.heard())
		for _, y := range sure {
			y.folded = true
		}
	}
}

// removed notes that a host was removed: nobody is to hear of it.
func (o *oracle) removed(host int) {
	for _, x := range o.herald.order {
		x.gone = x.gone || x.host == host
	}
	if o.silentHosts() == 0 {
		o.herald.allBack = min(o.herald.allBack, o.heard())
	}
}

// acknowledged notes what an operator said of an alarm, durably. What is said of an incident
// is said of its members, of whom the oracle knows too little: it forgets what it knew.
func (o *oracle) acknowledged(id messages.IncidentID, acked bool) {
	o.tally.acks++
	if x := o.herald.outages[id]; x != nil {
		x.acked = acked
	}
	if m := o.herald.masses[id]; m != nil {
		m.acked = acked
		for _, x := range o.herald.order {
			x.acked = false
		}
	}
}

// decided judges a delivery that became durable, with the events of its batch.
func (o *oracle) decided(d messages.Delivery, events []messages.Event) {
	h := o.herald
	for _, e := range events {
		h.event[e.ID] = e
		if e.Type == messages.IncidentOpened || e.Type == messages.IncidentClosed {
			o.massTold(e)
		}
	}
	i := slices.IndexFunc(o.receivers, func(r *receiver) bool { return r.route.ID == d.RouteID })
	r := o.receivers[i]
	if !d.Sealed || d.CustomerID != "acme" {
		o.blame(-1, "wrong", "delivery %s of %q on route %s is sealed: %t", d.ID, d.CustomerID, d.RouteID, d.Sealed)
	}
	for _, id := range d.Events {
		e, known := h.event[id]
		if !known {
			o.blame(-1, "false", "route %s is to be told of %s, which is not durable", r.route.ID, id)
			continue
		}
		host := -1
		if x := h.outages[e.IncidentID]; x != nil {
			host = x.host
			o.judgeTold(r, x, e, d.Reason)
		} else if m := h.masses[e.IncidentID]; m != nil {
			o.judgeMass(r, m, e, d.Reason)
		} else if !r.wants(e) {
			o.blame(-1, "false", "route %s is to be told of %s %s, which is not for it", r.route.ID, e.Type, id)
		}
		r.expects(host, id, d.Reason, o.now())
	}
}

// wants is the filter that the route was made with.
func (r *receiver) wants(e messages.Event) bool {
	if r.gone || r.route.CustomerID != "" && r.route.CustomerID != e.CustomerID {
		return false
	}
	if len(r.route.Events) > 0 {
		return slices.Contains(r.route.Events, e.Type)
	}
	return e.Severity() >= r.route.MinSeverity
}

// wantsType is the same for a type that speaks for itself.
func (r *receiver) wantsType(t messages.EventType) bool {
	return r.wants(messages.Event{Type: t, CustomerID: "acme"})
}

// knows reports whether a route was told of a host's silence, or in the last message of
// an incident.
func (x *outage) knows(r *receiver) bool {
	for _, t := range []messages.EventType{messages.HostStale, messages.HostDown} {
		if e := x.events[t]; slices.Contains(x.heard[r.route.ID], e.typ) || x.left && e.id != "" && r.wantsType(e.typ) {
			return true
		}
	}
	return false
}

func (o *oracle) judgeTold(r *receiver, x *outage, e messages.Event, why messages.DeliveryReason) {
	if why == messages.BecauseReminder {
		if !x.knows(r) || x.ended || x.acked {
			o.blame(x.host, "false", "route %s is reminded of %s, which has ended (%t), was acknowledged (%t) or was not told", r.route.ID, e.Type, x.ended, x.acked)
		}
		return
	}
	switch {
	case !r.wantsType(e.Type):
		o.blame(x.host, "false", "route %s is to be told of %s, which is not for it", r.route.ID, e.Type)
	case x.folded:
		o.blame(x.host, "false", "route %s is to be told of %s, which an incident speaks for", r.route.ID, e.Type)
	case slices.Contains(x.heard[r.route.ID], e.Type):
		o.blame(x.host, "doubled", "route %s is to be told twice of %s", r.route.ID, e.Type)
	case asOfHost(e).Type == messages.HostRecovered && !x.knows(r):
		o.blame(x.host, "false", "route %s is to be told of a recovery of what it was not told of", r.route.ID)
	}
	x.heard[r.route.ID] = append(x.heard[r.route.ID], e.Type)
}

// massTold judges an incident's event when it is made.
func (o *oracle) massTold(e messages.Event) {
	h, m := o.herald, o.herald.masses[e.IncidentID]
	if m == nil {
		m = &massOutage{id: e.IncidentID, opened: o.now(), closed: never, heardBy: map[messages.RouteID]int{}, closedBy: map[messages.RouteID]bool{}}
		h.masses[e.IncidentID] = m
		if h.full < o.now()-memberTime && o.now()-h.disturbed > calm {
			o.blame(-1, "false", "%s: %s, though never so many fell silent together", e.Type, e.Summary)
		}
		h.due = never
	}
	mass := e.Detail.Mass
	silent, down := map[messages.HostID]bool{}, 0
	for _, x := range h.order {
		if !x.ended && !x.gone && !x.controller() {
			silent[o.name(x.host)] = true
			if x.events[messages.HostDown].id != "" {
				down++
			}
		}
	}
	if mass == nil || mass.Silent > len(silent) || mass.Down > down || len(mass.Hosts) != mass.Silent ||
		slices.ContainsFunc(mass.Hosts, func(id messages.HostID) bool { return !silent[id] }) {
		o.blame(-1, "wrong", "%s says %+v of %d silent hosts, %d down", e.Type, mass, len(silent), down)
		return
	}
	if e.Type == messages.IncidentClosed && m.closed == never {
		m.closed = o.now()
		for _, x := range h.order {
			x.folded = false
			x.left = x.left || !x.controller() && !x.ended && slices.Contains(mass.Hosts, o.name(x.host))
		}
	}
}

func (o *oracle) judgeMass(r *receiver, m *massOutage, e messages.Event, why messages.DeliveryReason) {
	switch {
	case why == messages.BecauseReminder:
		if m.heardBy[r.route.ID] == 0 || m.closed != never || m.acked {
			o.blame(-1, "false", "route %s is reminded of an incident, which was acknowledged: %t", r.route.ID, m.acked)
		}
	case e.Type == messages.IncidentOpened:
		m.heardBy[r.route.ID]++
		if m.heardBy[r.route.ID] > 1 {
			o.blame(-1, "doubled", "route %s is told twice of an incident", r.route.ID)
		}
		named := slices.Contains(r.route.Events, messages.HostDown) && e.Detail.Severity == messages.SeverityCritical
		if !r.wants(e) && !named || r.gone {
			o.blame(-1, "false", "route %s is told of an incident that is not for it", r.route.ID)
		}
	case m.heardBy[r.route.ID] == 0 || m.closedBy[r.route.ID]:
		o.blame(-1, "false", "route %s is told of the end of an incident", r.route.ID)
	default:
		m.closedBy[r.route.ID] = true
	}
}

// judgeTelling blames what ought to have been decided by now.
func (o *oracle) judgeTelling() {
	h := o.herald
	if !o.listens {
		return
	}
	// What a disturbance costs: a start may let everything wait once more.
	overdue := func(since time.Duration) bool {
		return o.heard()-max(since, o.calmFrom) > tellingTime && o.now()-max(h.disturbed, o.since) > tellingTime
	}
	if h.due != never && overdue(h.due) {
		o.blame(-1, "missed", "an incident of %d silent hosts is not told", o.silentHosts())
		h.due = never
	}
	for _, m := range h.masses {
		if m.closed == never && h.allBack != never && overdue(h.allBack) {
			o.blame(-1, "missed", "the end of an incident is not told")
			m.closed = o.now()
		}
	}
	for _, x := range h.order {
		for t, e := range x.events {
			if e.judged || !overdue(e.heard) {
				continue
			}
			e.judged = true
			x.events[t] = e
			for _, r := range o.receivers {
				if owed := r.wantsType(e.typ) && (t != messages.HostRecovered || x.knows(r)); owed && !r.gone && !x.gone &&
					!slices.Contains(x.heard[r.route.ID], e.typ) && !x.left && !o.spokenFor(x) {
					o.blame(x.host, "missed", "route %s is not told of %s", r.route.ID, t)
				}
			}
		}
	}
	h.order = slices.DeleteFunc(h.order, func(x *outage) bool {
		return (x.ended || x.gone) && o.now()-x.at > 100*time.Hour
	})
}

// spokenFor reports whether an incident may be what is told in an outage's place.
func (o *oracle) spokenFor(x *outage) bool {
	for _, m := range o.herald.masses {
		if !x.controller() && x.at >= m.opened-memberTime && x.at <= m.closed {
			return true
		}
	}
	return false
}
