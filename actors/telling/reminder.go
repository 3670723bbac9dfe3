package telling

import (
	"maps"
	"slices"
	"time"

	"github.com/oklog/ulid/v2"

	"felhom.eu/messages"
)

const (
	// remindEvery is how often a customer's routes hear that something is still wrong.
	remindEvery = 4 * time.Hour
	// remindTogether is how much earlier one may be reminded of, so as to be told with others.
	remindTogether = 30 * time.Minute
)

// Ack acknowledges open alarms, and the members of those that are incidents; nil
// takes it back. It returns how many of the ids are open alarms.
func (b *Book) Ack(ids []messages.IncidentID, ack *messages.Ack, now Now) (open int) {
	for _, id := range ids {
		a := b.alarms[id]
		if a == nil || !a.Open() {
			continue
		}
		open++
		b.acknowledge(a, ack, now)
		if a.mass != nil {
			for _, member := range a.mass.members {
				if b.alarms[member.ID] == member && member.Open() {
					b.acknowledge(member, ack, now)
				}
			}
		}
	}
	return open
}

func (b *Book) acknowledge(a *entry, ack *messages.Ack, now Now) {
	b.touch(a)
	a.Ack = ack
	b.remind(a, now)
}

// remind sets an alarm's timer for what is to be told of it though nothing happens.
func (b *Book) remind(a *entry, now Now) {
	at := min(b.massDue(a), b.flaps.due(a))
	if b.nagging(a) {
		at = min(at, b.reminderAt(a, now))
		for _, r := range b.escalators(a) {
			at = min(at, b.escalationAt(a, r, now))
		}
	}
	if at < never && b.holds(a, now) != free {
		at = max(at, now.Mono+lookOut)
	}
	b.timers.set(a, at)
	b.wake = min(b.wake, at)
}

// nagging reports whether an alarm is one to be told again. One with news is told these.
func (b *Book) nagging(a *entry) bool {
	return b.alarms[a.ID] == a && a.Open() && len(a.Told) > 0 && len(a.Pending) == 0 && a.Ack == nil && a.Severity >= messages.SeverityWarning && a.Incident == ""
}

// after is when a wait that began at an instant of the wall clock is over, measured on
// the monotonic one: no longer than it is, whatever was done to the former.
func after(since time.Time, wait time.Duration, now Now) time.Duration {
	return now.Mono + min(max(since.Add(wait).Sub(now.Wall), 0), wait)
}

func (b *Book) reminderAt(a *entry, now Now) time.Duration {
	return after(later(a.ToldAt, a.RemindedAt), remindEvery, now)
}

func later(x, y time.Time) time.Time {
	if x.After(y) {
		return x
	}
	return y
}

// escalators are the routes that heard an alarm and have not passed it on yet.
func (b *Book) escalators(a *entry) (rs []*messages.Route) {
	if a.Severity < messages.SeverityCritical || len(a.Pending) > 0 {
		return nil
	}
	for _, r := range b.routes.of(a.CustomerID) {
		if b.routes.byID[r.EscalateTo] != nil && !r.OnCall && concerns(r, a) && wants(r, a.Type, a.Severity) && !slices.Contains(a.Escalated, r.ID) {
			rs = append(rs, r)
		}
	}
	return rs
}

// escalationAt counts from when it was told to be critical.
func (b *Book) escalationAt(a *entry, r *messages.Route, now Now) time.Duration {
	return after(a.CriticalAt(), r.EscalateAfter, now)
}

// CriticalAt is when an alarm was told to be critical, or a little earlier.
func (a *entry) CriticalAt() time.Time { return later(a.ToldAt, madeAt(a.Raised)) }

// look attends to the alarms whose timers are over.
func (t *round) look() {
	b := t.book
	remind := map[messages.CustomerID]bool{}
	for _, a := range b.timers.due(t.now.Mono) {
		if a.mass != nil && b.speaks(a.mass, t.now) {
			b.list(a, t.now)
		}
		t.settled(a)
		if b.nagging(a) {
			t.escalate(a)
			if b.reminderAt(a, t.now) <= t.now.Mono {
				remind[a.CustomerID] = true
			}
		}
		b.remind(a, t.now)
	}
	for _, c := range slices.Sorted(maps.Keys(remind)) {
		if t.size < maxRows {
			t.reminders(c)
		}
	}
}

// reminders tells a customer's routes of all that is still wrong, and due or nearly so.
func (t *round) reminders(c messages.CustomerID) {
	b := t.book
	var due []*entry
	for _, a := range b.timers.all() {
		if a.CustomerID == c && b.nagging(a) && b.reminderAt(a, t.now) <= t.now.Mono+remindTogether {
			due = append(due, a)
		}
	}
	slices.SortFunc(due, func(x, y *entry) int { return compare(x.Raised, y.Raised) })
	for _, a := range slices.Compact(due) {
		t.size++
		if b.holds(a, t.now) == free {
			for _, r := range b.routes.of(c) {
				if !r.OnCall && concerns(r, a) && wants(r, a.Type, a.severityOf(a.Type)) {
					t.put(r, c, messages.BecauseReminder, a.Severity, a.Raised)
				}
			}
		}
		b.touch(a)
		a.RemindedAt = t.now.Wall.UTC()
		b.remind(a, t.now)
	}
}

// escalate tells on another route what nobody acknowledged on the one before.
func (t *round) escalate(a *entry) {
	b := t.book
	var heard []messages.RouteID
	for _, r := range b.escalators(a) {
		if b.escalationAt(a, r, t.now) > t.now.Mono || b.holds(a, t.now) != free {
			continue
		}
		b.touch(a)
		a.Escalated = append(a.Escalated[:len(a.Escalated):len(a.Escalated)], r.ID)
		if !slices.Contains(heard, r.EscalateTo) {
			heard = append(heard, r.EscalateTo)
			t.put(b.routes.byID[r.EscalateTo], a.CustomerID, messages.BecauseEscalation, messages.SeverityCritical, a.Raised)
		}
	}
}

// madeAt is when an event got its id.
func madeAt(id messages.EventID) time.Time {
	u, err := ulid.ParseStrict(string(id))
	if err != nil {
		return time.Time{}
	}
	return ulid.Time(u.Time())
}
