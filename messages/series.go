package messages

import (
	"math"
	"time"
)

// Resolution is how fine a series of a host's figures is.
type Resolution string

// The resolutions: every report by itself, and sums of fifteen minutes and of two
// hours. Slots are cut in UTC, so that a day has 96 or 12 of them, always.
const (
	ResolutionRaw      Resolution = "raw"
	ResolutionQuarter  Resolution = "15m"
	ResolutionTwoHours Resolution = "2h"
)

const day = 24 * time.Hour

// Slot is how long a slot is; 0 for raw.
func (r Resolution) Slot() time.Duration {
	switch r {
	case ResolutionQuarter:
		return 15 * time.Minute
	case ResolutionTwoHours:
		return 2 * time.Hour
	}
	return 0
}

// Slots is how many slots a day has; 0 for raw.
func (r Resolution) Slots() int {
	if r.Slot() == 0 {
		return 0
	}
	return int(day / r.Slot())
}

// Days is how many days back a series of this resolution goes.
func (r Resolution) Days() int {
	switch r {
	case ResolutionQuarter:
		return 30
	case ResolutionTwoHours:
		return 400
	}
	return 2
}

// ResolutionSince is the finest resolution that goes back from now to from.
func ResolutionSince(from, now time.Time) Resolution {
	for _, r := range [...]Resolution{ResolutionRaw, ResolutionQuarter} {
		if now.Sub(from) <= time.Duration(r.Days())*day {
			return r
		}
	}
	return ResolutionTwoHours
}

// Level is the average and the maximum of a ratio; NaN when no report said.
type Level struct{ Average, Maximum float32 }

// Usage sums up the reports that the hub received from a host in a slot, or is one
// report of a raw series.
type Usage struct {
	At               time.Time // where the slot begins, or the report was received; hub's clock, UTC
	Reports          uint32    // 0: a gap, and nothing below is known
	CPU              Level
	Memory           Level
	Disk             Level
	GuestsRunningMin int // -1 when unknown
	GuestsRunningMax int
}

// Gap is the Usage of a slot without reports.
func Gap(at time.Time) Usage {
	unknown := Level{float32(math.NaN()), float32(math.NaN())}
	return Usage{At: at, CPU: unknown, Memory: unknown, Disk: unknown, GuestsRunningMin: -1, GuestsRunningMax: -1}
}
