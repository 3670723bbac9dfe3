package storage

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"felhom.eu/messages"
)

func backupOf(t testing.TB, db *DB) []byte {
	t.Helper()
	var b bytes.Buffer
	if _, err := db.Backup(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// A backup taken while the hub writes on is the store as of its beginning, and
// restores to it, ready to be written to.
func TestBackupRestoresWhatWasThere(t *testing.T) {
	dir, f := crashed(t)
	db := openTest(t, dir)
	want := *f
	b := &onFirstWrite{then: func() { write(t, db, newBatchAfter(f)) }}
	m, err := db.Backup(t.Context(), b)
	if err != nil || m.Batch != want.sequence || m.Hosts != 8 || m.Rows == 0 || m.Blobs != 15 || m.Damaged != 0 {
		t.Fatalf("backup: %+v, %v", m, err)
	}
	to := filepath.Join(t.TempDir(), "new", "store")
	got, err := Restore(t.Context(), bytes.NewReader(b.Bytes()), to)
	if err != nil || got != m {
		t.Fatalf("restore: %+v, %v; want %+v", got, err, m)
	}
	if s, err := Check(to); err != nil || len(s.Problems) > 0 || s.Reports != 8*15 {
		t.Errorf("check: %v, %v, %v", s.String(), s.Problems, err)
	}
	re := openTest(t, to)
	if r := re.Recovery(); len(r.Lost) > 0 || r.BatchSequence != want.sequence {
		t.Errorf("recovery: %+v", r)
	}
	want.verify(t, re)
	write(t, re, want.report(50))
	want.verify(t, re)
	if rest, _ := filepath.Glob(filepath.Join(filepath.Dir(to), "*restoring*")); len(rest) > 0 {
		t.Errorf("left behind: %v", rest)
	}
}

// onFirstWrite is a buffer that does something when it is first written to.
type onFirstWrite struct {
	bytes.Buffer
	then func()
}

func (w *onFirstWrite) Write(p []byte) (int, error) {
	if w.then != nil {
		w.then()
		w.then = nil
	}
	return w.Buffer.Write(p)
}

// newBatchAfter is a further batch that the fleet does not remember.
func newBatchAfter(f *fleet) *messages.Batch {
	b := (&fleet{sequence: f.sequence, at: f.at}).empty()
	b.PutCustomers = []messages.Customer{{ID: "late"}}
	return b
}

// Any flipped bit and any cut of a backup is noticed. One round flips one bit of
// each byte, eight flip all.
func TestEveryDamageOfABackupIsSeen(t *testing.T) {
	whole := smallBackup(t)
	if err := drain(whole); err != nil {
		t.Fatal(err)
	}
	for i := range whole {
		if err := drain(whole[:i]); !errors.Is(err, ErrCorrupt) {
			t.Errorf("cut at %d of %d: %v", i, len(whole), err)
		}
		for round := range min(8, *rounds) {
			bit := (i + round) % 8
			whole[i] ^= 1 << bit
			if err := drain(whole); !errors.Is(err, ErrCorrupt) {
				t.Errorf("bit %d of byte %d flipped: %v", bit, i, err)
			}
			whole[i] ^= 1 << bit
		}
	}
}

func smallBackup(t *testing.T) []byte {
	db := openTest(t, t.TempDir())
	f := newFleet(1)
	write(t, db, f.mint())
	write(t, db, f.report(60))
	return backupOf(t, db)
}

// drain reads a backup to its end.
func drain(b []byte) error {
	in, err := newBackupReader(bytes.NewReader(b))
	for err == nil {
		var kind byte
		if kind, _, _, err = in.next(); kind == backupTrailer {
			return in.end()
		}
	}
	return err
}

// A damaged backup is refused before the directory is touched, and leaves
// nothing behind.
func TestDamagedBackupIsRefused(t *testing.T) {
	whole := smallBackup(t)
	r := rand.New(rand.NewPCG(1, 2))
	damaged := [][]byte{nil, append(bytes.Clone(whole), 0)}
	for range 2 * *rounds {
		b := bytes.Clone(whole)
		b[r.IntN(len(b))] ^= 1 << r.IntN(8)
		damaged = append(damaged, b, whole[:r.IntN(len(whole))])
	}
	parent := t.TempDir()
	to := filepath.Join(parent, "store")
	for i, b := range damaged {
		if _, err := Restore(t.Context(), bytes.NewReader(b), to); !errors.Is(err, ErrCorrupt) {
			t.Errorf("damage %d: %v", i, err)
		}
	}
	if left, err := os.ReadDir(parent); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if _, err := Restore(t.Context(), bytes.NewReader(whole), to); err != nil {
		t.Errorf("the whole one: %v", err)
	}
}

// A restore does not go over something that is there.
func TestRestoreNeedsAnEmptyDirectory(t *testing.T) {
	db := openTest(t, t.TempDir())
	b := backupOf(t, db)
	dir := t.TempDir()
	if _, err := Restore(t.Context(), bytes.NewReader(b), dir); err != nil {
		t.Errorf("into an empty directory: %v", err)
	}
	if _, err := Restore(t.Context(), bytes.NewReader(b), dir); !errors.Is(err, ErrNotEmpty) {
		t.Errorf("over a store: %v", err)
	}
}

// A backup ends when its reader is gone.
func TestBackupEndsWithItsContext(t *testing.T) {
	db := openTest(t, t.TempDir())
	write(t, db, newFleet(1).mint())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := db.Backup(ctx, &bytes.Buffer{}); !errors.Is(err, context.Canceled) {
		t.Errorf("backup: %v", err)
	}
}

// Reports that cannot be read any more are counted and left out; they must not
// cost the backup of everything else. A row that cannot be read fails it.
func TestBackupOfADamagedStore(t *testing.T) {
	db := openTest(t, t.TempDir())
	f := newFleet(1)
	write(t, db, f.mint())
	write(t, db, f.report(100))
	write(t, db, f.report(100))
	spoilBlob(t, db, f.last[f.hosts[0]])
	m, err := db.Backup(t.Context(), &bytes.Buffer{})
	if err != nil || m.Damaged != 1 || m.Blobs != 1 {
		t.Errorf("backup: %+v, %v", m, err)
	}
	raw(t, db, textKey(prefixCustomer, "acme"), []byte("rubbish"))
	if _, err := db.Backup(t.Context(), &bytes.Buffer{}); !errors.Is(err, ErrCorrupt) {
		t.Errorf("backup: %v", err)
	}
}
