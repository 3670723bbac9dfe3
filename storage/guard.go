package storage

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/table"
	"golang.org/x/sys/unix"
)

// guard refuses a directory that Badger must not open, and mends what only a
// kill leaves behind and Badger stumbles over. Badger deletes every table that
// its MANIFEST does not name and calls that a start. After a kill that is right:
// such a table came too early for the MANIFEST or was on its way out, and what
// is in it is elsewhere. When the MANIFEST lost its end, it is not.
//
// The versions of Badger's transactions tell the two apart. They are consecutive
// (one writer, and a failed commit ends the store), each is in one log, and a
// log goes when a table that is named holds all of it. So tables and logs
// together hold every version without a gap, after any kill; DESIGN.md has the
// instants. must says that the directory holds something: that a start from
// nothing, or without one of its logs, would be a loss.
//
// What a failed disk leaves at the end of the MANIFEST is taken back when all that
// it is about is certainly there, and log says so.
func guard(dir string, must bool, o badger.Options, log Logger) error {
	files, err := filesIn(dir)
	if err != nil {
		return err
	}
	all, err := readManifest(dir, o)
	if errors.Is(err, os.ErrNotExist) {
		if must || files.hold() {
			return refuse(dir, "the MANIFEST is missing")
		}
		return nil
	}
	if errno := unix.Errno(0); errors.As(err, &errno) { // too many open files, say: no word about the data
		return fmt.Errorf("read the MANIFEST: %w", err)
	}
	if err != nil {
		return refuse(dir, "the MANIFEST cannot be read ("+err.Error()+")")
	}
	m, flushed := all.withoutFailed(files.there())
	named := m.tables()
	tables, err := checkTables(dir, slices.Collect(maps.Keys(named)))
	if err != nil {
		return err
	}
	logs, err := readLogs(files.logs)
	if err != nil {
		return err
	}
	reach, whole := goOn(logs, tables)
	if flushed && (!whole || reach == tables) {
		return refuse(dir, "the MANIFEST names a table that is missing, and so is the log that it was made of")
	}
	if !whole && must {
		return refuse(dir, fmt.Sprintf("a log is missing or empty that held what follows version %d", reach))
	}
	for _, id := range files.tables {
		if named[id] {
			continue
		}
		v, err := checkTable(table.NewFilename(id, dir))
		if err != nil && !errors.Is(err, ErrCorrupt) { // half written is as good as not there
			return err
		}
		if v > reach {
			return refuse(dir, fmt.Sprintf("the MANIFEST lost its end: it does not name table %d", id))
		}
	}
	if failed := len(all.sets) - len(m.sets); failed > 0 {
		if err := m.cut(); err != nil {
			return err
		}
		log.Warningf("%s: the last %d changes of the MANIFEST were taken back: the disk failed when Badger wrote them; nothing is lost", dir, failed)
	}
	return files.finish(logs)
}

// files is what lies in a Badger's directory, by name.
type files struct {
	tables []uint64 // ids
	logs   []string // of memtables, oldest first
	values []string // value logs, oldest first
}

func filesIn(dir string) (f files, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return f, fmt.Errorf("list %s: %w", dir, err)
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		id, err := strconv.ParseUint(strings.TrimSuffix(e.Name(), filepath.Ext(path)), 10, 64)
		if err != nil {
			continue
		}
		switch filepath.Ext(path) {
		case ".sst":
			f.tables = append(f.tables, id)
		case ".mem":
			f.logs = append(f.logs, path)
		case ".vlog":
			f.values = append(f.values, path)
		}
	}
	for _, paths := range [][]string{f.logs, f.values} { // names have leading zeros, up to a point
		slices.SortStableFunc(paths, func(a, b string) int { return cmp.Compare(len(a), len(b)) })
	}
	return f, nil
}

// there is the tables by id.
func (f files) there() map[uint64]bool {
	there := map[uint64]bool{}
	for _, id := range f.tables {
		there[id] = true
	}
	return there
}

func (f files) hold() bool { return len(f.tables)+len(f.logs)+len(f.values) > 0 }

// finish makes logs of no length empty logs: a header and nothing behind it.
// Badger makes a file and then gives it its size, and takes the size away
// before it removes one; it refuses to open what a kill leaves in between.
// They are not removed, so that the number of a value log is not given again.
//
// The logs that Badger looks through at its start are cut where it would cut
// them, behind the last whole transaction: it believes whatever lengths follow,
// takes gigabytes of memory for them, or panics.
func (f files) finish(logs []span) error {
	for _, path := range slices.Concat(f.logs, f.values) {
		info, err := os.Stat(path)
		if err == nil && info.Size() == 0 {
			err = os.Truncate(path, logHeader)
		}
		if err != nil {
			return fmt.Errorf("finish a log: %w", err)
		}
	}
	newest, err := readLogs(f.values[max(0, len(f.values)-1):])
	if err != nil {
		return err
	}
	for _, l := range slices.Concat(logs, newest) {
		if err := l.cut(); err != nil {
			return err
		}
	}
	return nil
}

func refuse(dir, why string) error {
	return fmt.Errorf("%s: %w: %s, and opening it would make the loss final; "+
		"nothing was changed: keep a copy of the directory and restore the last backup", dir, ErrCorrupt, why)
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

// allocated is how many bytes the files in dir take up that match pattern; holes
// take none.
func allocated(dir, pattern string) (bytes uint64, err error) {
	paths, err := filepath.Glob(filepath.Join(dir, pattern))
	for _, p := range paths {
		var s unix.Stat_t
		if err := unix.Stat(p, &s); err != nil {
			return 0, fmt.Errorf("size of %s: %w", p, err)
		}
		bytes += uint64(s.Blocks) * 512 // stat(2)'s unit, whatever the file system's is
	}
	return bytes, err
}

// environmental reports whether an error of Badger's is about the machine and
// not about the data. Badger keeps only the text of the errors it wraps.
func environmental(err error) bool {
	for _, e := range []unix.Errno{unix.ENOSPC, unix.EDQUOT, unix.EIO, unix.EACCES, unix.EPERM, unix.EROFS,
		unix.EMFILE, unix.ENFILE, unix.ENOMEM, unix.EAGAIN} {
		if strings.Contains(err.Error(), e.Error()) {
			return true
		}
	}
	return false
}

// badgerLog passes Badger's log on.
type badgerLog struct {
	to   Logger
	torn *torn
}

// Errorf implements badger.Logger.
func (l badgerLog) Errorf(f string, args ...any) {
	line := oneLine(f, args)
	l.to.Errorf("badger: %s", line)
	l.torn.heard(line)
}

// Warningf implements badger.Logger.
func (l badgerLog) Warningf(f string, args ...any) {
	line := oneLine(f, args)
	l.to.Warningf("badger: %s", line)
	l.torn.heard(line)
}

// Infof is for debugging: Badger tells every level of its tree at every start.
func (l badgerLog) Infof(f string, args ...any) { l.to.Debugf("badger: %s", oneLine(f, args)) }

// Debugf says nothing: Badger has several lines for every write.
func (badgerLog) Debugf(string, ...any) {}

func oneLine(f string, args []any) string { return strings.TrimSpace(fmt.Sprintf(f, args...)) }
