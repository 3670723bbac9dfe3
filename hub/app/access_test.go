package app

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"felhom.eu/hub/api"
	"felhom.eu/hub/dashboard"
	"felhom.eu/messages"
)

// browser is somebody at the pages.
type browser struct {
	*testing.T
	url, cookie, csrf string
	http              http.Client
}

const rightPassword = "correct horse battery"

// signIn is a browser that signed in with name and password; "" is nobody.
func (c client) signIn(name string) *browser {
	c.Helper()
	b := &browser{T: c.T, url: c.url, http: http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
	if name == "" {
		return b
	}
	r := b.send("POST", "/login", url.Values{"name": {name}, "password": {rightPassword}})
	cookie, _, _ := strings.Cut(r.header.Get("Set-Cookie"), ";")
	if r.status != 303 || cookie == "" {
		c.Fatalf("%s signs in: %d %s", name, r.status, r.body)
	}
	b.cookie = cookie
	if found := regexp.MustCompile(`name="csrf" value="([^"]+)"`).FindStringSubmatch(b.send("GET", "/", nil).body); found != nil {
		b.csrf = found[1]
	}
	return b
}

type seen struct {
	status int
	header http.Header
	body   string
}

// send asks for a page, and reads of one without an end what comes in a moment.
func (b *browser) send(method, path string, form url.Values) seen {
	b.Helper()
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, b.url+path, strings.NewReader(form.Encode()))
	if err != nil {
		b.Fatal(err)
	}
	if method == "POST" {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	req.Header.Set("Cookie", b.cookie)
	resp, err := b.http.Do(req)
	if err != nil {
		b.Fatalf("%s %s: %v", method, path, err)
	}
	defer resp.Body.Close()
	if path == "/live" {
		defer time.AfterFunc(500*time.Millisecond, cancel).Stop()
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil && path != "/live" {
		b.Fatal(err)
	}
	return seen{resp.StatusCode, resp.Header, string(body)}
}

// peopled is a hub with two customers and a user of each role, whose password is
// rightPassword: olga, vera, and gus of globex.
func peopled(t *testing.T, c client) minted {
	t.Helper()
	c.want(201, "POST", "/api/v1/admin/customers", map[string]string{"customer_id": "acme", "display_name": "Acmeland"}, nil)
	c.want(201, "POST", "/api/v1/admin/customers", map[string]string{"customer_id": "globex"}, nil)
	var theirs, ours minted
	c.want(201, "POST", "/api/v1/admin/hosts", map[string]string{"customer_id": "acme"}, &theirs)
	c.want(201, "POST", "/api/v1/admin/hosts", map[string]string{"customer_id": "globex"}, &ours)
	for _, m := range []minted{theirs, ours} {
		c.as(m.APIKey).want(200, "POST", "/api/v1/host-report", report(m.HostID, 1), nil)
	}
	c.want(201, "POST", "/api/v1/admin/routes", map[string]string{"customer_id": "acme", "kind": "webhook", "url": "https://acme.example/x"}, nil)
	c.want(201, "POST", "/api/v1/admin/silences", map[string]any{"scope": map[string]string{"kind": "customer", "id": "acme"}, "reason": "acme moves", "duration_seconds": 3600}, nil)
	for name, role := range map[string]string{"olga": "operator", "vera": "viewer", "gus": "customer"} {
		u := map[string]string{"name": name, "role": role, "password": rightPassword}
		if role == "customer" {
			u["customer_id"] = "globex"
		}
		c.want(201, "POST", "/api/v1/admin/users", u, nil)
	}
	return theirs
}

// Every page of the dashboard, to each role: strangers see none, a customer's
// viewer nothing of another customer, and only operators change anything.
func TestPagesByRole(t *testing.T) {
	a, c := start(t, testConfig(t))
	defer a.Stop()
	host := peopled(t, c)
	nobody, olga, vera, gus := c.signIn(""), c.signIn("olga"), c.signIn("vera"), c.signIn("gus")
	for _, p := range dashboard.New(nil, dashboard.Config{}, zerolog.Nop()).Pages() {
		path := strings.NewReplacer("{host_id}", host.HostID, "{customer_id}", "acme").Replace(p.Path)
		path = regexp.MustCompile(`\{\w+\}`).ReplaceAllString(path, "01JZ0000000000000000000001")
		name := p.Method + " " + p.Path
		if p.Public {
			if r := nobody.send(p.Method, path, nil); r.status == 401 || r.status == 403 {
				t.Errorf("%s is public: %d", name, r.status)
			}
			continue
		}
		if r := nobody.send(p.Method, path, nil); r.status != 401 {
			t.Errorf("%s to a stranger: %d", name, r.status)
		}
		if p.Method == "GET" {
			for who, b := range map[string]*browser{"olga": olga, "vera": vera} {
				if r := b.send("GET", path, nil); r.status == 401 || r.status == 403 || r.status >= 500 {
					t.Errorf("%s to %s: %d %.200s", name, who, r.status, r.body)
				}
			}
			r := gus.send("GET", path, nil)
			if path != p.Path && r.status != 403 && r.status != 404 {
				t.Errorf("%s to gus: %d", name, r.status)
			}
			if i := strings.Index(strings.ToLower(r.body), "acme"); i >= 0 {
				t.Errorf("%s tells gus of acme: …%.200s", name, r.body[max(0, i-100):])
			}
			continue
		}
		if r := olga.send(p.Method, path, nil); r.status != 403 {
			t.Errorf("%s without the form's token: %d", name, r.status)
		}
		for who, b := range map[string]*browser{"vera": vera, "gus": gus} {
			if r := b.send(p.Method, path, url.Values{"csrf": {b.csrf}}); (r.status == 403) == p.Own {
				t.Errorf("%s by %s: %d", name, who, r.status)
			}
		}
	}
	if n := len(mustAudit(t, a)); n == 0 {
		t.Error("nothing is in the audit log")
	}
}

func mustAudit(t *testing.T, a *App) []messages.AuditRecord {
	t.Helper()
	rows, err := a.db.Audit(0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// Who is signed in stays so over a restart, who signed out does not come back, and
// a link of before is dead.
func TestSessionsOutliveARestart(t *testing.T) {
	cfg := testConfig(t)
	a, c := start(t, cfg)
	peopled(t, c)
	stays, goes, removed := c.signIn("olga"), c.signIn("olga"), c.signIn("vera")
	before, err := a.db.Sessions()
	if err != nil || len(before) != 3 {
		t.Fatalf("%d sessions stored, %v", len(before), err)
	}
	if r := goes.send("POST", "/logout", url.Values{"csrf": {goes.csrf}}); r.status != 303 {
		t.Fatalf("sign out: %d", r.status)
	}
	f := &fleet{hub: a.hub, db: a.db, app: a} // that it was seen is told later than its end
	if err := f.SaveAccess(t.Context(), api.AccessChange{PutSessions: before}); err != nil {
		t.Fatal(err)
	}
	c.want(204, "DELETE", "/api/v1/admin/users/vera", nil, nil)
	_, link, _ := strings.Cut(a.LoginLink(), "token=")
	if err := a.Stop(); err != nil {
		t.Fatal(err)
	}
	a, c = start(t, cfg)
	defer a.Stop()
	for who, b := range map[string]*browser{"stays": stays, "goes": goes, "removed": removed} {
		b.url = c.url
		want := 401
		if b == stays {
			want = 200
		}
		if r := b.send("GET", "/", nil); r.status != want {
			t.Errorf("%s after the restart: %d, want %d", who, r.status, want)
		}
	}
	if r := stays.send("POST", "/login", url.Values{"token": {link}}); r.status != 401 {
		t.Errorf("a link outlived the hub: %d", r.status)
	}
	if r := c.signIn("olga"); r.cookie == stays.cookie {
		t.Error("the same cookie twice")
	}
}

// Each change is one record of the audit log, numbered without a gap, with what
// was made; reading is none, and no secret is in it.
func TestAuditLogOfAHub(t *testing.T) {
	a, c := start(t, testConfig(t))
	defer a.Stop()
	host := peopled(t, c)
	c.want(200, "POST", "/api/v1/admin/hosts/"+host.HostID+"/rotate-key", nil, nil)
	c.want(404, "DELETE", "/api/v1/admin/hosts/zeta-00000001", nil, nil)
	c.want(200, "GET", "/api/v1/admin/hosts", nil, nil)
	count := map[string]int{}
	for i, r := range mustAudit(t, a) {
		if r.Sequence != uint64(i+1) || r.Who != "global key" || r.Address != "127.0.0.1" || r.At.IsZero() {
			t.Errorf("record %d: %+v", i+1, r)
		}
		count[r.Action+" "+r.Outcome]++
		if r.Action == "hosts add" && r.Subject == "" || r.Action == "hosts rotate-key" && (r.Subject != host.HostID || r.CustomerID != "acme") {
			t.Errorf("of what? %+v", r)
		}
	}
	for action, want := range map[string]int{"customers add done": 2, "hosts add done": 2, "routes add done": 1, "silences add done": 1,
		"users add done": 3, "hosts rotate-key done": 1, "hosts remove not_found": 1} {
		if count[action] != want {
			t.Errorf("%q %d times, want %d", action, count[action], want)
		}
		delete(count, action)
	}
	if len(count) > 0 {
		t.Errorf("and more: %v", count)
	}
}
