// Command page measures the dashboard of a hub with very many hosts that report: how
// soon the first byte comes, how soon the page answers in Chromium, how soon search,
// filters and sorting answer, and what live updates cost with one viewer.
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"felhom.eu/bench/load"
	"felhom.eu/bench/rig"
)

// What the dashboard promises with 10,000 hosts.
const (
	judgedTo         = 10_000
	mostFirstByte    = 0.100 // seconds, of the first look after a start too
	mostAnswer       = 0.100 // search, filter, sort
	mostInteractive  = 1.0
	mostViewer       = 0.02 // of a processor
	reportEvery      = 60   // seconds, each host
	window           = 10 * time.Second
	windows          = 5               // alone, and as many with a viewer in between
	leaving          = 5 * time.Second // until a hub has noticed that a viewer left
	starts           = 5
	asks             = 15
	listenedSoFar    = 100 * time.Hour
	hostsOfACustomer = 250
)

type options struct {
	hub, scratch, json string
	hosts              int
	report             bool
}

func main() {
	var o options
	flag.IntVar(&o.hosts, "n", 10_000, "how many hosts")
	flag.StringVar(&o.hub, "hub", "", "test this hub `program`; built when empty")
	flag.StringVar(&o.scratch, "scratch", "", "make stores under this `folder`")
	flag.StringVar(&o.json, "json", "", "write all figures to `FILE`")
	flag.BoolVar(&o.report, "report", false, "tell which floors are missed, and exit 0 all the same")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	err := run(ctx, o)
	if o.report && errors.Is(err, rig.ErrFailed) {
		err = nil
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "page:", err)
		os.Exit(1)
	}
}

// figures are what was measured; seconds unless they say otherwise.
type figures struct {
	Hosts       int           `json:"hosts"`
	ColdByte    rig.Spread    `json:"first_byte_after_start_seconds"`
	Answers     []answer      `json:"answers"`
	Interactive float64       `json:"interactive_seconds,omitempty"` // 0: no Chromium
	Alone       rig.Spread    `json:"alone_processor_ratio"`
	Viewer      rig.Spread    `json:"viewer_processor_ratio"` // more than in the window before
	LiveBytes   float64       `json:"live_bytes_per_second"`
	Memory      [2]rig.Memory `json:"memory"` // before the first look, and with a viewer
	Checks      rig.Checks    `json:"checks"`
}

// answer is how soon a question of a reader's is answered.
type answer struct {
	What string     `json:"what"`
	Byte rig.Spread `json:"first_byte_seconds"`
	All  rig.Spread `json:"all_seconds"`
	Size int        `json:"bytes"`
}

func run(ctx context.Context, o options) error {
	dir, remove, err := rig.Scratch(o.scratch)
	if err != nil {
		return err
	}
	defer remove()
	program, err := rig.FindHub(ctx, o.hub, dir)
	if err != nil {
		return err
	}
	fill := &rig.Fill{Hosts: o.hosts, PerCustomer: hostsOfACustomer, ListenedSoFar: listenedSoFar}
	if err := fill.Into(filepath.Join(dir, "hub-data")); err != nil {
		return fmt.Errorf("fill: %w", err)
	}
	hub, err := rig.NewHub(program, dir, rig.Settings{"LOG_LEVEL": "error", "POLL_INTERVAL_SECONDS": fmt.Sprint(reportEvery)})
	if err != nil {
		return err
	}
	f := &figures{Hosts: o.hosts}
	if err := f.measure(ctx, hub, fill); err != nil {
		return err
	}
	f.print()
	if err := rig.WriteJSON(o.json, f); err != nil {
		return err
	}
	return f.Checks.Err()
}

// measure asks everything of a hub whose hosts report all the while.
func (f *figures) measure(ctx context.Context, hub *rig.Hub, fill *rig.Fill) error {
	hosts := make([]*load.Host, f.Hosts)
	for i := range hosts {
		hosts[i] = fill.HostAt(i)
	}
	defer func() {
		if hub.Process != nil {
			hub.Kill()
		}
	}()
	var cold []float64
	for i := range starts {
		if i > 0 {
			if err := hub.Stop(); err != nil {
				return err
			}
		}
		stop, err := f.start(ctx, hub, hosts)
		if err != nil {
			return err
		}
		a, err := ask(ctx, hub, "/", 1)
		if err == nil && i == starts-1 {
			err = f.ofOneLife(ctx, hub)
		}
		if err = errors.Join(err, stop()); err != nil {
			return err
		}
		cold = append(cold, a.Byte.Max)
	}
	f.ColdByte = rig.SpreadOf(cold)
	f.judge()
	return nil
}

