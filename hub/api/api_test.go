package api

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"felhom.eu/messages"
)

func gzipped(t testing.TB, s string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Write([]byte(s))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

const reportPath = "/api/v1/host-report"

// A good report reaches the fleet as it came, and the answer is the envelope.
func TestReportIsRecordedAndAnswered(t *testing.T) {
	h := newHub(t)
	h.fleet.receipt = Receipt{PollIntervalSeconds: 600, Blocked: true, DesiredGeneration: 7}
	sent := time.Date(2026, 6, 8, 14, 20, 11, 0, time.UTC)
	for _, c := range []struct{ key, body, encoding string }{
		{hostKey, someReport, ""},
		{hostKey, gzipped(t, someReport), "gzip"},
		{globalKey, someReport, "identity"},
	} {
		r := h.do(t, "POST", reportPath, c.key, c.body, "Content-Encoding", c.encoding, "Date", sent.Format(http.TimeFormat))
		want := `{"status":"ok","poll_interval_seconds":600,"blocked":true,"desired_generation":7,"has_signed_ops":false}`
		if r.status != 200 || r.body != want {
			t.Fatalf("got %d %s, want %s", r.status, r.body, want)
		}
	}
	if h.fleet.count() != 3 {
		t.Fatalf("%d reports recorded, want 3", h.fleet.count())
	}
	for i, s := range h.fleet.recorded {
		if s.HostID != hostID || s.Sequence != 17 || s.SentAt != sent.UnixNano() || string(h.fleet.bodies[i]) != someReport {
			t.Errorf("report %d: recorded %+v of %q", i, s, h.fleet.bodies[i])
		}
	}
	r := h.do(t, "POST", "/api/v1/host-goodbye", hostKey, `{"host_id":"`+hostID+`","sent_at":"2026-06-08T14:20:09Z","reason":"kernel"}`)
	if r.status != 200 || len(h.fleet.goodbyes) != 1 || h.fleet.goodbyes[0].Reason != "kernel" {
		t.Errorf("goodbye: %d %s, %+v", r.status, r.body, h.fleet.goodbyes)
	}
}

// Every row of the table of errors, as an agent meets it.
func TestErrorTable(t *testing.T) {
	h := newHub(t, func(c *Config) { c.MaxBodyBytes = 64 << 10 })
	fill := strings.Repeat(" ", 64<<10)
	other := strings.Replace(someReport, hostID, otherID, 1)
	for _, c := range []struct {
		name, key, body, encoding string
		fleet                     error
		status                    int
		code                      messages.Code
		says                      string
	}{
		{"no key", "", someReport, "", nil, 401, messages.CodeUnauthorized, "key"},
		{"malformed key", "x", someReport, "", nil, 401, messages.CodeUnauthorized, "key"},
		{"unknown key", wrongKey, someReport, "", nil, 401, messages.CodeUnauthorized, "key"},
		{"unknown key, body too large", wrongKey, fill + "  ", "", nil, 401, messages.CodeUnauthorized, "key"},
		{"customer's key", customerKey, someReport, "", nil, 403, messages.CodeForbidden, "key"},
		{"another host's report", hostKey, other, "", nil, 403, messages.CodeHostMismatch, "host_id"},
		{"unknown host by the global key", globalKey, someReport, "", ErrUnknownHost, 400, messages.CodeUnknownHost, "host_id"},
		{"body too large", hostKey, someReport + fill, "", nil, 400, messages.CodeBodyTooLarge, "large"},
		{"body too large once inflated", hostKey, gzipped(t, someReport+fill), "gzip", nil, 400, messages.CodeBodyTooLarge, "large"},
		{"not JSON", hostKey, "hello", "", nil, 400, messages.CodeInvalidReport, ""},
		{"empty", hostKey, "", "", nil, 400, messages.CodeInvalidReport, ""},
		{"trailing data", hostKey, someReport + "{}", "", nil, 400, messages.CodeInvalidReport, ""},
		{"wrong type", hostKey, strings.Replace(someReport, `"vmid":101`, `"vmid":"101"`, 1), "", nil, 400, messages.CodeInvalidReport, "vmid"},
		{"bad id", hostKey, strings.Replace(someReport, hostID, "../../etc", 1), "", nil, 400, messages.CodeInvalidReport, "host_id"},
		{"not gzip", hostKey, someReport, "gzip", nil, 400, messages.CodeInvalid, "gzip"},
		{"unknown encoding", hostKey, someReport, "br", nil, 415, messages.CodeEncoding, "gzip"},
		{"two encodings", hostKey, someReport, "gzip, gzip", nil, 415, messages.CodeEncoding, "gzip"},
		{"cannot be made durable", hostKey, someReport, "", ErrUnavailable, 503, messages.CodeUnavailable, "retry"},
		{"a bug", hostKey, someReport, "", errors.New("index " + hostKey + " out of range"), 500, messages.CodeInternal, "internal"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h.fleet.err = c.fleet
			r := h.do(t, "POST", reportPath, c.key, c.body, "Content-Encoding", c.encoding)
			if got := r.code(t); r.status != c.status || got != c.code {
				t.Errorf("got %d %s, want %d %s", r.status, got, c.status, c.code)
			}
			if !strings.Contains(r.body, c.says) {
				t.Errorf("%s does not say %q", r.body, c.says)
			}
			if after := r.header.Get("Retry-After"); (after != "") != (c.status == 503) {
				t.Errorf("Retry-After is %q", after)
			}
		})
	}
	for _, s := range h.fleet.recorded {
		if h.fleet.err == nil {
			t.Errorf("recorded %+v", s)
		}
	}
	if strings.Contains(h.logs.String(), hostKey) {
		t.Error("the log tells a key")
	}
}

