package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"felhom.eu/bench/load"
	"felhom.eu/bench/rig"
)

const (
	perCustomer = 250
	// silentShare of the fleet keeps to the hub's poll interval, and falls silent
	// in the wave; the others have a long one of their own.
	silentShare = 0.3
	poll        = 60 // the hub's interval, seconds
	ownInterval = 3600
	listened    = 100 * time.Hour   // by the store's ledger, before the first start
	restsWithin = 3 * time.Minute   // after a start
	upWithin    = 120 * time.Second // every actor, after a start
	fewHosts    = 2000              // that report while the hub starts
)

// figures are what was measured of one fleet.
type figures struct {
	Hosts            int        `json:"hosts"`
	FillSeconds      float64    `json:"fill_seconds"`
	StoreBytes       int64      `json:"store_bytes"`
	AcceptingSeconds float64    `json:"accepting_seconds"` // from the start of the process to the first report answered 200
	AllUpSeconds     float64    `json:"all_up_seconds"`    // to every host's actor
	StartCPUSeconds  float64    `json:"start_cpu_seconds"` // of the process, until all are up
	Memory           rig.Memory `json:"memory"`            // every host up, at rest
	RSSPerHost       float64    `json:"rss_bytes_per_host"`
	AnonPerHost      float64    `json:"anon_bytes_per_host"`
	PeakPerHost      float64    `json:"peak_bytes_per_host"`
	Questions        []question `json:"questions,omitempty"`
	Busy             *busyStart `json:"busy_start,omitempty"`
	Wave             *wave      `json:"wave,omitempty"`
}

// busyStart is a start under reports that never stop.
type busyStart struct {
	AllUpSeconds     float64 `json:"all_up_seconds"`
	ReportsPerSecond float64 `json:"reports_per_second"` // from the first accepted one until all are up
	P99Seconds       float64 `json:"p99_seconds"`
	Reports          int     `json:"reports"`
	Refused          int     `json:"not_200"`
}

// emptyHub is what a hub with a single host holds.
func emptyHub(ctx context.Context, program, dir string) (m rig.Memory, err error) {
	dir = filepath.Join(dir, "empty")
	fill := &rig.Fill{Hosts: 1, PerCustomer: perCustomer, ListenedSoFar: listened}
	if err := fill.Into(dataDir(dir)); err != nil {
		return m, err
	}
	h, err := start(ctx, program, dir)
	if err != nil {
		return m, err
	}
	defer h.Kill()
	if err := atRest(ctx, h, judgedFrom); err != nil {
		return m, err
	}
	return h.Memory()
}

// atRest waits until the hub has nothing to do, and has given the pages of its
// store back that it looked at once, which it does every ten seconds.
func atRest(ctx context.Context, h *rig.Hub, hosts int) error {
	if hosts >= judgedFrom {
		time.Sleep(11 * time.Second)
	}
	return h.Rest(ctx, restsWithin)
}

func settings() rig.Settings {
	return rig.Settings{"LOG_LEVEL": "warn", "POLL_INTERVAL_SECONDS": strconv.Itoa(poll)}
}

func dataDir(dir string) string { return filepath.Join(dir, "hub-data") }

func start(ctx context.Context, program, dir string) (*rig.Hub, error) {
	h, err := rig.NewHub(program, dir, settings())
	if err != nil {
		return nil, err
	}
	_, err = h.Start(ctx)
	return h, err
}

// measure fills a store with n hosts and asks everything of it; last tells that
// it is the largest, of which more is asked.
func measure(ctx context.Context, program, dir string, n int, empty rig.Memory, last bool) (*figures, error) {
	dir = filepath.Join(dir, fmt.Sprint(n))
	defer os.RemoveAll(dir)
	f := &figures{Hosts: n}
	fill := &rig.Fill{Hosts: n, PerCustomer: perCustomer, Silent: int(silentShare * float64(n)), OwnInterval: ownInterval, ListenedSoFar: listened}
	begin := time.Now()
	if err := fill.Into(dataDir(dir)); err != nil {
		return nil, fmt.Errorf("fill: %w", err)
	}
	f.FillSeconds = time.Since(begin).Seconds()
	if err := settle(ctx, program, dir); err != nil {
		return nil, err
	}
	if err := f.start(ctx, program, dir, fill, empty, last); err != nil {
		return nil, err
	}
	if !last {
		return f, nil
	}
	var err error
	if f.Busy, err = startBusy(ctx, program, dir, fill); err != nil {
		return nil, fmt.Errorf("start under load: %w", err)
	}
	if f.Wave, err = silence(ctx, program, dir, fill); err != nil {
		return nil, fmt.Errorf("silence: %w", err)
	}
	return f, nil
}

