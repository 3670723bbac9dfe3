package actors

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/anthdm/hollywood/actor"
	"github.com/rs/zerolog"

	"felhom.eu/messages"
)

// Memory is what the hub's actors need of storage: the writer's side, the
// retention's, and what is read at a start or when something is rare enough.
type Memory interface {
	Store
	History
	HostState(id messages.HostID) (messages.HostState, error)
	Host(id messages.HostID) (messages.Host, messages.HostState, error)
	Controller(messages.ControllerName) (messages.ControllerState, error) // ErrNotFound
	// EachHost reads the stored hosts from one on ("" is all) up to, not including,
	// another ("" is no end).
	EachHost(from, until messages.HostID, fn func(messages.Host, messages.HostState) error) error
	// Standing is the zero value for a host that was never judged. ErrDamaged: then only
	// the problems are in it that its alarms tell of.
	Standing(id messages.HostID) (messages.Standing, error)
	// Body is a report's body as it was received.
	Body(at messages.ReportRef) ([]byte, error)
	// LastBodies are the bodies of a host's reports from the one at last back, newest
	// first, no more than n.
	LastBodies(id messages.HostID, last messages.ReportRef, n int) ([][]byte, error)
	// EventsByID returns the events in the order of their ids.
	EventsByID(ids []messages.EventID) ([]messages.Event, error)
}

// KeyIndex is where authentication looks keys up.
type KeyIndex interface {
	Put(messages.Key)
	Forget(messages.HostID)
}

// Past is where the last run of the hub left off, as storage remembers it. The
// zero value is a hub that never ran.
type Past struct {
	Ledger      messages.Ledger
	Batch       uint64
	Event       uint64
	Delivery    uint64
	Hosts       int       // about how many there are
	BatchAt     time.Time // hub's clock at the newest batch
	NewestID    string    // of an event: ids go on behind it; "" when there is none
	Customers   []messages.Customer
	Routes      []messages.Route
	Controllers []messages.ControllerState
	Deadlines   []messages.Deadline
	Rules       []messages.RuleSettings
	Months      []messages.MonthStart // in order
	Pending     []messages.Delivery   // by sequence
	Alarms      []messages.Alarm
	Silences    []messages.Silence
}

// Config is what a Hub is made of. Every field but Version, Pinger, Names and Up is required.
type Config struct {
	Rules         Rules
	Version       string // of the program; agents of an older minor version are told of
	GroupWait     time.Duration
	RetentionDays int
	MaxInside     int // reports under way at once; more are told to come again
	Read          func() Instant
	Memory        Memory
	Keys          KeyIndex
	Names         []messages.HostID // sorted: texts of ids that the actors are to share; or none
	Sender        Sender
	Pinger        Pinger
	Past          Past
	Log           zerolog.Logger
	Up            func() // called once, when every stored host has its actor; nil: nobody asks
	// Fatal is called, once or more, when the hub cannot go on: the program
	// shall end, and its next start read the truth from storage.
	Fatal func(error)
}

// Hub is the tree of actors, and what they share.
type Hub struct {
	Ingest *Ingest

	rules     Rules
	release   release
	engine    *actor.Engine
	clock     *Clock
	alarms    *alarms
	recall    *recollection
	stored    int // hosts at the start
	directory *directory
	book      *ruleBook
	sites     sites
	customers sync.Map // of messages.CustomerID and *customerEntry, as the registry has them
	store     Memory
	keys      KeyIndex
	sender    Sender
	stats     *Stats
	feed      feed
	watch     *watch
	log       zerolog.Logger
	stopping  atomic.Bool
	tokens    atomic.Uint64
	drills    sync.Map // of messages.DeliveryID and *Drill

	writer, ledger, registry, controllers, deadlines, ingest, alert, retention, watchdog *actor.PID
}

