package api

import (
	"bytes"
	"context"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"felhom.eu/hub/auth"
	"felhom.eu/messages"
)

const (
	csrfField  = "csrf"
	csrfHeader = "X-CSRF-Token"
)

// secure reports whether browsers reach the hub by TLS.
func (s *Server) secure() bool {
	return s.cfg.TLSCertFile != "" || strings.HasPrefix(s.cfg.ExternalURL, "https:")
}

// cookieName has the prefix that keeps neighbouring hosts from setting it, where
// browsers know it: over TLS.
func (s *Server) cookieName() string {
	if s.secure() {
		return "__Host-felhom_session"
	}
	return "felhom_session"
}

// setCookie gives a browser its session, or takes it with an empty value.
func (s *Server) setCookie(ctx *fasthttp.RequestCtx, value string) {
	var c fasthttp.Cookie
	c.SetKey(s.cookieName())
	c.SetValue(value)
	c.SetPath("/")
	c.SetHTTPOnly(true)
	c.SetSameSite(fasthttp.CookieSameSiteStrictMode)
	c.SetSecure(s.secure())
	c.SetMaxAge(int(auth.SessionLife / time.Second))
	if value == "" {
		c.SetMaxAge(0)
		c.SetExpire(fasthttp.CookieExpireDelete)
	}
	ctx.Response.Header.SetCookie(&c)
}

// meant refuses a change that a browser may have been led to by another site. A
// key never comes by itself, so it is enough; a cookie does, so its session's
// token must come with it.
func (s *Server) meant(ctx *fasthttp.RequestCtx, r *route, who *auth.Principal) error {
	if r.method == fasthttp.MethodGet || who.Kind != auth.Session && r.access != forGuests {
		return nil
	}
	if !s.sameSite(&ctx.Request.Header) {
		return errCrossSite
	}
	if r.access == forGuests { // there is no session yet
		return nil
	}
	token := ctx.Request.Header.Peek(csrfHeader)
	if len(token) == 0 {
		token = ctx.PostArgs().Peek(csrfField)
	}
	if !who.SameCSRF(token) {
		return errCSRF
	}
	return nil
}

// sameSite judges what a browser says of where a request came from. Browsers
// name the site's relation only to addresses that they trust, and the origin
// always; what says neither is no browser.
func (s *Server) sameSite(h *fasthttp.RequestHeader) bool {
	if site := h.Peek("Sec-Fetch-Site"); len(site) > 0 {
		return bytes.Equal(site, []byte("same-origin")) || bytes.Equal(site, []byte("none"))
	}
	origin := h.Peek(fasthttp.HeaderOrigin)
	if len(origin) == 0 {
		return true
	}
	u, err := url.Parse(string(origin))
	if err != nil || u.Host == "" {
		return false
	}
	external, err := url.Parse(s.cfg.ExternalURL)
	return u.Host == string(h.Host()) || err == nil && u.Scheme == external.Scheme && u.Host == external.Host
}

// addressOf is where a request came from, without the port: as the connection
// says, or the proxy that is known to stand before the hub.
func (s *Server) addressOf(ctx *fasthttp.RequestCtx) netip.Addr {
	if all := ctx.Request.Header.PeekAll(fasthttp.HeaderXForwardedFor); s.cfg.BehindProxy && len(all) > 0 {
		last := all[len(all)-1] // what stands before it is the client's word
		if a, err := netip.ParseAddr(string(bytes.TrimSpace(last[bytes.LastIndexByte(last, ',')+1:]))); err == nil {
			return a.Unmap().WithZone("")
		}
	}
	a, _ := netip.AddrFromSlice(ctx.RemoteIP())
	return a.Unmap()
}

// keep makes a change of sessions durable.
func (s *Server) keep(c context.Context, changed auth.Changes) error {
	return s.fleet.SaveAccess(c, AccessChange{PutSessions: changed.Put, DelSessions: changed.Drop})
}

// keepLater makes a change of sessions durable that nobody has to wait for: that
// one was seen, or is over by itself.
func (s *Server) keepLater(changed auth.Changes) {
	if changed.None() {
		return
	}
	go func() {
		c, cancel := s.ask()
		defer cancel()
		if err := s.keep(c, changed); err != nil {
			s.log.Warn().Str("error", redact(err.Error())).Msg("sessions not written")
		}
	}()
}

// signIn opens a session and sends the browser to the first page. The cookie is
// given when the session is durable.
func (s *Server) signIn(ctx *fasthttp.RequestCtx, user messages.UserName) error {
	who := auth.Principal{Kind: auth.Session, User: user}
	note := s.newNote(ctx, &who, "sign in")
	cookie, changed := s.cfg.Sessions.Open(user, note.Record.Address, string(ctx.Request.Header.UserAgent()), time.Now())
	c, cancel := s.change(args{note: note})
	defer cancel()
	if err := s.keep(c, changed); err != nil {
		s.cfg.Sessions.Drop(messages.HashKey([]byte(cookie)))
		return err
	}
	s.setCookie(ctx, cookie)
	ctx.Response.Header.Set(fasthttp.HeaderLocation, "/")
	ctx.SetStatusCode(fasthttp.StatusSeeOther)
	return nil
}

// logout ends the session that asks for it, and this browser's cookie.
func (s *Server) logout(ctx *fasthttp.RequestCtx, a args) error {
	return s.signOut(ctx, a, "sign out", s.cfg.Sessions.Drop(a.who.Hash))
}

// logoutEverywhere ends all sessions of who asks.
func (s *Server) logoutEverywhere(ctx *fasthttp.RequestCtx, a args) error {
	return s.signOut(ctx, a, "sign out everywhere", s.cfg.Sessions.EndOf(a.who.User))
}

func (s *Server) signOut(ctx *fasthttp.RequestCtx, a args, action string, changed auth.Changes) error {
	a.note = s.newNote(ctx, &a.who, action)
	c, cancel := s.change(a)
	defer cancel()
	if err := s.keep(c, changed); err != nil {
		return err
	}
	s.setCookie(ctx, "")
	ctx.Response.Header.Set(fasthttp.HeaderLocation, "/login")
	ctx.Response.Header.Set("Clear-Site-Data", `"cache", "storage"`)
	ctx.SetStatusCode(fasthttp.StatusSeeOther)
	return nil
}
