package actors

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/anthdm/hollywood/actor"
	"github.com/rs/zerolog"

	"felhom.eu/messages"
)

const (
	goodbyePatience = 2 * time.Second // for the report in flight, before it is abandoned
	goodbyeTimeout  = 3 * time.Second // for the goodbye itself
)

// GoodbyeLimit is the longest time in which a Reporter answers SayGoodbye.
const GoodbyeLimit = goodbyePatience + goodbyeTimeout + time.Second

// Uplink is the way to the hub. Both methods block until the hub has answered
// or ctx ends, and may be repeated: the hub knows a repeat by its number. The
// error of a hub that refused is a Refusal; any other says nothing of the
// report's fate.
type Uplink interface {
	Report(ctx context.Context, r *messages.Report) (messages.Envelope, error)
	Goodbye(ctx context.Context, g messages.Goodbye) (messages.Envelope, error)
}

// Refusal is an error that carries the hub's answer: its code, and how long it
// asked to be left alone (0: it did not say).
type Refusal interface {
	error
	Refused() (code messages.Code, retryAfter time.Duration)
}

// ReporterConfig is what a Reporter is born with.
type ReporterConfig struct {
	HostID  messages.HostID
	Timeout time.Duration // an attempt's deadline
	Uplink  Uplink
	Fatal   func(error) // as CollectorConfig's
	Log     zerolog.Logger
}

// Reporter delivers reports, the newest first, and keeps those that the hub did
// not take in a bounded backlog. It tells whoever sent a report what the hub
// wished for in its answer.
type Reporter struct {
	hostID    messages.HostID
	uplink    Uplink
	timeout   time.Duration
	state     reporterState // the rules; see reporter_state.go
	collector *actor.PID    // sender of the newest report
	stream    string        // of the newest report
	blocked   bool          // the hub's last word on the customer
	retry     *time.Timer
	cancel    context.CancelFunc // ends the attempt under way
	leaving   *leaving           // set once: no report goes out any more
	log       zerolog.Logger
}

// leaving is a goodbye on its way, and who waits for it.
type leaving struct {
	goodbye messages.Goodbye
	asker   *actor.PID
	sent    bool
	timer   *time.Timer
}

// SayGoodbye asks a Reporter to wind up: the report in flight is finished or
// abandoned, the hub is told, and the asker gets a GoodbyeSaid within
// GoodbyeLimit. Reports that come later are not sent. Ask once.
type SayGoodbye struct {
	Reason string
	BackBy *time.Time // nil: no time is promised, and no alarm held
}

// GoodbyeSaid answers SayGoodbye. Err is nil when the hub recorded the goodbye.
type GoodbyeSaid struct{ Err error }

// What a reporter is told, and tells itself.
type (
	deliverReport struct{ report *messages.Report }
	retryDelivery struct{}
	deliveryEnded struct {
		envelope messages.Envelope
		err      error
	}
	abandonDelivery struct{}
	goodbyeEnded    struct{ err error }
)

// SpawnReporter starts a Reporter.
func SpawnReporter(e *actor.Engine, cfg ReporterConfig) *actor.PID {
	w := &watch{log: cfg.Log, fatal: cfg.Fatal}
	return spawn(e, w, newReporter(cfg), "agent", "reporter")
}

func newReporter(cfg ReporterConfig) *Reporter {
	return &Reporter{hostID: cfg.HostID, uplink: cfg.Uplink, timeout: cfg.Timeout,
		cancel: func() {}, log: cfg.Log}
}

// Receive implements actor.Receiver.
func (x *Reporter) Receive(c *actor.Context) {
	switch m := c.Message().(type) {
	case actor.Initialized, actor.Started:
	case actor.Stopped:
		x.stop()
	case deliverReport:
		x.keep(c, m.report)
	case retryDelivery:
		x.attempt(c)
	case deliveryEnded:
		x.ended(c, m)
	case SayGoodbye:
		x.leave(c, m)
	case abandonDelivery:
		x.abandon()
	case goodbyeEnded:
		c.Send(x.leaving.asker, GoodbyeSaid{m.err})
	default:
		x.log.Warn().Type("message", m).Msg("unexpected message")
	}
}

func (x *Reporter) keep(c *actor.Context, r *messages.Report) {
	x.collector, x.stream = c.Sender(), r.Stream
	if x.state.add(r) {
		x.log.Warn().Uint64("dropped_total", x.state.dropped).Msg("backlog is full; oldest report dropped")
	}
	x.attempt(c)
}

