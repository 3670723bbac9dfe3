package actors

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"felhom.eu/messages"
)

// The rules of deadlines, pure: a deadline, what was seen, and now.

// schedule is a deadline's times, read once.
type schedule struct {
	hour, minute int
	zone         *time.Location
	weekdays     [7]bool
	grace        time.Duration
}

// FieldProblem is what is wrong with a field of an order.
type FieldProblem struct{ Field, Problem string }

// Error is the field, a colon and the problem.
func (e *FieldProblem) Error() string { return e.Field + ": " + e.Problem }

// scheduleOf reads a deadline. The error is a *FieldProblem.
func scheduleOf(d *messages.Deadline) (s schedule, err error) {
	hour, err1 := strconv.Atoi(d.Time[:min(2, len(d.Time))])
	minute, err2 := strconv.Atoi(d.Time[min(3, len(d.Time)):])
	if err1 != nil || err2 != nil || d.Time != fmt.Sprintf("%02d:%02d", hour, minute) || hour < 0 || hour > 23 || minute < 0 || minute > 59 {
		return s, &FieldProblem{"time", "want a time of day, as 06:00"}
	}
	s.hour, s.minute = hour, minute
	if s.zone, err = time.LoadLocation(d.TimeZone); err != nil || d.TimeZone == "" || d.TimeZone == "Local" {
		return s, &FieldProblem{"time_zone", "want a name of the time zone database, as Europe/Budapest"}
	}
	for _, word := range d.Weekdays {
		i := slices.Index(messages.Weekdays[:], word)
		if i < 0 || s.weekdays[i] {
			return s, &FieldProblem{"weekdays", "want each of mon, tue, wed, thu, fri, sat, sun at most once"}
		}
		s.weekdays[i] = true
	}
	if len(d.Weekdays) == 0 {
		s.weekdays = [7]bool{true, true, true, true, true, true, true}
	}
	if d.GraceSeconds < 0 || d.GraceSeconds > messages.MaxDeadlineGrace {
		return s, &FieldProblem{"grace_seconds", fmt.Sprintf("want 0 to %d", messages.MaxDeadlineGrace)}
	}
	s.grace = time.Duration(d.GraceSeconds) * time.Second
	return s, nil
}

// on is the deadline of a date; ok is false when its weekday has none. Where clocks
// change it is reckoned by the clock before the change: of an hour that is skipped
// it comes as much later, of one that is repeated the first time.
func (s *schedule) on(year int, month time.Month, day int) (at time.Time, ok bool) {
	naive := time.Date(year, month, day, s.hour, s.minute, 0, 0, time.UTC)
	_, before := naive.Add(-24 * time.Hour).In(s.zone).Zone()
	_, after := naive.Add(24 * time.Hour).In(s.zone).Zone()
	early := naive.Add(-time.Duration(before) * time.Second)
	at = early
	if late := naive.Add(-time.Duration(after) * time.Second); !s.reads(early, naive) && s.reads(late, naive) {
		at = late
	}
	return at, s.weekdays[naive.Weekday()]
}

// reads reports whether the zone's clock shows what naive does.
func (s *schedule) reads(at, naive time.Time) bool {
	_, offset := at.In(s.zone).Zone()
	return at.Add(time.Duration(offset) * time.Second).Equal(naive)
}

// last is the newest deadline that is not after now.
func (s *schedule) last(now time.Time) time.Time {
	year, month, day := now.In(s.zone).Date()
	for back := -1; ; back++ {
		if at, ok := s.on(year, month, day-back); ok && !at.After(now) {
			return at
		}
	}
}

// next is the first deadline after now.
func (s *schedule) next(now time.Time) time.Time {
	year, month, day := now.In(s.zone).Date()
	for ahead := -1; ; ahead++ {
		if at, ok := s.on(year, month, day+ahead); ok && at.After(now) {
			return at
		}
	}
}

// pending reports whether the deadline must be looked at: one has passed that was
// not decided and may be, or a miss waits for what comes later. What the hub could
// not hear is waited for as long as the switch waits.
func (s *schedule) pending(d *messages.Deadline, now Moment, grace time.Duration) bool {
	return d.Incident != "" || s.decidable(d, now, grace)
}

func (s *schedule) decidable(d *messages.Deadline, now Moment, grace time.Duration) bool {
	return s.last(now.Wall.Add(-s.grace)).After(d.DecidedAt) && now.At >= now.Resumed.Add(grace)
}

// judgeDeadline decides on what was last seen; the zero time is never. Of several
// deadlines that passed while the hub was off only the newest is decided.
func judgeDeadline(d messages.Deadline, s *schedule, seen time.Time, now Moment, grace time.Duration, newIncident func() messages.IncidentID) (_ messages.Deadline, told news) {
	if d.Incident != "" && seen.After(d.MissedFrom) {
		told.met(&d, s, seen, now)
		d.Incident, d.MissedAt, d.MissedFrom = "", time.Time{}, time.Time{}
	}
	if !s.decidable(&d, now, grace) {
		return d, told
	}
	at := s.last(now.Wall.Add(-s.grace))
	from := s.last(at.Add(-time.Second)).Add(s.grace)
	d.DecidedAt = at.UTC()
	if seen.After(from) {
		return d, told
	}
	if d.Incident == "" {
		d.Incident, d.MissedAt, d.MissedFrom = newIncident(), at.UTC(), from.UTC()
	}
	told.missed(&d, s, at, from, seen, now)
	return d, told
}

func (n *news) missed(d *messages.Deadline, s *schedule, at, from, seen time.Time, now Moment) {
	e := aboutDeadline(d, messages.DeadlineMissed, now)
	from, to := from.UTC(), at.UTC()
	e.Detail.From, e.Detail.To = &from, &to
	if !seen.IsZero() {
		seen = seen.UTC()
		e.Detail.LastContactAt = &seen
	}
	e.Summary = fmt.Sprintf("%s: no %s of %s by %s", d.Name, expected(d), d.Subject, at.In(s.zone).Format("Mon 15:04 MST"))
	*n = append(*n, e)
}

func (n *news) met(d *messages.Deadline, s *schedule, seen time.Time, now Moment) {
	e := aboutDeadline(d, messages.DeadlineMet, now)
	late := max(seen.Sub(d.MissedAt), 0)
	seen = seen.UTC()
	e.Detail.LastContactAt, e.Detail.LateSeconds = &seen, int64(late.Seconds())
	e.Summary = fmt.Sprintf("%s: the %s of %s by %s has come, late by %s",
		d.Name, expected(d), d.Subject, d.MissedAt.In(s.zone).Format("Mon 15:04 MST"), inWords(late))
	*n = append(*n, e)
}

func expected(d *messages.Deadline) string {
	if d.Expect == messages.ExpectBackup {
		return "good backup"
	}
	return "report"
}

func aboutDeadline(d *messages.Deadline, typ messages.EventType, now Moment) messages.Event {
	e := messages.Event{Type: typ, At: now.Wall.UTC(), CustomerID: d.CustomerID, IncidentID: d.Incident}
	e.Detail.Subject, e.Detail.Reason = d.Subject, d.Name
	switch d.Expect {
	case messages.ExpectHost, messages.ExpectBackup:
		if e.HostID, e.Detail.VMID = messages.GuestID(d.Subject).Split(); e.HostID == "" {
			e.HostID = messages.HostID(d.Subject)
		}
	}
	return e
}
