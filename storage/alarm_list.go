package storage

import (
	"github.com/dgraph-io/badger/v4"

	"felhom.eu/messages"
)

// AlarmFilter narrows a list of alarms; zero fields match all.
type AlarmFilter struct {
	CustomerID messages.CustomerID
	HostID     messages.HostID
	Match      func(*messages.Alarm) bool // and what else
}

// Alarm reads one alarm. Errors: ErrNotFound, ErrCorrupt.
func (db *DB) Alarm(id messages.IncidentID) (messages.Alarm, error) {
	return one(db, textKey(prefixAlarm, id), (*decoder).alarm)
}

// Alarms lists up to limit alarms that match f, newest first, from the one behind before,
// which may be gone. A page looks at so many rows at most; next is where the next page
// begins, "" at the end.
func (db *DB) Alarms(f AlarmFilter, before messages.IncidentID, limit int) (rows []messages.Alarm, next messages.IncidentID, err error) {
	d := &decoder{words: map[string]string{}}
	s := search[messages.Alarm]{prefix: []byte{prefixAlarm}, newestFirst: true, limit: limit,
		look: func(_ *badger.Txn, key, value []byte) (a messages.Alarm, ok bool, err error) {
			if ok, err = f.owns(d, key, value); !ok || err != nil {
				return a, false, err
			}
			a, err = decodeWith(d, key, value, (*decoder).alarm)
			return a, err == nil && (f.Match == nil || f.Match(&a)), err
		}}
	if before != "" {
		s.behind = textKey(prefixAlarm, before)
	}
	rows, last, err := s.page(db)
	if last != nil {
		next = messages.IncidentID(last[1:])
	}
	return rows, next, err
}

// owns reports whether a row is of the filter's host or customer, by its first two fields: most are of another.
func (f *AlarmFilter) owns(d *decoder, key, value []byte) (bool, error) {
	if f.CustomerID == "" && f.HostID == "" {
		return true, nil
	}
	payload, err := unseal(key, value)
	if err != nil {
		return false, err
	}
	d.b, d.err = payload, nil
	customer, host := d.take(d.uint()), d.take(d.uint())
	return (f.CustomerID == "" || string(customer) == string(f.CustomerID)) && (f.HostID == "" || string(host) == string(f.HostID)), nil
}
