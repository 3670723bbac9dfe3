package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"felhom.eu/bench/load"
	"felhom.eu/bench/rig"
	"felhom.eu/messages"
)

// The hub's thresholds during the run, in seconds: short, so that transitions
// happen while it is being killed. Grace is above the longest of the short
// lives, so sleepers turn only in the long ones, where they are awaited.
var shortThresholds = rig.Settings{
	"STALE_SECONDS": strconv.Itoa(int(staleAfter.Seconds())), "DOWN_SECONDS": "6", "RESUME_GRACE_SECONDS": "1", "GROUP_WAIT_SECONDS": "1",
	"ALLOW_PRIVATE_ROUTES": "true", "LOG_LEVEL": "warn",
}

const staleAfter = 3 * time.Second

const (
	loaderCount   = 48
	sleeperCount  = 20
	longEvery     = 10                     // lives; in a long one, one kind of transition is hit
	maxLongLives  = 15                     // of a run
	maxLife       = 150 * time.Millisecond // of a short life under load
	turnTimeout   = 2 * time.Minute        // for an awaited transition, on a slow machine
	sleeperRate   = 40                     // returning sleepers a second, so that transitions are spread over some batches
	steadyRate    = 2                      // reports a second of each loader in long lives
	afterTurn     = 1200 * time.Millisecond
	startKillOdds = 5                      // one in so many lives is preceded by a kill during start-up
	holdOdds      = 10                     // one in so many notifications is held by its receiver
	hold          = 700 * time.Millisecond // for so long: a kill meanwhile must not lose it
)

