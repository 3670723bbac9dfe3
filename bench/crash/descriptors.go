package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"felhom.eu/bench/rig"
)

const (
	crowd      = 300 // connections that say nothing
	crowdFor   = offFor
	crowdPause = 20 * time.Millisecond // after a connection was closed
	fewFiles   = 96                    // the hub refuses connections at half of it
	spareFiles = 8                     // what is left when the kernel refuses
)

// descriptors takes the hub's file descriptors away with idle connections, for
// longer than down_seconds: until the hub's own bound, and until the kernel's.
func descriptors(ctx context.Context, s *scene) error {
	for n := range s.Rounds {
		h, err := rig.NewHub(s.hub, fmt.Sprintf("%s/%d-few", s.dir, n), shortThresholds)
		if err != nil {
			return err
		}
		h.Through("/bin/sh", "-c", fmt.Sprintf(`ulimit -n %d; exec "$@"`, fewFiles), "sh")
		if err := s.crowded(ctx, h, "a bound of its own", func() error { return nil }); err != nil {
			return err
		}
		if h, err = rig.NewHub(s.hub, fmt.Sprintf("%s/%d-none", s.dir, n), shortThresholds); err != nil {
			return err
		}
		if err := s.crowded(ctx, h, "the kernel's bound", func() error { return leaveFiles(h.PID(), spareFiles) }); err != nil {
			return err
		}
		s.Checks.Add(h.Log.Contains("cannot accept connections"), "the kernel refused", "%s", h.Log.Tail(300))
	}
	s.Seen = fmt.Sprintf("%d idle connections for %v", crowd, crowdFor)
	return nil
}

// leaveFiles lets a process open so many more files.
func leaveFiles(pid, more int) error {
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		return err
	}
	n := uint64(len(open) + more)
	return unix.Prlimit(pid, unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: n, Max: n}, nil)
}

func (s *scene) crowded(ctx context.Context, h *rig.Hub, bound string, lower func() error) error {
	w, err := s.watch(ctx, h)
	if err != nil {
		return err
	}
	defer w.close()
	wait(ctx, 500*time.Millisecond)
	if err := lower(); err != nil {
		return err
	}
	leave := crowdIn(ctx, h.Addr)
	wait(ctx, crowdFor)
	leave()
	begin := time.Now()
	err = within(ctx, turnTimeout, "a stranger gets in", func() (bool, error) {
		status, _, err := h.Get(ctx, "/readyz")
		select {
		case <-h.Done():
			return false, errors.Join(err, h.Err(), errors.New(h.Log.Tail(1000)))
		default:
			return status == http.StatusOK, nil
		}
	})
	s.Checks.Add(err == nil, "it listens on after "+bound, "after %.1f s; %v", time.Since(begin).Seconds(), err)
	if err != nil {
		return nil
	}
	return w.judge(ctx)
}

// crowdIn holds connections open that say nothing, and opens those that are
// closed again, until it is told to leave.
func crowdIn(ctx context.Context, addr string) (leave func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = rig.Parallel(crowd, crowd, func(int) error {
			for ctx.Err() == nil {
				idle(ctx, addr)
			}
			return nil
		})
	}()
	return func() { cancel(); <-done }
}

// idle is one connection, until it is closed by the other end or ctx ends.
func idle(ctx context.Context, addr string) {
	c, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		wait(ctx, crowdPause)
		return
	}
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { c.Close() })
	defer stop()
	c.Read(make([]byte, 1))
	wait(ctx, crowdPause)
}
