package app

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"felhom.eu/messages"
)

// lines posts a question and reads the answer's lines.
func lines[T any](c client, path string, body any) (all []T) {
	c.Helper()
	raw, err := json.Marshal(body)
	if err != nil {
		c.Fatal(err)
	}
	req, err := http.NewRequestWithContext(c.Context(), "POST", c.url+path, bytes.NewReader(raw))
	if err != nil {
		c.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+c.key)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		c.Fatal(err)
	}
	defer resp.Body.Close()
	if got := resp.Header.Get("Content-Type"); resp.StatusCode != 200 || got != "application/x-ndjson" {
		c.Fatalf("%s: %d %s", path, resp.StatusCode, got)
	}
	for s := bufio.NewScanner(resp.Body); s.Scan(); {
		var l T
		if err := json.Unmarshal(s.Bytes(), &l); err != nil {
			c.Fatalf("%s: %v", s.Text(), err)
		}
		all = append(all, l)
	}
	return all
}

// phone is a far end that keeps what it was told.
type phone struct {
	*httptest.Server
	mu    sync.Mutex
	heard []messages.EventType
}

func newPhone(t *testing.T, status func(n int) int) *phone {
	p := &phone{}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body struct{ Events []messages.Event }
		raw, _ := io.ReadAll(r.Body)
		_ = json.Unmarshal(raw, &body)
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, e := range body.Events {
			p.heard = append(p.heard, e.Type)
		}
		w.WriteHeader(status(len(p.heard)))
	}))
	t.Cleanup(p.Close)
	return p
}

func always(status int) func(int) int { return func(int) int { return status } }

// A drill goes the whole way to every far end, twice, tells each step with its delay,
// and leaves no trace in anything but its own events and deliveries; a route that does
// not take it is named.
func TestDrillWalksTheWholeChain(t *testing.T) {
	cfg := testConfig(t)
	cfg.AllowPrivateRoutes, cfg.GroupWaitSeconds = true, 3600 // a drill does not wait for others
	a, c := start(t, cfg)
	defer a.Stop()
	m := c.mint()
	c.as(m.APIKey).want(200, "POST", "/api/v1/host-report", report(m.HostID, 1), nil)
	host := "/api/v1/admin/hosts/" + m.HostID
	var before, after map[string]any
	c.want(200, "GET", host, nil, &before)

	drill := map[string]any{"host_id": m.HostID}
	c.want(409, "POST", "/api/v1/admin/drill", drill, nil) // nobody would hear of it
	well, deaf := newPhone(t, always(204)), newPhone(t, always(404))
	flaky := newPhone(t, func(n int) int { return 503 - 299*min(n-1, 1) }) // 503, and then 204
	ids := map[string]messages.RouteID{}
	for name, p := range map[string]*phone{"well": well, "flaky": flaky} {
		var r struct {
			RouteID messages.RouteID `json:"route_id"`
		}
		c.want(201, "POST", "/api/v1/admin/routes", map[string]any{"kind": "webhook", "url": p.URL, "min_severity": "critical"}, &r)
		ids[name] = r.RouteID
	}
	all := lines[messages.DrillLine](c, "/api/v1/admin/drill", drill)
	var steps []messages.DrillStepName
	reached := map[messages.RouteID]int{}
	for _, l := range all[:len(all)-1] {
		if l.Step == nil || l.Step.AfterMS < 0 {
			t.Fatalf("line %+v", l)
		}
		if l.Step.RouteID == "" || l.Step.RouteID == ids["well"] {
			steps = append(steps, l.Step.Step)
		}
		if l.Step.Step == messages.DrillAnswered && l.Step.OK {
			reached[l.Step.RouteID]++
		}
	}
	once := []messages.DrillStepName{messages.DrillDecided, messages.DrillDurable, messages.DrillTaken, messages.DrillSent, messages.DrillAnswered}
	if !slices.Equal(steps, slices.Concat(once, once)) {
		t.Errorf("steps on one route: %v", steps)
	}
	if r := all[len(all)-1].Result; r == nil || !r.OK || len(r.Routes) != 2 || reached[ids["well"]] != 2 || reached[ids["flaky"]] != 2 {
		t.Errorf("result %+v, reached %v", all[len(all)-1], reached)
	}
	if want := []messages.EventType{messages.Drill, messages.DrillOver}; !slices.Equal(well.heard, want) {
		t.Errorf("the phone heard %v", well.heard)
	}
	if got := c.eventTypes(""); !slices.Equal(got, []messages.EventType{messages.Drill, messages.DrillOver}) {
		t.Errorf("events are %v", got)
	}
	c.want(200, "GET", host, nil, &after)
	for _, field := range []string{"state", "state_since", "last_report_at"} {
		if before[field] != after[field] {
			t.Errorf("%s went from %v to %v", field, before[field], after[field])
		}
	}
	var alarms struct{ Items []any }
	if c.want(200, "GET", "/api/v1/admin/alarms", nil, &alarms); len(alarms.Items) > 0 {
		t.Errorf("a drill left an alarm: %v", alarms.Items)
	}

	var r struct {
		RouteID messages.RouteID `json:"route_id"`
	}
	c.want(201, "POST", "/api/v1/admin/routes", map[string]any{"kind": "webhook", "url": deaf.URL}, &r)
	all = lines[messages.DrillLine](c, "/api/v1/admin/drill", map[string]any{"customer_id": "acme", "route_id": r.RouteID, "timeout_seconds": 5})
	if got := all[len(all)-1].Result; got == nil || got.OK || len(got.Routes) != 1 || !strings.Contains(got.Routes[0].Problem, "404") {
		t.Errorf("a route that answers 404: %+v", got)
	}
	c.want(404, "POST", "/api/v1/admin/drill", map[string]any{"host_id": "acme-00000000"}, nil)
	c.want(400, "POST", "/api/v1/admin/drill", map[string]any{}, nil)
}

