package api

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"felhom.eu/hub/auth"
	"felhom.eu/messages"
)

// fakeAccess is what a fakeFleet remembers of users, sessions and the audit log.
type fakeAccess struct {
	access  sync.Mutex
	saved   []AccessChange
	audit   []messages.AuditRecord
	saveErr error
}

func (f *fakeAccess) SaveAccess(ctx context.Context, c AccessChange) error {
	f.access.Lock()
	defer f.access.Unlock()
	if f.saveErr != nil {
		return f.saveErr
	}
	f.saved = append(f.saved, c)
	if n := messages.AuditOf(ctx); n != nil && !n.Written {
		n.Written, n.Record.Sequence = true, uint64(len(f.audit)+1)
		f.audit = append(f.audit, n.Record)
	}
	return nil
}

func (f *fakeAccess) Audit(_ context.Context, after uint64, limit int) ([]messages.AuditRecord, error) {
	f.access.Lock()
	defer f.access.Unlock()
	rows := f.audit[min(after, uint64(len(f.audit))):]
	return slices.Clone(rows[:min(limit, len(rows))]), nil
}

func (f *fakeAccess) notes() []messages.AuditRecord {
	all, _ := f.Audit(context.Background(), 0, 1000)
	return all
}

const (
	form    = "application/x-www-form-urlencoded"
	rightPW = "correct horse battery"
)

// try signs in with a name and a password.
func (h *hub) try(t testing.TB, name, password string, headers ...string) reply {
	t.Helper()
	return h.do(t, "POST", "/login", "", url.Values{"name": {name}, "password": {password}}.Encode(), append(headers, "Content-Type", form)...)
}

func cookieOf(r reply) string {
	cookie, _, _ := strings.Cut(r.header.Get("Set-Cookie"), ";")
	return cookie
}

// A user's life by the API: made, signed in, lowered, locked out, removed. Each
// holds at once, and no answer has a hash.
func TestUsersByAPI(t *testing.T) {
	h := newHub(t)
	var u userItem
	made := h.do(t, "POST", admin+"users", globalKey, `{"name":"anna@acme","role":"operator","password":"`+rightPW+`"}`)
	made.into(t, 201, &u)
	if u.Name != "anna@acme" || u.Role != messages.RoleOperator || !u.HasPassword || strings.Contains(made.body, "argon") {
		t.Errorf("made %s", made.body)
	}
	if r := h.do(t, "POST", admin+"users", globalKey, `{"name":"anna@acme","role":"viewer"}`); r.status != 409 {
		t.Errorf("made twice: %d", r.status)
	}
	in := h.try(t, " Anna@ACME ", rightPW)
	cookie := cookieOf(in)
	if in.status != 303 || cookie == "" {
		t.Fatalf("sign in: %d %s", in.status, in.body)
	}
	status := func(path string) int { return h.do(t, "GET", path, "", "", "Cookie", cookie).status }
	if got := status(admin + "enroll-tokens"); got != 200 {
		t.Errorf("an operator: %d", got)
	}
	h.do(t, "POST", admin+"users/anna@acme/role", globalKey, `{"role":"customer","customer_id":"acme"}`).into(t, 200, &u)
	if a, b := status(admin+"enroll-tokens"), status(admin+"hosts/"+hostID); u.CustomerID != "acme" || a != 403 || b != 200 {
		t.Errorf("lowered to customer: tokens %d, host %d", a, b)
	}
	if r := h.do(t, "DELETE", admin+"customers/acme", globalKey, ""); r.status != 409 {
		t.Errorf("a customer went before its user: %d", r.status)
	}
	h.do(t, "POST", admin+"users/anna@acme/password", globalKey, `{"password":"another password"}`).into(t, 204, nil)
	if got := status("/login"); status(admin+"hosts") != 401 || got != 200 {
		t.Errorf("a session outlived its password")
	}
	if r := h.try(t, "anna@acme", rightPW); r.status != 401 {
		t.Errorf("the old password: %d", r.status)
	}
	cookie = cookieOf(h.try(t, "anna@acme", "another password"))
	if got := status(admin + "hosts"); got != 200 {
		t.Errorf("the new password: %d", got)
	}
	h.do(t, "DELETE", admin+"users/anna@acme", globalKey, "").into(t, 204, nil)
	if got := status(admin + "hosts"); got != 401 {
		t.Errorf("removed, and still in: %d", got)
	}
	for _, path := range []string{"users/anna@acme", "users/x%00", "users/x/sessions"} {
		if r := h.do(t, "DELETE", admin+path, globalKey, ""); r.status != 404 {
			t.Errorf("%s: %d, want 404", path, r.status)
		}
	}
	list := h.do(t, "GET", admin+"users", globalKey, "")
	if list.status != 200 || strings.Contains(list.body, "anna") {
		t.Errorf("listed: %s", list.body)
	}
}

