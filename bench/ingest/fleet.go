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

// fleetHub is a hub that starts with a store of so many hosts.
type fleetHub struct {
	*rig.Hub
	hosts int
}

// measureFleets reads the memory of hubs that were restarted with one host and
// with each of the sizes, all at the same time: minting and the first reports
// leave memory behind that is not the hosts'.
func measureFleets(ctx context.Context, program, dir string, sizes []int, progress io.Writer) (fs []fleet, err error) {
	if len(sizes) == 0 {
		return nil, nil
	}
	dir = filepath.Join(dir, "fleets")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	hubs, err := fillStores(ctx, program, dir, append([]int{1}, sizes...))
	if err != nil {
		return nil, err
	}
	for _, h := range hubs {
		if _, err := h.Start(ctx); err != nil {
			return nil, fmt.Errorf("fleet of %d: %w", h.hosts, err)
		}
		defer h.Kill()
	}
	fmt.Fprintf(progress, "hubs with up to %d hosts: at rest for %v\n", sizes[len(sizes)-1], collected)
	rest(ctx, collected)
	for _, h := range hubs {
		m, err := h.Memory()
		if err != nil {
			return nil, err
		}
		fs = append(fs, fleet{h.hosts, mib(m.RSS), mib(m.Anon)})
	}
	return fs, ctx.Err()
}

// fillStores grows a hub's fleet from size to size and makes a hub of a copy of
// its store at each.
func fillStores(ctx context.Context, program, dir string, sizes []int) (hubs []fleetHub, err error) {
	seed, err := rig.NewHub(program, dir, rig.Settings{"LOG_LEVEL": "warn"})
	if err != nil {
		return nil, err
	}
	have := 0
	for _, size := range sizes {
		if err := grow(ctx, seed, size-have); err != nil {
			return nil, fmt.Errorf("fleet of %d: %w", size, err)
		}
		have = size
		h, err := rig.NewHub(program, filepath.Join(dir, strconv.Itoa(size)), rig.Settings{"LOG_LEVEL": "warn"})
		if err != nil {
			return nil, err
		}
		if err := os.CopyFS(h.Dir, os.DirFS(seed.Dir)); err != nil {
			return nil, err
		}
		hubs = append(hubs, fleetHub{h, size})
	}
	return hubs, nil
}

// grow adds n hosts to the hub's store and lets each report once.
func grow(ctx context.Context, h *rig.Hub, n int) error {
	if _, err := h.Start(ctx); err != nil {
		return err
	}
	defer h.Kill() // no more than a wait after Stop
	hosts, err := rig.Fleet(ctx, &h.Admin, "bench", n)
	if err != nil {
		return err
	}
	if err := reportOnce(ctx, &server{Process: h.Process, addr: h.Addr, hosts: hosts}); err != nil {
		return err
	}
	if err := h.Stop(); err != nil {
		return fmt.Errorf("stop hub: %w", err)
	}
	return nil
}

// perHost is what each host of a fleet adds to the RSS of a hub, in bytes.
func perHost(one, many fleet) float64 {
	return (many.RSS - one.RSS) * (1 << 20) / float64(many.Hosts-one.Hosts)
}
