package actors

import (
	"context"
	"errors"
	"slices"
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

	// rollMargin is how long a day is over before it is rolled up: batches of its
	// last moment are on the disk by then.
	rollMargin = 10 * time.Minute
	// rollGrace is how many days longer a day is kept that cannot be rolled up.
	rollGrace = 3
	// rollDeadline bounds one round of rolling and dropping.
	rollDeadline = 12 * time.Hour
)

// History is what retention needs of storage. A day counts from 1970-01-01 UTC.
type History interface {
	Days() ([]uint32, error) // ascending
	DropDay(day uint32) error
	// Unrolled is the days before today that lack their roll-ups, ascending.
	Unrolled(today uint32) ([]uint32, error)
	// Roll sums a day up; again, it does no harm.
	Roll(ctx context.Context, day uint32) error
	// DropRollups removes the roll-ups that are older than theirs are kept.
	DropRollups(today uint32) (dropped int, err error)
}

type (
	retentionTick struct{}
	retentionDone struct{ round }
)

// round is what one round of rolling and dropping did.
type round struct {
	rolled, dropped int
	unrolled        []uint32 // days that were dropped all the same
	rollErr, err    error
}

// Retention rolls days of reports up when they are over, and drops whole days of
// reports' bodies that are older than days.
type Retention struct {
	hub      *Hub
	history  History
	days     int
	stopped  time.Time // when the last run of the hub ended; zero when there was none
	last     Instant   // of the last check
	distrust int       // checks left before the clock is believed again
	timer    *time.Timer
	cancel   context.CancelFunc // of the round that runs; nil before the first
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
		if r.cancel != nil {
			r.cancel()
		}
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
	engine, self, history, days := c.Engine(), c.PID(), r.history, r.days
	ctx, cancel := context.WithTimeout(context.Background(), rollDeadline)
	r.cancel = cancel
	go func() {
		defer cancel()
		engine.Send(self, retentionDone{tidy(ctx, history, now.Wall, days)})
	}()
}

func (r *Retention) done(m retentionDone) {
	if m.rollErr != nil {
		r.log.Error().Err(m.rollErr).Int("grace_days", rollGrace).Msg("history not rolled up; days that lack it are kept a little longer")
	}
	if len(m.unrolled) > 0 {
		r.log.Error().Uints32("days", m.unrolled).Msg("history pruned that was never rolled up; graphs have a gap there")
	}
	if m.err != nil {
		r.log.Error().Err(m.err).Msg("history not pruned")
	}
	if m.rolled+m.dropped > 0 {
		r.log.Info().Int("rolled_days", m.rolled).Int("dropped_days", m.dropped).Msg("history rolled up and pruned")
	}
	r.timer.Reset(retentionEvery)
}

func dayOf(t time.Time) int64 { return t.Unix() / 86400 }

// tidy rolls up what is over, and then drops what is old. Ended early, it drops
// nothing.
func tidy(ctx context.Context, h History, now time.Time, keep int) (r round) {
	today := uint32(max(dayOf(now.Add(-rollMargin)), 0))
	r.rolled, r.rollErr = rollBefore(ctx, h, today)
	if ctx.Err() != nil {
		return round{rolled: r.rolled, err: ctx.Err()}
	}
	days, err1 := h.Days()
	unrolled, err2 := h.Unrolled(today)
	if r.err = errors.Join(err1, err2); r.err != nil {
		return r
	}
	drop, lost := droppable(days, unrolled, dayOf(now)-int64(keep))
	for _, d := range drop {
		if r.err = h.DropDay(d); r.err != nil {
			return r
		}
		r.dropped++
	}
	r.unrolled = lost
	_, r.err = h.DropRollups(uint32(max(dayOf(now), 0)))
	return r
}

// rollBefore rolls up the days before today that lack it. One that fails is left
// for later, and does not keep the others.
func rollBefore(ctx context.Context, h History, today uint32) (rolled int, err error) {
	days, err := h.Unrolled(today)
	for _, d := range days {
		if ctx.Err() != nil {
			break
		}
		if e := h.Roll(ctx, d); e != nil {
			err = errors.Join(err, e)
			continue
		}
		rolled++
	}
	return rolled, err
}

// droppable is the days to drop: those before oldest, but one that was not rolled
// up waits for rollGrace days. Those that waited in vain are also lost.
func droppable(days, unrolled []uint32, oldest int64) (drop, lost []uint32) {
	for _, d := range days {
		waits := slices.Contains(unrolled, d)
		switch {
		case int64(d) >= oldest, waits && int64(d) >= oldest-rollGrace:
			continue
		case waits:
			lost = append(lost, d)
		}
		drop = append(drop, d)
	}
	return drop, lost
}
