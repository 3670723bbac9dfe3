package actors

import "github.com/anthdm/hollywood/actor"

// A host as hollywood's engine knows it: found by its address, told by Send. It
// is raised by the directory and ends when it is dismissed; poison would be a
// message that it does not know.

var _ actor.Processer = (*Host)(nil)

// PID implements actor.Processer: the host's address, which is its id.
func (h *Host) PID() *actor.PID { return &h.entry.pid }

// Start implements actor.Processer. The engine knows the host already, so what
// comes meanwhile is in its mailbox, which is worked off from here on.
func (h *Host) Start() {
	h.arm()
	h.work()
}

// Send implements actor.Processer: it may be called on any goroutine, and waits
// for nothing.
func (h *Host) Send(_ *actor.PID, message any, _ *actor.PID) {
	if h.mail.put(message) {
		go h.work()
	}
}

// tell is Send for a caller that works an idle host's mailbox off itself: it saves
// the goroutine, and the way through the engine.
func (h *Host) tell(message any) {
	if h.mail.put(message) {
		h.work()
	}
}

// Invoke implements actor.Processer; the engine itself never calls it.
func (h *Host) Invoke(letters []actor.Envelope) {
	for _, l := range letters {
		h.tell(l.Msg)
	}
}

// Shutdown implements actor.Processer; the engine itself never calls it.
func (h *Host) Shutdown() { h.tell(dismissed{make(chan struct{})}) }

// work handles messages until there are none.
func (h *Host) work() {
	for l := h.mail.take(); l != nil; l = h.mail.take() {
		for ; l != nil; l = l.next {
			h.handle(l.message)
		}
	}
}

// handle is receive behind a guard: a panic is our bug, and costs the host no
// more than a look into the store.
func (h *Host) handle(m any) {
	defer func() {
		if v := recover(); v != nil {
			h.hub.watch.panicked("host/"+string(h.state.ID), m, v, func() { h.mend(m) })
		}
	}()
	if h.gone {
		refuse(m)
		return
	}
	h.receive(m)
}
