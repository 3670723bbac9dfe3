package actors

import (
	"container/heap"
	"fmt"
	"time"

	"felhom.eu/messages"
)

// Replay runs what a hub was given through the hub's rules once more, on clocks that are
// read from its traces: which events there would have been, and who would have been told
// what, with these settings. It knows no engine, no store and no clock, and is not for
// more than one goroutine.
//
// What it is given comes in the order in which it became durable. It cannot know what no
// trace has: settings that have changed since, acknowledgements, and whether a message
// arrived.
type Replay struct {
	o        ReplayOptions
	book     *ruleBook
	release  release
	clock    messages.Trace // the line on which time runs
	now      Moment         // of the last that happened
	hosts    map[messages.HostID]*replayedHost
	alarms   replayAlarms
	told     *retold
	events   []messages.Event
	incident int
	refused  int
}

// ReplayOptions are the settings that a replay has.
type ReplayOptions struct {
	Rules     Rules
	Version   string // of the program, as Config.Version
	GroupWait time.Duration
	Routes    []messages.Route
	Silences  []messages.Silence
	Settings  []messages.RuleSettings
	// Interval is how often a host is to report, in seconds; 0 is the hub's interval.
	Interval func(messages.HostID) int
	Site     func(messages.HostID) string // where a host is; nil or "": not known
}

// replayedHost is a host as its actor would have it, with its standing.
type replayedHost struct {
	state    messages.HostState
	standing messages.Standing
	due      messages.Listened // its place among the alarms; 0: none
	index    int
}

// NewReplay is a replay before anything happened: no host has ever reported.
func NewReplay(o ReplayOptions) *Replay {
	r := &Replay{o: o, book: newRuleBook(o.Settings), hosts: make(map[messages.HostID]*replayedHost)}
	r.release, _ = releaseOf(o.Version)
	r.told = newRetold(r)
	return r
}

// Trace is what was no report. Those of a batch come before its reports.
func (r *Replay) Trace(t messages.Trace) {
	if t.Kind == messages.TraceClock {
		r.turn(t)
		return
	}
	now := r.moment(t.At)
	r.advance(now)
	h := r.host(t.HostID)
	if t.Kind == messages.TraceRepeat {
		next := h.state
		_, events := onReport(&next, &t.Report, now)
		r.settle(h, next, events, now)
		return
	}
	if next, events, heard := onGoodbye(h.state, t.Goodbye, messages.HashText(t.Goodbye.Stream), now); heard {
		r.settle(h, next, events, now)
	}
}

// turn goes over to where the clocks are now. What was due before the hub went deaf came
// before; the rest waits for the grace.
func (r *Replay) turn(t messages.Trace) {
	if r.clock.Kind != 0 {
		until := t.Listened
		if t.Resumed > r.clock.Resumed {
			until = t.Resumed
		}
		r.advance(r.at(until))
	}
	r.clock = t
	r.now.Resumed = t.Resumed
}

// Start puts the clocks somewhere, for a store whose traces begin later than its reports.
func (r *Replay) Start(at time.Time) {
	r.turn(messages.Trace{Kind: messages.TraceClock, At: at, Listened: r.now.At, Resumed: NeverResumed})
}

// Seed says how a host's switch stood when the replay begins: an alarm that is open
// since then recovers as it did.
func (r *Replay) Seed(id messages.HostID, phase messages.Phase, since time.Time, incident messages.IncidentID) {
	h := r.host(id)
	h.state.Phase, h.state.PhaseSince, h.state.Incident = phase, since.UnixNano(), incident
	h.state.ContactAt, h.state.ContactHeard = since.UnixNano(), r.clock.Listened.Add(-r.clock.At.Sub(since))
	r.arm(h)
}

// Report is a report as it is stored. One that cannot be read any more is passed over.
func (r *Replay) Report(stored *messages.StoredReport) {
	var sum messages.Summary
	if err := messages.Scan(stored.Body, &sum); err != nil {
		r.refused++
		return
	}
	if !stored.SentAt.IsZero() {
		sum.SentAt = stored.SentAt.UnixNano()
	}
	now := r.moment(stored.ReceivedAt)
	r.advance(now)
	h := r.host(stored.HostID)
	next := h.state
	v, events := onReport(&next, &sum, now)
	if v == fresh {
		noteVersion(&next, h.state.AgentVersion, r.release, now, (*news)(&events))
		next.IntervalSecs = uint16(r.interval(h.state.ID))
		if t := r.book.of(h.state.ID); remarkable(&h.state, &sum, t, now) {
			_ = (*news)(&events).judged(&next, &h.standing, stored.Body, factsHash(&sum, t), t, now, r.newIncident) // Scan took it
		}
	}
	r.settle(h, next, events, now)
}

