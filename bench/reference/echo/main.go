// Command echo is the upper bound that ingest is compared with: a fasthttp
// server that reads the body and answers a constant. It checks nothing and
// keeps nothing.
package main

import (
	"flag"
	"fmt"
	"os"

	"github.com/valyala/fasthttp"
)

var answer = []byte(`{"status":"ok","poll_interval_seconds":900,"blocked":false,"desired_generation":0,"has_signed_ops":false}`)

func main() {
	addr := flag.String("addr", "127.0.0.1:8081", "listen on `ip:port`")
	flag.Parse()
	s := &fasthttp.Server{NoDefaultServerHeader: true, Handler: func(ctx *fasthttp.RequestCtx) {
		_ = ctx.PostBody()
		ctx.SetContentType("application/json")
		ctx.SetBody(answer)
	}}
	if err := s.ListenAndServe(*addr); err != nil {
		fmt.Fprintln(os.Stderr, "echo:", err)
		os.Exit(1)
	}
}
