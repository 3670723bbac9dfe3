package actors

import (
	"time"

	"github.com/anthdm/hollywood/actor"
	"github.com/rs/zerolog"
)

const (
	retentionEvery = time.Hour
	// A wall clock that jumped by more than clockTrust is watched for
	// trustAfter checks before anything is dropped by it: a clock set ten years
	// ahead must not cost a month of history.
	clockTrust = 24 * time.Hour
	trustAfter = 24
)

// History is what retention needs of storage. A day counts from 1970-01-01 UTC.
type History interface {
	Days() ([]uint32, error) // ascending
	DropDay(day uint32) error
}

type (
	retentionTick struct{}
	retentionDone struct {
		dropped int
		err     error
	}
)

// Retention drops whole days of reports' bodies that are older than days.
type Retention struct {
	hub      *Hub
	history  History
	days     int
	stopped  time.Time // when the last run of the hub ended; zero when there was none
	last     Instant   // of the last check
	distrust int       // checks left before the clock is believed again
	timer    *time.Timer
	log      zerolog.Logger
}

// Receive implements actor.Receiver.
func (r *Retention) Receive(c *actor.Context) {
	switch m := c.Message().(type) {
	case actor.Initialized:
	case actor.Started:
		r.begin()
		engine, self := c.Engine(), c.PID()
		r.timer = time.AfterFunc(time.Minute, func() { engine.Send(self, retentionTick{}) })
	case actor.Stopped:
		r.timer.Stop()
	case retentionTick:
		r.check(c)
	case retentionDone:
		r.done(m)
	default:
		r.log.Warn().Type("message", m).Msg("unexpected message")
	}
}

// begin reads the clock for the first time. How long the hub was off it cannot
// tell from a jump; so after a long time off it waits, too.
func (r *Retention) begin() {
	r.last = r.hub.clock.read()
	if !r.stopped.IsZero() {
		r.doubt(r.last.Wall.Sub(r.stopped))
	}
}

// doubt stops believing a clock that has moved too far by itself.
func (r *Retention) doubt(jump time.Duration) {
	if jump.Abs() > clockTrust {
		r.distrust = trustAfter
		r.log.Warn().Dur("jump_ms", jump).Msg("clock jumped; retention waits")
	}
}

func (r *Retention) check(c *actor.Context) {
	now := r.hub.clock.read()
	r.doubt(now.Wall.Sub(r.last.Wall) - (now.Boot - r.last.Boot))
	r.last = now
	if r.distrust > 0 {
		r.distrust--
		r.timer.Reset(retentionEvery)
		return
	}
	engine, self, history := c.Engine(), c.PID(), r.history
	oldest := int64(now.Wall.Unix()/86400) - int64(r.days)
	go func() {
		n, err := dropBefore(history, oldest)
		engine.Send(self, retentionDone{n, err})
	}()
}

func (r *Retention) done(m retentionDone) {
	switch {
	case m.err != nil:
		r.log.Error().Err(m.err).Msg("history not pruned")
	case m.dropped > 0:
		r.log.Info().Int("days", m.dropped).Msg("history pruned")
	}
	r.timer.Reset(retentionEvery)
}

func dropBefore(h History, oldest int64) (dropped int, err error) {
	days, err := h.Days()
	if err != nil {
		return 0, err
	}
	for _, d := range days {
		if int64(d) >= oldest {
			break
		}
		if err := h.DropDay(d); err != nil {
			return dropped, err
		}
		dropped++
	}
	return dropped, nil
}
