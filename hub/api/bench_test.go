package api

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"testing"

	"github.com/rs/zerolog"
	"github.com/valyala/fasthttp"
	"github.com/valyala/fasthttp/fasthttputil"

	"felhom.eu/messages"
)

// noFleet accepts at no cost, so that what is measured is the way to it.
type noFleet struct{ *fakeFleet }

func (noFleet) Record(*messages.Summary, []byte) (Receipt, error) {
	return Receipt{PollIntervalSeconds: 900}, nil
}

// fullReport is someReport with the eight guests of a usual host, about 2 KiB.
var fullReport = func() []byte {
	guest := []byte(`{"vmid":101,"kind":"lxc","name":"web","status":"running","controller_version":""}`)
	var guests []byte
	for i := range 8 {
		guests = fmt.Appendf(guests, `{"vmid":%d,"kind":"lxc","name":"web-%d","status":"running","controller_version":"","spec":{"cores":2,"memory_bytes":2147483648,"disk_bytes":8589934592},"uptime_seconds":86400,"cpu_used_ratio":0.01},`, 101+i, i)
	}
	return bytes.Replace([]byte(someReport), guest, guests[:len(guests)-1], 1)
}()

func fullRequest() []byte {
	return append([]byte(post(fmt.Sprintf("Content-Type: application/json\r\nContent-Length: %d\r\n", len(fullReport)), "")), fullReport...)
}

// BenchmarkHandler is the handler alone: route, authenticate twice, scan, answer.
func BenchmarkHandler(b *testing.B) {
	s := New(Config{}, testKeys(), noFleet{newFakeFleet()}, zerolog.Nop())
	var ctx fasthttp.RequestCtx
	if err := ctx.Request.Read(bufio.NewReader(bytes.NewReader(fullRequest()))); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(fullReport)))
	b.ReportAllocs()
	for b.Loop() {
		s.everyone.headerReceived(&ctx.Request.Header)
		s.everyone.handle(&ctx)
	}
	if ctx.Response.StatusCode() != 200 {
		b.Fatal(ctx.Response.String())
	}
}

// BenchmarkConnection compares the hot path with fasthttp's echo on in-memory
// connections: their ratio is what our part of ingest costs.
func BenchmarkConnection(b *testing.B) {
	for _, c := range []struct {
		name string
		http *fasthttp.Server
	}{
		{"echo", &fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) { ctx.Response.SetBodyRaw(ctx.PostBody()[:100]) }}},
		{"report", New(Config{}, testKeys(), noFleet{newFakeFleet()}, zerolog.Nop()).everyone.http},
	} {
		b.Run(c.name, func(b *testing.B) {
			ln := fasthttputil.NewInmemoryListener()
			go c.http.Serve(ln)
			defer c.http.ShutdownWithContext(context.Background())
			b.ReportAllocs()
			b.SetParallelism(16)
			b.RunParallel(func(pb *testing.PB) {
				conn, err := ln.Dial()
				if err != nil {
					b.Error(err)
					return
				}
				defer conn.Close()
				exchange(b, pb, conn)
			})
		})
	}
}

func exchange(b *testing.B, pb *testing.PB, c net.Conn) {
	request, br := fullRequest(), newReader(nil)
	br.Reset(c)
	var res fasthttp.Response
	for pb.Next() {
		if _, err := c.Write(request); err != nil {
			b.Error(err)
			return
		}
		if err := res.Read(br); err != nil || res.StatusCode() != 200 {
			b.Errorf("%v %s", err, &res)
			return
		}
	}
}

func newReader(p []byte) *bufio.Reader { return bufio.NewReader(io.Reader(bytes.NewReader(p))) }

var raceEnabled bool

// The hot path makes no garbage: what it needs is pooled or made once.
func TestReportAllocatesNothing(t *testing.T) {
	s := New(Config{}, testKeys(), noFleet{newFakeFleet()}, zerolog.Nop())
	var ctx fasthttp.RequestCtx
	if err := ctx.Request.Read(newReader(fullRequest())); err != nil {
		t.Fatal(err)
	}
	run := func() {
		s.everyone.headerReceived(&ctx.Request.Header)
		s.everyone.handle(&ctx)
	}
	run()
	if n := testing.AllocsPerRun(200, run); n > 0 && !raceEnabled {
		t.Errorf("%v allocations a report, want 0", n)
	}
	if ctx.Response.StatusCode() != 200 {
		t.Fatal(ctx.Response.String())
	}
}
