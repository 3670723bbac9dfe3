package actors

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/anthdm/hollywood/actor"

	"felhom.eu/messages"
)

// A hub accepts reports before every host's actor is up: a million take seconds.
// They are raised in parts, each in the order in which it is stored, and the one
// that reports meanwhile at once, from the same rows. That a deadline passes while
// its host is not up yet does no harm: silence is a difference of two readings of
// listening time, so the actor finds it as long as it is, and tells what is due.
//
// Orders wait until all are up: what is stored changes by reports alone meanwhile.

// populated says that every stored host is up.
type populated struct{}

// errStopping ends a population with the hub.
var errStopping = errors.New("the hub stops")

// populate raises every stored host. It runs beside the registry, which changes
// nothing until it is told of the end.
func (r *Registry) populate(engine *actor.Engine, self *actor.PID) {
	began, borders := time.Now(), Borders(len(r.names), func(i int) messages.HostID { return r.names[i] })
	errs := make([]error, len(borders)-1)
	var all sync.WaitGroup
	for i := range errs {
		all.Go(func() { errs[i] = r.populatePart(borders[i], borders[i+1]) })
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		if !errors.Is(err, errStopping) {
			r.hub.watch.fatal(fmt.Errorf("read hosts: %w", err))
		}
		return
	}
	r.finish()
	r.log.Info().Int("hosts", r.hub.directory.count()).Dur("took_ms", time.Since(began)).Msg("every host's actor is up")
	engine.Send(self, populated{})
	if r.up != nil {
		r.up()
	}
}

// raisedTogether is how many hosts a part of the fleet raises at a time: parts that
// took turns for each host would wait for one another more than they work.
const raisedTogether = 256

// populatePart raises the hosts from one on up to, not including, another.
func (r *Registry) populatePart(from, until messages.HostID) error {
	d, hosts := r.hub.directory, make([]*Host, 0, raisedTogether)
	err := r.hub.store.EachHost(from, until, func(h messages.Host, s messages.HostState) error {
		if r.hub.stopping.Load() {
			return errStopping
		}
		host := r.newHost(h, s)
		host.entry.customer.hosts.Add(1)
		if hosts = append(hosts, host); len(hosts) == cap(hosts) {
			d.raise(hosts...)
			hosts = hosts[:0]
		}
		return nil
	})
	d.raise(hosts...)
	return err
}

// Borders divide a fleet into as many parts as there are processors, no more than n:
// each part goes from a border on up to, not including, the next. The first and the
// last are "", which is all that is before and behind. The i-th of n sorted ids that
// divide the fleet evenly is at(i).
func Borders(n int, at func(i int) messages.HostID) []messages.HostID {
	parts := max(1, min(runtime.GOMAXPROCS(0), n))
	borders := make([]messages.HostID, parts+1)
	for i := 1; i < parts; i++ {
		borders[i] = at(i * n / parts)
	}
	return borders
}

// finish ends the fetching; who is at it comes to an end before.
func (r *Registry) finish() {
	r.fetching.Lock()
	defer r.fetching.Unlock()
	r.names, r.complete = nil, true
	r.hub.directory.fetch.Store(nil)
}

// fetch raises one stored host, unless it is up or there is none.
func (r *Registry) fetch(id messages.HostID) {
	r.fetching.RLock()
	defer r.fetching.RUnlock()
	if r.complete {
		return
	}
	h, s, err := r.hub.store.Host(id)
	if err != nil {
		if !errors.Is(err, ErrNotFound) {
			r.log.Error().Err(err).Str("host", string(id)).Msg("host not read")
		}
		return
	}
	r.hub.directory.raise(r.newHost(h, s))
}

// newHost makes a host's actor; raise brings it to life.
func (r *Registry) newHost(h messages.Host, s messages.HostState) *Host {
	customer := r.customers[h.CustomerID]
	if customer == nil { // cannot be: a customer with hosts is not removed
		customer = &customerEntry{}
	}
	host := &Host{hub: r.hub, state: s}
	host.state.ID = h.ID
	if i, found := slices.BinarySearch(r.names, h.ID); found {
		host.state.ID = r.names[i] // the same text, which the key index holds
	}
	e := &host.entry
	e.pid.Address, e.pid.ID, e.customer = r.hub.engine.Address(), string(host.state.ID), customer
	e.interval.Store(int32(h.PollIntervalSeconds))
	e.generation.Store(h.DesiredGeneration)
	host.mail.newest.Store(busy) // until Start
	if h.Site != "" {
		r.hub.sites.put(host.state.ID, h.Site)
	}
	return host
}
