package actors

import (
	"context"
	"time"

	"github.com/anthdm/hollywood/actor"
	"github.com/rs/zerolog"
)

const (
	watchdogEvery   = time.Minute
	watchdogTimeout = 10 * time.Second
)

// Pinger tells whoever watches the hub that it is well.
type Pinger interface {
	Ping(ctx context.Context) error
}

type (
	watchdogTick struct{}
	watchdogDone struct{ err error }
)

// Watchdog watches the hub from inside, and lets the outside know every minute
// that it is well: that listening time ran since the last time, and that a
// write went all the way to the disk. A hub that is not says nothing, and who
// waits for its ping raises the alarm.
type Watchdog struct {
	hub    *Hub
	pinger Pinger // nil: nobody outside was asked to watch
	heard  Moment // at the last tick
	token  uint64 // of the write under way; 0 when none
	timer  *time.Timer
	log    zerolog.Logger
}

// Receive implements actor.Receiver.
func (w *Watchdog) Receive(c *actor.Context) {
	switch m := c.Message().(type) {
	case actor.Initialized:
	case actor.Started:
		w.heard = w.hub.clock.Now()
		engine, self := c.Engine(), c.PID()
		w.timer = time.AfterFunc(watchdogEvery, func() { engine.Send(self, watchdogTick{}) })
	case actor.Stopped:
		w.timer.Stop()
	case watchdogTick:
		w.tick(c)
	case written:
		w.wrote(c, m)
	case watchdogDone:
		if m.err != nil {
			w.log.Warn().Err(m.err).Msg("watchdog url not reached")
		}
	default:
		w.log.Warn().Type("message", m).Msg("unexpected message")
	}
}

// tick asks the writer for an empty write: its answer is the sign of life.
func (w *Watchdog) tick(c *actor.Context) {
	w.timer.Reset(watchdogEvery)
	if w.token != 0 {
		w.log.Error().Msg("writer has not answered for a minute")
		return
	}
	w.token = w.hub.token()
	c.Send(w.hub.writer, &write{from: c.PID(), token: w.token})
}

func (w *Watchdog) wrote(c *actor.Context, m written) {
	if m.token != w.token {
		return
	}
	w.token = 0
	before := w.heard
	w.heard = w.hub.clock.Now()
	if m.err != nil || w.heard.At == before.At || w.pinger == nil {
		return
	}
	engine, self, pinger := c.Engine(), c.PID(), w.pinger
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), watchdogTimeout)
		defer cancel()
		engine.Send(self, watchdogDone{pinger.Ping(ctx)})
	}()
}
