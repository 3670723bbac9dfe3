package storage

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"felhom.eu/messages"
)

// midFlush is a store whose state and day were killed between the writing of a
// table and its entry in the MANIFEST: the log that is in the table is there,
// too, and a newer log behind it. Also returns the MANIFESTs as they would have
// been, by directory.
func midFlush(t testing.TB) (string, *fleet, map[string][]byte) {
	t.Helper()
	dir := t.TempDir()
	db := openTest(t, dir)
	f := newFleet(3)
	write(t, db, f.mint())
	for range 4 {
		write(t, db, f.report(700))
	}
	before := crash(t, dir)
	if err := db.Close(); err != nil { // memtables become tables
		t.Fatal(err)
	}
	db = openTest(t, dir)
	for range 3 {
		write(t, db, f.report(700))
	}
	if err := db.saveMarks(); err != nil {
		t.Fatal(err)
	}
	after := crash(t, dir)
	named := map[string][]byte{}
	for _, part := range parts(t, after) {
		rel, _ := filepath.Rel(after, part)
		old := filepath.Join(before, rel)
		var err error
		if named[rel], err = os.ReadFile(filepath.Join(part, manifestName)); err != nil {
			t.Fatal(err)
		}
		must(t, os.Rename(part+"/00001.mem", part+"/00002.mem"))
		must(t, copySparse(part+"/00001.mem", old+"/00001.mem"))
		must(t, copySparse(filepath.Join(part, manifestName), filepath.Join(old, manifestName)))
	}
	return after, f, named
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// parts is the directory of each Badger in a store: its state, then its days.
func parts(t testing.TB, dir string) []string {
	t.Helper()
	days, err := filepath.Glob(filepath.Join(dir, historyDir, "*"))
	must(t, err)
	return append([]string{filepath.Join(dir, stateDir)}, days...)
}

func asideIn(t testing.TB, dir string) []string {
	t.Helper()
	aside, err := filepath.Glob(filepath.Join(dir, historyDir, "*"+damagedSuffix+"*"))
	must(t, err)
	return aside
}

// What a kill leaves inside a Badger, at whatever instant, is no damage: the
// store opens, nothing is lost, and no day is moved aside. Each state is made by
// hand, in state/ and in the day's store at once; DESIGN.md has the list.
func TestKillsInsideBadgerAreNoDamage(t *testing.T) {
	dir, f, named := midFlush(t)
	empty := func(name string) func(string, []byte) error {
		return func(part string, _ []byte) error { return os.WriteFile(filepath.Join(part, name), nil, 0o600) }
	}
	for name, leave := range map[string]func(part string, named []byte) error{
		"table not named yet":        func(string, []byte) error { return nil },
		"table half written":         func(part string, _ []byte) error { return os.Truncate(part+"/000001.sst", 100) },
		"table without a length":     func(part string, _ []byte) error { return os.Truncate(part+"/000001.sst", 0) },
		"table replaced, not gone":   func(part string, _ []byte) error { return copySparse(part+"/000099.sst", part+"/000001.sst") },
		"entry of the MANIFEST torn": func(part string, named []byte) error { return putManifest(part, named[:len(named)-5]) },
		"table named, log not gone":  putManifest,
		"log being removed": func(part string, named []byte) error {
			return errors.Join(putManifest(part, named), os.Truncate(part+"/00001.mem", 0))
		},
		"log being made":           empty("00003.mem"),
		"log begun":                func(part string, _ []byte) error { return os.WriteFile(part+"/00003.mem", make([]byte, 1<<20), 0o600) },
		"value log being made":     empty("000003.vlog"),
		"value log being removed":  empty("000000.vlog"),
		"MANIFEST being rewritten": empty("MANIFEST-REWRITE"),
		"all that is new, at once": func(part string, named []byte) error {
			return errors.Join(empty("00003.mem")(part, named), empty("000003.vlog")(part, named))
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := crash(t, dir)
			for _, part := range parts(t, dir) {
				rel, _ := filepath.Rel(dir, part)
				must(t, leave(part, named[rel]))
			}
			for range 2 { // the first start leaves nothing behind that stops the second
				f.verifyWhole(t, openTest(t, dir))
			}
			if aside := asideIn(t, dir); len(aside) > 0 {
				t.Errorf("moved aside: %v", aside)
			}
		})
	}
}

