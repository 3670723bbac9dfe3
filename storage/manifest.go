package storage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/pb"
	"google.golang.org/protobuf/proto"
)

// What Badger's MANIFEST looks like: a header, then sets of changes that count as a
// whole, each a table that is created or deleted:
//
//	length | crc32c | protobuf
const (
	manifestName     = "MANIFEST"
	manifestHeader   = 8
	manifestSetFront = 8 // length and sum
)

// manifest is a MANIFEST's sets of changes, up to a torn end.
type manifest struct {
	path string
	sets []*pb.ManifestChangeSet
	ends []int64 // of each set, in bytes
}

// readManifest reads a MANIFEST as Badger does, which cuts a torn end off: what
// was being added was not used yet.
func readManifest(dir string, o badger.Options) (m manifest, err error) {
	m.path = filepath.Join(dir, manifestName)
	f, err := os.Open(m.path)
	if err != nil {
		return m, err
	}
	defer f.Close()
	_, end, err := badger.ReplayManifestFile(f, o.ExternalMagicVersion, o)
	if err != nil {
		return m, err
	}
	b := make([]byte, end)
	if _, err := f.ReadAt(b, 0); err != nil {
		return m, err
	}
	for at := int64(manifestHeader); at < end; {
		from := at + manifestSetFront
		at = from + int64(binary.BigEndian.Uint32(b[at:]))
		var s pb.ManifestChangeSet
		if err := proto.Unmarshal(b[from:at], &s); err != nil {
			return m, err
		}
		m.sets, m.ends = append(m.sets, &s), append(m.ends, at)
	}
	return m, nil
}

// tables is what the MANIFEST names at its end.
func (m manifest) tables() map[uint64]bool {
	named := map[uint64]bool{}
	for _, s := range m.sets {
		for _, c := range s.Changes {
			if c.Op == pb.ManifestChange_CREATE {
				named[c.Id] = true
			} else {
				delete(named, c.Id)
			}
		}
	}
	return named
}

// withoutFailed is the MANIFEST without the sets at its end that Badger wrote and
// could not sync: it then removes the tables that the set creates, keeps those that
// it deletes, and leaves the set in the file. flushed says that one of them made a
// table of a log, which must still be there. DESIGN.md has the reasoning.
func (m manifest) withoutFailed(there map[uint64]bool) (rest manifest, flushed bool) {
	for n := len(m.sets) - 1; n >= 0; n-- {
		created, deleted, failed := 0, 0, true
		for _, c := range m.sets[n].Changes {
			create := c.Op == pb.ManifestChange_CREATE
			if create {
				created++
			} else {
				deleted++
			}
			failed = failed && there[c.Id] != create
		}
		if !failed || created == 0 {
			break
		}
		flushed = flushed || deleted == 0
		m.sets, m.ends = m.sets[:n], m.ends[:n]
	}
	return m, flushed
}

// cut ends the file behind the last set, durably.
func (m manifest) cut() error {
	end := int64(manifestHeader)
	if n := len(m.ends); n > 0 {
		end = m.ends[n-1]
	}
	f, err := os.OpenFile(m.path, os.O_WRONLY, 0)
	if err == nil {
		err = errors.Join(f.Truncate(end), f.Sync(), f.Close())
	}
	if err != nil {
		return fmt.Errorf("cut the MANIFEST: %w", err)
	}
	return nil
}
