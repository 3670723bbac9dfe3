package api

import (
	_ "embed"

	"github.com/valyala/fasthttp"
)

//go:embed openapi.yaml
var openAPIDocument []byte

func (s *Server) openAPI(ctx *fasthttp.RequestCtx, _ args) error {
	ctx.Response.Header.SetContentType("application/yaml")
	ctx.Response.SetBodyRaw(openAPIDocument)
	return nil
}