// verifyWhole is verify for a store that was opened after a kill: it lost nothing, its
// last day takes more, and it closes.
func (f *fleet) verifyWhole(t *testing.T, db *DB) {
	t.Helper()
	if lost := db.Recovery().Lost; len(lost) > 0 {
		t.Errorf("lost %v", lost)
	}
	f.verify(t, db)
	if _, err := db.storeOf(f.last[f.hosts[0]].Day); err != nil { // as WriteBodies does
		t.Error(err)
	}
	must(t, db.Close())
}

func putManifest(part string, b []byte) error {
	return os.WriteFile(filepath.Join(part, manifestName), b, 0o600)
}

// A new store or a new day that a kill cut short at any file is begun again.
func TestKillsOfAFirstStart(t *testing.T) {
	for _, made := range [][]string{
		{},
		{"LOCK"},
		{"MANIFEST-REWRITE"},
		{"MANIFEST"},
		{"MANIFEST", "KEYREGISTRY", "00001.mem"},
		{"MANIFEST", "KEYREGISTRY", "00001.mem", "DISCARD"},
		{"MANIFEST", "KEYREGISTRY", "00001.mem", "DISCARD", "000001.vlog"},
	} {
		whole := t.TempDir()
		db := openTest(t, whole)
		if _, err := db.storeOf(newFleet(1).empty().Day()); err != nil {
			t.Fatal(err)
		}
		whole = crash(t, whole)
		dir := t.TempDir()
		for _, part := range parts(t, whole) {
			rel, _ := filepath.Rel(whole, part)
			to := filepath.Join(dir, rel)
			must(t, os.MkdirAll(to, 0o700))
			for i, name := range made {
				must(t, copySparse(filepath.Join(to, name), filepath.Join(whole, rel, "MANIFEST")))
				if name == "KEYREGISTRY" {
					must(t, copySparse(filepath.Join(to, name), filepath.Join(whole, rel, name)))
				}
				if filepath.Ext(name) != "" || name == "DISCARD" {
					size := int64(0) // the last one has its name and no length
					if i < len(made)-1 {
						size = 1 << 20
					}
					must(t, os.Truncate(filepath.Join(to, name), 0))
					must(t, os.Truncate(filepath.Join(to, name), size))
				}
			}
		}
		must(t, writeFormat(filepath.Join(dir, "format.json"), formatVersion))
		db = openTest(t, dir)
		f := newFleet(2)
		write(t, db, f.mint())
		write(t, db, f.report(100))
		f.verify(t, db)
		if aside := asideIn(t, dir); len(aside) > 0 {
			t.Errorf("%v: moved aside: %v", made, aside)
		}
	}
}

// A log that lost what was in it, or a MANIFEST that lost its end, is not taken
// for a kill: state/ is refused and nothing is changed.
func TestLostLogIsNotTakenForAKill(t *testing.T) {
	dir, _, _ := midFlush(t)
	for name, spoil := range map[string]func(part string) error{
		"log emptied":        func(p string) error { return errors.Join(os.Remove(p+"/000001.sst"), os.Truncate(p+"/00001.mem", 0)) },
		"log cut off":        func(p string) error { return errors.Join(os.Remove(p+"/000001.sst"), os.Truncate(p+"/00001.mem", 500)) },
		"log missing":        func(p string) error { return errors.Join(os.Remove(p+"/000001.sst"), os.Remove(p+"/00001.mem")) },
		"table not named":    func(p string) error { return os.Remove(p + "/00001.mem") },
		"nor is any log":     func(p string) error { return errors.Join(os.Remove(p+"/00001.mem"), os.Remove(p+"/00002.mem")) },
		"no MANIFEST":        func(p string) error { return os.Remove(p + "/MANIFEST") },
		"nothing there":      func(p string) error { return errors.Join(os.RemoveAll(p), os.Mkdir(p, 0o700)) },
		"MANIFEST cut short": func(p string) error { return os.Truncate(p+"/MANIFEST", 7) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := crash(t, dir)
			must(t, spoil(filepath.Join(dir, stateDir)))
			before := listing(t, dir)
			if _, err := Open(dir, smallOptions(t)); !errors.Is(err, ErrCorrupt) {
				t.Errorf("open: %v", err)
			}
			if after := listing(t, dir); after != before {
				t.Errorf("a refused start made\n%sof\n%s", after, before)
			}
		})
	}
}

