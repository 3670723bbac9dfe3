package main

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"time"

	"felhom.eu/bench/load"
	"felhom.eu/bench/rig"
)

// contender is a server under one kind of load.
type contender struct {
	name        string
	process     *rig.Process
	addr        string
	connections int
	rate        float64
}

const (
	echo256   = "echo, 256 connections"
	hub256    = "hub, 256 connections"
	sqlite256 = "SQLite FULL, 256 connections"
	hub64     = "hub, 64 connections"
	sqlite64  = "SQLite FULL, 64 connections"
)

// The floors that durable ingest is held to, on two cores that it shares with
// the generator.
const (
	floorEcho   = 0.30
	floorSQLite = 6.0
)

func contenders(s *servers, rate float64) []contender {
	return []contender{
		{echo256, s.echo, s.echoAddr, 256, 0},
		{hub256, s.hub.Process, s.hub.Addr, 256, 0},
		{sqlite256, s.sqlite, s.sqliteAddr, 256, 0},
		{hub64, s.hub.Process, s.hub.Addr, 64, 0},
		{sqlite64, s.sqlite, s.sqliteAddr, 64, 0},
		{fmt.Sprintf("hub, open loop at %.0f/s", rate), s.hub.Process, s.hub.Addr, 256, rate},
	}
}

// row is one contender's runs, a value a round.
type row struct {
	Name      string    `json:"name"`
	PerSecond []float64 `json:"reports_per_second"`
	P50       []float64 `json:"p50_ms"`
	P99       []float64 `json:"p99_ms"`
	RSS       []float64 `json:"rss_mib"`
	Anon      []float64 `json:"rss_anon_mib"`
	CPU       []float64 `json:"server_cpu_us_per_report"`
	Other     []float64 `json:"other_cpu_ratio"` // of the machine: neither server nor generator
	Refused   int       `json:"not_200"`
	Lost      int       `json:"connections_lost"`
}

// report is everything that was measured.
type report struct {
	CPUs        int                   `json:"cpus"`
	ReportBytes int                   `json:"report_bytes"`
	Hosts       int                   `json:"hosts"`
	Rounds      int                   `json:"rounds"`
	Seconds     float64               `json:"seconds_per_run"`
	Rows        []*row                `json:"rows"`
	Ratios      map[string]rig.Spread `json:"ratios"`
	Checks      rig.Checks            `json:"checks"`
}

func measure(ctx context.Context, s *servers, o options) (*report, error) {
	rep := &report{CPUs: runtime.NumCPU(), Hosts: len(s.hosts), Rounds: o.rounds, Seconds: o.length.Seconds(), Ratios: map[string]rig.Spread{}}
	rep.ReportBytes = len(load.Ack{Host: s.hosts[0], Sequence: 1000}.Body())
	cs := contenders(s, o.rate)
	for _, c := range cs {
		rep.Rows = append(rep.Rows, &row{Name: c.name})
	}
	for round := range o.rounds {
		for i, c := range cs {
			if err := rep.Rows[i].measure(ctx, c, s.hosts, o.warm, o.length); err != nil {
				return nil, fmt.Errorf("round %d, %s: %w", round+1, c.name, err)
			}
		}
	}
	if o.sustain > 0 {
		long := &row{Name: fmt.Sprintf("hub, 256 connections, %v", o.sustain)}
		if err := long.measure(ctx, cs[1], s.hosts, o.warm, o.sustain); err != nil {
			return nil, err
		}
		rep.Rows = append(rep.Rows, long)
		rep.Ratios["sustained / short"] = rig.Ratios(long.PerSecond, []float64{rig.SpreadOf(rep.row(hub256).PerSecond).Median})
	}
	rep.judge(o.short)
	return rep, nil
}

