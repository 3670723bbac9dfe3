package actors

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/anthdm/hollywood/actor"
	"github.com/rs/zerolog"

	"felhom.eu/messages"
)

// The errors of orders to the registry and of the door.
var (
	ErrNotFound    = errors.New("not found")
	ErrExists      = errors.New("exists already")
	ErrInUse       = errors.New("still in use")
	ErrUnknownHost = errors.New("unknown host")
	// ErrNoRoute is answered to a drill that nobody would hear of.
	ErrNoRoute = errors.New("no route would hear of it")
	// ErrUnavailable is answered when something cannot be made durable now, or
	// too much is in flight: nothing was done, or it is not known to be.
	ErrUnavailable = errors.New("unavailable")
	// ErrDamaged is a Memory's, for what is there and cannot be read any more.
	ErrDamaged = errors.New("damaged")
)

// hostEntry is what every goroutine may know of a host without asking its actor.
type hostEntry struct {
	pid        actor.PID
	customer   *customerEntry
	interval   atomic.Int32 // own poll interval in seconds; 0 is the hub's
	generation atomic.Uint64
}

type customerEntry struct {
	blocked   atomic.Bool
	gone      atomic.Bool  // removed; its controllers and deadlines go, too
	reporting atomic.Int32 // hosts that ever did
	hosts     atomic.Int32 // stored ones
}

// order is a change that an operator asks of the registry. decide says what to
// write, and what to do once that is durable; or why not.
type order interface {
	decide(r *Registry) (more *messages.Batch, apply func(c *actor.Context), err error)
}

// placed is an order with who waits for it; reply has room for one.
type placed struct {
	order
	audit []messages.AuditRecord // written with what the order changes
	reply chan<- error
}

// hostGone says that a removed host's actor has stopped: nothing of it can
// reach the writer any more.
type hostGone struct{ placed placed }

// Registry knows which customers and hosts there are, and gives every host its
// actor. It takes one order at a time: each is decided on what is durable.
type Registry struct {
	hub       *Hub
	customers map[messages.CustomerID]*customerEntry
	routes    []messages.Route
	starting  bool    // not every stored host is up: orders wait
	current   *placed // in flight
	apply     func(*actor.Context)
	token     uint64
	queue     []placed
	log       zerolog.Logger

	// Of the population, which runs beside the registry.
	fetching sync.RWMutex      // held for reading by who fetches a host
	complete bool              // every stored host is up
	names    []messages.HostID // sorted, as the key index holds them
	up       func()            // told of the end; may be nil
}

// Receive implements actor.Receiver.
func (r *Registry) Receive(c *actor.Context) {
	switch m := c.Message().(type) {
	case actor.Initialized, actor.Stopped:
	case actor.Started:
		r.starting = true
		go r.populate(c.Engine(), c.PID())
	case populated:
		r.starting = false
		r.next(c)
	case placed:
		r.queue = append(r.queue, m)
		r.next(c)
	case written:
		r.settle(c, m)
	case hostGone:
		r.write(c, m.placed)
	default:
		r.log.Warn().Type("message", m).Msg("unexpected message")
	}
}

func (r *Registry) next(c *actor.Context) {
	if r.starting || r.current != nil || len(r.queue) == 0 {
		return
	}
	p := r.queue[0]
	r.queue = r.queue[1:]
	r.current = &p
	if gone, ok := p.order.(RemoveHost); ok {
		r.dismiss(c, gone, p)
		return
	}
	r.write(c, p)
}

// dismiss stops a host's actor before its removal is written: its last write
// must be in the writer's queue before.
func (r *Registry) dismiss(c *actor.Context, m RemoveHost, p placed) {
	h := r.hub.directory.get(m.ID)
	if h == nil {
		r.done(c, ErrNotFound)
		return
	}
	r.hub.directory.remove(m.ID)
	engine, self, left := c.Engine(), c.PID(), make(chan struct{})
	engine.Send(h.PID(), dismissed{left})
	go func() {
		<-left
		engine.Send(self, hostGone{p})
	}()
}

func (r *Registry) write(c *actor.Context, p placed) {
	more, apply, err := p.decide(r)
	if err != nil || more == nil {
		r.done(c, err)
		return
	}
	more.Audit = append(more.Audit, p.audit...)
	r.apply, r.token = apply, r.hub.token()
	w := &write{from: c.PID(), token: r.token, more: more}
	w.order, _ = p.order.(bookOrder)
	if d, ok := p.order.(*Drill); ok {
		w.drill, w.events = d, []messages.Event{d.event(r.hub.clock.Now().Wall)}
	}
	c.Send(r.hub.writer, w)
}

func (r *Registry) settle(c *actor.Context, m written) {
	if r.current == nil || m.token != r.token {
		return
	}
	if m.err == nil {
		r.apply(c)
		r.done(c, nil)
		return
	}
	if o, ok := r.current.order.(RemoveHost); ok {
		r.restore(o.ID)
	}
	if errors.Is(m.err, ErrNotFound) {
		r.done(c, m.err)
		return
	}
	r.done(c, ErrUnavailable)
}

// restore brings back a host whose removal could not be written.
func (r *Registry) restore(id messages.HostID) {
	h, s, err := r.hub.store.Host(id)
	if err != nil {
		r.hub.watch.fatal(fmt.Errorf("read host %s: %w", id, err))
		return
	}
	r.hub.directory.raise(r.newHost(h, s))
}

func (r *Registry) done(c *actor.Context, err error) {
	r.current.reply <- err
	r.current, r.apply = nil, nil
	r.next(c)
}
