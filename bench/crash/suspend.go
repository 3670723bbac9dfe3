package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"felhom.eu/bench/rig"
)

// suspend stops the process for longer than down_seconds: its hosts could not
// report, so none of them was silent.
func suspend(ctx context.Context, s *scene) error {
	for n := range s.Rounds {
		h, err := rig.NewHub(s.hub, fmt.Sprintf("%s/%d", s.dir, n), shortThresholds)
		if err != nil {
			return err
		}
		if err := s.suspend(ctx, h, offFor+time.Duration(n)*suspendLonger); err != nil {
			return err
		}
	}
	s.Seen = fmt.Sprintf("%v and more, down_seconds is %d", offFor, downSeconds)
	return nil
}

// suspendLonger takes later rounds over what an agent's patience is taken to be.
const suspendLonger = 14 * time.Second

func (s *scene) suspend(ctx context.Context, h *rig.Hub, asleep time.Duration) error {
	w, err := s.watch(ctx, h)
	if err != nil {
		return err
	}
	defer w.close()
	wait(ctx, time.Second)
	if err := h.Signal(syscall.SIGSTOP); err != nil {
		return err
	}
	wait(ctx, asleep)
	if err := h.Signal(syscall.SIGCONT); err != nil {
		return err
	}
	wait(ctx, time.Second)
	return w.judge(ctx)
}

// step is what happens to a machine's clocks.
type step struct {
	name       string
	wall, boot time.Duration
}

const (
	day  = 24 * time.Hour
	year = 365 * day
)

// steps end where they began, so that any number of rounds is possible.
var steps = []step{
	{"an hour ahead", time.Hour, 0}, {"ten years ahead", 10 * year, 0}, {"ten years back", -10 * year, 0},
	{"suspended for 3 h", 3 * time.Hour, 3 * time.Hour}, {"a second back", -time.Second, 0}, {"a day back", -day, 0},
	{"a day ahead", day, 0}, {"suspended, clock not set", 0, 3 * time.Hour}, {"an hour back", -time.Hour, 0},
	{"a second ahead", time.Second, 0}, {"suspended for a day", day, day}, {"a day and 3 h back", -day - 3*time.Hour, 0},
}

// stepLasts is how long hosts report between two steps.
const stepLasts = 1500 * time.Millisecond

// clockSteps moves the clocks of a hub whose reader of clocks takes offsets from
// a file, and kills it half-way: it must start with other clocks than it ended.
func clockSteps(ctx context.Context, s *scene) error {
	program, err := s.builds.changed(ctx, "clock")
	if err != nil {
		return err
	}
	h, err := rig.NewHub(program, s.dir, shortThresholds)
	if err != nil {
		return err
	}
	offsets := filepath.Join(s.dir, "offsets")
	h.Set("TEST_OFFSETS", offsets)
	w, err := s.watch(ctx, h)
	if err != nil {
		return err
	}
	defer w.close()
	var wall, boot, furthest time.Duration
	for n := 0; n < s.Rounds && ctx.Err() == nil; n++ {
		next := steps[n%len(steps)]
		wall, boot = wall+next.wall, boot+next.boot
		if n == s.Rounds/2 {
			h.Kill()
		}
		if err := setOffsets(offsets, wall, boot); err != nil {
			return err
		}
		if n == s.Rounds/2 {
			if _, err := h.Start(ctx); err != nil {
				return err
			}
		}
		wait(ctx, stepLasts)
		v, err := h.Host(ctx, w.awake[0].ID)
		if err != nil {
			return err
		}
		furthest = max(furthest, time.Until(v.LastReportAt))
	}
	s.Checks.Add(furthest > year, "the hub believed the clock", "it received a report %v ahead", furthest)
	s.Seen = fmt.Sprintf("up to %.0f d ahead", furthest.Hours()/24)
	return w.judge(ctx)
}

// setOffsets replaces the file as a whole: the hub reads it all the time.
func setOffsets(path string, wall, boot time.Duration) error {
	if err := os.WriteFile(path+".new", fmt.Appendf(nil, "%d %d\n", wall, boot), 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}
