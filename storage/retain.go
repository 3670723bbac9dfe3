package storage

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// Day is the history of one UTC day.
type Day struct {
	Number uint32 // days since 1970-01-01 UTC: ReportRef.Day
	Start  time.Time
	Bytes  int64 // on the disk
}

// Days lists the days that the history holds, oldest first.
func (db *DB) Days() ([]Day, error) {
	if err := db.enter(); err != nil {
		return nil, err
	}
	defer db.leave()
	numbers, err := db.history.list()
	if err != nil {
		return nil, err
	}
	days := make([]Day, len(numbers))
	for i, n := range numbers {
		days[i] = Day{n, time.Unix(int64(n)*86400, 0).UTC(), diskBytes(db.history.path(n))}
	}
	return days, nil
}

// Bytes is what the whole store takes on the disk.
func (db *DB) Bytes() int64 { return diskBytes(db.dir) }

// diskBytes counts blocks, as Badger's files are larger than what is in them.
func diskBytes(dir string) (n int64) {
	_ = filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err != nil {
			return nil // files come and go
		}
		if info, err := e.Info(); err == nil {
			if s, ok := info.Sys().(*syscall.Stat_t); ok {
				n += s.Blocks * 512
			}
		}
		return nil
	})
	return n
}

// DropDay removes a day's reports for good; lists of reports end there from
// then on. It waits for readers of that day. Errors: ErrNotFound; ErrBusy while
// a backup runs, or for the day that reports are being stored in; ErrFull.
func (db *DB) DropDay(day uint32) error {
	if err := db.enter(); err != nil {
		return err
	}
	defer db.leave()
	if !db.backups.TryLock() {
		return fmt.Errorf("drop %s: %w", dayName(day), ErrBusy)
	}
	defer db.backups.Unlock()
	db.bodiesMu.Lock()
	today := db.today != nil && db.today.day == day
	db.bodiesMu.Unlock()
	if today {
		return fmt.Errorf("drop %s: %w", dayName(day), ErrBusy)
	}
	db.mu.Lock()
	through := db.meta.Batch
	db.mu.Unlock()
	if err := db.history.setAside(day, through); err != nil {
		return fmt.Errorf("drop %s: %w", dayName(day), err)
	}
	return db.finishDrop(day, through)
}

// setAside takes a day away from its readers, when the last one left. Batches
// up to through go with it.
func (h *history) setAside(day uint32, through uint64) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, err := os.Stat(h.path(day)); err != nil {
		return ErrNotFound
	}
	for s := h.days[day]; s != nil && s.users > 0; s = h.days[day] {
		h.freed.Wait()
	}
	if s := h.days[day]; s != nil {
		if err := h.shut(s); err != nil {
			return err
		}
	}
	if err := os.Rename(h.path(day), h.path(day)+droppedSuffix); err != nil {
		return err
	}
	h.dropped[day] = through
	return syncDir(h.dir)
}
