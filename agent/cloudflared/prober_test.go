package cloudflared

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"felhom.eu/messages"
)

// recorded is what systemctl and cloudflared really said, by name.
func recorded(t *testing.T) map[string]recording {
	t.Helper()
	b, err := os.ReadFile("testdata/cloudflared.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Cases []recording }
	if err := json.Unmarshal(b, &file); err != nil {
		t.Fatal(err)
	}
	all := map[string]recording{}
	for _, r := range file.Cases {
		all[r.Name] = r
	}
	return all
}

type recording struct {
	Name   string
	Stdout string
	Exit   int
	Status int
	Body   json.RawMessage
}

// says is a systemctl with that output.
func says(stdout string, err error) func(context.Context, string, ...string) ([]byte, error) {
	return func(context.Context, string, ...string) ([]byte, error) { return []byte(stdout), err }
}

// answers is a port with that answer to /ready.
func answers(t *testing.T, status int, body string) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/ready" {
			t.Errorf("asked for %s", r.URL.Path)
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}))
	t.Cleanup(s.Close)
	return s.URL + "/ready"
}

const nobody = "http://127.0.0.1:1/ready"

// TestUnitStates: what each state of the unit is called, flapping and masked
// ones too; a unit that does not exist is not a stopped one, and systemd not
// answering is neither.
func TestUnitStates(t *testing.T) {
	r := recorded(t)
	for _, c := range []struct {
		name   string
		stdout string
		err    error
		want   string
	}{
		{"running", r["show-running"].Stdout, nil, "active"},
		{"missing", r["show-missing"].Stdout, nil, "not_installed"},
		{"flapping", r["show-flapping"].Stdout, nil, "activating"},
		{"masked", r["show-masked"].Stdout, nil, "inactive"},
		{"failed", "LoadState=loaded\nActiveState=failed\n", nil, "failed"},
		{"reloading", "ActiveState=reloading\r\nLoadState=loaded", nil, "reloading"},
		{"no systemd", r["no-systemd"].Stdout, errors.New("exit status 1"), "unknown"},
		{"no systemctl", "", errors.New("executable file not found"), "unknown"},
		{"cut output", "LoadState=not-found\n", nil, "unknown"},
		{"other output", "System has not been booted with systemd", nil, "unknown"},
	} {
		p := Prober{Run: says(c.stdout, c.err), readyURLs: []string{nobody}}
		if got := p.Probe(t.Context()).Status; got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

// TestActiveMeansConnected: an active unit without a connection is degraded;
// answers that are not cloudflared's change nothing.
func TestActiveMeansConnected(t *testing.T) {
	r := recorded(t)
	ready := answers(t, r["ready"].Status, string(r["ready"].Body))
	notReady := answers(t, r["not-ready"].Status, string(r["not-ready"].Body))
	redirect := httptest.NewServer(http.RedirectHandler(notReady, http.StatusFound))
	defer redirect.Close()
	for _, c := range []struct {
		name string
		urls []string
		want string
	}{
		{"connected", []string{ready}, "active"},
		{"not connected", []string{notReady}, "degraded"},
		{"on the last port", []string{nobody, nobody, notReady}, "degraded"},
		{"one of two connectors", []string{ready, notReady}, "degraded"},
		{"nobody there", []string{nobody}, "active"},
		{"no port at all", []string{":"}, "active"},
		{"another program", []string{answers(t, 404, "404 page not found")}, "active"},
		{"another program's JSON", []string{answers(t, 200, `{"status":"ok"}`)}, "active"},
		{"an older cloudflared", []string{answers(t, 503, `{"status":503,"readyConnections":0}`)}, "degraded"},
		{"endless", []string{answers(t, 200, strings.Repeat(" ", maxAnswer+1)+string(r["not-ready"].Body))}, "active"},
		{"sent elsewhere", []string{redirect.URL + "/ready"}, "active"},
	} {
		p := Prober{Run: says(r["show-running"].Stdout, nil), readyURLs: c.urls}
		if got := p.Probe(t.Context()).Status; got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
	p := Prober{Run: says(r["show-running"].Stdout, nil), ReadyURL: notReady}
	if got := p.Probe(t.Context()).Status; got != StatusDegraded {
		t.Errorf("configured URL: got %q", got)
	}
}

// TestStoppedTunnelIsNotAsked: the ports of a stopped unit may be anybody's.
func TestStoppedTunnelIsNotAsked(t *testing.T) {
	r := recorded(t)
	url := answers(t, 503, string(r["not-ready"].Body))
	p := Prober{Run: says(r["show-flapping"].Stdout, nil), ReadyURL: url}
	if got := p.Probe(t.Context()).Status; got != "activating" {
		t.Errorf("got %q, want activating", got)
	}
}

// TestCommandIsFixed and bounded in time: nothing from outside is in it.
func TestCommandIsFixed(t *testing.T) {
	p := Prober{Run: func(ctx context.Context, name string, args ...string) ([]byte, error) {
		if got := append([]string{name}, args...); !slices.Equal(got, []string{"systemctl", "show", "cloudflared", "-p", "LoadState,ActiveState"}) {
			t.Errorf("ran %q", got)
		}
		if until, ok := ctx.Deadline(); !ok || time.Until(until) > showTimeout {
			t.Errorf("runs until %v", until)
		}
		return nil, nil
	}}
	p.Probe(t.Context())
}

// TestHangingCommandIsEnded: a systemctl that hangs, or leaves a child with its
// pipe, costs its time limit and no more.
func TestHangingCommandIsEnded(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if out, err := runCommand(ctx, "sh", "-c", "echo ActiveState=active; exec sleep 60"); err == nil {
		t.Errorf("got %q and no error", out)
	}
	p := Prober{Run: func(context.Context, string, ...string) ([]byte, error) { return runCommand(ctx, "sleep", "60") }}
	if got := p.Probe(ctx).Status; got != messages.TunnelUnknown {
		t.Errorf("got %q, want unknown", got)
	}
}

// TestUsualPorts are cloudflared's five on loopback.
func TestUsualPorts(t *testing.T) {
	urls := (&Prober{}).urls()
	if len(urls) != 5 || urls[0] != "http://127.0.0.1:20241/ready" || urls[4] != "http://127.0.0.1:20245/ready" {
		t.Errorf("got %v", urls)
	}
}
