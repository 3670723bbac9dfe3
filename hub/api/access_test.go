package api

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"felhom.eu/messages"
)

// The users of the tests: a role each, and two customers.
var testUsers = []messages.User{
	{Name: "olga", Role: messages.RoleOperator},
	{Name: "vera", Role: messages.RoleViewer},
	{Name: "anna", Role: messages.RoleCustomer, CustomerID: "acme"},
	{Name: "gus", Role: messages.RoleCustomer, CustomerID: "globex"},
}

// visitor is a browser that signed in: its Cookie header, and its forms' token.
type visitor struct{ cookie, csrf string }

func (h *hub) visit(t testing.TB, user messages.UserName) visitor {
	t.Helper()
	for _, u := range testUsers {
		h.cfg.Sessions.PutUser(u)
	}
	cookie, _ := h.cfg.Sessions.Open(user, "192.0.2.1", "test", time.Now())
	who, _, ok := h.cfg.Sessions.Find([]byte(cookie), time.Now())
	if !ok {
		t.Fatal("no session")
	}
	return visitor{h.cookieName() + "=" + cookie, who.CSRF}
}

// signedIn is the Cookie header of an operator.
func (h *hub) signedIn(t testing.TB) string { return h.visit(t, "").cookie }

// opensTo says to whom each route opens: n nobody (anybody), h a host's key, k a
// customer's key, g the global key; the sessions of o an operator, v a viewer, a
// who sees acme only, x who sees globex only, while all paths are acme's. To x
// lists open, and are its own.
var opensTo = map[string]string{
	"POST /api/v1/host-report":                                                                  "hg",
	"POST /api/v1/host-goodbye":                                                                 "hg",
	"POST /api/v1/enroll":                                                                       "hkg",
	"POST /api/v1/report":                                                                       "k",
	"POST /api/v1/admin/customers":                                                              "go",
	"GET /api/v1/admin/customers":                                                               "gov",
	"GET /api/v1/admin/customers/{customer_id}":                                                 "gova",
	"DELETE /api/v1/admin/customers/{customer_id}":                                              "go",
	"POST /api/v1/admin/customers/{customer_id}/block":                                          "go",
	"POST /api/v1/admin/customers/{customer_id}/unblock":                                        "go",
	"POST /api/v1/admin/customers/{customer_id}/rotate-key":                                     "go",
	"POST /api/v1/admin/customers/{customer_id}/revoke-key":                                     "go",
	"GET /api/v1/admin/customers/{customer_id}/controllers":                                     "gov",
	"GET /api/v1/admin/customers/{customer_id}/controllers/{controller_id}":                     "gov",
	"DELETE /api/v1/admin/customers/{customer_id}/controllers/{controller_id}":                  "go",
	"GET /api/v1/admin/customers/{customer_id}/controllers/{controller_id}/reports":             "gov",
	"GET /api/v1/admin/customers/{customer_id}/controllers/{controller_id}/reports/{report_id}": "gov",
	"POST /api/v1/admin/customers/{customer_id}/deadlines":                                      "go",
	"GET /api/v1/admin/customers/{customer_id}/deadlines":                                       "gov",
	"DELETE /api/v1/admin/customers/{customer_id}/deadlines/{deadline_id}":                      "go",
	"POST /api/v1/admin/hosts":                                                                  "go",
	"GET /api/v1/admin/hosts":                                                                   "govax",
	"GET /api/v1/admin/hosts/{host_id}":                                                         "gova",
	"DELETE /api/v1/admin/hosts/{host_id}":                                                      "go",
	"GET /api/v1/admin/hosts/{host_id}/reports":                                                 "gova",
	"GET /api/v1/admin/hosts/{host_id}/reports/{report_id}":                                     "gova",
	"PUT /api/v1/admin/hosts/{host_id}/site":                                                    "go",
	"POST /api/v1/admin/hosts/{host_id}/rotate-key":                                             "go",
	"POST /api/v1/admin/hosts/{host_id}/revoke-key":                                             "go",
	"GET /api/v1/admin/customers/{customer_id}/rules":                                           "gov",
	"PUT /api/v1/admin/customers/{customer_id}/rules":                                           "go",
	"DELETE /api/v1/admin/customers/{customer_id}/rules":                                        "go",
	"GET /api/v1/admin/hosts/{host_id}/rules":                                                   "gov",
	"PUT /api/v1/admin/hosts/{host_id}/rules":                                                   "go",
	"DELETE /api/v1/admin/hosts/{host_id}/rules":                                                "go",
	"GET /api/v1/admin/hosts/{host_id}/protection":                                              "gova",
	"GET /api/v1/admin/hosts/{host_id}/series":                                                  "gova",
	"GET /api/v1/admin/hosts/{host_id}/availability":                                            "gova",
	"GET /api/v1/admin/customers/{customer_id}/availability":                                    "gova",
	"GET /api/v1/admin/protection":                                                              "govax",
	"POST /api/v1/admin/enroll-tokens":                                                          "go",
	"GET /api/v1/admin/enroll-tokens":                                                           "go",
	"DELETE /api/v1/admin/enroll-tokens/{token_id}":                                             "go",
	"GET /api/v1/admin/events":                                                                  "govax",
	"POST /api/v1/admin/routes":                                                                 "go",
	"GET /api/v1/admin/routes":                                                                  "govax",
	"PUT /api/v1/admin/routes/{route_id}":                                                       "go",
	"DELETE /api/v1/admin/routes/{route_id}":                                                    "go",
	"POST /api/v1/admin/routes/{route_id}/test":                                                 "go",
	"POST /api/v1/admin/silences":                                                               "go",
	"GET /api/v1/admin/silences":                                                                "gov",
	"DELETE /api/v1/admin/silences/{silence_id}":                                                "go",
	"GET /api/v1/admin/attention":                                                               "gov",
	"GET /api/v1/admin/alarms":                                                                  "govax",
	"GET /api/v1/admin/alarms/{incident_id}":                                                    "gov",
	"POST /api/v1/admin/alarms/{incident_id}/acknowledge":                                       "go",
	"DELETE /api/v1/admin/alarms/{incident_id}/acknowledge":                                     "go",
	"GET /api/v1/admin/deliveries":                                                              "govax",
	"GET /api/v1/admin/deliveries/{delivery_id}":                                                "gov",
	"POST /api/v1/admin/deliveries/{delivery_id}/retry":                                         "go",
	"GET /api/v1/admin/backup":                                                                  "go",
	"POST /api/v1/admin/drill":                                                                  "go",
	"POST /api/v1/admin/replay":                                                                 "go",
	"GET /healthz":                                                                              "nhkgovax",
	"GET /readyz":                                                                               "nhkgovax",
	"GET /metrics":                                                                              "nhkgovax",
	"GET /api/v1/openapi.yaml":                                                                  "nhkgovax",
	"GET /login":                                                                                "nhkgovax",
	"POST /logout":                                                                              "ovax",
	"POST /csp-report":                                                                          "nhkgovax",
	"POST /api/v1/admin/users":                                                                  "go",
	"GET /api/v1/admin/users":                                                                   "gov",
	"DELETE /api/v1/admin/users/{user_name}":                                                    "go",
	"POST /api/v1/admin/users/{user_name}/password":                                             "go",
	"POST /api/v1/admin/users/{user_name}/role":                                                 "go",
	"DELETE /api/v1/admin/users/{user_name}/sessions":                                           "go",
	"GET /api/v1/admin/sessions":                                                                "gov",
	"DELETE /api/v1/admin/sessions/{session_id}":                                                "go",
	"POST /api/v1/admin/login-links":                                                            "g", // {}: one of the global key's
	"GET /api/v1/admin/audit":                                                                   "gov",
	"POST /logout-everywhere":                                                                   "ovax",
	"POST /login":                                                                               "", // it answers 401 to what is no link
}