// What is no user, no role, no password is said so.
func TestUsersAreChecked(t *testing.T) {
	h := newHub(t)
	for body, field := range map[string]string{
		`{"name":"","role":"viewer"}`:                                                    "name",
		`{"name":"Anna","role":"viewer"}`:                                                "name",
		`{"name":"a b","role":"viewer"}`:                                                 "name",
		`{"name":"anna","role":"root"}`:                                                  "role",
		`{"name":"anna","role":""}`:                                                      "role",
		`{"name":"anna","role":"customer"}`:                                              "customer_id",
		`{"name":"anna","role":"viewer","customer_id":"acme"}`:                           "customer_id",
		`{"name":"anna","role":"viewer","password":"short"}`:                             "password",
		`{"name":"` + strings.Repeat("a", 65) + `","role":"viewer"}`:                     "name",
		`{"name":"anna","role":"viewer","password":"` + strings.Repeat("x", 1025) + `"}`: "password",
	} {
		if r := h.do(t, "POST", admin+"users", globalKey, body); r.status != 400 || !strings.Contains(r.body, field) {
			t.Errorf("%.60s: %d %s, want 400 about %s", body, r.status, r.body, field)
		}
	}
}

// A wrong name, a wrong password and a user without one are answered alike; who
// goes on is made to wait, without being looked at, and told for how long.
func TestGuessersLearnNothing(t *testing.T) {
	h := newHub(t)
	h.do(t, "POST", admin+"users", globalKey, `{"name":"anna","role":"viewer","password":"`+rightPW+`"}`).into(t, 201, nil)
	h.do(t, "POST", admin+"users", globalKey, `{"name":"linkonly","role":"viewer"}`).into(t, 201, nil)
	var answers []string
	for _, name := range []string{"anna", "nobody", "linkonly"} {
		r := h.try(t, name, "wrong password")
		if r.status != 401 || r.header.Get("Set-Cookie") != "" {
			t.Errorf("%s: %d", name, r.status)
		}
		answers = append(answers, strings.ReplaceAll(r.body, name, "NAME"))
	}
	if answers[0] != answers[1] || answers[0] != answers[2] {
		t.Errorf("answers differ: %q", answers)
	}
	for _, name := range []string{"", "<script>alert(1)</script>", strings.Repeat("a", 1000), "\xff\x00"} {
		if r := h.try(t, name, rightPW); r.status != 401 || strings.Contains(r.body, "<script>") {
			t.Errorf("%.20q: %d %s", name, r.status, r.body)
		}
	}
	if r := h.try(t, "anna", strings.Repeat("x", 3000)); r.status != 401 {
		t.Errorf("a long password: %d", r.status)
	}
	for range 4 {
		h.try(t, "anna", "wrong password")
	}
	r := h.try(t, "anna", rightPW)
	if r.status != 429 || r.header.Get("Retry-After") == "" || !strings.Contains(r.body, "Wait 1 seconds") && !strings.Contains(r.body, "Wait 2 seconds") {
		t.Errorf("after six failures: %d %s", r.status, r.body)
	}
}