// Of two keys, or two encodings, a proxy may have checked the other one.
func TestDoubledHeadersAreRefused(t *testing.T) {
	h := newHub(t)
	for headers, want := range map[string]int{
		"Authorization: Bearer " + wrongKey + "\r\n":               401,
		"Authorization: Bearer " + hostKey + "\r\n":                401,
		"Content-Encoding: identity\r\nContent-Encoding: gzip\r\n": 415,
	} {
		r := h.raw(t, post(headers+fmt.Sprintf("Content-Length: %d\r\n", len(someReport)), someReport))
		if len(r) != 1 || r[0].status != want {
			t.Errorf("%q: %+v, want %d", headers, r, want)
		}
	}
}

// A hub that is told to stop before it listens does not listen.
func TestShutdownBeforeServe(t *testing.T) {
	s := New(Config{}, testKeys(), newFakeFleet(), zerolog.Nop())
	if err := s.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Serve(ln); err != nil {
		t.Errorf("serve: %v", err)
	}
}

// Where nothing is, or not for this method, the answer is an error like any other.
func TestUnknownPathsAndMethods(t *testing.T) {
	h := newHub(t)
	for _, path := range []string{"/api", "/api/v1/host-report/", "//", "/healthz/", "/HEALTHZ", "/api/v1/admin/hosts/x/y/z", "/api/v1/admin/customers//block"} {
		if r := h.do(t, "GET", path, globalKey, ""); r.status != 404 || r.code(t) != messages.CodeNotFound {
			t.Errorf("%s: %d %s", path, r.status, r.body)
		}
	}
	for _, c := range []struct{ method, path, allow string }{
		{"GET", reportPath, "POST"},
		{"PUT", "/api/v1/admin/customers", "GET, HEAD, POST"},
		{"POST", "/healthz", "GET, HEAD"},
		{"PATCH", "/api/v1/admin/hosts/" + hostID, "DELETE, GET, HEAD"},
	} {
		r := h.do(t, c.method, c.path, globalKey, "")
		if r.status != 405 || r.code(t) != messages.CodeNotAllowed || r.header.Get("Allow") != c.allow {
			t.Errorf("%s %s: %d, Allow %q, want 405, %q", c.method, c.path, r.status, r.header.Get("Allow"), c.allow)
		}
	}
	if r := h.do(t, "HEAD", "/healthz", "", ""); r.status != 200 || r.body != "" {
		t.Errorf("HEAD /healthz: %d %q", r.status, r.body)
	}
}

// The agents' listener has the agents' endpoints and nothing else.
func TestAgentListenerServesOnlyAgents(t *testing.T) {
	h := newHub(t)
	h.addr = h.start(t, h.ServeAgents)
	if r := h.do(t, "POST", reportPath, hostKey, someReport); r.status != 200 {
		t.Errorf("report: %d %s", r.status, r.body)
	}
	for _, r := range routes {
		if r.access == forAgents || r.access == forEnrolment || r.access == forControllers {
			continue
		}
		path := strings.NewReplacer("{customer_id}", "acme", "{host_id}", hostID, "{report_id}", ulid(1), "{route_id}", ulid(1), "{delivery_id}", ulid(1)).Replace(r.path)
		if got := h.do(t, r.method, path, globalKey, ""); got.status != 404 {
			t.Errorf("%s %s: %d, want 404", r.method, path, got.status)
		}
	}
}

// A handler that panics costs its request, not the hub.
func TestPanicCostsOneRequest(t *testing.T) {
	h := newHub(t)
	for range 20 {
		h.fleet.record = func(*messages.Summary, []byte) (Receipt, error) {
			panic("boom")
		}
		if r := h.do(t, "POST", reportPath, hostKey, someReport); r.status != 500 || r.code(t) != messages.CodeInternal {
			t.Fatalf("got %d %s", r.status, r.body)
		}
		h.fleet.record = nil
		if r := h.do(t, "POST", reportPath, hostKey, someReport); r.status != 200 {
			t.Fatalf("after a panic: %d %s", r.status, r.body)
		}
	}
	if n := h.counts.panics.Load(); n != 20 {
		t.Errorf("%d panics counted, want 20", n)
	}
	if log := h.logs.String(); !strings.Contains(log, "api_test.go") || strings.Contains(log, hostKey) {
		t.Errorf("the log has no stack, or a key: %.300s", log)
	}
}
