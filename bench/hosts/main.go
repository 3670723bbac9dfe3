// Command hosts measures what a host costs a hub: it mints many, lets each
// report once, and compares the hub's memory with and without them. Then it
// starts the hub anew and waits until it accepts reports and knows them all.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"time"

	"felhom.eu/bench/load"
	"felhom.eu/bench/rig"
)

// The most that a host may cost of RSS, in bytes.
const ceilingBytes = 1536

func main() {
	n := flag.Int("n", 100_000, "how many hosts")
	hub := flag.String("hub", "", "test this hub `program`; built when empty")
	scratch := flag.String("scratch", "", "make the store under this `folder`")
	out := flag.String("json", "", "write all figures to `FILE`")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *hub, *scratch, *out, *n); err != nil {
		fmt.Fprintln(os.Stderr, "hosts:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, program, scratch, out string, n int) error {
	dir, remove, err := rig.Scratch(scratch)
	if err != nil {
		return err
	}
	defer remove()
	if program, err = rig.FindHub(ctx, program, dir); err != nil {
		return err
	}
	h, err := rig.NewHub(program, dir, rig.Settings{"LOG_LEVEL": "warn"})
	if err != nil {
		return err
	}
	f, err := measure(ctx, h, n)
	if h.Process != nil {
		h.Kill()
	}
	if err != nil {
		return err
	}
	f.print()
	if err := rig.WriteJSON(out, f); err != nil {
		return err
	}
	return f.Checks.Err()
}

// figures are what was measured.
type figures struct {
	Hosts         int        `json:"hosts"`
	Empty         rig.Memory `json:"empty"`     // one host, which has reported
	Full          rig.Memory `json:"full"`      // right after all have reported
	Restarted     rig.Memory `json:"restarted"` // after the second start, every host's actor up
	Asked         rig.Memory `json:"asked"`     // after all were listed once
	MintSeconds   float64    `json:"mint_seconds"`
	ReportSeconds float64    `json:"report_seconds"`
	StopSeconds   float64    `json:"stop_seconds"`
	ReadySeconds  float64    `json:"ready_seconds"`  // second start, until /readyz
	ListedSeconds float64    `json:"listed_seconds"` // to list every host
	Listed        int        `json:"listed"`
	Refused       int        `json:"not_200"`
	RSSPerHost    float64    `json:"rss_bytes_per_host"` // of the restarted hub
	AnonPerHost   float64    `json:"anon_bytes_per_host"`
	Checks        rig.Checks `json:"checks"`
}

// settle is how long a hub is left alone before its memory is read, so that
// what the kernel and the collector are about to take back is not counted.
const settle = 12 * time.Second

func measure(ctx context.Context, h *rig.Hub, n int) (f *figures, err error) {
	f = &figures{Hosts: n}
	if _, err = h.Start(ctx); err != nil {
		return nil, err
	}
	first, err := rig.Fleet(ctx, &h.Admin, "bench", 1)
	if err != nil {
		return nil, err
	}
	if err = f.report(ctx, h, first); err != nil {
		return nil, err
	}
	// Compared is what a start of the same program costs with the one and with
	// the other store: memory that minting left behind is not the hosts'.
	if f.Empty, err = restarted(ctx, h, nil); err != nil {
		return nil, err
	}
	if err = f.fill(ctx, h, n); err != nil {
		return nil, err
	}
	if f.Restarted, err = restarted(ctx, h, f); err != nil {
		return nil, err
	}
	f.judge()
	return f, nil
}

// fill mints n hosts and lets each report once.
func (f *figures) fill(ctx context.Context, h *rig.Hub, n int) error {
	begin := time.Now()
	hosts, err := rig.Fleet(ctx, &h.Admin, "bench", n)
	if err != nil {
		return err
	}
	f.MintSeconds = time.Since(begin).Seconds()
	begin = time.Now()
	if err := f.report(ctx, h, hosts); err != nil {
		return err
	}
	f.ReportSeconds = time.Since(begin).Seconds()
	rest(ctx)
	f.Full, err = h.Memory()
	return err
}

func (f *figures) report(ctx context.Context, h *rig.Hub, hosts []*load.Host) error {
	r, err := load.Run(ctx, load.Plan{Addr: h.Addr, Hosts: hosts, Connections: min(64, len(hosts)), Rounds: 1, For: 10 * time.Minute})
	if err != nil {
		return err
	}
	f.Refused += r.Refused() + r.Errors
	if r.Count != len(hosts) {
		return fmt.Errorf("%d of %d hosts could report; last error: %v, answers %v", r.Count, len(hosts), r.LastErr, r.Statuses)
	}
	return nil
}

// restarted stops the hub, starts it, and reads its memory when it is ready and
// at rest; every host has its actor then. Times, and the memory after every host
// was listed, go to f, when it is not nil.
func restarted(ctx context.Context, h *rig.Hub, f *figures) (m rig.Memory, err error) {
	begin := time.Now()
	if err := h.Stop(); err != nil {
		return m, fmt.Errorf("stop hub: %w", err)
	}
	stopped := time.Since(begin)
	begin = time.Now()
	ready, err := h.Start(ctx)
	if err != nil {
		return m, err
	}
	rest(ctx)
	if m, err = h.Memory(); err != nil || f == nil {
		return m, err
	}
	begin = time.Now()
	hosts, err := h.Hosts(ctx)
	if err != nil {
		return m, fmt.Errorf("list hosts: %w", err)
	}
	f.StopSeconds, f.ReadySeconds, f.ListedSeconds = stopped.Seconds(), ready.Seconds(), time.Since(begin).Seconds()
	f.Listed = len(hosts)
	rest(ctx)
	f.Asked, err = h.Memory()
	return m, err
}

func rest(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-time.After(settle):
	}
}

