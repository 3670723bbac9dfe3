package actors

import (
	"time"

	"github.com/anthdm/hollywood/actor"
	"github.com/rs/zerolog"

	"felhom.eu/messages"
)

// ledgerEvery is how often the ledger is written when nothing else is: every
// batch carries it, so a busy hub needs no write of its own.
const ledgerEvery = 10 * time.Second

// What the ledger is told. Listening time runs while both are well.
type (
	listenerChanged struct{ accepting bool }
	storeChanged    struct {
		writing bool
		why     string
	}
	ledgerTicked struct{}
)

// Ledger counts the time for which the hub could accept reports, and publishes
// it through Clock. It says so, once, when the hub has been deaf.
type Ledger struct {
	hub       *Hub
	state     listening
	accepting bool
	writing   bool
	writtenAt messages.Listened
	timer     *time.Timer
	log       zerolog.Logger
}

// Receive implements actor.Receiver.
func (l *Ledger) Receive(c *actor.Context) {
	switch m := c.Message().(type) {
	case actor.Initialized, written:
	case actor.Started:
		l.arm(c)
	case actor.Stopped:
		l.timer.Stop()
	case ledgerTicked:
		l.tick(c)
	case listenerChanged:
		l.accepting = m.accepting
		l.apply(c, "the listener was closed")
	case storeChanged:
		l.writing = m.writing
		l.apply(c, m.why)
	default:
		l.log.Warn().Type("message", m).Msg("unexpected message")
	}
}

func (l *Ledger) arm(c *actor.Context) {
	engine, self := c.Engine(), c.PID()
	l.timer = time.AfterFunc(ledgerTick, func() { engine.Send(self, ledgerTicked{}) })
}

func (l *Ledger) tick(c *actor.Context) {
	gap, deaf := l.state.advance(l.hub.clock.read())
	l.hub.clock.set(l.state)
	if deaf {
		l.tell(c, gap)
	}
	if !l.writing || l.state.heard.Add(-ledgerEvery) >= l.writtenAt {
		l.writtenAt = l.state.heard
		c.Send(l.hub.writer, &write{}) // an empty write carries the ledger, and finds out whether the store writes again
	}
	l.timer.Reset(ledgerTick)
}

// apply opens or closes the count as listener and store stand now.
func (l *Ledger) apply(c *actor.Context, why string) {
	now := l.hub.clock.read()
	if !l.accepting || !l.writing {
		l.state.closeAt(now, why)
		l.hub.clock.set(l.state)
		return
	}
	gap, deaf := l.state.openAt(now)
	l.hub.clock.set(l.state)
	if deaf {
		l.tell(c, gap)
	}
}

// tell logs a gap, and makes an event of one in which a host could have fallen
// silent unheard.
func (l *Ledger) tell(c *actor.Context, gap Gap) {
	l.log.Warn().Str("cause", gap.Cause).Time("from", gap.From).Dur("gap_ms", gap.Duration()).Msg("hub was deaf")
	if gap.Duration() < l.hub.rules.Stale {
		return
	}
	from, to := gap.From.UTC(), gap.To.UTC()
	c.Send(l.hub.writer, &write{events: []messages.Event{{
		Type: messages.HubGap, At: to,
		Summary: "the hub was deaf for " + inWords(gap.Duration()) + ": " + gap.Cause,
		Detail:  messages.EventDetail{From: &from, To: &to, DurationSeconds: int64(gap.Duration().Seconds()), Reason: gap.Cause},
	}}})
}