// settle lets a hub put the new store into the shape in which it stays: a store
// that is years old is not compacted at a start either.
func settle(ctx context.Context, program, dir string) error {
	h, err := start(ctx, program, dir)
	if err != nil {
		return err
	}
	if err := h.Rest(ctx, restsWithin); err != nil {
		h.Kill()
		return err
	}
	return h.Stop()
}

// start measures a quiet start, and the hub at rest after it.
func (f *figures) start(ctx context.Context, program, dir string, fill *rig.Fill, empty rig.Memory, ask bool) error {
	h, err := rig.NewHub(program, dir, settings())
	if err != nil {
		return err
	}
	begin := time.Now()
	if err := h.Launch(); err != nil {
		return err
	}
	defer h.Kill()
	if _, err := load.Run(ctx, load.Plan{Addr: h.Addr, Hosts: []*load.Host{fill.HostAt(f.Hosts - 1)}, Connections: 1, Rounds: 1, For: upWithin}); err != nil {
		return err
	}
	f.AcceptingSeconds = time.Since(begin).Seconds()
	if err := allUp(ctx, h); err != nil {
		return err
	}
	f.AllUpSeconds = time.Since(begin).Seconds()
	cpu, err := h.CPU()
	if err != nil {
		return err
	}
	f.StartCPUSeconds = cpu.Seconds()
	if err := atRest(ctx, h, f.Hosts); err != nil {
		return err
	}
	if f.Memory, err = h.Memory(); err != nil {
		return err
	}
	per := func(with, without int64) float64 { return float64(with-without) / float64(f.Hosts) }
	f.RSSPerHost, f.AnonPerHost, f.PeakPerHost = per(f.Memory.RSS, empty.RSS), per(f.Memory.Anon, empty.Anon), per(f.Memory.Peak, empty.Peak)
	size, err := h.Metric(ctx, "felhom_store_bytes")
	f.StoreBytes = int64(size)
	if err != nil || !ask {
		return err
	}
	if f.Questions, err = askAll(ctx, h, f.Hosts); err != nil {
		return err
	}
	return h.Stop()
}

// allUp waits until every stored host has its actor.
func allUp(ctx context.Context, h *rig.Hub) error {
	ctx, cancel := context.WithTimeout(ctx, upWithin)
	defer cancel()
	return rig.Poll(ctx, 20*time.Millisecond, func() (bool, error) {
		left, err := h.Metric(ctx, "felhom_hosts_starting")
		return err == nil && left == 0, nil
	})
}

// startBusy starts the hub while reports come as fast as they are answered.
func startBusy(ctx context.Context, program, dir string, fill *rig.Fill) (*busyStart, error) {
	h, err := rig.NewHub(program, dir, settings())
	if err != nil {
		return nil, err
	}
	var hosts []*load.Host
	for i := range min(fewHosts, fill.Hosts) {
		hosts = append(hosts, fill.HostAt(i*(fill.Hosts/min(fewHosts, fill.Hosts))))
	}
	begin := time.Now()
	if err := h.Launch(); err != nil {
		return nil, err
	}
	defer h.Kill()
	if _, err := load.Run(ctx, load.Plan{Addr: h.Addr, Hosts: hosts[:1], Connections: 1, Rounds: 1, For: upWithin}); err != nil {
		return nil, err
	}
	loading, cancel := context.WithCancel(ctx)
	defer cancel()
	result := make(chan *load.Result, 1)
	accepted := time.Now()
	go func() {
		r, _ := load.Run(loading, load.Plan{Addr: h.Addr, Hosts: hosts, Connections: 64, For: upWithin})
		result <- r
	}()
	if err := allUp(ctx, h); err != nil {
		return nil, err
	}
	b := &busyStart{AllUpSeconds: time.Since(begin).Seconds()}
	cancel()
	r := <-result
	b.Reports, b.Refused, b.P99Seconds = r.Count, r.Refused(), r.Latency.Quantile(0.99).Seconds()
	b.ReportsPerSecond = float64(r.Count) / time.Since(accepted).Seconds()
	return b, h.Stop()
}
