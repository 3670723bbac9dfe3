package api

import (
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
	"github.com/valyala/fasthttp"

	"felhom.eu/messages"
)

var announcement = fmt.Sprintf("Content-Length: %d\r\n", messages.MaxBodyBytes)

// Keys that announce more than there is room for are told to come again before
// their bodies are read, while small bodies are served; and all room is free
// again when the others hang up.
func TestLargeBodiesShareARoom(t *testing.T) {
	h := newHub(t, func(c *Config) { c.ReadTimeout = 20 * time.Second })
	const callers = 40
	conns := make([]net.Conn, callers)
	answers := make(chan []reply, callers)
	for i := range conns {
		framing := announcement
		if i%2 == 0 {
			framing = "Transfer-Encoding: chunked\r\n"
		}
		conns[i] = h.dial(t)
		io.WriteString(conns[i], post(framing, "1"))
		go func() { answers <- readReplies(conns[i]) }()
	}
	for range callers - bodyRoom/messages.MaxBodyBytes {
		r := <-answers
		if len(r) != 1 || r[0].status != 503 || r[0].code(t) != messages.CodeUnavailable || r[0].header.Get("Retry-After") == "" {
			t.Fatalf("got %+v, want a 503", r)
		}
	}
	if used := h.room.used.Load(); used != bodyRoom {
		t.Errorf("%d bytes are taken, want %d", used, bodyRoom)
	}
	large := someReport + strings.Repeat(" ", freeBody)
	if r := h.do(t, "POST", reportPath, hostKey, someReport); r.status != 200 {
		t.Errorf("a small body: %d %s", r.status, r.body)
	}
	if r := h.do(t, "POST", reportPath, hostKey, large); r.status != 503 {
		t.Errorf("a large body: %d %s", r.status, r.body)
	}
	if r := h.do(t, "POST", reportPath, hostKey, gzipped(t, large), "Content-Encoding", "gzip"); r.status != 503 {
		t.Errorf("a body that inflates to a large one: %d %s", r.status, r.body)
	}
	for _, c := range conns {
		c.Close()
	}
	h.untilFree(t)
	for range 2 * bodyRoom / freeBody {
		if r := h.do(t, "POST", reportPath, hostKey, large); r.status != 200 {
			t.Fatalf("a large body when there is room: %d %s", r.status, r.body)
		}
	}
	h.untilFree(t)
}

// However a request with a large body ends, its room is free afterwards: at once,
// or, when it ends before it is told to continue, at the time it would have.
func TestRoomIsNotLeaked(t *testing.T) {
	h := newHub(t, func(c *Config) { c.ReadTimeout = 300 * time.Millisecond })
	large := someReport + strings.Repeat(" ", freeBody)
	bad := large + "x"
	ends := []string{
		post(announcement, ""),
		post(announcement, strings.Repeat("{", freeBody)),
		post("Transfer-Encoding: chunked\r\n", "4\r\n{}"),
		post("Transfer-Encoding: chunked\r\n", "zz\r\n"),
		post("Transfer-Encoding: chunked\r\n", "2\r\n{}\r\n0\r\n\r\n"),
		post(fmt.Sprintf("Content-Length: %d\r\n", len(large)), large),
		post(fmt.Sprintf("Content-Length: %d\r\n", len(bad)), bad),
		post(fmt.Sprintf("Content-Length: %d\r\nContent-Encoding: gzip\r\n", len(large)), large),
	}
	each := 400
	if testing.Short() {
		each = 100
	}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for n := range each {
				c, err := net.Dial("tcp", h.addr)
				if err != nil {
					t.Error(err)
					return
				}
				io.WriteString(c, ends[(i+n)%len(ends)])
				if n%2 == 0 { // a reset, not an end
					c.(*net.TCPConn).SetLinger(0)
				}
				if n%50 == 1 { // until the hub has had enough
					c.(*net.TCPConn).CloseWrite()
					io.Copy(io.Discard, c)
				}
				c.Close()
			}
		})
	}
	wg.Wait()
	h.untilFree(t)
	for range 100 {
		c := h.dial(t)
		io.WriteString(c, post(announcement+"Expect: 100-continue\r\n", ""))
		c.(*net.TCPConn).SetLinger(0)
		c.Close()
	}
	if r := h.do(t, "POST", reportPath, hostKey, someReport); r.status != 200 {
		t.Errorf("a small body: %d %s", r.status, r.body)
	}
	h.room.mu.Lock()
	defer h.room.mu.Unlock()
	h.room.sweep(time.Now().Add(h.room.alive))
	if h.room.used.Load() != 0 || len(h.room.held) != 0 {
		t.Errorf("%d bytes of %d are left", h.room.used.Load(), len(h.room.held))
	}
}

