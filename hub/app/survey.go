package app

import (
	"sync"
	"time"

	"felhom.eu/messages"
)

const (
	surveyShare = 20                    // times what it took: a survey is made no more often
	surveyWait  = 50 * time.Millisecond // who asks waits for one that takes no longer
	surveyFor   = time.Minute           // what changes without an event shows by then
)

// surveys remembers what needs attention: to find out looks at every alarm, and there may
// be very many. It is found out anew when something happened, on a twentieth of a core
// at most, and when somebody changed something: who did wants to see it.
type surveys struct {
	making sync.Mutex // held by who finds out
	mu     sync.Mutex
	last   survey
	stale  bool // somebody changed something since
}

// survey is what needed attention at an instant.
type survey struct {
	messages.NeedsAttention
	took   time.Duration // zero: there is none
	events uint64        // that had happened
	until  time.Time     // a silence begins or ends then; zero: none does
}

// get is what needs attention now, or did a moment ago. events counts what has happened.
func (s *surveys) get(events func() uint64, make func(now time.Time) (survey, error)) (messages.NeedsAttention, error) {
	last, due := s.look(time.Now(), events())
	switch {
	case !due:
		return last.NeedsAttention, nil
	case last.took == 0 || last.took < surveyWait:
		s.making.Lock()
	case !s.making.TryLock():
		return last.NeedsAttention, nil // somebody is at it
	default:
		go func() {
			defer s.making.Unlock()
			_, _ = s.renew(events, make) // who asks next is told of the error
		}()
		return last.NeedsAttention, nil
	}
	defer s.making.Unlock()
	if last, due = s.look(time.Now(), events()); !due {
		return last.NeedsAttention, nil
	}
	return s.renew(events, make)
}

func (s *surveys) renew(events func() uint64, make func(now time.Time) (survey, error)) (messages.NeedsAttention, error) {
	s.mu.Lock()
	s.stale = false
	s.mu.Unlock()
	seen, now := events(), time.Now()
	made, err := make(now.UTC())
	if err != nil {
		s.forget()
		return messages.NeedsAttention{}, err
	}
	made.events, made.took = seen, max(time.Since(now), 1)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = made
	return made.NeedsAttention, nil
}

// look is the last survey, and whether another is due.
func (s *surveys) look(now time.Time, events uint64) (last survey, due bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	last = s.last
	age := now.Sub(last.AsOf)
	changed := events != last.events || age > surveyFor || !last.until.IsZero() && !now.Before(last.until)
	return last, last.took == 0 || s.stale || changed && age > surveyShare*last.took
}

// forget says that something changed without an event.
func (s *surveys) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stale = true
}
