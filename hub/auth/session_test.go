package auth

import (
	"strings"
	"testing"
	"time"

	"felhom.eu/messages"
)

// open is a session of user, as its cookie.
func open(s *Sessions, user messages.UserName, at time.Time) []byte {
	cookie, _ := s.Open(user, "192.0.2.1", "browser", at)
	return []byte(cookie)
}

func found(s *Sessions, cookie []byte, at time.Time) bool {
	_, _, ok := s.Find(cookie, at)
	return ok
}

// A link signs in once and in time, as whom it was made for.
func TestLinkSignsInOnce(t *testing.T) {
	var s Sessions
	s.PutUser(messages.User{Name: "anna", Role: messages.RoleViewer})
	token := s.Link("anna", now)
	if found(&s, []byte(token), now) {
		t.Error("a link's token passes for a session's")
	}
	if _, ok := s.Redeem("", now); ok {
		t.Error("the empty token was redeemed")
	}
	if user, ok := s.Redeem(token, now.Add(LinkLife-1)); !ok || user != "anna" {
		t.Errorf("the link was refused in time, or is %q's", user)
	}
	if _, ok := s.Redeem(token, now); ok {
		t.Error("the link was redeemed twice")
	}
	if _, ok := s.Redeem(s.Link("", now), now.Add(LinkLife)); ok {
		t.Error("a link was redeemed too late")
	}
	token = s.Link("anna", now)
	s.RemoveUser("anna")
	s.PutUser(messages.User{Name: "anna", Role: messages.RoleOperator})
	if _, ok := s.Redeem(token, now); ok {
		t.Error("the link of a removed user was redeemed")
	}
}

// A session ends by itself when nobody uses it, and when its time is over.
func TestSessionEnds(t *testing.T) {
	var s Sessions
	idle := open(&s, "", now)
	if !found(&s, idle, now.Add(SessionIdle-1)) {
		t.Error("the session ended early")
	}
	if found(&s, idle, now.Add(2*SessionIdle)) || found(&s, idle, now) {
		t.Error("the session outlived its idle time, or came back")
	}
	used := open(&s, "", now)
	at := now
	for ; found(&s, used, at); at = at.Add(SessionIdle / 2) {
	}
	if got := at.Sub(now); got != SessionLife {
		t.Errorf("a session in use ended after %v, want %v", got, SessionLife)
	}
}

// Who a session is of is looked up at every request: a lowered role holds at
// once, and a removed user's session is nobody's, even when the name comes back.
func TestSessionIsItsUserAsNow(t *testing.T) {
	var s Sessions
	s.PutUser(messages.User{Name: "anna", Role: messages.RoleOperator})
	cookie := open(&s, "anna", now)
	who, _, ok := s.Find(cookie, now)
	if !ok || !who.May(Change, "acme") || who.User != "anna" || who.CSRF == "" || strings.Contains(string(cookie), who.CSRF) {
		t.Fatalf("found %+v, %v", who, ok)
	}
	s.PutUser(messages.User{Name: "anna", Role: messages.RoleCustomer, CustomerID: "acme"})
	if who, _, _ := s.Find(cookie, now); who.May(Change, "acme") || !who.May(Read, "acme") || who.May(Read, "globex") || who.May(Read, "") {
		t.Errorf("after the role was lowered: %+v", who)
	}
	if c := s.RemoveUser("anna"); len(c.Drop) != 1 {
		t.Errorf("%d sessions ended with their user, want 1", len(c.Drop))
	}
	s.PutUser(messages.User{Name: "anna", Role: messages.RoleOperator})
	if found(&s, cookie, now) {
		t.Error("a removed user's session came back with the name")
	}
}

// What was written is what comes back after a restart, without what is over.
func TestSessionsOutliveTheHub(t *testing.T) {
	var s Sessions
	users := []messages.User{{Name: "anna", Role: messages.RoleViewer}}
	s.Load(users, nil, now)
	var stored []messages.Session
	var cookies []string
	for _, user := range []messages.UserName{"", "anna", "gone"} {
		cookie, c := s.Open(user, "192.0.2.1", strings.Repeat("x", 1000), now)
		stored, cookies = append(stored, c.Put...), append(cookies, cookie)
	}
	if len(stored) != 3 || len(stored[0].Agent) != maxAgent {
		t.Fatalf("stored %+v", stored)
	}
	_, seen, _ := s.Find([]byte(cookies[0]), now.Add(seenEvery))
	if len(seen.Put) != 1 || !seen.Put[0].SeenAt.Equal(now.Add(seenEvery)) {
		t.Errorf("that it was seen is written as %+v", seen)
	}
	var again Sessions
	if over := again.Load(users, stored, now.Add(time.Hour)); len(over.Drop) != 1 {
		t.Errorf("%d sessions are over, want the one of nobody", len(over.Drop))
	}
	for i, want := range []bool{true, true, false} {
		if found(&again, []byte(cookies[i]), now.Add(time.Hour)) != want {
			t.Errorf("session %d after a restart: %t", i, !want)
		}
	}
	if over := again.Load(users, stored, now.Add(SessionLife)); len(over.Drop) != 3 {
		t.Errorf("%d sessions are over after a week, want 3", len(over.Drop))
	}
}

// Links and sessions are bounded, a user drives nobody else out, and the newest
// is the one that must work.
func TestLinksAndSessionsAreBounded(t *testing.T) {
	var s Sessions
	oldest := s.Link("", now)
	var last string
	for i := range 2 * maxLinks {
		last = s.Link("", now.Add(time.Duration(i)*time.Millisecond))
	}
	if n := len(s.links); n > maxLinks {
		t.Errorf("%d links are kept, want at most %d", n, maxLinks)
	}
	if _, ok := s.Redeem(oldest, now); ok {
		t.Error("the oldest link was kept")
	}
	if _, ok := s.Redeem(last, now); !ok {
		t.Error("the newest link was refused")
	}

	s.PutUser(messages.User{Name: "anna", Role: messages.RoleViewer})
	hers := open(&s, "anna", now)
	mine := open(&s, "", now)
	for i := range 2 * maxSessionsEach {
		last = string(open(&s, "", now.Add(time.Duration(i)*time.Millisecond)))
	}
	if n := len(s.List(now)); n != maxSessionsEach+1 {
		t.Errorf("%d sessions, want %d", n, maxSessionsEach+1)
	}
	if !found(&s, hers, now) || found(&s, mine, now) || !found(&s, []byte(last), now) {
		t.Error("the wrong session gave way")
	}
}

// Nothing but a cookie is one, and only its own token goes with it.
func TestHostileCookies(t *testing.T) {
	var s Sessions
	good := open(&s, "", now)
	other := open(&s, "", now)
	for _, bad := range []string{"", "x", string(good[1:]), string(good) + "A", string(good) + "=", strings.Repeat("A", 1<<20), strings.ToLower(string(good)) + "\x00", string(messages.RoleOperator)} {
		if found(&s, []byte(bad), now) {
			t.Errorf("%.60q is a session", bad)
		}
	}
	p, _, _ := s.Find(good, now)
	q, _, _ := s.Find(other, now)
	if !p.SameCSRF([]byte(p.CSRF)) || p.SameCSRF([]byte(q.CSRF)) || p.SameCSRF(nil) || p.SameCSRF(good) {
		t.Error("the wrong token went with the session")
	}
	if none := (&Principal{Kind: Global}); none.SameCSRF(nil) || none.SameCSRF([]byte("")) {
		t.Error("nothing is the token of no session")
	}
}
