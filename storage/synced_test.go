package storage

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/dgraph-io/badger/v4"
)

// Bodies that the disk does not take are not acknowledged, though Badger has them.
func TestBodiesThatAreNotSyncedAreRefused(t *testing.T) {
	for name, log := range map[string]func(*synced) *tail{
		"values":   func(s *synced) *tail { return &s.values },
		"memtable": func(s *synced) *tail { return &s.logs },
	} {
		t.Run(name, func(t *testing.T) {
			db := openTest(t, t.TempDir())
			f := newFleet(2)
			write(t, db, f.mint())
			write(t, db, f.report(700))
			must(t, log(db.today.db).file.Close())
			b := f.report(700)
			if err := db.WriteBodies(b); err == nil {
				t.Fatal("acknowledged")
			}
			if err := db.WriteState(b); err == nil {
				t.Error("the store goes on")
			}
		})
	}
}

// A state that the disk does not take is not acknowledged.
func TestStateThatIsNotSyncedIsRefused(t *testing.T) {
	db := openTest(t, t.TempDir())
	f := newFleet(2)
	write(t, db, f.mint())
	must(t, db.state.logs.file.Close())
	b := f.report(700)
	must(t, db.WriteBodies(b))
	if err := db.WriteState(b); err == nil {
		t.Error("acknowledged")
	}
}

// What is synced is what Badger writes to, whenever it begins a new log: a batch
// that fills one is in it, or in the next.
func TestSyncFollowsTheLogs(t *testing.T) {
	o := tinyOptions()
	tiny := o.tune
	o.tune = func(o badger.Options) badger.Options {
		o = tiny(o)
		if filepath.Base(o.Dir) != stateDir { // a row a batch: it would take hours to fill
			o.MemTableSize = 8 << 10
		}
		return o
	}
	db, err := Open(t.TempDir(), o)
	must(t, err)
	defer db.Close()
	f := newFleet(8)
	write(t, db, f.mint())
	begun := map[string]bool{}
	for range 150 {
		write(t, db, f.report(2000))
		for _, s := range []*synced{db.state, db.today.db} {
			files, err := filesIn(s.Opts().Dir)
			must(t, err)
			for held, newest := range map[*tail]string{&s.logs: files.logs[len(files.logs)-1], &s.values: files.values[len(files.values)-1]} {
				begun[newest] = true
				if filepath.Ext(newest) == ".vlog" && s == db.state {
					continue // nothing goes there
				}
				if held.file.Name() != newest {
					t.Fatalf("batch %d: synced %s, there is %s", f.sequence, held.file.Name(), newest)
				}
			}
		}
	}
	for _, pattern := range []string{"state/*.mem", "history/*/*.mem", "history/*/*.vlog"} {
		n := 0
		for path := range begun {
			if ok, _ := filepath.Match(filepath.Join(db.dir, pattern), path); ok {
				n++
			}
		}
		if n < 2 {
			t.Errorf("%d logs like %s: none was filled", n, pattern)
		}
	}
}

// A power cut between the sync of a batch's keys and that of its bodies leaves
// keys without values. Nobody was answered: it is no damage, before the next
// start and after it, and the sequence is used again.
func TestKeysWithoutBodiesAreNoDamage(t *testing.T) {
	dir := t.TempDir()
	db := openTest(t, dir)
	f := newFleet(2)
	write(t, db, f.mint())
	last := f.report(700)
	write(t, db, last)
	day := db.history.path(db.today.day)
	values := filepath.Join(day, "000001.vlog")
	whole := len(used(t, values))
	must(t, db.WriteBodies(next(last, 1)))
	cut := crash(t, dir)
	rel, err := filepath.Rel(dir, values)
	must(t, err)
	must(t, os.Truncate(filepath.Join(cut, rel), int64(whole)))

	if s, err := Check(cut); err != nil || len(s.Problems) > 0 {
		t.Errorf("before the start: %v, %v", s.Problems, err)
	}
	db = openTest(t, cut)
	if lost := db.Recovery().Lost; len(lost) > 0 {
		t.Errorf("lost %v", lost)
	}
	f.at = f.at.AddDate(0, 0, 1) // the next batch is in another day
	write(t, db, f.report(700))
	f.verify(t, db)
	must(t, db.Close())
	if s, err := Check(cut); err != nil || len(s.Problems) > 0 {
		t.Errorf("after it: %v, %v", s.Problems, err)
	}
}
