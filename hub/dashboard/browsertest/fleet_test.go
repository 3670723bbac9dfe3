package browsertest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"felhom.eu/agent/simulated"
	"felhom.eu/hub/app"
	"felhom.eu/hub/config"
	"felhom.eu/messages"
	"felhom.eu/storage"
)

// The switch of the tests' hub: a host that stops is down while one watches.
const (
	reportEvery  = 700 * time.Millisecond
	staleSeconds = 3
	downSeconds  = 6
)

var globalKey = strings.Repeat("ab", 32)

// machine is a host of the test: a simulated one, with what else its report says.
type machine struct {
	id     messages.HostID
	site   string
	source *simulated.Source
	more   func(*messages.Report, time.Time) // may be nil
}

// world is a hub with a fleet that reports.
type world struct {
	*testing.T
	app   *app.App
	stops map[messages.HostID]func()
}

// begin starts a hub that has a past, and a fleet that goes on.
func begin(t *testing.T, customers []messages.Customer, fleet []machine, past time.Duration) *world {
	t.Helper()
	chromium(t)
	cfg := config.Default()
	cfg.Listen, cfg.DataDir = "127.0.0.1:0", filepath.Join(t.TempDir(), "data")
	cfg.GlobalKey = messages.Secret(globalKey)
	cfg.PollIntervalSeconds, cfg.StaleSeconds, cfg.DownSeconds, cfg.ResumeGraceSeconds = 60, staleSeconds, downSeconds, 3
	cfg.GroupWaitSeconds, cfg.AllowPrivateRoutes = 1, true
	remember(t, cfg.DataDir, customers, fleet, past)
	a, err := app.Start(cfg, "1.0.0", zerolog.New(zerolog.NewTestWriter(t)).Level(zerolog.ErrorLevel))
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t, a, make(map[messages.HostID]func())}
	var running sync.WaitGroup
	for i := range fleet {
		stop := make(chan struct{})
		w.stops[fleet[i].id] = sync.OnceFunc(func() { close(stop) })
		running.Go(func() { w.report(&fleet[i], stop) })
	}
	t.Cleanup(func() {
		for _, stop := range w.stops {
			stop()
		}
		running.Wait()
		if err := a.Stop(); err != nil {
			t.Error(err)
		}
	})
	return w
}

// report posts what a machine says until it is stopped.
func (w *world) report(m *machine, stop <-chan struct{}) {
	tick := time.NewTicker(reportEvery)
	defer tick.Stop()
	for sequence := uint64(1); ; sequence++ {
		body := m.body(time.Now(), "now", sequence)
		req, _ := http.NewRequest("POST", w.app.URL()+"/api/v1/host-report", bytes.NewReader(body))
		req.Header.Set("Authorization", "Bearer "+globalKey)
		req.Header.Set("Content-Type", "application/json")
		if resp, err := http.DefaultClient.Do(req); err == nil {
			resp.Body.Close()
			if resp.StatusCode != 200 {
				w.Errorf("report of %s: %s", m.id, resp.Status)
				return
			}
		}
		select {
		case <-tick.C:
		case <-stop:
			return
		}
	}
}

func (m *machine) body(at time.Time, stream string, sequence uint64) []byte {
	r := m.source.ReportAt(at)
	r.HostID, r.AgentVersion, r.Stream, r.Sequence = m.id, "1.0.0", stream, sequence
	if m.more != nil {
		m.more(&r, at)
	}
	body, err := json.Marshal(r)
	if err != nil {
		panic(err)
	}
	return body
}

// post asks the admin API for something.
func (w *world) post(path string, body any) {
	w.Helper()
	b, err := json.Marshal(body)
	if err != nil {
		w.Fatal(err)
	}
	req, _ := http.NewRequest("POST", w.app.URL()+"/api/v1/admin/"+path, bytes.NewReader(b))
	req.Header.Set("Authorization", "Bearer "+globalKey)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		w.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 300 {
		w.Fatalf("POST %s: %s", path, resp.Status)
	}
}

// remember writes a store as a hub would have that listened for so long: a report of
// every host each quarter of an hour.
func remember(t *testing.T, dir string, customers []messages.Customer, fleet []machine, past time.Duration) {
	t.Helper()
	db, err := storage.Open(dir, storage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	now := time.Now().UTC()
	from := now.Add(-past)
	last := make(map[messages.HostID]messages.ReportRef)
	for n := uint64(1); ; n++ {
		at := from.Add(time.Duration(n-1) * 15 * time.Minute)
		end := !at.Before(now)
		if end {
			at = now
		}
		b := &messages.Batch{Sequence: n, At: at, Ledger: messages.Ledger{Listened: messages.Listened(at.Sub(from) + time.Second), At: at}}
		if n == 1 {
			b.PutCustomers = customers
			for i := range fleet {
				b.PutHosts = append(b.PutHosts, messages.Host{ID: fleet[i].id, CustomerID: fleet[i].id.Customer(), CreatedAt: from, Site: fleet[i].site})
			}
		}
		for i := range fleet {
			rememberReport(t, b, &fleet[i], n, from, last)
		}
		if err := db.WriteBodies(b); err != nil {
			t.Fatal(err)
		}
		if err := db.WriteState(b); err != nil {
			t.Fatal(err)
		}
		if end {
			return
		}
	}
}

func rememberReport(t *testing.T, b *messages.Batch, m *machine, n uint64, from time.Time, last map[messages.HostID]messages.ReportRef) {
	t.Helper()
	body := m.body(b.At, "then", n)
	var sum messages.Summary
	if err := messages.Scan(body, &sum); err != nil {
		t.Fatal(err)
	}
	ref := messages.ReportRef{Day: b.Day(), Batch: n, Entry: uint32(len(b.Reports))}
	b.Reports = append(b.Reports, messages.StoredReport{
		ID: messages.ReportID(fmt.Sprintf("01J%012d%011d", n, len(b.Reports))), HostID: m.id, ReceivedAt: b.At, ReportedAt: b.At,
		Previous: last[m.id], Figures: sum.Figures, Body: body,
	})
	last[m.id] = ref
	b.Hosts = append(b.Hosts, messages.HostState{
		ID: m.id, Phase: messages.PhaseOK, PhaseSince: from.UnixNano(), ContactAt: b.At.UnixNano(), ContactHeard: b.Ledger.Listened, ReportAt: b.At.UnixNano(),
		Stream: messages.HashText("then"), Sequence: n, Seen: 1, AgentVersion: "1.0.0", UptimeSecs: sum.UptimeSecs, BootHash: sum.BootHash,
		Figures: sum.Figures, Last: ref,
	})
}
