package storage

import (
	"bytes"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/dgraph-io/badger/v4"

	"felhom.eu/messages"
)

// spoilBlob flips a bit in the last body of a blob.
func spoilBlob(t *testing.T, db *DB, at messages.ReportRef) {
	t.Helper()
	s, err := db.history.acquire(at.Day, false)
	if err != nil {
		t.Fatal(err)
	}
	defer db.history.release(s)
	err = s.db.Update(func(txn *badger.Txn) error {
		item, err := txn.Get(blobKey(at.Batch))
		if err != nil {
			return err
		}
		v, err := item.ValueCopy(nil)
		v[len(v)-1] ^= 1
		return errors.Join(err, txn.Set(blobKey(at.Batch), v))
	})
	if err != nil {
		t.Fatal(err)
	}
}

// threeDays is a store with one batch of reports on each of three days.
func threeDays(t *testing.T) (*DB, *fleet, []uint32) { return threeBatches(t, 1) }

// threeBatches is a store with three batches of reports, some days apart.
func threeBatches(t *testing.T, apart int) (*DB, *fleet, []uint32) {
	db := openTest(t, t.TempDir())
	f := newFleet(2)
	write(t, db, f.mint())
	var days []uint32
	for range 3 {
		write(t, db, f.report(100))
		days = append(days, f.last[f.hosts[0]].Day)
		f.at = f.at.AddDate(0, 0, apart)
	}
	return db, f, days
}

// A day that was dropped leaves the disk whole, ends the lists of reports
// without an error, stays dropped over a restart and does not come back.
func TestDroppedDayEndsTheList(t *testing.T) {
	db, f, days := threeDays(t)
	id := f.hosts[1]
	if err := db.DropDay(days[0]); err != nil {
		t.Fatal(err)
	}
	check := func(db *DB) {
		t.Helper()
		rows, next, err := db.Reports(id, messages.ReportRef{}, 0)
		if err != nil || len(rows) != 2 || !next.IsZero() {
			t.Errorf("%d reports, next %v, %v", len(rows), next, err)
		}
		if body, err := db.Report(id, f.of[id][1]); err != nil || string(body) != f.bodies[f.of[id][1]] {
			t.Errorf("a kept report: %.30q, %v", body, err)
		}
		if _, err := db.Report(id, f.of[id][0]); !errors.Is(err, ErrNotFound) {
			t.Errorf("a dropped report: %v", err)
		}
		left, err := db.Days()
		if err != nil || len(left) != 2 || left[0].Number != days[1] || left[0].Bytes == 0 {
			t.Errorf("days: %+v, %v", left, err)
		}
	}
	check(db)
	if err := db.DropDay(days[0]); !errors.Is(err, ErrNotFound) {
		t.Errorf("dropped again: %v", err)
	}
	db.Close()
	db = openTest(t, db.dir)
	check(db)
	db.Close()
	if s, err := Check(db.dir); err != nil || len(s.Problems) > 0 {
		t.Errorf("check: %v, %v", s.Problems, err)
	}
}

// A drop that a crash cut short between its rename and its record is completed
// at the next start.
func TestCutShortDropIsCompleted(t *testing.T) {
	db, f, days := threeDays(t)
	db.Close()
	aside := db.history.path(days[0]) + droppedSuffix
	if err := os.Rename(db.history.path(days[0]), aside); err != nil {
		t.Fatal(err)
	}
	db = openTest(t, db.dir)
	if rows, _, err := db.Reports(f.hosts[0], messages.ReportRef{}, 0); err != nil || len(rows) != 2 {
		t.Errorf("%d reports, %v", len(rows), err)
	}
	if _, err := os.Stat(aside); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the leftover: %v", err)
	}
}

// A day that is missing though nobody dropped it is damage, not retention.
func TestMissingDayIsCorrupt(t *testing.T) {
	db, f, days := threeDays(t)
	db.Close()
	if err := os.RemoveAll(db.history.path(days[0])); err != nil {
		t.Fatal(err)
	}
	db = openTest(t, db.dir)
	if rows, _, err := db.Reports(f.hosts[0], messages.ReportRef{}, 0); len(rows) != 2 || !errors.Is(err, ErrCorrupt) {
		t.Errorf("%d reports, %v", len(rows), err)
	}
}

// The day being written and a day under backup stay.
func TestDayInUseIsNotDropped(t *testing.T) {
	db, _, days := threeDays(t)
	if err := db.DropDay(days[2]); !errors.Is(err, ErrBusy) {
		t.Errorf("today: %v", err)
	}
	var during error
	if _, err := db.Backup(t.Context(), &onFirstWrite{then: func() { during = db.DropDay(days[0]) }}); err != nil {
		t.Fatal(err)
	}
	if !errors.Is(during, ErrBusy) {
		t.Errorf("during a backup: %v", during)
	}
	if err := db.DropDay(days[0]); err != nil {
		t.Errorf("after it: %v", err)
	}
}

