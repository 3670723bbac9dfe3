package messages

import (
	"fmt"
	"time"
)

// Month is a calendar month of UTC: 12 × year + month − 1.
type Month uint32

// MonthOf is the month of an instant; 0 before year 0.
func MonthOf(t time.Time) Month {
	t = t.UTC()
	return Month(max(12*t.Year()+int(t.Month())-1, 0))
}

// String is the month as 2026-06.
func (m Month) String() string { return fmt.Sprintf("%04d-%02d", m/12, m%12+1) }

// MarshalText writes the month as String does.
func (m Month) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// MonthStart is where in listening time a month began: at the first batch in it. All of
// them are the calendar by which listening time is told apart into months.
type MonthStart struct {
	Month Month
	Heard Listened
	At    time.Time // hub's clock
}

// Outage is a time for which a host was down: from its last contact to the next one, in
// listening time, so that what the hub did not listen to is nobody's. One of no length is
// the host's first contact, from which on its availability counts.
type Outage struct {
	HostID       HostID
	From, To     Listened
	FromAt, ToAt time.Time // the same on the hub's clock, for people
	Planned      bool      // a goodbye had said that it would return
}

// First reports whether it is the host's first contact.
func (o *Outage) First() bool { return o.From == o.To }

// Availability is how much of a month a host could be heard, or all hosts of a customer
// together. Only time counts in which the hub listened and the host was known.
type Availability struct {
	Month    Month
	Hosts    int // that were known in the month
	Outages  int // that it had a part of
	Listened time.Duration
	Down     time.Duration // of Listened
	Planned  time.Duration // of Down
}

// Ratio is the part of the time in which it was not down; false when there was none.
func (a *Availability) Ratio() (float64, bool) {
	if a.Listened <= 0 {
		return 0, false
	}
	return 1 - float64(a.Down)/float64(a.Listened), true
}