// What a request took is free again when it cannot be alive, even if nobody
// said that it ended; and not before.
func TestRoomOfRequestsThatVanished(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRoom(4*freeBody, time.Minute)
		headers := make([]fasthttp.RequestHeader, 3)
		for range 2 {
			if !r.take(&headers[0], 2*freeBody) {
				t.Fatal("an empty room is full")
			}
		}
		time.Sleep(time.Minute)
		if r.take(&headers[1], freeBody+1) {
			t.Error("a full room is free")
		}
		if !r.take(&headers[1], freeBody) {
			t.Error("a small body needs room")
		}
		time.Sleep(time.Nanosecond)
		if !r.take(&headers[1], 4*freeBody) {
			t.Error("what vanished is still there")
		}
		if r.release(&headers[0]) || !r.release(&headers[1]) || r.used.Load() != 0 || len(r.held) != 0 {
			t.Errorf("%d bytes of %v are left", r.used.Load(), r.held)
		}
	})
}

// A bomb neither takes an inflater away nor keeps more than its buffer, and a
// body that waits too long for one is told to come again.
func TestInflatersAreFew(t *testing.T) {
	h := newHub(t)
	bomb := strings.Repeat(gzipped(t, strings.Repeat("\x00", 1<<20)), 16)
	for range 3 * maxInflate {
		if r := h.do(t, "POST", reportPath, hostKey, bomb, "Content-Encoding", "gzip"); r.code(t) != messages.CodeBodyTooLarge {
			t.Fatalf("got %d %s", r.status, r.body)
		}
	}
	var taken []*inflater
	for range maxInflate {
		f, err := h.inflaters.get()
		if err != nil {
			t.Fatal(err)
		}
		if cap(f.body) > messages.MaxBodyBytes+1 {
			t.Errorf("an inflater keeps %d bytes", cap(f.body))
		}
		taken = append(taken, f)
	}
	packed := gzipped(t, someReport)
	if r := h.do(t, "POST", reportPath, hostKey, packed, "Content-Encoding", "gzip"); r.status != 503 {
		t.Errorf("none left: %d %s", r.status, r.body)
	}
	for _, f := range taken {
		h.inflaters.put(f)
	}
	if r := h.do(t, "POST", reportPath, hostKey, packed, "Content-Encoding", "gzip"); r.status != 200 {
		t.Errorf("all there: %d %s", r.status, r.body)
	}
}

// Bodies of any size inflate to what was packed, up to the limit and no further,
// whatever an inflater did before.
func TestInflate(t *testing.T) {
	var f inflater
	for _, size := range []int{0, 1, firstBody - 1, firstBody, firstBody + 1, 100_000, 5, 99_999} {
		text := strings.Repeat("x", size)
		b, err := f.inflate([]byte(gzipped(t, text)), 100_000)
		if err != nil || string(b) != text {
			t.Errorf("%d bytes: got %d, %v", size, len(b), err)
		}
		if _, err := f.inflate([]byte(gzipped(t, text))[:12], 100_000); err != errNotGzip {
			t.Errorf("cut short: %v", err)
		}
		if _, err := f.inflate([]byte(gzipped(t, text+"x")), size); err != errBodyTooLarge {
			t.Errorf("%d bytes and one: %v", size, err)
		}
	}
}

// packedRequest is what an agent posts: a handler's context with its body packed.
func packedRequest(t testing.TB) (*fasthttp.RequestCtx, []byte) {
	packed := []byte(gzipped(t, string(fullReport)))
	ctx := new(fasthttp.RequestCtx)
	if err := ctx.Request.Read(newReader([]byte(post(fmt.Sprintf("Content-Encoding: gzip\r\nContent-Length: %d\r\n", len(packed)), string(packed))))); err != nil {
		t.Fatal(err)
	}
	return ctx, packed
}

// Agents pack their reports: that makes no garbage either.
func TestPackedReportAllocatesNothing(t *testing.T) {
	s := New(Config{}, testKeys(), noFleet{newFakeFleet()}, zerolog.Nop())
	ctx, packed := packedRequest(t)
	run := func() {
		ctx.Request.SetBody(packed)
		s.everyone.headerReceived(&ctx.Request.Header)
		s.everyone.handle(ctx)
	}
	run()
	if n := testing.AllocsPerRun(200, run); n > 0 && !raceEnabled {
		t.Errorf("%v allocations a report, want 0", n)
	}
	if ctx.Response.StatusCode() != 200 {
		t.Fatal(ctx.Response.String())
	}
}

// BenchmarkPacked is BenchmarkHandler with a report as agents send it.
func BenchmarkPacked(b *testing.B) {
	s := New(Config{}, testKeys(), noFleet{newFakeFleet()}, zerolog.Nop())
	ctx, packed := packedRequest(b)
	b.SetBytes(int64(len(fullReport)))
	b.ReportAllocs()
	for b.Loop() {
		ctx.Request.SetBody(packed)
		s.everyone.headerReceived(&ctx.Request.Header)
		s.everyone.handle(ctx)
	}
	if ctx.Response.StatusCode() != 200 {
		b.Fatal(ctx.Response.String())
	}
}

func (h *hub) dial(t *testing.T) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", h.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(15 * time.Second))
	return c
}

// untilFree waits for the hub to notice that everybody left.
func (h *hub) untilFree(t *testing.T) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.After(10 * time.Second); h.room.used.Load() != 0; {
		select {
		case <-tick.C:
		case <-end:
			t.Fatalf("%d bytes are still taken", h.room.used.Load())
		}
	}
}
