package storage

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/dgraph-io/badger/v4"

	"felhom.eu/messages"
)

const (
	rollHosts = 16 << 10 // hosts whose day is summed up at once: 70 MB
	rollWork  = 10 * time.Millisecond
	rollRest  = 10 * time.Millisecond // after each rollWork, so that reports come first
)

// Unrolled lists the days of the history before today that lack a roll-up which is
// still kept, oldest first.
func (db *DB) Unrolled(today uint32) ([]uint32, error) {
	if err := db.enter(); err != nil {
		return nil, err
	}
	defer db.leave()
	days, err := db.history.list()
	if err != nil {
		return nil, err
	}
	missing := map[uint32]bool{}
	for _, r := range rollups {
		rolled, err := db.rolled(r)
		if err != nil {
			return nil, err
		}
		for _, d := range days {
			_, found := slices.BinarySearch(rolled, d)
			missing[d] = missing[d] || !found && keptRoll(r, d, today)
		}
	}
	return slices.DeleteFunc(days, func(d uint32) bool { return d >= today || !missing[d] }), nil
}

// keptRoll reports whether a day's roll-up is kept as of today.
func keptRoll(r messages.Resolution, day, today uint32) bool {
	return int64(day) >= int64(today)-int64(r.Days())
}

// rolled lists the days that have a roll-up, oldest first.
func (db *DB) rolled(r messages.Resolution) (days []uint32, err error) {
	entries, err := os.ReadDir(filepath.Join(db.dir, rollDir, string(r)))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("list the roll-ups: %w", err)
	}
	for _, e := range entries {
		if day, ok := parseDay(e.Name()); ok {
			days = append(days, day)
		}
	}
	return days, nil // names sort as days do
}

// DropRollups removes the roll-ups that are not kept any more as of today, and what
// was set aside of such days. It returns how many files went.
func (db *DB) DropRollups(today uint32) (dropped int, err error) {
	if err := db.enter(); err != nil {
		return 0, err
	}
	defer db.leave()
	for _, r := range rollups {
		dir := filepath.Join(db.dir, rollDir, string(r))
		entries, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return dropped, fmt.Errorf("list the roll-ups: %w", err)
		}
		for _, e := range entries {
			name, _, _ := strings.Cut(e.Name(), ".")
			if day, ok := parseDay(name); !ok || keptRoll(r, day, today) {
				continue
			}
			if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
				return dropped, fmt.Errorf("drop a roll-up: %w", err)
			}
			dropped++
		}
	}
	return dropped, nil
}

// Roll sums up a finished day of the history in one roll-up for each resolution. Each
// is there as a whole or not at all; again, it writes the same again. The heads of
// the day's reports are read in their order, as often as there are 16,384 hosts,
// at half of one core's speed. Reports that cannot be read are left out and told.
// Hosts that were removed are left out. Errors: ErrNotFound, ErrCorrupt when the day
// cannot be opened, ErrFull, ErrClosed, ctx's own.
func (db *DB) Roll(ctx context.Context, day uint32) error {
	if err := db.enter(); err != nil {
		return err
	}
	defer db.leave()
	if err := db.roll(ctx, day); err != nil {
		return fmt.Errorf("roll up %s: %w", dayName(day), err)
	}
	return nil
}

func (db *DB) roll(ctx context.Context, day uint32) error {
	r := roller{db: db, day: day, pace: pacer{ctx: ctx, stop: db.stop, since: time.Now()}}
	for _, res := range rollups {
		w, err := createRoll(db.dir, res, day)
		if w != nil {
			defer w.abandon()
		}
		if err != nil {
			return err
		}
		r.writers = append(r.writers, w)
	}
	for last := messages.HostID(""); ; {
		ids, err := db.hostIDs(last, db.o.rollHosts)
		if err != nil {
			return err
		}
		if len(ids) == 0 {
			break
		}
		if err := r.hosts(ids); err != nil {
			return err
		}
		last = ids[len(ids)-1]
	}
	for _, w := range r.writers {
		if err := w.finish(); err != nil {
			return err
		}
	}
	return nil
}

