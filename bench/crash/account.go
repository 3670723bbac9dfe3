package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"felhom.eu/bench/load"
	"felhom.eu/bench/rig"
	"felhom.eu/messages"
)

// account lets the last cycle end in peace and compares what the hub says with
// what it was told and what it told.
func (k *killer) account(ctx context.Context) error {
	k.hub.Set("GROUP_WAIT_SECONDS", "1")
	if err := k.start(ctx); err != nil {
		return err
	}
	if err := k.finishCycle(ctx); err != nil {
		return err
	}
	// While events are read, nobody may fall silent.
	ctx, end := context.WithCancel(ctx)
	defer end()
	everyone := append(append([]*load.Host(nil), k.loaders...), k.sleepers...)
	quiet, stop := context.WithCancel(ctx)
	working := goLoad(quiet, k.hub, load.Plan{Hosts: everyone, Connections: min(16, len(everyone)), Rate: steadyRate * float64(len(everyone))})
	told, err := k.readTold(ctx)
	stop()
	k.answered((<-working).Acks)
	if err != nil {
		return err
	}
	told.check(&k.Checks, expected{cycles: k.cycles, sleepers: idSet(k.sleepers), kills: k.Rounds + k.startKills, acks: k.acks, stale: staleAfter})
	kept, err := readKept(ctx, &k.hub.Admin, everyone)
	if err != nil {
		return err
	}
	k.Acknowledged = len(k.acks)
	k.Lost += checkReports(&k.Checks, k.acks, append(openReports(everyone), k.late...), kept)
	return k.hub.Stop()
}

// finishCycle brings every sleeper to the end of the cycle that it is in.
func (k *killer) finishCycle(ctx context.Context) error {
	ctx, end := context.WithCancel(ctx)
	working := goLoad(ctx, k.hub, load.Plan{Hosts: k.loaders, Connections: min(16, len(k.loaders)), Rate: steadyRate * float64(len(k.loaders))})
	defer func() {
		end()
		k.answered((<-working).Acks)
	}()
	if k.phase != awaitStale {
		if err := k.awaitAll(ctx, messages.HostDown); err != nil {
			return err
		}
		k.away, k.turned = k.sleepers, true
	} else if len(k.away) == 0 {
		k.away = k.sleepers // report before they go stale once more
	}
	k.comeBack(ctx)
	k.completeCycle()
	return nil
}

func idSet(hosts []*load.Host) map[messages.HostID]bool {
	ids := map[messages.HostID]bool{}
	for _, h := range hosts {
		ids[h.ID] = true
	}
	return ids
}

// openReports are those that were sent and never answered.
func openReports(hosts []*load.Host) (open []load.Ack) {
	for _, h := range hosts {
		if a, ok := h.Open(); ok {
			open = append(open, a)
		}
	}
	return open
}

// drainTimeout is what the outbox has to become empty in; it is well above the
// back-off of a route that was always reachable.
const drainTimeout = 3 * time.Minute

// tellTimeout is what everything has to be told in: well above the group wait, which
// begins anew while one host after the other turns.
const tellTimeout = 30 * time.Second

// readTold reads every event once no delivery is pending and no transition still waits
// to be put into one; what is untold after tellTimeout stays so.
func (k *killer) readTold(ctx context.Context) (t told, err error) {
	begin := time.Now()
	err = within(ctx, drainTimeout, "every delivery sent", func() (bool, error) {
		var err error
		if t.events, err = k.hub.Events(ctx); err != nil {
			return false, err
		}
		if t.deliveries, err = k.hub.Deliveries(ctx); err != nil {
			return false, err
		}
		for _, d := range t.deliveries {
			if d.State == messages.DeliveryPending {
				return false, nil
			}
		}
		t.got = k.hooks.All()
		return t.untold() == 0 || time.Since(begin) > tellTimeout, nil
	})
	return t, err
}

// digest stands for a body.
type digest = [sha256.Size]byte

// readKept asks for every body of every host, as digests.
func readKept(ctx context.Context, a *rig.Admin, hosts []*load.Host) (map[messages.HostID][]digest, error) {
	lines := make([][]rig.ReportLine, len(hosts))
	bodies := make([][]digest, len(hosts))
	err := rig.Parallel(16, len(hosts), func(i int) (err error) {
		id := hosts[i].ID
		if lines[i], err = a.Reports(ctx, id); err != nil {
			return fmt.Errorf("list reports of %s: %w", id, err)
		}
		bodies[i] = make([]digest, len(lines[i]))
		for n, line := range lines[i] {
			body, err := a.Report(ctx, id, line.ID)
			if err != nil {
				return fmt.Errorf("read report of %s: %w", id, err)
			}
			bodies[i][n] = sha256.Sum256(body)
		}
		return nil
	})
	kept := map[messages.HostID][]digest{}
	for i, h := range hosts {
		kept[h.ID] = bodies[i]
	}
	return kept, err
}

// missing is which of the acknowledged reports, the newest of their hosts, the
// hub does not have.
func missing(ctx context.Context, a *rig.Admin, acks []load.Ack) (lost []load.Ack, err error) {
	of := map[*load.Host][]load.Ack{}
	for _, ack := range acks {
		of[ack.Host] = append(of[ack.Host], ack)
	}
	hosts := slices.Collect(maps.Keys(of))
	var mu sync.Mutex
	err = rig.Parallel(8, len(hosts), func(i int) error {
		gone, err := missingOf(ctx, a, hosts[i].ID, of[hosts[i]])
		mu.Lock()
		defer mu.Unlock()
		lost = append(lost, gone...)
		return err
	})
	return lost, err
}

func missingOf(ctx context.Context, a *rig.Admin, id messages.HostID, acks []load.Ack) (lost []load.Ack, err error) {
	lines, err := a.Newest(ctx, id, len(acks)+1) // and perhaps one that was never answered
	if errors.Is(err, rig.ErrNotThere) {
		return acks, nil // its host is gone
	}
	if err != nil {
		return nil, fmt.Errorf("list reports of %s: %w", id, err)
	}
	there := map[digest]bool{}
	for _, line := range lines {
		body, err := a.Report(ctx, id, line.ID)
		if err != nil {
			return nil, fmt.Errorf("read report of %s: %w", id, err)
		}
		there[sha256.Sum256(body)] = true
	}
	for _, ack := range acks {
		if !there[sha256.Sum256(ack.Body())] {
			lost = append(lost, ack)
		}
	}
	return lost, nil
}
