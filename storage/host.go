package storage

import (
	"bytes"
	"errors"
	"slices"

	"github.com/dgraph-io/badger/v4"

	"felhom.eu/messages"
)

func (e *encoder) host(h *messages.Host) {
	e.text(string(h.CustomerID))
	e.time(h.CreatedAt)
	e.int(int64(h.PollIntervalSeconds))
	e.uint(h.DesiredGeneration)
	e.bytes(h.Desired)
	e.bytes(h.DRRecord)
	if h.Site != "" {
		e.text(h.Site)
	}
}

func (d *decoder) host(key []byte) messages.Host {
	id := messages.HostID(key[1:])
	h := messages.Host{
		ID:                  id,
		CustomerID:          d.ownerOf(id),
		CreatedAt:           d.time(),
		PollIntervalSeconds: int(d.int()),
		DesiredGeneration:   d.uint(),
		Desired:             d.bytes(),
		DRRecord:            d.bytes(),
	}
	if d.more() {
		h.Site = d.word()
	}
	return h
}

// ownerOf reads a customer's id; one that the host's id spells, as all do,
// shares its memory, since a hub holds a million of them.
func (d *decoder) ownerOf(id messages.HostID) messages.CustomerID {
	v := d.take(d.uint())
	if n := len(v); n <= len(id) && string(id[:n]) == string(v) {
		return messages.CustomerID(id[:n])
	}
	return messages.CustomerID(v)
}

// Host reads an operator's intent for a host. Errors: ErrNotFound, ErrCorrupt.
func (db *DB) Host(id messages.HostID) (messages.Host, error) {
	return one(db, textKey(prefixHost, id), (*decoder).host)
}

// HostRow is a host with its state.
type HostRow struct {
	Host  messages.Host
	State messages.HostState
}

// HostFilter narrows a list of hosts; zero fields match all.
type HostFilter struct {
	CustomerID messages.CustomerID
	Phase      *messages.Phase
	Site       string
}

func (f *HostFilter) match(r *HostRow) bool {
	return (f.CustomerID == "" || f.CustomerID == r.Host.CustomerID) &&
		(f.Phase == nil || *f.Phase == r.State.Phase) && (f.Site == "" || f.Site == r.Host.Site)
}

// Hosts lists up to limit hosts that match f in the order of their ids, from
// the one behind after; limit 0 is no limit.
func (db *DB) Hosts(f HostFilter, after messages.HostID, limit int) ([]HostRow, error) {
	prefix := ""
	if f.CustomerID != "" {
		prefix = string(f.CustomerID) + "-"
	}
	if f.Phase != nil {
		return db.hostsIn(*f.Phase, prefix, f, after, limit)
	}
	var rows []HostRow
	from := messages.HostID("")
	if after != "" {
		from = after + "\x00"
	}
	err := db.joinHosts(prefix, from, func(h messages.Host, s messages.HostState) error {
		if r := (HostRow{h, s}); f.match(&r) {
			rows = append(rows, r)
		}
		if limit > 0 && len(rows) >= limit {
			return errStop
		}
		return nil
	})
	return rows, err
}

// hostsIn lists hosts of one phase. They may be few among very many: states are
// walked alone, and only one of the phase is read as a whole, with its host.
func (db *DB) hostsIn(p messages.Phase, prefix string, f HostFilter, after messages.HostID, limit int) (rows []HostRow, err error) {
	q := query{prefix: textKey(prefixState, prefix)}
	if after != "" {
		q.from = slices.MaxFunc([][]byte{q.prefix, behind(prefixState, after)}, bytes.Compare)
	}
	err = db.view(func(txn *badger.Txn) error {
		return walk(txn, q, func(key, value []byte) error {
			payload, err := unseal(key, value)
			if err != nil || len(payload) == 0 || messages.Phase(payload[0]) != p {
				return err
			}
			s, err := decode(key, value, (*decoder).state)
			if err != nil {
				return err
			}
			h, err := get(txn, &decoder{}, textKey(prefixHost, s.ID), (*decoder).host)
			if errors.Is(err, ErrNotFound) {
				return nil // a state without host is passed by
			}
			if err != nil {
				return err
			}
			if r := (HostRow{h, s}); f.match(&r) {
				rows = append(rows, r)
			}
			if limit > 0 && len(rows) >= limit {
				return errStop
			}
			return nil
		})
	})
	return rows, err
}

// EachHost calls fn for the hosts from one on ("" is all) up to, not including,
// another ("" is no end), each with its state, in the order of their ids, until fn
// fails.
func (db *DB) EachHost(from, until messages.HostID, fn func(messages.Host, messages.HostState) error) error {
	return db.joinHosts("", from, func(h messages.Host, s messages.HostState) error {
		if until != "" && h.ID >= until {
			return errStop
		}
		return fn(h, s)
	})
}

