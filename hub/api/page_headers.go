package api

import (
	"github.com/valyala/fasthttp"
)

const cspBody = 8 << 10 // bytes of a browser's complaint

// pagePolicy lets a page load what the hub serves itself, and send forms to it:
// no script or style in the page, nothing from elsewhere.
const pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; font-src 'self'; " +
	"base-uri 'none'; form-action 'self'; frame-ancestors 'none'; report-uri /csp-report"

// pageHeaders are what every page is sent with. The referrer stays within the
// hub; without any, browsers would call the origin of a form "null".
var pageHeaders = [...][2]string{
	{fasthttp.HeaderContentSecurityPolicy, pagePolicy},
	{fasthttp.HeaderCacheControl, "no-store"},
	{fasthttp.HeaderXContentTypeOptions, "nosniff"},
	{fasthttp.HeaderReferrerPolicy, "same-origin"},
	{"Cross-Origin-Opener-Policy", "same-origin"},
	{"Cross-Origin-Resource-Policy", "same-origin"},
	{"Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()"},
}

// protect gives a page its headers before its handler runs, which may set others.
func protect(ctx *fasthttp.RequestCtx) {
	for _, h := range pageHeaders {
		ctx.Response.Header.Set(h[0], h[1])
	}
}

// Immutable lets browsers keep what they were sent for ever: its address changes
// with it.
func Immutable(ctx *fasthttp.RequestCtx) {
	ctx.Response.Header.Set(fasthttp.HeaderCacheControl, "public, max-age=31536000, immutable")
	ctx.Response.Header.Set(fasthttp.HeaderXContentTypeOptions, "nosniff")
}

// cspReport counts what a browser refused to load: a page is wrong, or somebody
// tried. What the report says is a stranger's word, and not logged.
func (s *Server) cspReport(ctx *fasthttp.RequestCtx, _ args) error {
	s.counts.cspReports.Add(1)
	s.complaints.add()
	ctx.SetStatusCode(fasthttp.StatusNoContent)
	return nil
}
