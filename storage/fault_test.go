package storage

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"felhom.eu/messages"
)

// crash copies a store's directory as it is: what a kill -9 leaves behind.
// Badger's files have holes, which stay holes.
func crash(t testing.TB, dir string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "copy")
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(dir, path)
		if e.IsDir() {
			return os.MkdirAll(filepath.Join(to, rel), 0o700)
		}
		return copySparse(filepath.Join(to, rel), path)
	})
	if err != nil {
		t.Fatal(err)
	}
	return to
}

func copySparse(to, from string) error {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := os.Create(to)
	if err != nil {
		return err
	}
	defer dst.Close()
	info, err := src.Stat()
	if err != nil {
		return err
	}
	for at := int64(0); at < info.Size(); {
		data, err := unix.Seek(int(src.Fd()), at, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) {
			break
		}
		hole, err2 := unix.Seek(int(src.Fd()), data, unix.SEEK_HOLE)
		if err := errors.Join(err, err2); err != nil {
			return err
		}
		if _, err := io.Copy(io.NewOffsetWriter(dst, data), io.NewSectionReader(src, data, hole-data)); err != nil {
			return err
		}
		at = hole
	}
	return dst.Truncate(info.Size())
}

// crashed is a store that was killed with tables, logs and two days, and the
// fleet that is in it.
func crashed(t testing.TB) (string, *fleet) {
	t.Helper()
	dir := t.TempDir()
	db := openTest(t, dir)
	f := newFleet(8)
	write(t, db, f.mint())
	for range 6 {
		write(t, db, f.report(700))
	}
	if err := db.Close(); err != nil { // memtables become tables
		t.Fatal(err)
	}
	db = openTest(t, dir)
	for range 3 {
		write(t, db, f.report(700))
	}
	f.at = f.at.AddDate(0, 0, 1)
	for range 6 {
		write(t, db, f.report(700))
	}
	if err := db.saveMarks(); err != nil {
		t.Fatal(err)
	}
	return crash(t, dir), f
}

// A kill -9 loses nothing that was written.
func TestNothingIsLostByAKill(t *testing.T) {
	dir, f := crashed(t)
	db := openTest(t, dir)
	if r := db.Recovery(); len(r.Lost) > 0 {
		t.Errorf("lost %v", r.Lost)
	}
	f.verify(t, db)
	write(t, db, f.report(100))
	f.verify(t, db)
}

// A store that could not write is left as a kill leaves it: Badger would try for
// ever to write its tables. Nothing is lost by that.
func TestFailedStoreIsLeftAlone(t *testing.T) {
	dir := t.TempDir()
	db, err := Open(dir, smallOptions(t))
	if err != nil {
		t.Fatal(err)
	}
	f := newFleet(3)
	write(t, db, f.mint())
	write(t, db, f.report(700))
	db.fail(errors.New("input/output error"))
	if err := db.Close(); err != nil {
		t.Error(err)
	}
	if db.state.IsClosed() {
		t.Error("Badger was closed")
	}
	f.verify(t, openTest(t, crash(t, dir)))
	if err := db.state.Close(); err != nil { // for the test's folder
		t.Error(err)
	}
	db.history.closeAll()
}

// used is what a file holds before its first hole and the zeros there.
func used(t *testing.T, path string) []byte {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	end, err := unix.Seek(int(f.Fd()), 0, unix.SEEK_HOLE)
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, end)
	if _, err := f.ReadAt(b, 0); err != nil {
		t.Fatal(err)
	}
	return bytes.TrimRight(b, "\x00")
}

func overwrite(path string, b []byte) error { return overwriteAt(path, b, 0) }

type fault struct {
	name  string
	apply func(r *rand.Rand, b []byte) []byte // nil: the file is removed
}

var (
	flipBit = fault{"bit flipped", func(r *rand.Rand, b []byte) []byte {
		b[r.IntN(len(b))] ^= 1 << r.IntN(8)
		return b
	}}
	cutOff = fault{"cut off", func(r *rand.Rand, b []byte) []byte { return b[:r.IntN(len(b))] }}
	zeroed = fault{"zeroed", func(r *rand.Rand, b []byte) []byte {
		at := r.IntN(len(b))
		clear(b[at:min(len(b), at+512)])
		return b
	}}
	removed = fault{"removed", func(*rand.Rand, []byte) []byte { return nil }}
)

// One fault of the disk is noticed, whatever it hits: the start is refused, or
// a loss is told, or reading the record says that it is corrupt. Nothing reads
// back as something else, and nothing is missing without a word.
func TestNoFaultIsSilent(t *testing.T) {
	dir, f := crashed(t)
	seed := uint64(1)
	for _, file := range []string{"state/*.sst", "state/*.mem", "state/MANIFEST", "state/KEYREGISTRY", "state/*.vlog",
		"history/*/*.sst", "history/*/*.mem", "history/*/*.vlog", "history/*/MANIFEST", "hwm.json", "format.json"} {
		for _, fl := range []fault{flipBit, cutOff, zeroed, removed} {
			for round := range *rounds {
				if round > 0 && fl.name == removed.name {
					break
				}
				seed++
				t.Run(fmt.Sprintf("%s %s seed %d", file, fl.name, seed), func(t *testing.T) {
					t.Parallel()
					strike(t, crash(t, dir), file, fl, seed, f)
				})
			}
		}
	}
}

