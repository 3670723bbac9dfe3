package proxmox

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"felhom.eu/agent/api2"
	"felhom.eu/agent/proxmox/pvetest"
	"felhom.eu/messages"
)

var versionQuestion = question{path: path("version")}

// refusedAs asks for the version and checks the error's kind and text.
func refusedAs(t *testing.T, src *Source, kind api2.Kind, status int, text string) {
	t.Helper()
	_, err := src.client.get(t.Context(), versionQuestion)
	e, ok := errors.AsType[*api2.Error](err)
	if !ok || e.Kind != kind || e.Status != status || !strings.Contains(e.Error(), text) {
		t.Errorf("got %v, want %s, status %d, %q", err, kind, status, text)
	}
	if err != nil && strings.Contains(err.Error(), pvetest.Secret) {
		t.Errorf("secret in %v", err)
	}
}

// TestEveryRecordedErrorHasItsKind: Proxmox's statuses mean what facts say, not
// what HTTP does: 595 is no authentication error, 501 an unknown path, an empty
// body no reason to fail at JSON first.
func TestEveryRecordedErrorHasItsKind(t *testing.T) {
	kinds := map[string]api2.Kind{
		"401-bad-secret": api2.KindAuth, "401-no-ticket": api2.KindAuth,
		"403": api2.KindForbidden, "403-pve8": api2.KindForbidden, "403-not-for-tokens": api2.KindForbidden,
		"400-params": api2.KindAPI, "400-params-pve8": api2.KindAPI, "500-die": api2.KindAPI, "501-unknown-path": api2.KindAPI,
		"501-head": api2.KindAPI, "501-get-with-body": api2.KindAPI, "301-plain-http": api2.KindAPI,
		"595-refused": api2.KindUnreachable, "595-no-route": api2.KindUnreachable, "596-timeout": api2.KindTimeout, "599-recursion": api2.KindUnreachable,
		"200-html-from-proxy": api2.KindDecode, "200-truncated": api2.KindDecode, "200-data-null": api2.KindDecode,
	}
	s := pvetest.Start(t, pvetest.PVE9)
	for _, c := range pvetest.Cases() {
		if c.File != "errors" {
			continue
		}
		t.Run(c.Name, func(t *testing.T) {
			kind, ok := kinds[c.Name]
			if !ok {
				t.Fatal("case without an expectation")
			}
			s.Mend()
			s.Break(pvetest.Everywhere, func(_ *http.Request, a *pvetest.Reply) {
				*a = pvetest.Reply{Status: c.Response.Status, Reason: c.Response.Reason, Body: c.Response.Body}
				if c.Response.Body == nil {
					a.Body = []byte(c.Response.BodyText)
				}
			})
			text := c.Response.Reason
			switch {
			case c.Response.Status == 200:
				text = "answer"
			case c.Response.Status == 301:
				text = "redirect refused"
			case c.Response.Status == 400:
				text = "limit: value must have a minimum value of 0"
			}
			refusedAs(t, source(t, s, pvetest.Auditor), kind, c.Response.Status, text)
		})
	}
}

// TestBrokenAnswers: whatever comes instead of an answer ends in a typed error,
// in time.
func TestBrokenAnswers(t *testing.T) {
	s := pvetest.Start(t, pvetest.PVE9)
	for _, c := range []struct {
		name   string
		fault  pvetest.Fault
		kind   api2.Kind
		status int
		text   string
	}{
		{"stall", pvetest.Stall, api2.KindTimeout, 0, ""},
		{"truncated", pvetest.Truncate, api2.KindDecode, 200, "not JSON"},
		{"hung up", pvetest.HangUp, api2.KindDecode, 200, "ends after"},
		{"garbage", pvetest.Garbage, api2.KindUnreachable, 0, ""},
		{"echo of the token", pvetest.Echo, api2.KindAPI, 500, ""},
		{"empty", pvetest.Body(""), api2.KindDecode, 200, ""},
		{"controls in the reason", pvetest.Status(500, "a\x01b\xff"), api2.KindAPI, 500, ""},
		{"too large", pvetest.Body(`{"data":"` + strings.Repeat("x", 65<<10) + `"}`), api2.KindDecode, 200, "over 64 KiB"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s.Mend()
			s.Break(pvetest.Everywhere, c.fault)
			src := source(t, s, pvetest.Auditor)
			src.client.MaxBody = 64 << 10
			if c.name == "stall" {
				src.client.quick = 50 * time.Millisecond
			}
			refusedAs(t, src, c.kind, c.status, c.text)
			_, err := src.client.get(t.Context(), versionQuestion)
			if !utf8.ValidString(err.Error()) || strings.ContainsAny(err.Error(), "\x01\n") {
				t.Errorf("not one clean line: %q", err)
			}
		})
	}
}

