package uplink

import (
	"compress/gzip"
	"context"
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"felhom.eu/messages"
)

const canary = "c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00"

const okEnvelope = `{"status":"ok","poll_interval_seconds":300,"blocked":true,"desired_generation":7,"has_signed_ops":false,"later":{"x":1}}`

func client(t *testing.T, cfg Config) *Client {
	t.Helper()
	cfg.Key, cfg.Timeout, cfg.UserAgent = canary, 10*time.Second, "felhom-agent/test"
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func hub(t *testing.T, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

func answering(t *testing.T, status int, header map[string]string, body string) *Client {
	t.Helper()
	s := hub(t, func(w http.ResponseWriter, _ *http.Request) {
		for k, v := range header {
			w.Header().Set(k, v)
		}
		w.WriteHeader(status)
		io.WriteString(w, body)
	})
	return client(t, Config{URL: s.URL})
}

// Protects the wire: path, key, types and date as the contract has them, small
// bodies plain, larger ones packed, unknown fields of the envelope ignored.
func TestReportTravelsAsTheContractSays(t *testing.T) {
	for _, guests := range []int{0, 50} {
		t.Run(fmt.Sprint(guests, " guests"), func(t *testing.T) {
			var got messages.Report
			var seen *http.Request
			s := hub(t, func(w http.ResponseWriter, r *http.Request) {
				seen = r.Clone(context.Background())
				var body io.Reader = r.Body
				if r.Header.Get("Content-Encoding") == "gzip" {
					z, err := gzip.NewReader(r.Body)
					if err != nil {
						t.Error(err)
					}
					body = z
				}
				if err := json.NewDecoder(body).Decode(&got); err != nil {
					t.Error(err)
				}
				io.WriteString(w, okEnvelope)
			})
			sent := messages.Report{HostID: "acme-7f3a90c1", Sequence: 17, Guests: make([]messages.Guest, guests)}
			e, err := client(t, Config{URL: s.URL + "/felhom/"}).Report(context.Background(), &sent)
			if err != nil {
				t.Fatal(err)
			}
			if e.PollIntervalSeconds != 300 || !e.Blocked || e.DesiredGeneration != 7 {
				t.Errorf("got envelope %+v", e)
			}
			if got.HostID != sent.HostID || got.Sequence != 17 || len(got.Guests) != guests {
				t.Errorf("hub got %+v", got)
			}
			if packed := seen.Header.Get("Content-Encoding") == "gzip"; packed != (guests > 0) {
				t.Errorf("with %d guests: packed %v", guests, packed)
			}
			for header, want := range map[string]string{"Authorization": "Bearer " + canary,
				"Content-Type": "application/json", "User-Agent": "felhom-agent/test"} {
				if got := seen.Header.Get(header); got != want {
					t.Errorf("%s: got %q, want %q", header, got, want)
				}
			}
			if _, err := http.ParseTime(seen.Header.Get("Date")); err != nil {
				t.Errorf("date: %v", err)
			}
			if seen.Method != "POST" || seen.URL.Path != "/felhom/api/v1/host-report" {
				t.Errorf("got %s %s", seen.Method, seen.URL.Path)
			}
		})
	}
}

// Protects the reporter's decisions: status, code and wait come through, and
// its interface is satisfied.
func TestRefusalsKeepStatusCodeAndWait(t *testing.T) {
	for _, c := range []struct {
		name, body string
		status     int
		after      string
		want       HTTPError
	}{
		{"unauthorized", `{"error":{"code":"unauthorized","message":"unknown key"}}`, 401, "",
			HTTPError{401, "unauthorized", "unknown key", 0}},
		{"overloaded", `{"error":{"code":"unavailable","message":"busy"}}`, 503, "7",
			HTTPError{503, "unavailable", "busy", 7 * time.Second}},
		{"a proxy's page", "<html>Bad Gateway</html>", 502, "", HTTPError{502, "", "", 0}},
		{"wild wait", ``, 503, "99999999999999", HTTPError{503, "", "", math.MaxInt32 * time.Second}},
		{"past date", ``, 503, "Mon, 02 Jan 2006 15:04:05 GMT", HTTPError{503, "", "", 0}},
		{"nonsense wait", ``, 429, "soon", HTTPError{429, "", "", 0}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := answering(t, c.status, map[string]string{"Retry-After": c.after}, c.body).
				Report(context.Background(), &messages.Report{})
			got, ok := errors.AsType[*HTTPError](err)
			if !ok || *got != c.want {
				t.Fatalf("got %#v, want %#v", err, c.want)
			}
			if code, after := got.Refused(); code != c.want.Code || after != c.want.RetryAfter {
				t.Errorf("refused: got %q, %v", code, after)
			}
		})
	}
	if got := retryAfter("Mon, 02 Jan 2006 15:04:05 GMT", time.Date(2006, 1, 2, 15, 4, 0, 0, time.UTC)); got != 5*time.Second {
		t.Errorf("date form: got %v, want 5s", got)
	}
}

// Protects a report from being believed delivered to something that is no hub,
// and memory from an answer without end.
func TestAnswersThatAreNoEnvelopeAreTransportErrors(t *testing.T) {
	for name, body := range map[string]string{
		"captive portal": "<html>please sign in</html>",
		"other service":  `{"status":"UP"}`,
		"empty":          "",
		"endless":        `{"status":"ok","x":"` + strings.Repeat("x", maxAnswerBytes) + `"}`,
	} {
		t.Run(name, func(t *testing.T) {
			_, err := answering(t, 200, nil, body).Report(context.Background(), &messages.Report{})
			if _, ok := errors.AsType[*TransportError](err); !ok {
				t.Errorf("got %v, want a TransportError", err)
			}
		})
	}
}

// Protects the key from a hub that points elsewhere.
func TestRedirectsAreNotFollowed(t *testing.T) {
	followed := false
	thief := hub(t, func(http.ResponseWriter, *http.Request) { followed = true })
	for _, status := range []int{301, 302, 307, 308} {
		_, err := answering(t, status, map[string]string{"Location": thief.URL}, "").Report(context.Background(), &messages.Report{})
		if e, ok := errors.AsType[*HTTPError](err); !ok || e.Status != status || !strings.Contains(e.Message, "hub.url") {
			t.Errorf("%d: got %v", status, err)
		}
	}
	if followed {
		t.Error("a redirect was followed")
	}
}

// Protects the key: whatever goes wrong, no error shows it, in any form of
// printing, and no proxy of the environment sees it.
func TestKeyAppearsInNoError(t *testing.T) {
	seenByProxy := false
	proxy := hub(t, func(http.ResponseWriter, *http.Request) { seenByProxy = true })
	t.Setenv("HTTP_PROXY", proxy.URL)
	t.Setenv("HTTPS_PROXY", proxy.URL)
	echo := fmt.Sprintf(`{"error":{"code":"%s","message":"unknown key %s\n%s"}}`, canary, canary, strings.Repeat(canary, 9))
	closed := hub(t, nil)
	closed.Close()
	expired, cancel := context.WithCancel(context.Background())
	cancel()
	tlsOnly := httptest.NewUnstartedServer(nil)
	tlsOnly.Config.ErrorLog = log.New(io.Discard, "", 0)
	tlsOnly.StartTLS()
	t.Cleanup(tlsOnly.Close)

	for name, try := range map[string]func() error{
		"echoing hub": func() error {
			_, err := answering(t, 401, nil, echo).Report(context.Background(), &messages.Report{})
			return err
		},
		"echoing portal": func() error {
			_, err := answering(t, 200, nil, canary).Report(context.Background(), &messages.Report{})
			return err
		},
		"refused connection": func() error {
			_, err := client(t, Config{URL: closed.URL}).Report(context.Background(), &messages.Report{})
			return err
		},
		"ended context": func() error {
			_, err := client(t, Config{URL: closed.URL}).Goodbye(expired, messages.Goodbye{})
			return err
		},
		"untrusted certificate": func() error {
			_, err := client(t, Config{URL: tlsOnly.URL}).Report(context.Background(), &messages.Report{})
			return err
		},
		"key in the URL": func() error {
			_, err := New(Config{URL: "https://agent:" + canary + "@hub.example.com"})
			return err
		},
		"key in a broken URL": func() error {
			_, err := New(Config{URL: "https://" + canary + "@hub:port%"})
			return err
		},
	} {
		err := try()
		if err == nil {
			t.Errorf("%s: no error", name)
			continue
		}
		if s := fmt.Sprintf("%v %+v %#v", err, err, err); strings.Contains(s, canary) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: the error shows the key or breaks the line: %s", name, s)
		}
	}
	if seenByProxy {
		t.Error("a proxy was asked")
	}
}

// Protects the private hub: its own CA is enough, and is needed.
func TestCAFileReplacesTheSystemRoots(t *testing.T) {
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, okEnvelope) }))
	defer s.Close()
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := client(t, Config{URL: s.URL, CAFile: file}).Report(context.Background(), &messages.Report{}); err != nil {
		t.Errorf("with ca_file: %v", err)
	}
	if _, err := New(Config{URL: s.URL, CAFile: file + ".missing"}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing ca_file: got %v", err)
	}
	if err := os.WriteFile(file, []byte("not PEM"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := New(Config{URL: s.URL, CAFile: file}); err == nil {
		t.Error("a ca_file without a certificate is accepted")
	}
}

// Protects the key from a connection that can be read: TLS 1.1 is not spoken.
func TestOldTLSIsRefused(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, okEnvelope) }))
	s.TLS = &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	defer s.Close()
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := client(t, Config{URL: s.URL, CAFile: file}).Report(context.Background(), &messages.Report{})
	if e, ok := errors.AsType[*TransportError](err); !ok || !strings.Contains(e.Error(), "protocol version") {
		t.Errorf("got %v, want a refused protocol version", err)
	}
}
