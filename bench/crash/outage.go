package main

import (
	"context"
	"fmt"
	"time"

	"felhom.eu/bench/load"
	"felhom.eu/bench/rig"
	"felhom.eu/messages"
)

const (
	outageHosts = 20
	downSeconds = 6 // of shortThresholds
	offFor      = (downSeconds + 2) * time.Second
	comeLate    = 2500 * time.Millisecond // after the hub, well within the grace of 5 s
)

// outage switches the hub off for longer than down_seconds: hosts that report
// again afterwards must not be alarmed about, the one that does not must be.
func outage(ctx context.Context, s *scene) error {
	for n := range s.Rounds {
		if err := s.outage(ctx, fmt.Sprintf("%s/%d", s.dir, n)); err != nil {
			return err
		}
	}
	return nil
}

func (s *scene) outage(ctx context.Context, dir string) error {
	hooks, err := rig.StartWebhooks()
	if err != nil {
		return err
	}
	defer hooks.Close()
	settings := rig.Settings{}
	for name, value := range shortThresholds {
		settings[name] = value
	}
	settings["RESUME_GRACE_SECONDS"] = "5"
	h, err := rig.NewHub(s.hub, dir, settings)
	if err != nil {
		return err
	}
	defer func() {
		if h.Process != nil {
			h.Kill()
		}
	}()
	hosts, err := beforeOutage(ctx, h, hooks)
	if err != nil {
		return err
	}
	wait(ctx, offFor)
	if _, err := h.Start(ctx); err != nil {
		return err
	}
	return afterOutage(ctx, h, hooks, hosts, &s.Checks)
}

// beforeOutage lets every host report once and switches the hub off.
func beforeOutage(ctx context.Context, h *rig.Hub, hooks *rig.Webhooks) ([]*load.Host, error) {
	if _, err := h.Start(ctx); err != nil {
		return nil, err
	}
	if err := h.AddWebhook(ctx, hooks.URL(), hooks.Secret); err != nil {
		return nil, err
	}
	hosts, err := rig.Fleet(ctx, &h.Admin, "outage", outageHosts)
	if err != nil {
		return nil, err
	}
	r, err := load.Run(ctx, load.Plan{Addr: h.Addr, Hosts: hosts, Connections: len(hosts), Rounds: 1, For: turnTimeout})
	if err != nil {
		return nil, err
	}
	if r.Count != len(hosts) {
		return nil, fmt.Errorf("before the outage: %d of %d hosts could report", r.Count, len(hosts))
	}
	h.Kill()
	return hosts, nil
}

// afterOutage lets all but the first host report, until the first is down.
func afterOutage(ctx context.Context, h *rig.Hub, hooks *rig.Webhooks, hosts []*load.Host, checks *rig.Checks) error {
	lost := hosts[0].ID
	ctx, stop := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		wait(ctx, comeLate)
		load.Run(ctx, load.Plan{Addr: h.Addr, Hosts: hosts[1:], Connections: 4, Rate: 2 * outageHosts, For: time.Hour})
	}()
	begin := time.Now()
	err := within(ctx, turnTimeout, "host_down of the lost host was told", func() (bool, error) {
		return tally(hooks.Events(), lost)[messages.HostDown] > 0, nil
	})
	took := time.Since(begin)
	events, readErr := h.Events(ctx)
	stop()
	<-done
	if readErr != nil {
		return readErr
	}
	alarms := 0
	for _, e := range append(events, hooks.Events()...) {
		if _, isTurn := turns[e.Type]; isTurn && e.HostID != lost {
			alarms++
		}
	}
	n := tally(events, lost)
	checks.Add(alarms == 0, fmt.Sprintf("after %v off: no alarm for hosts that report again", offFor), "%d hosts, %d alarms", outageHosts-1, alarms)
	checks.Add(err == nil && n[messages.HostStale] == 1 && n[messages.HostDown] == 1,
		"after being off: the host that does not is told, once", "stale %d, down %d, told after %.1f s; %v", n[messages.HostStale], n[messages.HostDown], took.Seconds(), err)
	return nil
}

func tally(events []messages.Event, id messages.HostID) map[messages.EventType]int {
	n := map[messages.EventType]int{}
	for _, e := range events {
		if e.HostID == id {
			n[e.Type]++
		}
	}
	return n
}
