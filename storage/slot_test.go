package storage

import (
	"encoding/hex"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"felhom.eu/messages"
)

// A day is cut into 96 slots in UTC, whatever clocks people use; what a batch brings
// over midnight stays in the batch's day.
func TestQuarterOf(t *testing.T) {
	const day = 20541 // 2026-03-29, when Europe's clocks change
	midnight := time.Unix(day*86400, 0)
	for _, c := range []struct {
		after time.Duration
		want  int
	}{
		{0, 0}, {15*time.Minute - 1, 0}, {15 * time.Minute, 1}, {2 * time.Hour, 8}, {24*time.Hour - 1, 95},
		{-time.Second, 0}, {-24 * time.Hour, 0}, {24 * time.Hour, 95}, {48 * time.Hour, 95},
	} {
		if got := quarterOf(day, midnight.Add(c.after)); got != c.want {
			t.Errorf("%v after midnight is slot %d, want %d", c.after, got, c.want)
		}
	}
}

// sampleDay has a gap, unknown figures, one report a slot and many.
func sampleDay() *daySum {
	nan := float32(math.NaN())
	d := &daySum{}
	add := func(quarter int, cpu, memory, disk float32, guests uint16, unknown bool) {
		d[quarter].add(&messages.Figures{CPUUsedRatio: cpu, MemoryUsedRatio: memory, DiskUsedRatio: disk, GuestRunning: guests, GuestsUnknown: unknown})
	}
	add(0, 0.1, 0.5, 0.7, 3, false)
	add(0, 0.3, 0.5, 0.7, 5, false)
	add(1, nan, 0.5, 0.7, 0, true)
	add(7, 0.9, nan, 0.701, 0, false)
	add(95, 1, 1, 1, math.MaxUint16, false)
	return d
}

func TestSlotsSumReportsUp(t *testing.T) {
	d := sampleDay()
	quarters := d.slots(messages.ResolutionQuarter, nil)
	hours := d.slots(messages.ResolutionTwoHours, nil)
	want := map[int]slot{
		0:  {2, [3]uint16{201, 501, 701}, [3]uint16{301, 501, 701}, 4, 6},
		1:  {1, [3]uint16{0, 501, 701}, [3]uint16{0, 501, 701}, 0, 0},
		7:  {1, [3]uint16{901, 0, 702}, [3]uint16{901, 0, 702}, 1, 1},
		95: {1, [3]uint16{1001, 1001, 1001}, [3]uint16{1001, 1001, 1001}, 65535, 65535},
	}
	for i, s := range quarters {
		if s != want[i] {
			t.Errorf("slot %d is %+v, want %+v", i, s, want[i])
		}
	}
	if want := (slot{4, [3]uint16{434, 501, 701}, [3]uint16{901, 501, 702}, 1, 6}); hours[0] != want {
		t.Errorf("two hours are %+v, want %+v", hours[0], want)
	}
	if hours[11] != quarters[95] || len(quarters) != 96 || len(hours) != 12 {
		t.Errorf("%d and %d slots, the last %+v", len(quarters), len(hours), hours[11])
	}
}

// A row's bytes are for ever.
func TestRowOfARollUp(t *testing.T) {
	slots := sampleDay().slots(messages.ResolutionTwoHours, nil)
	var e encoder
	e.slots(slots)
	const golden = "040000000000000000000001" + "e406d303" + "ee0800" + "ea0700" + "e80700" + "fa0a01" + "d80400" + "0205" + "fcff0700"
	if got := hex.EncodeToString(e.b); got != golden {
		t.Errorf("row is %s, want %s", got, golden)
	}
	for _, r := range rollups {
		want := sampleDay().slots(r, nil)
		var e encoder
		e.slots(want)
		d := decoder{b: e.b}
		got := d.slots(r.Slots())
		if err := d.done(); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(slot{})); diff != "" {
			t.Errorf("%s comes back otherwise:\n%s", r, diff)
		}
	}
}
