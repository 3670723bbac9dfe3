package api

import (
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"felhom.eu/hub/auth"
	"felhom.eu/messages"
)

const (
	maxUsers       = 1000
	sessionIDBytes = 8 // of the cookie's hash: enough to tell a thousand apart
)

// userItem is a user as shown: without the password's hash.
type userItem struct {
	Name        messages.UserName   `json:"name"`
	Role        messages.Role       `json:"role"`
	CustomerID  messages.CustomerID `json:"customer_id,omitempty"` // of role customer
	HasPassword bool                `json:"has_password"`          // else links only
	CreatedAt   time.Time           `json:"created_at"`
	Sessions    int                 `json:"sessions"` // browsers that are signed in
}

func (s *Server) userItemOf(u messages.User) userItem {
	n := 0
	for _, v := range s.cfg.Sessions.List(time.Now()) {
		if v.User == u.Name {
			n++
		}
	}
	return userItem{u.Name, u.Role, u.CustomerID, u.Password != "", u.CreatedAt, n}
}

// addUser makes a user. The password may be left out: links sign in, too.
func (s *Server) addUser(ctx *fasthttp.RequestCtx, a args) error {
	var in struct {
		Name       string `json:"name"`
		Role       string `json:"role"`
		CustomerID string `json:"customer_id"`
		Password   string `json:"password"`
	}
	if err := s.decode(ctx, &in); err != nil {
		return err
	}
	name, err := messages.ParseUserName(in.Name)
	if err != nil {
		return &fieldError{"name", "want a-z, 0-9 and . _ - + @, at most 64"}
	}
	u := messages.User{Name: name, CreatedAt: time.Now().UTC()}
	if u.Role, u.CustomerID, err = parseRole(in.Role, in.CustomerID); err != nil {
		return err
	}
	a.note.About(string(name), u.CustomerID)
	c, cancel := s.change(a)
	defer cancel()
	if in.Password != "" {
		if u.Password, err = s.passwords.Hash(c, in.Password); err != nil {
			return passwordProblem(err)
		}
		u.ChangedAt = u.CreatedAt
	}
	s.users.Lock()
	defer s.users.Unlock()
	if _, known := s.cfg.Sessions.User(name); known {
		return ErrExists
	}
	if len(s.cfg.Sessions.Users()) >= maxUsers {
		return ErrTooMany
	}
	if err := s.fleet.SaveAccess(c, AccessChange{PutUsers: []messages.User{u}}); err != nil {
		return noSuchCustomer(err)
	}
	s.cfg.Sessions.PutUser(u)
	return answerJSON(ctx, 201, s.userItemOf(u))
}

func passwordProblem(err error) error {
	if errors.Is(err, auth.ErrPassword) {
		return &fieldError{"password", err.Error()}
	}
	return err
}

// parseRole reads a role, and the customer that goes with one of them only.
func parseRole(role, customer string) (messages.Role, messages.CustomerID, error) {
	r, err := messages.ParseRole(role)
	if err != nil {
		return "", "", &fieldError{"role", "want operator, viewer or customer"}
	}
	if r != messages.RoleCustomer {
		if customer != "" {
			return "", "", &fieldError{"customer_id", "goes with the role customer only"}
		}
		return r, "", nil
	}
	c, err := field("customer_id", customer, messages.ParseCustomerID)
	return r, c, err
}

// listUsers pages through the users itself: there are few.
func (s *Server) listUsers(ctx *fasthttp.RequestCtx, _ args) error {
	q, err := readQuery(ctx)
	if err != nil {
		return err
	}
	last, err := after(q, userList, messages.ParseUserName)
	if err != nil {
		return err
	}
	rows := slices.DeleteFunc(s.cfg.Sessions.Users(), func(u messages.User) bool { return u.Name <= last })
	rows = rows[:min(len(rows), q.limit+1)]
	return answerPage(ctx, rows, q.limit, userList, func(u messages.User) string { return string(u.Name) }, s.userItemOf)
}

// userOf is the path's user. s.users is held.
func (s *Server) userOf(a args) (messages.User, error) {
	u, ok := s.cfg.Sessions.User(messages.UserName(a.params[0]))
	if !ok {
		return u, ErrNotFound
	}
	return u, nil
}

func (s *Server) removeUser(ctx *fasthttp.RequestCtx, a args) error {
	s.users.Lock()
	defer s.users.Unlock()
	u, err := s.userOf(a)
	if err != nil {
		return err
	}
	c, cancel := s.change(a)
	defer cancel()
	a.note.Record.CustomerID = u.CustomerID
	over := s.cfg.Sessions.EndOf(u.Name)
	if err := s.fleet.SaveAccess(c, AccessChange{DelUsers: []messages.UserName{u.Name}, DelSessions: over.Drop}); err != nil {
		return err
	}
	s.keepLater(s.cfg.Sessions.RemoveUser(u.Name)) // with those that came just now
	ctx.SetStatusCode(204)
	return nil
}

// setPassword gives a user another password and ends the user's sessions: who had
// the old one is out.
func (s *Server) setPassword(ctx *fasthttp.RequestCtx, a args) error {
	var in struct {
		Password string `json:"password"`
	}
	if err := s.decode(ctx, &in); err != nil {
		return err
	}
	c, cancel := s.change(a)
	defer cancel()
	hash, err := s.passwords.Hash(c, in.Password)
	if err != nil {
		return passwordProblem(err)
	}
	s.users.Lock()
	defer s.users.Unlock()
	u, err := s.userOf(a)
	if err != nil {
		return err
	}
	u.Password, u.ChangedAt = hash, time.Now().UTC()
	over := s.cfg.Sessions.EndOf(u.Name)
	if err := s.fleet.SaveAccess(c, AccessChange{PutUsers: []messages.User{u}, DelSessions: over.Drop}); err != nil {
		return err
	}
	s.cfg.Sessions.PutUser(u)
	ctx.SetStatusCode(204)
	return nil
}

