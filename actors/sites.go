package actors

import (
	"sync"

	"felhom.eu/messages"
)

// sites knows where hosts are, as far as somebody said, and how many report from each
// place. Any goroutine may ask.
type sites struct {
	mu        sync.RWMutex
	ofHost    map[messages.HostID]string
	reporting map[string]int
}

func (s *sites) of(id messages.HostID) string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.ofHost[id]
}

func (s *sites) count(site string) int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.reporting[site]
}

// put says where a host is that is not counted; "" is not known.
func (s *sites) put(id messages.HostID, site string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.set(id, site)
}

// move says that a host is elsewhere now; reporting: it is counted.
func (s *sites) move(id messages.HostID, site string, reporting bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if was := s.ofHost[id]; reporting && was != "" {
		s.reporting[was]--
	}
	if s.set(id, site); reporting && site != "" {
		s.reporting[site]++
	}
}

func (s *sites) set(id messages.HostID, site string) {
	if s.ofHost == nil {
		s.ofHost, s.reporting = make(map[messages.HostID]string), make(map[string]int)
	}
	if site == "" {
		delete(s.ofHost, id)
	} else {
		s.ofHost[id] = site
	}
}

// add counts a host that reports, or does no more.
func (s *sites) add(id messages.HostID, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if site := s.ofHost[id]; site != "" {
		s.reporting[site] += n
	}
}