// TestTokenStaysHere: the token goes to no place that an answer names, not
// even to one on the same port.
func TestTokenStaysHere(t *testing.T) {
	var asked int
	other := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked++ }))
	defer other.Close()
	s := pvetest.Start(t, pvetest.PVE9)
	s.Break("/version", pvetest.Redirect(other.URL))
	refusedAs(t, source(t, s, pvetest.Auditor), api2.KindAPI, 301, "redirect")
	s.Mend()
	s.Break("/version", pvetest.Redirect(s.URL+"/api2/json/nodes"))
	refusedAs(t, source(t, s, pvetest.Auditor), api2.KindAPI, 301, "redirect")
	if asked != 0 || s.Asked("/nodes") != 0 {
		t.Errorf("the redirect was followed")
	}
}

// TestNoProxyFromTheEnvironment: a proxy for the outer world must not see the
// node's token. (net/http reads the environment once, so look at the field.)
func TestNoProxyFromTheEnvironment(t *testing.T) {
	src := source(t, pvetest.Start(t, pvetest.PVE9), pvetest.Auditor)
	if src.client.HTTP.Transport.(*http.Transport).Proxy != nil {
		t.Error("a proxy is used")
	}
}

// TestRefusedTokenIsNotHammered: each bad try costs pveproxy 3 s of a worker;
// after one the answer comes from memory, for minutes, then it is tried again.
func TestRefusedTokenIsNotHammered(t *testing.T) {
	s := pvetest.Start(t, pvetest.PVE83)
	src, err := New(Config{URL: s.URL, TokenID: pvetest.Auditor, Token: "wrong", Node: pvetest.Node, CAFile: s.CAFile()})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	src.client.Now = func() time.Time { return now }
	refusedAs(t, src, api2.KindAuth, 401, "Authentication failed!")
	for range 20 {
		refusedAs(t, src, api2.KindAuth, 401, "next try in 5m0s")
	}
	if _, err := src.Collect(t.Context()); api2.KindOf(err) != api2.KindAuth {
		t.Errorf("collect: %v", err)
	}
	if n := s.AskedAll(); n != 1 {
		t.Errorf("asked %d times, want 1", n)
	}
	now = now.Add(api2.AuthBackOff)
	refusedAs(t, src, api2.KindAuth, 401, "Authentication failed!")
	if n := s.AskedAll(); n != 2 {
		t.Errorf("asked %d times after the pause, want 2", n)
	}
}

