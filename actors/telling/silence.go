package telling

import (
	"slices"
	"time"

	"felhom.eu/messages"
)

// maintenance is the silences.
type maintenance struct {
	silences []*silence // by id; replaced, never changed in place
	durable  []*silence
	changes  time.Time // when one begins or ends next; zero: not known
	looked   time.Time
}

// silence is one, with whether it holds now.
type silence struct {
	messages.Silence
	active bool
}

func (m *maintenance) setSilences(all []messages.Silence) {
	for _, s := range all {
		m.silences = append(m.silences, &silence{Silence: s})
	}
	m.durable = m.silences
}

// PutSilence makes or changes a silence.
func (b *Book) PutSilence(s messages.Silence) {
	next := slices.DeleteFunc(slices.Clone(b.silences), func(x *silence) bool { return x.ID == s.ID })
	b.silences = append(next, &silence{Silence: s})
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
		s.active = s.On(now)
		if changes := s.Change(now); !changes.IsZero() && changes.Before(next) {
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
		if covers(s, a) && s.On(at) {
			return true
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
