// Command crash kills the hub, again and again, while it works, and then asks
// it to account for everything: every report it answered 200, every transition
// of every host, every notification.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"time"

	"felhom.eu/bench/rig"
)

// options are the command line.
type options struct {
	hub, scratch, json string
	kills              int
	loaders, sleepers  int
	startKills         bool
	seed               uint64
}

func main() {
	var o options
	flag.StringVar(&o.hub, "hub", "", "test this hub `program`; built when empty")
	flag.StringVar(&o.scratch, "scratch", "", "make stores under this `folder`")
	flag.StringVar(&o.json, "json", "", "write what was found to `FILE`")
	flag.IntVar(&o.kills, "kills", 50, "how often the hub is killed under load")
	flag.IntVar(&o.loaders, "loaders", 200, "hosts that report as fast as they are answered")
	flag.IntVar(&o.sleepers, "sleepers", 20, "hosts that fall silent and return")
	flag.BoolVar(&o.startKills, "start-kills", true, "sometimes kill it while it starts, too; not counted in -kills")
	flag.Uint64Var(&o.seed, "seed", uint64(time.Now().UnixNano()), "of the instants of the kills")
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
	if o.hub, err = rig.FindHub(ctx, o.hub, dir); err != nil {
		return err
	}
	fmt.Printf("seed %d\n", o.seed)
	var checks rig.Checks
	if err := killing(ctx, o, dir, &checks); err != nil {
		return fmt.Errorf("%w (store kept in %s)", err, dir)
	}
	if err := outage(ctx, o, dir, &checks); err != nil {
		return fmt.Errorf("%w (store kept in %s)", err, dir)
	}
	fmt.Println()
	checks.Print(os.Stdout)
	if err := rig.WriteJSON(o.json, checks); err != nil {
		return err
	}
	if err := checks.Err(); err != nil {
		return fmt.Errorf("%w; repeat with -seed %d; store kept in %s", err, o.seed, dir)
	}
	remove()
	return nil
}

// newRand makes the instants of a run repeatable, as far as a hub's own timing is.
func newRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0)) }

// between is a random duration from low to high.
func between(r *rand.Rand, low, high time.Duration) time.Duration {
	return low + time.Duration(r.Int64N(int64(high-low)+1))
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
