package app

import (
	"errors"
	"runtime/debug"
	"slices"
	"sync"

	"felhom.eu/actors"
	"felhom.eu/hub/auth"
	"felhom.eu/messages"
	"felhom.eu/storage"
)

// loadKeys fills the index, without which nobody can be let in: as many parts of
// the fleet at a time as there are processors. It returns the ids of the hosts
// that have keys, sorted: a host's actor takes its text from there, so that the
// hub holds it once.
func loadKeys(db *storage.DB, keys *auth.Keys, hosts int, customers []messages.Customer) ([]messages.HostID, error) {
	keys.Grow(hosts)
	borders := actors.Borders(len(customers), func(i int) messages.HostID { return messages.HostID(customers[i].ID) })
	parts := len(borders) - 1
	names, errs := make([][]messages.HostID, parts), make([]error, parts)
	var all sync.WaitGroup
	for i := range parts {
		all.Go(func() {
			names[i] = make([]messages.HostID, 0, hosts/parts)
			errs[i] = db.EachKey(borders[i], borders[i+1], func(k messages.Key) error {
				if n := len(names[i]); n > 0 && names[i][n-1] == k.HostID {
					k.HostID = names[i][n-1]
				} else if k.HostID != "" {
					names[i] = append(names[i], k.HostID)
				}
				keys.Put(k)
				return nil
			})
		})
	}
	all.Wait()
	return slices.Concat(names...), errors.Join(errs...)
}

// startPercent is how much garbage a start may make beside what it loads before
// it is collected: each collection looks at all that is loaded so far, and what
// is garbage of it goes back to the machine when the start is over.
const startPercent = 200

// load lets a start grow faster; the returned function ends that.
func load() (loaded func()) {
	usual := debug.SetGCPercent(startPercent)
	return func() {
		debug.SetGCPercent(usual)
		debug.FreeOSMemory()
	}
}
