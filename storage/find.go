package storage

import (
	"encoding/binary"
	"errors"
	"sort"

	"github.com/dgraph-io/badger/v4"
	"github.com/oklog/ulid/v2"

	"felhom.eu/messages"
)

const millisecondsOfDay = 86_400_000

// find looks a report up by its id. Ids rise as batches do and tell their day, so the
// day's blobs are searched by halves; a walk back along the reports of a host takes
// as many steps as came since. ErrNotFound is no proof that there is none: when the
// clock was set back, ids told another day.
func (db *DB) find(subject string, report messages.ReportID) (at messages.ReportRef, err error) {
	if err := db.enter(); err != nil {
		return at, err
	}
	defer db.leave()
	id, err := ulid.Parse(string(report))
	if err != nil {
		return at, ErrNotFound
	}
	day := uint32(id.Time() / millisecondsOfDay)
	s, err := db.history.acquire(day, false)
	if err != nil {
		return at, err
	}
	defer db.history.release(s)
	err = s.db.View(func(txn *badger.Txn) error {
		it := txn.NewIterator(scanOptions(nil))
		defer it.Close()
		batch, err := s.batchOf(it, report)
		if err != nil {
			return err
		}
		at = messages.ReportRef{Day: day, Batch: batch}
		return blobFrom(it, batch, func(_ uint64, b *blob) error {
			i, err := b.find(subject, report)
			at.Entry = uint32(i)
			return err
		})
	})
	return at, err
}

// batchOf is the newest batch whose first report is not newer than the one that is
// looked for.
func (s *dayStore) batchOf(it *badger.Iterator, report messages.ReportID) (batch uint64, err error) {
	it.Rewind()
	if !it.Valid() {
		return 0, ErrNotFound
	}
	low, high := binary.BigEndian.Uint64(it.Item().Key()), s.newest()+1
	for low < high {
		middle := low + (high-low)/2
		var newer bool
		err := blobFrom(it, middle, func(at uint64, b *blob) error {
			first, _, err := b.head(0)
			if newer = first.ID > report; !newer {
				batch = at
			}
			return err
		})
		switch {
		case err != nil && !errors.Is(err, ErrNotFound):
			return 0, err
		case err != nil || newer:
			high = middle
		default:
			low = batch + 1
		}
	}
	if batch == 0 {
		return 0, ErrNotFound
	}
	return batch, nil
}

// blobFrom calls fn with the first blob that holds a report, at batch or behind it.
// Errors: ErrNotFound when there is none, ErrCorrupt.
func blobFrom(it *badger.Iterator, batch uint64, fn func(batch uint64, b *blob) error) error {
	for it.Seek(blobKey(batch)); it.Valid(); it.Next() {
		key, found := it.Item().KeyCopy(nil), false
		err := it.Item().Value(func(v []byte) error {
			b, err := openBlob(key, v)
			if err != nil || b.count == 0 {
				return err
			}
			found = true
			return fn(binary.BigEndian.Uint64(key), b)
		})
		if found || err != nil {
			return err
		}
	}
	return ErrNotFound
}

// find is where a report of a subject lies in a blob.
func (b *blob) find(subject string, report messages.ReportID) (int, error) {
	var broken error
	i := sort.Search(b.count, func(i int) bool {
		r, _, err := b.head(i)
		if err != nil {
			broken = err
		}
		return r.ID >= report
	})
	if broken != nil {
		return 0, broken
	}
	if i == b.count {
		return 0, ErrNotFound
	}
	r, _, err := b.head(i)
	if err == nil && (r.ID != report || r.Subject() != subject) {
		err = ErrNotFound
	}
	return i, err
}
