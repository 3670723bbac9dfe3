// Command ingest measures how fast the hub makes reports durable and what that
// costs, against its ceilings (an HTTP server that does nothing with them,
// Badger and a file without any server) and against the hub that one would
// write in an afternoon, on SQLite. All on the same machine in the same minutes:
// speeds of a machine drift; so rounds are interleaved and ratios are taken
// within a round.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"time"

	"felhom.eu/bench/rig"
)

// options are the command line.
type options struct {
	hub, scratch, json, plots string
	rounds, hosts, idle       int
	length, warm, sustain     time.Duration
	rates, fleets             numbers
	short, report             bool
}

func main() {
	o := options{
		rates:  numbers{1000, 2500, 5000, checkedRate, 15_000, 20_000, 30_000, 40_000},
		fleets: numbers{10_000, 100_000, 250_000, 500_000, 1_000_000},
	}
	flag.StringVar(&o.hub, "hub", "", "test this hub `program`; built when empty")
	flag.StringVar(&o.scratch, "scratch", "", "make stores under this `folder`, on the disk to measure; about 15 GB")
	flag.StringVar(&o.json, "json", "", "write all figures to `FILE`")
	flag.StringVar(&o.plots, "plots", "", "draw latency.svg and memory.svg into this `folder`")
	flag.IntVar(&o.rounds, "rounds", 3, "rounds")
	flag.IntVar(&o.hosts, "hosts", 2000, "hosts that report")
	flag.IntVar(&o.idle, "idle", 5000, "idle connections to hold open; 0: none")
	flag.DurationVar(&o.length, "for", 5*time.Second, "length of one run")
	flag.DurationVar(&o.warm, "warm", time.Second, "sent before a run is counted")
	flag.DurationVar(&o.sustain, "sustain", time.Minute, "load the hub once for so long, between two short runs; 0: do not")
	flag.Var(&o.rates, "rates", "reports a second of the open loops, a `list`")
	flag.Var(&o.fleets, "fleets", "hosts to measure a hub's memory with, a rising `list`; empty: do not")
	flag.BoolVar(&o.short, "short", false, "half a minute, for CI: few runs of a second, held to loose bounds that only a broken hub misses")
	flag.BoolVar(&o.report, "report", false, "exit 0 also when a floor does not hold")
	flag.Parse()
	if o.short {
		o.rounds, o.hosts, o.length, o.warm = 2, 600, time.Second, 300*time.Millisecond
		o.idle, o.sustain, o.rates, o.fleets = 0, 0, numbers{saneRate}, nil
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "ingest:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) error {
	dir, remove, err := rig.Scratch(o.scratch)
	if err != nil {
		return err
	}
	defer remove()
	rep, err := measure(ctx, o, dir)
	if err != nil {
		return err
	}
	rep.print(os.Stdout)
	if err := rig.WriteJSON(o.json, rep); err != nil {
		return err
	}
	if o.plots != "" {
		if err := rep.draw(o.plots); err != nil {
			return err
		}
	}
	if o.report {
		return nil
	}
	return rep.Figures.Err()
}

// measure does everything there is to measure, in one go.
func measure(ctx context.Context, o options, dir string) (*report, error) {
	rep, err := newReport(o, dir)
	if err != nil {
		return nil, err
	}
	s, err := startServers(ctx, o, dir)
	if err != nil {
		return nil, err
	}
	defer s.kill()
	b := bench{o: o, servers: s, device: rep.device, progress: os.Stderr}
	if o.idle > 0 { // on hubs that are fresh: memory that load left behind would hide the connections'
		if rep.Idle, err = b.measureIdle(ctx); err != nil {
			return nil, err
		}
	}
	if rep.Rows, err = b.measureRounds(ctx); err != nil {
		return nil, err
	}
	if o.sustain > 0 {
		if rep.Sustained, err = b.measureSustained(ctx); err != nil {
			return nil, err
		}
	}
	s.kill()
	if rep.Fleets, err = measureFleets(ctx, s.program, dir, o.fleets, b.progress); err != nil {
		return nil, err
	}
	rep.judge(o)
	return rep, nil
}