// Reports page newest first and go on where the last page ended; a reference
// that is not the host's own finds nothing.
func TestReportsPage(t *testing.T) {
	db, f, _ := threeDays(t)
	id := f.hosts[0]
	var got []messages.ReportID
	for at := (messages.ReportRef{}); ; {
		rows, next, err := db.Reports(id, at, 2)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rows {
			got = append(got, r.ID)
		}
		if at = next; at.IsZero() {
			break
		}
	}
	slices.Reverse(got)
	if !slices.Equal(got, f.of[id]) {
		t.Errorf("pages: %v, want %v", got, f.of[id])
	}
	for _, ref := range []messages.ReportRef{f.last[f.hosts[1]], {Day: 1, Batch: 1}, {Day: f.last[id].Day, Batch: 99}, {Day: f.last[id].Day, Batch: f.last[id].Batch, Entry: 99}} {
		if _, _, err := db.Reports(id, ref, 1); !errors.Is(err, ErrNotFound) {
			t.Errorf("%v: %v", ref, err)
		}
	}
}

// Check says what is wrong, in words, one line a fault, and nothing else.
func TestCheckFindsWhatIsWrong(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(*DB, *fleet)
		want  string
	}{
		"nothing": {func(*DB, *fleet) {}, ""},
		"row":     {func(db *DB, f *fleet) { raw(t, db, textKey(prefixCustomer, "acme"), []byte("x")) }, "value of 1 bytes"},
		"standing": {func(db *DB, f *fleet) {
			raw(t, db, textKey(prefixStanding, f.hosts[0]), []byte("no standing at all"))
		}, "checksum mismatch"},
		"row elsewhere":    {func(db *DB, f *fleet) { swap(t, db, f) }, "checksum mismatch"},
		"unknown row":      {func(db *DB, f *fleet) { raw(t, db, []byte("?"), []byte("x")) }, "no record has such a key"},
		"host lost":        {func(db *DB, f *fleet) { raw(t, db, textKey(prefixHost, f.hosts[0]), nil) }, "1 hosts are there, 2 should be"},
		"state lost":       {func(db *DB, f *fleet) { raw(t, db, textKey(prefixState, f.hosts[0]), nil) }, "the state of host acme-00000001 is missing"},
		"event lost":       {func(db *DB, f *fleet) { raw(t, db, textKey(prefixEvent, risingID(2)), nil) }, "events 3 follows 1"},
		"newest event":     {func(db *DB, f *fleet) { raw(t, db, textKey(prefixEvent, risingID(3)), nil) }, "lost: events 3 to 3"},
		"event not listed": {func(db *DB, f *fleet) { raw(t, db, append(underKey(prefixByHost, f.hosts[0]), risingID(1)...), nil) }, "this row of its index is missing"},
		"delivery lost":    {func(db *DB, f *fleet) { raw(t, db, sequenceKey(prefixDelivery, 1), nil) }, "the record is missing"},
		"not pending":      {func(db *DB, f *fleet) { raw(t, db, sequenceKey(prefixPending, 1), nil) }, "this row of its index is missing"},
		"body":             {func(db *DB, f *fleet) { spoilBlob(t, db, f.last[f.hosts[0]]) }, "checksum mismatch in chunk 0"},
	} {
		db, f, _ := threeBatches(t, 0)
		c.spoil(db, f)
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		s, err := Check(db.dir)
		got := strings.Join(s.Problems, "\n")
		if err != nil || !strings.Contains(got, c.want) || (c.want == "") != (got == "") {
			t.Errorf("%s: %q, %v; want %q", name, got, err, c.want)
		}
	}
}

// swap puts one host's sealed state under another's key.
func swap(t *testing.T, db *DB, f *fleet) {
	t.Helper()
	var v []byte
	err := db.state.View(func(txn *badger.Txn) error {
		item, err := txn.Get(textKey(prefixState, f.hosts[0]))
		if err != nil {
			return err
		}
		v, err = item.ValueCopy(nil)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	raw(t, db, textKey(prefixState, f.hosts[1]), bytes.Clone(v))
}

// A day that somebody removed by hand does not stop the reports of that day.
func TestRemovedDayIsBegunAgain(t *testing.T) {
	db, f, days := threeDays(t)
	db.Close()
	if err := os.RemoveAll(db.history.path(days[2])); err != nil {
		t.Fatal(err)
	}
	db = openTest(t, db.dir)
	f.at = f.at.AddDate(0, 0, -1)
	write(t, db, f.report(10))
	if _, err := db.Report(f.hosts[0], f.of[f.hosts[0]][3]); err != nil {
		t.Error(err)
	}
}
