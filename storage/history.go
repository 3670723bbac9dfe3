package storage

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"felhom.eu/messages"
)

const (
	historyMemTable  = 8 << 20  // keys and pointers only
	historyThreshold = 512      // bodies go to the value log, which is never rewritten
	historyLogFile   = 64 << 20 // also the largest blob
	maxIdle          = time.Minute
	maxIdleDays      = 3

	droppedSuffix = ".dropped"
	damagedSuffix = ".damaged"
)

// history holds the days' stores. They are opened at their first use and
// closed when nobody used them for a while.
type history struct {
	dir     string
	open    func(dir string) (*synced, error)
	room    func(dir string) error // whether one may be closed now
	log     Logger
	mu      sync.Mutex
	freed   sync.Cond // a store's last user left
	days    map[uint32]*dayStore
	dropped map[uint32]uint64 // day to the last batch that went with it
}

// dayStore is one day's Badger and how many use it.
type dayStore struct {
	day    uint32
	once   sync.Once
	db     *synced
	err    error
	users  int
	usedAt time.Time
}

func newHistory(dir string, log Logger, open func(dir string) (*synced, error), room func(dir string) error) *history {
	h := &history{dir: dir, open: open, room: room, log: log, days: map[uint32]*dayStore{}, dropped: map[uint32]uint64{}}
	h.freed.L = &h.mu
	return h
}

func dayName(day uint32) string {
	return time.Unix(int64(day)*86400, 0).UTC().Format("20060102")
}

// parseDay reads a day's directory name; others lie beside them.
func parseDay(name string) (uint32, bool) {
	t, err := time.Parse("20060102", name)
	if err != nil || t.Unix() < 0 {
		return 0, false
	}
	return uint32(t.Unix() / 86400), true
}

func (h *history) path(day uint32) string { return filepath.Join(h.dir, dayName(day)) }

// acquire returns a day's store, opened; the caller gives it back. Errors:
// ErrNotFound when there is none and create is false.
func (h *history) acquire(day uint32, create bool) (*dayStore, error) {
	h.mu.Lock()
	s := h.days[day]
	if s == nil {
		if _, err := os.Stat(h.path(day)); !create && errors.Is(err, os.ErrNotExist) {
			h.mu.Unlock()
			return nil, ErrNotFound
		}
		s = &dayStore{day: day}
		h.days[day] = s
	}
	s.users++
	h.mu.Unlock()

	s.once.Do(func() {
		db, err := h.open(h.path(day))
		h.mu.Lock()
		defer h.mu.Unlock()
		s.db, s.err = db, err
	})
	if s.err != nil {
		h.release(s)
		return nil, fmt.Errorf("open the history of %s: %w", dayName(day), s.err)
	}
	return s, nil
}

func (h *history) release(s *dayStore) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s.users--
	s.usedAt = time.Now()
	if s.users > 0 {
		return
	}
	if s.err != nil {
		delete(h.days, s.day) // the next user tries again
	}
	h.freed.Broadcast()
}

// closeIdle closes the stores that nobody uses: those idle for long, and the
// longest idle of too many.
func (h *history) closeIdle(now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var idle []*dayStore
	for _, s := range h.days {
		if s.users == 0 {
			idle = append(idle, s)
		}
	}
	slices.SortFunc(idle, func(a, b *dayStore) int { return b.usedAt.Compare(a.usedAt) })
	for i, s := range idle {
		if i >= maxIdleDays || now.Sub(s.usedAt) > maxIdle {
			_ = h.shut(s) // or another time
		}
	}
}

// shut closes a store under the lock, so that nobody opens it meanwhile. On a full
// disk it stays open: ErrFull.
func (h *history) shut(s *dayStore) error {
	if s.db == nil {
		delete(h.days, s.day)
		return nil
	}
	if err := h.room(h.path(s.day)); errors.Is(err, ErrFull) {
		return err
	}
	delete(h.days, s.day)
	if err := s.db.Close(); err != nil {
		h.log.Errorf("close the history of %s: %v", dayName(s.day), err)
	}
	return nil
}

// closeAll closes every store; nobody may use one any more.
func (h *history) closeAll() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, s := range h.days {
		_ = h.shut(s) // or left as a kill would leave it
	}
}

// gone reports whether a reference points into what retention removed.
func (h *history) gone(at messages.ReportRef) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	through, ok := h.dropped[at.Day]
	return ok && at.Batch <= through
}

// list is the days that have a directory, oldest first.
func (h *history) list() ([]uint32, error) {
	entries, err := os.ReadDir(h.dir)
	if err != nil {
		return nil, fmt.Errorf("list the history: %w", err)
	}
	var days []uint32
	for _, e := range entries {
		if day, ok := parseDay(e.Name()); ok && e.IsDir() {
			days = append(days, day)
		}
	}
	slices.Sort(days)
	return days, nil
}

// leftovers are days that were renamed aside to be removed.
func (h *history) leftovers() ([]uint32, error) {
	entries, err := os.ReadDir(h.dir)
	if err != nil {
		return nil, fmt.Errorf("list the history: %w", err)
	}
	var days []uint32
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name(), droppedSuffix); ok {
			if day, ok := parseDay(name); ok {
				days = append(days, day)
			}
		}
	}
	return days, nil
}

// quarantine moves a day that cannot be opened aside, whole, so that reports
// can be stored again.
func (h *history) quarantine(day uint32) error {
	for i := range 100 {
		to := fmt.Sprintf("%s%s-%d", h.path(day), damagedSuffix, i)
		if _, err := os.Stat(to); err == nil {
			continue
		}
		h.log.Errorf("the history of %s is damaged: moved aside to %s; its reports cannot be read", dayName(day), to)
		if err := os.Rename(h.path(day), to); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("move damaged history aside: %w", err)
		}
		return syncDir(h.dir)
	}
	return fmt.Errorf("move damaged history of %s aside: too many", dayName(day))
}
