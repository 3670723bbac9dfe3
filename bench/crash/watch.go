package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"felhom.eu/bench/load"
	"felhom.eu/bench/rig"
	"felhom.eu/messages"
)

// watched is a hub with hosts that report all the time and one that has fallen
// silent: whatever happens to the hub, it must alarm about that one alone.
type watched struct {
	*scene
	*rig.Hub
	hooks  *rig.Webhooks
	silent *load.Host
	awake  []*load.Host
	acks   []load.Ack
	stop   func() // ends the reports
}

const watchedHosts = 16

// watch starts a hub that was made with shortThresholds, and the reports.
func (s *scene) watch(ctx context.Context, h *rig.Hub) (w *watched, err error) {
	w = &watched{scene: s, Hub: h, stop: func() {}}
	if w.hooks, err = rig.StartWebhooks(); err != nil {
		return nil, err
	}
	if err := w.begin(ctx); err != nil {
		w.close()
		return nil, err
	}
	return w, nil
}

func (w *watched) begin(ctx context.Context) error {
	if _, err := w.Start(ctx); err != nil {
		return err
	}
	if err := w.AddWebhook(ctx, w.hooks.URL(), w.hooks.Secret); err != nil {
		return err
	}
	hosts, err := rig.Fleet(ctx, &w.Admin, "acme", watchedHosts)
	if err != nil {
		return err
	}
	r, err := load.Run(ctx, load.Plan{Addr: w.Addr, Hosts: hosts, Connections: len(hosts), Rounds: 1, For: turnTimeout, Remember: true})
	if err != nil {
		return err
	}
	if len(r.Acks) != len(hosts) {
		return fmt.Errorf("%d of %d hosts could report: %v, %v", len(r.Acks), len(hosts), r.Statuses, r.LastErr)
	}
	w.acks, w.silent, w.awake = r.Acks, hosts[0], hosts[1:]
	w.report(ctx)
	return nil
}

// report lets the hosts report until stop.
func (w *watched) report(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	working := goLoad(ctx, w.Hub, load.Plan{Hosts: w.awake, Connections: len(w.awake), Rate: steadyRate * float64(len(w.awake))})
	w.stop = func() {
		cancel()
		w.acks = append(w.acks, (<-working).Acks...)
		w.stop = func() {}
	}
}

// close ends what is left.
func (w *watched) close() {
	w.stop()
	w.hooks.Close()
	if w.Process != nil {
		w.Kill()
	}
}

// judge waits until the silent host is told down, and then holds the hub to
// everything: no other alarm, every report.
func (w *watched) judge(ctx context.Context) error {
	err := within(ctx, turnTimeout, "host_down of the silent host was told", func() (bool, error) {
		return tally(w.hooks.Events(), w.silent.ID)[messages.HostDown] > 0, nil
	})
	w.stop()
	events, readErr := w.Events(ctx)
	if readErr != nil {
		return readErr
	}
	n := tally(events, w.silent.ID)
	w.Checks.Add(err == nil && n[messages.HostStale] == 1 && n[messages.HostDown] == 1, "who is silent is told, once",
		"stale %d, down %d; %v", n[messages.HostStale], n[messages.HostDown], err)
	alarms := 0
	for _, e := range append(events, w.hooks.Events()...) {
		if _, isTurn := turns[e.Type]; isTurn && e.HostID != w.silent.ID {
			alarms++
		}
	}
	w.Checks.Add(alarms == 0, "who keeps reporting is not alarmed about", "%d hosts, %d alarms", len(w.awake), alarms)
	return w.account(ctx)
}

// account holds the hub to every report.
func (w *watched) account(ctx context.Context) error {
	w.stop()
	everyone := append([]*load.Host{w.silent}, w.awake...)
	kept, err := readKept(ctx, &w.Admin, everyone)
	if err != nil {
		return err
	}
	w.Acknowledged += len(w.acks)
	w.Lost += checkReports(&w.Checks, w.acks, openReports(everyone), kept)
	return nil
}

// readable checks that operators can read while reports are refused.
func (w *watched) readable(ctx context.Context, when string) {
	var bad []string
	for path, want := range map[string]string{
		"/": "<html", "/metrics": "felhom_ready 0", "/api/v1/admin/customers": "acme",
		"/api/v1/admin/hosts": string(w.silent.ID), "/api/v1/admin/hosts/" + string(w.silent.ID): string(w.silent.ID),
		"/api/v1/admin/hosts/" + string(w.silent.ID) + "/reports": "received_at", "/api/v1/admin/events": "items", "/healthz": "ok",
	} {
		status, body, err := w.Get(ctx, path)
		if err != nil || status != http.StatusOK || !strings.Contains(string(body), want) {
			bad = append(bad, fmt.Sprintf("%s: %d, %v, no %q in %.100s", path, status, err, want, body))
		}
	}
	w.Checks.Add(len(bad) == 0, "pages and lists can be read "+when, "%d cannot %v", len(bad), bad)
	status, _, err := w.Get(ctx, "/readyz")
	w.Checks.Add(status == http.StatusServiceUnavailable, "/readyz says that it is not "+when, "status %d, %v", status, err)
}
