package storage

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"github.com/dgraph-io/badger/v4"

	"felhom.eu/messages"
)

// ReportRow is a line in the list of a host's reports.
type ReportRow struct {
	Ref        messages.ReportRef
	ID         messages.ReportID
	ReceivedAt time.Time
	ReportedAt time.Time
	Previous   messages.ReportRef
	Older      bool // came after a newer one
	Figures    messages.Figures
	Bytes      int // of the body
}

// errGone says that a report lies in a day that was dropped.
var errGone = errors.New("day was dropped")

// Reports lists up to limit reports of a host, newest first: from the report
// at from, or from the newest when from is zero. next is where to go on, zero
// at the end; a day that was dropped ends the list. Errors: ErrNotFound when
// there is no such host or from is not one of its reports; ErrCorrupt, together
// with the rows before the damage.
func (db *DB) Reports(id messages.HostID, from messages.ReportRef, limit int) (rows []ReportRow, next messages.ReportRef, err error) {
	s, err := db.HostState(id)
	if err != nil {
		return nil, next, err
	}
	return db.reports(string(id), s.Last, from, limit)
}

// reports walks back along the reports of a host or a controller.
func (db *DB) reports(subject string, last, from messages.ReportRef, limit int) (rows []ReportRow, next messages.ReportRef, err error) {
	at, given := last, !from.IsZero()
	if given {
		at = from
	}
	for !at.IsZero() && (limit <= 0 || len(rows) < limit) {
		row, err := db.reportRow(subject, at)
		switch {
		case errors.Is(err, errGone):
			return rows, messages.ReportRef{}, nil
		case err != nil && given && len(rows) == 0:
			return nil, messages.ReportRef{}, fmt.Errorf("report %v of %s: %w", from, subject, notOurs(err))
		case err != nil:
			return rows, messages.ReportRef{}, fmt.Errorf("reports of %s: %w", subject, err)
		}
		rows = append(rows, row)
		at = row.Previous
	}
	return rows, at, nil
}

// notOurs turns what a made-up reference meets into ErrNotFound.
func notOurs(err error) error {
	if errors.Is(err, ErrCorrupt) {
		return ErrNotFound
	}
	return err
}

// Report is one report's body as it was received. Errors: ErrNotFound, ErrCorrupt.
func (db *DB) Report(id messages.HostID, report messages.ReportID) ([]byte, error) {
	s, err := db.HostState(id)
	if err != nil {
		return nil, err
	}
	return db.report(string(id), s.Last, report)
}

func (db *DB) report(subject string, last messages.ReportRef, report messages.ReportID) ([]byte, error) {
	if at, err := db.find(subject, report); err == nil {
		return db.body(at)
	}
	for at := last; !at.IsZero(); {
		row, err := db.reportRow(subject, at)
		switch {
		case errors.Is(err, errGone):
			return nil, ErrNotFound
		case err != nil:
			return nil, fmt.Errorf("report %s of %s: %w", report, subject, err)
		case row.ID == report:
			return db.body(at)
		}
		at = row.Previous
	}
	return nil, ErrNotFound
}

// Body is the body of the report at a place in the history. Errors: ErrNotFound when
// its day was dropped, ErrCorrupt.
func (db *DB) Body(at messages.ReportRef) ([]byte, error) { return db.body(at) }

// LastBodies are the bodies of a host's last reports before and at the one at last,
// newest first: no more than n of them, without those that came after a newer one,
// and without those of a day that was dropped. Errors: ErrCorrupt.
func (db *DB) LastBodies(id messages.HostID, last messages.ReportRef, n int) (bodies [][]byte, err error) {
	for at, looks := last, 4*n; !at.IsZero() && len(bodies) < n && looks > 0; looks-- {
		row, err := db.reportRow(string(id), at)
		if errors.Is(err, errGone) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("last reports of %s: %w", id, err)
		}
		if !row.Older {
			body, err := db.body(at)
			if err != nil {
				return nil, fmt.Errorf("last reports of %s: %w", id, err)
			}
			bodies = append(bodies, body)
		}
		at = row.Previous
	}
	return bodies, nil
}

func (db *DB) body(at messages.ReportRef) (body []byte, err error) {
	err = db.blob(at, func(b *blob) error {
		v, err := b.body(int(at.Entry))
		body = bytes.Clone(v)
		return err
	})
	if errors.Is(err, errGone) {
		err = ErrNotFound
	}
	return body, err
}

func (db *DB) reportRow(subject string, at messages.ReportRef) (row ReportRow, err error) {
	err = db.blob(at, func(b *blob) error {
		r, size, err := b.head(int(at.Entry))
		if err != nil {
			return err
		}
		if r.Subject() != subject {
			return corrupt(b.key, "entry %d is of %s, wanted %s", at.Entry, r.Subject(), subject)
		}
		if !older(r.Previous, at) {
			return corrupt(b.key, "entry %d points to the newer %v", at.Entry, r.Previous)
		}
		row = ReportRow{at, r.ID, r.ReceivedAt, r.ReportedAt, r.Previous, r.Older, r.Figures, size}
		return nil
	})
	return row, err
}

// older keeps a walk from going in circles.
func older(a, b messages.ReportRef) bool {
	return a.IsZero() || a.Batch < b.Batch || a.Batch == b.Batch && a.Entry < b.Entry
}

// blob calls fn with the blob that at points into. Errors: errGone, ErrCorrupt.
func (db *DB) blob(at messages.ReportRef, fn func(*blob) error) error {
	if err := db.enter(); err != nil {
		return err
	}
	defer db.leave()
	s, err := db.history.acquire(at.Day, false)
	if err == nil {
		defer db.history.release(s)
		err = s.read(at.Batch, fn)
	}
	if errors.Is(err, ErrNotFound) {
		if db.history.gone(at) {
			return errGone
		}
		return corrupt(blobKey(at.Batch), "the blob is missing in the history of %s", dayName(at.Day))
	}
	return err
}

func (s *dayStore) read(batch uint64, fn func(*blob) error) error {
	key := blobKey(batch)
	return s.db.View(func(txn *badger.Txn) error {
		item, err := txn.Get(key)
		if errors.Is(err, badger.ErrKeyNotFound) {
			return ErrNotFound
		}
		if err != nil {
			return fmt.Errorf("read blob %d of %s: %w", batch, dayName(s.day), err)
		}
		return item.Value(func(v []byte) error {
			b, err := openBlob(key, v)
			if err != nil {
				return err
			}
			return fn(b)
		})
	})
}