// start starts the hub and has its hosts report until stop, from a little before it returns.
func (f *figures) start(ctx context.Context, hub *rig.Hub, hosts []*load.Host) (stop func() error, err error) {
	if _, err := hub.Start(ctx); err != nil {
		return nil, err
	}
	if err := hub.Rest(ctx, time.Minute); err != nil {
		return nil, err
	}
	loading, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() {
		_, err := load.Run(loading, load.Plan{Addr: hub.Addr, Hosts: hosts, Connections: 16, Rate: float64(f.Hosts) / reportEvery, For: time.Hour})
		ended <- err
	}()
	time.Sleep(2 * time.Second)
	f.Memory[0], err = hub.Memory()
	stop = func() error { cancel(); return <-ended }
	if err != nil {
		return nil, errors.Join(err, stop())
	}
	return stop, nil
}

// ofOneLife asks everything but the first look.
func (f *figures) ofOneLife(ctx context.Context, hub *rig.Hub) (err error) {
	if err := f.askAll(ctx, hub); err != nil {
		return err
	}
	if err := f.live(ctx, hub); err != nil {
		return err
	}
	f.Interactive, err = interactive(ctx, hub)
	return err
}

// busy is the part of a processor that the hub takes in one window.
func busy(hub *rig.Hub) (float64, error) {
	before, err := hub.CPU()
	if err != nil {
		return 0, err
	}
	time.Sleep(window)
	after, err := hub.CPU()
	return (after - before).Seconds() / window.Seconds(), err
}

// askAll asks what a reader of the first screen asks.
func (f *figures) askAll(ctx context.Context, hub *rig.Hub) error {
	for _, q := range []struct{ what, path string }{
		{"the first screen", "/"},
		{"search: nothing is so", "/?part=fleet&q=no+such+host"},
		{"search: a host", "/?part=fleet&q=" + url.QueryEscape(fmt.Sprintf("%08x", f.Hosts/2))},
		{"search: very many", "/?part=fleet&q=customer"},
		{"filter: those that are down", "/?part=fleet&state=down"},
		{"filter: a customer", "/?part=fleet&customer=" + rig.CustomerAt(f.Hosts/2, hostsOfACustomer)},
		{"sort by CPU", "/?part=fleet&sort=cpu"},
		{"sort by last contact, page 100", "/?part=fleet&sort=contact&page=100"},
		{"a host's page", fmt.Sprintf("/hosts/%s-%08x", rig.CustomerAt(f.Hosts/2, hostsOfACustomer), f.Hosts/2)},
		{"customers", "/customers"},
		{"events", "/events"},
	} {
		a, err := ask(ctx, hub, q.path, asks)
		if err != nil {
			return err
		}
		a.What = q.what
		f.Answers = append(f.Answers, a)
	}
	return nil
}

// ask asks for a page so often.
func ask(ctx context.Context, hub *rig.Hub, path string, times int) (a answer, err error) {
	var first, all []float64
	for range times {
		begin := time.Now()
		resp, err := get(ctx, hub, path)
		if err != nil {
			return a, err
		}
		b := bufio.NewReader(resp.Body)
		if _, err := b.Peek(1); err != nil {
			return a, err
		}
		first = append(first, time.Since(begin).Seconds())
		n, err := io.Copy(io.Discard, b)
		resp.Body.Close()
		if err != nil {
			return a, err
		}
		all, a.Size = append(all, time.Since(begin).Seconds()), int(n)
	}
	a.Byte, a.All = rig.SpreadOf(first), rig.SpreadOf(all)
	return a, nil
}

func get(ctx context.Context, hub *rig.Hub, path string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+hub.Addr+path, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+hub.Key)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		resp.Body.Close()
		return nil, fmt.Errorf("GET %s: %s", path, resp.Status)
	}
	return resp, nil
}

// live measures windows without and with a viewer in turns: what else the machine does
// is in both.
func (f *figures) live(ctx context.Context, hub *rig.Hub) error {
	var alone, more, bytes []float64
	for range windows {
		without, err := busy(hub)
		if err != nil {
			return err
		}
		with, perSecond, err := f.watched(ctx, hub)
		if err != nil {
			return err
		}
		time.Sleep(leaving)
		alone, more, bytes = append(alone, without), append(more, with-without), append(bytes, perSecond)
	}
	f.Alone, f.Viewer, f.LiveBytes = rig.SpreadOf(alone), rig.SpreadOf(more), rig.SpreadOf(bytes).Median
	return nil
}

