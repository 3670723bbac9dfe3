package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"felhom.eu/bench/load"
	"felhom.eu/bench/rig"
	"felhom.eu/messages"
)

const (
	diskBytes = 320 << 20
	// nearlyFull is what is left free when the hub must have stopped taking
	// reports: it wants three memtables of 64 MiB.
	nearlyFull = 150 << 20
	fullFor    = 1500 * time.Millisecond
	spaceIn    = time.Minute // to take reports again
)

// disk is a memory file system of a fixed size, and a file that fills it.
type disk struct{ mount string }

func newDisk(ctx context.Context, dir string) (*disk, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	return &disk{dir}, command(ctx, "mount", "-t", "tmpfs", "-o", fmt.Sprintf("size=%d", diskBytes), "tmpfs", dir)
}

func (d *disk) remove() error { return command(context.Background(), "umount", d.mount) }

func (d *disk) ballast() string { return filepath.Join(d.mount, "ballast") }

// fill leaves so many bytes free.
func (d *disk) fill(left uint64) error {
	f, err := os.OpenFile(d.ballast(), os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	for {
		var s unix.Statfs_t
		if err := unix.Statfs(d.mount, &s); err != nil {
			return err
		}
		free := s.Bavail * uint64(s.Bsize)
		if free <= left {
			return nil
		}
		info, err := f.Stat()
		if err != nil {
			return err
		}
		// The hub writes meanwhile: what is said to be free may be gone.
		if err := unix.Fallocate(int(f.Fd()), 0, info.Size(), int64(min(free-left, 64<<20))); err != nil && !errors.Is(err, syscall.ENOSPC) {
			return err
		}
	}
}

func (d *disk) free() error { return os.Remove(d.ballast()) }

// diskFull fills the hub's file system while it works: with its guard, which
// stops in time, and in every third round without, where it may die.
func diskFull(ctx context.Context, s *scene) error {
	seen := map[string]int{}
	for n := 0; n < s.Rounds && ctx.Err() == nil; n++ {
		d, err := newDisk(ctx, fmt.Sprintf("%s/%d", s.dir, n))
		if err != nil {
			s.skip("no tmpfs can be mounted: %v", err)
			return nil
		}
		err = s.fillUp(ctx, d, n, seen)
		if err = errors.Join(err, d.remove()); err != nil {
			return fmt.Errorf("round %d: %w", n, err)
		}
	}
	s.Seen = count(seen)
	return nil
}

// fillUp is one round: the disk fills up, the hub ends or not, there is space again.
func (s *scene) fillUp(ctx context.Context, d *disk, n int, seen map[string]int) (err error) {
	program, guarded := s.hub, n%3 != 2
	if !guarded {
		if program, err = s.builds.changed(ctx, "guard"); err != nil {
			return err
		}
	}
	h, err := rig.NewHub(program, d.mount, shortThresholds)
	if err != nil {
		return err
	}
	w, err := s.watch(ctx, h)
	if err != nil {
		return err
	}
	defer w.close()
	wait(ctx, 500*time.Millisecond)
	if guarded {
		err = w.fillGuarded(ctx, d, n, seen)
	} else {
		err = d.fill(0)
		wait(ctx, fullFor)
		seen["without the guard"]++
	}
	if err != nil {
		return err
	}
	return w.recover(ctx, d, seen)
}

// fillGuarded fills the disk in two steps and holds the hub to what it promises
// while it is full. In turn it goes on, is killed and started, or stopped.
func (w *watched) fillGuarded(ctx context.Context, d *disk, n int, seen map[string]int) error {
	if err := d.fill(nearlyFull); err != nil {
		return err
	}
	probe := load.NewHost(0, w.silent.ID, w.silent.Key) // refused: it never makes contact
	var said string
	err := within(ctx, turnTimeout, "a report is refused with 503", func() (bool, error) {
		status, retry, err := post(ctx, w.Addr, w.silent.Key, load.Ack{Host: probe, Sequence: 1, At: 1}.Body())
		said = fmt.Sprintf("%d, Retry-After %q", status, retry)
		return status == http.StatusServiceUnavailable && retry != "", err
	})
	w.Checks.Add(err == nil, "agents are told 503 and when to come again", "%s; %v", said, err)
	w.readable(ctx, "when nearly full")
	if err := d.fill(0); err != nil {
		return err
	}
	wait(ctx, fullFor)
	if n%6 == 0 {
		wait(ctx, offFor) // for longer than down_seconds
		seen["longer than down_seconds"]++
	}
	w.readable(ctx, "when full")
	w.Checks.Add(w.Log.Contains("store refuses writes"), "the log has the alarm", "")
	switch {
	case n%6 == 1:
		seen["killed and started while full"]++
		w.Kill()
		return w.startFull(ctx)
	case n%6 == 3:
		seen["stopped while full"]++
		err := w.Stop()
		w.Checks.Add(err == nil, "a hub on a full disk stops in peace", "%v: %s", err, w.Log.Tail(600))
	}
	return nil
}

// startFull starts a hub on a full disk: it may refuse with a reason, or come up
// and take no reports. It may not crash.
func (w *watched) startFull(ctx context.Context) error {
	begin := w.Log.Len()
	if err := w.Launch(); err != nil {
		return err
	}
	wait(ctx, fullFor)
	said := w.Log.Since(begin)
	select {
	case <-w.Done():
		w.Checks.Add(!crashed(said) && w.Err() != nil && said != "", "a start on a full disk is refused with a reason", "%v: %.600s", w.Err(), said)
	default:
		w.Checks.Add(!crashed(said), "a start on a full disk does not crash", "%.600s", said)
		w.readable(ctx, "started when full")
	}
	return nil
}

// recover gives the space back: the hub takes reports again, by itself or
// after a start, and nothing is missing.
func (w *watched) recover(ctx context.Context, d *disk, seen map[string]int) error {
	if err := d.free(); err != nil {
		return err
	}
	select {
	case <-w.Done():
		if crashed(w.Log.Since(0)) {
			seen["crashes"]++
		}
		if _, err := w.Start(ctx); err != nil {
			return err
		}
	default:
	}
	err := within(ctx, spaceIn, "it takes reports again", func() (bool, error) {
		status, _, err := w.Get(ctx, "/readyz")
		return status == http.StatusOK, err
	})
	w.Checks.Add(err == nil, "it takes reports again when there is space", "%v", err)
	return w.judge(ctx)
}

// post sends a report's body with a key, and returns status and Retry-After.
func post(ctx context.Context, addr string, key messages.Secret, body []byte) (status int, retryAfter string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+addr+"/api/v1/host-report", bytes.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	req.Header.Set("Authorization", "Bearer "+key.Reveal())
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, resp.Header.Get("Retry-After"), err
}
