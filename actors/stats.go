package actors

import (
	"sync/atomic"

	"felhom.eu/messages"
)

// Stats are the hub's counters since its start. Any goroutine may read them.
type Stats struct {
	Reports, Repeats, Refused atomic.Uint64
	Events, Batches           atomic.Uint64
	DeadLetters               atomic.Uint64
	Damaged                   atomic.Uint64 // rows that were found damaged, and begun anew
	Customers                 atomic.Int64  // there are
	Pending, Dead             atomic.Int64  // deliveries: waiting now, given up since the start
	CommitNanos               atomic.Int64  // of the last state commit

	phases, controllers [4]atomic.Int64
}

// Controllers counts controllers by messages.Phase, as of a second ago at most.
func (s *Stats) Controllers() (n [4]int) {
	for i := range n {
		n[i] = int(s.controllers[i].Load())
	}
	return n
}

// Hosts counts hosts by messages.Phase.
func (s *Stats) Hosts() (n [4]int) {
	for i := range n {
		n[i] = int(s.phases[i].Load())
	}
	return n
}

// moved counts a host in its new phase, and with its customer and site when it
// reports for the first time.
func (h *Host) moved(from, to messages.Phase) {
	h.hub.stats.moved(from, to)
	if from != to && (from == messages.PhaseNew || to == messages.PhaseNew) {
		h.reports(to != messages.PhaseNew)
	}
}

// reports counts a host among those that ever reported, or no more.
func (h *Host) reports(does bool) {
	n := 1
	if !does {
		n = -1
	}
	h.entry.customer.reporting.Add(int32(n))
	h.hub.sites.add(h.state.ID, n)
}

func (s *Stats) moved(from, to messages.Phase) {
	if from != to {
		s.phases[from].Add(-1)
		s.phases[to].Add(1)
	}
}