// A route that does not answer in time is told of, and gives the drill up soon: nobody
// is told of a drill of yesterday.
func TestDrillDoesNotWaitForEver(t *testing.T) {
	cfg := testConfig(t)
	cfg.AllowPrivateRoutes = true
	a, c := start(t, cfg)
	defer a.Stop()
	m := c.mint()
	busy := newPhone(t, always(503))
	c.want(201, "POST", "/api/v1/admin/routes", map[string]any{"kind": "webhook", "url": busy.URL}, nil)
	began := time.Now()
	all := lines[messages.DrillLine](c, "/api/v1/admin/drill", map[string]any{"host_id": m.HostID, "timeout_seconds": 1})
	got := all[len(all)-1].Result
	if got == nil || got.OK || !strings.Contains(got.Routes[0].Problem, "within 1s: 503") {
		t.Errorf("a busy route: %+v", got)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it took %v", took)
	}
}

// A past is replayed over the API of a running hub: what was told is told again, and
// another threshold tells more.
func TestReplayOverTheAPI(t *testing.T) {
	cfg := testConfig(t)
	cfg.AllowPrivateRoutes, cfg.GroupWaitSeconds = true, 0
	a, c := start(t, cfg)
	defer a.Stop()
	m := c.mint()
	well := newPhone(t, always(204))
	c.want(201, "POST", "/api/v1/admin/routes", map[string]any{"kind": "webhook", "url": well.URL}, nil)
	old := time.Now().Add(-31 * time.Hour).UTC().Truncate(time.Second)
	for i, used := range []uint64{80, 90, 70} {
		c.as(m.APIKey).want(200, "POST", "/api/v1/host-report", said(m.HostID, i+1, used, old), nil)
	}
	was := c.eventTypes("")
	since := time.Now().Add(-time.Hour)
	replay := func(rules any) (s messages.ReplaySummary, verdicts []messages.ReplayVerdict) {
		t.Helper()
		all := lines[messages.ReplayLine](c, "/api/v1/admin/replay", map[string]any{"since": since, "rules": rules})
		for _, l := range all {
			if l.Message != nil {
				verdicts = append(verdicts, l.Message.Verdict)
			}
		}
		last := all[len(all)-1].Summary
		if last == nil || last.Reports != 3 || last.Hosts != 1 {
			t.Fatalf("the last line is %+v", all[len(all)-1])
		}
		return *last, verdicts
	}
	s, verdicts := replay(map[string]any{})
	if s.Events.Same != len(was) || s.Events.Replay+s.Events.Then > 0 || len(verdicts) == 0 {
		t.Errorf("%d events were told; replayed %+v, %v", len(was), s, verdicts)
	}
	s, _ = replay(map[string]any{"hosts": map[string]any{m.HostID: map[string]any{"storage_warning_ratio": 0.95, "storage_critical_ratio": 0.97}}})
	if s.Events.Then != 2 || s.Events.Replay > 0 || s.Events.Same != len(was)-2 {
		t.Errorf("without storage_high and its end: %+v of %v", s, was)
	}
	c.want(400, "POST", "/api/v1/admin/replay", map[string]any{}, nil)
	c.want(400, "POST", "/api/v1/admin/replay", map[string]any{"since": since, "rules": map[string]any{"stale": 5}}, nil)
	c.want(400, "POST", "/api/v1/admin/replay", map[string]any{"since": since, "rules": map[string]any{"stale_seconds": 7200}}, nil)
	c.want(400, "POST", "/api/v1/admin/replay", map[string]any{"since": since,
		"rules": map[string]any{"customers": map[string]any{"acme": map[string]any{"storage_warning_ratio": 7}}}}, nil)
}
