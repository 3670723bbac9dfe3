package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"felhom.eu/bench/rig"
)

// fleet is a hub's memory with so many hosts, after a restart: what minting and
// a first report leave behind is not the hosts'.
type fleet struct {
	Hosts int     `json:"hosts"`
	RSS   float64 `json:"rss_mib"`
	Anon  float64 `json:"rss_anon_mib"`
}

// settleFleet is until the kernel and the collector took back what they will.
const settleFleet = 10 * time.Second

// measureFleets grows one hub's fleet from a single host through all sizes. The
// first of the results is the hub with that one.
func measureFleets(ctx context.Context, program, dir string, sizes []int, progress io.Writer) (fs []fleet, err error) {
	if len(sizes) == 0 {
		return nil, nil
	}
	dir = filepath.Join(dir, "fleets")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	h, err := rig.NewHub(program, dir, rig.Settings{"LOG_LEVEL": "warn"})
	if err != nil {
		return nil, err
	}
	if _, err := h.Start(ctx); err != nil {
		return nil, err
	}
	defer func() { h.Kill() }() // the process of that moment
	have := 0
	for _, size := range append([]int{1}, sizes...) {
		f, err := grow(ctx, h, have, size)
		if err != nil {
			return nil, fmt.Errorf("fleet of %d: %w", size, err)
		}
		fmt.Fprintf(progress, "%d hosts: RSS %.1f MiB, of it anonymous %.1f\n", f.Hosts, f.RSS, f.Anon)
		fs, have = append(fs, f), size
	}
	return fs, nil
}

// grow adds hosts, lets each report once, and restarts the hub.
func grow(ctx context.Context, h *rig.Hub, from, to int) (f fleet, err error) {
	hosts, err := rig.Fleet(ctx, &h.Admin, "bench", to-from)
	if err != nil {
		return f, err
	}
	if err := reportOnce(ctx, &server{Process: h.Process, addr: h.Addr, hosts: hosts}); err != nil {
		return f, err
	}
	if err := h.Stop(); err != nil {
		return f, fmt.Errorf("stop hub: %w", err)
	}
	if _, err := h.Start(ctx); err != nil {
		return f, err
	}
	rest(ctx, settleFleet)
	m, err := h.Memory()
	return fleet{to, mib(m.RSS), mib(m.Anon)}, err
}

// perHost is what each host of a fleet adds to the RSS of a hub, in bytes.
func perHost(one, many fleet) float64 {
	return (many.RSS - one.RSS) * (1 << 20) / float64(many.Hosts-one.Hosts)
}
