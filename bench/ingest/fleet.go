package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"felhom.eu/bench/rig"
)

// fleet is a hub's memory with so many hosts.
type fleet struct {
	Hosts int     `json:"hosts"`
	RSS   float64 `json:"rss_mib"`
	Anon  float64 `json:"rss_anon_mib"`
}

// collected is how long a hub takes to get rid of what its start left behind: a
// collector with nothing else to do runs every two minutes, and gives the
// memory back in the seconds after that.
const collected = 140 * time.Second

// listenedSoFar is what the stores' hubs have heard: nobody is new, nobody late.
const listenedSoFar = 100 * time.Hour

// measureFleets reads the memory of hubs that were started with a store of one
// host and with each of the sizes, all at the same time.
func measureFleets(ctx context.Context, program, dir string, sizes []int, progress io.Writer) (fs []fleet, err error) {
	if len(sizes) == 0 {
		return nil, nil
	}
	dir = filepath.Join(dir, "fleets")
	defer os.RemoveAll(dir)
	sizes = append([]int{1}, sizes...)
	hubs := make([]*rig.Hub, len(sizes))
	for i, size := range sizes {
		if hubs[i], err = fillHub(ctx, program, filepath.Join(dir, strconv.Itoa(size)), size); err != nil {
			return nil, fmt.Errorf("fleet of %d: %w", size, err)
		}
		fmt.Fprintf(progress, "a store of %d hosts is filled\n", size)
	}
	for _, h := range hubs {
		if _, err := h.Start(ctx); err != nil {
			return nil, err
		}
		defer h.Kill()
	}
	for i, h := range hubs {
		if err := allUp(ctx, h); err != nil {
			return nil, fmt.Errorf("fleet of %d: start every host: %w", sizes[i], err)
		}
	}
	rest(ctx, collected)
	for i, h := range hubs {
		m, err := h.Memory()
		if err != nil {
			return nil, err
		}
		fs = append(fs, fleet{sizes[i], mib(m.RSS), mib(m.Anon)})
		fmt.Fprintf(progress, "%d hosts: RSS %s, of it anonymous %s\n", sizes[i], rig.MiB(m.RSS), rig.MiB(m.Anon))
	}
	return fs, ctx.Err()
}

// allUp waits until every host has its actor.
func allUp(ctx context.Context, h *rig.Hub) error {
	ctx, cancel := context.WithTimeout(ctx, collected)
	defer cancel()
	return rig.Poll(ctx, 100*time.Millisecond, func() (bool, error) {
		left, err := h.Metric(ctx, "felhom_hosts_starting")
		return err == nil && left == 0, nil
	})
}

// fillHub makes a hub whose store knows so many hosts, and lets it run once:
// what a new store has to be tidied for is not part of a later start.
func fillHub(ctx context.Context, program, dir string, hosts int) (*rig.Hub, error) {
	h, err := rig.NewHub(program, dir, rig.Settings{"LOG_LEVEL": "warn"})
	if err != nil {
		return nil, err
	}
	fill := rig.Fill{Hosts: hosts, PerCustomer: 250, ListenedSoFar: listenedSoFar}
	if err := fill.Into(h.Dir); err != nil {
		return nil, err
	}
	if _, err := h.Start(ctx); err != nil {
		return nil, err
	}
	if err := h.Rest(ctx, collected); err != nil {
		h.Kill()
		return nil, err
	}
	return h, h.Stop()
}

// perHost is what each host of a fleet adds to the RSS of a hub, in bytes.
func perHost(one, many fleet) float64 {
	return (many.RSS - one.RSS) * (1 << 20) / float64(many.Hosts-one.Hosts)
}