// setRole holds at once, in sessions that are open, too.
func (s *Server) setRole(ctx *fasthttp.RequestCtx, a args) error {
	var in struct {
		Role       string `json:"role"`
		CustomerID string `json:"customer_id"`
	}
	if err := s.decode(ctx, &in); err != nil {
		return err
	}
	role, customer, err := parseRole(in.Role, in.CustomerID)
	if err != nil {
		return err
	}
	s.users.Lock()
	defer s.users.Unlock()
	u, err := s.userOf(a)
	if err != nil {
		return err
	}
	c, cancel := s.change(a)
	defer cancel()
	u.Role, u.CustomerID = role, customer
	a.note.Record.CustomerID = customer
	if err := s.fleet.SaveAccess(c, AccessChange{PutUsers: []messages.User{u}}); err != nil {
		return noSuchCustomer(err)
	}
	s.cfg.Sessions.PutUser(u)
	return answerJSON(ctx, 200, s.userItemOf(u))
}

// sessionItem is a browser that is signed in.
type sessionItem struct {
	SessionID string            `json:"session_id"` // leads nowhere: the beginning of a hash
	User      messages.UserName `json:"user,omitempty"`
	CreatedAt time.Time         `json:"created_at"`
	SeenAt    time.Time         `json:"seen_at"` // to five minutes
	EndsAt    time.Time         `json:"ends_at"`
	Address   string            `json:"address"` // where it signed in from
	Agent     string            `json:"agent"`   // what the browser calls itself
}

func sessionItemOf(v messages.Session) sessionItem {
	ends := v.CreatedAt.Add(auth.SessionLife)
	if idle := v.SeenAt.Add(auth.SessionIdle); idle.Before(ends) {
		ends = idle
	}
	return sessionItem{sessionID(&v), v.User, v.CreatedAt, v.SeenAt, ends, v.Address, v.Agent}
}

func sessionID(v *messages.Session) string { return hex.EncodeToString(v.Hash[:sessionIDBytes]) }

// listSessions pages through the sessions itself, by id.
func (s *Server) listSessions(ctx *fasthttp.RequestCtx, _ args) error {
	q, err := readQuery(ctx)
	if err != nil {
		return err
	}
	last, err := after(q, sessionList, parseSessionID)
	if err != nil {
		return err
	}
	rows := s.cfg.Sessions.List(time.Now())
	slices.SortFunc(rows, func(a, b messages.Session) int { return slices.Compare(a.Hash[:], b.Hash[:]) })
	rows = slices.DeleteFunc(rows, func(v messages.Session) bool { return sessionID(&v) <= last })
	rows = rows[:min(len(rows), q.limit+1)]
	return answerPage(ctx, rows, q.limit, sessionList, func(v messages.Session) string { return sessionID(&v) }, sessionItemOf)
}

func parseSessionID(s string) (string, error) {
	if b, err := hex.DecodeString(s); err != nil || len(b) != sessionIDBytes || strings.ToLower(s) != s {
		return "", messages.ErrBadID
	}
	return s, nil
}

func (s *Server) endSession(ctx *fasthttp.RequestCtx, a args) error {
	return s.endSessions(ctx, a, s.cfg.Sessions.End(func(v *messages.Session) bool { return sessionID(v) == a.params[0] }))
}

// endSessionsOf signs a user out everywhere.
func (s *Server) endSessionsOf(ctx *fasthttp.RequestCtx, a args) error {
	if _, err := s.userOf(a); err != nil {
		return err
	}
	changed := s.cfg.Sessions.EndOf(messages.UserName(a.params[0]))
	if changed.None() {
		ctx.SetStatusCode(204)
		return nil
	}
	return s.endSessions(ctx, a, changed)
}

// endSessions makes durable that sessions ended: a restart shall not bring them
// back.
func (s *Server) endSessions(ctx *fasthttp.RequestCtx, a args, changed auth.Changes) error {
	if changed.None() {
		return ErrNotFound
	}
	c, cancel := s.change(a)
	defer cancel()
	if err := s.keep(c, changed); err != nil {
		return err
	}
	ctx.SetStatusCode(204)
	return nil
}

// addLoginLink makes a link that signs a browser in, once. Without a user it gives
// what the global key gives, so it takes that to make one.
func (s *Server) addLoginLink(ctx *fasthttp.RequestCtx, a args) error {
	var in struct {
		User string `json:"user"`
	}
	if err := s.decode(ctx, &in); err != nil {
		return err
	}
	now := time.Now().UTC()
	name := messages.UserName(in.User)
	switch _, known := s.cfg.Sessions.User(name); {
	case name == "" && a.who.Kind != auth.Global:
		return errForbidden
	case name != "" && !known:
		return &fieldError{"user", "no such user"}
	}
	a.note.About(string(name), "")
	return answerJSON(ctx, 201, struct {
		URL       string    `json:"url"`
		ExpiresAt time.Time `json:"expires_at"`
	}{s.linkFor(name, now), now.Add(auth.LinkLife)})
}
