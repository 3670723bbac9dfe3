package storage

import (
	"encoding/json"

	"felhom.eu/messages"
)

// rulesKey is prefix | 'c' or 'h' | customer id or host id: one may be spelt as the
// other.
func rulesKey(customer messages.CustomerID, host messages.HostID) []byte {
	if host != "" {
		return append([]byte{prefixRules, 'h'}, host...)
	}
	return append([]byte{prefixRules, 'c'}, customer...)
}

// rules are kept in their wire form, whose fields are added and never renamed.
func (e *encoder) rules(s *messages.RuleSettings) {
	b, err := json.Marshal(s)
	if err != nil { // a number that is none; the API lets none in
		b = []byte("{}")
	}
	e.bytes(b)
}

func (d *decoder) rules(key []byte) (s messages.RuleSettings) {
	if err := json.Unmarshal(d.take(d.uint()), &s); err != nil {
		d.fail(errRange)
		return messages.RuleSettings{}
	}
	if key[1] == 'h' {
		s.HostID = messages.HostID(key[2:])
	} else {
		s.CustomerID = messages.CustomerID(key[2:])
	}
	return s
}

// EachRules calls fn for the settings of every customer and host that has some,
// until fn fails.
func (db *DB) EachRules(fn func(messages.RuleSettings) error) error {
	return each(db, query{prefix: []byte{prefixRules}}, (*decoder).rules, fn)
}

// putRules writes settings; those that set nothing are removed.
func (w *batchWriter) putRules(s *messages.RuleSettings) error {
	key := rulesKey(s.CustomerID, s.HostID)
	if s.Empty() {
		return w.unmark(key)
	}
	return w.put(key, func(e *encoder) { e.rules(s) })
}
