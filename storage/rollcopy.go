package storage

import (
	"encoding/binary"
	"errors"
	"fmt"

	"felhom.eu/messages"
)

// rollups writes the rows of the roll-ups into the backup: they outlive the reports
// that they were made of.
func (b *backup) rollups() error {
	for _, r := range rollups {
		days, err := b.db.rolled(r)
		if err != nil {
			return err
		}
		for _, day := range days {
			if err := b.roll(r, day); err != nil {
				return err
			}
		}
	}
	return nil
}

// roll copies one, if all of it can be read.
func (b *backup) roll(r messages.Resolution, day uint32) error {
	f, err := openRoll(b.db.dir, r, day)
	if err == nil {
		defer f.close()
		err = f.each(func(messages.HostID, []slot) error { return nil })
	}
	switch {
	case errors.Is(err, ErrNotFound): // dropped a moment ago
		return nil
	case errors.Is(err, ErrCorrupt):
		b.damaged(err)
		return nil
	case err != nil:
		return err
	}
	var row encoder
	return f.each(func(id messages.HostID, slots []slot) error {
		row.b = row.b[:0]
		row.slots(slots)
		b.Rolls++
		return b.record(backupRoll, rollRowKey(r, day, id), row.b)
	})
}

// rollRowKey is a row's key in a backup: resolution | 0 | be32 day | host id.
func rollRowKey(r messages.Resolution, day uint32, id messages.HostID) []byte {
	return append(binary.BigEndian.AppendUint32(underKey(backupRoll, r), day), id...)
}

// cutRollKey reads a row's key.
func cutRollKey(key []byte) (r messages.Resolution, day uint32, id messages.HostID, ok bool) {
	for _, r := range rollups {
		if head := rollRowKey(r, 0, ""); len(key) > len(head) && string(key[:len(head)-4]) == string(head[:len(head)-4]) {
			return r, binary.BigEndian.Uint32(key[len(head)-4:]), messages.HostID(key[len(head):]), true
		}
	}
	return "", 0, "", false
}

// rollRow restores a row.
func (re *restorer) rollRow(key, v []byte) error {
	r, day, id, ok := cutRollKey(key)
	if !ok {
		return fmt.Errorf("%w: a row of a roll-up under key %q", errBackup, key)
	}
	d := decoder{b: v}
	slots := d.slots(r.Slots())
	if err := d.done(); err != nil {
		return fmt.Errorf("%w: a row of a roll-up: %w", errBackup, err)
	}
	if re.roll == nil || re.roll.path != rollPath(re.db.dir, r, day) {
		if err := re.endRoll(); err != nil {
			return err
		}
		w, err := createRoll(re.db.dir, r, day)
		if err != nil {
			return err
		}
		re.roll = w
	}
	re.got.Rolls++
	return re.roll.add(id, slots)
}

// endRoll finishes the roll-up at hand.
func (re *restorer) endRoll() error {
	if re.roll == nil {
		return nil
	}
	err := re.roll.finish()
	re.roll = nil
	return err
}

// leaveRoll gives up the roll-up at hand, if there is one.
func (re *restorer) leaveRoll() {
	if re.roll != nil {
		re.roll.abandon()
	}
}

// rollups reads every roll-up.
func (c *checker) rollups() error {
	for _, r := range rollups {
		days, err := c.db.rolled(r)
		if err != nil {
			return err
		}
		for _, day := range days {
			f, err := openRoll(c.db.dir, r, day)
			if err == nil {
				err = f.each(func(messages.HostID, []slot) error { c.Rolls++; return nil })
				f.close()
			}
			if err := c.note(err); err != nil {
				return err
			}
		}
	}
	return nil
}
