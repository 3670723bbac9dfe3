package actors

import (
	"testing"
	"time"

	"felhom.eu/messages"
)

func numbered(sequence uint64) *messages.Report { return &messages.Report{Sequence: sequence} }

var noon = time.Date(2026, 6, 8, 12, 0, 0, 0, time.UTC)

// Protects memory and liveness: a hub that is away for long costs 64 reports,
// the oldest are the ones lost, the newest goes first.
func TestBacklogKeepsTheNewestSixtyFour(t *testing.T) {
	var s reporterState
	for i := uint64(1); i <= 70; i++ {
		if dropped := s.add(numbered(i)); dropped != (i > 64) {
			t.Fatalf("report %d: dropped %v", i, dropped)
		}
	}
	if s.dropped != 6 {
		t.Errorf("dropped: got %d, want 6", s.dropped)
	}
	for want := uint64(70); want >= 7; want-- {
		r, ok := s.take(noon)
		if !ok || r.Sequence != want {
			t.Fatalf("got %v, %v; want report %d", r, ok, want)
		}
		s.delivered()
	}
	if r, ok := s.take(noon); ok {
		t.Errorf("backlog should be empty, but has %d", r.Sequence)
	}
}

// Protects against two attempts at once, and against an attempt during the
// back-off because a new report came.
func TestOneAttemptAtATimeAndNoneBeforeItsTime(t *testing.T) {
	var s reporterState
	s.add(numbered(1))
	s.take(noon)
	s.add(numbered(2))
	if _, ok := s.take(noon); ok {
		t.Fatal("second attempt while the first is in flight")
	}
	wait := s.failed(noon, false, 0, 0.5)
	s.add(numbered(3))
	if _, ok := s.take(noon.Add(wait - 1)); ok {
		t.Fatal("attempt before the back-off's end")
	}
	for _, want := range []uint64{3, 2, 1} {
		if r, ok := s.take(noon.Add(wait)); !ok || r.Sequence != want {
			t.Fatalf("got %v, want report %d", r, want)
		}
		s.delivered()
	}
}

// Protects the returning report from pushing out a newer one.
func TestFailedReportReturnsToItsPlaceOrIsTheOneDropped(t *testing.T) {
	var s reporterState
	s.add(numbered(1))
	s.take(noon)
	for i := uint64(2); i <= 65; i++ {
		s.add(numbered(i))
	}
	s.failed(noon, false, 0, 0)
	if len(s.backlog) != 64 || s.backlog[0].Sequence != 2 || s.dropped != 1 {
		t.Errorf("got %d reports from %d on, %d dropped; want 64 from 2 on, 1 dropped",
			len(s.backlog), s.backlog[0].Sequence, s.dropped)
	}
}

// Protects the hub from a herd: the wait is random below a ceiling that doubles
// to five minutes, and never shorter than what the hub asked for.
func TestBackOffGrowsWithFullJitterAndHonoursRetryAfter(t *testing.T) {
	for _, c := range []struct {
		failures   int
		retryAfter time.Duration
		random     float64
		want       time.Duration
	}{
		{0, 0, 0, 0},
		{0, 0, 0.5, 500 * time.Millisecond},
		{4, 0, 0.5, 8 * time.Second},
		{8, 0, 0.5, 128 * time.Second},
		{9, 0, 0.5, 150 * time.Second},
		{1 << 40, 0, 0.5, 150 * time.Second},
		{0, 30 * time.Second, 0.5, 30*time.Second + 500*time.Millisecond},
		{0, 24 * 365 * time.Hour, 0, time.Hour}, // a hub cannot silence an agent for a year
	} {
		s := reporterState{failures: c.failures, inFlight: numbered(1)}
		if got := s.failed(noon, false, c.retryAfter, c.random); got != c.want {
			t.Errorf("failure %d, asked for %v, random %v: got %v, want %v", c.failures, c.retryAfter, c.random, got, c.want)
		}
	}
}

// Protects a hub that stumbles now and then from agents that wait minutes for
// it: a delivery ends the back-off.
func TestDeliveryEndsTheBackOff(t *testing.T) {
	s := reporterState{failures: 9, inFlight: numbered(1), notBefore: noon}
	s.delivered()
	s.add(numbered(2))
	if _, ok := s.take(noon); !ok {
		t.Fatal("no attempt after a delivery")
	}
	if got := s.failed(noon, false, 0, 0.5); got != 500*time.Millisecond {
		t.Errorf("first failure after a delivery: got a wait of %v, want 500ms", got)
	}
}

// Protects older reports from one that can never be accepted.
func TestDiscardedReportDoesNotReturn(t *testing.T) {
	s := reporterState{inFlight: numbered(2)}
	s.add(numbered(1))
	s.failed(noon, true, 0, 0)
	if r, ok := s.take(noon); !ok || r.Sequence != 1 {
		t.Errorf("got %v, want report 1", r)
	}
}
