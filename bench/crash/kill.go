package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"felhom.eu/bench/load"
	"felhom.eu/bench/rig"
	"felhom.eu/messages"
)

// The hub's thresholds during the run, in seconds: short, so that transitions
// happen while it is being killed. Grace is above the longest of the short
// lives, so sleepers turn only in the long ones, where they are awaited.
var shortThresholds = rig.Settings{
	"STALE_SECONDS": "3", "DOWN_SECONDS": "6", "RESUME_GRACE_SECONDS": "1", "GROUP_WAIT_SECONDS": "1",
	"ALLOW_PRIVATE_ROUTES": "true", "LOG_LEVEL": "warn",
}

const (
	longLives     = 5                      // of a run; in each, one kind of transition is hit
	maxLife       = 250 * time.Millisecond // of a short life under load
	turnTimeout   = 30 * time.Second       // for an awaited transition
	sleeperRate   = 40                     // returning sleepers a second, so that transitions are spread over some batches
	steadyRate    = 2                      // reports a second of each loader in long lives
	afterTurn     = 1200 * time.Millisecond
	startKillOdds = 5 // one in so many lives is preceded by a kill during start-up
)

// killer is the run's state.
type killer struct {
	hub       *rig.Hub
	hooks     *rig.Webhooks
	random    *rand.Rand
	hitStarts bool // kill during start-up, too
	loaders   []*load.Host
	sleepers  []*load.Host

	acks       []load.Ack
	away       []*load.Host // sleepers that are to return and have not been answered
	phase      phase
	turned     bool // all sleepers are down or were, in this cycle
	cycles     int  // completed by all sleepers: report, stale, down, recovered
	startKills int
	starts     []float64 // seconds until ready
}

// phase is what the next long life waits for.
type phase int

const (
	awaitStale phase = iota
	awaitDown
	awaitReturn
)

// killing is the kill loop with its accounting.
func killing(ctx context.Context, o options, dir string, checks *rig.Checks) error {
	hooks, err := rig.StartWebhooks()
	if err != nil {
		return err
	}
	defer hooks.Close()
	k := &killer{hooks: hooks, random: newRand(o.seed), hitStarts: o.startKills}
	if k.hub, err = rig.NewHub(o.hub, dir, shortThresholds); err != nil {
		return err
	}
	defer func() {
		if k.hub.Process != nil {
			k.hub.Kill()
		}
	}()
	if err := k.setUp(ctx, o); err != nil {
		return err
	}
	begin := time.Now()
	for n := 1; n <= o.kills; n++ {
		if err := k.life(ctx, n%max(o.kills/longLives, 1) == 0); err != nil {
			return fmt.Errorf("life %d: %w", n, err)
		}
	}
	fmt.Printf("%d kills under load and %d during start-up in %.0f s; %d reports acknowledged; ready again after %.2f s (median)\n",
		o.kills, k.startKills, time.Since(begin).Seconds(), len(k.acks), rig.SpreadOf(k.starts).Median)
	return k.account(ctx, o.kills+k.startKills, checks)
}

// setUp mints the hosts and kills the hub for the first time, once every
// sleeper has reported.
func (k *killer) setUp(ctx context.Context, o options) (err error) {
	if err = k.start(ctx); err != nil {
		return err
	}
	if k.loaders, err = rig.Fleet(ctx, &k.hub.Admin, "loaders", o.loaders); err != nil {
		return err
	}
	if k.sleepers, err = rig.Fleet(ctx, &k.hub.Admin, "sleepers", o.sleepers); err != nil {
		return err
	}
	if err = k.hub.AddWebhook(ctx, k.hooks.URL(), k.hooks.Secret); err != nil {
		return err
	}
	k.away = k.sleepers
	k.comeBack(ctx)
	if len(k.away) > 0 {
		return errors.New("sleepers could not report")
	}
	k.hub.Kill()
	return nil
}

func (k *killer) start(ctx context.Context) error {
	took, err := k.hub.Start(ctx)
	k.starts = append(k.starts, took.Seconds())
	return err
}

