package actors

import (
	"slices"
	"time"

	"felhom.eu/messages"
)

// The far ends of the routes, their troubles, and the part of the oracle that
// judges what reaches them: every event that was told, at least once on every
// route that wants it, each time under the same id with the same words, in the
// order in which it happened to its host; nothing again that is durably sent,
// and no more often twice than the hub ended meanwhile.

// delivered is how long a well route of a well hub may take with all that waits.
const delivered = 40 * time.Minute

type ailment int

const (
	sound       ailment = iota
	slow                // answers after seconds
	hanging             // takes the message, and says so too late
	failing             // 500
	overloaded          // 429 with a Retry-After
	unreachable         // takes nothing
	offended            // 410: never again
	ailments
)

// receiver is a far end.
type receiver struct {
	route    messages.Route
	ailment  ailment
	wellFrom time.Duration // true time
	gone     bool          // the route was removed

	due     []dueEvent                       // told, and wanted, in order
	index   map[messages.EventID]int         // in due
	next    map[int]int                      // by host: how many of its events came
	ordinal map[int]int                      // by host: how many are due
	words   map[messages.DeliveryID][]string // of the first try
	taken   map[messages.DeliveryID]*taking
	again   map[int]messages.DeliveryID // by the hub's end: the one that it may repeat
}

type dueEvent struct {
	host, ordinal int
	told          time.Duration
	came, done    bool
}

// taking is a delivery that was answered well.
type taking struct {
	times, endsThen int
	durable         bool
}

func newReceiver(r messages.Route) *receiver {
	return &receiver{route: r, index: map[messages.EventID]int{}, next: map[int]int{}, ordinal: map[int]int{},
		words: map[messages.DeliveryID][]string{}, taken: map[messages.DeliveryID]*taking{}, again: map[int]messages.DeliveryID{}}
}

// simRoutes, as the store lists them, are a customer's, a critical one, one of two types, the operator's, and another customer's.
func simRoutes() []messages.Route {
	return []messages.Route{
		{ID: "acme", CustomerID: "acme"}, {ID: "critical", MinSeverity: messages.SeverityCritical},
		{ID: "downs", Events: []messages.EventType{messages.HostDown, messages.HostRecovered}}, {ID: "operator"}, {ID: "umbra", CustomerID: "umbra"},
	}
}

// expects notes an event that is durably to be told. What is told again, to remind, may
// come at any time.
func (r *receiver) expects(host int, id messages.EventID, why messages.DeliveryReason, now time.Duration) {
	if _, again := r.index[id]; again {
		return
	}
	r.index[id] = len(r.due)
	if why != messages.BecauseNews {
		r.due = append(r.due, dueEvent{host: host, told: now, came: true})
		return
	}
	r.due = append(r.due, dueEvent{host: host, ordinal: r.ordinal[host], told: now})
	r.ordinal[host]++
}

// receive is a try that reached the far end, which answered ok or not, or for good.
func (o *oracle) receive(r *receiver, d messages.Delivery, ok, done bool) {
	var words []string
	for _, id := range d.Events {
		words = append(words, string(id))
		i, due := r.index[id]
		if !due {
			o.blame(-1, "false", "route %s is told of %s, which is not for it", r.route.ID, id)
			continue
		}
		e := &r.due[i]
		if !e.came {
			if e.ordinal != r.next[e.host] {
				o.blame(e.host, "disordered", "route %s is told of event %d of the host, %d is next", r.route.ID, e.ordinal, r.next[e.host])
			}
			r.next[e.host] = e.ordinal + 1
		}
		e.came, e.done = true, e.done || done
	}
	if before, again := r.words[d.ID]; again && !slices.Equal(before, words) {
		o.blame(-1, "changed", "delivery %s said %v, then %v", d.ID, before, words)
	}
	r.words[d.ID] = words
	t := r.taken[d.ID]
	switch {
	case t != nil:
		if done { // a try that is refused now is one that the hub has to repeat
			t.times++
		}
		first, others := r.again[o.ends]
		r.again[o.ends] = d.ID
		if t.durable || t.times-1 > o.ends-t.endsThen || others && first != d.ID {
			o.blame(-1, "doubled", "route %s got delivery %s %d times, the hub ended %d times meanwhile", r.route.ID, d.ID, t.times, o.ends-t.endsThen)
		}
		o.tally.duplicates++
	case done:
		r.taken[d.ID] = &taking{times: 1, endsThen: o.ends}
		o.tally.deliveries++
	}
	if !ok {
		o.tally.refusals++
	}
}

