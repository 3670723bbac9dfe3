package actors

import (
	"fmt"
	"time"

	"felhom.eu/messages"
)

// Controllers in the simulation: the switch of hosts without numbers, goodbyes and
// backlogs, looked at on a tick. The oracle watches them as it does hosts, behind
// these.

const fleetControllers = 6

// simController is a program that reports as often as it says, tries again when it is
// not answered, and knows only what it has to say now.
type simController struct {
	world    *world
	index    int // among the controllers
	interval time.Duration
	up       bool
	life     int
	cuts     int
	failures int
}

// watched is its place in the oracle.
func (c *simController) watched() int { return fleetHosts + c.index }

func newControllerModel(i int) messages.ControllerState {
	return messages.ControllerState{ControllerName: messages.ControllerName{CustomerID: "acme", ID: messages.ControllerID(fmt.Sprintf("c%d", i))}}
}

// addControllers gives a world its controllers. They draw their chance behind the
// hosts, whose story stays what it was.
func (w *world) addControllers() {
	w.controllers = make([]simController, fleetControllers)
	for i := range w.controllers {
		interval := [...]time.Duration{0, 0, 5 * time.Minute, time.Hour}[w.rand.IntN(4)]
		w.hub.controllers = append(w.hub.controllers, newControllerModel(i))
		w.controllers[i] = simController{world: w, index: i, interval: interval}
		w.oracle.hosts = append(w.oracle.hosts, watchedHost{interval: w.controllers[i].every()})
	}
}

// plan spreads a controller's life over the two days.
func (c *simController) plan() {
	w := c.world
	w.at(w.between(0, time.Hour), c.start)
	for at := w.between(time.Hour, 20*time.Hour); w.chance(0.7) && at < 46*time.Hour; {
		lasts := w.between(5*time.Minute, 6*time.Hour)
		if w.chance(0.5) {
			w.at(at, c.stop)
			w.at(at+lasts, c.start)
		} else {
			w.at(at, func() { c.cut(1) })
			w.at(at+lasts, func() { c.cut(-1) })
		}
		at += lasts + w.between(time.Hour, 12*time.Hour)
	}
}

func (c *simController) start() {
	if !c.up {
		c.up, c.life, c.failures = true, c.life+1, 0
		c.reach()
		c.tick()
	}
}

func (c *simController) stop() {
	c.up = false
	c.life++
	c.reach()
}

func (c *simController) cut(by int) {
	c.cuts += by
	c.reach()
}

func (c *simController) reach() { c.world.oracle.reach(c.watched(), c.up && c.cuts == 0) }

// after schedules within this life of the controller.
func (c *simController) after(d time.Duration, run func()) {
	life := c.life
	c.world.after(d, func() {
		if c.life == life {
			run()
		}
	})
}

// tick reports, and comes again after the interval, or sooner when nobody answered.
func (c *simController) tick() {
	w, every := c.world, c.every()
	if c.cuts == 0 && w.deliverController(c) {
		c.failures = 0
		c.after(time.Duration(float64(every)*(0.95+0.1*w.rand.Float64())), c.tick)
		return
	}
	wait := time.Duration(w.rand.Float64() * float64(retryCeiling(c.failures)))
	if c.cuts > 0 || w.hub.asleep {
		wait += w.between(0, 30*time.Second)
	}
	c.failures++
	c.after(min(wait, every), c.tick)
}

// every is its own interval, or the hub's.
func (c *simController) every() time.Duration {
	if c.interval == 0 {
		return fleetPoll
	}
	return c.interval
}

func (w *world) deliverController(c *simController) (acked bool) {
	wall := w.hub.read().Wall
	durable, acked := w.hub.controllerReport(c.index, messages.ControllerReport{
		ID: w.hub.controllers[c.index].ID, IntervalSeconds: uint32(c.interval.Seconds())})
	if durable {
		w.oracle.contact(c.watched(), wall, 0, false)
	}
	return acked
}

// asOfHost is an event of a controller as the oracle of hosts judges it.
func asOfHost(e messages.Event) messages.Event {
	switch e.Type {
	case messages.ControllerStale:
		e.Type = messages.HostStale
	case messages.ControllerDown:
		e.Type = messages.HostDown
	case messages.ControllerRecovered:
		e.Type = messages.HostRecovered
	}
	return e
}

// controllerReport is what a controller's attempt comes to, as report is a host's.
func (h *modelHub) controllerReport(i int, r messages.ControllerReport) (durable, acked bool) {
	if !h.listens() {
		return false, false
	}
	next, told := onController(h.controllers[i], &r, h.now())
	return h.commitController(i, next, told)
}

// controllersTick is Controllers.tick.
func (h *modelHub) controllersTick() {
	if len(h.controllers) == 0 {
		return
	}
	now := h.now()
	if h.mutant == controllersUngraced {
		now.Resumed = NeverResumed
	}
	for i := range h.controllers {
		s := &h.controllers[i]
		if (now.At - s.ContactHeard).Duration() < h.rules.Stale { // most of the time, and half the simulation's if it were not asked
			continue
		}
		next, told := expireController(*s, h.rules.scaled(int(s.IntervalSecs)), now, h.newIncident)
		if len(told) > 0 && h.running && h.ear.open {
			h.commitController(i, next, told)
		}
	}
}

func (h *modelHub) commitController(i int, next messages.ControllerState, events []messages.Event) (durable, acked bool) {
	b := messages.Batch{Events: events, Controllers: []messages.ControllerState{next}}
	return h.put(len(h.states)+i, b, func() { h.controllers[i] = next })
}

// compareControllers holds what the store has of them against what is durable.
func (s *simStore) compareControllers() {
	all, err := s.db.Controllers("acme", "", 0)
	s.must("read controllers", err)
	seen := map[messages.ControllerName]messages.ControllerState{}
	for _, c := range all {
		seen[c.ControllerName] = c
	}
	for i, c := range s.hub.controllers {
		if got, found := seen[c.ControllerName]; found || c.Phase != messages.PhaseNew {
			s.same("controller", got, c)
			s.hub.controllers[i] = got
		}
	}
}