// watched is a window with one viewer of a page of fifty hosts.
func (f *figures) watched(ctx context.Context, hub *rig.Hub) (ratio, bytesPerSecond float64, err error) {
	shown := ""
	for i := range min(50, f.Hosts) {
		shown += fmt.Sprintf(",%s-%08x", rig.CustomerAt(i, hostsOfACustomer), i)
	}
	watching, leave := context.WithCancel(ctx)
	defer leave()
	resp, err := get(watching, hub, "/live?h="+shown[1:])
	if err != nil {
		return 0, 0, err
	}
	defer resp.Body.Close()
	read := make(chan int64, 1)
	begin := time.Now()
	go func() {
		n, _ := io.Copy(io.Discard, resp.Body)
		read <- n
	}()
	ratio, err = busy(hub)
	if err == nil {
		f.Memory[1], err = hub.Memory()
	}
	took := time.Since(begin).Seconds()
	leave()
	return ratio, float64(<-read) / took, err
}

// interactive is when the first screen's scripts have run in Chromium; the median of
// some loads. 0 where there is no Chromium.
func interactive(ctx context.Context, hub *rig.Hub) (float64, error) {
	path, err := exec.LookPath("chromium")
	if err != nil {
		fmt.Println("no Chromium is installed: when the page is interactive was not measured")
		return 0, nil
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	allocator, stop := chromedp.NewExecAllocator(ctx, append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox)...)
	defer stop()
	page, leave := chromedp.NewContext(allocator)
	defer leave()
	if err := chromedp.Run(page, network.Enable(), network.SetExtraHTTPHeaders(network.Headers{"Authorization": "Bearer " + hub.Key})); err != nil {
		return 0, err
	}
	var xs []float64
	for range 5 {
		var ms float64
		err := chromedp.Run(page, chromedp.Navigate("http://"+hub.Addr+"/"), chromedp.WaitReady("tr[data-h]"),
			chromedp.Evaluate(`performance.getEntriesByType("navigation")[0].domContentLoadedEventEnd`, &ms))
		if err != nil {
			return 0, err
		}
		xs = append(xs, ms/1000)
	}
	return rig.SpreadOf(xs).Median, nil
}

// judge holds the figures to the promises, for fleets that they were made for.
func (f *figures) judge() {
	if f.Hosts > judgedTo {
		return
	}
	f.Checks.Add(f.ColdByte.Median <= mostFirstByte, "first byte after a start", "%.0f ms, at most %.0f", f.ColdByte.Median*1000, mostFirstByte*1000)
	for i, a := range f.Answers {
		bound := mostAnswer
		name := a.What
		if i == 0 {
			bound, name = mostFirstByte, "first byte"
		}
		f.Checks.Add(a.Byte.Median <= bound, name, "%.0f ms, at most %.0f", a.Byte.Median*1000, bound*1000)
	}
	if f.Interactive > 0 {
		f.Checks.Add(f.Interactive <= mostInteractive, "interactive in Chromium", "%.0f ms, at most %.0f", f.Interactive*1000, mostInteractive*1000)
	}
	f.Checks.Add(f.Viewer.Median <= mostViewer, "live updates, one viewer", "%.1f %% of a processor, at most %.0f", f.Viewer.Median*100, mostViewer*100)
}

func (f *figures) print() {
	fmt.Printf("\n%d hosts, each with a report every %d s\n\n", f.Hosts, reportEvery)
	t := rig.NewTable(os.Stdout, "page", "first byte, median", "max", "all of it", "bytes")
	ms := func(s float64) string { return fmt.Sprintf("%.1f ms", s*1000) }
	t.Row("the first screen, first look after a start", ms(f.ColdByte.Median), ms(f.ColdByte.Max), "", "")
	for _, a := range f.Answers {
		t.Row(a.What, ms(a.Byte.Median), ms(a.Byte.Max), ms(a.All.Median), fmt.Sprint(a.Size))
	}
	t.Flush()
	fmt.Printf("\nthe hub takes %.1f %% of a processor, a viewer %.1f (%.1f to %.1f) and %.0f bytes/s; memory %s, with a viewer %s; interactive in Chromium: %s\n\n",
		f.Alone.Median*100, f.Viewer.Median*100, f.Viewer.Min*100, f.Viewer.Max*100, f.LiveBytes, rig.MiB(f.Memory[0].Anon), rig.MiB(f.Memory[1].Anon), ms(f.Interactive))
	f.Checks.Print(os.Stdout)
}
