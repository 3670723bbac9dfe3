package actors

import (
	"time"

	"felhom.eu/messages"
)

// listening is the rule behind the ledger: it turns readings of the machine's
// clocks into listening time. Pure: every reading comes in as an argument.

const (
	ledgerTick = time.Second
	// maxStep is the most that one reading may add. A longer pause means that
	// this process did not run, so it did not listen either.
	maxStep = 2 * ledgerTick
	// gapFloor is the shortest deafness that earns every host its grace: an
	// agent's request outlives a shorter one (its timeout is 30 s by default).
	gapFloor = 30 * time.Second
)

// Instant is one reading of the machine's clocks.
type Instant struct {
	Wall time.Time     // CLOCK_REALTIME, without Go's monotonic reading: may step
	Mono time.Duration // CLOCK_MONOTONIC: stands still while suspended
	Boot time.Duration // CLOCK_BOOTTIME: runs while suspended
}

// Gap is a stretch for which the hub was deaf.
type Gap struct {
	From, To time.Time // wall clock
	Cause    string
}

// Duration is the length of the gap; never negative.
func (g Gap) Duration() time.Duration { return max(g.To.Sub(g.From), 0) }

// between is the gap between two readings of one run of the machine: as long as
// the wall clock says, or as the clock that cannot step, whichever is longer.
func between(from, to Instant, cause string) Gap {
	deaf := max(to.Wall.Sub(from.Wall), to.Boot-from.Boot)
	return Gap{From: to.Wall.Add(-deaf), To: to.Wall, Cause: cause}
}

// listening is the counter. Its fields are what a reader needs to compute the
// present moment between two ticks.
type listening struct {
	heard   messages.Listened
	resumed messages.Listened
	open    bool    // reports are accepted and can be made durable
	last    Instant // the reading that heard is as of
	closed  Instant // the reading that closed it; stale while open
	why     string  // what closed it
}

// What a start of the program says that it was closed by.
const (
	whyFirstStart = "first start"
	whyNotRunning = "the hub was not running"
)

// resume continues a ledger after a start of the program. It begins closed. A
// ledger that never was (zero At) had no gap: there is no host to be fair to.
func resume(l messages.Ledger, now Instant) listening {
	s := listening{heard: l.Listened, resumed: NeverResumed, last: now, closed: now, why: whyFirstStart}
	if !l.At.IsZero() {
		s.closed.Wall, s.why = l.At, whyNotRunning
	}
	return s
}

// moment is now by the counter: what advance would make of the same reading.
func (s *listening) moment(now Instant) Moment {
	m := Moment{Wall: now.Wall, At: s.heard, Resumed: s.resumed}
	if !s.open {
		return m
	}
	m.At = m.At.Add(min(max(now.Mono-s.last.Mono, 0), maxStep))
	// A timer may look before the tick that follows a gap; it must not find the
	// grace missing.
	if s.deafened(now) != "" {
		m.Resumed = m.At
	}
	return m
}

// deafened says what kept an open hub from hearing since the last reading for
// longer than an agent's patience; empty when nothing did.
func (s *listening) deafened(now Instant) string {
	ran := now.Mono - s.last.Mono
	switch {
	case ran-maxStep > gapFloor:
		return "the hub was starved"
	case now.Boot-s.last.Boot-ran > gapFloor:
		return "the machine was suspended"
	case now.Wall.Sub(s.last.Wall)-ran > gapFloor:
		// A paused virtual machine and a clock set forward look the same from
		// inside; grace costs a late alarm at most, its lack a false one.
		return "the clock jumped ahead"
	}
	return ""
}

// advance takes a reading. It reports a gap when the hub was deaf between this
// reading and the one before for longer than an agent's patience.
func (s *listening) advance(now Instant) (Gap, bool) {
	before, m, cause := s.last, s.moment(now), ""
	if s.open {
		cause = s.deafened(now)
	}
	s.heard, s.resumed, s.last = m.At, m.Resumed, now
	if cause == "" {
		return Gap{}, false
	}
	return between(before, now, cause), true
}

// openAt begins to count. It reports the gap that ends with it; after a start
// of the program every gap counts, however short: nobody knows how many agents
// knocked in vain.
func (s *listening) openAt(now Instant) (Gap, bool) {
	if s.open {
		return s.advance(now)
	}
	s.advance(now)
	s.open = true
	gap := between(s.closed, now, s.why)
	if s.why == whyFirstStart || s.why != whyNotRunning && gap.Duration() <= gapFloor {
		return Gap{}, false
	}
	s.resumed = s.heard
	return gap, true
}

// closeAt stops to count.
func (s *listening) closeAt(now Instant, why string) {
	if !s.open {
		return
	}
	s.advance(now)
	s.open, s.closed, s.why = false, now, why
}