// A link is made by who holds the global key, for a user by any operator; it
// works once, and not for a user who was removed.
func TestLoginLinks(t *testing.T) {
	h := newHub(t)
	olga := h.visit(t, "olga")
	link := func(body string) string {
		var v struct{ URL string }
		h.do(t, "POST", admin+"login-links", globalKey, body).into(t, 201, &v)
		_, token, _ := strings.Cut(v.URL, "/login?token=")
		return token
	}
	press := func(token string) reply { return h.do(t, "POST", "/login", "", "token="+token, "Content-Type", form) }
	if r := h.do(t, "POST", admin+"login-links", "", `{}`, "Cookie", olga.cookie, csrfHeader, olga.csrf); r.status != 403 {
		t.Errorf("an operator made a link of the global key's: %d", r.status)
	}
	if r := h.do(t, "POST", admin+"login-links", "", `{"user":"vera"}`, "Cookie", olga.cookie, csrfHeader, olga.csrf); r.status != 201 {
		t.Errorf("an operator made no link for a user: %d %s", r.status, r.body)
	}
	if r := h.do(t, "POST", admin+"login-links", globalKey, `{"user":"nobody"}`); r.status != 400 {
		t.Errorf("a link for nobody: %d", r.status)
	}
	token := link(`{"user":"vera"}`)
	if r := press(token); r.status != 303 || press(token).status != 401 {
		t.Errorf("a link: %d", r.status)
	} else if got := h.do(t, "POST", admin+"customers/acme/block", "", "", "Cookie", cookieOf(r)).status; got != 403 {
		t.Errorf("a viewer by link changes: %d", got)
	}
	token = link(`{"user":"gus"}`)
	h.do(t, "DELETE", admin+"users/gus", globalKey, "").into(t, 204, nil)
	if r := press(token); r.status != 401 {
		t.Errorf("a removed user's link: %d", r.status)
	}
	if r := press(link(`{}`)); r.status != 303 {
		t.Errorf("the global key's link: %d", r.status)
	}
}

// Sessions are listed without what opens them, ended one by one, all of a user,
// or all of one's own; a session that cannot be written is not given.
func TestSessionsByAPI(t *testing.T) {
	h := newHub(t)
	one, two, other := h.visit(t, "olga"), h.visit(t, "olga"), h.visit(t, "vera")
	var list struct{ Items []sessionItem }
	r := h.do(t, "GET", admin+"sessions", globalKey, "")
	r.into(t, 200, &list)
	if len(list.Items) != 3 || strings.Contains(r.body, strings.TrimPrefix(one.cookie, "felhom_session=")) {
		t.Fatalf("listed %s", r.body)
	}
	lives := func(v visitor) bool { return h.do(t, "GET", admin+"hosts", "", "", "Cookie", v.cookie).status == 200 }
	for _, s := range list.Items {
		if s.User == "vera" {
			h.do(t, "DELETE", admin+"sessions/"+s.SessionID, globalKey, "").into(t, 204, nil)
			if r := h.do(t, "DELETE", admin+"sessions/"+s.SessionID, globalKey, ""); r.status != 404 {
				t.Errorf("ended twice: %d", r.status)
			}
		}
	}
	if lives(other) || !lives(one) || !lives(two) {
		t.Error("the wrong session was ended")
	}
	if r := h.do(t, "POST", "/logout-everywhere", "", "csrf="+one.csrf, "Cookie", one.cookie, "Content-Type", form); r.status != 303 {
		t.Errorf("out everywhere: %d", r.status)
	}
	if lives(one) || lives(two) {
		t.Error("a session outlived signing out everywhere")
	}
	one = h.visit(t, "olga")
	h.do(t, "DELETE", admin+"users/olga/sessions", globalKey, "").into(t, 204, nil)
	if lives(one) {
		t.Error("a session outlived being ended")
	}
	h.fleet.access.Lock()
	h.fleet.saveErr = ErrUnavailable
	h.fleet.access.Unlock()
	r = h.do(t, "POST", "/login", "", "token="+h.cfg.Sessions.Link("", time.Now()), "Content-Type", form)
	if r.status != 503 || r.header.Get("Set-Cookie") != "" || len(h.cfg.Sessions.List(time.Now())) != 0 {
		t.Errorf("a session that is not durable was given: %d", r.status)
	}
}

