package app

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"felhom.eu/hub/notify"
	"felhom.eu/hub/notify/notifytest"
)

// heard is what an HTTP receiver got, in order.
type heard struct {
	mu    sync.Mutex
	words []string
}

func (h *heard) add(word string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.words = append(h.words, word)
}

func (h *heard) all() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]string(nil), h.words...)
}

const hookSecret = "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"

// ntfyServer takes messages as ntfy does, and notes their titles and priorities.
func ntfyServer(t *testing.T) (*httptest.Server, *heard) {
	got := &heard{}
	far := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var m struct {
			Topic, Title, Message, Click string
			Priority                     int
		}
		if err := json.NewDecoder(r.Body).Decode(&m); err != nil || m.Topic != "ops" || m.Message == "" {
			t.Errorf("ntfy: %+v: %v", m, err)
		}
		got.add(fmt.Sprintf("%d %s", m.Priority, m.Title))
		fmt.Fprint(w, `{"id":"x"}`)
	}))
	t.Cleanup(far.Close)
	return far, got
}

// hookServer verifies webhooks, and notes their subjects.
func hookServer(t *testing.T) (*httptest.Server, *heard) {
	got := &heard{}
	key, err := base64.StdEncoding.DecodeString(hookSecret)
	if err != nil {
		t.Fatal(err)
	}
	far := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		want := notify.Sign(key, r.Header.Get("Webhook-Id"), r.Header.Get("Webhook-Timestamp"), body)
		if r.Header.Get("Webhook-Signature") != want {
			t.Errorf("a webhook with signature %q", r.Header.Get("Webhook-Signature"))
		}
		var m struct{ Subject string }
		if err := json.Unmarshal(body, &m); err != nil {
			t.Error(err)
		}
		got.add(m.Subject)
	}))
	t.Cleanup(far.Close)
	return far, got
}

// A host's outage and its return, across a restart of the hub, are told once each on
// a mail, an ntfy and a webhook route, while a fourth route's far end says nothing
// until then: a slow one holds nobody back.
func TestOutageIsToldOnceOnEveryRoute(t *testing.T) {
	release := make(chan struct{})
	silent := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer silent.Close()
	mails := &notifytest.MailServer{}
	mailAddress := mails.Start(t)
	ntfyFar, ntfyGot := ntfyServer(t)
	hookFar, hookGot := hookServer(t)

	cfg := testConfig(t)
	cfg.AllowPrivateRoutes, cfg.GroupWaitSeconds, cfg.StaleSeconds, cfg.DownSeconds, cfg.ResumeGraceSeconds = true, 0, 1, 2, 1
	cfg.ExternalURL = "https://hub.example.com"
	a, c := start(t, cfg)
	m := c.mint()
	only := []string{"host_down", "host_recovered"}
	for _, r := range []map[string]any{
		{"kind": "webhook", "url": silent.URL, "events": only},
		{"kind": "shoutrrr", "url": "smtp://" + mailAddress + "/?from=felhom@example.com&to=ops@example.org", "events": only},
		{"kind": "shoutrrr", "url": "ntfy://" + strings.TrimPrefix(ntfyFar.URL, "http://") + "/ops?disabletls=yes", "events": only},
		{"kind": "webhook", "url": hookFar.URL, "secret": notify.SecretPrefix + hookSecret, "events": only},
	} {
		c.want(201, "POST", "/api/v1/admin/routes", r, nil)
	}
	c.as(m.APIKey).want(200, "POST", "/api/v1/host-report", report(m.HostID, 1), nil)
	everybody := func(n int) bool { return len(mails.Mails()) >= n && len(ntfyGot.all()) >= n && len(hookGot.all()) >= n }
	await(t, func() bool { return everybody(1) })
	close(release) // a hub that stops gives it five seconds
	if err := a.Stop(); err != nil {
		t.Fatal(err)
	}
	cfg.StaleSeconds, cfg.DownSeconds = 600, 1200 // no second outage
	a, c = start(t, cfg)
	defer a.Stop()
	c.as(m.APIKey).want(200, "POST", "/api/v1/host-report", report(m.HostID, 2), nil)
	await(t, func() bool { return everybody(2) })

	for name, got := range map[string][]string{"ntfy": ntfyGot.all(), "webhook": hookGot.all(), "mail": subjects(mails.Mails())} {
		if len(got) != 2 || !strings.Contains(got[0], m.HostID+" is down, silent for ") || !strings.Contains(got[1], m.HostID+" is back after") {
			t.Errorf("%s was told %q, want the outage and the return once each", name, got)
		}
	}
	if got := ntfyGot.all(); !strings.HasPrefix(got[0], "5 ") || !strings.HasPrefix(got[1], "3 ") {
		t.Errorf("ntfy's priorities: %q", got)
	}
}

