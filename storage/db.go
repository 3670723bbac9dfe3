package storage

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"
	"golang.org/x/sys/unix"
)

// The parts of a store's directory.
const (
	stateDir   = "state"
	historyDir = "history"
	marksFile  = "hwm.json"
)

const (
	stateMemTable   = 64 << 20
	stateLogFile    = 16 << 20
	minFreeBytes    = 64 << 20
	maxFreeReserve  = 1 << 30  // 2 % of a large file system is more than anyone wants idle
	openBytes       = 16 << 20 // what opening or closing an empty Badger may write
	housekeepEvery  = time.Second
	forgetEvery     = 10 // beats of housekeeping
	maxScratch      = 8 << 20
	maxBodiesAhead  = 4 // batches whose bodies may wait for their state
	valueThreshold  = 1 << 20
	batchPercentage = 15 // of a memtable: what Badger takes in one transaction
)

// Logger takes what the store and Badger have to say.
type Logger interface {
	Errorf(format string, args ...any)
	Warningf(format string, args ...any)
	Infof(format string, args ...any)
	Debugf(format string, args ...any)
}

// Options are the choices of Open. The zero value is right for a hub.
type Options struct {
	Logger        Logger // nil: silence
	MinFreeBytes  uint64 // 0: 3 memtables, 64 MiB or 2 % of the file system (at most 1 GiB), the largest
	MemTableBytes int64  // of state/; 0: 64 MiB

	// UnsafeNoSync trades the promise for speed: what was acknowledged is lost
	// with the power. For load rigs only, never for a hub.
	UnsafeNoSync bool

	space func(dir string) (space, error)     // nil: ask the file system
	tune  func(badger.Options) badger.Options // nil: as they are

	rollHosts int // hosts whose day is summed up at once; 0: rollHosts
}

type silence struct{}

// Errorf implements Logger.
func (silence) Errorf(string, ...any) {}

// Warningf implements Logger.
func (silence) Warningf(string, ...any) {}

// Infof implements Logger.
func (silence) Infof(string, ...any) {}

// Debugf implements Logger.
func (silence) Debugf(string, ...any) {}

// DB is the hub's store. One goroutine may call WriteBodies and one WriteState
// at a time; all else is for any number of readers. What its methods return is
// the caller's own.
type DB struct {
	dir      string
	o        Options
	log      Logger
	lock     io.Closer
	state    *synced
	history  *history
	marks    markKeeper
	marksErr error // why there was nothing to compare with
	recovery Recovery
	reserve  uint64 // bytes that must stay free

	bodiesMu sync.Mutex // one WriteBodies at a time
	today    *dayStore  // held by it
	packer   packer     // its blobs
	stateMu  sync.Mutex // one WriteState at a time
	backups  sync.RWMutex

	mu     sync.Mutex
	meta   meta
	bodies uint64 // the newest batch whose bodies are durable
	failed error  // the first unknown outcome, or ErrClosed
	users  sync.WaitGroup

	stop, stopped chan struct{}
}

// Open opens the store in dir, and makes it when there is none. It takes a
// second for each gigabyte of state. Errors: ErrLocked, ErrCorrupt, ErrNewer,
// ErrFull; nothing was changed then.
func Open(dir string, o Options) (*DB, error) {
	db, err := open(dir, o)
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	if err := db.begin(); err != nil {
		return nil, errors.Join(fmt.Errorf("open store: %w", err), db.shut())
	}
	return db, nil
}

// open is Open up to the point where the store is written to.
func open(dir string, o Options) (_ *DB, err error) {
	db := &DB{dir: dir, o: o, log: o.Logger, stop: make(chan struct{}), stopped: make(chan struct{})}
	if db.log == nil {
		db.log = silence{}
	}
	if db.o.MemTableBytes == 0 {
		db.o.MemTableBytes = stateMemTable
	}
	if db.o.rollHosts == 0 {
		db.o.rollHosts = rollHosts
	}
	if db.o.space == nil {
		db.o.space = freeSpace
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if db.lock, err = lock(dir); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, db.shut())
		}
	}()
	if err := db.prepareDir(); err != nil {
		return nil, err
	}
	db.history = newHistory(filepath.Join(dir, historyDir), db.log, db.openDay, db.roomFor)
	if db.state, err = db.openBadger(filepath.Join(dir, stateDir), db.marks.last.Batch > 0, db.stateOptions); err != nil {
		return nil, err
	}
	return db, db.load()
}

func (db *DB) prepareDir() error {
	if err := os.Chmod(db.dir, 0o700); err != nil {
		return err
	}
	if err := prepare(db.dir); err != nil {
		return err
	}
	for _, part := range []string{stateDir, historyDir} {
		if err := os.MkdirAll(filepath.Join(db.dir, part), 0o700); err != nil {
			return err
		}
	}
	s, err := db.o.space(db.dir)
	if err != nil {
		return err
	}
	db.reserve = db.o.MinFreeBytes
	if db.reserve == 0 {
		db.reserve = max(3*uint64(db.o.MemTableBytes), minFreeBytes, min(s.total/50, maxFreeReserve))
	}
	db.marks.path = filepath.Join(db.dir, marksFile)
	db.marks.last, db.marksErr = readMarks(db.marks.path)
	return nil
}

func (db *DB) stateOptions(o badger.Options) badger.Options {
	o.MemTableSize = db.o.MemTableBytes
	o.ValueThreshold = min(valueThreshold, db.o.MemTableBytes*batchPercentage/200)
	o.ValueLogFileSize = stateLogFile
	o.NumMemtables = 3
	return o
}

