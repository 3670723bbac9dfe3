package storage

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/dgraph-io/badger/v4"

	"felhom.eu/messages"
)

// Recovery is where a store stands when it was opened. The next batch, event
// and delivery have the sequence behind these.
type Recovery struct {
	BatchSequence    uint64
	BatchAt          time.Time // zero before the first batch
	Ledger           messages.Ledger
	EventSequence    uint64
	EventID          messages.EventID // ids made from now on must be greater
	DeliverySequence uint64
	Hosts            uint64
	// Lost is what was durable once and is not there any more, found at this
	// start. Nothing was deleted; the sequences go on behind it.
	Lost []Loss
}

// Recovery says where the store stood when it was opened.
func (db *DB) Recovery() Recovery { return db.recovery }

// load reads what the store says of itself and compares it with the marks.
func (db *DB) load() error {
	d := &decoder{}
	err := db.state.View(func(txn *badger.Txn) error {
		var err error
		if db.meta, err = get(txn, d, metaKey, (*decoder).meta); err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
		return walk(txn, query{prefix: []byte{prefixDrop}}, func(key, value []byte) error {
			through, err := decodeWith(d, key, value, (*decoder).sequence)
			if err == nil && len(key) == 5 {
				db.history.dropped[binary.BigEndian.Uint32(key[1:])] = through
			}
			return err
		})
	})
	if err != nil {
		return err
	}
	return db.compare()
}

// compare finds what is missing and moves the sequences behind it.
func (db *DB) compare() error {
	m, marks := db.meta, db.marks.last
	days, err := db.history.list()
	if err != nil {
		return err
	}
	var lost []Loss
	if db.marksErr != nil && (m.Batch > 0 || len(days) > 0) {
		db.log.Errorf("%v", db.marksErr)
		lost = append(lost, Loss{Kind: LossMarks})
	}
	if marks.Batch > m.Batch && marks.Hosts > m.Hosts {
		lost = append(lost, Loss{Kind: LossHosts, From: m.Hosts, To: marks.Hosts})
	}
	batch := marks.Batch
	if newest := db.newestBlob(days); newest > m.Batch+maxBodiesAhead {
		batch = max(batch, newest)
	}
	haveEvents, haveDeliveries, err := db.newest()
	if err != nil {
		return err
	}
	for _, c := range []struct {
		kind       LossKind
		have, want uint64
	}{
		{LossBatches, m.Batch, batch},
		{LossEvents, haveEvents, max(m.Event, marks.Event)},
		{LossDeliveries, haveDeliveries, max(m.Delivery, marks.Delivery)},
	} {
		if c.have < c.want {
			lost = append(lost, Loss{Kind: c.kind, From: c.have + 1, To: c.want})
		}
	}
	db.meta.Batch = max(m.Batch, batch)
	db.meta.Event = max(m.Event, marks.Event)
	db.meta.Delivery = max(m.Delivery, marks.Delivery)
	db.bodies = db.meta.Batch
	db.recovery = Recovery{db.meta.Batch, db.meta.BatchAt, db.meta.Ledger, db.meta.Event, db.meta.EventID,
		db.meta.Delivery, db.meta.Hosts, lost}
	return nil
}

// newest is the highest sequence of events and of deliveries that is there, or
// is known to be lost.
func (db *DB) newest() (events, deliveries uint64, err error) {
	d := &decoder{}
	err = db.state.View(func(txn *badger.Txn) error {
		err := walk(txn, query{prefix: []byte{prefixEvent}, newestFirst: true}, func(key, value []byte) error {
			v, err := decodeWith(d, key, value, (*decoder).event)
			events = v.Sequence
			return errors.Join(err, errStop)
		})
		if !errors.Is(err, errStop) && err != nil || errors.Is(err, ErrCorrupt) {
			return err
		}
		err = walk(txn, query{prefix: []byte{prefixDelivery}, newestFirst: true}, func(key, value []byte) error {
			v, err := decodeWith(d, key, value, (*decoder).delivery)
			deliveries = v.Sequence
			return errors.Join(err, errStop)
		})
		if !errors.Is(err, errStop) && err != nil || errors.Is(err, ErrCorrupt) {
			return err
		}
		return walk(txn, query{prefix: []byte{prefixLoss}}, func(key, value []byte) error {
			l, err := decodeWith(d, key, value, (*decoder).loss)
			switch l.Kind {
			case LossEvents:
				events = max(events, l.To)
			case LossDeliveries:
				deliveries = max(deliveries, l.To)
			}
			return err
		})
	})
	return events, deliveries, err
}

