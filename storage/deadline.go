package storage

import (
	"encoding/json"

	"felhom.eu/messages"
)

// deadline is kept in its wire form, whose fields are added and never renamed.
func (e *encoder) deadline(v *messages.Deadline) {
	b, err := json.Marshal(v)
	if err != nil { // an instant that is none; nobody makes one
		b = []byte("{}")
	}
	e.bytes(b)
}

func (d *decoder) deadline([]byte) (v messages.Deadline) {
	if err := json.Unmarshal(d.take(d.uint()), &v); err != nil {
		d.fail(errRange)
		return messages.Deadline{}
	}
	return v
}

func deadlineKey(customer messages.CustomerID, id messages.DeadlineID) []byte {
	return append(underKey(prefixDeadline, customer), id...)
}

// Deadlines lists a customer's deadlines in the order in which they were made.
func (db *DB) Deadlines(customer messages.CustomerID) ([]messages.Deadline, error) {
	return list(db, query{prefix: underKey(prefixDeadline, customer)}, 0, (*decoder).deadline, nil)
}

// EachDeadline calls fn for every deadline, until fn fails.
func (db *DB) EachDeadline(fn func(messages.Deadline) error) error {
	return each(db, query{prefix: []byte{prefixDeadline}}, (*decoder).deadline, fn)
}

func (w *batchWriter) putDeadline(v *messages.Deadline) error {
	return w.put(deadlineKey(v.CustomerID, v.ID), func(e *encoder) { e.deadline(v) })
}

func (w *batchWriter) delDeadline(v *messages.Deadline) error {
	return w.unmark(deadlineKey(v.CustomerID, v.ID))
}