// NewHub starts the tree. Stored hosts get their actors behind it, or when they
// are asked for: see Starting. The door is closed until Open.
func NewHub(cfg Config) (*Hub, error) {
	engine, err := actor.NewEngine(actor.NewEngineConfig())
	if err != nil {
		return nil, fmt.Errorf("start engine: %w", err)
	}
	h := &Hub{
		rules: cfg.Rules, engine: engine, store: cfg.Memory, keys: cfg.Keys, sender: cfg.Sender,
		directory: &directory{hosts: make(map[messages.HostID]*Host, cfg.Past.Hosts)},
		book:      newRuleBook(cfg.Past.Rules),
		stats:     &Stats{},
		recall:    newRecollection(),
		watch:     &watch{log: cfg.Log, fatal: cfg.Fatal},
		log:       cfg.Log.With().Str("component", "hub").Logger(),
	}
	h.release, _ = releaseOf(cfg.Version)
	past := resume(cfg.Past.Ledger, cfg.Read())
	h.clock = newClock(cfg.Read, past)
	h.alarms = newAlarms(h.clock)
	h.directory.hub = h
	h.stored = cfg.Past.Hosts
	h.listenForLosses()
	h.spawn(cfg, past)
	return h, nil
}

// spawn starts the tree. Every actor has its address before the first one runs,
// for they write to each other from the start.
func (h *Hub) spawn(cfg Config, past listening) {
	for kind, pid := range map[string]**actor.PID{
		"writer": &h.writer, "ledger": &h.ledger, "registry": &h.registry, "controllers": &h.controllers, "deadlines": &h.deadlines, "ingest": &h.ingest,
		"alert": &h.alert, "retention": &h.retention, "watchdog": &h.watchdog,
	} {
		*pid = actor.NewPID(h.engine.Address(), kind+"/"+hubID)
	}
	h.stats.Customers.Store(int64(len(cfg.Past.Customers)))
	part := func(name string) zerolog.Logger { return cfg.Log.With().Str("component", name).Logger() }
	start := func(kind string, r actor.Receiver) { spawn(h.engine, h.watch, r, kind, hubID) }
	at := mark{cfg.Past.Batch, cfg.Past.Event, cfg.Past.Delivery}
	h.Ingest = newIngest(h, cfg.MaxInside, part("ingest"))
	start("writer", &Writer{
		hub: h, store: cfg.Memory, book: h.openBook(cfg), ids: newIDSource(cfg.Past.NewestID, cfg.Past.BatchAt),
		months:   cfg.Past.Months,
		assigned: at, durable: at, log: part("writer"),
	})
	start("ledger", &Ledger{hub: h, state: past, writing: true, writtenAt: past.heard, log: part("ledger")})
	start("alert", &Alert{hub: h, routes: cfg.Past.Routes, pending: cfg.Past.Pending, log: part("alert")})
	registry := &Registry{
		hub: h, customers: customerEntries(cfg.Past.Customers), routes: cfg.Past.Routes, names: cfg.Names, up: cfg.Up, log: part("registry"),
	}
	for id, known := range registry.customers {
		h.customers.Store(id, known)
	}
	fetch := registry.fetch
	h.directory.fetch.Store(&fetch)
	start("registry", registry)
	start("controllers", newControllers(h, cfg.Past.Controllers, part("controllers")))
	start("deadlines", newDeadlines(h, cfg.Past.Deadlines, part("deadlines")))
	start("ingest", h.Ingest)
	start("retention", &Retention{
		hub: h, history: cfg.Memory, days: cfg.RetentionDays, stopped: cfg.Past.Ledger.At, log: part("retention"),
	})
	start("watchdog", &Watchdog{hub: h, pinger: cfg.Pinger, log: part("watchdog")})
}

// hubID is the id of every actor of which there is one.
const hubID = "hub"

func customerEntries(cs []messages.Customer) map[messages.CustomerID]*customerEntry {
	m := make(map[messages.CustomerID]*customerEntry, len(cs))
	for _, c := range cs {
		e := &customerEntry{}
		e.blocked.Store(c.Blocked)
		m[c.ID] = e
	}
	return m
}

