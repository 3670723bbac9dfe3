// Command twoprocs plays the whole product once, as an operator would: a hub
// and an agent as two processes, a customer, a host, a route; the agent dies,
// the hub tells; the agent returns, the hub tells that too. It takes about 15 s.
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

func main() {
	hub := flag.String("hub", "", "test this hub `program`; built when empty")
	agent := flag.String("agent", "", "test this agent `program`; built when empty")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *hub, *agent); err != nil {
		fmt.Fprintln(os.Stderr, "twoprocs:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, hub, agent string) error {
	dir, remove, err := rig.Scratch("")
	if err != nil {
		return err
	}
	defer remove()
	if hub, err = rig.FindHub(ctx, hub, dir); err != nil {
		return err
	}
	if agent, err = rig.FindAgent(ctx, agent, dir); err != nil {
		return err
	}
	s := &story{hubProgram: hub, agentProgram: agent, agentLog: new(rig.Log)}
	defer s.end()
	begin := time.Now()
	if err := s.play(ctx, dir); err != nil {
		return fmt.Errorf("%w\nthe agent said:\n%s\nthe hub said:\n%s", err, s.agentLog.Tail(2000), s.hub.Log.Tail(2000))
	}
	s.checks.Add(time.Since(begin) < patience, "all of it in less than "+patience.String(), "%.1f s", time.Since(begin).Seconds())
	s.checks.Print(os.Stdout)
	return s.checks.Err()
}

// patience is what the whole story may take.
const patience = 20 * time.Second
