package app

import (
	"time"

	"golang.org/x/sys/unix"

	"felhom.eu/actors"
)

// readClocks reads the machine's three clocks. CLOCK_BOOTTIME runs while the
// machine is suspended, CLOCK_MONOTONIC does not (clock_gettime(2)).
func readClocks() actors.Instant {
	return actors.Instant{Wall: time.Now().Round(0), Mono: since(unix.CLOCK_MONOTONIC), Boot: since(unix.CLOCK_BOOTTIME)}
}

func since(clock int32) time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(clock, &t); err != nil {
		panic(err) // both clocks have been there since Linux 2.6.39
	}
	return time.Duration(t.Nano())
}
