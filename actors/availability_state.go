package actors

import (
	"cmp"
	"slices"
	"time"

	"felhom.eu/messages"
)

// Availability counts in listening time alone: a month is a stretch of it, and so is
// an outage. What the hub did not listen to is in neither.

// calendar is where the months began, in order.
type calendar []messages.MonthStart

// begins tells that a month begins now: one that was not there before, or was there
// only because the clock ran ahead then.
func (c calendar) begins(now Moment) (messages.MonthStart, bool) {
	m := messages.MonthOf(now.Wall)
	i, found := c.find(m)
	if found && !now.Wall.Before(c[i].At) {
		return messages.MonthStart{}, false
	}
	return messages.MonthStart{Month: m, Heard: now.At, At: now.Wall.UTC()}, true
}

func (c calendar) find(m messages.Month) (int, bool) {
	return slices.BinarySearchFunc(c, m, func(s messages.MonthStart, m messages.Month) int { return cmp.Compare(s.Month, m) })
}

// with is the calendar with another beginning in it.
func (c calendar) with(s messages.MonthStart) calendar {
	i, found := c.find(s.Month)
	if found {
		c = slices.Clone(c)
		c[i] = s
		return c
	}
	return slices.Insert(slices.Clone(c), i, s)
}

// outageOf is what a contact ends, or begins when it is the host's first; nil for
// nearly every contact.
func outageOf(before, after *messages.HostState) *messages.Outage {
	if after.Phase != messages.PhaseOK || before.Phase != messages.PhaseNew && before.Phase != messages.PhaseDown {
		return nil
	}
	at := time.Unix(0, after.ContactAt).UTC()
	o := &messages.Outage{HostID: after.ID, From: after.ContactHeard, To: after.ContactHeard, FromAt: at, ToAt: at}
	if before.Phase == messages.PhaseDown {
		o.From, o.FromAt, o.Planned = before.ContactHeard, time.Unix(0, before.ContactAt).UTC(), before.HeldUntil != 0
	}
	return o
}

// Life is what of a host its availability follows from.
type Life struct {
	State   *messages.HostState
	Outages []messages.Outage // oldest first
}

// AvailabilityOf sums the last months up for all the lives together, newest first:
// those whose beginning is known. months must be in order.
func AvailabilityOf(months []messages.MonthStart, now Moment, last int, lives func(yield func(Life) bool)) []messages.Availability {
	spans := spansOf(months, now, last)
	sums := make([]messages.Availability, len(spans))
	for i := range spans {
		sums[i].Month = spans[i].month
	}
	for l := range lives {
		began, ok := l.began(months)
		if !ok {
			continue
		}
		outages := l.Outages
		if l.State.Phase == messages.PhaseDown {
			outages = append(slices.Clip(outages), messages.Outage{From: l.State.ContactHeard, To: now.At, Planned: l.State.HeldUntil != 0})
		}
		for i := range spans {
			spans[i].add(&sums[i], began, outages)
		}
	}
	slices.Reverse(sums)
	return sums
}

// began is the host's first contact; false when it had none. One that was there before
// outages were noted began with the calendar.
func (l *Life) began(months []messages.MonthStart) (messages.Listened, bool) {
	if l.State.Phase == messages.PhaseNew || len(months) == 0 {
		return 0, false
	}
	if len(l.Outages) > 0 && l.Outages[0].First() {
		return l.Outages[0].From, true
	}
	return slices.MinFunc(months, func(a, b messages.MonthStart) int { return cmp.Compare(a.Heard, b.Heard) }).Heard, true
}

// span is a month in listening time.
type span struct {
	month    messages.Month
	from, to messages.Listened
}

// spansOf are the last months that have begun by now, oldest first.
func spansOf(months []messages.MonthStart, now Moment, last int) (spans []span) {
	present := messages.MonthOf(now.Wall)
	for i, m := range months {
		if m.Month > present || int(present-m.Month) >= last {
			continue
		}
		to := now.At
		if i+1 < len(months) && months[i+1].Month <= present {
			to = months[i+1].Heard
		}
		spans = append(spans, span{m.Month, m.Heard, to})
	}
	return spans
}

func (s span) add(sum *messages.Availability, began messages.Listened, outages []messages.Outage) {
	from := max(s.from, began)
	if s.to <= from {
		return
	}
	sum.Hosts++
	sum.Listened += (s.to - from).Duration()
	for _, o := range outages {
		down := (min(o.To, s.to) - max(o.From, from)).Duration()
		if down <= 0 {
			continue
		}
		sum.Outages++
		sum.Down += down
		if o.Planned {
			sum.Planned += down
		}
	}
}