// life is one start, some work, and a kill.
func (k *killer) life(ctx context.Context, long bool) error {
	if err := k.killDuringStart(ctx); err != nil {
		return err
	}
	if err := k.start(ctx); err != nil {
		return err
	}
	ctx, end := context.WithCancel(ctx)
	defer end()
	plan := load.Plan{Hosts: k.loaders, Connections: min(64, len(k.loaders))}
	if long {
		plan.Rate = steadyRate * float64(len(k.loaders))
	}
	working := k.goLoad(ctx, plan)
	returning := make(chan struct{})
	go func() {
		defer close(returning)
		if !long {
			k.comeBack(ctx)
		}
	}()
	var err error
	if long {
		err = k.turn(ctx)
	} else {
		wait(ctx, between(k.random, time.Millisecond, maxLife))
	}
	k.hub.Kill()
	end()
	<-returning
	if r := <-working; r != nil {
		k.acks = append(k.acks, r.Acks...)
	}
	k.completeCycle()
	return err
}

// killDuringStart sometimes kills the hub while it opens its store.
func (k *killer) killDuringStart(ctx context.Context) error {
	if k.random.IntN(startKillOdds) != 0 || !k.hitStarts {
		return nil
	}
	if err := k.hub.Launch(); err != nil {
		return err
	}
	wait(ctx, between(k.random, time.Millisecond, 100*time.Millisecond))
	k.hub.Kill()
	k.startKills++
	return nil
}

// goLoad sends in the background until ctx ends.
func (k *killer) goLoad(ctx context.Context, p load.Plan) <-chan *load.Result {
	p.Addr, p.For, p.Remember = k.hub.Addr, time.Hour, true
	out := make(chan *load.Result, 1)
	go func() {
		r, _ := load.Run(ctx, p) // the plan is a good one
		out <- r
	}()
	return out
}

// turn waits for the phase's transition to begin, and a moment longer: the
// kill may hit the transitions, the sealing of deliveries, or their sending.
func (k *killer) turn(ctx context.Context) error {
	defer func() { k.phase = (k.phase + 1) % (awaitReturn + 1) }()
	k.comeBack(ctx)
	k.completeCycle()
	switch k.phase {
	case awaitStale:
		return k.awaitMore(ctx, messages.HostStale)
	case awaitDown:
		return k.awaitMore(ctx, messages.HostDown)
	default:
		if err := k.awaitAll(ctx, messages.HostDown); err != nil {
			return err
		}
		k.away, k.turned = k.sleepers, true
		ctx, cancel := context.WithTimeout(ctx, between(k.random, time.Millisecond, afterTurn))
		defer cancel()
		k.comeBack(ctx)
		return nil
	}
}

// awaitMore waits until the first sleeper has turned in this cycle.
func (k *killer) awaitMore(ctx context.Context, t messages.EventType) error {
	err := k.await(ctx, t, k.cycles*len(k.sleepers)+1)
	wait(ctx, between(k.random, time.Millisecond, afterTurn))
	return err
}

// awaitAll waits until every sleeper has turned in this cycle.
func (k *killer) awaitAll(ctx context.Context, t messages.EventType) error {
	return k.await(ctx, t, (k.cycles+1)*len(k.sleepers))
}

func (k *killer) await(ctx context.Context, t messages.EventType, n int) error {
	var seen int
	return within(ctx, turnTimeout, fmt.Sprintf("%d times %s", n, t), func() (bool, error) {
		events, err := k.hub.Events(ctx)
		seen = 0
		for _, e := range events {
			if e.Type == t && e.CustomerID == "sleepers" {
				seen++
			}
		}
		return seen >= n, err
	})
}

// comeBack lets the sleepers that are away report, until all were answered or
// ctx ends.
func (k *killer) comeBack(ctx context.Context) {
	if len(k.away) == 0 {
		return
	}
	r, err := load.Run(ctx, load.Plan{
		Addr: k.hub.Addr, Hosts: k.away, Connections: len(k.away), Rate: sleeperRate, Rounds: 1, For: time.Minute, Remember: true,
	})
	if err != nil {
		return // not possible: the plan is a good one
	}
	answered := map[*load.Host]bool{}
	for _, a := range r.Acks {
		answered[a.Host] = true
	}
	var still []*load.Host
	for _, h := range k.away {
		if !answered[h] {
			still = append(still, h)
		}
	}
	k.acks, k.away = append(k.acks, r.Acks...), still
}

// completeCycle counts a cycle when its last sleeper is back.
func (k *killer) completeCycle() {
	if k.turned && len(k.away) == 0 {
		k.turned = false
		k.cycles++
	}
}