// Given is an event that the replay does not decide on, told as it was: of the hub
// itself, of controllers, deadlines and routes.
func (r *Replay) Given(e messages.Event) {
	now := r.moment(e.At)
	r.advance(now)
	r.tell([]messages.Event{e}, now.Wall)
}

// End lets time pass up to an instant, and says which messages there were.
func (r *Replay) End(at time.Time) []messages.Delivery {
	r.advance(r.moment(at))
	return r.told.end(at)
}

// Events are those that there were so far, in order.
func (r *Replay) Events() []messages.Event { return r.events }

// Refused counts the reports that could not be read.
func (r *Replay) Refused() int { return r.refused }

// moment is an instant of the wall clock on both clocks. Neither goes back.
func (r *Replay) moment(wall time.Time) Moment {
	at := r.clock.Listened.Add(wall.Sub(r.clock.At))
	return Moment{Wall: wall, At: max(at, r.now.At), Resumed: r.clock.Resumed}
}

// at is a moment by its listening time.
func (r *Replay) at(l messages.Listened) Moment {
	return Moment{Wall: r.clock.At.Add((l - r.clock.Listened).Duration()), At: l, Resumed: r.clock.Resumed}
}

// advance lets listening time pass: what is due by now happens in its order.
func (r *Replay) advance(now Moment) {
	for len(r.alarms) > 0 && r.alarms[0].due <= now.At {
		h := r.alarms[0]
		at := r.at(h.due)
		next, events := expire(h.state, r.rules(h), at, r.newIncident)
		r.settle(h, next, events, at)
	}
	r.now = now
}

// settle is what a write is to a host's actor.
func (r *Replay) settle(h *replayedHost, next messages.HostState, events []messages.Event, now Moment) {
	h.state = next
	r.arm(h)
	r.tell(events, now.Wall)
}

func (r *Replay) tell(events []messages.Event, now time.Time) {
	for _, e := range events {
		r.told.hear(e, now)
	}
}

func (r *Replay) host(id messages.HostID) *replayedHost {
	h := r.hosts[id]
	if h == nil {
		h = &replayedHost{state: messages.HostState{ID: id}, standing: messages.Standing{HostID: id}, index: -1}
		r.hosts[id] = h
	}
	return h
}

func (r *Replay) interval(id messages.HostID) int {
	if own := r.o.Interval(id); own != 0 {
		return own
	}
	return int(r.o.Rules.PollInterval.Seconds())
}

func (r *Replay) rules(h *replayedHost) Rules {
	return r.o.Rules.scaled(max(r.o.Interval(h.state.ID), int(h.state.IntervalSecs)))
}

// arm puts a host where its next transition is due.
func (r *Replay) arm(h *replayedHost) {
	at, armed := deadline(&h.state, r.rules(h), r.clock.Resumed)
	switch {
	case !armed && h.index >= 0:
		heap.Remove(&r.alarms, h.index)
	case !armed:
	case h.index < 0:
		h.due = at
		heap.Push(&r.alarms, h)
	default:
		h.due = at
		heap.Fix(&r.alarms, h.index)
	}
}

func (r *Replay) newIncident() messages.IncidentID {
	r.incident++
	return messages.IncidentID(fmt.Sprintf("R%025d", r.incident))
}

// replayAlarms are the hosts whose switch may fire, the earliest first; of one moment,
// in the order of their ids.
type replayAlarms []*replayedHost

// Len implements sort.Interface.
func (a replayAlarms) Len() int { return len(a) }

// Less implements sort.Interface.
func (a replayAlarms) Less(i, j int) bool {
	return a[i].due < a[j].due || a[i].due == a[j].due && a[i].state.ID < a[j].state.ID
}

// Swap implements sort.Interface.
func (a replayAlarms) Swap(i, j int) {
	a[i], a[j] = a[j], a[i]
	a[i].index, a[j].index = i, j
}

// Push implements heap.Interface.
func (a *replayAlarms) Push(x any) {
	h := x.(*replayedHost)
	h.index = len(*a)
	*a = append(*a, h)
}

// Pop implements heap.Interface.
func (a *replayAlarms) Pop() any {
	last := len(*a) - 1
	h := (*a)[last]
	*a, h.index = (*a)[:last], -1
	return h
}