// listing is the names in state/, with the lengths of the logs.
func listing(t *testing.T, dir string) (all string) {
	entries, err := os.ReadDir(filepath.Join(dir, stateDir))
	must(t, err)
	for _, e := range entries {
		info, err := e.Info()
		must(t, err)
		all += e.Name()
		if info.Size() == 0 {
			all += " empty"
		}
		all += "\n"
	}
	return all
}

// A day is moved aside only when opening it would delete what is in it; when a
// log or a value log is gone, the rest of the day can still be read, and what is
// lost reads as corrupt.
func TestDayIsMovedAsideAsALastResort(t *testing.T) {
	dir, f, _ := midFlush(t)
	for name, c := range map[string]struct {
		spoil func(part string) error
		aside bool
	}{
		"log emptied":       {func(p string) error { return errors.Join(os.Remove(p+"/000001.sst"), os.Truncate(p+"/00001.mem", 0)) }, false},
		"log missing":       {func(p string) error { return errors.Join(os.Remove(p+"/000001.sst"), os.Remove(p+"/00001.mem")) }, false},
		"value log emptied": {func(p string) error { return os.Truncate(p+"/000001.vlog", 0) }, false},
		"table not named":   {func(p string) error { return os.Remove(p + "/00001.mem") }, true},
	} {
		t.Run(name, func(t *testing.T) {
			dir := crash(t, dir)
			must(t, c.spoil(parts(t, dir)[1]))
			db := openTest(t, dir)
			if _, err := db.storeOf(f.last[f.hosts[0]].Day); err != nil { // as WriteBodies does
				t.Fatal(err)
			}
			rows, _, err := db.Reports(f.hosts[0], messages.ReportRef{}, 0)
			if want := 3; !c.aside && len(rows) != want || !errors.Is(err, ErrCorrupt) {
				t.Errorf("%d reports, %v; want %d and what was lost", len(rows), err, want)
			}
			aside := asideIn(t, dir)
			if (len(aside) > 0) != c.aside {
				t.Errorf("moved aside: %v", aside)
			}
			if c.aside {
				if _, err := os.Stat(aside[0] + "/000001.sst"); err != nil {
					t.Errorf("what was moved aside is not whole: %v", err)
				}
			}
		})
	}
}

// A day that the machine cannot open now, for want of file descriptors, say, is
// not damaged: it stays where it is and opens later.
func TestDayThatCannotBeOpenedNowStays(t *testing.T) {
	dir, f, _ := midFlush(t)
	db := openTest(t, dir)
	db.history.closeIdle(time.Now().Add(time.Hour))
	day := f.last[f.hosts[0]].Day
	manifest := filepath.Join(db.history.path(day), manifestName)
	must(t, os.Rename(manifest, manifest+".away"))
	must(t, os.Symlink(manifestName, manifest)) // to itself: an error of the system, for root too
	if _, err := db.storeOf(day); err == nil || errors.Is(err, ErrCorrupt) {
		t.Errorf("open: %v", err)
	}
	must(t, os.Rename(manifest+".away", manifest))
	if _, err := db.storeOf(day); err != nil {
		t.Error(err)
	}
	f.verify(t, db)
	if aside := asideIn(t, dir); len(aside) > 0 {
		t.Errorf("moved aside: %v", aside)
	}
}
