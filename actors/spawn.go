package actors

import (
	"fmt"
	"math"
	"runtime/debug"
	"sync/atomic"

	"github.com/anthdm/hollywood/actor"
	"github.com/rs/zerolog"
)

// inboxSize is an inbox's initial capacity. Hollywood's default costs 26 KB an
// actor, and its inboxes grow by themselves; most hosts never have two messages.
const inboxSize = 1

func options(id string) []actor.OptFunc {
	return []actor.OptFunc{actor.WithID(id), actor.WithInboxSize(inboxSize), actor.WithMaxRestarts(math.MaxInt32)}
}

// watch is what all guards of an engine share.
type watch struct {
	log    zerolog.Logger
	panics atomic.Uint64
	fatal  func(error)
}

// panicked notes a panic in an actor; mend is what it goes on with.
func (w *watch) panicked(name string, message, v any, mend func()) {
	w.panics.Add(1)
	w.log.Error().Str("actor", name).Type("message", message).
		Str("panic", fmt.Sprint(v)).Bytes("stack", debug.Stack()).Msg("actor panicked")
	defer func() {
		if again := recover(); again != nil {
			w.fatal(fmt.Errorf("actor %s: mend after panic %v: %v", name, v, again))
		}
	}()
	mend()
}

// guard stands before every actor's Receive. Hollywood's own restart must never
// run: at the fourth panic of an actor's life it ends the process with a nil
// call, and a panic beside a poison pill lets two goroutines into one actor. An
// actor that panicked takes the program down: the next start reads the truth
// from storage. Only a host goes on, from what is stored; see host_process.go.
type guard struct {
	inner actor.Receiver
	watch *watch
}

// Receive implements actor.Receiver.
func (g *guard) Receive(c *actor.Context) {
	defer func() {
		if v := recover(); v != nil {
			name := c.PID().ID
			g.watch.panicked(name, c.Message(), v, func() { g.watch.fatal(fmt.Errorf("actor %s: panic: %v", name, v)) })
		}
	}()
	g.inner.Receive(c)
}

// spawn is the only way an actor comes to life, but for hosts. None is a child in hollywood's
// sense: a parent's end waits for its children's, and for ever for one that is
// being stopped already. Who made an actor stops it.
func spawn(e *actor.Engine, w *watch, r actor.Receiver, kind, id string) *actor.PID {
	g := &guard{inner: r, watch: w}
	return e.Spawn(func() actor.Receiver { return g }, kind, options(id)...)
}
