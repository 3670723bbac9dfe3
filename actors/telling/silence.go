package telling

import (
	"fmt"
	"slices"
	"time"

	"github.com/robfig/cron/v3"

	"felhom.eu/messages"
)

// maintenance is the silences.
type maintenance struct {
	silences []*silence // by id; replaced, never changed in place
	durable  []*silence
	changes  time.Time // when one begins or ends next; zero: not known
	looked   time.Time
}

// silence is one, with what its schedule says of now.
type silence struct {
	messages.Silence
	runs   cron.Schedule  // nil: once
	zone   *time.Location // of runs
	active bool
}

// ParseSchedule reads the five fields of a cron expression, or a word such as
// @daily, for a silence that recurs.
func ParseSchedule(s string) (cron.Schedule, error) {
	runs, err := cron.ParseStandard(s)
	if err != nil {
		return nil, fmt.Errorf("schedule %.60q: %w", s, err)
	}
	if _, every := runs.(cron.ConstantDelaySchedule); every {
		return nil, fmt.Errorf("schedule %.60q: @every begins at no instant of its own; name minutes and hours", s)
	}
	return runs, nil
}

func newSilence(s messages.Silence) *silence {
	v := &silence{Silence: s, zone: time.UTC}
	if s.Schedule != "" {
		runs, err := ParseSchedule(s.Schedule)
		if err != nil {
			runs = nothing{} // cannot be: it was checked when it was made. Better told than not
		}
		v.runs = runs
		if zone, err := time.LoadLocation(s.TimeZone); err == nil {
			v.zone = zone
		}
	}
	return v
}

// nothing is the schedule of what never comes.
type nothing struct{}

func (nothing) Next(time.Time) time.Time { return time.Time{} }

// at reports whether the silence holds at an instant, and when that changes next;
// the zero time is never. Windows begin by the clock on the wall: one in the hour that
// summer time skips begins when that is over, one in the hour that comes twice begins once.
func (s *silence) at(now time.Time) (active bool, changes time.Time) {
	switch {
	case now.Before(s.StartsAt):
		return false, s.StartsAt
	case !s.EndsAt.IsZero() && !now.Before(s.EndsAt):
		return false, time.Time{}
	case s.runs == nil:
		return true, s.EndsAt
	}
	lasts := time.Duration(s.DurationSeconds) * time.Second
	for from := s.runs.Next(onWall(now.Add(-lasts).In(s.zone)).Add(-3 * time.Hour)); !from.IsZero(); from = s.runs.Next(from) {
		begins := s.instant(from)
		end := begins.Add(lasts)
		if !s.EndsAt.IsZero() && s.EndsAt.Before(end) {
			end = s.EndsAt
		}
		if begins.After(now) {
			return false, begins
		}
		if now.Before(end) && !begins.Before(s.StartsAt) {
			return true, end
		}
	}
	return false, time.Time{}
}

// onWall is what a clock on the wall shows, as if it were UTC; instant is the way back.
func onWall(t time.Time) time.Time {
	y, m, d := t.Date()
	return time.Date(y, m, d, t.Hour(), t.Minute(), t.Second(), 0, time.UTC)
}

func (s *silence) instant(wall time.Time) time.Time {
	y, m, d := wall.Date()
	t := time.Date(y, m, d, wall.Hour(), wall.Minute(), wall.Second(), 0, s.zone)
	if earlier := t.Add(-time.Hour); onWall(earlier).Equal(wall) { // of an hour that comes twice the first
		return earlier
	}
	return t
}

func (m *maintenance) setSilences(all []messages.Silence) {
	for _, s := range all {
		m.silences = append(m.silences, newSilence(s))
	}
	m.durable = m.silences
}

// PutSilence makes or changes a silence.
func (b *Book) PutSilence(s messages.Silence) {
	next := slices.DeleteFunc(slices.Clone(b.silences), func(x *silence) bool { return x.ID == s.ID })
	b.silences = append(next, newSilence(s))
	b.changes, b.wake = time.Time{}, 0
}

// Silence is one by its id.
func (b *Book) Silence(id messages.SilenceID) (messages.Silence, bool) {
	for _, s := range b.silences {
		if s.ID == id {
			return s.Silence, true
		}
	}
	return messages.Silence{}, false
}

// turn begins and ends silences by the clock.
func (b *Book) turn(now time.Time) {
	if !b.changes.IsZero() && now.Before(b.changes) && !now.Before(b.looked) {
		return
	}
	next := now.AddDate(1, 0, 0)
	for _, s := range b.silences {
		active, changes := s.at(now)
		s.active = active
		if !changes.IsZero() && changes.Before(next) {
			next = changes
		}
	}
	b.looked, b.changes = now, next
	for _, g := range b.groups {
		g.recheck = true
	}
}

// until is how long until a silence begins or ends.
func (m *maintenance) until(now time.Time) time.Duration { return max(m.changes.Sub(now), 0) }

// covered reports whether a silence that holds now is about an alarm. The hub's own
// affairs are none of them.
func (b *Book) covered(a *entry) bool {
	for _, s := range b.silences {
		if s.active && covers(s, a) {
			return true
		}
	}
	return false
}

// coveredAt is the same for another instant.
func (b *Book) coveredAt(a *entry, at time.Time) bool {
	for _, s := range b.silences {
		if covers(s, a) {
			if active, _ := s.at(at); active {
				return true
			}
		}
	}
	return false
}

func covers(s *silence, a *entry) bool {
	if a.RouteID != "" || a.CustomerID == "" && a.Type.Recovery() == "" {
		return false
	}
	return s.Scope.Covers(a.CustomerID, a.Site, a.HostID)
}

func (m *maintenance) commit() { m.durable = m.silences }
func (m *maintenance) reset()  { m.silences, m.changes = m.durable, time.Time{} }
