package api

import (
	"bytes"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"felhom.eu/hub/auth"
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

// addressOf is where a request came from, without the port.
func addressOf(ctx *fasthttp.RequestCtx) netip.Addr {
	a, _ := netip.AddrFromSlice(ctx.RemoteIP())
	return a.Unmap()
}

// keepLater makes a change of sessions durable that nobody has to wait for: that
// one was seen, or is over.
func (s *Server) keepLater(c auth.Changes) {}

// signIn opens a session and sends the browser to the first page.
func (s *Server) signIn(ctx *fasthttp.RequestCtx, cookie string) {
	s.setCookie(ctx, cookie)
	ctx.Response.Header.Set(fasthttp.HeaderLocation, "/")
	ctx.SetStatusCode(fasthttp.StatusSeeOther)
}

// logout ends the session that asks for it, and this browser's cookie.
func (s *Server) logout(ctx *fasthttp.RequestCtx, a args) error {
	s.keepLater(s.cfg.Sessions.Drop(a.who.Hash))
	s.setCookie(ctx, "")
	ctx.Response.Header.Set(fasthttp.HeaderLocation, "/login")
	ctx.Response.Header.Set("Clear-Site-Data", `"cache", "storage"`)
	ctx.SetStatusCode(fasthttp.StatusSeeOther)
	return nil
}