// TestTwoInFlightAtMost: a third request would take the GUI's last worker.
func TestTwoInFlightAtMost(t *testing.T) {
	s := pvetest.Start(t, pvetest.PVE9)
	s.Turn(func(k *pvetest.Knobs) { k.Latency = 2 * time.Millisecond })
	src := source(t, s, pvetest.Auditor)
	var wg sync.WaitGroup
	for range 12 {
		wg.Go(func() {
			if _, err := src.client.get(t.Context(), versionQuestion); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := s.MaxInFlight(); got != 2 {
		t.Errorf("%d requests in flight, want 2", got)
	}
	collect(t, src)
	if got := s.MaxInFlight(); got != 2 {
		t.Errorf("%d requests in flight in a collection, want 2", got)
	}
}

// TestSlowQuestionsOutlastPveproxy: pveproxy says 596 after 30 s; a client that
// gives up before never hears it.
func TestSlowQuestionsOutlastPveproxy(t *testing.T) {
	if slowTimeout <= 30*time.Second || quickTimeout >= slowTimeout || api2.IdleTimeout >= 5*time.Second {
		t.Error("timeouts do not fit pveproxy's 30 s and 5 s")
	}
	s := pvetest.Start(t, pvetest.PVE9)
	s.HangDaemon()
	s.Turn(func(k *pvetest.Knobs) { k.HangDelay = 60 * time.Millisecond })
	src := source(t, s, pvetest.Auditor)
	src.client.quick, src.client.slow = 20*time.Millisecond, 10*time.Second
	_, err := src.client.get(t.Context(), question{path: path("nodes", pvetest.Node, "lxc"), slow: true})
	if e, ok := errors.AsType[*api2.Error](err); !ok || e.Status != 596 {
		t.Errorf("got %v, want the server's own 596", err)
	}
}

// TestConnectionsThatEndWithoutAWord: pveproxy closes after a number of
// requests; that is no failure.
func TestConnectionsThatEndWithoutAWord(t *testing.T) {
	s := pvetest.Start(t, pvetest.PVE9)
	s.Turn(func(k *pvetest.Knobs) { k.RequestsPerConn = 2 })
	src := source(t, s, pvetest.Auditor)
	for range 3 {
		if r := collect(t, src); r.Sections["guests"] != (messages.Section{Status: messages.SectionOK}) {
			t.Errorf("got %+v", r.Sections["guests"])
		}
	}
}

// TestEqualsSignInAQuery: pveproxy splits at every "=", so a value's own must
// travel as %3D.
func TestEqualsSignInAQuery(t *testing.T) {
	src := source(t, pvetest.Start(t, pvetest.PVE9), pvetest.Auditor)
	q := question{path: path("nodes", pvetest.Node, "storage", "local", "prunebackups"),
		query: url.Values{"prune-backups": {"keep-all=1"}}, slow: true}
	if _, err := src.client.get(t.Context(), q); err != nil {
		t.Error(err)
	}
}

// TestCAFileIsReadAnew: the node's CA and certificate may be renewed while the
// agent runs; the file on disk is what counts.
func TestCAFileIsReadAnew(t *testing.T) {
	s := pvetest.Start(t, pvetest.PVE9)
	src := source(t, s, pvetest.Auditor)
	for _, renew := range []func(){func() {}, s.Rotate, s.RotateCA} {
		src.client.HTTP.CloseIdleConnections()
		renew()
		if _, err := src.client.get(t.Context(), versionQuestion); err != nil {
			t.Error(err)
		}
	}
	other := pvetest.Start(t, pvetest.PVE9)
	stranger := source(t, other, pvetest.Auditor)
	stranger.client.Base = s.URL
	refusedAs(t, stranger, api2.KindUnreachable, 0, "certificate not trusted")
	if s.AskedAll() != 3 {
		t.Error("a request went to a server that is not trusted")
	}
	missing, err := New(Config{URL: s.URL, TokenID: pvetest.Auditor, Token: pvetest.Secret, CAFile: t.TempDir() + "/none.pem"})
	if err != nil {
		t.Fatal(err)
	}
	refusedAs(t, missing, api2.KindUnreachable, 0, "read CA")
}

// TestFingerprintPin: however it is written, the pin alone vouches for the
// node, and a renewed certificate is told as that, with both fingerprints.
func TestFingerprintPin(t *testing.T) {
	s := pvetest.Start(t, pvetest.PVE9)
	pin := s.Fingerprint()
	for _, form := range []string{pin, strings.ToLower(pin), strings.ReplaceAll(pin, ":", ""), " " + strings.ReplaceAll(pin, ":", " ")} {
		src, err := New(Config{URL: s.URL, TokenID: pvetest.Auditor, Token: pvetest.Secret, Fingerprint: form})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := src.client.get(t.Context(), versionQuestion); err != nil {
			t.Errorf("%s: %v", form, err)
		}
		src.client.HTTP.CloseIdleConnections()
	}
	s.Rotate()
	src, _ := New(Config{URL: s.URL, TokenID: pvetest.Auditor, Token: pvetest.Secret, Fingerprint: pin})
	before := s.AskedAll()
	_, err := src.client.get(t.Context(), versionQuestion)
	fe, ok := errors.AsType[*api2.FingerprintError](err)
	if !ok || fe.Want != pin || fe.Got != s.Fingerprint() || !strings.Contains(err.Error(), "renewed") {
		t.Errorf("got %v, want a FingerprintError with both", err)
	}
	if s.AskedAll() != before {
		t.Error("the token was sent to a server that is not the pinned one")
	}
}

// TestPinAndCATogether: with both, a pinned certificate of a foreign CA is not
// enough.
func TestPinAndCATogether(t *testing.T) {
	s, other := pvetest.Start(t, pvetest.PVE9), pvetest.Start(t, pvetest.PVE9)
	for ca, ok := range map[string]bool{s.CAFile(): true, other.CAFile(): false} {
		src, err := New(Config{URL: s.URL, TokenID: pvetest.Auditor, Token: pvetest.Secret, CAFile: ca, Fingerprint: s.Fingerprint()})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := src.client.get(t.Context(), versionQuestion); (err == nil) != ok {
			t.Errorf("got %v, want ok %v", err, ok)
		}
		src.client.HTTP.CloseIdleConnections()
	}
}

// TestServerName: a node that serves a certificate for its public name only is
// reached through localhost all the same, when told the name.
func TestServerName(t *testing.T) {
	s := pvetest.Start(t, pvetest.PVE9)
	s.ServeName("pve.example.org")
	refusedAs(t, source(t, s, pvetest.Auditor), api2.KindUnreachable, 0, "certificate not trusted")
	src, err := New(Config{URL: s.URL, TokenID: pvetest.Auditor, Token: pvetest.Secret, CAFile: s.CAFile(), ServerName: "pve.example.org"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := src.client.get(t.Context(), versionQuestion); err != nil {
		t.Error(err)
	}
}

// TestOldTLSAndHTTP2: TLS 1.1 is refused, and HTTP/2 is not offered.
func TestOldTLSAndHTTP2(t *testing.T) {
	s := pvetest.Start(t, pvetest.PVE9)
	collect(t, source(t, s, pvetest.Auditor))
	if got := s.Offered(); len(got) != 0 {
		t.Errorf("offered %v, want nothing", got)
	}
	s.Turn(func(k *pvetest.Knobs) { k.MaxTLS = tls.VersionTLS11 })
	refusedAs(t, source(t, s, pvetest.Auditor), api2.KindUnreachable, 0, "protocol version")
}

// TestConfigurationIsChecked, naming the key, and never the secret.
func TestConfigurationIsChecked(t *testing.T) {
	good := Config{TokenID: "felhom@pve!agent", Token: pvetest.Secret}
	if src, err := New(good); err != nil || src.client.Base != "https://localhost:8006" {
		t.Fatalf("got %v, %v", src, err)
	}
	for _, c := range []struct {
		want   string
		change func(*Config)
	}{
		{"url", func(c *Config) { c.URL = "http://localhost:8006" }},
		{"url", func(c *Config) { c.URL = "https://user:" + pvetest.Secret + "@localhost" }},
		{"url", func(c *Config) { c.URL = "https://localhost/pve" }},
		{"url", func(c *Config) { c.URL = ":" }},
		{"token id", func(c *Config) { c.TokenID = "felhom@pve" }},
		{"token id", func(c *Config) { c.TokenID = "felhom@pve!a" }},
		{"token", func(c *Config) { c.Token = "" }},
		{"token", func(c *Config) { c.Token = pvetest.Secret + "\n" }},
		{"node", func(c *Config) { c.Node = "localhost" }},
		{"node", func(c *Config) { c.Node = "pve1.example.org" }},
		{"fingerprint", func(c *Config) { c.Fingerprint = "AB:CD" }},
	} {
		cfg := good
		c.change(&cfg)
		_, err := New(cfg)
		if err == nil || !strings.HasPrefix(err.Error(), c.want) || strings.Contains(err.Error(), pvetest.Secret) {
			t.Errorf("%+v: got %v, want an error on %s", cfg, err, c.want)
		}
	}
	for _, u := range []string{"https://localhost:8006/", "https://localhost:8006/api2/json"} {
		cfg := good
		cfg.URL = u
		if src, err := New(cfg); err != nil || src.client.Base != "https://localhost:8006" {
			t.Errorf("%s: got %v", u, err)
		}
	}
}

// TestSecretIsNeverSeen prints what a Source and its Config are, and every
// finding and error there is, and looks for the secret.
func TestSecretIsNeverSeen(t *testing.T) {
	var said strings.Builder
	s := pvetest.Start(t, pvetest.PVE83)
	for _, token := range []string{pvetest.Auditor, pvetest.NodeAuditor, "felhom@pve!unknown"} {
		for _, fault := range []pvetest.Fault{nil, pvetest.Echo, pvetest.Garbage, pvetest.HangUp, pvetest.Status(403, pvetest.Secret), pvetest.Body(pvetest.Secret)} {
			s.Mend()
			for _, pattern := range []string{"/nodes/*", "/nodes/*/*", "/cluster/*", "/access/*"} {
				if fault != nil {
					s.Break(pattern, fault)
				}
			}
			src := source(t, s, token)
			r, err := src.Collect(t.Context())
			fmt.Fprintf(&said, "%+v %v %+v\n", r, err, src.Describe(t.Context()))
		}
	}
	src := source(t, s, pvetest.Auditor)
	fmt.Fprintf(&said, "%v %+v %#v", src.client.Header, src.client.Secret, Config{Token: pvetest.Secret})
	if strings.Contains(said.String(), pvetest.Secret) {
		t.Errorf("secret in %s", said.String())
	}
}

// TestTheFakeIsAsStrict: questions that Proxmox would refuse are refused by the
// fake, or the tests above would prove nothing.
func TestTheFakeIsAsStrict(t *testing.T) {
	s := pvetest.Start(t, pvetest.PVE9)
	src := source(t, s, pvetest.Auditor)
	ask := func(method, target, token string, body io.Reader) string {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, s.URL+target, body)
		if err != nil {
			t.Fatal(err)
		}
		if token != "" {
			req.Header.Set("Authorization", token)
		}
		resp, err := src.client.HTTP.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.Status
	}
	token := "PVEAPIToken=" + pvetest.Auditor + "=" + pvetest.Secret
	for _, c := range []struct{ method, target, token, want string }{
		{"GET", "/api2/json/version", token, "200 OK"},
		{"GET", "/api2/json/version", "PVEAPIToken " + pvetest.Auditor + "=" + pvetest.Secret, "200 OK"},
		{"GET", "/api2/json/version", "PVEAPIToken=" + url.PathEscape(pvetest.Auditor+"="+pvetest.Secret), "200 OK"},
		{"GET", "/api2/json/version", "", "401 No ticket"},
		{"GET", "/api2/json/version", "Bearer x", "401 No ticket"},
		{"GET", "/api2/json/version", token + "x", "401 Authentication failed!"},
		{"GET", "/api2/json/nosuch", token, "501 Method 'GET /nosuch' not implemented"},
		{"HEAD", "/api2/json/version", token, "501 method 'HEAD' not available"},
		{"GET", "/api2/json/cluster/resources?kind=vm", token, "400 Parameter verification failed."},
		{"GET", "/api2/json/cluster/resources?type=vm", token, "200 OK"},
		{"GET", "/api2/json/nodes/kiefer/lxc/9/config", token, "400 Parameter verification failed."},
		{"GET", "/api2/json/nodes/kiefer/lxc/999/config", token, "500 Configuration file 'nodes/kiefer/lxc/999.conf' does not exist"},
		{"GET", "/api2/json/nodes/kiefer/storage?storage=weg", token, "400 Parameter verification failed."},
		{"GET", "/api2/json/nodes/kiefer/storage/local/prunebackups?prune-backups=keep-all=1", token, "400 Parameter verification failed."},
		{"GET", "/api2/json/nodes/kiefer/storage/local/prunebackups?prune-backups=keep-all%3D1", token, "200 OK"},
		{"GET", "/api2/json/nodes/eibe/status", token, "500 hostname lookup 'eibe' failed - failed to get address info for: eibe: Name or service not known"},
		{"GET", "/api2/json/nodes/birke/status", token, "595 No route to host"},
		{"GET", "/api2/json/nodes/localhost/status", "PVEAPIToken=" + pvetest.OneGuest + "=" + pvetest.Secret, "200 OK"},
		{"GET", "/api2/json/nodes/kiefer/lxc/110/config", "PVEAPIToken=" + pvetest.Bare + "=" + pvetest.Secret, "403 Permission check failed (/vms/110, VM.Audit)"},
		{"GET", "/api2/json/nodes/kiefer/lxc/110/config", "PVEAPIToken=" + pvetest.OneGuest + "=" + pvetest.Secret, "200 OK"},
		{"GET", "/api2/json/cluster/status", "PVEAPIToken=" + pvetest.Bare + "=" + pvetest.Secret, "403 Permission check failed (/, Sys.Audit)"},
	} {
		if got := ask(c.method, c.target, c.token, nil); got != c.want {
			t.Errorf("%s %s: got %s, want %s", c.method, c.target, got, c.want)
		}
	}
	if got := ask("GET", "/api2/json/version", token, strings.NewReader("x")); got != "501 Unexpected content for method 'GET'" {
		t.Errorf("GET with a body: got %s", got)
	}
}
