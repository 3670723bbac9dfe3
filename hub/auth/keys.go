package auth

import (
	"crypto/subtle"
	"sync"
	"sync/atomic"
	"time"

	"felhom.eu/messages"
)

// Kind says what a key opens. The zero Kind opens nothing.
type Kind uint8

// The kinds of keys.
const (
	Global   Kind = iota + 1 // everything; lives in the configuration
	Host                     // report and goodbye of one host
	Customer                 // controllers' reports of one customer
	Session                  // no key but a browser's cookie
)

// Principal is who presented a valid key, or a session's cookie.
type Principal struct {
	Kind       Kind
	Role       messages.Role       // what it may do beside reporting; "" is nothing
	HostID     messages.HostID     // of a Host key
	CustomerID messages.CustomerID // of a Host or Customer key, and of a user who sees one customer only
	Hash       messages.KeyHash    // of the key or cookie that was presented
	User       messages.UserName   // of a Session; "" came by a link of the global key's
	CSRF       string              // of a Session: what its forms and scripts must send back
}

// shardCount spreads writers and the readers' lock words; a power of two.
const shardCount = 64

// prefix is what the index keeps of a hash. 128 bits of a SHA-256 over 256
// random bits leave nothing to find by trying, and halve the index.
type prefix [16]byte

func prefixOf(h messages.KeyHash) prefix { return prefix(h[:16]) }

// Keys is the index of every live API key by its hash. It is safe for any
// number of goroutines; the zero value holds no key, not even a global one.
// A host key costs about 50 bytes beside its HostID's text, which it shares
// with whoever passed it in.
type Keys struct {
	global   atomic.Pointer[messages.KeyHash]
	firstUse atomic.Pointer[func(Principal, messages.KeyHash)]
	shards   [shardCount]shard
}

// shard is a part of the index. What few keys have (an end, a predecessor) is
// kept apart, so that the many pay nothing for it.
type shard struct {
	mu        sync.RWMutex
	hosts     map[prefix]messages.HostID
	customers map[prefix]messages.CustomerID
	expires   map[prefix]time.Time
	replaces  map[prefix]messages.KeyHash // until the key's first use
	_         [24]byte                    // two shards share no cache line
}

func (k *Keys) shard(h messages.KeyHash) *shard { return &k.shards[h[31]%shardCount] }

// SetGlobal makes h the hash of the global key.
func (k *Keys) SetGlobal(h messages.KeyHash) { k.global.Store(&h) }

// OnFirstUse registers f, which is told who it is and the hash of a replaced key
// when its successor is first used, once per successor put. It runs on the goroutine of
// the request and must not block; the replaced key stays valid until the caller
// has put it again as revoked.
func (k *Keys) OnFirstUse(f func(who Principal, replaced messages.KeyHash)) {
	k.firstUse.Store(&f)
}

// Grow makes room for n host keys at once: an index that grows by itself holds
// up to twice what it needs.
func (k *Keys) Grow(n int) {
	for i := range k.shards {
		s := &k.shards[i]
		s.mu.Lock()
		if s.hosts == nil {
			s.hosts = make(map[prefix]messages.HostID, n/shardCount)
		}
		s.mu.Unlock()
	}
}

// Put makes the index say what the record says. A revoked key is dropped: it
// then authenticates as if it had never been.
func (k *Keys) Put(key messages.Key) {
	s, p := k.shard(key.Hash), prefixOf(key.Hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(p)
	if !key.RevokedAt.IsZero() {
		return
	}
	switch key.Kind {
	case messages.KeyHost:
		set(&s.hosts, p, key.HostID)
	case messages.KeyCustomer:
		set(&s.customers, p, key.CustomerID)
	default:
		return
	}
	if !key.ExpiresAt.IsZero() {
		set(&s.expires, p, key.ExpiresAt)
	}
	if key.Replaces != (messages.KeyHash{}) {
		set(&s.replaces, p, key.Replaces)
	}
}

// RemoveHost drops every key of a removed host. It walks the whole index, a
// shard at a time, and is meant for the operator's rare hand.
func (k *Keys) RemoveHost(id messages.HostID) {
	for i := range k.shards {
		k.shards[i].removeHost(id)
	}
}

// Len is the number of keys in the index, expired ones included, the global one not.
func (k *Keys) Len() int {
	n := 0
	for i := range k.shards {
		s := &k.shards[i]
		s.mu.RLock()
		n += len(s.hosts) + len(s.customers)
		s.mu.RUnlock()
	}
	return n
}

// Lookup tells who key belongs to, as it travels (64 lower-case hex digits); ok
// is false for a key that is malformed, unknown, revoked or expired at now. It
// allocates nothing and keeps nothing of key.
func (k *Keys) Lookup(key []byte, now time.Time) (p Principal, ok bool) {
	if !messages.ValidKey(key) {
		return Principal{}, false
	}
	h := messages.HashKey(key)
	if k.isGlobal(h) {
		return Principal{Kind: Global, Role: messages.RoleOperator, Hash: h}, true
	}
	s, px := k.shard(h), prefixOf(h)
	s.mu.RLock()
	p, ok = s.find(px, now)
	_, first := s.replaces[px]
	s.mu.RUnlock()
	if !ok {
		return Principal{}, false
	}
	p.Hash = h
	if first {
		k.used(s, px, p)
	}
	return p, true
}

func (k *Keys) isGlobal(h messages.KeyHash) bool {
	g := k.global.Load()
	return g != nil && subtle.ConstantTimeCompare(g[:], h[:]) == 1
}

// used reports the first use of a key that replaces another.
func (k *Keys) used(s *shard, p prefix, who Principal) {
	s.mu.Lock()
	replaced, ok := s.replaces[p]
	delete(s.replaces, p)
	s.mu.Unlock()
	if f := k.firstUse.Load(); ok && f != nil {
		(*f)(who, replaced)
	}
}

func (s *shard) find(p prefix, now time.Time) (Principal, bool) {
	if len(s.expires) > 0 {
		if at, ok := s.expires[p]; ok && !now.Before(at) {
			return Principal{}, false
		}
	}
	if id, ok := s.hosts[p]; ok {
		return Principal{Kind: Host, HostID: id, CustomerID: id.Customer()}, true
	}
	if id, ok := s.customers[p]; ok {
		return Principal{Kind: Customer, CustomerID: id}, true
	}
	return Principal{}, false
}

func (s *shard) drop(p prefix) {
	delete(s.hosts, p)
	delete(s.customers, p)
	delete(s.expires, p)
	delete(s.replaces, p)
}

func (s *shard) removeHost(id messages.HostID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for p, h := range s.hosts {
		if h == id {
			s.drop(p)
		}
	}
}
