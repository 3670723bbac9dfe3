package auth

import (
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"maps"
	"slices"
	"sync"
	"time"

	"felhom.eu/messages"
)

const (
	// LinkLife is how long a one-time sign-in link can be followed.
	LinkLife = 10 * time.Minute
	// SessionIdle is how long a session lives that nobody uses.
	SessionIdle = 12 * time.Hour
	// SessionLife is how long a session lives at most.
	SessionLife = 7 * 24 * time.Hour

	maxLinks        = 1000 // the oldest give way
	maxSessions     = 1000 // the longest unused give way
	maxSessionsEach = 50   // of a user, so that nobody drives others out
	seenEvery       = 5 * time.Minute
	tokenBytes      = 32
	maxAgent        = 160 // bytes of a browser's name that are kept
)

// Sessions are the browsers that are signed in, the links that sign one in, and
// the users that both are of. Only hashes of cookies and links are kept. Links
// end with the hub; sessions and users are durable with the caller, who writes
// what the methods return. The zero value is ready and safe for any number of
// goroutines.
type Sessions struct {
	mu       sync.Mutex
	users    map[messages.UserName]messages.User
	links    map[messages.KeyHash]link
	sessions map[messages.KeyHash]messages.Session
}

// link signs a browser in once: as a user, or "" as the global key's holder.
type link struct {
	user messages.UserName
	ends time.Time
}

// Changes are what has to become durable.
type Changes struct {
	Put  []messages.Session
	Drop []messages.KeyHash
}

// None reports whether there is nothing to write.
func (c *Changes) None() bool { return len(c.Put)+len(c.Drop) == 0 }

// Load fills s with what was durable, and returns the sessions that are over.
func (s *Sessions) Load(users []messages.User, sessions []messages.Session, now time.Time) (over Changes) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.users = make(map[messages.UserName]messages.User, len(users))
	s.links = make(map[messages.KeyHash]link)
	s.sessions = make(map[messages.KeyHash]messages.Session, len(sessions))
	for _, u := range users {
		s.users[u.Name] = u
	}
	for _, v := range sessions {
		if s.alive(&v, now) {
			s.sessions[v.Hash] = v
		} else {
			over.Drop = append(over.Drop, v.Hash)
		}
	}
	return over
}

// alive is a session in its time, of somebody who still is a user.
func (s *Sessions) alive(v *messages.Session, now time.Time) bool {
	if _, known := s.users[v.User]; !known && v.User != "" {
		return false
	}
	return now.Before(v.CreatedAt.Add(SessionLife)) && now.Before(v.SeenAt.Add(SessionIdle))
}

// PutUser makes s know a user, or what changed of one. It holds at once, for
// sessions that are open, too.
func (s *Sessions) PutUser(u messages.User) {
	s.mu.Lock()
	defer s.mu.Unlock()
	set(&s.users, u.Name, u)
}

// RemoveUser forgets a user with all links and sessions: nobody who gets the
// name later comes by them.
func (s *Sessions) RemoveUser(name messages.UserName) Changes {
	s.mu.Lock()
	delete(s.users, name)
	maps.DeleteFunc(s.links, func(_ messages.KeyHash, l link) bool { return l.user == name })
	s.mu.Unlock()
	return s.EndOf(name)
}

// EndOf ends all sessions of a user.
func (s *Sessions) EndOf(name messages.UserName) Changes {
	return s.End(func(v *messages.Session) bool { return v.User == name })
}

// Has reports whether there is such a session.
func (s *Sessions) Has(h messages.KeyHash) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.sessions[h]
	return ok
}

// User is who has that name.
func (s *Sessions) User(name messages.UserName) (u messages.User, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u, ok = s.users[name]
	return u, ok
}

// Users are all users by name.
func (s *Sessions) Users() []messages.User {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.SortedFunc(maps.Values(s.users), func(a, b messages.User) int { return cmp.Compare(a.Name, b.Name) })
}

// Link makes the token of a one-time link for a user, or for "", which is the
// holder of the global key. Redeem takes it until LinkLife after now.
func (s *Sessions) Link(user messages.UserName, now time.Time) (token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.DeleteFunc(s.links, func(_ messages.KeyHash, l link) bool { return !now.Before(l.ends) })
	if len(s.links) >= maxLinks {
		delete(s.links, first(s.links, func(a, b link) int { return a.ends.Compare(b.ends) }))
	}
	token, h := newToken()
	set(&s.links, h, link{user, now.Add(LinkLife)})
	return token
}

// Redeem uses a link up and tells whose it was; ok is false when it is unknown,
// used, over, or of a user who is gone.
func (s *Sessions) Redeem(token string, now time.Time) (user messages.UserName, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := messages.HashKey([]byte(token))
	l, ok := s.links[h]
	delete(s.links, h)
	if _, known := s.users[l.user]; !known && l.user != "" {
		return "", false
	}
	return l.user, ok && now.Before(l.ends)
}