// Open says that agents are being listened to. Silence counts from then on.
func (h *Hub) Open() { h.engine.Send(h.ingest, DoorOpened{}) }

// Close says that they are not any more.
func (h *Hub) Close() { h.engine.Send(h.ingest, DoorClosed{}) }

// Deaf says that connections cannot be accepted for now, or that they can again.
// Silence does not count meanwhile; who is connected is heard all the same.
func (h *Hub) Deaf(deaf bool) { h.engine.Send(h.ledger, earsChanged{deaf}) }

// Starting counts the stored hosts whose actors are not up yet. Their reports are
// accepted all the same.
func (h *Hub) Starting() int {
	if h.directory.fetch.Load() == nil {
		return 0
	}
	return max(h.stored-h.directory.count(), 1)
}

// Now is the present moment on the hub's clocks.
func (h *Hub) Now() Moment { return h.clock.Now() }

// Listening reports whether reports are being accepted.
func (h *Hub) Listening() bool { return h.clock.open() }

// Stats are the hub's counters.
func (h *Hub) Stats() *Stats { return h.stats }

// Panics counts the panics of actors since the start.
func (h *Hub) Panics() uint64 { return h.watch.panics.Load() }

// Inside counts the reports under way.
func (h *Hub) Inside() int { return int(h.Ingest.inside.Load()) }

// Order gives an order to the registry and waits until it is durable or
// refused. The audit note of ctx, if it has one, is written with the change.
// Errors: those the order names, ErrUnavailable, ctx's own.
func (h *Hub) Order(ctx context.Context, o order) error {
	reply := make(chan error, 1)
	p := placed{order: o, reply: reply}
	note := messages.AuditOf(ctx)
	if note != nil && !note.Written {
		p.audit = []messages.AuditRecord{note.Record}
	}
	h.engine.Send(h.registry, p)
	select {
	case err := <-reply:
		if err == nil && len(p.audit) > 0 {
			note.Written = true
		}
		return err
	case <-ctx.Done():
		return errors.Join(ErrUnavailable, ctx.Err())
	}
}

// Stop ends the hub: the door closes, what was accepted is made durable, and
// nothing is decided any more. The listeners must be shut down before.
func (h *Hub) Stop(ctx context.Context) error {
	h.stopping.Store(true)
	h.alarms.stop()
	h.Close()
	sent, drained := make(chan struct{}), make(chan struct{})
	h.engine.Send(h.alert, lastCall{sent})
	if err := await(ctx, sent, "finish deliveries"); err != nil {
		return err
	}
	h.engine.Send(h.writer, &write{}) // the ledger's last word
	h.engine.Send(h.writer, drain{drained})
	if err := await(ctx, drained, "drain writer"); err != nil {
		return err
	}
	for _, pid := range []*actor.PID{h.deadlines, h.controllers, h.watchdog, h.retention, h.alert, h.ledger, h.writer} {
		if err := await(ctx, h.engine.Poison(pid).Done(), "stop "+pid.ID); err != nil {
			return err
		}
	}
	return nil
}

func await(ctx context.Context, done <-chan struct{}, what string) error {
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%s: %w", what, ctx.Err())
	}
}

// interval is how often a host is to report, in seconds.
func (h *Hub) interval(e *hostEntry) int {
	if own := int(e.interval.Load()); own != 0 {
		return own
	}
	return int(h.rules.PollInterval.Seconds())
}

func (h *Hub) token() uint64 { return h.tokens.Add(1) }

// listenForLosses counts messages that reached nobody. It lives as long as the
// process: a dead subscriber of hollywood's event stream spins for ever.
func (h *Hub) listenForLosses() {
	pid := h.engine.SpawnFunc(func(c *actor.Context) {
		if m, ok := c.Message().(actor.DeadLetterEvent); ok && !h.stopping.Load() {
			h.stats.DeadLetters.Add(1)
			h.log.Debug().Type("message", m.Message).Str("target", m.Target.GetID()).Msg("dead letter")
		}
	}, "losses", options(hubID)...)
	h.engine.Subscribe(pid)
}
