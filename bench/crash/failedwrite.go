package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"felhom.eu/bench/load"
	"felhom.eu/bench/rig"
	"felhom.eu/messages"
)

const (
	writeHosts  = 4
	writeRounds = 5
	storyTakes  = 2 * time.Minute // at most
)

// failures are the ways in which the N-th write fails.
var failures = []struct {
	errno  syscall.Errno
	onward bool
}{{syscall.EIO, false}, {syscall.ENOSPC, false}, {syscall.EIO, true}}

// failedWrite lets the N-th change of a file fail in a hub's short life, for
// every N there is or for so many of them, the ways in turn, and holds the next
// life to account. Three times as many rounds as there are changes try each N in
// each way.
func failedWrite(ctx context.Context, s *scene) error {
	whole := s.newStory("whole")
	if err := whole.live(ctx, 0, 0); err != nil && whole.hub != nil && whole.hub.Log.Contains(noFilter) {
		s.skip("writes cannot be made to fail: %s", whole.hub.Log.Tail(200))
		return nil
	} else if err != nil {
		return err
	}
	all := int(whole.saboteur.count.Load())
	s.Checks.Add(all > 0 && len(whole.acks) == writeHosts*writeRounds, "the story can be told without a fault", "%d writes, %d reports", all, len(whole.acks))
	if s.Rounds == 0 {
		s.Rounds = all
	}
	seen := map[string]int{}
	offset, turn := s.random.IntN(all), s.random.IntN(len(failures))
	for n := 0; n < s.Rounds && ctx.Err() == nil; n++ {
		at := 1 + (offset+n*max(1, all/s.Rounds))%all
		y := s.newStory(fmt.Sprint(n))
		if err := y.round(ctx, at, turn+n+n/all, seen); err != nil {
			s.Checks.Add(false, fmt.Sprintf("after failed write %d of %d (%s)", at, all, y.saboteur.failed), "%v", err)
		}
		os.RemoveAll(y.dir)
	}
	s.Seen = fmt.Sprintf("%d writes; %s", all, count(seen))
	return nil
}

// commitSync begins the error of a batch that could not be synced, here and in the
// hub's log: nothing else is synced by this call.
const commitSync = "fdatasync "

// story is one short life of a hub and what it acknowledged.
type story struct {
	*scene
	dir      string
	hub      *rig.Hub
	saboteur *saboteur
	hosts    []*load.Host
	acks     []load.Ack
	statuses map[int]int
}

func (s *scene) newStory(name string) *story {
	return &story{scene: s, dir: filepath.Join(s.dir, name)}
}

// round tells the story with a fault, and looks at what is left of it.
func (y *story) round(ctx context.Context, at, how int, seen map[string]int) error {
	if err := y.live(ctx, at, how%len(failures)); err != nil {
		return err
	}
	defer y.hub.Kill()
	if crashed(y.hub.Log.Since(0)) {
		seen["crashes"]++
	}
	if strings.HasPrefix(y.saboteur.failed, commitSync) && !strings.Contains(y.hub.Log.Since(0), commitSync) {
		return errors.New("a batch was acknowledged though it could not be synced")
	}
	for status := range y.statuses {
		if status != 200 && status != 503 {
			return fmt.Errorf("agents were answered %v", y.statuses)
		}
	}
	y.hub.Through()
	_, err := y.hub.Start(ctx)
	var kept map[messages.HostID][]digest
	if err == nil {
		kept, err = readKept(ctx, &y.hub.Admin, y.hosts)
	}
	if err != nil {
		return fmt.Errorf("%w: %s", err, y.hub.Log.Tail(1200))
	}
	var checks rig.Checks
	y.Lost += checkReports(&checks, y.acks, openReports(y.hosts), kept)
	y.Acknowledged += len(y.acks)
	if err := checks.Err(); err != nil {
		return fmt.Errorf("%w: %v", err, checks)
	}
	for _, host := range y.hosts {
		if status, err := host.Send(ctx, y.hub.Addr); err != nil || status != 200 {
			return fmt.Errorf("host %s cannot report: %d, %w", host.ID, status, err)
		}
	}
	if err := y.hub.Stop(); err != nil {
		return err
	}
	if status, said, err := y.hub.Command(ctx, "check"); err != nil || status != 0 {
		return fmt.Errorf("check: %d, %w: %s", status, err, said)
	}
	return nil
}

// live starts a hub, mints hosts, lets them report, and stops it; the change of
// a file with the number at fails (0: none). Whatever comes of it, the hub has
// ended when it returns. Errors: that it did neither go on nor end.
func (y *story) live(ctx context.Context, at, how int) (err error) {
	if err := os.MkdirAll(y.dir, 0o700); err != nil {
		return err
	}
	if y.hub, err = rig.NewHub(y.scene.hub, y.dir, shortThresholds); err != nil {
		return err
	}
	if y.saboteur, err = newSaboteur(y.dir, y.hub.Dir); err != nil {
		return err
	}
	y.saboteur.failAt, y.saboteur.errno, y.saboteur.onward = at, failures[how].errno, failures[how].onward
	through, err := y.saboteur.wrap()
	if err != nil {
		return err
	}
	y.hub.Through(through...)
	serving, cancel := context.WithCancel(ctx) // longer than the story: a hub that hangs is to say where
	defer cancel()
	served := make(chan error, 1)
	go func() { served <- y.saboteur.serve(serving) }()
	ctx, end := context.WithTimeout(ctx, storyTakes)
	defer end()
	told, hung := y.tell(ctx), false
	if y.hub.Process != nil {
		if told == nil && at == 0 {
			told = y.hub.Stop()
		}
		y.hub.Signal(syscall.SIGTERM)
		select {
		case <-y.hub.Done():
		case <-ctx.Done():
			said := y.hub.Log.Tail(1500)
			told = errors.Join(told, fmt.Errorf("the hub neither went on nor ended: %s\n%s", said, y.hub.Quit()))
			hung = true
		}
	}
	cancel()
	if err := <-served; err != nil {
		return err
	}
	if at == 0 || hung {
		return told
	}
	return nil // a fault may end the story at any point
}

// tell is the story. Its errors are the hub's, which has a right to fail.
func (y *story) tell(ctx context.Context) error {
	if _, err := y.hub.Start(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		<-y.hub.Done()
		cancel()
	}()
	hosts, err := rig.Fleet(ctx, &y.hub.Admin, "acme", writeHosts)
	if err != nil {
		return err
	}
	y.hosts = hosts
	r, err := load.Run(ctx, load.Plan{Addr: y.hub.Addr, Hosts: hosts, Connections: len(hosts), Rounds: writeRounds, For: storyTakes, Remember: true})
	if err != nil {
		return err
	}
	y.acks, y.statuses = r.Acks, r.Statuses
	return nil
}