func subjects(mails []string) (list []string) {
	for _, m := range mails {
		_, rest, _ := strings.Cut(m, "\nSubject: ")
		line, _, _ := strings.Cut(rest, "\n")
		subject, err := new(mime.WordDecoder).DecodeHeader(line)
		if err != nil {
			subject = line
		}
		list = append(list, subject)
	}
	return list
}

// await gives the hub's own clock the time it needs.
func await(t *testing.T, so func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !so(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("not told in 20 s")
		}
	}
}

// A test of a route says what the far end answered, whatever kind it is, and nothing
// of its token.
func TestRoutesAreTested(t *testing.T) {
	mails := &notifytest.MailServer{Refuse: []string{"554 5.7.1 no"}}
	mailAddress := mails.Start(t)
	ntfyFar, ntfyGot := ntfyServer(t)
	cfg := testConfig(t)
	cfg.AllowPrivateRoutes = true
	a, c := start(t, cfg)
	defer a.Stop()
	for _, r := range []struct {
		url    string
		ok     bool
		status int
	}{
		{"ntfy://" + strings.TrimPrefix(ntfyFar.URL, "http://") + "/ops?disabletls=yes", true, 200},
		{"smtp://" + mailAddress + "/?from=felhom@example.com&to=ops@example.org", false, 554},
		{"smtp://" + mailAddress + "/?from=felhom@example.com&to=ops@example.org", true, 250},
		{"gotify://127.0.0.1:1/AsEcReTtoken123?disabletls=yes", false, 0},
	} {
		var made struct {
			RouteID string `json:"route_id"`
			URL     string
			Secret  string
		}
		c.want(201, "POST", "/api/v1/admin/routes", map[string]any{"kind": "shoutrrr", "url": r.url}, &made)
		if made.Secret != "" || strings.Contains(made.URL, "sEcReT") {
			t.Errorf("%s: made %+v", r.url, made)
		}
		var said struct {
			OK     bool
			Status int `json:"status_code"`
			Error  string
		}
		c.want(200, "POST", "/api/v1/admin/routes/"+made.RouteID+"/test", map[string]any{}, &said)
		if said.OK != r.ok || said.Status != r.status || strings.Contains(said.Error, "sEcReT") {
			t.Errorf("%s: %+v", r.url, said)
		}
	}
	if got := ntfyGot.all(); len(got) != 1 || !strings.Contains(got[0], "a test of this route") {
		t.Errorf("ntfy: %q", got)
	}
}

// Many hosts of one customer that fall silent together are one message on every route.
func TestManyHostsAreOneMessage(t *testing.T) {
	const hosts = 8
	mails := &notifytest.MailServer{}
	mailAddress := mails.Start(t)
	ntfyFar, ntfyGot := ntfyServer(t)
	cfg := testConfig(t)
	cfg.AllowPrivateRoutes, cfg.GroupWaitSeconds, cfg.StaleSeconds, cfg.DownSeconds, cfg.ResumeGraceSeconds = true, 2, 2, 600, 1
	a, c := start(t, cfg)
	defer a.Stop()
	for _, url := range []string{
		"smtp://" + mailAddress + "/?from=felhom@example.com&to=ops@example.org",
		"ntfy://" + strings.TrimPrefix(ntfyFar.URL, "http://") + "/ops?disabletls=yes",
	} {
		c.want(201, "POST", "/api/v1/admin/routes", map[string]any{"kind": "shoutrrr", "url": url}, nil)
	}
	var all []minted
	for range hosts {
		all = append(all, c.mint())
	}
	for _, m := range all {
		c.as(m.APIKey).want(200, "POST", "/api/v1/host-report", report(m.HostID, 1), nil)
	}
	await(t, func() bool { return len(mails.Mails()) > 0 && len(ntfyGot.all()) > 0 })
	want := fmt.Sprintf("%d of %d hosts silent", hosts, hosts)
	for name, got := range map[string][]string{"ntfy": ntfyGot.all(), "mail": subjects(mails.Mails())} {
		if len(got) != 1 || !strings.Contains(got[0], want) {
			t.Errorf("%s was told %q, want %q", name, got, want)
		}
	}
}
