package api

import (
	"slices"

	"github.com/valyala/fasthttp"

	"felhom.eu/hub/auth"
	"felhom.eu/messages"
)

// Page is an address for browsers. The server finds it, admits who asks, checks
// that a change was meant (a form has Who.CSRF in its field csrf, a script in
// X-CSRF-Token) and sets the headers that keep pages apart; Serve answers, errors
// too. A page whose path names a customer or host is not shown to who may not see
// it; what another page shows, Serve narrows by Who.May.
type Page struct {
	Method string
	Path   string // as a route's
	// Public is served to whoever asks: style sheets and the like.
	Public bool
	// Own is a POST that changes nothing but what is the asker's own, which every
	// role may; any other POST is for operators.
	Own   bool
	Serve func(*fasthttp.RequestCtx, Visit)
}

// Visit is who asks for a page, and what stands for each {…} in its path.
type Visit struct {
	Who    auth.Principal
	Params [maxParams]string
	Note   *messages.AuditNote // of a POST: what the audit log will say; messages.WithAudit hands it on
}

// withPages are the routes of the API with the dashboard's among them.
func withPages(rows []route, pages []Page) []route {
	all := slices.Clone(rows)
	for _, p := range pages {
		serve := p.Serve
		handle := func(_ *Server, ctx *fasthttp.RequestCtx, a args) error {
			serve(ctx, Visit{a.who, a.params, a.note})
			return nil
		}
		all = slices.DeleteFunc(all, func(r route) bool { return r.method == p.Method && r.path == p.Path })
		access := forPages
		switch {
		case p.Public:
			access = forAll
		case p.Own:
			access = forSessions
		}
		all = append(all, route{p.Method, p.Path, access, handle})
	}
	return all
}
