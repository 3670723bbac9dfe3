package storage

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/dgraph-io/badger/v4/pb"
	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/proto"
)

// addChanges ends a MANIFEST with a change set, as Badger's compaction does:
// tables at level 6 in place of others.
func addChanges(t testing.TB, manifest []byte, created, deleted []uint64) []byte {
	t.Helper()
	var s pb.ManifestChangeSet
	for _, id := range created {
		s.Changes = append(s.Changes, &pb.ManifestChange{Id: id, Op: pb.ManifestChange_CREATE, Level: 6})
	}
	for _, id := range deleted {
		s.Changes = append(s.Changes, &pb.ManifestChange{Id: id, Op: pb.ManifestChange_DELETE})
	}
	b, err := proto.Marshal(&s)
	must(t, err)
	manifest = binary.BigEndian.AppendUint32(manifest[:len(manifest):len(manifest)], uint32(len(b)))
	manifest = binary.BigEndian.AppendUint32(manifest, crc32.Checksum(b, castagnoli))
	return append(manifest, b...)
}

// When the sync of its MANIFEST fails, Badger removes the tables that it said are
// there, keeps those that it said are gone, and leaves the change set in the file.
// What they hold is in the log or in the tables that are there: the store opens,
// nothing is lost, and no day is moved aside.
func TestChangesThatFailedAreTakenBack(t *testing.T) {
	dir, f, named := midFlush(t)
	flush := func(part string, named []byte) error {
		return errors.Join(putManifest(part, named), os.Remove(part+"/000001.sst"))
	}
	compact := func(part string, named []byte) error { // of a table whose log is gone
		return errors.Join(putManifest(part, addChanges(t, named, []uint64{2, 3}, []uint64{1})), os.Remove(part+"/00001.mem"))
	}
	for name, leave := range map[string]func(part string, named []byte) error{
		"flush": flush,
		"flush, tried again": func(part string, named []byte) error {
			return flush(part, addChanges(t, addChanges(t, named, []uint64{2}, nil), []uint64{3}, nil))
		},
		"compaction": compact,
		"compaction, tried again": func(part string, named []byte) error {
			return compact(part, addChanges(t, named, []uint64{4}, []uint64{1}))
		},
		"compaction, then flush": func(part string, named []byte) error {
			err := compact(part, named)
			return errors.Join(err, putManifest(part, addChanges(t, addChanges(t, named, []uint64{2}, []uint64{1}), []uint64{3}, nil)))
		},
		"the end of it torn": func(part string, named []byte) error {
			torn := addChanges(t, addChanges(t, named, []uint64{2}, nil), []uint64{3}, nil)
			return flush(part, torn[:len(torn)-3])
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := crash(t, dir)
			for _, part := range parts(t, dir) {
				rel, _ := filepath.Rel(dir, part)
				must(t, leave(part, named[rel]))
			}
			for start := range 2 {
				var said saying
				o := smallOptions(t)
				o.Logger = &said
				db, err := Open(dir, o)
				must(t, err)
				f.verifyWhole(t, db)
				if got, want := said.count("taken back"), 2*(1-start); got != want {
					t.Errorf("start %d said so %d times, want %d", start+1, got, want)
				}
			}
			if aside := asideIn(t, dir); len(aside) > 0 {
				t.Errorf("moved aside: %v", aside)
			}
		})
	}
}

// saying collects warnings.
type saying struct {
	silence
	warnings []string
}

func (s *saying) Warningf(f string, args ...any) { s.warnings = append(s.warnings, oneLine(f, args)) }

func (s *saying) count(what string) (n int) {
	for _, w := range s.warnings {
		if strings.Contains(w, what) {
			n++
		}
	}
	return n
}

// A change set is taken back only where all that it was about is certainly there:
// a table that was lost is damage, which is told, and nothing is changed.
func TestLostTableIsNotTakenForAFailedChange(t *testing.T) {
	dir, f, named := midFlush(t)
	first := func(p string) string { return p + "/000001.sst" }
	for name, spoil := range map[string]func(part string, named []byte) error{
		"flushed, its log gone": func(p string, named []byte) error {
			return errors.Join(putManifest(p, named), os.Remove(first(p)), os.Remove(p+"/00001.mem"))
		},
		"flushed, its log cut": func(p string, named []byte) error {
			log, err := spanOf(p + "/00001.mem")
			return errors.Join(err, putManifest(p, named), os.Remove(first(p)), os.Truncate(log.path, log.end-1))
		},
		"flushed last, no log": func(p string, named []byte) error {
			return errors.Join(putManifest(p, named), os.Remove(first(p)), os.Remove(p+"/00001.mem"), os.Remove(p+"/00002.mem"))
		},
		"compacted, gone before as well": func(p string, named []byte) error {
			return errors.Join(putManifest(p, addChanges(t, named, []uint64{2}, []uint64{1})), os.Remove(first(p)))
		},
		"compacted, damaged before": func(p string, named []byte) error {
			return errors.Join(putManifest(p, addChanges(t, named, []uint64{2}, []uint64{1})), os.Truncate(first(p), 100))
		},
		"one of two gone": func(p string, named []byte) error {
			return errors.Join(putManifest(p, addChanges(t, named, []uint64{2, 3}, []uint64{1})), copySparse(p+"/000002.sst", first(p)))
		},
		"not the last": func(p string, named []byte) error {
			named = addChanges(t, addChanges(t, named, []uint64{2}, nil), []uint64{3}, nil)
			return errors.Join(putManifest(p, named), copySparse(p+"/000003.sst", first(p)))
		},
	} {
		t.Run(name, func(t *testing.T) {
			of := func(dir string, part int) (string, []byte) {
				path := parts(t, dir)[part]
				rel, _ := filepath.Rel(dir, path)
				must(t, spoil(path, named[rel]))
				b, err := os.ReadFile(filepath.Join(path, manifestName))
				must(t, err)
				return path, b
			}
			unchanged := func(part string, before []byte) {
				after, err := os.ReadFile(filepath.Join(part, manifestName))
				if err != nil || !bytes.Equal(before, after) {
					t.Errorf("the MANIFEST was changed: %v", err)
				}
			}
			refused := crash(t, dir)
			state, before := of(refused, 0)
			if _, err := Open(refused, smallOptions(t)); !errors.Is(err, ErrCorrupt) {
				t.Errorf("open: %v", err)
			}
			unchanged(state, before)

			opened := crash(t, dir)
			_, before = of(opened, 1)
			db := openTest(t, opened)
			if _, err := db.storeOf(f.last[f.hosts[0]].Day); err != nil { // as WriteBodies does
				t.Fatal(err)
			}
			aside := asideIn(t, opened)
			if len(aside) != 1 {
				t.Fatalf("moved aside: %v", aside)
			}
			unchanged(aside[0], before)
		})
	}
}