func (f *figures) judge() {
	f.RSSPerHost = float64(f.Restarted.RSS-f.Empty.RSS) / float64(f.Hosts)
	f.AnonPerHost = float64(f.Restarted.Anon-f.Empty.Anon) / float64(f.Hosts)
	live := float64(f.Full.RSS-f.Empty.RSS) / float64(f.Hosts)
	f.Checks.Add(f.Listed == f.Hosts+1, "every host is there after a restart", "%d of %d", f.Listed, f.Hosts+1)
	f.Checks.Add(f.RSSPerHost <= ceilingBytes, "RSS a host", "%.0f bytes (anonymous %.0f) after a restart; %.0f after the first reports, with the store's mapped files; ceiling %d",
		f.RSSPerHost, f.AnonPerHost, live, ceilingBytes)
	f.Checks.Add(f.Refused == 0, "every first report answered 200 at once", "%d were not", f.Refused)
}

func (f *figures) print() {
	t := rig.NewTable(os.Stdout, "hub", "RSS", "of it anonymous")
	for _, r := range []struct {
		name string
		m    rig.Memory
	}{{"one host, restarted", f.Empty}, {fmt.Sprintf("%d hosts, just reported", f.Hosts+1), f.Full}, {fmt.Sprintf("%d hosts, restarted", f.Hosts+1), f.Restarted}, {"and all listed once", f.Asked}} {
		t.Row(r.name, rig.MiB(r.m.RSS), rig.MiB(r.m.Anon))
	}
	t.Flush()
	fmt.Printf("\nminted in %.1f s (%.0f/s), reported in %.1f s (%.0f/s); stop %.2f s; start: ready after %.2f s; all listed in %.2f s\n\n",
		f.MintSeconds, float64(f.Hosts)/f.MintSeconds, f.ReportSeconds, float64(f.Hosts)/f.ReportSeconds,
		f.StopSeconds, f.ReadySeconds, f.ListedSeconds)
	f.Checks.Print(os.Stdout)
}
