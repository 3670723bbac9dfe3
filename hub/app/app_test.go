package app

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"felhom.eu/hub/config"
	"felhom.eu/messages"
	"felhom.eu/storage"
)

// client speaks to a running hub over real HTTP.
type client struct {
	*testing.T
	url, key string
}

// call sends body, when there is one as a POST, and decodes the answer into v.
func (c client) call(method, path string, body any, v any) (status int) {
	c.Helper()
	var r io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			c.Fatal(err)
		}
		r = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(c.Context(), method, c.url+path, r)
	if err != nil {
		c.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+c.key)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		c.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		c.Fatal(err)
	}
	if v != nil {
		if err := json.Unmarshal(raw, v); err != nil {
			c.Fatalf("%s %s: %d %s: %v", method, path, resp.StatusCode, raw, err)
		}
	}
	return resp.StatusCode
}

// as is the same client with another key.
func (c client) as(key string) client { return client{c.T, c.url, key} }

func (c client) want(status int, method, path string, body, v any) {
	c.Helper()
	if got := c.call(method, path, body, v); got != status {
		c.Errorf("%s %s: status %d, want %d", method, path, got, status)
	}
}

func testConfig(t *testing.T) config.Config {
	cfg := config.Default()
	cfg.Listen, cfg.DataDir = "127.0.0.1:0", filepath.Join(t.TempDir(), "data")
	cfg.GlobalKey = messages.Secret(strings.Repeat("ab", 32))
	return cfg
}

// start is a hub that takes reports. Its listener opens a moment before its ledger does.
func start(t *testing.T, cfg config.Config) (*App, client) {
	a, err := Start(cfg, "test", zerolog.New(zerolog.NewTestWriter(t)).Level(zerolog.WarnLevel))
	if err != nil {
		t.Fatal(err)
	}
	c := client{t, a.URL(), cfg.GlobalKey.Reveal()}
	for end := time.Now().Add(10 * time.Second); c.call("GET", "/readyz", nil, nil) != 200; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("not ready in 10 s")
		}
	}
	return a, c
}

type minted struct {
	HostID string `json:"host_id"`
	APIKey string `json:"api_key"`
}

func (c client) mint() minted {
	var m minted
	c.call("POST", "/api/v1/admin/customers", map[string]string{"customer_id": "acme", "display_name": "Acme"}, nil)
	c.want(201, "POST", "/api/v1/admin/hosts", map[string]string{"customer_id": "acme"}, &m)
	return m
}

func report(host string, sequence int) map[string]any {
	return map[string]any{"host_id": host, "stream": "s", "sequence": sequence,
		"guests": []map[string]any{{"vmid": 100 + sequence, "name": "g", "status": "running"}}}
}

// What was acknowledged is there after a stop and a start, as it was sent; and
// what was minted still opens.
func TestWhatWasAcknowledgedOutlivesAStop(t *testing.T) {
	cfg := testConfig(t)
	a, c := start(t, cfg)
	m := c.mint()
	host := client{t, c.url, m.APIKey}
	for i := range 20 {
		var e messages.Envelope
		if host.want(200, "POST", "/api/v1/host-report", report(m.HostID, i+1), &e); e.Status != "ok" || e.PollIntervalSeconds != 900 {
			t.Fatalf("envelope %+v", e)
		}
	}
	if err := a.Stop(); err != nil {
		t.Fatal(err)
	}
	a, c = start(t, cfg)
	defer a.Stop()
	var reports struct {
		Items []struct {
			ID string `json:"id"`
		} `json:"items"`
	}
	c.want(200, "GET", "/api/v1/admin/hosts/"+m.HostID+"/reports", nil, &reports)
	if len(reports.Items) != 20 {
		t.Fatalf("%d reports after a restart, want 20", len(reports.Items))
	}
	for i, r := range reports.Items {
		var body struct{ Sequence int }
		c.want(200, "GET", "/api/v1/admin/hosts/"+m.HostID+"/reports/"+r.ID, nil, &body)
		if want := 20 - i; body.Sequence != want {
			t.Errorf("report %d has sequence %d, want %d: newest first", i, body.Sequence, want)
		}
	}
	host.url = c.url
	host.want(200, "POST", "/api/v1/host-report", report(m.HostID, 20), nil) // a repeat
	c.call("GET", "/api/v1/admin/hosts/"+m.HostID+"/reports", nil, &reports)
	if len(reports.Items) != 20 {
		t.Errorf("a repeat was stored")
	}
	var shown struct {
		State  string
		Guests []struct {
			VMID int `json:"vmid"`
		}
		Known []struct {
			VMID int `json:"vmid"`
		} `json:"known_guests"`
	}
	c.want(200, "GET", "/api/v1/admin/hosts/"+m.HostID, nil, &shown)
	if shown.State != "ok" || len(shown.Guests) != 1 || len(shown.Known) != 20 {
		t.Errorf("host shows %+v, want ok, the one guest of the newest report, and 20 ever known", shown)
	}
}

