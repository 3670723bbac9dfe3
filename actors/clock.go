package actors

import (
	"sync/atomic"
	"time"
)

// Clock tells the present moment to any goroutine. The ledger actor alone moves
// it; between two of its ticks a reader adds what the monotonic clock says.
type Clock struct {
	read  func() Instant
	state atomic.Pointer[listening]
}

func newClock(read func() Instant, s listening) *Clock {
	c := &Clock{read: read}
	c.state.Store(&s)
	return c
}

// Now is the present moment.
func (c *Clock) Now() Moment { return c.state.Load().moment(c.read()) }

// open reports whether listening time runs.
func (c *Clock) open() bool { return c.state.Load().open }

// set publishes a new reading.
func (c *Clock) set(s listening) { c.state.Store(&s) }

// GoClock reads Go's clocks. It cannot see a suspend: hub/app brings a reader
// that can; tests in virtual time use this one.
func GoClock() func() Instant {
	start := time.Now()
	return func() Instant {
		now := time.Now()
		ran := now.Sub(start)
		return Instant{Wall: now.Round(0), Mono: ran, Boot: ran}
	}
}
