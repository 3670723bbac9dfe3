package messages

import (
	"testing"
	"time"
)

// On changes at the instants that Change names, and at no other; the last is zero.
func TestSilenceChanges(t *testing.T) {
	once := Silence{StartsAt: instantOf(t, "2026-06-08T10:00:00Z"), EndsAt: instantOf(t, "2026-06-08T12:00:00Z")}
	nightly := Silence{StartsAt: instantOf(t, "2026-03-28T12:00:00Z"), EndsAt: instantOf(t, "2026-03-31T01:30:00Z"),
		Schedule: "0 3 * * *", TimeZone: "Europe/Budapest", DurationSeconds: 7200}
	back := Silence{StartsAt: instantOf(t, "2026-10-24T00:30:00Z"), EndsAt: instantOf(t, "2026-10-26T12:00:00Z"),
		Schedule: "0 2 * * *", TimeZone: "Europe/Budapest", DurationSeconds: 5400}
	joined := Silence{StartsAt: once.StartsAt, EndsAt: instantOf(t, "2026-06-09T12:00:00Z"), Schedule: "0 22-23,0-1 * * *", DurationSeconds: 3600}
	for name, c := range map[string]struct {
		Silence
		want []string // on, off, on …
	}{
		"once": {once, []string{"2026-06-08T10:00:00Z", "2026-06-08T12:00:00Z"}},
		// 03:00 is an hour earlier from the 29th on; the last window is cut by the end.
		"spring": {nightly, []string{"2026-03-29T01:00:00Z", "2026-03-29T03:00:00Z", "2026-03-30T01:00:00Z", "2026-03-30T03:00:00Z",
			"2026-03-31T01:00:00Z", "2026-03-31T01:30:00Z"}},
		// Begun in the middle of a window; 02:00 comes twice on the 25th, and counts once.
		"autumn": {back, []string{"2026-10-24T00:30:00Z", "2026-10-24T01:30:00Z", "2026-10-25T00:00:00Z", "2026-10-25T01:30:00Z",
			"2026-10-26T01:00:00Z", "2026-10-26T02:30:00Z"}},
		"joined": {joined, []string{"2026-06-08T22:00:00Z", "2026-06-09T02:00:00Z"}},
	} {
		t.Run(name, func(t *testing.T) {
			s, at := c.Silence, instantOf(t, "2026-01-01T00:00:00Z")
			for i, want := range c.want {
				change := s.Change(at)
				if got := change.UTC().Format(time.RFC3339); got != want {
					t.Fatalf("after %s: got %s, want %s", at, got, want)
				}
				if on := i%2 == 0; s.On(change) != on || s.On(change.Add(-1)) == on {
					t.Errorf("at %s: on is not %v from there", change, on)
				}
				at = change
			}
			if change := s.Change(at); !change.IsZero() || s.State(at) != SilencePast {
				t.Errorf("after its last change: got %s and %s", change, s.State(at))
			}
			if first := s.Change(instantOf(t, "2026-01-01T00:00:00Z")); s.State(first.Add(-1)) != SilenceUpcoming || s.State(first) != SilenceActive {
				t.Errorf("at its begin: got %s, then %s", s.State(first.Add(-1)), s.State(first))
			}
		})
	}
}

// A recurring silence without end goes on; one whose windows never end is on, and says
// so in bounded time; one that cannot be read silences nothing.
func TestSilenceWithoutEnd(t *testing.T) {
	start := instantOf(t, "2026-06-08T10:00:00Z")
	s := Silence{StartsAt: start, Schedule: "0 3 * * 0", DurationSeconds: 60}
	if got, want := s.Change(start.AddDate(50, 0, 0)), instantOf(t, "2076-06-14T03:00:00Z"); !got.Equal(want) {
		t.Errorf("fifty years on: got %s, want %s", got, want)
	}
	s.Schedule, s.DurationSeconds = "* * * * *", 86400
	if at := s.Change(start); !at.After(start) || !s.On(at) {
		t.Errorf("always on: changes at %s, on is %v", at, s.On(at))
	}
	s.Schedule = "rubbish"
	if s.On(start) || !s.Change(start).IsZero() {
		t.Error("a schedule that cannot be read silences")
	}
}

// A window begins by the clock of a place, on every day of its schedule, also when the
// clocks change.
func TestRecurringSilenceGoesByAClockOnTheWall(t *testing.T) {
	s := Silence{Schedule: "30 2 * * *", TimeZone: "Europe/Budapest", DurationSeconds: 3600, StartsAt: time.Date(2026, 2, 23, 0, 0, 0, 0, time.UTC)}

	for stamp, want := range map[string]bool{
		"2026-03-10T01:29:59Z": false, "2026-03-10T01:30:00Z": true, "2026-03-10T02:29:59Z": true, "2026-03-10T02:30:00Z": false,
		"2026-03-29T00:59:00Z": false, "2026-03-29T01:30:00Z": true, "2026-03-29T02:29:00Z": true, "2026-03-29T02:31:00Z": false, // 02:30 does not exist
		"2026-07-01T00:30:00Z": true, "2026-07-01T01:30:00Z": false,
		"2026-10-25T00:30:00Z": true, "2026-10-25T01:29:00Z": true, "2026-10-25T01:31:00Z": false, // 02:30 comes twice
	} {
		active, changes := s.On(instantOf(t, stamp)), s.Change(instantOf(t, stamp))
		if active != want {
			t.Errorf("at %s: %t, want %t", stamp, active, want)
		}
		if then := s.On(changes); then == active || !changes.After(instantOf(t, stamp)) {
			t.Errorf("at %s it is to change at %v, where it is %t", stamp, changes, then)
		}
	}
}
