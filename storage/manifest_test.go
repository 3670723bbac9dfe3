package storage

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dgraph-io/badger/v4/pb"
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
