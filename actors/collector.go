package actors

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/anthdm/hollywood/actor"
	"github.com/oklog/ulid/v2"
	"github.com/rs/zerolog"

	"felhom.eu/messages"
)

// Source is what a report is read from: a Proxmox node, a plain Linux machine,
// or an invention. Collect may block until ctx ends and is never called twice
// at once. An error means that the host itself could not be read; what else
// could not be is said in the report's Sections. The caller owns the report
// and fills in HostID, AgentVersion, Stream and Sequence; ReportedAt, BootID and
// LastEnd only when the source left them empty.
type Source interface {
	Collect(ctx context.Context) (*messages.Report, error)
}

// CollectorConfig is what a Collector is born with.
type CollectorConfig struct {
	HostID       messages.HostID
	AgentVersion string
	BootID       string            // of the running kernel; empty when unknown
	LastEnd      *messages.LastEnd // how things ended before; nil: not known
	Stream       string            // made when empty: a ULID, new at every start
	Interval     time.Duration     // between reports, until the hub says otherwise
	Timeout      time.Duration     // a collection's deadline
	Source       Source
	Reporter     *actor.PID // gets every report
	// Fatal is called, and must not block, when the collector has panicked and
	// can no longer be trusted: the program is to end, and be started again.
	Fatal func(error)
	Log   zerolog.Logger
}

// Collector asks its Source for a report at once and then on every tick, never
// twice at once, and hands each report to the Reporter. A collection that fails
// is logged, sends nothing, and the next tick comes all the same.
type Collector struct {
	source   Source
	timeout  time.Duration
	reporter *actor.PID
	state    collectorState // the rules; see collector_state.go
	next     *time.Timer
	cancel   context.CancelFunc // ends the collection under way
	log      zerolog.Logger
}

// What a collector is told.
type (
	collectTick     struct{}
	reportCollected struct {
		report *messages.Report
		err    error
		took   time.Duration
	}
	// hubAnswered is the hub's wish, passed on by the reporter.
	hubAnswered struct{ envelope messages.Envelope }
)

// SpawnCollector starts a Collector; its first collection begins at once.
func SpawnCollector(e *actor.Engine, cfg CollectorConfig) *actor.PID {
	w := &watch{log: cfg.Log, fatal: cfg.Fatal}
	return spawn(e, w, newCollector(cfg), "agent", "collector")
}

func newCollector(cfg CollectorConfig) *Collector {
	if cfg.Stream == "" {
		cfg.Stream = ulid.Make().String()
	}
	return &Collector{
		source:   cfg.Source,
		timeout:  cfg.Timeout,
		reporter: cfg.Reporter,
		state: collectorState{
			interval: cfg.Interval,
			stamp: reportStamp{hostID: cfg.HostID, version: cfg.AgentVersion,
				stream: cfg.Stream, bootID: cfg.BootID, lastEnd: cfg.LastEnd},
		},
		cancel: func() {},
		log:    cfg.Log,
	}
}

// Receive implements actor.Receiver.
func (x *Collector) Receive(c *actor.Context) {
	switch m := c.Message().(type) {
	case actor.Initialized:
	case actor.Started:
		c.Send(c.PID(), collectTick{})
	case actor.Stopped:
		x.stop()
	case collectTick:
		x.tick(c)
	case reportCollected:
		x.collected(c, m)
	case hubAnswered:
		x.adopt(c, m.envelope.PollIntervalSeconds)
	default:
		x.log.Warn().Type("message", m).Msg("unexpected message")
	}
}

// tick arms the next one first, so that nothing below can end the row.
func (x *Collector) tick(c *actor.Context) {
	start := x.state.tick(time.Now())
	x.arm(c)
	if !start {
		x.log.Warn().Msg("collection before is still under way")
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), x.timeout)
	x.cancel = cancel
	engine, self, source := c.Engine(), c.PID(), x.source
	go func() {
		began := time.Now()
		report, err := collectSafely(ctx, source)
		engine.Send(self, reportCollected{report, err, time.Since(began)})
	}()
}

// collectSafely turns a source's panic into an error: a bug in reading one
// machine must not end the agent.
func collectSafely(ctx context.Context, s Source) (r *messages.Report, err error) {
	defer func() {
		if v := recover(); v != nil {
			r, err = nil, fmt.Errorf("source panicked: %v", v)
		}
	}()
	return s.Collect(ctx)
}

func (x *Collector) collected(c *actor.Context, m reportCollected) {
	x.state.busy = false
	x.cancel()
	if m.err != nil {
		x.log.Error().Err(m.err).Dur("took_ms", m.took).Msg("collection failed; no report this time")
		return
	}
	x.state.stamp.put(m.report, time.Now())
	x.log.Debug().Uint64("sequence", m.report.Sequence).Dur("took_ms", m.took).Msg("collected")
	c.Send(x.reporter, deliverReport{m.report})
}

func (x *Collector) adopt(c *actor.Context, seconds int) {
	if !x.state.adopt(seconds) {
		return
	}
	x.log.Info().Dur("interval_ms", x.state.interval).Msg("hub changed the interval")
	x.arm(c)
}

// arm sets the timer of the next tick, counted from the last one.
func (x *Collector) arm(c *actor.Context) {
	if x.next != nil {
		x.next.Stop()
	}
	engine, self := c.Engine(), c.PID()
	wait := x.state.wait(time.Now(), rand.Float64())
	x.next = time.AfterFunc(wait, func() { engine.Send(self, collectTick{}) })
}

func (x *Collector) stop() {
	x.cancel()
	if x.next != nil {
		x.next.Stop()
	}
}
