package actors

import (
	"sync"
	"time"

	"felhom.eu/actors/rules"
	"felhom.eu/messages"
)

// When a host goes down, its event says what its last reports said anew: that is
// where one begins to look. The alarm never waits for it long, nor is lost by it: what
// cannot be read soon is not told, and a fleet that falls silent in one moment is
// told without it.

const (
	recalledReports = 3                // that are compared, the newest with the oldest
	recallPatience  = 2 * time.Second  // for which the alarm waits
	recallReaders   = 2                // at once
	recallWindow    = 60 * time.Second // in which so many hosts are looked at:
	recallBudget    = 64
)

// recalled is a write that waited for what was read of its host, or long enough.
type recalled struct {
	write   *hostWrite
	changes []messages.Change
}

// recollection bounds what is read for hosts that go down.
type recollection struct {
	readers chan struct{}

	mu    sync.Mutex
	since messages.Listened
	spent int
	open  int // asked for, and not read yet
}

func newRecollection() *recollection {
	return &recollection{readers: make(chan struct{}, recallReaders)}
}

// allows takes a host's part of the budget, if there is any left.
func (r *recollection) allows(now messages.Listened) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.spent == 0 || (now-r.since).Duration() >= recallWindow {
		r.since, r.spent = now, 0
	}
	if r.spent >= recallBudget || r.open >= recallBudget {
		return false
	}
	r.spent++
	r.open++
	return true
}

func (r *recollection) ended() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.open--
}

// recall asks for what changed before the host went down, for a write that is held;
// false when nobody may be asked.
func (h *Host) recall(w *hostWrite) bool {
	last := h.state.Last
	if last.IsZero() || !h.hub.recall.allows(h.hub.clock.Now().At) {
		return false
	}
	hub, id, pid := h.hub, h.state.ID, &h.entry.pid
	late := time.AfterFunc(recallPatience, func() { hub.engine.Send(pid, &recalled{write: w}) })
	go func() {
		changes := hub.changesBefore(id, last)
		if late.Stop() { // else it was told already
			hub.engine.Send(pid, &recalled{w, changes})
		}
	}()
	return true
}

// recalled goes on with a host_down, which was decided before whatever else befell the
// host meanwhile: after a panic too the store is asked when it is settled.
func (h *Host) recalled(m *recalled) {
	w := m.write
	if h.writing != w {
		return
	}
	if len(m.changes) > 0 {
		w.events[len(w.events)-1].Detail.Changes = m.changes
	}
	h.send(w)
}

// changesBefore compares the last reports of a host. It is not worth a host's alarm:
// whatever goes wrong, there are none.
func (h *Hub) changesBefore(id messages.HostID, last messages.ReportRef) (changes []messages.Change) {
	h.recall.readers <- struct{}{}
	defer func() {
		<-h.recall.readers
		h.recall.ended()
		if v := recover(); v != nil {
			h.watch.panicked("host/"+string(id), last, v, func() { changes = nil })
		}
	}()
	bodies, err := h.store.LastBodies(id, last, recalledReports)
	if err != nil {
		h.log.Warn().Err(err).Str("host", string(id)).Msg("last reports not read")
		return nil
	}
	if len(bodies) < 2 {
		return nil
	}
	newer, err := messages.Decode(bodies[0])
	if err != nil {
		return nil
	}
	older, err := messages.Decode(bodies[len(bodies)-1])
	if err != nil {
		return nil
	}
	return rules.Changes(&older, &newer)
}
