package actors

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// A day goes when it is old and rolled up; one that cannot be waits, for a while.
func TestDroppable(t *testing.T) {
	for _, c := range []struct {
		days, unrolled, drop, lost []uint32
	}{
		{days: []uint32{95, 99, 100, 101}, drop: []uint32{95, 99}},
		{days: []uint32{95, 96, 97, 99, 100}, unrolled: []uint32{96, 97, 99, 100}, drop: []uint32{95, 96}, lost: []uint32{96}},
		{days: []uint32{97, 99}, unrolled: []uint32{97}, drop: []uint32{99}},
		{},
	} {
		drop, lost := droppable(c.days, c.unrolled, 100)
		if !slices.Equal(drop, c.drop) || !slices.Equal(lost, c.lost) {
			t.Errorf("of %v without %v: drops %v, loses %v; want %v, %v", c.days, c.unrolled, drop, lost, c.drop, c.lost)
		}
	}
}

// A day is rolled up when it has been over for a moment, and before it is dropped; a
// round that is ended early drops nothing.
func TestTidyRollsUpBeforeItDrops(t *testing.T) {
	midnight := time.Unix(20513*86400, 0)
	f := &fakeStore{days: []uint32{20480, 20511, 20512, 20513}}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if r := tidy(ended, f, midnight, 30); !errors.Is(r.err, context.Canceled) || r.dropped != 0 || len(f.rolled) != 0 {
		t.Errorf("an ended round: %+v", r)
	}
	if r := tidy(t.Context(), f, midnight, 30); r.err != nil || !slices.Equal(f.rolled, []uint32{20480, 20511}) || r.dropped != 1 {
		t.Errorf("at midnight: %+v, rolled %v", r, f.rolled)
	}
	if r := tidy(t.Context(), f, midnight.Add(rollMargin), 30); r.err != nil || r.rolled != 1 || !slices.Contains(f.rolled, 20512) {
		t.Errorf("a moment later: %+v, rolled %v", r, f.rolled)
	}
	f = &fakeStore{days: []uint32{20478, 20480, 20482}, rollErr: errors.New("no")}
	if r := tidy(t.Context(), f, midnight.Add(rollMargin), 30); r.rollErr == nil || !slices.Equal(f.days, []uint32{20480, 20482}) || !slices.Equal(r.unrolled, []uint32{20478}) {
		t.Errorf("when rolling fails: %+v, days left %v", r, f.days)
	}
}

// A stop of the hub ends a round that runs.
func TestStopEndsARound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newScene(t)
		ended := make(chan error, 1)
		w.store.days = []uint32{uint32(dayOf(time.Now())) - 2}
		w.store.onRoll = func(ctx context.Context) error {
			<-ctx.Done()
			ended <- ctx.Err()
			return ctx.Err()
		}
		w.start()
		w.sleep(2 * time.Minute)
		w.stop()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}
