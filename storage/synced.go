package storage

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/dgraph-io/badger/v4"
)

// synced is a Badger whose transactions are on stable storage when commit returns.
//
// Badger's own SyncWrites syncs the log of its values and that of its memtable one
// after the other, whatever the transaction wrote; and when the disk does not take
// the values it tells that to its log alone, and the transaction succeeds. Here
// what was written is synced, both at once, and an error is one.
type synced struct {
	*badger.DB
	off  bool // nothing is synced
	torn *torn

	mu           sync.Mutex // one commit at a time: a log follows another only within one
	logs, values tail
}

// commit makes a transaction durable; largest is the length of its largest value.
// After an error of a sync, or of the MANIFEST, nobody knows what is.
//
// The logs of a power cut may hold the one half without the other: a key whose value
// is gone, or a value without its key. Nobody was told that either is there.
func (s *synced) commit(txn *badger.Txn, largest int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.follow(); err != nil { // before: the first commit may fill a log
		return err
	}
	done := make(chan error, 1)
	txn.CommitWith(func(err error) { done <- err })
	if err := s.torn.or(done); err != nil || s.off {
		return err
	}
	if int64(largest) < s.Opts().ValueThreshold {
		return s.logs.sync()
	}
	values := make(chan error, 1)
	go func() { values <- s.values.sync() }()
	err := s.logs.sync()
	return errors.Join(err, <-values)
}

// follow opens the newest logs, once.
func (s *synced) follow() error {
	if s.off || s.logs.file != nil {
		return nil
	}
	files, err := filesIn(s.Opts().Dir)
	if err != nil {
		return err
	}
	return errors.Join(s.values.follow(files.values), s.logs.follow(files.logs))
}

// Close closes Badger and lets go of its logs. One whose MANIFEST is torn stays as
// a kill would leave it.
func (s *synced) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	done := make(chan error, 1)
	go func() { done <- s.DB.Close() }()
	return errors.Join(s.torn.or(done), s.logs.close(), s.values.close())
}

// torn is a MANIFEST that could not be written, or not be synced. Badger tells that
// to its log alone and tries again a second later: then the MANIFEST names a table
// that is not there, between others that are, and no start can tell that from a loss.
// What failed at its end guard can take back. So the one who failed is held, and the
// store ends.
type torn struct {
	happened chan struct{} // closed when
	err      error
	once     sync.Once
	tell     func(error) error
}

// Badger's words for what failed and will be tried again.
var retried = []string{"error flushing memtable", "LOG Compact FAILED"}

// heard looks at what Badger tells its log. It does not return to whoever could not
// write the MANIFEST.
func (t *torn) heard(line string) {
	if !strings.Contains(line, string(filepath.Separator)+manifestName) ||
		!slices.ContainsFunc(retried, func(words string) bool { return strings.Contains(line, words) }) {
		return
	}
	t.once.Do(func() {
		t.err = t.tell(errors.New(line))
		close(t.happened)
	})
	select {}
}

// or is what done brings, or that the MANIFEST was torn meanwhile: then Badger may
// never bring anything.
func (t *torn) or(done <-chan error) error {
	select {
	case err := <-done:
		return err
	case <-t.happened:
		return t.err
	}
}

// tail is the newest file of a log that Badger writes. Badger counts its files:
// the next has the next number.
type tail struct {
	file *os.File
	next string // where the next is going to be
}

func (t *tail) follow(paths []string) (err error) {
	if len(paths) == 0 {
		return errors.New("no log of Badger's is there")
	}
	return t.take(paths[len(paths)-1])
}

// take goes on to the file at path. It lets go of the one before first, so that it
// needs no more descriptors than there were.
func (t *tail) take(path string) (err error) {
	_ = t.close()
	if t.file, err = os.Open(path); err != nil {
		return fmt.Errorf("follow a log: %w", err)
	}
	t.next = after(path)
	return nil
}

// after is the path of the log that follows the one at path.
func after(path string) string {
	dir, name := filepath.Split(path)
	ext := filepath.Ext(name)
	digits := strings.TrimSuffix(name, ext)
	n, _ := strconv.ParseUint(digits, 10, 64) // filesIn lists nothing else
	return filepath.Join(dir, fmt.Sprintf("%0*d%s", len(digits), n+1, ext))
}

// sync makes durable what was written to the log, in the files that came since the
// last time, too. To look for those takes no descriptor: there may be none left.
func (t *tail) sync() error {
	for {
		if err := fdatasync(t.file); err != nil {
			return err
		}
		if _, err := os.Lstat(t.next); errors.Is(err, os.ErrNotExist) {
			return nil
		}
		if err := t.take(t.next); err != nil {
			return err
		}
	}
}

func (t *tail) close() error {
	if t.file == nil {
		return nil
	}
	return t.file.Close()
}