// openDay opens a day's store. One that was begun and holds nothing is right: a
// kill leaves such a directory, and a day may have been removed by hand. What it
// lost is told when it is read.
func (db *DB) openDay(dir string) (*synced, error) {
	return db.openBadger(dir, false, func(o badger.Options) badger.Options {
		o.MemTableSize = historyMemTable
		o.ValueThreshold = historyThreshold
		o.ValueLogFileSize = historyLogFile
		o.NumMemtables = 2
		return o
	})
}

// openBadger opens one Badger the way all of ours are, behind its guard; must
// is for that.
func (db *DB) openBadger(dir string, must bool, adjust func(badger.Options) badger.Options) (*synced, error) {
	t := &torn{happened: make(chan struct{}), tell: db.fail}
	o := adjust(badger.DefaultOptions(dir)).
		WithLogger(badgerLog{db.log, t}).
		WithSyncWrites(false).      // synced does it
		WithDetectConflicts(false). // one writer
		WithCompression(options.None).
		WithBlockCacheSize(0).                                // blocks are mapped as they are
		WithChecksumVerificationMode(options.NoVerification). // guard does it
		WithVerifyValueChecksum(true).                        // or it trusts damaged lengths: it panics, or keeps a lock that Close waits for
		WithNumCompactors(2).
		WithMetricsEnabled(false)
	if db.o.tune != nil {
		o = db.o.tune(o)
	}
	if err := db.roomFor(dir); err != nil {
		return nil, err
	}
	if err := guard(dir, must, o, db.log); err != nil {
		return nil, err
	}
	b, err := badger.Open(o)
	if err != nil && environmental(err) {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w", dir, ErrCorrupt, err)
	}
	advise(dir, false)
	if err := errors.Join(syncDir(dir), syncDir(filepath.Dir(dir))); err != nil { // the names of what is new
		return nil, errors.Join(fmt.Errorf("sync %s: %w", dir, err), b.Close())
	}
	return &synced{DB: b, off: db.o.UnsafeNoSync, torn: t}, nil
}

// roomFor refuses to open or close a Badger when there is no room for what that
// writes. Badger writes through mapped files, where no room is no error but
// SIGBUS: opening begins new logs, and both make tables of those that are there.
func (db *DB) roomFor(dir string) error {
	logs, err := allocated(dir, "*.mem")
	if err != nil {
		return err
	}
	s, err := db.o.space(db.dir)
	if err != nil {
		return err
	}
	if need := min(db.reserve, openBytes+2*logs); s.free < need {
		return fmt.Errorf("%s: %w: opening and closing it want %d bytes free, there are %d; nothing was changed: make room and try again",
			dir, ErrFull, need, s.free)
	}
	return nil
}

// enter and leave hold the store open around a call.
func (db *DB) enter() error {
	db.mu.Lock()
	defer db.mu.Unlock()
	if db.failed != nil {
		return db.failed
	}
	db.users.Add(1)
	return nil
}

func (db *DB) leave() { db.users.Done() }

// fail makes an unknown outcome the answer to everything from now on.
func (db *DB) fail(err error) error {
	db.mu.Lock()
	defer db.mu.Unlock()
	if db.failed == nil {
		db.failed = err
	}
	return err
}

// housekeep writes the marks and closes idle days until the store is closed.
func (db *DB) housekeep() {
	defer close(db.stopped)
	t := time.NewTicker(housekeepEvery)
	defer t.Stop()
	for beat := 1; ; beat++ {
		select {
		case <-db.stop:
			return
		case <-t.C:
			if err := db.saveMarks(); err != nil {
				db.log.Errorf("%v", err)
			}
			db.history.closeIdle(time.Now())
			advise(db.dir, beat%forgetEvery == 0)
		}
	}
}

// saveMarks tells hwm.json how far the store is.
func (db *DB) saveMarks() error {
	db.mu.Lock()
	m := db.meta
	db.mu.Unlock()
	return db.marks.save(m)
}

// Close waits for the calls that run, then closes everything. A store that failed
// it leaves as a kill would: Badger tries for ever to write to a disk that fails,
// and what became of the last batch only the next start can tell. A second Close
// is harmless.
func (db *DB) Close() error {
	db.mu.Lock()
	closed := errors.Is(db.failed, ErrClosed)
	failed := db.failed
	if !closed {
		db.failed = ErrClosed
	}
	db.mu.Unlock()
	if closed {
		return nil
	}
	close(db.stop)
	<-db.stopped
	db.users.Wait()
	if failed != nil {
		return db.lock.Close()
	}
	err := db.saveMarks()
	if errors.Is(err, unix.ENOSPC) { // older marks ask for less
		db.log.Warningf("%v", err)
		err = nil
	}
	return errors.Join(err, db.shut())
}

// shut closes what is open. What there is no room to close stays as a kill would
// leave it, which loses nothing.
func (db *DB) shut() error {
	var errs []error
	if db.history != nil {
		db.history.closeAll()
	}
	if db.state != nil {
		if err := db.roomFor(filepath.Join(db.dir, stateDir)); errors.Is(err, ErrFull) {
			db.log.Warningf("not closed, which loses nothing: %v", err)
		} else {
			errs = append(errs, db.state.Close())
		}
	}
	return errors.Join(append(errs, db.lock.Close())...)
}
