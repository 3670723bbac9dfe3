package storage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/dgraph-io/badger/v4"

	"felhom.eu/messages"
)

// maxProblems bounds what Check lists; the rest is counted.
const maxProblems = 1000

// Stats is what Check found.
type Stats struct {
	Customers, Hosts, Guests, Keys, Routes uint64
	Controllers                            uint64
	Events, Deliveries                     uint64
	Days, Blobs, Reports                   uint64
	Rolls                                  uint64 // rows of roll-ups: a host's day at a resolution
	Recovery                               Recovery
	Problems                               []string // one line each, for people
	More                                   uint64   // problems that are not listed
}

// String counts what is there in one line.
func (s *Stats) String() string {
	return fmt.Sprintf("%d customers, %d hosts, %d guests, %d keys, %d routes, %d events, %d deliveries, %d reports in %d days",
		s.Customers, s.Hosts, s.Guests, s.Keys, s.Routes, s.Events, s.Deliveries, s.Reports, s.Days)
}

// Check reads a whole store, which no hub may have open, and verifies every
// value, the order of events and deliveries, the indexes, the roll-ups, and that
// every host's newest report is there. It repairs nothing. Errors are those of Open; what it
// finds in a store that opens is in Stats.Problems.
func Check(dir string) (Stats, error) {
	if _, err := os.Stat(filepath.Join(dir, "format.json")); errors.Is(err, fs.ErrNotExist) {
		return Stats{}, fmt.Errorf("check: no store in %s: %w", dir, err)
	} else if err != nil {
		return Stats{}, fmt.Errorf("check: %w", err)
	}
	db, err := open(dir, Options{})
	if err != nil {
		return Stats{}, fmt.Errorf("check: %w", err)
	}
	c := checker{db: db}
	c.Recovery = db.recovery
	for _, l := range db.recovery.Lost {
		c.problem("lost: %v", l)
	}
	err = errors.Join(c.rows(), c.hosts(), c.controllers(), c.indexes(), c.days(), c.rollups())
	if err := errors.Join(err, db.shut()); err != nil {
		return c.Stats, fmt.Errorf("check: %w", err)
	}
	return c.Stats, nil
}

type checker struct {
	Stats
	db        *DB
	lost      []Loss
	lastEvent uint64
	lastDeliv uint64
	lastAudit uint64
}

func (c *checker) problem(format string, args ...any) {
	if len(c.Problems) == maxProblems {
		c.More++
		return
	}
	c.Problems = append(c.Problems, fmt.Sprintf(format, args...))
}

// note takes an error that is about the data as a problem.
func (c *checker) note(err error) error {
	if errors.Is(err, ErrCorrupt) || errors.Is(err, ErrNotFound) {
		c.problem("%v", err)
		return nil
	}
	return err
}

// rows decodes every row of state/.
func (c *checker) rows() error {
	losses, err := c.db.Losses()
	if err := c.note(err); err != nil {
		return err
	}
	c.lost = append(losses, c.db.recovery.Lost...)
	return c.db.state.View(func(txn *badger.Txn) error {
		return walk(txn, query{}, func(key, value []byte) error { return c.note(c.row(key, value)) })
	})
}

func (c *checker) row(key, value []byte) error {
	switch key[0] {
	case prefixMeta:
		return tally(nil, key, value, (*decoder).meta)
	case prefixLoss:
		return tally(nil, key, value, (*decoder).loss)
	case prefixDrop, prefixByID:
		return tally(nil, key, value, (*decoder).sequence)
	case prefixCustomer:
		return tally(&c.Customers, key, value, (*decoder).customer)
	case prefixHost:
		return tally(&c.Hosts, key, value, (*decoder).host)
	case prefixState:
		return tally(nil, key, value, (*decoder).state)
	case prefixStanding:
		return tally(nil, key, value, (*decoder).standing)
	case prefixMonth:
		return tally(nil, key, value, (*decoder).monthStart)
	case prefixOutage:
		return tally(nil, key, value, (*decoder).outage)
	case prefixRules:
		return tally(nil, key, value, (*decoder).rules)
	case prefixAlarm:
		return tally(nil, key, value, (*decoder).alarm)
	case prefixTrace:
		return tally(nil, key, value, (*decoder).trace)
	case prefixSilence:
		return tally(nil, key, value, (*decoder).silence)
	case prefixToken:
		return tally(nil, key, value, (*decoder).enrollToken)
	case prefixDeadline:
		return tally(nil, key, value, (*decoder).deadline)
	case prefixUser:
		return tally(nil, key, value, (*decoder).user)
	case prefixSession:
		return tally(nil, key, value, (*decoder).session)
	case prefixAudit:
		v, err := decode(key, value, (*decoder).audit)
		if err == nil && v.Sequence != c.lastAudit+1 {
			err = fmt.Errorf("%w: audit record %d follows %d", ErrCorrupt, v.Sequence, c.lastAudit)
		}
		c.lastAudit++
		return err
	case prefixController:
		return tally(&c.Controllers, key, value, (*decoder).controller)
	case prefixGuest:
		return tally(&c.Guests, key, value, (*decoder).guest)
	case prefixKey:
		return tally(&c.Keys, key, value, (*decoder).key)
	case prefixRoute:
		return tally(&c.Routes, key, value, (*decoder).route)
	case prefixEvent:
		v, err := decode(key, value, (*decoder).event)
		c.Events++
		return errors.Join(err, c.follows(LossEvents, &c.lastEvent, v.Sequence, err))
	case prefixDelivery:
		v, err := decode(key, value, (*decoder).delivery)
		c.Deliveries++
		return errors.Join(err, c.follows(LossDeliveries, &c.lastDeliv, v.Sequence, err))
	case prefixByHost, prefixByOwner, prefixPending, prefixDead:
		_, err := unseal(key, value)
		return err
	}
	return corrupt(key, "no record has such a key")
}

