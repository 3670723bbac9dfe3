// Command hosts measures a hub with very many hosts: what each costs in memory,
// how soon after a start reports are accepted and every host's actor is up, how
// fast the fleet is listed, and what happens when a third of it falls silent in
// one moment. Stores are filled directly: a million hosts cannot be minted within
// a bench.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"

	"felhom.eu/bench/rig"
)

// The most that the hub may take, whatever the size of its fleet.
const (
	floorBytes     = 1536 // of RSS a host
	floorAccepting = 3.0  // seconds
	floorAllUp     = 10.0
	floorWave      = 60.0 // until all transitions are durable and told
	floorPage      = 1.0  // to answer any question of an operator's about hosts
	floorFill      = 120.0
	floorGrowth    = 3 << 29 // bytes of anonymous memory in the wave: a third of them lives, alarms and what is on its way to the disk
	judgedFrom     = 100_000 // hosts: fewer are less than what memory varies by anyway
)

// options are the command line.
type options struct {
	hub, scratch, json string
	hosts              []int
	report             bool
}

func main() {
	o := options{hosts: []int{100_000}}
	flag.Func("n", "how many hosts; several numbers, with commas, for a plot (default 100000)", func(s string) (err error) {
		o.hosts, err = counts(s)
		return err
	})
	flag.StringVar(&o.hub, "hub", "", "test this hub `program`; built when empty")
	flag.StringVar(&o.scratch, "scratch", "", "make stores under this `folder`")
	flag.StringVar(&o.json, "json", "", "write all figures to `FILE`")
	flag.BoolVar(&o.report, "report", false, "tell which floors are missed, and exit 0 all the same")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	err := run(ctx, o)
	if o.report && errors.Is(err, rig.ErrFailed) {
		err = nil
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "hosts:", err)
		os.Exit(1)
	}
}

func counts(s string) (ns []int, err error) {
	for word := range strings.SplitSeq(s, ",") {
		n, err := strconv.Atoi(word)
		if err != nil || n < 1000 {
			return nil, fmt.Errorf("want numbers from 1000 on, not %q", word)
		}
		ns = append(ns, n)
	}
	slices.Sort(ns)
	return ns, nil
}

// result is what was measured.
type result struct {
	Empty  rig.Memory `json:"empty"` // of a hub with one host
	Fleets []figures  `json:"fleets"`
	Checks rig.Checks `json:"checks"`
}

func run(ctx context.Context, o options) error {
	dir, remove, err := rig.Scratch(o.scratch)
	if err != nil {
		return err
	}
	defer remove()
	if o.hub, err = rig.FindHub(ctx, o.hub, dir); err != nil {
		return err
	}
	var r result
	if r.Empty, err = emptyHub(ctx, o.hub, dir); err != nil {
		return err
	}
	for i, n := range o.hosts {
		f, err := measure(ctx, o.hub, dir, n, r.Empty, i == len(o.hosts)-1)
		if err != nil {
			return fmt.Errorf("%d hosts: %w", n, err)
		}
		f.print()
		r.Fleets = append(r.Fleets, *f)
		f.judge(&r.Checks)
	}
	r.Checks.Print(os.Stdout)
	if err := rig.WriteJSON(o.json, r); err != nil {
		return err
	}
	return r.Checks.Err()
}
