package main

import (
	"fmt"
	"os"
	"path/filepath"

	"felhom.eu/bench/plot"
	"felhom.eu/bench/rig"
)

const (
	hubColor    = "#1f6fb4"
	sqliteColor = "#d9822b"
	boundColor  = "#888888"
)

// draw makes a picture of whatever was measured for one.
func (rep *report) draw(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if c := rep.latencyChart(); len(c.Series) > 0 {
		if err := c.WriteFile(filepath.Join(dir, "latency.svg")); err != nil {
			return err
		}
	}
	if len(rep.Fleets) > 0 {
		return rep.memoryChart().WriteFile(filepath.Join(dir, "memory.svg"))
	}
	return nil
}

func (rep *report) where() string {
	return fmt.Sprintf("%s, %d CPUs shared with the generator", rep.At.Format("2 January 2006"), rep.CPUs)
}

// latencyChart is the open loops.
func (rep *report) latencyChart() *plot.Chart {
	c := &plot.Chart{
		Title: "Latency of a durable report against offered load",
		Note:  fmt.Sprintf("Reports of %d bytes, 256 connections, from when each was due; median of %d runs, bars: all; %s", rep.ReportBytes, rep.Rounds, rep.where()),
		X:     plot.Axis{Label: "offered load, reports/s", Log: true}, Y: plot.Axis{Label: "latency, ms", Log: true},
	}
	for _, s := range []struct {
		server, quantile, color string
		figure                  func(sample) float64
		dashed                  bool
	}{
		{"hub", "p99", hubColor, p99, false}, {"hub", "p50", hubColor, p50, true},
		{"SQLite FULL", "p99", sqliteColor, p99, false}, {"SQLite FULL", "p50", sqliteColor, p50, true},
	} {
		if ps := rep.openLoops(s.server, s.figure); len(ps) > 0 {
			c.Series = append(c.Series, plot.Series{Name: s.server + ", " + s.quantile, Color: s.color, Dashed: s.dashed, Points: ps})
		}
	}
	if len(c.Series) > 0 {
		c.Series = append(c.Series, plot.Series{
			Name: fmt.Sprintf("floor: p99 %.0f ms at %d/s", promised.p99.Floor, promised.rate), Color: boundColor,
			Points: []plot.Point{{X: float64(promised.rate), Y: promised.p99.Floor}},
		})
	}
	return c
}

func (rep *report) openLoops(server string, figure func(sample) float64) (ps []plot.Point) {
	for _, r := range rep.Rows {
		if r.Rate > 0 && r.Name == openLoop(server, r.Rate) {
			found := rig.SpreadOf(r.of(figure))
			ps = append(ps, plot.Point{X: float64(r.Rate), Y: found.Median, Low: found.Min, High: found.Max})
		}
	}
	return ps
}

// memoryChart is the fleets, below what they may cost.
func (rep *report) memoryChart() *plot.Chart {
	var rss, anon, bound []plot.Point
	for _, f := range rep.Fleets {
		n := float64(f.Hosts)
		rss = append(rss, plot.Point{X: n, Y: f.RSS})
		anon = append(anon, plot.Point{X: n, Y: f.Anon})
		bound = append(bound, plot.Point{X: n, Y: rep.Fleets[0].RSS + n*promised.host.Floor/(1<<20)})
	}
	return &plot.Chart{
		Title: "Memory of the hub against its number of hosts",
		Note:  "After a restart and the collector's next cycle, every host's actor up; " + rep.where(),
		X:     plot.Axis{Label: "hosts"}, Y: plot.Axis{Label: "resident memory, MiB"},
		Series: []plot.Series{
			{Name: fmt.Sprintf("floor: %.0f bytes a host", promised.host.Floor), Color: boundColor, Dashed: true, Points: bound},
			{Name: "RSS", Color: hubColor, Points: rss},
			{Name: "of it anonymous", Color: hubColor, Dashed: true, Points: anon},
		},
	}
}