// Whoever adds a route says here to whom it opens; and it opens to nobody else.
func TestRoutesOpenToWhomTheyShould(t *testing.T) {
	h := newHub(t)
	visitors := map[rune]visitor{'o': h.visit(t, "olga"), 'v': h.visit(t, "vera"), 'a': h.visit(t, "anna"), 'x': h.visit(t, "gus")}
	keys := map[rune]string{'n': "", 'h': hostKey, 'k': customerKey, 'g': globalKey}
	for _, r := range routes {
		want, ok := opensTo[r.method+" "+r.path]
		if !ok {
			t.Errorf("%s %s: opensTo has no line for it", r.method, r.path)
		}
		path := strings.NewReplacer("{customer_id}", "acme", "{host_id}", hostID).Replace(r.path)
		path = regexp.MustCompile(`\{\w+\}`).ReplaceAllString(path, ulid(1))
		got := ""
		for _, c := range "nhkgovax" {
			var answer reply
			if key, ok := keys[c]; ok {
				answer = h.do(t, r.method, path, key, "{}")
			} else if strings.HasPrefix(r.path, "/logout") {
				v := h.visit(t, map[rune]messages.UserName{'o': "olga", 'v': "vera", 'a': "anna", 'x': "gus"}[c])
				answer = h.do(t, r.method, path, "", "{}", "Cookie", v.cookie, csrfHeader, v.csrf)
			} else {
				h.fleet.asked = nil
				answer = h.do(t, r.method, path, "", "{}", "Cookie", visitors[c].cookie, csrfHeader, visitors[c].csrf)
				if c == 'x' {
					narrowed(t, r, h.fleet.asked, answer)
				}
			}
			if answer.status != 401 && answer.status != 403 && answer.status != 429 {
				got += string(c)
			}
		}
		if got != want {
			t.Errorf("%s %s opens to %q, want %q", r.method, r.path, got, want)
		}
	}
	for line := range opensTo {
		method, path, _ := strings.Cut(line, " ")
		if !hasRoute(method, path) {
			t.Errorf("opensTo has %s, which is no route", line)
		}
	}
}

