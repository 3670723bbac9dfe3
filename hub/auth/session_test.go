package auth

import (
	"testing"
	"time"
)

// A link signs in once and in time; the session it gives ends by itself.
func TestLinkSignsInOnce(t *testing.T) {
	var s Sessions
	link := s.Link(now)
	if s.Valid([]byte(link), now) {
		t.Error("a link's token passes for a session's")
	}
	if _, ok := s.Redeem("", now); ok {
		t.Error("the empty token was redeemed")
	}
	cookie, ok := s.Redeem(link, now.Add(LinkLife-1))
	if !ok {
		t.Fatal("the link was refused in time")
	}
	if _, ok := s.Redeem(link, now); ok {
		t.Error("the link was redeemed twice")
	}
	if !s.Valid([]byte(cookie), now.Add(SessionLife)) {
		t.Error("the session ended early")
	}
	if s.Valid([]byte(cookie), now.Add(LinkLife+SessionLife)) {
		t.Error("the session outlived its life")
	}
	if _, ok := s.Redeem(s.Link(now), now.Add(LinkLife)); ok {
		t.Error("a link was redeemed too late")
	}
}

// Links are bounded, and the newest is the one that must work.
func TestLinksAreBounded(t *testing.T) {
	var s Sessions
	first := s.Link(now)
	var last string
	for i := range 2 * maxLive {
		last = s.Link(now.Add(time.Duration(i) * time.Millisecond))
	}
	if n := len(s.links); n > maxLive {
		t.Errorf("%d links are kept, want at most %d", n, maxLive)
	}
	if _, ok := s.Redeem(first, now); ok {
		t.Error("the oldest link was kept")
	}
	if _, ok := s.Redeem(last, now); !ok {
		t.Error("the newest link was refused")
	}
}