// A rotated key works beside its successor until that is first used; a revoked
// one never again; both across a restart.
func TestKeysRotateAndDie(t *testing.T) {
	cfg := testConfig(t)
	a, c := start(t, cfg)
	m := c.mint()
	seq := 0
	try := func(key string, want int) {
		t.Helper()
		seq++
		c.as(key).want(want, "POST", "/api/v1/host-report", report(m.HostID, seq), nil)
	}
	var fresh, last minted
	try(m.APIKey, 200)
	c.want(200, "POST", "/api/v1/admin/hosts/"+m.HostID+"/rotate-key", map[string]any{}, &fresh)
	try(m.APIKey, 200)
	try(fresh.APIKey, 200)
	for range 200 { // the old key's end is written behind the answer
		if c.as(m.APIKey).call("POST", "/api/v1/host-report", report(m.HostID, 1), nil) == 401 {
			break
		}
	}
	try(m.APIKey, 401)
	if err := a.Stop(); err != nil {
		t.Fatal(err)
	}
	a, c = start(t, cfg)
	defer a.Stop()
	try(m.APIKey, 401)
	try(fresh.APIKey, 200)
	c.want(200, "POST", "/api/v1/admin/hosts/"+m.HostID+"/rotate-key", map[string]any{}, &last)
	c.want(204, "POST", "/api/v1/admin/hosts/"+m.HostID+"/revoke-key", map[string]any{}, nil)
	try(fresh.APIKey, 401)
	try(last.APIKey, 401)
}

// An operator who loses a rotated key and rotates again does not lock out the
// agent, which still has the first; the use of the last key ends all others.
func TestRotatingTwiceLocksNobodyOut(t *testing.T) {
	a, c := start(t, testConfig(t))
	defer a.Stop()
	m := c.mint()
	try := func(key string) int { return c.as(key).call("POST", "/api/v1/host-report", report(m.HostID, 1), nil) }
	var lost, last minted
	rotate := "/api/v1/admin/hosts/" + m.HostID + "/rotate-key"
	c.want(200, "POST", rotate, map[string]any{}, &lost)
	c.want(200, "POST", rotate, map[string]any{}, &last)
	for _, key := range []string{m.APIKey, last.APIKey} {
		if got := try(key); got != 200 {
			t.Fatalf("a live key is answered %d", got)
		}
	}
	for range 200 { // the others' end is written behind the answer
		if try(m.APIKey) == 401 {
			break
		}
	}
	for name, key := range map[string]string{"first": m.APIKey, "lost": lost.APIKey} {
		if got := try(key); got != 401 {
			t.Errorf("the %s key is answered %d after the last was used", name, got)
		}
	}
}

