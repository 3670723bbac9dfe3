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

// What the ledger is told. Listening time runs while all are well.
type (
	listenerChanged struct{ accepting bool }
	earsChanged     struct{ deaf bool } // no connection can be accepted, though the door is open
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
	deaf      bool
	writing   bool
	writtenAt messages.Listened
	token     uint64           // of the write under way; 0 when none
	asked     time.Duration    // when it was sent; monotonic
	hung      bool             // and for so long that nobody is answered in time
	untold    []messages.Event // gaps that are not durable yet,
	telling   int              // of which so many are in the write under way
	timer     *time.Timer
	log       zerolog.Logger
}

// Receive implements actor.Receiver.
func (l *Ledger) Receive(c *actor.Context) {
	switch m := c.Message().(type) {
	case actor.Initialized:
	case actor.Started:
		l.arm(c)
	case actor.Stopped:
		l.timer.Stop()
	case ledgerTicked:
		l.tick(c)
	case written:
		l.settle(c, m)
	case listenerChanged:
		l.accepting = m.accepting
		l.apply(c, "the listener was closed")
	case earsChanged:
		l.deaf = m.deaf
		l.apply(c, "no connection could be accepted")
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
	now := l.listen(c)
	l.hub.clock.set(l.state)
	switch {
	case l.token != 0:
		if !l.hung && now.Mono-l.asked > answerTimeout {
			l.hung = true
			l.apply(c, "the store did not answer")
		}
	case !l.writing || len(l.untold) > 0 || l.state.heard.Add(-ledgerEvery) >= l.writtenAt:
		l.write(c, now)
	}
	l.timer.Reset(ledgerTick)
}

// listen counts up to now.
func (l *Ledger) listen(c *actor.Context) Instant {
	now := l.hub.clock.read()
	if gap, deaf := l.state.advance(now); deaf {
		l.tell(c, gap)
	}
	return now
}

// write sends what is untold. With nothing it carries the ledger all the same, as
// every batch does, and finds out whether the store writes.
func (l *Ledger) write(c *actor.Context, now Instant) {
	l.writtenAt, l.asked, l.token, l.telling = l.state.heard, now.Mono, l.hub.token(), len(l.untold)
	c.Send(l.hub.writer, &write{from: c.PID(), token: l.token, events: l.untold})
}

func (l *Ledger) settle(c *actor.Context, m written) {
	if m.token != l.token {
		return
	}
	l.token = 0
	if m.err == nil {
		l.untold = l.untold[l.telling:]
	}
	if l.hung {
		l.hung = false
		l.apply(c, "")
	}
}

// apply opens or closes the count as listener and store stand now.
func (l *Ledger) apply(c *actor.Context, why string) {
	now := l.listen(c)
	if !l.accepting || l.deaf || !l.writing || l.hung {
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
	l.untold = append(l.untold, messages.Event{
		Type: messages.HubGap, At: to,
		Summary: "the hub was deaf for " + inWords(gap.Duration()) + ": " + gap.Cause,
		Detail:  messages.EventDetail{From: &from, To: &to, DurationSeconds: int64(gap.Duration().Seconds()), Reason: gap.Cause},
	})
	if l.token == 0 {
		l.write(c, l.state.last)
	}
}
