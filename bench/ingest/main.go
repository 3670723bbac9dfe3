// Command ingest measures how fast the hub makes reports durable, against two
// references on the same machine in the same minutes: an HTTP server that does
// nothing with them, and a hub on SQLite. Speeds of a machine drift; so rounds
// are interleaved and ratios are taken within a round.
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
	hub, scratch, json string
	rounds, hosts      int
	length, warm       time.Duration
	sustain            time.Duration
	rate               float64
	short              bool
}

func main() {
	var o options
	flag.StringVar(&o.hub, "hub", "", "test this hub `program`; built when empty")
	flag.StringVar(&o.scratch, "scratch", "", "make stores under this `folder`, on the disk to measure")
	flag.StringVar(&o.json, "json", "", "write all figures to `FILE`")
	flag.IntVar(&o.rounds, "rounds", 3, "rounds")
	flag.IntVar(&o.hosts, "hosts", 2000, "hosts that report")
	flag.DurationVar(&o.length, "for", 4*time.Second, "length of one run")
	flag.DurationVar(&o.warm, "warm", time.Second, "sent before a run is counted")
	flag.DurationVar(&o.sustain, "sustain", 0, "afterwards load the hub for so long, and compare with the short runs; 0: do not")
	flag.Float64Var(&o.rate, "rate", 10000, "reports a second of the open loop")
	flag.BoolVar(&o.short, "short", false, "three rounds of a second each, for CI; figures are printed and not judged")
	flag.Parse()
	if o.short {
		o.rounds, o.length, o.warm = 3, time.Second, 500*time.Millisecond
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
	s, err := startServers(ctx, o, dir)
	if err != nil {
		return err
	}
	defer s.kill()
	rep, err := measure(ctx, s, o)
	if err != nil {
		return err
	}
	rep.print(os.Stdout)
	if err := rig.WriteJSON(o.json, rep); err != nil {
		return err
	}
	return rep.Checks.Err()
}