// measure runs c once and adds the figures.
func (r *row) measure(ctx context.Context, c contender, hosts []*load.Host, warm, length time.Duration) error {
	before, err := readCosts(c.process)
	if err != nil {
		return err
	}
	res, err := load.Run(ctx, load.Plan{Addr: c.addr, Hosts: hosts, Connections: min(c.connections, len(hosts)), Rate: c.rate, Warm: warm, For: length})
	if err != nil {
		return err
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	after, err := readCosts(c.process)
	if err != nil {
		return err
	}
	r.add(res, before, after)
	return nil
}

// costs are counters before or after a run.
type costs struct {
	at                    time.Time
	memory                rig.Memory
	server, self, machine time.Duration
}

func readCosts(p *rig.Process) (c costs, err error) {
	c.at = time.Now()
	if c.memory, err = p.Memory(); err != nil {
		return c, err
	}
	if c.server, err = p.CPU(); err != nil {
		return c, err
	}
	if c.self, err = rig.SelfCPU(); err != nil {
		return c, err
	}
	c.machine, err = rig.MachineCPU()
	return c, err
}

func (r *row) add(res *load.Result, before, after costs) {
	server := after.server - before.server
	other := after.machine - before.machine - server - (after.self - before.self)
	wall := after.at.Sub(before.at) * time.Duration(runtime.NumCPU())
	r.PerSecond = append(r.PerSecond, res.PerSecond())
	r.P50 = append(r.P50, res.Latency.Quantile(0.5).Seconds()*1e3)
	r.P99 = append(r.P99, res.Latency.Quantile(0.99).Seconds()*1e3)
	r.RSS = append(r.RSS, float64(after.memory.RSS)/(1<<20))
	r.Anon = append(r.Anon, float64(after.memory.Anon)/(1<<20))
	r.CPU = append(r.CPU, float64(server.Microseconds())/float64(max(res.Statuses[200], 1)))
	r.Other = append(r.Other, max(0, other.Seconds()/wall.Seconds()))
	r.Refused += res.Refused()
	r.Lost += res.Errors
}

func (rep *report) row(name string) *row {
	for _, r := range rep.Rows {
		if r.Name == name {
			return r
		}
	}
	return new(row)
}

// judge takes the ratios, and holds the medians at 256 connections to the floors
// unless the runs were too short for that.
func (rep *report) judge(short bool) {
	for _, q := range []struct {
		over, under string
		floor       float64
	}{{hub256, echo256, floorEcho}, {hub256, sqlite256, floorSQLite}, {hub64, sqlite64, 0}} {
		ratio := rig.Ratios(rep.row(q.over).PerSecond, rep.row(q.under).PerSecond)
		name := q.over + " / " + q.under
		rep.Ratios[name] = ratio
		if short || q.floor == 0 {
			rep.Checks.Add(true, name, "%s, not judged", spell(ratio, 2))
			continue
		}
		rep.Checks.Add(ratio.Median >= q.floor, name, "%s, floor %.2f", spell(ratio, 2), q.floor)
	}
	for _, r := range rep.Rows {
		rep.Checks.Add(r.Refused+r.Lost == 0, r.Name+": every report answered 200", "%d other answers, %d lost connections", r.Refused, r.Lost)
	}
}

func spell(s rig.Spread, digits int) string {
	return fmt.Sprintf("%.*f (%.*f–%.*f)", digits, s.Median, digits, s.Min, digits, s.Max)
}

func (rep *report) print(w io.Writer) {
	fmt.Fprintf(w, "%d hosts, reports of %d bytes, %d interleaved rounds of %gs, %d CPUs shared with the generator; medians (min–max)\n\n",
		rep.Hosts, rep.ReportBytes, rep.Rounds, rep.Seconds, rep.CPUs)
	t := rig.NewTable(w, "load", "reports/s", "p50 ms", "p99 ms", "RSS MiB", "of it anonymous", "CPU µs/report", "other CPU")
	for _, r := range rep.Rows {
		t.Row(r.Name, spell(rig.SpreadOf(r.PerSecond), 0), spell(rig.SpreadOf(r.P50), 1), spell(rig.SpreadOf(r.P99), 1),
			spell(rig.SpreadOf(r.RSS), 0), spell(rig.SpreadOf(r.Anon), 0), spell(rig.SpreadOf(r.CPU), 0),
			fmt.Sprintf("%.0f %%", 100*rig.SpreadOf(r.Other).Median))
	}
	t.Flush()
	fmt.Fprintln(w)
	rep.Checks.Print(w)
	if s, ok := rep.Ratios["sustained / short"]; ok {
		fmt.Fprintf(w, "\nsustained / short: %.2f\n", s.Median)
	}
}
