package messages

import "time"

// maxJoined is how many windows of a silence that run into each other are looked at for
// their end.
const maxJoined = 500

// SilenceState is where a silence stands.
type SilenceState string

// The states of a silence.
const (
	SilenceActive   SilenceState = "active"
	SilenceUpcoming SilenceState = "upcoming" // it will be active, for the first time or again
	SilencePast     SilenceState = "past"
)

// State is where it stands at an instant.
func (s *Silence) State(t time.Time) SilenceState {
	switch {
	case s.On(t):
		return SilenceActive
	case s.Change(t).IsZero():
		return SilencePast
	}
	return SilenceUpcoming
}

// On reports whether it holds at an instant. The first instant counts, the last does not.
// A window of a recurring one is cut by StartsAt and EndsAt; a schedule that cannot be
// read silences nothing.
func (s *Silence) On(t time.Time) bool {
	if t.Before(s.StartsAt) || s.ended(t) {
		return false
	}
	if s.Schedule == "" {
		return true
	}
	w, ok := s.windows()
	if !ok {
		return false
	}
	start := w.next(t.Add(-w.lasting))
	return !start.IsZero() && !start.After(t)
}

// Change is the next instant behind t at which On changes; the zero time is never. Of
// windows that run into each other without end it is some later instant at which it is
// still on: then ask again.
func (s *Silence) Change(t time.Time) time.Time {
	switch {
	case s.ended(t):
		return time.Time{}
	case t.Before(s.StartsAt):
		if s.On(s.StartsAt) {
			return s.StartsAt
		}
		return s.Change(s.StartsAt)
	case s.Schedule == "":
		return s.EndsAt
	}
	w, ok := s.windows()
	if !ok {
		return time.Time{}
	}
	if s.On(t) {
		return s.cut(w.end(t))
	}
	next := w.next(t)
	if next.IsZero() || s.ended(next) {
		return time.Time{}
	}
	return next
}

func (s *Silence) ended(t time.Time) bool { return !s.EndsAt.IsZero() && !t.Before(s.EndsAt) }

// cut is the end of a window, or EndsAt when that is earlier.
func (s *Silence) cut(end time.Time) time.Time {
	if s.ended(end) {
		return s.EndsAt
	}
	return end
}

// windows are when a recurring silence holds.
type windows struct {
	cron    Cron
	zone    *time.Location
	lasting time.Duration
}

func (s *Silence) windows() (w windows, ok bool) {
	cron, err1 := ParseCron(s.Schedule)
	zone, err2 := ParseZone(s.TimeZone)
	return windows{cron, zone, time.Duration(s.DurationSeconds) * time.Second}, err1 == nil && err2 == nil
}

func (w *windows) next(after time.Time) time.Time { return w.cron.Next(after, w.zone) }

// end is when the window that holds t ends, and those that begin before its end.
func (w *windows) end(t time.Time) (end time.Time) {
	start := w.next(t.Add(-w.lasting))
	end = start.Add(w.lasting)
	for range maxJoined {
		if start = w.next(start); start.IsZero() || start.After(end) {
			break
		}
		end = start.Add(w.lasting)
	}
	return end
}