// A backup taken of a running hub becomes a hub again; the store that it
// replaces is kept, and a running hub is not touched.
func TestBackupBecomesAHub(t *testing.T) {
	cfg := testConfig(t)
	cfg.GlobalKey = "" // made by the hub, and kept through a restore
	a, _ := start(t, cfg)
	key, err := config.ReadKeyFile(filepath.Join(cfg.DataDir, config.GlobalKeyName))
	if err != nil {
		t.Fatal(err)
	}
	c := client{t, a.URL(), key.Reveal()}
	m := c.mint()
	c.as(m.APIKey).want(200, "POST", "/api/v1/host-report", report(m.HostID, 1), nil)
	var backup bytes.Buffer
	if err := (&fleet{db: a.db}).Backup(t.Context(), &backup); err != nil {
		t.Fatal(err)
	}
	c.as(m.APIKey).want(200, "POST", "/api/v1/host-report", report(m.HostID, 2), nil)
	if err := Restore(t.Context(), cfg, bytes.NewReader(backup.Bytes())); !errors.Is(err, storage.ErrLocked) {
		t.Fatalf("restore under a running hub: %v, want %v", err, storage.ErrLocked)
	}
	if err := a.Stop(); err != nil {
		t.Fatal(err)
	}
	damaged := bytes.Clone(backup.Bytes())
	damaged[len(damaged)/2] ^= 1
	if err := Restore(t.Context(), cfg, bytes.NewReader(damaged)); !errors.Is(err, storage.ErrCorrupt) {
		t.Fatalf("restore of a damaged backup: %v, want %v", err, storage.ErrCorrupt)
	}
	if err := Restore(t.Context(), cfg, &backup); err != nil {
		t.Fatal(err)
	}
	if findings, err := Check(t.Context(), cfg); err != nil {
		t.Errorf("check: %v: %v", err, findings)
	}
	if kept, _ := filepath.Glob(cfg.DataDir + ".before-*"); len(kept) != 1 {
		t.Errorf("the replaced store was kept as %v, want one", kept)
	}
	if left, _ := filepath.Glob(cfg.DataDir + ".rest*"); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
	a, _ = start(t, cfg)
	defer a.Stop()
	c.url = a.URL()
	var reports struct{ Items []any }
	c.want(200, "GET", "/api/v1/admin/hosts/"+m.HostID+"/reports", nil, &reports)
	if len(reports.Items) != 1 {
		t.Errorf("%d reports in the restored hub, want the 1 of the backup", len(reports.Items))
	}
	c.as(m.APIKey).want(200, "POST", "/api/v1/host-report", report(m.HostID, 3), nil)
}

// Two hubs on one directory would each believe half: the second does not start.
func TestSecondHubOnADirectoryDoesNotStart(t *testing.T) {
	cfg := testConfig(t)
	a, _ := start(t, cfg)
	defer a.Stop()
	if b, err := Start(cfg, "test", zerolog.Nop()); !errors.Is(err, storage.ErrLocked) {
		t.Errorf("second hub: %v, want %v", err, storage.ErrLocked)
		if err == nil {
			b.Stop()
		}
	}
}

// A hub that cannot listen gives back what it took: the directory can be used again.
func TestFailedStartLeavesNothingOpen(t *testing.T) {
	cfg := testConfig(t)
	a, _ := start(t, cfg)
	other := testConfig(t)
	other.Listen = strings.TrimPrefix(a.URL(), "http://")
	if _, err := Start(other, "test", zerolog.Nop()); err == nil {
		t.Fatal("two hubs on one port")
	}
	if err := a.Stop(); err != nil {
		t.Fatal(err)
	}
	b, err := Start(other, "test", zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Stop(); err != nil {
		t.Error(err)
	}
}

// Neither key of a host nor the global key is ever in the log or on the disk as text.
func TestKeysAreNowhereInTheClear(t *testing.T) {
	cfg := testConfig(t)
	var log bytes.Buffer
	a, err := Start(cfg, "test", zerolog.New(zerolog.SyncWriter(&log)).Level(zerolog.TraceLevel))
	if err != nil {
		t.Fatal(err)
	}
	c := client{t, a.URL(), cfg.GlobalKey.Reveal()}
	m := c.mint()
	c.as(m.APIKey).want(200, "POST", "/api/v1/host-report", report(m.HostID, 1), nil)
	c.as(m.APIKey).want(403, "GET", "/api/v1/admin/hosts", nil, nil)
	c.as(strings.Replace(m.APIKey, m.APIKey[:1], "z", 1)).want(401, "POST", "/api/v1/host-report", report(m.HostID, 1), nil)
	if err := a.Stop(); err != nil {
		t.Fatal(err)
	}
	places := map[string]string{"the log": log.String()}
	err = filepath.Walk(cfg.DataDir, func(path string, info os.FileInfo, err error) error {
		if err != nil || info.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		places[path] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for place, text := range places {
		for _, key := range []string{m.APIKey, cfg.GlobalKey.Reveal()} {
			if strings.Contains(text, key) {
				t.Errorf("%s holds a key in the clear", place)
			}
		}
	}
	if len(places) < 4 {
		t.Fatal(fmt.Errorf("looked at %d places only", len(places)))
	}
}
