// Command hostile attacks the hub with everything that a stranger, or a
// customer with a valid key, can send it, while an honest agent reports ten
// times a second. The honest agent must never notice.
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
	hub, scratch, json        string
	sockets, announced, bogus int
	insider, verbose          bool
}

func main() {
	var o options
	flag.StringVar(&o.hub, "hub", "", "test this hub `program`; built when empty")
	flag.StringVar(&o.scratch, "scratch", "", "make the store under this `folder`")
	flag.StringVar(&o.json, "json", "", "write what was found to `FILE`")
	flag.IntVar(&o.sockets, "sockets", 2000, "slow sockets of each kind")
	flag.IntVar(&o.announced, "announced", 500, "bodies of 4 MiB announced without a key")
	flag.IntVar(&o.bogus, "bogus", 200_000, "keys that nobody has")
	flag.BoolVar(&o.insider, "insider", false, "also announce big bodies with a valid key")
	flag.BoolVar(&o.verbose, "v", false, "print every unexpected answer")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "hostile:", err)
		os.Exit(1)
	}
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
	s, err := openScene(ctx, o, dir)
	if err != nil {
		return err
	}
	defer s.hub.Kill()
	for _, a := range attacks(o) {
		if err := s.attack(ctx, a); err != nil {
			return fmt.Errorf("%s: %w", a.name, err)
		}
	}
	if err := s.judge(ctx); err != nil {
		return err
	}
	s.print(os.Stdout)
	if err := rig.WriteJSON(o.json, s.checks); err != nil {
		return err
	}
	return s.checks.Err()
}

// settle is how long the hub is left alone after an attack, so that what the
// honest agent feels late is counted against it.
const settle = 500 * time.Millisecond