func hasRoute(method, path string) bool {
	for _, r := range routes {
		if r.method == method && r.path == path {
			return true
		}
	}
	return false
}

// narrowed fails when what gus was answered is not of globex alone.
func narrowed(t *testing.T, r route, asked []any, got reply) {
	t.Helper()
	if r.access != forAll && strings.Contains(got.body, "acme") {
		t.Errorf("%s %s told globex of acme: %s", r.method, r.path, got.body)
	}
	for _, a := range asked {
		switch f := a.(type) {
		case HostFilter:
			a = f.CustomerID
		case EventFilter:
			a = f.CustomerID
		case ProtectionFilter:
			a = f.CustomerID
		case AlarmFilter:
			a = f.CustomerID
		case DeliveryFilter:
			a = f.CustomerID
		}
		if a != messages.CustomerID("globex") {
			t.Errorf("%s %s asked for what is not globex's alone: %+v", r.method, r.path, a)
		}
	}
}

// Who sees one customer cannot name another in a list, nor hide among two.
func TestListsCannotBeWidened(t *testing.T) {
	h := newHub(t)
	gus := h.visit(t, "gus")
	for query, want := range map[string]int{
		"":                                       200,
		"?customer_id=globex":                    200,
		"?limit=5":                               200,
		"?customer_id=acme":                      403,
		"?customer_id=globex&customer_id=acme":   403,
		"?customer_id=acme&customer_id=globex":   403,
		"?customer_id=globex&customer_id=globex": 200,
		"?customer_id=":                          403,
		"?%63ustomer_id=acme":                    403,
		"?customer_id=globex;customer_id=acme":   400,
		"?customer_id=globex&%zz":                400,
	} {
		h.fleet.asked = nil
		r := h.do(t, "GET", admin+"events"+query, "", "", "Cookie", gus.cookie)
		if r.status != want {
			t.Errorf("%s: %d, want %d", query, r.status, want)
		}
		narrowed(t, route{method: "GET", path: query}, h.fleet.asked, r)
	}
}