// newestBlob is the last batch that the newest day holds. A day that cannot be
// read tells nothing here; it is dealt with when it is used.
func (db *DB) newestBlob(days []uint32) (batch uint64) {
	if len(days) == 0 {
		return 0
	}
	s, err := db.history.acquire(days[len(days)-1], false)
	if err != nil {
		db.log.Errorf("%v", err)
		return 0
	}
	defer db.history.release(s)
	return s.newest()
}

// newest is the last batch in a day's store; 0 when there is none.
func (s *dayStore) newest() (batch uint64) {
	_ = s.db.View(func(txn *badger.Txn) error {
		return walkItems(txn, query{newestFirst: true, from: blobKey(1<<64 - 1)}, func(item *badger.Item) error {
			batch = binary.BigEndian.Uint64(item.Key())
			return errStop
		})
	})
	return batch
}

// begin makes the store ready to be written to.
func (db *DB) begin() error {
	if err := db.recordLosses(); err != nil {
		return err
	}
	if err := db.finishDrops(); err != nil {
		return err
	}
	if err := db.emptyUnfinished(); err != nil {
		return err
	}
	if err := db.saveMarks(); err != nil {
		return err
	}
	go db.housekeep()
	return nil
}

// emptyUnfinished empties the newest batches when the end came before their state was
// written. Nobody was told of them and nobody reads them; but after a power cut one
// may be a key without its value, which looks like damage. On a full disk they stay.
func (db *DB) emptyUnfinished() error {
	days, err := db.history.list()
	if err != nil || len(days) == 0 {
		return err
	}
	s, err := db.history.acquire(days[len(days)-1], false)
	if err != nil {
		return nil // newestBlob told; the day is dealt with when it is used
	}
	defer db.history.release(s)
	if left, err := db.o.space(db.dir); err != nil || left.free < db.reserve {
		return err
	}
	txn := s.db.NewTransaction(true)
	defer txn.Discard()
	var p packer
	err = walkItems(txn, query{from: blobKey(db.meta.Batch + 1)}, func(item *badger.Item) error {
		key := item.KeyCopy(nil)
		v, err := p.pack(key, nil)
		if err != nil {
			return err
		}
		return txn.Set(key, bytes.Clone(v))
	})
	if err == nil {
		err = s.db.commit(txn, blobHead)
	}
	if err != nil {
		return fmt.Errorf("empty the unfinished batches of %s: %w", dayName(s.day), err)
	}
	return nil
}

// recordLosses writes down what was found lost, so that it is told once and
// Check knows the gaps.
func (db *DB) recordLosses() error {
	if len(db.recovery.Lost) == 0 {
		return nil
	}
	w := batchWriter{db: db, txn: db.state.NewTransaction(true)}
	defer w.txn.Discard()
	now := time.Now()
	for i := range db.recovery.Lost {
		l := &db.recovery.Lost[i]
		l.FoundAt = now.UTC()
		db.log.Errorf("lost %v: it was durable once and is not there any more", *l)
		if err := w.put(lossKey(*l), func(e *encoder) { e.loss(l) }); err != nil {
			return err
		}
	}
	if err := w.put(metaKey, func(e *encoder) { e.meta(&db.meta) }); err != nil {
		return err
	}
	if err := db.state.commit(w.txn, w.largest); err != nil {
		return fmt.Errorf("record losses: %w", err)
	}
	return nil
}

// finishDrops completes what DropDay began.
func (db *DB) finishDrops() error {
	days, err := db.history.leftovers()
	if err != nil {
		return err
	}
	for _, day := range days {
		db.history.dropped[day] = db.meta.Batch
		if err := db.finishDrop(day, db.meta.Batch); err != nil {
			return err
		}
	}
	return nil
}

// finishDrop removes a day that was set aside with the batches up to through.
// The record of it is written when its files are gone, which is where the room
// for it comes from on a full disk, and before its directory goes.
func (db *DB) finishDrop(day uint32, through uint64) error {
	aside := db.history.path(day) + droppedSuffix
	files, err := os.ReadDir(aside)
	for _, f := range files {
		err = errors.Join(err, os.RemoveAll(filepath.Join(aside, f.Name())))
	}
	if err != nil {
		return fmt.Errorf("remove the history of %s: %w", dayName(day), err)
	}
	w := batchWriter{db: db, txn: db.state.NewTransaction(true)}
	defer w.txn.Discard()
	if err := w.drop(tracesKey(day)); err != nil {
		return err
	}
	if err := w.put(dropKey(day), func(e *encoder) { e.uint(through) }); err != nil {
		return err
	}
	if err := db.state.commit(w.txn, w.largest); err != nil {
		return db.fail(fmt.Errorf("record that %s was dropped: %w", dayName(day), err))
	}
	if err := os.Remove(aside); err != nil {
		return fmt.Errorf("remove the history of %s: %w", dayName(day), err)
	}
	return nil
}