func strike(t *testing.T, dir, pattern string, fl fault, seed uint64, f *fleet) {
	r := rand.New(rand.NewPCG(seed, 0))
	paths, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no %s: %v", pattern, err)
	}
	path := paths[r.IntN(len(paths))]
	b := used(t, path)
	before := bytes.Clone(b)
	switch b = fl.apply(r, b); {
	case b == nil:
		err = os.Remove(path)
	case bytes.Equal(before, b):
		t.Skip("the fault changed nothing")
	case len(b) < len(before):
		err = os.Truncate(path, int64(len(b)))
	default:
		err = overwrite(path, b)
	}
	if err != nil {
		t.Fatal(err)
	}
	tables, _ := filepath.Glob(filepath.Join(dir, "state/*.sst"))
	db, err := Open(dir, smallOptions(t))
	if err != nil {
		if !errors.Is(err, ErrCorrupt) {
			t.Errorf("open: %v, which is no ErrCorrupt", err)
		}
		for _, p := range tables {
			if _, err := os.Stat(p); err != nil {
				t.Errorf("a refused start removed %s", p)
			}
		}
		t.Log("refused:", err)
		return
	}
	defer db.Close()
	t.Log("opened, lost:", db.Recovery().Lost)
	audit(t, db, f)
}

// audit is verify for a damaged store: what is told is told, what is read must
// be right.
func audit(t *testing.T, db *DB, f *fleet) {
	told := len(db.Recovery().Lost) > 0
	note := func(what string, err error) bool {
		switch {
		case err == nil:
			return true
		case errors.Is(err, ErrCorrupt):
			t.Log("corrupt:", err)
		case errors.Is(err, ErrNotFound) && told:
		default:
			t.Errorf("%s: %v", what, err)
		}
		return false
	}
	for i, id := range f.hosts {
		h, err := db.Host(id)
		if note("host", err) && h.CustomerID != "acme" {
			t.Errorf("host %s is %+v", id, h)
		}
		s, err := db.HostState(id)
		if note("state", err) && s.Last != f.last[id] && !told {
			t.Errorf("state of %s is old and nothing was said: %+v", id, s)
		}
		keys, err := db.Keys(id)
		if note("keys", err) && len(keys) != 1 && !told {
			t.Errorf("%d keys of %s and nothing was said", len(keys), id)
		}
		for _, k := range keys {
			if k.Hash != (messages.KeyHash{byte(i), 1}) {
				t.Errorf("key of %s is %x", id, k.Hash[:])
			}
		}
		rows, _, err := db.Reports(id, messages.ReportRef{}, 0)
		if note("reports", err) && len(rows) != len(f.of[id]) && !told {
			t.Errorf("%d reports of %s, want %d, and nothing was said", len(rows), id, len(f.of[id]))
		}
		for _, r := range rows {
			body, err := db.body(r.Ref)
			if note("body", err) && string(body) != f.bodies[r.ID] {
				t.Errorf("body of %s is %.60q", r.ID, body)
			}
		}
	}
	for n := uint64(1); n <= f.events; n++ {
		e, err := db.Event(messages.EventID(risingID(n)))
		if note("event", err) && e.Sequence != n {
			t.Errorf("event %d is %+v", n, e)
		}
		d, err := db.Delivery(messages.DeliveryID(risingID(n)))
		if note("delivery", err) && d.Sequence != n {
			t.Errorf("delivery %d is %+v", n, d)
		}
	}
}

// A start without its MANIFEST would delete every table; it is refused and the
// tables stay.
func TestMissingManifestIsRefused(t *testing.T) {
	dir, _ := crashed(t)
	if err := os.Remove(filepath.Join(dir, "state", "MANIFEST")); err != nil {
		t.Fatal(err)
	}
	_, err := Open(dir, smallOptions(t))
	if !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), "restore the last backup") {
		t.Errorf("open: %v", err)
	}
	if tables, _ := filepath.Glob(filepath.Join(dir, "state", "*.sst")); len(tables) == 0 {
		t.Error("the tables are gone")
	}
}

// A log that lost its end is told with the exact ranges, the sequences go on
// behind them, and it is told once.
func TestLostTailIsToldWithItsRanges(t *testing.T) {
	dir, f := crashed(t)
	logs, _ := filepath.Glob(filepath.Join(dir, "state", "*.mem"))
	for _, p := range logs {
		if err := os.Remove(p); err != nil {
			t.Fatal(err)
		}
	}
	db := openTest(t, dir)
	r := db.Recovery()
	want := []string{"batches 8 to 16", "events 7 to 15", "deliveries 7 to 15"}
	if got := fmt.Sprint(r.Lost); got != fmt.Sprint(want) {
		t.Errorf("lost %v, want %v", got, want)
	}
	if r.BatchSequence != 16 || r.EventSequence != 15 || r.DeliverySequence != 15 {
		t.Errorf("the sequences go on at %+v", r)
	}
	write(t, db, f.report(100))
	db.Close()
	db = openTest(t, dir)
	if r := db.Recovery(); len(r.Lost) > 0 {
		t.Errorf("told again: %v", r.Lost)
	}
	if all, err := db.Losses(); err != nil || len(all) != 3 {
		t.Errorf("losses on record: %v, %v", all, err)
	}
}
