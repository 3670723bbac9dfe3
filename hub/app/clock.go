package app

import (
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"felhom.eu/actors"
)

// suspectStep is how far the wall clock may run from the monotonic one between
// two readings before CLOCK_BOOTTIME is asked why.
const suspectStep = time.Second

// readClocks reads the machine's three clocks. CLOCK_BOOTTIME runs while the
// machine is suspended, CLOCK_MONOTONIC does not (clock_gettime(2)). Go reads the
// other two without entering the kernel; the third is asked only when the wall
// clock has moved away from the monotonic one, as it has after every suspend.
func readClocks() func() actors.Instant {
	start := time.Now()
	type reading struct{ ahead, slept time.Duration } // of the wall, of CLOCK_BOOTTIME
	var last atomic.Pointer[reading]
	last.Store(&reading{slept: slept()})
	return func() actors.Instant {
		now := time.Now()
		mono := now.Sub(start)
		ahead := now.Round(0).Sub(start.Round(0)) - mono
		r := last.Load()
		if (ahead - r.ahead).Abs() > suspectStep {
			r = &reading{ahead, slept()}
			last.Store(r)
		}
		return actors.Instant{Wall: now.Round(0), Mono: mono, Boot: mono + r.slept}
	}
}

// slept is for how long the machine has been suspended since it was booted.
func slept() time.Duration { return since(unix.CLOCK_BOOTTIME) - since(unix.CLOCK_MONOTONIC) }

func since(clock int32) time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(clock, &t); err != nil {
		panic(err) // both clocks have been there since Linux 2.6.39
	}
	return time.Duration(t.Nano())
}
