package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"felhom.eu/bench/rig"
)

// measured is a report of a hub that keeps every promise.
func measured() *report {
	return &report{
		device: &rig.Device{Name: "vda"},
		Rows: []*row{
			{Name: echo256, Samples: speeds(90_000, 80_000, 100_000)},
			{Name: hub256, Samples: speeds(45_000, 32_000, 40_000)},
			{Name: full256, Samples: speeds(4_500, 4_000, 4_000)},
			{Name: openLoop("hub", 10_000), Rate: 10_000, Samples: []sample{{P50: 1, P99: 20}, {P50: 2, P99: 9}, {P50: 1, P99: 40}}},
			{Name: openLoop("hub", 2_000), Rate: 2_000, Samples: []sample{{P50: 1, P99: 2}}},
		},
		Sustained: &sustained{Seconds: 60, Long: sample{PerSecond: 36_000, Device: 1.5, Dirtied: 1.2}, Short: speeds(40_000, 36_000)},
		Idle:      &idle{Connections: 10, Plain: perConn{RSS: 14_000}},
		Fleets:    []fleet{{1, 20, 5}, {100_001, 120, 90}},
	}
}

func speeds(xs ...float64) (ss []sample) {
	for _, x := range xs {
		ss = append(ss, sample{PerSecond: x})
	}
	return ss
}

// The figures must be those of the measurements, divided round by round.
func TestFiguresOfMeasurements(t *testing.T) {
	rep := measured()
	rep.judge(options{})
	if err := rep.Figures.Err(); err != nil {
		t.Errorf("a good hub fails: %v", err)
	}
	want := map[string]rig.Spread{
		"hub ÷ echo, 256 connections":                  {Median: 0.4, Min: 0.4, Max: 0.5},
		"hub ÷ SQLite FULL, 256 connections":           {Median: 10, Min: 8, Max: 10},
		"sustained 60s ÷ 0s":                           {Median: 0.95, Min: 0.9, Max: 1},
		"written ÷ payload, sustained: by the device":  {Median: 1.5, Min: 1.5, Max: 1.5},
		"written ÷ payload, sustained: by the process": {Median: 1.2, Min: 1.2, Max: 1.2},
		"p99 at 10000/s, open loop":                    {Median: 20, Min: 9, Max: 40},
		"RSS a host, 100001 hosts":                     {Median: 1048.576, Min: 1048.576, Max: 1048.576},
		"RSS of an idle connection":                    {Median: 14, Min: 14, Max: 14},
	}
	for _, f := range rep.Figures {
		if w, ok := want[f.Name]; ok && f.Measured != w {
			t.Errorf("%s: got %v, want %v", f.Name, f.Measured, w)
		}
		delete(want, f.Name)
	}
	if len(want) > 0 {
		t.Errorf("missing: %v", want)
	}
}

// Whatever gets worse must fail the bench, and be named.
func TestEveryBrokenFloorFails(t *testing.T) {
	for name, spoil := range map[string]func(*report){
		"hub ÷ echo":             func(r *report) { r.row(hub256).Samples = speeds(28_500, 29_000, 30_000) },
		"hub ÷ SQLite FULL":      func(r *report) { r.row(full256).Samples = speeds(9_000, 9_000, 9_000) },
		"sustained":              func(r *report) { r.Sustained.Long.PerSecond = 30_000 },
		"by the device":          func(r *report) { r.Sustained.Long.Device = 7.2 },
		"by the process":         func(r *report) { r.device, r.Sustained.Long.Dirtied = nil, 7.2 },
		"p99 at 10000/s":         func(r *report) { r.row(openLoop("hub", 10_000)).Samples = []sample{{P99: 58}} },
		"p99 at 10000/s, open":   func(r *report) { r.row(openLoop("hub", 10_000)).Samples = nil }, // never measured
		"RSS a host":             func(r *report) { r.Fleets[1].RSS = 200 },
		"answers other than 200": func(r *report) { r.row(echo256).Samples[1].Refused = 1 },
		"answers other than":     func(r *report) { r.Sustained.Short[1].Refused = 1 },
		"connections lost":       func(r *report) { r.Sustained.Long.Lost = 1 },
		"hub ÷ echo, 256":        func(r *report) { r.Rows = r.Rows[1:] }, // never measured
	} {
		rep := measured()
		spoil(rep)
		rep.judge(options{})
		if err := rep.Figures.Err(); !errors.Is(err, rig.ErrFailed) || !strings.Contains(err.Error(), name) || strings.Contains(err.Error(), ";") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// The short form forgives a busy machine, and still sees a hub that is broken.
func TestShortFormFailsForABrokenHub(t *testing.T) {
	rep := measured()
	rep.row(hub256).Samples = speeds(9_000, 9_000, 9_000)
	rep.judge(options{short: true})
	if err := rep.Figures.Err(); err != nil {
		t.Errorf("busy machine: %v", err)
	}
	rep = measured()
	rep.row(hub256).Samples = speeds(3_500, 3_500, 3_500) // a transaction a report
	rep.judge(options{short: true})
	if err := rep.Figures.Err(); err == nil {
		t.Error("a hub as slow as SQLite passes")
	}
}

// Both pictures are drawn, and only of what was measured.
func TestPictures(t *testing.T) {
	dir := t.TempDir()
	rep := measured()
	if err := rep.draw(dir); err != nil {
		t.Fatal(err)
	}
	for name, dots := range map[string]int{"latency.svg": 5, "memory.svg": 6} { // two rates, twice, and the floor; two fleets, thrice
		b, err := os.ReadFile(filepath.Join(dir, name))
		if got := strings.Count(string(b), "<circle"); err != nil || got != dots {
			t.Errorf("%s: %d points, %v; want %d", name, got, err, dots)
		}
	}
	rep.Rows, rep.Fleets = nil, nil
	dir = t.TempDir()
	if err := rep.draw(dir); err != nil {
		t.Fatal(err)
	}
	if files, _ := os.ReadDir(dir); len(files) > 0 {
		t.Errorf("drawn from nothing: %v", files)
	}
}

func TestNumbers(t *testing.T) {
	var n numbers
	if err := n.Set("1000,2500"); err != nil || n.String() != "1000,2500" {
		t.Errorf("got %v, %v", n, err)
	}
	if err := n.Set(""); err != nil || len(n) != 0 {
		t.Errorf("got %v, %v", n, err)
	}
	for _, bad := range []string{"a", "0", "-1", "2,1", "1,1", "1;2"} {
		if err := n.Set(bad); err == nil {
			t.Errorf("%q: accepted as %v", bad, n)
		}
	}
}
