package storage

import (
	"encoding/binary"
	"errors"

	"felhom.eu/messages"
)

func (e *encoder) delivery(v *messages.Delivery) {
	e.text(string(v.ID))
	e.text(string(v.RouteID))
	e.text(string(v.CustomerID))
	e.uint(uint64(len(v.Events)))
	for _, id := range v.Events {
		e.text(string(id))
	}
	e.text(string(v.State))
	e.bool(v.Sealed)
	e.time(v.CreatedAt)
	e.time(v.DueAt)
	e.int(int64(v.Attempts))
	e.time(v.LastAttemptAt)
	e.int(int64(v.LastStatus))
	e.text(v.LastError)
	e.time(v.SentAt)
	if v.Reason != messages.BecauseNews {
		e.text(string(v.Reason))
	}
}

func (d *decoder) delivery(key []byte) messages.Delivery {
	v := messages.Delivery{
		Sequence:      binary.BigEndian.Uint64(key[1:]),
		ID:            messages.DeliveryID(d.text()),
		RouteID:       messages.RouteID(d.word()),
		CustomerID:    messages.CustomerID(d.word()),
		Events:        texts[messages.EventID](d),
		State:         messages.DeliveryState(d.word()),
		Sealed:        d.bool(),
		CreatedAt:     d.time(),
		DueAt:         d.time(),
		Attempts:      int(d.int()),
		LastAttemptAt: d.time(),
		LastStatus:    int(d.int()),
		LastError:     d.text(),
		SentAt:        d.time(),
	}
	if d.more() {
		v.Reason = messages.DeliveryReason(d.word())
	}
	return v
}

// Delivery reads one delivery. Errors: ErrNotFound, ErrCorrupt.
func (db *DB) Delivery(id messages.DeliveryID) (messages.Delivery, error) {
	seq, err := one(db, textKey(prefixByID, id), (*decoder).sequence)
	if err != nil {
		return messages.Delivery{}, err
	}
	key := sequenceKey(prefixDelivery, seq)
	v, err := one(db, key, (*decoder).delivery)
	if errors.Is(err, ErrNotFound) {
		return v, corrupt(key, "the index has delivery %s, the record is missing", id)
	}
	return v, err
}

func (d *decoder) sequence([]byte) uint64 { return d.uint() }

// DeliveryFilter narrows a list of deliveries; zero fields match all.
type DeliveryFilter struct {
	CustomerID messages.CustomerID
	State      messages.DeliveryState
}

// Deliveries lists up to limit deliveries that match f, newest first, from the
// one behind before. A filter by customer looks at every delivery of the state.
// Errors: ErrNotFound when there is no delivery before.
func (db *DB) Deliveries(f DeliveryFilter, before messages.DeliveryID, limit int) ([]messages.Delivery, error) {
	prefix := stateIndex(f.State)
	q := query{prefix: []byte{prefix}, newestFirst: true}
	if before != "" {
		seq, err := one(db, textKey(prefixByID, before), (*decoder).sequence)
		if err != nil {
			return nil, err
		}
		if seq == 0 {
			return nil, nil
		}
		q.from = sequenceKey(prefix, seq-1)
	}
	match := func(v *messages.Delivery) bool {
		return (f.State == "" || v.State == f.State) && (f.CustomerID == "" || v.CustomerID == f.CustomerID)
	}
	return listBy(db, q, limit, deliveryOf, (*decoder).delivery, match)
}

// EachPendingDelivery calls fn for every delivery that is neither sent nor
// dead, in the order of their sequence, until fn fails.
func (db *DB) EachPendingDelivery(fn func(messages.Delivery) error) error {
	return eachBy(db, query{prefix: []byte{prefixPending}}, deliveryOf, (*decoder).delivery,
		func(v messages.Delivery) error {
			if v.State != messages.DeliveryPending { // a deleted mark may come back; the record decides
				return nil
			}
			return fn(v)
		})
}

// stateIndex is the shortest run of keys that holds every delivery of a state.
// Most deliveries are sent ones, so these have no index of their own.
func stateIndex(s messages.DeliveryState) byte {
	switch s {
	case messages.DeliveryPending:
		return prefixPending
	case messages.DeliveryDead:
		return prefixDead
	}
	return prefixDelivery
}

// deliveryOf is the record's key, from a key of any of its indexes.
func deliveryOf(key, _ []byte) []byte {
	return append([]byte{prefixDelivery}, key[1:]...)
}

func (w *batchWriter) delivery(v *messages.Delivery) error {
	if v.ID == "" || v.Sequence == 0 {
		return errBatch("a delivery without id or sequence")
	}
	if err := w.put(sequenceKey(prefixDelivery, v.Sequence), func(e *encoder) { e.delivery(v) }); err != nil {
		return err
	}
	if err := w.put(textKey(prefixByID, v.ID), func(e *encoder) { e.uint(v.Sequence) }); err != nil {
		return err
	}
	for _, index := range []byte{prefixPending, prefixDead} {
		mark := w.unmark
		if index == stateIndex(v.State) {
			mark = w.mark
		}
		if err := mark(sequenceKey(index, v.Sequence)); err != nil {
			return err
		}
	}
	return nil
}
