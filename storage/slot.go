package storage

import (
	"math"
	"time"

	"felhom.eu/messages"
)

// The levels of a slot, in this order.
const (
	levelCPU = iota
	levelMemory
	levelDisk
	levels
)

const maxLevel = 60_000 // per mille; nothing real comes near

// slot is what is kept of a slot's reports. Levels are per mille and one more, guests
// one more: 0 is unknown.
type slot struct {
	reports              uint32
	average, maximum     [levels]uint16
	guestsMin, guestsMax uint16
}

// slotSum collects the reports of a slot.
type slotSum struct {
	reports              uint32
	level                [levels]levelSum
	guestsMin, guestsMax uint16 // as in slot
}

// levelSum adds a level up, per mille. It has room for four million reports.
type levelSum struct {
	sum, known uint32
	maximum    uint16
}

// daySum is a day of one host, in slots of fifteen minutes.
type daySum [quarters]slotSum

const (
	quarters           = 96
	quartersInTwoHours = 8
)

// quarterOf is the slot of a report in the history of a day. A batch may be
// stored a moment after the day of its first reports ended; the day of the history counts.
func quarterOf(day uint32, at time.Time) int {
	n := (at.Unix() - int64(day)*86400) / int64(messages.ResolutionQuarter.Slot()/time.Second)
	return int(min(max(n, 0), quarters-1))
}

func (s *slotSum) add(f *messages.Figures) {
	s.reports++
	s.level[levelCPU].add(f.CPUUsedRatio)
	s.level[levelMemory].add(f.MemoryUsedRatio)
	s.level[levelDisk].add(f.DiskUsedRatio)
	if !f.GuestsUnknown {
		n := min(f.GuestRunning, math.MaxUint16-1) + 1
		s.guests(n, n)
	}
}

func (s *slotSum) guests(least, most uint16) {
	if s.guestsMin == 0 || least != 0 && least < s.guestsMin {
		s.guestsMin = least
	}
	s.guestsMax = max(s.guestsMax, most)
}

func (l *levelSum) add(ratio float32) {
	if !(ratio >= 0) { // nor NaN
		return
	}
	v := uint16(min(math.Round(float64(ratio)*1000), maxLevel))
	l.sum += uint32(v)
	l.known++
	l.maximum = max(l.maximum, v)
}

// merge adds what another slot collected.
func (s *slotSum) merge(o *slotSum) {
	s.reports += o.reports
	for i := range s.level {
		l := &s.level[i]
		l.sum += o.level[i].sum
		l.known += o.level[i].known
		l.maximum = max(l.maximum, o.level[i].maximum)
	}
	s.guests(o.guestsMin, o.guestsMax)
}

func (s *slotSum) slot() slot {
	v := slot{reports: s.reports, guestsMin: s.guestsMin, guestsMax: s.guestsMax}
	for i := range s.level {
		if l := &s.level[i]; l.known > 0 {
			v.average[i] = uint16((l.sum+l.known/2)/l.known) + 1
			v.maximum[i] = l.maximum + 1
		}
	}
	return v
}

// slots is the day at a resolution, appended to into.
func (d *daySum) slots(r messages.Resolution, into []slot) []slot {
	if r == messages.ResolutionQuarter {
		for i := range d {
			into = append(into, d[i].slot())
		}
		return into
	}
	for i := 0; i < quarters; i += quartersInTwoHours {
		var sum slotSum
		for j := range quartersInTwoHours {
			sum.merge(&d[i+j])
		}
		into = append(into, sum.slot())
	}
	return into
}

func (d *daySum) empty() bool {
	for i := range d {
		if d[i].reports > 0 {
			return false
		}
	}
	return true
}

func (s *slot) usage(at time.Time) messages.Usage {
	level := func(i int) messages.Level {
		return messages.Level{Average: ratioOf(s.average[i]), Maximum: ratioOf(s.maximum[i])}
	}
	return messages.Usage{
		At: at, Reports: s.reports, CPU: level(levelCPU), Memory: level(levelMemory), Disk: level(levelDisk),
		GuestsRunningMin: int(s.guestsMin) - 1, GuestsRunningMax: int(s.guestsMax) - 1,
	}
}

func ratioOf(v uint16) float32 {
	if v == 0 {
		return float32(math.NaN())
	}
	return float32(v-1) / 1000
}

// slots writes a day of a host column by column, where each value is much like the
// one before:
//
//	reports of every slot
//	of each slot with reports: average, as the difference to the one before;
//	    maximum above it; for CPU, memory and disk in turn
//	likewise: fewest guests, as the difference; most above it
func (e *encoder) slots(slots []slot) {
	for i := range slots {
		e.uint(uint64(slots[i].reports))
	}
	for l := range levels {
		e.column(slots, func(s *slot) (low, high uint16) { return s.average[l], s.maximum[l] })
	}
	e.column(slots, func(s *slot) (low, high uint16) { return s.guestsMin, s.guestsMax })
}

func (e *encoder) column(slots []slot, of func(*slot) (low, high uint16)) {
	last := int64(0)
	for i := range slots {
		if slots[i].reports == 0 {
			continue
		}
		low, high := of(&slots[i])
		e.int(int64(low) - last)
		last = int64(low)
		if low != 0 {
			e.uint(uint64(max(high, low) - low))
		}
	}
}

func (d *decoder) slots(n int) []slot {
	slots := make([]slot, n)
	for i := range slots {
		slots[i].reports = uint32(d.upTo(math.MaxUint32))
	}
	for l := range levels {
		d.column(slots, func(s *slot, low, high uint16) { s.average[l], s.maximum[l] = low, high })
	}
	d.column(slots, func(s *slot, low, high uint16) { s.guestsMin, s.guestsMax = low, high })
	return slots
}

func (d *decoder) column(slots []slot, set func(s *slot, low, high uint16)) {
	low := int64(0)
	for i := range slots {
		if slots[i].reports == 0 {
			continue
		}
		low += d.int()
		high := low
		if low != 0 {
			high += int64(d.upTo(math.MaxUint16))
		}
		if low < 0 || high > math.MaxUint16 {
			d.fail(errRange)
			return
		}
		set(&slots[i], uint16(low), uint16(high))
	}
}
