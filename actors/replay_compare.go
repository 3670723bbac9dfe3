package actors

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"felhom.eu/messages"
)

// The comparison of what a replay would have told with what was told. Messages are taken
// apart: an event that was told on a route then and is told there now is the same,
// whatever it was told together with.

// withoutNagging leaves out what was told again because nobody acknowledged it: no trace
// says who did.
func withoutNagging(ds []messages.Delivery) []messages.Delivery {
	return slices.DeleteFunc(slices.Clone(ds), func(d messages.Delivery) bool {
		return d.Reason == messages.BecauseReminder || d.Reason == messages.BecauseEscalation
	})
}

// sameWithin is how far apart the two may say that something happened: rules run when
// they are asked to, and clocks are remembered to a second.
const sameWithin = 2 * time.Minute

// Told are messages with the events in them.
type Told struct {
	Deliveries []messages.Delivery
	Events     map[messages.EventID]messages.Event
}

// toldKey is what makes two events the same, beside when.
type toldKey struct {
	route    messages.RouteID
	reason   messages.DeliveryReason
	typ      messages.EventType
	customer messages.CustomerID
	host     messages.HostID
	of       messages.RouteID
	vmid     messages.VMID
	subject  string
	severity messages.Severity
}

// toldOnce is one event told on one route.
type toldOnce struct {
	at    time.Time
	taken bool
}

// Compare holds what a replay tells against what was told then. The messages are in the
// order in which they were due. wanted says which events count; the sum is added to s.
func Compare(replay, then Told, wanted func(*messages.Event) bool, s *messages.ReplaySummary) []messages.ReplayedMessage {
	replay.Deliveries, then.Deliveries = withoutNagging(replay.Deliveries), withoutNagging(then.Deliveries)
	was := make(map[toldKey][]*toldOnce)
	index := make(map[messages.DeliveryID][]*toldOnce)
	for _, d := range then.Deliveries {
		for _, id := range d.Events {
			e, known := then.Events[id]
			if !known || !wanted(&e) {
				index[d.ID] = append(index[d.ID], nil)
				continue
			}
			once := &toldOnce{at: e.At}
			key := keyOfTold(&d, &e)
			was[key], index[d.ID] = append(was[key], once), append(index[d.ID], once)
		}
	}
	var all []messages.ReplayedMessage
	for _, d := range replay.Deliveries {
		m := messageOf(&d)
		m.DeliveryID, m.State = "", ""
		for _, id := range d.Events {
			e := replay.Events[id]
			if !wanted(&e) {
				continue
			}
			verdict := messages.ReplayNew
			if nearest(was[keyOfTold(&d, &e)], e.At) {
				verdict = messages.ReplaySame
				s.Events.Same++
			} else {
				s.Events.Replay++
			}
			m.Events = append(m.Events, toldEvent(&e, verdict))
		}
		if len(m.Events) > 0 {
			m.Verdict = verdictOf(m.Events)
			s.Messages.Replay++
			all = append(all, m)
		}
	}
	for _, d := range then.Deliveries {
		all = appendMissing(all, &d, then.Events, index[d.ID], s)
	}
	slices.SortStableFunc(all, func(a, b messages.ReplayedMessage) int {
		return cmp.Or(a.At.Compare(b.At), strings.Compare(string(a.RouteID), string(b.RouteID)))
	})
	return all
}

// appendMissing adds what of a message the replay does not tell.
func appendMissing(all []messages.ReplayedMessage, d *messages.Delivery, events map[messages.EventID]messages.Event, index []*toldOnce, s *messages.ReplaySummary) []messages.ReplayedMessage {
	m, counts := messageOf(d), false
	for i, once := range index {
		if once == nil {
			continue
		}
		counts = true
		if !once.taken {
			e := events[d.Events[i]]
			m.Events = append(m.Events, toldEvent(&e, messages.ReplayThen))
		}
	}
	if counts {
		s.Messages.Then++
	}
	if len(m.Events) == 0 {
		return all
	}
	s.Events.Then += len(m.Events)
	m.Verdict = messages.ReplayThen
	return append(all, m)
}

// nearest takes the one that was told nearest to an instant, if any is near.
func nearest(was []*toldOnce, at time.Time) bool {
	var best *toldOnce
	for _, once := range was {
		if d := once.at.Sub(at).Abs(); !once.taken && d <= sameWithin && (best == nil || d < best.at.Sub(at).Abs()) {
			best = once
		}
	}
	if best != nil {
		best.taken = true
	}
	return best != nil
}

func keyOfTold(d *messages.Delivery, e *messages.Event) toldKey {
	return toldKey{d.RouteID, d.Reason, e.Type, e.CustomerID, e.HostID, e.RouteID, e.Detail.VMID, e.Detail.Subject, e.Severity()}
}

func messageOf(d *messages.Delivery) messages.ReplayedMessage {
	return messages.ReplayedMessage{
		At: d.DueAt, RouteID: d.RouteID, CustomerID: d.CustomerID, Reason: d.Reason, DeliveryID: d.ID, State: d.State,
	}
}

func toldEvent(e *messages.Event, v messages.ReplayVerdict) messages.ToldEvent {
	return messages.ToldEvent{
		Verdict: v, Type: e.Type, At: e.At, CustomerID: e.CustomerID, HostID: e.HostID, VMID: e.Detail.VMID, Subject: e.Detail.Subject,
		Severity: e.Severity(), Summary: e.Summary,
	}
}

// verdictOf is what the events of a message have in common.
func verdictOf(events []messages.ToldEvent) messages.ReplayVerdict {
	v := events[0].Verdict
	for _, e := range events {
		if e.Verdict != v {
			return messages.ReplayPartly
		}
	}
	return v
}

// Replayed reports whether a replay decides on events of a type; the others it is given.
func Replayed(t messages.EventType) bool {
	switch t {
	case messages.HostStale, messages.HostDown, messages.HostRecovered, messages.HostRebooted, messages.ClockSkew, messages.ClockMended,
		messages.AgentOutdated, messages.AgentUpdated, messages.HostCloned, messages.CloneGone:
		return true
	case messages.HostFlapping, messages.HostSettled, messages.IncidentOpened, messages.IncidentClosed:
		return true // made by who tells
	}
	return slices.Contains(messages.RuleEvents, t)
}