// hostIDs lists up to limit hosts behind last.
func (db *DB) hostIDs(last messages.HostID, limit int) (ids []messages.HostID, err error) {
	err = db.view(func(txn *badger.Txn) error {
		return walk(txn, query{prefix: []byte{prefixHost}, from: behind(prefixHost, last)}, func(key, _ []byte) error {
			ids = append(ids, messages.HostID(key[1:]))
			if len(ids) == limit {
				return errStop
			}
			return nil
		})
	})
	return ids, err
}

// roller rolls one day up.
type roller struct {
	db      *DB
	day     uint32
	pace    pacer
	writers []*rollWriter // by rollups
	sums    []daySum
	slots   []slot
	damaged int
}

// hosts writes the rows of some hosts.
func (r *roller) hosts(ids []messages.HostID) error {
	s, err := r.db.o.space(r.db.dir)
	if err != nil {
		return err
	}
	if s.free < r.db.reserve {
		return fmt.Errorf("%w: %d bytes free, %d must be", ErrFull, s.free, r.db.reserve)
	}
	index := make(map[messages.HostID]int, len(ids))
	for i, id := range ids {
		index[id] = i
	}
	if cap(r.sums) < len(ids) {
		r.sums = make([]daySum, len(ids))
	}
	r.sums = r.sums[:len(ids)]
	clear(r.sums)
	if err := r.collect(index); err != nil {
		return err
	}
	for i, id := range ids {
		if r.sums[i].empty() {
			continue
		}
		if err := r.row(id, &r.sums[i]); err != nil {
			return err
		}
	}
	return nil
}

func (r *roller) row(id messages.HostID, sum *daySum) error {
	for i, w := range r.writers {
		r.slots = sum.slots(rollups[i], r.slots[:0])
		if err := w.add(id, r.slots); err != nil {
			return err
		}
	}
	return r.pace.rest()
}

// collect reads the heads of the whole day.
func (r *roller) collect(index map[messages.HostID]int) error {
	s, err := r.db.history.acquire(r.day, false)
	if err != nil {
		return err
	}
	defer r.db.history.release(s)
	d := &decoder{words: map[string]string{}}
	return s.each(func(key, value []byte) error {
		err := r.blob(d, index, key, value)
		if errors.Is(err, ErrCorrupt) {
			if r.damaged++; r.damaged == 1 {
				r.db.log.Errorf("the roll-up of %s lacks reports that cannot be read: %v", dayName(r.day), err)
			}
			err = nil
		}
		return errors.Join(err, r.pace.rest())
	})
}

func (r *roller) blob(d *decoder, index map[messages.HostID]int, key, value []byte) error {
	b, err := openBlob(key, value)
	if err != nil {
		return err
	}
	var bad error
	for i := range b.count {
		head, _, err := b.rawHead(i)
		if err != nil {
			bad = err
			continue
		}
		d.b, d.err = head, nil
		d.take(d.uint()) // its id
		at, ok := index[messages.HostID(d.take(d.uint()))]
		if !ok {
			continue
		}
		received := d.time()
		d.time() // the agent's clock
		d.ref()
		d.bool()
		f := d.figures()
		if err := d.done(); err != nil {
			bad = corrupt(key, "head of entry %d: %v", i, err)
			continue
		}
		r.sums[at][quarterOf(r.day, received)].add(&f)
	}
	return bad
}

// pacer rests as long as it works, and ends the work when it is to stop.
type pacer struct {
	ctx   context.Context
	stop  <-chan struct{} // the store closes
	since time.Time
}

func (p *pacer) rest() error {
	select {
	case <-p.ctx.Done():
		return p.ctx.Err()
	case <-p.stop:
		return ErrClosed
	default:
	}
	if time.Since(p.since) < rollWork {
		return nil
	}
	select {
	case <-time.After(rollRest):
	case <-p.ctx.Done():
		return p.ctx.Err()
	case <-p.stop:
		return ErrClosed
	}
	p.since = time.Now()
	return nil
}

// setAsideRoll moves a damaged roll-up away, and says so. While the day's reports
// are there, the next pass makes it again.
func (db *DB) setAsideRoll(r messages.Resolution, day uint32, why error) {
	path := rollPath(db.dir, r, day)
	db.log.Errorf("moved aside to %s%s: %v", path, damagedSuffix, why)
	if err := os.Rename(path, path+damagedSuffix); err != nil {
		db.log.Errorf("move a damaged roll-up aside: %v", err)
	}
}
