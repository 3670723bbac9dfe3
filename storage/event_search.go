package storage

import (
	"strings"

	"github.com/dgraph-io/badger/v4"

	"felhom.eu/messages"
)

// says reports whether an event's summary, host or customer has a text in it, which is
// in lower case.
func says(v *messages.Event, text string) bool {
	return text == "" || strings.Contains(strings.ToLower(v.Summary), text) ||
		strings.Contains(string(v.HostID), text) || strings.Contains(string(v.CustomerID), text)
}

// EventPage lists up to limit events that match f, oldest first, from the one behind
// after. A page looks at so many events at most; next is where the next page begins, ""
// at the end.
func (db *DB) EventPage(f EventFilter, after messages.EventID, limit int) (es []messages.Event, next messages.EventID, err error) {
	index, d := f.index(), &decoder{words: map[string]string{}}
	f.Text = strings.ToLower(f.Text)
	s := search[messages.Event]{prefix: index, limit: limit, look: func(txn *badger.Txn, key, value []byte) (v messages.Event, ok bool, err error) {
		if index[0] == prefixEvent {
			v, err = decodeWith(d, key, value, (*decoder).event)
		} else if _, err = unseal(key, value); err == nil {
			v, err = get(txn, d, textKey(prefixEvent, messages.EventID(key[len(index):])), (*decoder).event)
		}
		return v, err == nil && f.match(&v), err
	}}
	if after != "" {
		s.behind = append(index[:len(index):len(index)], after...)
	}
	es, last, err := s.page(db)
	if last != nil {
		next = messages.EventID(last[len(index):])
	}
	return es, next, err
}

// LatestEventPage is EventPage with the newest first, before one.
func (db *DB) LatestEventPage(f EventFilter, before messages.EventID, limit int) ([]messages.Event, messages.EventID, error) {
	f.Text = strings.ToLower(f.Text)
	return db.LatestEvents(f, nil, before, limit, maxLooked)
}