// killer is the run's state.
type killer struct {
	*scene
	hub      *rig.Hub
	end      func() error // ends a life
	hooks    *rig.Webhooks
	loaders  []*load.Host
	sleepers []*load.Host

	cutAt      atomic.Int64 // when the last power cut began, Unix nanoseconds; 0: there was none
	late       []load.Ack   // answered after that, which a machine without power does not
	acks       []load.Ack
	fresh      []load.Ack   // of them, those that nobody has asked for yet
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

// kill ends the hub with SIGKILL at random instants, start-up included.
func kill(ctx context.Context, s *scene) error {
	hub, err := rig.NewHub(s.hub, s.dir, shortThresholds)
	if err != nil {
		return err
	}
	return (&killer{scene: s, hub: hub, end: func() error { hub.Kill(); return nil }}).run(ctx)
}

// run is a life and its end, again and again, and the accounting.
func (k *killer) run(ctx context.Context) (err error) {
	if k.hooks, err = rig.StartWebhooks(); err != nil {
		return err
	}
	defer k.hooks.Close()
	dice := rand.New(rand.NewPCG(k.random.Uint64(), 0)) // the receiver's own
	var mu sync.Mutex
	k.hooks.Hold = func() time.Duration {
		mu.Lock()
		defer mu.Unlock()
		if dice.IntN(holdOdds) > 0 {
			return 0
		}
		return hold
	}
	defer func() {
		if k.hub.Process != nil {
			k.hub.Kill()
		}
	}()
	if err := k.setUp(ctx); err != nil {
		return err
	}
	long := max(longEvery, k.Rounds/maxLongLives)
	for n := 1; n <= k.Rounds && ctx.Err() == nil; n++ {
		if err := k.life(ctx, n%long == 0); err != nil {
			return fmt.Errorf("life %d: %w", n, err)
		}
	}
	k.Acknowledged = len(k.acks)
	k.Seen = fmt.Sprintf("%d more during start-up; ready again after %.2f s (median)", k.startKills, rig.SpreadOf(k.starts).Median)
	if len(k.late) > 0 {
		k.Seen += fmt.Sprintf("; %d answers came while the power was being cut, and count as none", len(k.late))
	}
	return k.account(ctx)
}

// setUp mints the hosts and ends the hub's first life once every sleeper has
// reported.
func (k *killer) setUp(ctx context.Context) (err error) {
	if err = k.start(ctx); err != nil {
		return err
	}
	if k.loaders, err = rig.Fleet(ctx, &k.hub.Admin, "loaders", loaderCount); err != nil {
		return err
	}
	if k.sleepers, err = rig.Fleet(ctx, &k.hub.Admin, "sleepers", sleeperCount); err != nil {
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
	return k.end()
}

// answered takes note of what was acknowledged, and returns it. An answer that
// came when the power was being cut is none: what the kernel says to a sync that
// races with its shutdown, no machine would have lived to say.
func (k *killer) answered(acks []load.Ack) []load.Ack {
	cut := k.cutAt.Load()
	isLate := func(a load.Ack) bool { return cut != 0 && a.AnsweredAt.UnixNano() > cut }
	for _, a := range acks {
		if isLate(a) {
			k.late = append(k.late, a)
		}
	}
	acks = slices.DeleteFunc(acks, isLate)
	k.acks, k.fresh = append(k.acks, acks...), append(k.fresh, acks...)
	return acks
}

// askForFresh compares what was acknowledged since the last start with what
// the hub has.
func (k *killer) askForFresh(ctx context.Context) error {
	lost, err := missing(ctx, &k.hub.Admin, k.fresh)
	if len(lost) > 0 {
		k.Lost += len(lost)
		k.Checks.Add(false, "what was acknowledged is there at the next start", "%d of %d reports lost, of %s first", len(lost), len(k.fresh), lost[0].Host.ID)
	}
	k.fresh = nil
	if len(lost) > 0 {
		err = errors.Join(err, fmt.Errorf("%w: %s", errLost, k.hub.Log.Tail(1500)))
	}
	return err
}

var errLost = errors.New("reports are lost; it ends here")

func (k *killer) start(ctx context.Context) error {
	k.cutAt.Store(0)
	took, err := k.hub.Start(ctx)
	k.starts = append(k.starts, took.Seconds())
	return err
}

// life is one start, a look back, some work, and the end.
func (k *killer) life(ctx context.Context, long bool) error {
	// Mostly every event is told at once, sometimes those of a second together.
	k.hub.Set("GROUP_WAIT_SECONDS", strconv.Itoa(max(0, k.random.IntN(3)-1)))
	if err := k.killDuringStart(ctx); err != nil {
		return err
	}
	if err := k.start(ctx); err != nil {
		return err
	}
	if err := k.askForFresh(ctx); err != nil {
		return fmt.Errorf("look back: %w", err)
	}
	ctx, end := context.WithCancel(ctx)
	defer end()
	plan := load.Plan{Hosts: k.loaders, Connections: loaderCount / 2}
	if long {
		plan.Rate = steadyRate * float64(len(k.loaders))
	}
	working := goLoad(ctx, k.hub, plan)
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
		wait(ctx, k.between(time.Millisecond, maxLife))
	}
	err = errors.Join(err, k.end())
	end()
	<-returning
	k.answered((<-working).Acks)
	k.completeCycle()
	return err
}

// killDuringStart sometimes kills the hub while it opens its store.
func (k *killer) killDuringStart(ctx context.Context) error {
	if k.random.IntN(startKillOdds) != 0 {
		return nil
	}
	if err := k.hub.Launch(); err != nil {
		return err
	}
	wait(ctx, k.between(time.Millisecond, 100*time.Millisecond))
	k.startKills++
	return k.end()
}

// goLoad sends in the background until ctx ends, and remembers.
func goLoad(ctx context.Context, h *rig.Hub, p load.Plan) <-chan *load.Result {
	p.Addr, p.For, p.Remember = h.Addr, time.Hour, true
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
		ctx, cancel := context.WithTimeout(ctx, k.between(time.Millisecond, afterTurn))
		defer cancel()
		k.comeBack(ctx)
		return nil
	}
}

// awaitMore waits until the first sleeper has turned in this cycle.
func (k *killer) awaitMore(ctx context.Context, t messages.EventType) error {
	err := k.await(ctx, t, k.cycles*len(k.sleepers)+1)
	wait(ctx, k.between(time.Millisecond, afterTurn))
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
		Addr: k.hub.Addr, Hosts: k.away, Connections: len(k.away), Rate: sleeperRate, Rounds: 1, For: turnTimeout, Remember: true,
	})
	if err != nil {
		return // not possible: the plan is a good one
	}
	answered := map[*load.Host]bool{}
	for _, a := range k.answered(r.Acks) {
		answered[a.Host] = true
	}
	var still []*load.Host
	for _, h := range k.away {
		if !answered[h] {
			still = append(still, h)
		}
	}
	k.away = still
}

// completeCycle counts a cycle when its last sleeper is back.
func (k *killer) completeCycle() {
	if k.turned && len(k.away) == 0 {
		k.turned = false
		k.cycles++
	}
}