// Open makes a session of user and the cookie's text for it. Sessions that are
// over, or too many, give way.
func (s *Sessions) Open(user messages.UserName, address, agent string, now time.Time) (cookie string, c Changes) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for h, v := range s.sessions {
		if !s.alive(&v, now) {
			c.Drop = append(c.Drop, h)
		}
	}
	s.forget(c.Drop)
	if h, full := s.crowded(user); full {
		c.Drop = append(c.Drop, h)
		delete(s.sessions, h)
	}
	cookie, h := newToken()
	v := messages.Session{Hash: h, User: user, CreatedAt: now.UTC(), SeenAt: now.UTC(), Address: address, Agent: agent[:min(len(agent), maxAgent)]}
	set(&s.sessions, h, v)
	c.Put = []messages.Session{v}
	return cookie, c
}

// crowded names the session that has to give way to another one of user.
func (s *Sessions) crowded(user messages.UserName) (messages.KeyHash, bool) {
	own := make(map[messages.KeyHash]messages.Session)
	for h, v := range s.sessions {
		if v.User == user {
			own[h] = v
		}
	}
	bySeen := func(a, b messages.Session) int { return a.SeenAt.Compare(b.SeenAt) }
	switch {
	case len(own) >= maxSessionsEach:
		return first(own, bySeen), true
	case len(s.sessions) >= maxSessions:
		return first(s.sessions, bySeen), true
	}
	return messages.KeyHash{}, false
}

// Find tells who a cookie is of, as its user is now. What it returns to write
// (that the session was seen, or is over) need not be waited for.
func (s *Sessions) Find(cookie []byte, now time.Time) (p Principal, c Changes, ok bool) {
	if len(cookie) != base64.RawURLEncoding.EncodedLen(tokenBytes) {
		return p, c, false
	}
	h := messages.HashKey(cookie)
	s.mu.Lock()
	defer s.mu.Unlock()
	v, ok := s.sessions[h]
	if !ok {
		return p, c, false
	}
	if !s.alive(&v, now) {
		delete(s.sessions, h)
		c.Drop = []messages.KeyHash{h}
		return p, c, false
	}
	if now.Sub(v.SeenAt) >= seenEvery {
		v.SeenAt = now.UTC()
		s.sessions[h] = v
		c.Put = []messages.Session{v}
	}
	p = Principal{Kind: Session, Hash: h, Role: messages.RoleOperator, CSRF: csrfOf(cookie)}
	if u, known := s.users[v.User]; known {
		p.User, p.Role, p.CustomerID = u.Name, u.Role, u.CustomerID
	}
	return p, c, true
}

// List are the sessions that live, the newest first.
func (s *Sessions) List(now time.Time) []messages.Session {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []messages.Session
	for _, v := range s.sessions {
		if s.alive(&v, now) {
			all = append(all, v)
		}
	}
	slices.SortFunc(all, func(a, b messages.Session) int {
		return cmp.Or(b.CreatedAt.Compare(a.CreatedAt), slices.Compare(a.Hash[:], b.Hash[:]))
	})
	return all
}

// End ends the sessions that gone names, and returns what to write.
func (s *Sessions) End(gone func(*messages.Session) bool) (c Changes) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for h, v := range s.sessions {
		if gone(&v) {
			c.Drop = append(c.Drop, h)
		}
	}
	s.forget(c.Drop)
	return c
}

// Drop ends one session.
func (s *Sessions) Drop(h messages.KeyHash) Changes {
	return s.End(func(v *messages.Session) bool { return v.Hash == h })
}

func (s *Sessions) forget(hs []messages.KeyHash) {
	for _, h := range hs {
		delete(s.sessions, h)
	}
}

// csrfOf is the token that a session's forms carry. It follows from the cookie,
// which no other site can read, and does not lead back to it.
func csrfOf(cookie []byte) string {
	h := sha256.New()
	h.Write([]byte("felhom csrf "))
	h.Write(cookie)
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}

// SameCSRF compares a token that a request brought with its session's. Of a
// principal without a session none is right.
func (p *Principal) SameCSRF(token []byte) bool {
	return p.CSRF != "" && subtle.ConstantTimeCompare([]byte(p.CSRF), token) == 1
}

func newToken() (string, messages.KeyHash) {
	var b [tokenBytes]byte
	rand.Read(b[:]) // never fails: crypto/rand ends the process instead
	token := base64.RawURLEncoding.EncodeToString(b[:])
	return token, messages.HashKey([]byte(token))
}

// first is the key of the smallest value.
func first[V any](m map[messages.KeyHash]V, compare func(a, b V) int) (key messages.KeyHash) {
	found := false
	var least V
	for k, v := range m {
		if !found || compare(v, least) < 0 {
			key, least, found = k, v, true
		}
	}
	return key
}

// set makes the map at its first entry: most shards of Keys never need the rare ones.
func set[K comparable, V any](m *map[K]V, k K, v V) {
	if *m == nil {
		*m = make(map[K]V)
	}
	(*m)[k] = v
}
