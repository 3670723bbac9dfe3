package api

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"felhom.eu/messages"
)

// wireConn is a connection whose other end sent everything at once and closed
// its side.
type wireConn struct {
	in  io.Reader
	out bytes.Buffer
}

func (c *wireConn) Read(p []byte) (int, error)       { return c.in.Read(p) }
func (c *wireConn) Write(p []byte) (int, error)      { return c.out.Write(p) }
func (c *wireConn) Close() error                     { return nil }
func (c *wireConn) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (c *wireConn) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (c *wireConn) SetDeadline(time.Time) error      { return nil }
func (c *wireConn) SetReadDeadline(time.Time) error  { return nil }
func (c *wireConn) SetWriteDeadline(time.Time) error { return nil }

var seeds = []string{
	post(fmt.Sprintf("Content-Length: %d\r\n", len(someReport)), someReport),
	post("Transfer-Encoding: chunked\r\n", fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(someReport), someReport)),
	post("Expect: 100-continue\r\nContent-Length: 2\r\n", "{}") + smuggled,
	post("Content-Encoding: gzip\r\nContent-Length: 4\r\n", "\x1f\x8b\x08\x00"),
	get("/api/v1/admin/hosts?limit=2&cursor=aGFjbWUtN2YzYTkwYzE&state=ok", ""),
	get("/api/v1/admin/hosts/"+hostID, ""), get("/", ""), get("/metrics", "Connection: close\r\n"),
	get("/api/v1/admin/events?after="+ulid(1)+"&type=host_down", ""), get("/login?token=x", "Cookie: felhom_session=abc\r\n"),
	strings.Replace(get("/api/v1/admin/customers", "Content-Length: 22\r\n"), "GET", "POST", 1) + `{"customer_id":"umbra"}`,
	strings.Replace(get("/api/v1/admin/routes", "Content-Length: 45\r\n"), "GET", "POST", 1) + `{"kind":"webhook","url":"https://example.com"}`,
	"GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Basic Og==\r\n\r\n",
}

// checkWire serves one connection's bytes and fails when the server panics,
// blames itself, answers what is no HTTP, or tells a key.
func checkWire(t *testing.T, wire []byte) {
	t.Helper()
	fleet, logs := newFakeFleet(), new(bytes.Buffer)
	s := New(Config{MaxBodyBytes: 16 << 10, MaxConns: 10}, testKeys(), fleet, zerolog.New(logs).Level(zerolog.DebugLevel))
	c := &wireConn{in: bytes.NewReader(wire)}
	if err := s.everyone.http.ServeConn(c); err != nil {
		connLogger{s.log}.Printf("error when serving connection %q<->%q: %v", c.LocalAddr(), c.RemoteAddr(), err)
	}
	if n := s.counts.panics.Load(); n != 0 {
		t.Errorf("%d panics for %q: %s", n, wire, logs)
	}
	method := "GET"
	if bytes.HasPrefix(wire, []byte("HEAD ")) {
		method = "HEAD"
	}
	answers := c.out.Bytes()
	res, err := http.ReadResponse(newReader(answers), &http.Request{Method: method})
	if len(answers) > 0 && (err != nil || res.StatusCode == 500) {
		t.Errorf("%q was answered %q: %v", wire, answers, err)
	}
	untold(t, "the log", logs.String())
	// A request may name in a value what the server then shows: only a key that
	// the answer could know from elsewhere is told.
	if !bytes.Contains(wire, []byte("customer_id")) {
		untold(t, "an answer", string(answers))
	}
}

// Whatever arrives on a connection, the hub lives, answers HTTP and tells no key.
func FuzzConnection(f *testing.F) {
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	f.Fuzz(checkWire)
}

// The same without coverage, by splicing and flipping: it runs with every test.
func TestMutatedConnections(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	n := 3000
	if testing.Short() {
		n = 300
	}
	for range n {
		a, b := seeds[r.IntN(len(seeds))], seeds[r.IntN(len(seeds))]
		wire := []byte(a[:r.IntN(len(a)+1)] + b[r.IntN(len(b)):])
		for range r.IntN(4) {
			wire[r.IntN(len(wire))] = byte(r.IntN(256))
		}
		checkWire(t, wire)
		if t.Failed() {
			return
		}
	}
}

// A cursor comes back from outside: it is one that we made, or refused.
func FuzzCursor(f *testing.F) {
	f.Add(makeCursor(hostList, hostID))
	f.Add(makeCursor(eventList, ulid(1)))
	f.Add(makeReportCursor(messages.ReportRef{Day: 1, Batch: 2, Entry: 3}))
	f.Add("====")
	f.Fuzz(func(t *testing.T, cursor string) {
		if r, err := readReportCursor(cursor); err == nil && cursor != "" && makeReportCursor(r) != cursor {
			t.Errorf("%q reads as %+v, which writes as %q", cursor, r, makeReportCursor(r))
		}
		id, err := after(query{cursor: cursor}, hostList, messages.ParseHostID)
		if err == nil && cursor != "" && makeCursor(hostList, string(id)) != cursor {
			t.Errorf("%q reads as %q, which writes as %q", cursor, id, makeCursor(hostList, string(id)))
		}
		if _, err := messages.ParseHostID(string(id)); err == nil != (id != "") {
			t.Errorf("%q gave the id %q", cursor, id)
		}
	})
}