// Whatever changes something is in the audit log, with who, on what, from where
// and how it ended; secrets are not, and what is only read is not.
func TestAuditLog(t *testing.T) {
	h := newHub(t, func(c *Config) { c.BehindProxy = true })
	h.do(t, "GET", admin+"hosts", globalKey, "").into(t, 200, nil)
	h.do(t, "POST", admin+"customers/acme/block", globalKey, "", "X-Forwarded-For", "6.6.6.6, 192.0.2.7").into(t, 200, nil)
	h.do(t, "DELETE", admin+"hosts/zeta-00000001", globalKey, "")
	h.do(t, "POST", admin+"users", globalKey, `{"name":"anna","role":"operator","password":"`+rightPW+`"}`).into(t, 201, nil)
	h.try(t, "anna", rightPW)
	olga := h.visit(t, "olga")
	h.do(t, "POST", admin+"routes/"+ulid(7)+"/test", "", "", "Cookie", olga.cookie, csrfHeader, olga.csrf, "X-Forwarded-For", "<script>")
	h.do(t, "POST", "/logout", "", "", "Cookie", olga.cookie, csrfHeader, olga.csrf)
	want := []messages.AuditRecord{
		{Who: "global key", Action: "customers block", Subject: "acme", CustomerID: "acme", Address: "192.0.2.7", Outcome: "done"},
		{Who: "global key", Action: "hosts remove", Subject: "zeta-00000001", CustomerID: "zeta", Address: "127.0.0.1", Outcome: "not_found"},
		{Who: "global key", Action: "users add", Subject: "anna", Address: "127.0.0.1", Outcome: "done"},
		{Who: "user anna", Action: "sign in", Address: "127.0.0.1", Outcome: "done"},
		{Who: "user olga", Action: "routes test", Subject: ulid(7), Address: "127.0.0.1", Outcome: "not_found"},
		{Who: "user olga", Action: "sign out", Address: "127.0.0.1", Outcome: "done"},
	}
	got := h.fleet.notes()
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(messages.AuditRecord{}, "Sequence", "At")); diff != "" {
		t.Error(diff)
	}
	if text := fmt.Sprint(got); strings.Contains(text, rightPW) || strings.Contains(text, "argon") {
		t.Errorf("a secret is in the log: %s", text)
	}
	var page struct {
		Items []messages.AuditRecord
		Next  string `json:"next_cursor"`
	}
	h.do(t, "GET", admin+"audit?after=1&limit=2", globalKey, "").into(t, 200, &page)
	if len(page.Items) != 2 || page.Items[0].Sequence != 2 || page.Next == "" {
		t.Errorf("behind the first: %+v", page)
	}
	h.do(t, "GET", admin+"audit?limit=100&cursor="+page.Next, globalKey, "").into(t, 200, &page)
	if len(page.Items) != len(want)-3 || page.Items[0].Sequence != 4 {
		t.Errorf("the next page: %+v", page)
	}
	for _, bad := range []string{"after=-1", "after=x", "after=18446744073709551615", "cursor=AAAA"} {
		if r := h.do(t, "GET", admin+"audit?"+bad, globalKey, ""); r.status != 400 {
			t.Errorf("%s: %d, want 400", bad, r.status)
		}
	}
}

// The words of the audit log follow from the path, and no two routes share them.
func TestActionsAreToldApart(t *testing.T) {
	seen := map[string]string{}
	for _, r := range routes {
		if !r.audited() {
			continue
		}
		if other, ok := seen[r.action()]; ok {
			t.Errorf("%s %s and %s are both %q", r.method, r.path, other, r.action())
		}
		seen[r.action()] = r.method + " " + r.path
	}
	for path, want := range map[string]string{"POST /api/v1/admin/hosts": "hosts add", "PUT /api/v1/admin/hosts/{host_id}/rules": "hosts rules set",
		"DELETE /api/v1/admin/customers/{customer_id}": "customers remove", "POST /api/v1/admin/hosts/{host_id}/rotate-key": "hosts rotate-key"} {
		if seen[want] != path {
			t.Errorf("%q is %q, want %q", want, seen[want], path)
		}
	}
}

// The one rule of who may do what.
func TestPrincipalsMay(t *testing.T) {
	for _, c := range []struct {
		who                           auth.Principal
		readAll, readAcme, changeAcme bool
	}{
		{auth.Principal{}, false, false, false},
		{auth.Principal{Kind: auth.Host, CustomerID: "acme"}, false, false, false},
		{auth.Principal{Kind: auth.Session, Role: messages.RoleOperator}, true, true, true},
		{auth.Principal{Kind: auth.Session, Role: messages.RoleViewer}, true, true, false},
		{auth.Principal{Kind: auth.Session, Role: messages.RoleCustomer, CustomerID: "acme"}, false, true, false},
		{auth.Principal{Kind: auth.Session, Role: messages.RoleCustomer}, false, false, false},
		{auth.Principal{Kind: auth.Session, Role: "root"}, false, false, false},
	} {
		if a, b, d := c.who.May(auth.Read, ""), c.who.May(auth.Read, "acme"), c.who.May(auth.Change, "acme"); a != c.readAll || b != c.readAcme || d != c.changeAcme {
			t.Errorf("%+v: reads all %t, reads acme %t, changes %t", c.who, a, b, d)
		}
	}
}