func tally[T any](n *uint64, key, value []byte, read take[T]) error {
	if n != nil {
		*n++
	}
	_, err := decode(key, value, read)
	return err
}

// follows checks that a sequence is the next one, or that what is between was
// found lost.
func (c *checker) follows(kind LossKind, last *uint64, n uint64, err error) error {
	if err != nil {
		*last++ // it is there, though it cannot be read
		return nil
	}
	from := *last + 1
	*last = n
	for from != n {
		next := from
		for _, l := range c.lost {
			if l.Kind == kind && l.From <= from && from <= l.To {
				next = l.To + 1
			}
		}
		if next == from || next > n {
			return fmt.Errorf("%w: %s %d follows %d", ErrCorrupt, lossNames[kind], n, from-1)
		}
		from = next
	}
	return nil
}

// hosts checks that each host has a state, and that its newest reports are
// there.
func (c *checker) hosts() error {
	n := uint64(0)
	err := c.db.EachHost("", "", func(h messages.Host, s messages.HostState) error {
		n++
		_, _, err := c.db.Reports(h.ID, messages.ReportRef{}, 2)
		return c.note(err)
	})
	if err := c.note(err); err != nil {
		return err
	}
	if n != c.db.meta.Hosts {
		c.problem("%d hosts are there, %d should be", n, c.db.meta.Hosts)
	}
	return nil
}

// controllers checks that the newest reports of each are there.
func (c *checker) controllers() error {
	return c.note(c.db.EachController(func(s messages.ControllerState) error {
		_, _, err := c.db.ControllerReports(s.ControllerName, messages.ReportRef{}, 2)
		return c.note(err)
	}))
}

// indexes checks that every index leads to a record, and every record is in its
// indexes.
func (c *checker) indexes() error {
	all := func(messages.Event) error { return nil }
	every := func(messages.Delivery) error { return nil }
	for _, prefix := range []byte{prefixByHost, prefixByOwner} {
		err := eachBy(c.db, query{prefix: []byte{prefix}}, func(key, _ []byte) []byte {
			return textKey(prefixEvent, string(key[indexOwner(key):]))
		}, (*decoder).event, all)
		if err := c.note(err); err != nil {
			return err
		}
	}
	for _, prefix := range []byte{prefixPending, prefixDead} {
		err := eachBy(c.db, query{prefix: []byte{prefix}}, deliveryOf, (*decoder).delivery, every)
		if err := c.note(err); err != nil {
			return err
		}
	}
	err := c.db.state.View(func(txn *badger.Txn) error {
		return errors.Join(
			walk(txn, query{prefix: []byte{prefixEvent}}, func(key, value []byte) error { return c.note(c.eventIndexed(txn, key, value)) }),
			walk(txn, query{prefix: []byte{prefixDelivery}}, func(key, value []byte) error { return c.note(c.deliveryIndexed(txn, key, value)) }))
	})
	return err
}

// indexOwner is where the event's id begins in a key of an index.
func indexOwner(key []byte) int {
	for i, b := range key {
		if b == 0 {
			return i + 1
		}
	}
	return len(key)
}

func (c *checker) eventIndexed(txn *badger.Txn, key, value []byte) error {
	v, err := decode(key, value, (*decoder).event)
	if err != nil {
		return nil // told already
	}
	if v.HostID != "" {
		err = has(txn, append(underKey(prefixByHost, v.HostID), v.ID...))
	}
	if v.CustomerID != "" {
		err = errors.Join(err, has(txn, append(underKey(prefixByOwner, v.CustomerID), v.ID...)))
	}
	return err
}

func (c *checker) deliveryIndexed(txn *badger.Txn, key, value []byte) error {
	v, err := decode(key, value, (*decoder).delivery)
	if err != nil {
		return nil // told already
	}
	if index := stateIndex(v.State); index != prefixDelivery {
		err = has(txn, sequenceKey(index, v.Sequence))
	}
	return errors.Join(err, has(txn, textKey(prefixByID, v.ID)))
}

func has(txn *badger.Txn, key []byte) error {
	_, err := txn.Get(key)
	if errors.Is(err, badger.ErrKeyNotFound) {
		return corrupt(key, "the record is there, this row of its index is missing")
	}
	return err
}

// days reads every blob of the history.
func (c *checker) days() error {
	days, err := c.db.history.list()
	if err != nil {
		return err
	}
	for _, day := range days {
		if err := c.note(c.day(day)); err != nil {
			return err
		}
	}
	return nil
}

func (c *checker) day(day uint32) error {
	s, err := c.db.history.acquire(day, false)
	if err != nil {
		return err
	}
	defer c.db.history.release(s)
	c.Days++
	return s.each(func(key, value []byte) error {
		if binary.BigEndian.Uint64(key) > c.db.meta.Batch {
			return nil // unfinished; see emptyUnfinished
		}
		b, err := openBlob(key, value)
		if err == nil {
			err = b.check()
		}
		if err != nil {
			return c.note(fmt.Errorf("history of %s, batch %d: %w", dayName(day), binary.BigEndian.Uint64(key), err))
		}
		c.Blobs++
		c.Reports += uint64(b.count)
		return nil
	})
}
