package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"sync"
	"time"
)

const (
	// LinkLife is how long a one-time sign-in link can be followed.
	LinkLife = 15 * time.Minute
	// SessionLife is how long a cookie opens the pages, used or not.
	SessionLife = 12 * time.Hour
	// maxLive bounds links and sessions each: the oldest give way.
	maxLive = 1000
)

// Sessions are the sign-in links and browser sessions of this run of the hub;
// they end with it. Only their hashes are kept. The zero value is ready and
// safe for any number of goroutines.
type Sessions struct {
	mu       sync.Mutex
	links    ends
	sessions ends
}

// ends says when each token's life is over, by the token's hash.
type ends map[[sha256.Size]byte]time.Time

// Link makes a one-time token that Redeem exchanges for a session until
// LinkLife after now.
func (s *Sessions) Link(now time.Time) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return issue(&s.links, now, LinkLife)
}

// Redeem exchanges a link's token for a session's; ok is false when the token
// is unknown, used or over.
func (s *Sessions) Redeem(token string, now time.Time) (session string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := sha256.Sum256([]byte(token))
	if !s.links.live(h, now) {
		return "", false
	}
	delete(s.links, h)
	return issue(&s.sessions, now, SessionLife), true
}

// Valid reports whether token is that of a live session.
func (s *Sessions) Valid(token []byte, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sessions.live(sha256.Sum256(token), now)
}

func issue(e *ends, now time.Time, life time.Duration) string {
	if *e == nil {
		*e = make(ends)
	}
	e.prune(now)
	var b [32]byte
	rand.Read(b[:]) // never fails: crypto/rand ends the process instead
	token := base64.RawURLEncoding.EncodeToString(b[:])
	(*e)[sha256.Sum256([]byte(token))] = now.Add(life)
	return token
}

func (e ends) live(h [sha256.Size]byte, now time.Time) bool {
	end, ok := e[h]
	return ok && now.Before(end)
}

// prune drops what is over, and the one that ends first when there is no room.
func (e ends) prune(now time.Time) {
	var oldest [sha256.Size]byte
	var first time.Time
	for h, end := range e {
		if !now.Before(end) {
			delete(e, h)
			continue
		}
		if first.IsZero() || end.Before(first) {
			oldest, first = h, end
		}
	}
	if len(e) >= maxLive {
		delete(e, oldest)
	}
}
