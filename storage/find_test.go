package storage

import (
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"

	"felhom.eu/messages"
)

// dated gives a batch's reports the ids that a hub would give them.
func dated(b *messages.Batch, entropy *ulid.MonotonicEntropy) *messages.Batch {
	for i := range b.Reports {
		b.Reports[i].ID = messages.ReportID(ulid.MustNew(ulid.Timestamp(b.At), entropy).String())
	}
	return b
}

// searched is a store of three days and what is in it. Some batches bring no
// report, and one was not finished.
func searched(t testing.TB, batches int) (db *DB, all []messages.StoredReport, at map[messages.ReportID]messages.ReportRef) {
	t.Helper()
	dir := t.TempDir()
	db = openTest(t, dir)
	f, r, entropy := newFleet(5), rand.New(rand.NewPCG(1, 2)), ulid.Monotonic(rand.NewChaCha8([32]byte{}), 0)
	at = map[messages.ReportID]messages.ReportRef{}
	write(t, db, f.mint())
	var last *messages.Batch
	for n := range batches {
		if n%(batches/3+1) == batches/3 {
			f.at = f.at.Add(24 * time.Hour)
		}
		if r.IntN(3) == 0 {
			write(t, db, f.empty())
			continue
		}
		last = dated(f.report(20), entropy)
		write(t, db, last)
		for i, v := range last.Reports {
			all = append(all, v)
			at[v.ID] = messages.ReportRef{Day: last.Day(), Batch: last.Sequence, Entry: uint32(i)}
		}
	}
	must(t, db.WriteBodies(dated(next(last, f.sequence+1-last.Sequence), entropy)))
	must(t, db.Close())
	return openTest(t, dir), all, at
}

// Every report is found by its id, in its own place, and no other is.
func TestFindByID(t *testing.T) {
	db, all, at := searched(t, 120)
	for _, v := range all {
		if got, err := db.find(v.Subject(), v.ID); err != nil || got != at[v.ID] {
			t.Fatalf("%s: %v, %v; want %v", v.ID, got, err, at[v.ID])
		}
		if body, err := db.Report(v.HostID, v.ID); err != nil || string(body) != string(v.Body) {
			t.Fatalf("%s: %.40q, %v", v.ID, body, err)
		}
		if got, err := db.find("acme-ffffffff", v.ID); !errors.Is(err, ErrNotFound) {
			t.Fatalf("another's %s: %v, %v", v.ID, got, err)
		}
		id := ulid.MustParse(string(v.ID))
		id[15]++ // the next one's is further away
		if got, err := db.find(v.Subject(), messages.ReportID(id.String())); !errors.Is(err, ErrNotFound) {
			t.Fatalf("beside %s: %v, %v", v.ID, got, err)
		}
	}
	for _, id := range []messages.ReportID{"", "no id", "00000000000000000000000000", "7ZZZZZZZZZZZZZZZZZZZZZZZZZ"} {
		if got, err := db.find("acme-00000001", id); !errors.Is(err, ErrNotFound) {
			t.Errorf("%q: %v, %v", id, got, err)
		}
	}
}

// BenchmarkOldestReport reads a host's first report of 3,000, by its id and by
// walking back to it.
func BenchmarkOldestReport(b *testing.B) {
	db, all, at := searched(b, 4500)
	b.Run("id", func(b *testing.B) {
		for b.Loop() {
			if _, err := db.Report(all[0].HostID, all[0].ID); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("walk", func(b *testing.B) {
		for b.Loop() {
			rows, _, err := db.Reports(all[0].HostID, messages.ReportRef{}, 0)
			if err != nil || rows[len(rows)-1].Ref != at[all[0].ID] {
				b.Fatal(err)
			}
		}
	})
}