// full makes every write to the MANIFEST of a Badger fail from now on.
func full(t testing.TB, dir string) {
	t.Helper()
	sink, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	must(t, err)
	defer sink.Close()
	fds, err := os.ReadDir("/proc/self/fd")
	must(t, err)
	n := 0
	for _, fd := range fds {
		to, err := os.Readlink("/proc/self/fd/" + fd.Name())
		if err != nil || to != filepath.Join(dir, manifestName) {
			continue
		}
		number, err := strconv.Atoi(fd.Name())
		must(t, err)
		must(t, unix.Dup3(int(sink.Fd()), number, unix.O_CLOEXEC))
		n++
	}
	if n != 1 {
		t.Fatalf("%d MANIFESTs are open in %s", n, dir)
	}
}

// A MANIFEST that cannot be written ends the store: nobody waits for Badger, which
// would try for ever, and the next start has all that was acknowledged.
func TestTornManifestEndsTheStore(t *testing.T) {
	of := map[string]func(db *DB) string{
		"state": func(db *DB) string { return filepath.Join(db.dir, stateDir) },
		"day":   func(db *DB) string { return db.history.path(db.today.day) },
	}
	for part, dirOf := range of {
		for name, end := range map[string]func(t *testing.T, db *DB, f *fleet) (acknowledged uint64){
			"flush": func(t *testing.T, db *DB, f *fleet) uint64 {
				for range 10_000 {
					b := f.report(2000)
					if errors.Join(db.WriteBodies(b), db.WriteState(b)) != nil {
						return b.Sequence - 1
					}
				}
				t.Error("the store goes on")
				return f.sequence
			},
			"close": func(_ *testing.T, _ *DB, f *fleet) uint64 { return f.sequence },
		} {
			t.Run(part+", "+name, func(t *testing.T) {
				db, err := Open(t.TempDir(), tinyOptions())
				must(t, err)
				f := newFleet(8)
				write(t, db, f.mint())
				write(t, db, f.report(2000))
				full(t, dirOf(db))
				acknowledged := end(t, db, f)
				_ = db.Close() // with an error, or it had failed before
				left := crash(t, db.dir)
				db = openTest(t, left)
				if lost := db.Recovery().Lost; len(lost) > 0 || db.meta.Batch < acknowledged {
					t.Errorf("lost %v, at batch %d of %d", lost, db.meta.Batch, acknowledged)
				}
				must(t, db.Close())
				if s, err := Check(left); err != nil || len(s.Problems) > 0 {
					t.Errorf("check: %v, %v", s.Problems, err)
				}
			})
		}
	}
}

// Who is held is who tries again, and only about the MANIFEST.
func TestTornManifestIsHeardOf(t *testing.T) {
	for line, want := range map[string]bool{
		"error flushing memtable to disk: sync /s/MANIFEST: input/output error, retrying":                          true,
		"[Compactor: 1] LOG Compact FAILED with error: write /s/MANIFEST: no space left on device: {span:nil ...}": true,
		"error flushing memtable to disk: open /s/000007.sst: no space left on device, retrying":                   false,
		"[Compactor: 0] LOG Compact FAILED with error: open /s/000007.sst: too many open files: {span:nil ...}":    false,
		"Received err: open /s/MANIFEST: too many open files. Cleaning up...":                                      false,
	} {
		told := make(chan error, 1)
		heard := &torn{happened: make(chan struct{}), tell: func(err error) error { told <- err; return err }}
		returned := make(chan error, 1)
		go func() {
			badgerLog{silence{}, heard}.Warningf("%s", line)
			returned <- nil
		}()
		err := heard.or(returned)
		if (err != nil) != want || want && <-told != err {
			t.Errorf("%s: %v, want it held: %v", line, err, want)
		}
	}
}
