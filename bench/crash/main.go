// Command crash breaks a hub in every way that is known to break stores and
// watchmen, under load, and then asks it to account for everything: every
// report it answered 200, every transition of every host, every notification.
package main

import (
	"context"
	"errors"
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
	short              bool
	only               string
	rounds             int
	broken             string
	seed               uint64
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == underFilter {
		becomeFiltered(os.Args[2:]) // returns only when it failed
	}
	var o options
	flag.StringVar(&o.hub, "hub", "", "test this hub `program`; built when empty")
	flag.StringVar(&o.scratch, "scratch", "", "make stores under this `folder`")
	flag.StringVar(&o.json, "json", "", "write what was found to `FILE`")
	flag.BoolVar(&o.short, "short", false, "few rounds of each fault, as .ci/run has them")
	flag.StringVar(&o.only, "only", "", "these `faults` alone, by name, separated by commas")
	flag.IntVar(&o.rounds, "rounds", 0, "so many rounds of each fault instead of its own number")
	flag.StringVar(&o.broken, "broken", "", "break the hub on purpose ("+brokenNames()+") and expect to notice")
	flag.Uint64Var(&o.seed, "seed", uint64(time.Now().UnixNano()), "of everything random")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "crash:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) error {
	dir, remove, err := rig.Scratch(o.scratch)
	if err != nil {
		return err
	}
	b := &builds{dir: dir, given: o.hub}
	if o.broken != "" {
		err = proveBroken(ctx, o, b, dir)
	} else {
		err = prove(ctx, o, b, dir)
	}
	if err != nil {
		return fmt.Errorf("%w; stores kept in %s", err, dir)
	}
	remove()
	return nil
}

// prove strikes with the chosen faults and prints how the hub fared.
func prove(ctx context.Context, o options, b *builds, dir string) error {
	chosen, err := choose(o)
	if err != nil {
		return err
	}
	rows, err := strikeAll(ctx, o, b, dir, chosen)
	if err := errors.Join(err, rig.WriteJSON(o.json, rows)); err != nil {
		return err
	}
	if !rows.print(os.Stdout) {
		return fmt.Errorf("%w; repeat with -seed %d -only FAULT", rig.ErrFailed, o.seed)
	}
	return nil
}

// wait waits for d or for the end of ctx.
func wait(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

var errTooLong = errors.New("did not happen in time")

// within polls until done or limit is over.
func within(ctx context.Context, limit time.Duration, what string, done func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	err := rig.Poll(ctx, 10*time.Millisecond, done)
	if errors.Is(err, context.DeadlineExceeded) {
		err = errTooLong
	}
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}
