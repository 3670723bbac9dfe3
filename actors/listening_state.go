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
	Wall time.Time     // CLOCK_REALTIME: may step
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

// listening is the counter. Its fields are what a reader needs to compute the
// present moment between two ticks.
type listening struct {
	heard    messages.Listened
	resumed  messages.Listened
	open     bool      // reports are accepted and can be made durable
	last     Instant   // the reading that heard is as of
	closedAt time.Time // since when not open; zero while open
	why      string    // what closed it
}

// resume continues a ledger after a start of the program. It begins closed. A
// ledger that never was (zero At) had no gap: there is no host to be fair to.
func resume(l messages.Ledger, now Instant) listening {
	s := listening{heard: l.Listened, resumed: NeverResumed, last: now, closedAt: now.Wall, why: "start"}
	if !l.At.IsZero() {
		s.closedAt, s.why = l.At, "the hub was not running"
	}
	return s
}

// moment is now by the counter: what advance would make of the same reading,
// but for gaps.
func (s *listening) moment(now Instant) Moment {
	at := s.heard
	if s.open {
		at = at.Add(min(max(now.Mono-s.last.Mono, 0), maxStep))
	}
	return Moment{Wall: now.Wall, At: at, Resumed: s.resumed}
}

// advance takes a reading. It reports a gap when the hub was deaf between this
// reading and the one before for longer than an agent's patience.
func (s *listening) advance(now Instant) (Gap, bool) {
	before := s.last
	s.heard = s.moment(now).At
	s.last = now
	if !s.open {
		return Gap{}, false
	}
	ran := now.Mono - before.Mono
	gap := Gap{From: before.Wall, To: now.Wall}
	switch {
	case ran-maxStep > gapFloor:
		gap.Cause = "the hub was starved"
	case (now.Boot-before.Boot)-ran > gapFloor:
		gap.Cause = "the machine was suspended"
	case now.Wall.Sub(before.Wall)-ran > gapFloor:
		// A paused virtual machine and a clock set forward look the same from
		// inside; grace costs a late alarm at most, its lack a false one.
		gap.Cause = "the clock jumped ahead"
	default:
		return Gap{}, false
	}
	s.resumed = s.heard
	return gap, true
}

// openAt begins to count. It reports the gap that ends with it; after a start
// of the program every gap counts, however short: nobody knows how many agents
// knocked in vain.
func (s *listening) openAt(now Instant) (Gap, bool) {
	s.advance(now)
	if s.open {
		return Gap{}, false
	}
	gap := Gap{From: s.closedAt, To: now.Wall, Cause: s.why}
	s.open, s.closedAt = true, time.Time{}
	restarted := s.why == "the hub was not running"
	if !restarted && (s.why == "start" || gap.Duration() <= gapFloor) {
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
	s.open, s.closedAt, s.why = false, now.Wall, why
}
