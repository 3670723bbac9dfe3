package app

import (
	"felhom.eu/hub/auth"
	"felhom.eu/messages"
	"felhom.eu/storage"
)

// loadKeys fills the index, without which nobody can be let in. It returns the
// ids of the hosts that have keys, sorted: a host's actor takes its text from
// there, so that the hub holds it once.
func loadKeys(db *storage.DB, keys *auth.Keys, hosts int) ([]messages.HostID, error) {
	keys.Grow(hosts)
	names := make([]messages.HostID, 0, hosts)
	err := db.EachKey(func(k messages.Key) error {
		if n := len(names); n > 0 && names[n-1] == k.HostID {
			k.HostID = names[n-1]
		} else if k.HostID != "" {
			names = append(names, k.HostID)
		}
		keys.Put(k)
		return nil
	})
	return names, err
}
