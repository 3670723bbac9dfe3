package api

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/valyala/fasthttp"

	"felhom.eu/hub/auth"
	"felhom.eu/messages"
)

// The keys of the tests. They are canaries, too: none may be seen in a log or
// an answer, except newKey where it is shown once.
const (
	globalKey   = "a10ba1000000000000000000000000000000000000000000000000000000cafe"
	hostKey     = "05700000000000000000000000000000000000000000000000000000000cafe1"
	otherKey    = "05700000000000000000000000000000000000000000000000000000000cafe2"
	customerKey = "c0570000000000000000000000000000000000000000000000000000000cafe3"
	wrongKey    = "bad0000000000000000000000000000000000000000000000000000000badcaf"
	newKey      = "0e30000000000000000000000000000000000000000000000000000000000caf"

	hostID  = "acme-7f3a90c1"
	otherID = "acme-7f3a90c2"
)

const someReport = `{"host_id":"` + hostID + `","reported_at":"2026-06-08T14:20:09Z","agent_version":"0.3.0","stream":"01J","sequence":17,` +
	`"host":{"node":"pve1","uptime_seconds":1209600,"cpu_used_ratio":0.073,"cpu_count":16,"load_1m":0.52,"load_5m":0.48,"load_15m":0.4,` +
	`"memory_total_bytes":67430330368,"memory_used_bytes":21474836480,"root_total_bytes":100861726720,"root_used_bytes":18253611008},` +
	`"guests":[{"vmid":101,"kind":"lxc","name":"web","status":"running","controller_version":""}],` +
	`"cloudflared":{"status":"active"},"storage_targets":[],"backups":[],"restore_tests":[],"pbs_snapshots":[],"audit_tail":[],` +
	`"sections":{"backups":{"status":"denied"}}}`

func ulid(n int) string { return fmt.Sprintf("01J%023d", n) }

// hub is a Server on loopback TCP before a fakeFleet.
type hub struct {
	*Server
	fleet *fakeFleet
	logs  *logBuffer
	addr  string
	http  *http.Client
}

// logBuffer collects a log that several goroutines write.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func testKeys() *auth.Keys {
	k := new(auth.Keys)
	k.SetGlobal(messages.HashKey([]byte(globalKey)))
	k.Put(messages.Key{Hash: messages.HashKey([]byte(hostKey)), Kind: messages.KeyHost, HostID: hostID})
	k.Put(messages.Key{Hash: messages.HashKey([]byte(otherKey)), Kind: messages.KeyHost, HostID: otherID})
	k.Put(messages.Key{Hash: messages.HashKey([]byte(customerKey)), Kind: messages.KeyCustomer, CustomerID: "acme"})
	return k
}

func newHub(t testing.TB, change ...func(*Config)) *hub {
	t.Helper()
	cfg := Config{Version: "test", ReadTimeout: time.Second, StyleSheet: "/felhom.css?7", Pages: []Page{{Method: "GET", Path: "/", Serve: firstPage}}}
	for _, c := range change {
		c(&cfg)
	}
	h := &hub{fleet: newFakeFleet(), logs: new(logBuffer)}
	h.fleet.hosts[hostID] = HostView{Host: messages.Host{ID: hostID, CustomerID: "acme"}}
	h.Server = New(cfg, testKeys(), h.fleet, zerolog.New(h.logs).Level(zerolog.DebugLevel))
	h.addr = h.start(t, h.Serve)
	h.http = &http.Client{Transport: &http.Transport{}, Timeout: 10 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	t.Cleanup(h.http.CloseIdleConnections)
	return h
}

// firstPage is a page of a dashboard, with what a form needs.
func firstPage(ctx *fasthttp.RequestCtx, v Visit) {
	ctx.SetContentType("text/html; charset=utf-8")
	fmt.Fprintf(ctx, `<input name="csrf" value="%s">`, v.Who.CSRF)
}

// start serves a loopback listener until the test ends.
func (h *hub) start(t testing.TB, serve func(net.Listener) error) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- serve(ln) }()
	t.Cleanup(func() {
		h.http.CloseIdleConnections()
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := h.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
		untold(t, "the log", h.logs.String())
	})
	return ln.Addr().String()
}

// reply is an answer, read to its end.
type reply struct {
	status int
	header http.Header
	body   string
}

// do sends a request with key as its bearer; headers are pairs.
func (h *hub) do(t testing.TB, method, path, key, body string, headers ...string) reply {
	t.Helper()
	req, err := http.NewRequest(method, "http://"+h.addr+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := h.http.Do(req)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	untold(t, "an answer", string(b)+fmt.Sprint(res.Header))
	return reply{res.StatusCode, res.Header, string(b)}
}

// untold fails when text tells a key.
func untold(t testing.TB, where, text string) {
	t.Helper()
	for _, key := range []string{globalKey, hostKey, otherKey, customerKey, wrongKey} {
		if strings.Contains(text, key) {
			t.Errorf("%s tells a key: %.300q", where, text[max(strings.Index(text, key)-200, 0):])
		}
	}
}

// code is the error's code in an answer that is one, and checks its form.
func (r reply) code(t testing.TB) messages.Code {
	t.Helper()
	var e messages.ErrorBody
	d := json.NewDecoder(strings.NewReader(r.body))
	d.DisallowUnknownFields()
	if err := d.Decode(&e); err != nil || e.Error.Code == "" || e.Error.Message == "" {
		t.Errorf("%d %q is no error answer: %v", r.status, r.body, err)
	}
	if got := r.header.Get("Content-Type"); got != "application/json" {
		t.Errorf("an error is %q", got)
	}
	return e.Error.Code
}

// into decodes a good answer.
func (r reply) into(t testing.TB, want int, v any) {
	t.Helper()
	if r.status != want {
		t.Fatalf("got %d %s, want %d", r.status, r.body, want)
	}
	if v == nil {
		return
	}
	if err := json.Unmarshal([]byte(r.body), v); err != nil {
		t.Fatalf("%s: %v", r.body, err)
	}
}

// raw sends bytes on a connection of their own and reads every answer on it
// until the other end closes, or is silent for a moment after the last one.
func (h *hub) raw(t testing.TB, text string) []reply {
	t.Helper()
	c, err := net.Dial("tcp", h.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	c.(*net.TCPConn).CloseWrite()
	replies := readReplies(c)
	untold(t, "an answer", fmt.Sprint(replies))
	return replies
}

func readReplies(c io.Reader) (replies []reply) {
	br := bufio.NewReader(c)
	for {
		res, err := http.ReadResponse(br, nil)
		if err != nil {
			return replies
		}
		b, err := io.ReadAll(res.Body)
		replies = append(replies, reply{res.StatusCode, res.Header, string(b)})
		if err != nil {
			return replies
		}
	}
}