// What a browser sends by itself changes nothing: the cookie alone, the token
// of another session, a form of another site. A key needs none of that.
func TestChangesAreMeant(t *testing.T) {
	h := newHub(t, func(c *Config) { c.ExternalURL = "https://hub.example" })
	olga, vera := h.visit(t, "olga"), h.visit(t, "vera")
	block := admin + "customers/acme/block"
	for name, c := range map[string]struct {
		body    string
		headers []string
		want    int
	}{
		"the cookie alone":        {"", nil, 403},
		"the session's token":     {"", []string{csrfHeader, olga.csrf}, 200},
		"as a form's field":       {"csrf=" + olga.csrf, []string{"Content-Type", form}, 200},
		"in the query":            {"", []string{"X-Original-Query", "csrf=" + olga.csrf}, 403},
		"another session's token": {"", []string{csrfHeader, vera.csrf}, 403},
		"an empty token":          {"csrf=", []string{"Content-Type", form, csrfHeader, ""}, 403},
		"a long token":            {"", []string{csrfHeader, strings.Repeat("A", 2000)}, 403},
		"same origin":             {"", []string{csrfHeader, olga.csrf, "Sec-Fetch-Site", "same-origin", "Origin", "https://evil.example"}, 200},
		"same site only":          {"", []string{csrfHeader, olga.csrf, "Sec-Fetch-Site", "same-site"}, 403},
		"another site":            {"", []string{csrfHeader, olga.csrf, "Sec-Fetch-Site", "cross-site"}, 403},
		"an odd site":             {"", []string{csrfHeader, olga.csrf, "Sec-Fetch-Site", "SAME-ORIGIN,"}, 403},
		"own origin":              {"", []string{csrfHeader, olga.csrf, "Origin", "http://" + h.addr}, 200},
		"own origin outside":      {"", []string{csrfHeader, olga.csrf, "Origin", "https://hub.example"}, 200},
		"another origin":          {"", []string{csrfHeader, olga.csrf, "Origin", "https://evil.example"}, 403},
		"no origin in words":      {"", []string{csrfHeader, olga.csrf, "Origin", "null"}, 403},
	} {
		if r := h.do(t, "POST", block, "", c.body, append(c.headers, "Cookie", olga.cookie)...); r.status != c.want {
			t.Errorf("%s: %d %s, want %d", name, r.status, r.body, c.want)
		}
	}
	if r := h.do(t, "POST", block, globalKey, "", "Sec-Fetch-Site", "cross-site", "Cookie", vera.cookie); r.status != 200 {
		t.Errorf("with the global key: %d %s", r.status, r.body)
	}
	if r := h.do(t, "POST", block, wrongKey, "", "Cookie", olga.cookie, csrfHeader, olga.csrf); r.status != 401 {
		t.Errorf("with a wrong key and a good cookie: %d, want 401", r.status)
	}
}

// A link leads to a page whose button signs in, once; signing out ends it.
func TestSignInByLinkAndOut(t *testing.T) {
	h := newHub(t)
	if r := h.do(t, "GET", "/", "", "", "Accept", "text/html"); r.status != 303 || r.header.Get("Location") != "/login" {
		t.Errorf("a browser was sent to %d %v", r.status, r.header)
	}
	link := strings.TrimPrefix(h.LoginLink(), "http://"+h.addr)
	_, token, _ := strings.Cut(link, "token=")
	for range 3 { // looking at it does not use it up
		if r := h.do(t, "GET", link, "", ""); r.status != 200 || !strings.Contains(r.body, `value="`+token+`"`) || r.header.Get("Set-Cookie") != "" {
			t.Fatalf("the link's page: %d %s", r.status, r.body)
		}
	}
	press := func(headers ...string) reply {
		return h.do(t, "POST", "/login", "", "token="+token, append(headers, "Content-Type", "application/x-www-form-urlencoded")...)
	}
	if r := press("Sec-Fetch-Site", "cross-site"); r.status != 403 {
		t.Errorf("another site signed in: %d", r.status)
	}
	r := press("Sec-Fetch-Site", "same-origin", "Origin", "http://"+h.addr)
	set := r.header.Get("Set-Cookie")
	if r.status != 303 || r.header.Get("Location") != "/" || !strings.HasPrefix(set, "felhom_session=") ||
		!strings.Contains(set, "HttpOnly") || !strings.Contains(set, "SameSite=Strict") || strings.Contains(strings.ToLower(set), "secure") {
		t.Fatalf("signed in: %d %v", r.status, r.header)
	}
	if again := press(); again.status != 401 || !strings.Contains(again.body, "too old") {
		t.Errorf("the link worked twice: %d %s", again.status, again.body)
	}
	cookie, _, _ := strings.Cut(set, ";")
	page := h.do(t, "GET", "/", "", "", "Cookie", cookie)
	found := regexp.MustCompile(`name="csrf" value="([^"]+)"`).FindStringSubmatch(page.body)
	if page.status != 200 || found == nil {
		t.Fatalf("the page: %d %s", page.status, page.body)
	}
	out := h.do(t, "POST", "/logout", "", "csrf="+found[1], "Cookie", cookie, "Content-Type", "application/x-www-form-urlencoded")
	if out.status != 303 || !strings.Contains(out.header.Get("Set-Cookie"), "felhom_session=;") {
		t.Errorf("signed out: %d %v", out.status, out.header)
	}
	if r := h.do(t, "GET", "/", "", "", "Cookie", cookie); r.status != 401 {
		t.Errorf("after signing out: %d", r.status)
	}
}

