package actors

import (
	"sync"
	"sync/atomic"

	"felhom.eu/messages"
)

// directory is where the door finds a host's actor. The registry alone writes it,
// and while the hub starts the population.
type directory struct {
	hub   *Hub
	mu    sync.RWMutex
	hosts map[messages.HostID]*Host
	// fetch raises a stored host that was not raised yet; nil when all are.
	fetch atomic.Pointer[func(messages.HostID)]
}

// host is a host's actor; nil when there is no such host. One that is stored and
// not up yet is brought up for it.
func (d *directory) host(id messages.HostID) *Host {
	fetch := d.fetch.Load() // before the look: one that found all raised is not too early
	h := d.get(id)
	if h == nil && fetch != nil {
		(*fetch)(id)
		h = d.get(id)
	}
	return h
}

// get is a host's actor; nil when it is not up.
func (d *directory) get(id messages.HostID) *Host {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.hosts[id]
}

// of are the actors of a customer's hosts.
func (d *directory) of(id messages.CustomerID) (hosts []*Host) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	for name, h := range d.hosts {
		if name.Customer() == id {
			hosts = append(hosts, h)
		}
	}
	return hosts
}

// count is how many actors are up.
func (d *directory) count() int {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return len(d.hosts)
}

// raise brings hosts' actors to life, unless they live.
func (d *directory) raise(hosts ...*Host) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, h := range hosts {
		if d.hosts[h.state.ID] != nil {
			continue
		}
		d.hosts[h.state.ID] = h
		d.hub.stats.phases[h.state.Phase].Add(1)
		if h.state.Phase != messages.PhaseNew {
			h.reports(true)
		}
		d.hub.engine.SpawnProc(h)
	}
}

func (d *directory) remove(id messages.HostID) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.hosts, id)
}
