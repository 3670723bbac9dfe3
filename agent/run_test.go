package main

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"felhom.eu/agent/config"
	"felhom.eu/messages"
)

// patience is how long a test waits for what must come; only a failure does.
const patience = 30 * time.Second

// gatedSource reports as often as the test lets it.
type gatedSource struct{ gate chan struct{} }

func (s gatedSource) Collect(ctx context.Context) (*messages.Report, error) {
	select {
	case <-s.gate:
		return &messages.Report{Host: messages.Node{Node: "pve1"}}, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (s gatedSource) open(n int) {
	for range n {
		s.gate <- struct{}{}
	}
}

// safeBuffer is a log that may be read while it is written.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// running is a daemon under test.
type runningDaemon struct {
	source gatedSource
	log    *safeBuffer
	stop   func() error // as SIGTERM; returns what run returned
	why    string       // of the goodbye; "": the agent alone
}

// start runs the daemon as serve does, but collecting every millisecond.
func start(t *testing.T, h *fakeHub) *runningDaemon {
	t.Helper()
	return startIn(t, h, "")
}

// startIn is start with a directory for what the next run is to know.
func startIn(t *testing.T, h *fakeHub, stateDir string) *runningDaemon {
	t.Helper()
	var cfg config.Config
	cfg.Hub = config.Hub{URL: h.URL, HostID: "acme-7f3a90c1", APIKey: canary, TimeoutSeconds: 10}
	client, err := newUplink(cfg)
	if err != nil {
		t.Fatal(err)
	}
	r := &runningDaemon{source: gatedSource{make(chan struct{})}, log: &safeBuffer{}}
	d := daemon{hostID: "acme-7f3a90c1", source: r.source, uplink: client, interval: time.Millisecond,
		timeout: 10 * time.Second, stateDir: stateDir, log: zerolog.New(r.log),
		why: func(context.Context) (string, time.Duration) { return r.why, 15 * time.Minute }}
	ctx, cancel := context.WithCancelCause(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- d.run(ctx) }()
	var once sync.Once
	var result error
	r.stop = func() error {
		once.Do(func() {
			cancel(errors.New("terminated signal received"))
			result = receive(t, ended)
			client.Close()
		})
		return result
	}
	t.Cleanup(func() {
		r.stop()
		if strings.Contains(r.log.String(), canary) {
			t.Errorf("the log shows the key:\n%s", r.log)
		}
	})
	return r
}

func receive[T any](t *testing.T, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(patience):
		t.Fatalf("nothing came within %v", patience)
		panic("unreachable")
	}
}

// Protects the daemon's ordinary day, over real HTTP: reports in order, numbered
// within one stream, then a goodbye of that stream and a clean end.
func TestDaemonReportsAndSaysGoodbye(t *testing.T) {
	hub := newHub(t)
	d := start(t, hub)
	var stream string
	for want := uint64(1); want <= 3; want++ {
		d.source.open(1)
		r := receive(t, hub.reports)
		if want == 1 {
			stream = r.Stream
		}
		if r.Sequence != want || r.Stream != stream || len(stream) != 26 || r.HostID != "acme-7f3a90c1" ||
			r.AgentVersion != Version || r.BootID == "" || time.Since(r.ReportedAt) > patience {
			t.Errorf("got report %+v, want number %d of stream %q", r, want, stream)
		}
	}
	if err := d.stop(); err != nil {
		t.Errorf("stop: %v", err)
	}
	g := receive(t, hub.goodbyes)
	if g.HostID != "acme-7f3a90c1" || g.Stream != stream || g.BackBy != nil || !strings.Contains(g.Reason, "terminated") {
		t.Errorf("got goodbye %+v", g)
	}
}

// Protects the hub's word on why a host was silent: each report of a run says how
// the run before ended.
func TestDaemonTellsHowItEndedBefore(t *testing.T) {
	hub, dir := newHub(t), t.TempDir()
	for _, want := range []messages.LastEnd{{}, {Agent: messages.AgentStopped}} {
		d := startIn(t, hub, dir)
		for range 2 {
			d.source.open(1)
			r := receive(t, hub.reports)
			if got := r.LastEnd; got == nil && want != (messages.LastEnd{}) || got != nil && *got != want {
				t.Errorf("report %d: got %+v, want %+v", r.Sequence, got, want)
			}
		}
		if err := d.stop(); err != nil {
			t.Errorf("stop: %v", err)
		}
		receive(t, hub.goodbyes)
	}
}

// Protects a planned reboot from an alarm: the goodbye says so, and until when.
func TestDaemonTellsAReboot(t *testing.T) {
	hub := newHub(t)
	d := start(t, hub)
	d.why = "reboot"
	if err := d.stop(); err != nil {
		t.Errorf("stop: %v", err)
	}
	g := receive(t, hub.goodbyes)
	if g.Reason != "reboot" || g.BackBy == nil || g.BackBy.Sub(g.SentAt).Round(time.Minute) != 15*time.Minute {
		t.Errorf("got goodbye %+v", g)
	}
}

// Protects an outage's record over real HTTP: 70 reports fall due while the hub
// refuses; when it takes them again, the newest comes first and 64 are kept.
func TestDaemonDeliversItsBacklogNewestFirst(t *testing.T) {
	hub := newHub(t)
	hub.refuse(503, messages.CodeUnavailable, "")
	d := start(t, hub)
	d.source.open(1)
	receive(t, hub.attempts)
	d.source.open(70) // the 70th has been handed over, the one before is kept
	hub.set(nil)
	first := receive(t, hub.reports).Sequence
	if first < 69 {
		t.Fatalf("first after the outage is report %d, want the newest, 70 or 71", first)
	}
	older := make([]uint64, 0, 64)
	for len(older) < 63 {
		if n := receive(t, hub.reports).Sequence; n < first { // the 71st may come in between
			older = append(older, n)
		}
	}
	for i, n := range older {
		if want := first - 1 - uint64(i); n != want {
			t.Fatalf("report %d came when %d was due: %v", n, want, older)
		}
	}
	if !strings.Contains(d.log.String(), "backlog is full") || !strings.Contains(d.log.String(), "hub is back") {
		t.Errorf("the log tells neither of the loss nor of the return:\n%s", d.log)
	}
}

// Protects an overloaded hub: nothing is sent before its Retry-After is over,
// however many reports fall due.
func TestDaemonHonoursRetryAfter(t *testing.T) {
	hub := newHub(t)
	hub.refuse(503, messages.CodeUnavailable, "1")
	d := start(t, hub)
	began := time.Now() // before the refusal, however late this goroutine hears of it
	d.source.open(1)
	receive(t, hub.attempts)
	hub.set(nil)
	d.source.open(5)
	receive(t, hub.attempts)
	if waited := time.Since(began); waited < time.Second {
		t.Errorf("the next attempt came after %v", waited)
	}
}

// Protects the stop from a hub that never answers: the report in flight is
// abandoned, and the daemon ends cleanly within its bound.
func TestDaemonStopsAlthoughTheHubHangs(t *testing.T) {
	hub := newHub(t)
	release := make(chan struct{})
	defer close(release)
	hub.set(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-release:
		}
	})
	d := start(t, hub)
	d.source.open(1)
	receive(t, hub.attempts)
	began := time.Now()
	if err := d.stop(); err != nil {
		t.Errorf("stop: %v", err)
	}
	if took := time.Since(began); took > 8*time.Second {
		t.Errorf("stop took %v", took)
	}
	receive(t, hub.goodbyes)
}

// brokenSource breaks its contract: no report, and no error.
type brokenSource struct{}

func (brokenSource) Collect(context.Context) (*messages.Report, error) { return nil, nil }

// Protects against an agent that lives and does nothing: a bug in an actor ends
// the daemon with an error, and whoever keeps it running starts it afresh.
func TestActorBugEndsTheDaemon(t *testing.T) {
	log := &safeBuffer{}
	d := daemon{hostID: "acme-7f3a90c1", source: brokenSource{}, interval: time.Hour, timeout: time.Second, log: zerolog.New(log)}
	ended := make(chan error, 1)
	go func() { ended <- d.run(context.Background()) }()
	if err := receive(t, ended); err == nil || !strings.Contains(err.Error(), "agent/collector") {
		t.Errorf("got %v, want the actor's name", err)
	}
	if !strings.Contains(log.String(), "actor panicked") {
		t.Errorf("the log does not tell:\n%s", log)
	}
}