// joinHosts walks hosts and states side by side, from one on: both sort by host
// id. A host always has a state; a state without host is left over and passed by.
func (db *DB) joinHosts(prefix string, from messages.HostID, fn func(messages.Host, messages.HostState) error) error {
	return db.view(func(txn *badger.Txn) error {
		states := txn.NewIterator(scanOptions(textKey(prefixState, prefix)))
		defer states.Close()
		from := max(from, messages.HostID(prefix))
		states.Seek(textKey(prefixState, from))
		words := &decoder{words: map[string]string{}}
		q := query{prefix: textKey(prefixHost, prefix), from: textKey(prefixHost, from)}
		return walk(txn, q, func(key, value []byte) error {
			h, err := decodeWith(words, key, value, (*decoder).host)
			if err != nil {
				return err
			}
			s, err := stateBeside(states, words, h.ID)
			if err != nil {
				return err
			}
			return fn(h, s)
		})
	})
}

// stateBeside moves the iterator of states to id and reads it.
func stateBeside(states *badger.Iterator, d *decoder, id messages.HostID) (messages.HostState, error) {
	for ; states.Valid(); states.Next() {
		switch bytes.Compare(states.Item().Key()[1:], []byte(id)) {
		case -1:
			continue
		case 0:
			s := messages.HostState{ID: id} // shares the host's string
			err := states.Item().Value(func(v []byte) error {
				_, err := decodeWith(d, states.Item().Key(), v, func(d *decoder, _ []byte) struct{} {
					d.stateInto(&s)
					return struct{}{}
				})
				return err
			})
			return s, err
		}
		break
	}
	return messages.HostState{}, corrupt(textKey(prefixState, id), "the state of host %s is missing", id)
}

// putHost writes intent; a host that is new gets the state of one that was
// never heard, so that a missing state is always a loss.
func (w *batchWriter) putHost(h *messages.Host) error {
	isNew, err := w.missing(textKey(prefixHost, h.ID))
	if err != nil {
		return err
	}
	if isNew {
		w.hosts++
	}
	if err := w.put(textKey(prefixHost, h.ID), func(e *encoder) { e.host(h) }); err != nil {
		return err
	}
	stateless, err := w.missing(textKey(prefixState, h.ID))
	if err != nil || !stateless {
		return err
	}
	return w.putState(&messages.HostState{ID: h.ID, Figures: messages.UnknownFigures()})
}

func (w *batchWriter) putState(s *messages.HostState) error {
	return w.put(textKey(prefixState, s.ID), func(e *encoder) { e.state(s) })
}

// delHost removes a host with its state, standing, rules and guests. Its keys stay, revoked: a
// delete that came back would open the door again.
func (w *batchWriter) delHost(host *messages.HostID) error {
	id := *host
	gone, err := w.missing(textKey(prefixHost, id))
	if err != nil {
		return err
	}
	if !gone {
		w.hosts--
	}
	drop := [][]byte{textKey(prefixHost, id), textKey(prefixState, id), textKey(prefixStanding, id), rulesKey("", id)}
	err = w.rows(underKey(prefixGuest, id), func(key, _ []byte) error {
		drop = append(drop, bytes.Clone(key))
		return nil
	})
	if err != nil {
		return err
	}
	for _, key := range drop {
		if err := w.unmark(key); err != nil {
			return err
		}
	}
	if err := w.drop(underKey(prefixOutage, id)); err != nil {
		return err
	}
	return w.revokeKeys(id, "")
}

// revokeKeys ends the keys of a host or, when that is "", of a customer.
func (w *batchWriter) revokeKeys(id messages.HostID, customer messages.CustomerID) error {
	var keys []messages.Key
	err := w.rows(underKey(prefixKey, id), func(key, value []byte) error {
		k, err := decode(key, value, (*decoder).key)
		if err != nil { // what cannot be read is revoked all the same
			w.db.log.Errorf("revoke keys of host %s: %v", id, err)
			k = messages.Key{Kind: messages.KeyHost, HostID: id}
			copy(k.Hash[:], key[len(key)-len(k.Hash):])
		}
		if k.RevokedAt.IsZero() && (customer == "" || k.CustomerID == customer) {
			k.RevokedAt = w.batch.At
			keys = append(keys, k)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return every(keys, w.putKey)
}

func (w *batchWriter) putKey(k *messages.Key) error {
	return w.put(keyKey(k), func(e *encoder) { e.key(k) })
}
