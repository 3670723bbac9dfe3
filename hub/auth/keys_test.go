package auth

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"felhom.eu/messages"
)

var now = time.Date(2026, 6, 8, 14, 20, 9, 0, time.UTC)

// keyOf is a valid API key that differs with n.
func keyOf(n uint64) []byte {
	h := sha256.Sum256(binary.BigEndian.AppendUint64(nil, n))
	return []byte(hex.EncodeToString(h[:]))
}

func hostKey(n uint64, id messages.HostID) messages.Key {
	return messages.Key{Hash: messages.HashKey(keyOf(n)), Kind: messages.KeyHost, HostID: id}
}

// A key opens what its record says and nothing else, for as long as it says.
func TestLookup(t *testing.T) {
	var k Keys
	k.SetGlobal(messages.HashKey(keyOf(1)))
	k.Put(hostKey(2, "acme-7f3a90c1"))
	k.Put(messages.Key{Hash: messages.HashKey(keyOf(3)), Kind: messages.KeyCustomer, CustomerID: "acme"})
	expiring := hostKey(4, "acme-00000004")
	expiring.ExpiresAt = now.Add(time.Hour)
	k.Put(expiring)
	revoked := hostKey(5, "acme-00000005")
	k.Put(revoked)
	revoked.RevokedAt = now
	k.Put(revoked)
	k.Put(messages.Key{Hash: messages.HashKey(keyOf(6)), Kind: 99, HostID: "acme-00000006"})

	upper := []byte(strings.ToUpper(string(keyOf(2))))
	for _, c := range []struct {
		name string
		key  []byte
		at   time.Time
		want Principal
		ok   bool
	}{
		{"global", keyOf(1), now, Principal{Kind: Global, Role: messages.RoleOperator}, true},
		{"host", keyOf(2), now, Principal{Kind: Host, HostID: "acme-7f3a90c1", CustomerID: "acme"}, true},
		{"customer", keyOf(3), now, Principal{Kind: Customer, CustomerID: "acme"}, true},
		{"before its end", keyOf(4), now.Add(time.Hour - 1), Principal{Kind: Host, HostID: "acme-00000004", CustomerID: "acme"}, true},
		{"at its end", keyOf(4), now.Add(time.Hour), Principal{}, false},
		{"revoked", keyOf(5), now, Principal{}, false},
		{"of no kind", keyOf(6), now, Principal{}, false},
		{"unknown", keyOf(7), now, Principal{}, false},
		{"upper case", upper, now, Principal{}, false},
		{"short", keyOf(2)[:63], now, Principal{}, false},
		{"empty", nil, now, Principal{}, false},
	} {
		got, ok := k.Lookup(c.key, c.at)
		if c.ok {
			c.want.Hash = messages.HashKey(c.key)
		}
		if ok != c.ok || got != c.want {
			t.Errorf("%s: got %+v %v, want %+v %v", c.name, got, ok, c.want, c.ok)
		}
	}
}

// A hub without a global key must not take the hash of nothing for one.
func TestNoGlobalKeyOpensNothing(t *testing.T) {
	var k Keys
	if p, ok := k.Lookup(keyOf(1), now); ok {
		t.Fatalf("got %+v from an empty index", p)
	}
}

// The first use of a rotated key is told once, however many requests carry it
// at the same instant, and the old key works until it is revoked.
func TestFirstUseIsToldOnce(t *testing.T) {
	var k Keys
	var told atomic.Int32
	old, fresh := hostKey(1, "acme-7f3a90c1"), hostKey(2, "acme-7f3a90c1")
	fresh.Replaces = old.Hash
	k.OnFirstUse(func(who Principal, h messages.KeyHash) {
		id := who.HostID
		if h != old.Hash || id != old.HostID {
			t.Errorf("told %v of %s, want the replaced key %v of %s", h, id, old.Hash, old.HostID)
		}
		told.Add(1)
	})
	k.Put(old)
	k.Put(fresh)
	k.Lookup(keyOf(1), now)
	if n := told.Load(); n != 0 {
		t.Fatalf("told %d times by a use of the old key", n)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 100 {
				k.Lookup(keyOf(2), now)
			}
		})
	}
	wg.Wait()
	if n := told.Load(); n != 1 {
		t.Errorf("told %d times, want 1", n)
	}
	if _, ok := k.Lookup(keyOf(1), now); !ok {
		t.Error("the old key died before it was revoked")
	}
}

// An expired successor says nothing: its use must not kill the key that works.
func TestExpiredKeyDoesNotCountAsUsed(t *testing.T) {
	var k Keys
	fresh := hostKey(2, "acme-7f3a90c1")
	fresh.Replaces, fresh.ExpiresAt = messages.HashKey(keyOf(1)), now
	k.OnFirstUse(func(Principal, messages.KeyHash) { t.Error("told of an expired key") })
	k.Put(fresh)
	k.Lookup(keyOf(2), now)
}

// A removed host's keys are gone, all of them, and nobody else's.
func TestRemoveHost(t *testing.T) {
	var k Keys
	for n := range uint64(100) {
		k.Put(hostKey(n, "acme-7f3a90c1"))
		k.Put(hostKey(1000+n, "acme-7f3a90c2"))
	}
	k.RemoveHost("acme-7f3a90c1")
	if n := k.Len(); n != 100 {
		t.Errorf("%d keys left, want 100", n)
	}
	for n := range uint64(100) {
		if _, ok := k.Lookup(keyOf(n), now); ok {
			t.Fatalf("key %d of the removed host still opens", n)
		}
	}
}

// The lookup runs twice a request, on the hot path.
func TestLookupAllocatesNothing(t *testing.T) {
	var k Keys
	k.SetGlobal(messages.HashKey(keyOf(1)))
	k.Put(hostKey(2, "acme-7f3a90c1"))
	key := keyOf(2)
	if n := testing.AllocsPerRun(100, func() { k.Lookup(key, now) }); n != 0 {
		t.Errorf("%v allocations a lookup, want 0", n)
	}
}

// The index must fit a million hosts beside their actors: 50 bytes a key, some slack.
func TestIndexIsSmall(t *testing.T) {
	if testing.Short() {
		t.Skip("measures memory")
	}
	const n = 200_000
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	k := new(Keys)
	for i := range uint64(n) {
		k.Put(hostKey(i, "acme-7f3a90c1"))
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	per := float64(after.HeapAlloc-before.HeapAlloc) / n
	t.Logf("%.1f bytes a key", per)
	if per > 75 {
		t.Errorf("%.1f bytes a key, want at most 75", per)
	}
	runtime.KeepAlive(k)
}

func BenchmarkLookup(b *testing.B) {
	var k Keys
	k.SetGlobal(messages.HashKey(keyOf(1 << 40)))
	keys := make([][]byte, 4096)
	for i := range keys {
		keys[i] = keyOf(uint64(i))
		k.Put(hostKey(uint64(i), "acme-7f3a90c1"))
	}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			k.Lookup(keys[i%len(keys)], now)
		}
	})
}