// Over TLS, the hub's own or a proxy's, the cookie is bound to this one host.
func TestCookieIsBoundToItsHost(t *testing.T) {
	h := newHub(t, func(c *Config) { c.ExternalURL = "https://hub.example" })
	token := h.cfg.Sessions.Link("", time.Now())
	r := h.do(t, "POST", "/login", "", "token="+token, "Content-Type", "application/x-www-form-urlencoded")
	set := strings.ToLower(r.header.Get("Set-Cookie"))
	if !strings.HasPrefix(set, "__host-felhom_session=") || !strings.Contains(set, "; secure") || !strings.Contains(set, "; path=/") || strings.Contains(set, "domain") {
		t.Errorf("cookie %q", set)
	}
	cookie, _, _ := strings.Cut(r.header.Get("Set-Cookie"), ";")
	if r := h.do(t, "GET", "/", "", "", "Cookie", strings.TrimPrefix(cookie, "__Host-")); r.status != 401 {
		t.Errorf("a cookie that a neighbour could have set: %d", r.status)
	}
}

// Every page, whoever asks, comes with the headers that keep it apart.
func TestPagesAreKeptApart(t *testing.T) {
	h := newHub(t)
	for _, path := range []string{"/", "/login", "/login?token=x"} {
		for _, cookie := range []string{"", h.signedIn(t)} {
			r := h.do(t, "GET", path, "", "", "Cookie", cookie)
			for _, want := range pageHeaders {
				if got := r.header.Get(want[0]); got != want[1] {
					t.Errorf("%s: %s: %q, want %q", path, want[0], got, want[1])
				}
			}
			if strings.Contains(r.body, "<style") || strings.Contains(r.body, "style=") || strings.Contains(r.body, "<script") {
				t.Errorf("%s has style or script in it", path)
			}
		}
	}
	if page := h.do(t, "GET", "/login", "", "").body; !strings.Contains(page, `href="/felhom.css?7"`) {
		t.Error("the page has no style sheet")
	}
	if n := h.counts.cspReports.Load(); n != 0 {
		t.Errorf("%d complaints of browsers", n)
	}
	evil := `{"csp-report":{"blocked-uri":"<script>\u0000` + strings.Repeat("x", 4000) + `"}}`
	if r := h.do(t, "POST", "/csp-report", "", evil, "Content-Type", "application/csp-report"); r.status != 204 {
		t.Errorf("complaint: %d", r.status)
	}
	if r := h.do(t, "POST", "/csp-report", "", strings.Repeat("x", cspBody+1)); r.status != 400 {
		t.Errorf("a complaint that is too long: %d", r.status)
	}
	if n := h.counts.cspReports.Load(); n != 1 || strings.Contains(h.logs.String(), "script") {
		t.Errorf("%d complaints counted, want 1; log %s", n, h.logs)
	}
}

// Whatever a cookie holds, it is a session's or it is nothing, and costs no more
// than a header may.
func TestHostileCookiesOpenNothing(t *testing.T) {
	h := newHub(t)
	good := h.signedIn(t)
	for _, bad := range []string{"felhom_session", "felhom_session=", "felhom_session=\"", good + "A", good[:len(good)-1],
		"felhom_session=" + strings.Repeat("A", 3000), "felhom_session=%00", strings.Replace(good, "=", "= ", 1) + "=", "__Host-" + good} {
		if r := h.do(t, "GET", "/", "", "", "Cookie", bad); r.status != 401 {
			t.Errorf("%.60q: %d", bad, r.status)
		}
	}
	req := "GET / HTTP/1.1\r\nHost: x\r\nCookie: felhom_session=" + strings.Repeat("A", 1<<20) + "\r\n\r\n"
	if got := h.raw(t, req); len(got) != 1 || got[0].status != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("a cookie of 1 MiB: %v", got)
	}
}
