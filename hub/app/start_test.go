package app

import (
	"fmt"
	"runtime"
	"slices"
	"testing"
	"time"

	"felhom.eu/hub/auth"
	"felhom.eu/messages"
	"felhom.eu/storage"
)

// However many processors load them, every key opens and every host is named
// once, in order: a host that were missing would be told 401.
func TestKeysAreLoadedInParts(t *testing.T) {
	for _, parts := range []int{1, 2, 5} {
		for _, customers := range [][]messages.CustomerID{nil, {"acme"}, {"a", "a-b", "a-b-c", "b"}} {
			t.Run(fmt.Sprintf("%d parts, %d customers", parts, len(customers)), func(t *testing.T) {
				defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(parts))
				db, err := storage.Open(t.TempDir(), storage.Options{UnsafeNoSync: true})
				if err != nil {
					t.Fatal(err)
				}
				defer db.Close()
				b, want := keyBatch(customers)
				if err := db.WriteBodies(b); err != nil {
					t.Fatal(err)
				}
				if err := db.WriteState(b); err != nil {
					t.Fatal(err)
				}
				var keys auth.Keys
				names, err := loadKeys(db, &keys, len(want), b.PutCustomers)
				if err != nil || !slices.Equal(names, want) {
					t.Errorf("names %v, %v; want %v", names, err, want)
				}
				if n := keys.Len(); n != len(b.PutKeys) {
					t.Errorf("%d keys in the index, want %d", n, len(b.PutKeys))
				}
			})
		}
	}
}

// keyBatch is customers with nine hosts each, the last of which has two keys; and
// the ids of the hosts.
func keyBatch(customers []messages.CustomerID) (*messages.Batch, []messages.HostID) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	b := &messages.Batch{Sequence: 1, At: at}
	var ids []messages.HostID
	for _, c := range customers {
		b.PutCustomers = append(b.PutCustomers, messages.Customer{ID: c, CreatedAt: at})
		for i := range 9 {
			id := messages.HostID(fmt.Sprintf("%s-%08x", c, 1<<(3*i)))
			ids = append(ids, id)
			b.PutHosts = append(b.PutHosts, messages.Host{ID: id, CustomerID: c, CreatedAt: at})
			for k := range 1 + i/8 {
				b.PutKeys = append(b.PutKeys, messages.Key{Hash: messages.HashKey(fmt.Appendf(nil, "%s %d", id, k)), Kind: messages.KeyHost, HostID: id, CustomerID: c, CreatedAt: at})
			}
		}
	}
	slices.Sort(ids)
	return b, ids
}
