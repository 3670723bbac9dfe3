package storage

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/dgraph-io/badger/v4"
	"golang.org/x/sys/unix"
)

const manifestName = "MANIFEST"

// guard refuses a directory that Badger must not open: one whose MANIFEST is
// not what it was, since Badger deletes every table that its MANIFEST does not
// name and calls that a start, and one with a damaged table.
func guard(dir string, known manifestMark, isKnown bool, o badger.Options) error {
	tables, err := tablesIn(dir)
	if err != nil || len(tables) == 0 && !isKnown {
		return err
	}
	b, err := os.ReadFile(filepath.Join(dir, manifestName))
	if errors.Is(err, os.ErrNotExist) {
		return refuse(dir, "the MANIFEST is missing")
	}
	if err != nil {
		return fmt.Errorf("read the manifest: %w", err)
	}
	m, whole, err := replay(dir, o)
	if err != nil {
		return refuse(dir, "the MANIFEST cannot be read ("+err.Error()+")")
	}
	if isKnown && whole >= known.Size && crc32.Checksum(b[:known.Size], castagnoli) == known.Sum {
		return checkTables(dir, m)
	}
	// Rewritten by Badger, or never seen by us: it must name what is there.
	if whole != int64(len(b)) || len(m.Tables) != len(tables) {
		return refuse(dir, "the MANIFEST lost its end")
	}
	for _, id := range tables {
		if _, ok := m.Tables[id]; !ok {
			return refuse(dir, fmt.Sprintf("the MANIFEST does not name table %d", id))
		}
	}
	return checkTables(dir, m)
}

func refuse(dir, why string) error {
	return fmt.Errorf("%s: %w: %s, and opening it would delete the tables it does not name; "+
		"nothing was changed: keep a copy of the directory and restore the last backup", dir, ErrCorrupt, why)
}

// replay reads a MANIFEST as Badger would, and says how much of it is whole.
func replay(dir string, o badger.Options) (badger.Manifest, int64, error) {
	f, err := os.Open(filepath.Join(dir, manifestName))
	if err != nil {
		return badger.Manifest{}, 0, err
	}
	defer f.Close()
	return badger.ReplayManifestFile(f, o.ExternalMagicVersion, o)
}

func tablesIn(dir string) ([]uint64, error) {
	names, err := filepath.Glob(filepath.Join(dir, "*.sst"))
	if err != nil {
		return nil, err
	}
	var ids []uint64
	for _, n := range names {
		id, err := strconv.ParseUint(strings.TrimSuffix(filepath.Base(n), ".sst"), 10, 64)
		if err == nil {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// Lock takes a store's directory as a hub does, so that none can start in it
// until the lock is closed. Errors: ErrLocked.
func Lock(dir string) (io.Closer, error) { return lock(dir) }

// lock takes the directory for this process until the file is closed, which
// the end of the process does too.
func lock(dir string) (io.Closer, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("lock %s: %w", dir, ErrLocked)
		}
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	return f, nil
}

// space is what a file system has left for us, and its size, in bytes.
type space struct{ free, total uint64 }

func freeSpace(dir string) (space, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return space{}, fmt.Errorf("free space of %s: %w", dir, err)
	}
	return space{s.Bavail * uint64(s.Bsize), s.Blocks * uint64(s.Bsize)}, nil
}

// environmental reports whether an error of Badger's is about the machine and
// not about the data. Badger keeps only the text of the errors it wraps.
func environmental(err error) bool {
	for _, e := range []unix.Errno{unix.ENOSPC, unix.EDQUOT, unix.EACCES, unix.EPERM, unix.EROFS,
		unix.EMFILE, unix.ENFILE, unix.ENOMEM, unix.EAGAIN} {
		if strings.Contains(err.Error(), e.Error()) {
			return true
		}
	}
	return false
}

// badgerLog passes Badger's log on.
type badgerLog struct{ to Logger }

func (l badgerLog) Errorf(f string, args ...any)   { l.to.Errorf("badger: %s", oneLine(f, args)) }
func (l badgerLog) Warningf(f string, args ...any) { l.to.Warningf("badger: %s", oneLine(f, args)) }

// Infof is for debugging: Badger tells every level of its tree at every start.
func (l badgerLog) Infof(f string, args ...any)  { l.to.Debugf("badger: %s", oneLine(f, args)) }
func (l badgerLog) Debugf(f string, args ...any) { l.to.Debugf("badger: %s", oneLine(f, args)) }

func oneLine(f string, args []any) string { return strings.TrimSpace(fmt.Sprintf(f, args...)) }
