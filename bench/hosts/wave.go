package main

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"felhom.eu/bench/rig"
	"felhom.eu/messages"
)

// The wave's thresholds: after a start every host has its grace, and those that
// report at the hub's interval go stale when it ends, all in one moment. The
// others have an interval of their own, sixty times as long, and with it the grace.
const (
	waveGroup = 2 // seconds that events wait to be told together
	waveStale = 4 // seconds; nobody has reported for longer when the grace ends
	waveDown  = 30 * 24 * 3600
	waveEnds  = 180 * time.Second // at most, after it was due
)

// waveGrace is time enough for every actor to be up.
func waveGrace(hosts int) time.Duration {
	return 5*time.Second + time.Duration(hosts/50_000)*time.Second
}

func waveSettings(grace time.Duration) rig.Settings {
	return rig.Settings{
		"LOG_LEVEL": "warn", "POLL_INTERVAL_SECONDS": strconv.Itoa(poll), "STALE_SECONDS": strconv.Itoa(waveStale),
		"DOWN_SECONDS": strconv.Itoa(waveDown), "RESUME_GRACE_SECONDS": strconv.Itoa(int(grace.Seconds())),
		"GROUP_WAIT_SECONDS": strconv.Itoa(waveGroup), "ALLOW_PRIVATE_ROUTES": "true",
	}
}

// wave is a third of the fleet that falls silent in one moment. Seconds count
// from when it was due.
type wave struct {
	Hosts          int     `json:"hosts"`
	DurableSeconds float64 `json:"durable_seconds"` // every transition on stable storage
	ToldSeconds    float64 `json:"told_seconds"`    // and every message about it received
	Events         int     `json:"events"`          // durable ones about hosts
	Told           int     `json:"told"`            // hosts that the messages tell of by name
	Mass           int     `json:"mass"`            // hosts that an incident told of in one message
	Twice          int     `json:"twice"`           // of them told more than once
	Messages       int     `json:"messages"`
	LargestBytes   int     `json:"largest_message_bytes"`
	GrowthBytes    int64   `json:"growth_bytes"`     // of the highest anonymous memory: what the machine cannot take back
	RSSGrowthBytes int64   `json:"rss_growth_bytes"` // of the highest RSS, mapped files of the store among it

	peak int64 // bytes of anonymous memory, the most that was seen
}

// silence restarts the hub with thresholds at which the wave is due soon, and
// watches it pass.
func silence(ctx context.Context, program, dir string, fill *rig.Fill) (*wave, error) {
	hears, err := listen()
	if err != nil {
		return nil, err
	}
	defer hears.Close()
	grace := waveGrace(fill.Hosts)
	h, err := rig.NewHub(program, dir, waveSettings(grace))
	if err != nil {
		return nil, err
	}
	if _, err := h.Start(ctx); err != nil {
		return nil, err
	}
	defer h.Kill()
	due := time.Now().Add(grace)
	if err := allUp(ctx, h); err != nil {
		return nil, err
	}
	if err := h.AddWebhook(ctx, hears.url(), hears.secret); err != nil {
		return nil, err
	}
	before, err := h.Memory()
	if err != nil {
		return nil, err
	}
	time.Sleep(time.Until(due))
	w := &wave{Hosts: fill.Silent, peak: before.Anon}
	if err := w.watch(ctx, h, hears, due); err != nil {
		return nil, err
	}
	m, err := h.Memory()
	if err != nil {
		return nil, err
	}
	w.GrowthBytes = w.peak - before.Anon
	w.RSSGrowthBytes = m.Peak - before.Peak
	events, err := h.Metric(ctx, "felhom_events_total")
	if err != nil {
		return nil, err
	}
	w.Events = int(events)
	w.Told, w.Twice, w.Messages, w.LargestBytes = hears.sum()
	w.Mass = hears.inMass()
	return w, h.Stop()
}

// watch waits until all is durable, and then until all is told, or the time is up:
// what is missing then is for the verdict.
func (w *wave) watch(ctx context.Context, h *rig.Hub, hears *receiver, due time.Time) error {
	ctx, cancel := context.WithDeadline(ctx, due.Add(waveEnds))
	defer cancel()
	until := func(seconds *float64, done func() bool) error {
		err := rig.Poll(ctx, 50*time.Millisecond, func() (bool, error) {
			m, err := h.Memory()
			w.peak = max(w.peak, m.Anon)
			return done(), err
		})
		*seconds = time.Since(due).Seconds()
		if errors.Is(err, context.DeadlineExceeded) {
			return nil
		}
		return err
	}
	err := until(&w.DurableSeconds, func() bool {
		stale, err := h.Metric(ctx, `felhom_hosts{state="stale"}`)
		return err == nil && int(stale) >= w.Hosts
	})
	if err != nil {
		return err
	}
	return until(&w.ToldSeconds, func() bool {
		left, err := h.Metric(ctx, "felhom_deliveries_pending")
		told, _, _, _ := hears.sum()
		return err == nil && left == 0 && (told >= w.Hosts || hears.inMass() > 0)
	})
}

// receiver counts what a webhook is told, host by host. It keeps no bodies.
type receiver struct {
	*http.Server
	addr, secret string
	mu           sync.Mutex
	hosts        map[messages.HostID]int
	seen         map[string]bool // deliveries
	largest      int
	mass         int // the most silent hosts that an incident named
}

func listen() (*receiver, error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &receiver{addr: l.Addr().String(), hosts: map[messages.HostID]int{}, seen: map[string]bool{}, secret: rig.WebhookSecret()}
	r.Server = &http.Server{Handler: http.HandlerFunc(r.take)}
	go r.Serve(l)
	return r, nil
}

func (r *receiver) url() string { return "http://" + r.addr + "/hook" }

func (r *receiver) take(w http.ResponseWriter, q *http.Request) {
	body, err := io.ReadAll(q.Body)
	if err != nil {
		return
	}
	events, err := rig.Verify(r.secret, q.Header, body, time.Now())
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	w.WriteHeader(http.StatusNoContent)
	id := q.Header.Get("webhook-id")
	if r.seen[id] {
		return // told again after an answer that was lost
	}
	r.seen[id] = true
	r.largest = max(r.largest, len(body))
	for _, e := range events {
		r.count(&e)
	}
}

// count notes which hosts an event tells of.
func (r *receiver) count(e *messages.Event) {
	if e.HostID != "" {
		r.hosts[e.HostID]++
	}
	if m := e.Detail.Mass; m != nil {
		r.mass = max(r.mass, m.Silent)
	}
}

func (r *receiver) inMass() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.mass
}

func (r *receiver) sum() (told, twice, messages, largest int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, n := range r.hosts {
		if n > 1 {
			twice++
		}
	}
	return len(r.hosts), twice, len(r.seen), r.largest
}
