package api

import (
	"slices"

	"github.com/valyala/fasthttp"

	"felhom.eu/hub/auth"
)

// Page is an address for browsers. The server finds it and admits who asks; Serve
// answers, errors too.
type Page struct {
	Method string
	Path   string // as a route's
	Serve  func(*fasthttp.RequestCtx, Visit)
}

// Visit is who asks for a page, and what stands for each {…} in its path.
type Visit struct {
	Who    auth.Principal
	Params [maxParams]string
}

// withPages are the routes of the API with the dashboard's among them.
func withPages(rows []route, pages []Page) []route {
	all := slices.Clone(rows)
	for _, p := range pages {
		serve := p.Serve
		handle := func(_ *Server, ctx *fasthttp.RequestCtx, a args) error {
			serve(ctx, Visit{a.who, a.params})
			return nil
		}
		all = slices.DeleteFunc(all, func(r route) bool { return r.method == p.Method && r.path == p.Path })
		all = append(all, route{p.Method, p.Path, forPages, handle})
	}
	return all
}