// judgeReceivers blames what a route ought to have been told by now.
func (o *oracle) judgeReceivers() {
	if !o.listens {
		return
	}
	for _, r := range o.receivers {
		if r.gone || r.ailment != sound {
			continue
		}
		from := o.now() - max(r.wellFrom, o.since)
		for i := range r.due {
			if e := &r.due[i]; !e.done && min(from, o.now()-e.told) > delivered {
				o.blame(e.host, "untold", "route %s was not told of event %d of the host for %v", r.route.ID, e.ordinal, o.now()-e.told)
				e.done = true
			}
		}
	}
}

// far is a try as the far end takes it.
func (w *world) far(id messages.RouteID, d messages.Delivery) (took time.Duration, a Answer) {
	r := w.receiverOf(id)
	took, a = w.between(10*time.Millisecond, time.Second), Answer{OK: true, Status: 204}
	switch r.ailment {
	case slow:
		took = w.between(time.Second, 14*time.Second)
	case hanging:
		took, a = sendTimeout, Answer{Text: "no answer in time"}
	case failing:
		a = Answer{Status: 500}
	case overloaded:
		a = Answer{Status: 429, RetryAfter: w.between(0, 10*time.Minute)}
	case unreachable:
		w.note(-1, "route %s: %s gets nowhere", id, d.ID)
		return took, Answer{Text: "connection refused"}
	case offended:
		a = Answer{Status: 410, Permanent: true}
	}
	w.note(-1, "route %s: %s with %v is answered %d", id, d.ID, d.Events, a.Status)
	w.oracle.receive(r, d, a.OK, a.OK || a.Permanent)
	return took, a
}

func (w *world) receiverOf(id messages.RouteID) *receiver {
	i := slices.IndexFunc(w.oracle.receivers, func(r *receiver) bool { return r.route.ID == id })
	return w.oracle.receivers[i]
}

// planRoutes gives the far ends their troubles, and removes a route now and then.
func (w *world) planRoutes() {
	for _, r := range w.oracle.receivers {
		for at := w.between(0, 12*time.Hour); at < 46*time.Hour; at += w.between(time.Hour, 16*time.Hour) {
			lasts := w.between(time.Second, 3*time.Hour)
			what := ailment(1 + w.rand.IntN(int(ailments)-1))
			w.at(at, func() { w.ail(r, what) })
			w.at(at+lasts, func() { w.ail(r, sound) })
			at += lasts
		}
	}
	if r := w.oracle.receivers[w.rand.IntN(len(w.oracle.receivers))]; w.chance(0.2) {
		w.at(w.between(time.Hour, fleetHours), func() {
			if w.hub.running && !w.hub.asleep {
				w.note(-1, "route %s is removed", r.route.ID)
				w.hub.post.remove(r.route.ID)
				r.gone = true
			}
		})
	}
}

func (w *world) ail(r *receiver, what ailment) {
	w.oracle.judgeReceivers()
	w.note(-1, "route %s: ailment %d", r.route.ID, what)
	r.ailment, r.wellFrom = what, w.hub.real
}

func newPost(w *world) *post {
	return &post{hub: w.hub, dice: w.rand, far: w.far, after: w.after, ended: w.oracle.ended, routes: simRoutes(), rows: map[messages.DeliveryID]messages.Delivery{},
		alarms: map[messages.IncidentID]messages.Alarm{}, decided: w.oracle.decided}
}

// ended notes that the disk says of a delivery that it is done with: it must
// never be sent again.
func (o *oracle) ended(d messages.Delivery) {
	for _, r := range o.receivers {
		if t := r.taken[d.ID]; t != nil && r.route.ID == d.RouteID {
			t.durable = true
		}
	}
}
