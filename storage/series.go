package storage

import (
	"context"
	"errors"
	"time"

	"felhom.eu/messages"
)

// MaxUsages bounds a series.
const MaxUsages = 5000

// Series is a host's figures from one instant to another, oldest first: at
// ResolutionRaw its reports, the newest MaxUsages of them; at the others every slot
// that from, to and what is between touch, at most MaxUsages from the first on, gaps among them.
// Finished days come from their roll-ups, later ones from the reports' heads; no
// body is read. A roll-up that is damaged is told, set aside and shown as a gap.
// Errors: ErrNotFound when there is no such host, ctx's own.
func (db *DB) Series(ctx context.Context, id messages.HostID, r messages.Resolution, from, to time.Time) ([]messages.Usage, error) {
	if _, err := db.HostState(id); err != nil {
		return nil, err
	}
	if r == messages.ResolutionRaw {
		return db.rawSeries(ctx, id, from, to)
	}
	if err := db.enter(); err != nil {
		return nil, err
	}
	defer db.leave()
	s := newSeries(r, from, to)
	rolled, err := db.rolled(r)
	if err != nil {
		return nil, err
	}
	behind := uint32(0) // the first day that is read from heads
	for _, day := range rolled {
		behind = day + 1
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err := db.fromRoll(s, id, day); err != nil {
			return nil, err
		}
	}
	return s.usages, db.fromHeads(ctx, s, id, behind)
}

func (db *DB) rawSeries(ctx context.Context, id messages.HostID, from, to time.Time) (us []messages.Usage, err error) {
	err = db.eachHead(ctx, id, func(row *ReportRow) bool {
		if !row.ReceivedAt.Before(from) && row.ReceivedAt.Before(to) {
			var sum slotSum
			sum.add(&row.Figures)
			v := sum.slot()
			us = append(us, v.usage(row.ReceivedAt))
		}
		return len(us) < MaxUsages && !row.ReceivedAt.Before(from)
	})
	for i, j := 0, len(us)-1; i < j; i, j = i+1, j-1 {
		us[i], us[j] = us[j], us[i]
	}
	return us, err
}

// series is a grid of slots that is being filled.
type series struct {
	resolution messages.Resolution
	usages     []messages.Usage
	first      int64 // the number of its first slot since 1970-01-01 UTC
}

func newSeries(r messages.Resolution, from, to time.Time) *series {
	slot := r.Slot()
	s := &series{resolution: r, first: floorDiv(from.Unix(), int64(slot/time.Second))}
	for at := time.Unix(s.first*int64(slot/time.Second), 0).UTC(); at.Before(to) && len(s.usages) < MaxUsages; at = at.Add(slot) {
		s.usages = append(s.usages, messages.Gap(at))
	}
	return s
}

func floorDiv(a, b int64) int64 {
	if a < 0 {
		return (a - b + 1) / b
	}
	return a / b
}

// at is where a day's slots begin in the series; it may be outside.
func (s *series) at(day uint32) int { return int(int64(day)*int64(s.resolution.Slots()) - s.first) }

// wants reports whether any of the day is in the series.
func (s *series) wants(day uint32) bool {
	at := s.at(day)
	return at > -s.resolution.Slots() && at < len(s.usages)
}

// fill puts a day's slots where they belong.
func (s *series) fill(day uint32, slots []slot) {
	for i := range slots {
		if at := s.at(day) + i; at >= 0 && at < len(s.usages) && slots[i].reports > 0 {
			s.usages[at] = slots[i].usage(s.usages[at].At)
		}
	}
}

// fromRoll fills in a day's roll-up.
func (db *DB) fromRoll(s *series, id messages.HostID, day uint32) error {
	if !s.wants(day) {
		return nil
	}
	f, err := openRoll(db.dir, s.resolution, day)
	if err == nil {
		defer f.close()
		var slots []slot
		if slots, err = f.find(id); err == nil {
			s.fill(day, slots)
		}
	}
	switch {
	case errors.Is(err, ErrNotFound): // dropped a moment ago
		return nil
	case errors.Is(err, ErrCorrupt):
		db.setAsideRoll(s.resolution, day, err)
		return nil
	}
	return err
}

// fromHeads fills in the days from first on, which are not rolled up yet.
func (db *DB) fromHeads(ctx context.Context, s *series, id messages.HostID, first uint32) error {
	days := map[uint32]*daySum{}
	err := db.eachHead(ctx, id, func(row *ReportRow) bool {
		day := row.Ref.Day
		if s.wants(day) && day >= first {
			if days[day] == nil {
				days[day] = &daySum{}
			}
			days[day][quarterOf(day, row.ReceivedAt)].add(&row.Figures)
		}
		return day >= first && s.at(day) > -s.resolution.Slots()
	})
	if err != nil {
		return err
	}
	for day, sum := range days {
		s.fill(day, sum.slots(s.resolution, nil))
	}
	return nil
}

// eachHead calls fn for a host's reports, newest first, until it has enough. What is
// behind damage is told as missing.
func (db *DB) eachHead(ctx context.Context, id messages.HostID, fn func(*ReportRow) bool) error {
	state, err := db.HostState(id)
	if err != nil {
		return err
	}
	for at := state.Last; !at.IsZero(); {
		if err := ctx.Err(); err != nil {
			return err
		}
		row, err := db.reportRow(string(id), at)
		switch {
		case errors.Is(err, errGone):
			return nil
		case errors.Is(err, ErrCorrupt):
			db.log.Errorf("the series of host %s lacks reports that cannot be read: %v", id, err)
			return nil
		case err != nil:
			return err
		case !fn(&row):
			return nil
		}
		at = row.Previous
	}
	return nil
}