// attempt sends the next report, if one is due.
func (x *Reporter) attempt(c *actor.Context) {
	if x.leaving != nil {
		return
	}
	r, ok := x.state.take(time.Now())
	if !ok {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), x.timeout)
	x.cancel = cancel
	engine, self, uplink := c.Engine(), c.PID(), x.uplink
	go func() {
		envelope, err := guardedAnswer(func() (messages.Envelope, error) { return uplink.Report(ctx, r) })
		engine.Send(self, deliveryEnded{envelope, err})
	}()
}

// guardedAnswer turns a panic of the uplink into an error.
func guardedAnswer(call func() (messages.Envelope, error)) (e messages.Envelope, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("uplink panicked: %v", v)
		}
	}()
	return call()
}

func (x *Reporter) ended(c *actor.Context, m deliveryEnded) {
	x.cancel()
	if m.err == nil {
		x.succeeded(c, m.envelope)
	} else {
		x.failed(c, m.err)
	}
	if x.leaving != nil {
		x.sendGoodbye(c)
	}
}

func (x *Reporter) succeeded(c *actor.Context, e messages.Envelope) {
	x.log.Debug().Uint64("sequence", x.state.inFlight.Sequence).Int("backlog", len(x.state.backlog)).Msg("report delivered")
	if x.state.failures > 0 {
		x.log.Info().Int("attempts_failed", x.state.failures).Int("backlog", len(x.state.backlog)).Msg("hub is back")
	}
	if e.Blocked != x.blocked {
		x.blocked = e.Blocked
		x.log.Warn().Bool("blocked", e.Blocked).Msg("hub changed the customer's status")
	}
	x.state.delivered()
	c.Send(x.collector, hubAnswered{e})
	x.attempt(c)
}

func (x *Reporter) failed(c *actor.Context, err error) {
	sequence := x.state.inFlight.Sequence
	code, retryAfter := refusal(err)
	discard := neverAccepted(code)
	wait := x.state.failed(time.Now(), discard, retryAfter, rand.Float64())
	x.log.WithLevel(failureLevel(code)).Err(err).Uint64("sequence", sequence).Bool("discarded", discard).
		Int("backlog", len(x.state.backlog)).Dur("retry_in_ms", wait).Msg("report not delivered")
	engine, self := c.Engine(), c.PID()
	x.retry = time.AfterFunc(wait, func() { engine.Send(self, retryDelivery{}) })
}

// refusal is what the hub said, if it was the hub that said no.
func refusal(err error) (messages.Code, time.Duration) {
	if r, ok := errors.AsType[Refusal](err); ok {
		return r.Refused()
	}
	return "", 0
}

// neverAccepted reports whether the same bytes would be refused again, whatever
// the operator mends. A refused key or an unknown host can be mended.
func neverAccepted(c messages.Code) bool {
	return c == messages.CodeInvalidReport || c == messages.CodeBodyTooLarge
}

// failureLevel tells what heals by itself from what someone has to mend.
func failureLevel(c messages.Code) zerolog.Level {
	switch c {
	case "", messages.CodeUnavailable, messages.CodeTooMany, messages.CodeInternal:
		return zerolog.WarnLevel
	}
	return zerolog.ErrorLevel
}

func (x *Reporter) leave(c *actor.Context, m SayGoodbye) {
	if x.leaving != nil {
		return
	}
	x.leaving = &leaving{asker: c.Sender(), goodbye: messages.Goodbye{
		HostID: x.hostID, Reason: m.Reason, BackBy: m.BackBy, Stream: x.stream}}
	if x.state.inFlight == nil {
		x.sendGoodbye(c)
		return
	}
	engine, self := c.Engine(), c.PID()
	x.leaving.timer = time.AfterFunc(goodbyePatience, func() { engine.Send(self, abandonDelivery{}) })
}

// abandon ends the attempt under way. The goodbye that may be under way by now
// has a deadline of its own.
func (x *Reporter) abandon() {
	if !x.leaving.sent {
		x.cancel()
	}
}

func (x *Reporter) sendGoodbye(c *actor.Context) {
	x.leaving.sent = true
	ctx, cancel := context.WithTimeout(context.Background(), goodbyeTimeout)
	x.cancel = cancel
	goodbye := x.leaving.goodbye
	goodbye.SentAt = time.Now().UTC()
	engine, self, uplink := c.Engine(), c.PID(), x.uplink
	go func() {
		_, err := guardedAnswer(func() (messages.Envelope, error) { return uplink.Goodbye(ctx, goodbye) })
		engine.Send(self, goodbyeEnded{err})
	}()
}

func (x *Reporter) stop() {
	x.cancel()
	if x.retry != nil {
		x.retry.Stop()
	}
	if x.leaving != nil && x.leaving.timer != nil {
		x.leaving.timer.Stop()
	}
}
