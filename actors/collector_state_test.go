package actors

import (
	"testing"
	"time"

	"felhom.eu/messages"
)

// Protects the pace: agents that start together drift apart, yet none reports
// more than 5 % off its interval.
func TestReportsAreSpreadByFivePercent(t *testing.T) {
	start := time.Date(2026, 6, 8, 14, 0, 0, 0, time.UTC)
	s := collectorState{interval: 1000 * time.Second}
	s.tick(start)
	for _, c := range []struct {
		now    time.Duration
		random float64
		want   time.Duration
	}{
		{0, 0, 950 * time.Second},
		{0, 0.5, 1000 * time.Second},
		{0, 1, 1050 * time.Second},
		{400 * time.Second, 0.5, 600 * time.Second}, // re-armed later: counted from the tick
		{2000 * time.Second, 0.5, 0},                // overdue is now, not the past
	} {
		if got := s.wait(start.Add(c.now), c.random); got != c.want {
			t.Errorf("wait after %v with %v: got %v, want %v", c.now, c.random, got, c.want)
		}
	}
}

// Protects the hub from an agent told to report every second, and the operator
// from one told to report once a week.
func TestAdoptedIntervalIsClamped(t *testing.T) {
	for _, c := range []struct {
		seconds int
		want    time.Duration
		changed bool
	}{
		{0, 900 * time.Second, false},
		{-5, 900 * time.Second, false},
		{1, 60 * time.Second, true},
		{300, 300 * time.Second, true},
		{900, 900 * time.Second, false},
		{86400, 3600 * time.Second, true},
		{1 << 62, 3600 * time.Second, true},
	} {
		s := collectorState{interval: 900 * time.Second}
		if changed := s.adopt(c.seconds); s.interval != c.want || changed != c.changed {
			t.Errorf("adopt %d: got %v, changed %v; want %v, %v", c.seconds, s.interval, changed, c.want, c.changed)
		}
	}
}

// Protects the order of reports at the hub, and a simulated host's own clock
// and boots from being overwritten.
func TestStampNumbersReportsAndKeepsWhatTheSourceKnew(t *testing.T) {
	now := time.Date(2026, 6, 8, 16, 20, 9, 0, time.FixedZone("CEST", 7200))
	s := reportStamp{hostID: "acme-7f3a90c1", version: "0.3.0", stream: "S", bootID: "b"}
	plain, made := messages.Report{}, messages.Report{ReportedAt: now.Add(-time.Hour), BootID: "own"}
	s.put(&plain, now)
	s.put(&made, now)
	if plain.Sequence != 1 || made.Sequence != 2 || plain.Stream != "S" || plain.HostID != "acme-7f3a90c1" || plain.AgentVersion != "0.3.0" {
		t.Errorf("got %+v and %+v", plain, made)
	}
	if plain.BootID != "b" || plain.ReportedAt != now.UTC() {
		t.Errorf("got boot %q, reported at %v; want the agent's own", plain.BootID, plain.ReportedAt)
	}
	if made.BootID != "own" || !made.ReportedAt.Equal(now.Add(-time.Hour)) {
		t.Errorf("got boot %q, reported at %v; want the source's", made.BootID, made.ReportedAt)
	}
}
