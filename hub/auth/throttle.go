package auth

import (
	"net/netip"
	"sync"
	"time"

	"felhom.eu/messages"
)

const (
	freeByName    = 5 // failures in a row before a name has to wait
	freeByAddress = 20
	firstWait     = time.Second
	longestByName = time.Minute // short: a stranger must not lock a user out for long
	longestByAddr = 15 * time.Minute
	forgetAfter   = time.Hour // without a failure
	maxThrottled  = 4096      // names and addresses each; the one that failed longest ago gives way
)

// Throttle slows down who guesses passwords: the more failures of a name or an
// address in a row, the longer until the next try is looked at. The zero value is
// ready and safe for any number of goroutines.
type Throttle struct {
	mu        sync.Mutex
	names     map[messages.UserName]failures
	addresses map[netip.Prefix]failures
}

// failures are those in a row, and the last one's time.
type failures struct {
	count int
	last  time.Time
}

// wait is how long after now nothing is looked at: it doubles with each failure
// behind the free ones.
func (f failures) wait(free int, longest time.Duration, now time.Time) time.Duration {
	if f.count < free || now.Sub(f.last) >= forgetAfter {
		return 0
	}
	wait := longest
	if n := f.count - free; n < 20 {
		wait = min(firstWait<<n, longest)
	}
	return max(0, wait-now.Sub(f.last))
}

// Wait is how long who wants to sign in as name from an address has to wait.
func (t *Throttle) Wait(name messages.UserName, from netip.Addr, now time.Time) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	return max(t.names[name].wait(freeByName, longestByName, now), t.addresses[siteOf(from)].wait(freeByAddress, longestByAddr, now))
}

// Failed takes note of a wrong password or name. Before it is known whether a try
// succeeds it counts as failed, too: many at once are no way around.
func (t *Throttle) Failed(name messages.UserName, from netip.Addr, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	fail(&t.names, name, now)
	fail(&t.addresses, siteOf(from), now)
}

// Succeeded forgets the failures of a name. Those of the address stay, but for
// this one: who has an account may not use it to try others'.
func (t *Throttle) Succeeded(name messages.UserName, from netip.Addr) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.names, name)
	site := siteOf(from)
	if f, ok := t.addresses[site]; ok {
		f.count--
		t.addresses[site] = f
	}
}

func fail[K comparable](m *map[K]failures, k K, now time.Time) {
	f := (*m)[k]
	if now.Sub(f.last) >= forgetAfter {
		f.count = 0
	}
	if len(*m) >= maxThrottled && f.last.IsZero() {
		var oldest K
		var at time.Time
		for k, f := range *m {
			if at.IsZero() || f.last.Before(at) {
				oldest, at = k, f.last
			}
		}
		delete(*m, oldest)
	}
	set(m, k, failures{f.count + 1, now})
}

// siteOf is an IPv4 address, or the /64 that one IPv6 subscriber has.
func siteOf(a netip.Addr) netip.Prefix {
	bits := 64
	if a = a.Unmap(); a.Is4() {
		bits = 32
	}
	p, _ := a.Prefix(bits) // the zero Prefix of no address
	return p
}
