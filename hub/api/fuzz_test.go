package api

import (
	"bufio"
	"bytes"
	stdgzip "compress/gzip"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/valyala/fasthttp"

	"felhom.eu/messages"
	"felhom.eu/messages/mutation"
)

// targets are the hub's readers of what comes from outside, by the names of
// their fuzz functions. The whole handler serves in memory, and still gets only
// a tenth of the inputs.
func targets(testing.TB) map[string]mutation.Target {
	words := []string{"\r\n", "\n", "\r", " ", ":", "?", "&", "=", "%00", "%2f", "..", "//", ";", "Content-Length: ", "Transfer-Encoding: chunked\r\n",
		"Expect: 100-continue\r\n", "Content-Encoding: gzip\r\n", "Connection: close\r\n", "Authorization: Bearer ", "HTTP/1.0", "0\r\n\r\n", "ffffffffffffffff", "-1",
		"limit=1", "cursor=", hostID, otherID, ulid(1), hostKey, otherKey, globalKey, smuggled}
	return map[string]mutation.Target{
		"Connection": {Seeds: wires(), Words: words, Cost: 10, Check: checkWire},
		"Request":    {Seeds: requests(), Words: words, Cost: 10, Check: checkRequest},
		"Cursor": {Seeds: cursors(), Words: []string{"=", "==", "A", "_", "-", "+", "/", "\n"}, Check: func(t testing.TB, b []byte) bool {
			return checkCursor(t, string(b))
		}},
		"Gzip":   {Seeds: packed(), Words: []string{"\x1f\x8b\x08", "\x00\x00\xff\xff", "\x03\x00", "\x04"}, Cost: 2, Check: checkGzip, Quick: gzipAlone},
		"Bearer": {Seeds: credentials(), Words: []string{"Bearer ", "bearer ", "Basic ", " ", ":", "=", hostKey, "0"}, Check: checkBearer},
		"Query":  {Seeds: queries(), Words: []string{"&", "=", "%", "%00", "limit=", "cursor=", "+", ";", "1000", "1001"}, Check: checkQuery},
	}
}

func FuzzConnection(f *testing.F) { mutation.Fuzz(f, targets(f)["Connection"]) }
func FuzzRequest(f *testing.F)    { mutation.Fuzz(f, targets(f)["Request"]) }
func FuzzCursor(f *testing.F)     { mutation.Fuzz(f, targets(f)["Cursor"]) }
func FuzzGzip(f *testing.F)       { mutation.Fuzz(f, targets(f)["Gzip"]) }
func FuzzBearer(f *testing.F)     { mutation.Fuzz(f, targets(f)["Bearer"]) }
func FuzzQuery(f *testing.F)      { mutation.Fuzz(f, targets(f)["Query"]) }

// Whatever arrives, the hub lives, answers HTTP, believes no key that is none,
// and tells none.
func TestMutations(t *testing.T) { mutation.Run(t, targets(t)) }

// wireConn is a connection whose other end sent everything at once and closed
// its side.
type wireConn struct {
	in  bytes.Reader
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

func wires() (all [][]byte) {
	for _, s := range []string{
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
	} {
		all = append(all, []byte(s))
	}
	return all
}

// requests are one for each route there is: a line with method, target and the
// first letter of who asks, and the body.
func requests() (all [][]byte) {
	bodies := map[string]string{
		"/api/v1/host-report":     someReport,
		"/api/v1/host-goodbye":    `{"host_id":"` + hostID + `","sent_at":"2026-06-08T14:20:09Z","reason":"reboot","back_by":"2026-06-08T14:30:09Z"}`,
		"/api/v1/admin/customers": `{"customer_id":"umbra","display_name":"Umbra"}`,
		"/api/v1/admin/hosts":     `{"customer_id":"acme","poll_interval_seconds":300}`,
		"/api/v1/admin/routes":    `{"customer_id":"acme","kind":"webhook","url":"https://example.com/x","secret":"","events":["host_down"],"min_severity":"warning"}`,
	}
	params := strings.NewReplacer("{customer_id}", "acme", "{host_id}", hostID, "{report_id}", ulid(1), "{route_id}", ulid(1), "{delivery_id}", ulid(2))
	for _, r := range routes {
		who, body := "g", ""
		if r.access == forAgents {
			who = "h"
		}
		if r.method == "POST" {
			body = bodies[r.path]
		}
		all = append(all, []byte(r.method+" "+params.Replace(r.path)+" "+who+"\n"+body))
	}
	return append(all, []byte("GET /api/v1/admin/events?limit=5&type=host_down&host_id="+hostID+" g\n"), []byte("POST /api/v1/host-report o\n"+someReport))
}

// fuzzed is a server for one input after the other; making one for each costs
// more than serving.
type fuzzed struct {
	*Server
	fleet *fakeFleet
	logs  *logBuffer
	conn  wireConn
}

var fuzzedServers = sync.Pool{New: func() any {
	f := &fuzzed{fleet: newFakeFleet(), logs: new(logBuffer)}
	f.fleet.backupFunc = func(w io.Writer) error { _, err := io.WriteString(w, "a backup"); return err }
	f.Server = New(Config{MaxBodyBytes: 16 << 10, MaxConns: 10}, testKeys(), f.fleet, zerolog.New(f.logs).Level(zerolog.DebugLevel))
	return f
}}

// serve answers a connection's bytes, with a fleet as new.
func (f *fuzzed) serve(wire []byte) (answers []byte, logs string) {
	fresh := newFakeFleet()
	fresh.hosts[hostID] = HostView{Host: messages.Host{ID: hostID, CustomerID: "acme"}}
	f.fleet.customers, f.fleet.hosts, f.fleet.routes = fresh.customers, fresh.hosts, nil
	f.fleet.recorded, f.fleet.bodies, f.fleet.goodbyes, f.fleet.asked = nil, nil, nil, nil
	f.logs.mu.Lock()
	f.logs.b.Reset()
	f.logs.mu.Unlock()
	f.conn.in.Reset(wire)
	f.conn.out.Reset()
	if err := f.everyone.http.ServeConn(&f.conn); err != nil {
		connLogger{f.log}.Printf("error when serving connection %q<->%q: %v", f.conn.LocalAddr(), f.conn.RemoteAddr(), err)
	}
	return f.conn.out.Bytes(), f.logs.String()
}

var keyOfHost = map[messages.HostID]string{hostID: hostKey, otherID: otherKey}

// checkWire serves one connection's bytes and fails when the server panics,
// blames itself, answers what is no HTTP, tells a key, or believes somebody who
// showed none.
func checkWire(t testing.TB, wire []byte) (taken bool) {
	f := fuzzedServers.Get().(*fuzzed)
	defer fuzzedServers.Put(f)
	return f.checkWire(t, wire)
}

func (f *fuzzed) checkWire(t testing.TB, wire []byte) (taken bool) {
	before := f.counts.panics.Load()
	answers, logs := f.serve(wire)
	if f.counts.panics.Load() != before {
		t.Errorf("a panic for %q: %s", wire, logs)
	}
	method := "GET"
	if bytes.HasPrefix(wire, []byte("HEAD ")) {
		method = "HEAD"
	}
	if len(answers) > 0 {
		res, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(answers)), &http.Request{Method: method})
		if err != nil || res.StatusCode == 500 {
			t.Errorf("%q was answered %q: %v", wire, answers, err)
			return false
		}
		taken = res.StatusCode < 300
	}
	untold(t, "the log", logs)
	// A request may name in a value what the server then shows: only a key that
	// the answer could know from elsewhere is told.
	if !bytes.Contains(wire, []byte("customer_id")) && !bytes.Contains(wire, []byte("/login?")) {
		untold(t, "an answer", string(answers))
	}
	for _, r := range f.fleet.recorded {
		if !bytes.Contains(wire, []byte(globalKey)) && !bytes.Contains(wire, []byte(keyOfHost[r.HostID])) {
			t.Errorf("%q recorded a report of %s", wire, r.HostID)
		}
	}
	return taken
}

// checkRequest serves one request in right framing: the answer is right for its
// body, and is JSON where it says so.
func checkRequest(t testing.TB, input []byte) (taken bool) {
	line, body, _ := bytes.Cut(input, []byte("\n"))
	word := bytes.SplitN(line, []byte(" "), 3)
	if len(word) < 3 || bytes.ContainsAny(line, "\r") {
		return false
	}
	key := map[string]string{"g": globalKey, "h": hostKey, "o": otherKey, "c": customerKey}[string(word[2])]
	wire := fmt.Appendf(nil, "%s %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", word[0], word[1], key, len(body), body)
	f := fuzzedServers.Get().(*fuzzed)
	defer fuzzedServers.Put(f)
	taken = f.checkWire(t, wire)
	answers := f.conn.out.Bytes()
	if len(answers) == 0 {
		return taken
	}
	res, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(answers)), &http.Request{Method: string(word[0])})
	if err != nil {
		t.Fatalf("%q: %v", wire, err)
	}
	text, err := io.ReadAll(res.Body)
	if err != nil || res.Header.Get("Content-Type") == "application/json" && string(word[0]) != "HEAD" && !json.Valid(text) {
		t.Errorf("%q was answered %q: %v", wire, answers, err)
	}
	if string(line) == "POST "+reportPath+" h" {
		var s messages.Summary
		good := messages.Scan(body, &s) == nil && s.HostID == hostID && len(body) <= f.cfg.MaxBodyBytes
		if good != (res.StatusCode == 200) || good != (len(f.fleet.recorded) == 1) {
			t.Errorf("%q: %d, %d recorded, good by itself: %t", body, res.StatusCode, len(f.fleet.recorded), good)
		}
	}
	return taken
}

func cursors() [][]byte {
	return [][]byte{[]byte(makeCursor(hostList, hostID)), []byte(makeCursor(eventList, ulid(1))),
		[]byte(makeReportCursor(messages.ReportRef{Day: 1, Batch: 2, Entry: 3})), []byte("====")}
}

// A cursor comes back from outside: it is one that we made, or refused.
func checkCursor(t testing.TB, cursor string) (taken bool) {
	r, err := readReportCursor(cursor)
	if taken = err == nil; taken && cursor != "" && makeReportCursor(r) != cursor {
		t.Errorf("%q reads as %+v, which writes as %q", cursor, r, makeReportCursor(r))
	}
	for _, list := range []byte{hostList, customerList} {
		id, err := after(query{cursor: cursor}, list, messages.ParseHostID)
		if err == nil && cursor != "" && makeCursor(list, string(id)) != cursor {
			t.Errorf("%q reads as %q, which writes as %q", cursor, id, makeCursor(list, string(id)))
		}
		if _, err := messages.ParseHostID(string(id)); err == nil != (id != "") {
			t.Errorf("%q gave the id %q", cursor, id)
		}
		taken = taken || err == nil
	}
	return taken
}

const gzipLimit = 1 << 10 // bytes, of checkGzip

func packed() (all [][]byte) {
	for _, level := range []int{stdgzip.NoCompression, stdgzip.BestSpeed, stdgzip.HuffmanOnly} {
		for _, text := range []string{"", "{}", someReport, strings.Repeat("x", gzipLimit), strings.Repeat("x", gzipLimit+1), strings.Repeat("bomb", 4<<10)} {
			var b bytes.Buffer
			w, _ := stdgzip.NewWriterLevel(&b, level)
			w.Name = "a"
			_, _ = w.Write([]byte(text))
			_ = w.Close()
			if b.Len() < 2*gzipLimit {
				all = append(all, b.Bytes(), append(bytes.Clone(b.Bytes()), b.Bytes()...))
			}
		}
	}
	return all
}

// reservedFlags tells a gzip header whose reserved bits are not zero, which RFC
// 1952 wants refused; compress/gzip is lenient.
func reservedFlags(b []byte) bool {
	for {
		_, rest, found := bytes.Cut(b, []byte("\x1f\x8b\x08"))
		if !found || len(rest) == 0 {
			return false
		}
		if rest[0] > 0x1f {
			return true
		}
		b = rest
	}
}

type unpackers struct {
	ours  inflater
	std   stdgzip.Reader
	texts bytes.Buffer
	gzip  *stdgzip.Writer
}

var allUnpackers = sync.Pool{New: func() any {
	w, err := stdgzip.NewWriterLevel(nil, stdgzip.HuffmanOnly)
	if err != nil {
		panic(err) // the level exists
	}
	return &unpackers{gzip: w}
}}

// checkGzip: the inflater and compress/gzip agree on every body, the buffer never
// grows beyond the limit, and what was packed comes out as it went in.
func checkGzip(t testing.TB, b []byte) (taken bool) {
	u := allUnpackers.Get().(*unpackers)
	defer allUnpackers.Put(u)
	got, err := u.ours.inflate(b, gzipLimit)
	if len(u.ours.body) > gzipLimit+1 && len(u.ours.body) > firstBody {
		t.Fatalf("%d bytes in the buffer for %x", len(u.ours.body), b)
	}
	u.texts.Reset()
	wantErr := u.std.Reset(bytes.NewReader(b))
	if wantErr == nil {
		_, wantErr = io.Copy(&u.texts, io.LimitReader(&u.std, gzipLimit+1))
	}
	want := u.texts.Bytes()
	switch {
	case len(want) > gzipLimit:
		if err == nil { // or else damaged behind the limit
			t.Fatalf("%x: %v, it is over %d bytes", b, err, gzipLimit)
		}
	case err != nil && reservedFlags(b):
	case wantErr != nil && err == nil, wantErr == nil && err != nil:
		t.Fatalf("%x: %v, want %v", b, err, wantErr)
	case err == nil && !bytes.Equal(got, want):
		t.Fatalf("%x: got %q, want %q", b, got, want)
	case err != nil && !errors.Is(err, errNotGzip) && !errors.Is(err, errBodyTooLarge):
		t.Fatalf("%x: %v", b, err)
	}
	taken = err == nil
	if len(b)%16 != 0 { // packing takes longer than all else
		return taken
	}
	u.texts.Reset()
	u.gzip.Reset(&u.texts)
	_, _ = u.gzip.Write(b)
	_ = u.gzip.Close()
	if got, err := u.ours.inflate(u.texts.Bytes(), len(b)); err != nil || !bytes.Equal(got, b) {
		t.Fatalf("%x came back as %x, %v", b, got, err)
	}
	return taken
}

// gzipAlone: the buffer never grows beyond the limit, and what is no gzip is
// told as that.
func gzipAlone(t testing.TB, b []byte) (taken bool) {
	u := allUnpackers.Get().(*unpackers)
	defer allUnpackers.Put(u)
	_, err := u.ours.inflate(b, gzipLimit)
	if len(u.ours.body) > gzipLimit+1 && len(u.ours.body) > firstBody {
		t.Fatalf("%d bytes in the buffer for %x", len(u.ours.body), b)
	}
	if err != nil && !errors.Is(err, errNotGzip) && !errors.Is(err, errBodyTooLarge) {
		t.Fatalf("%x: %v", b, err)
	}
	return err == nil
}

func credentials() (all [][]byte) {
	for _, s := range []string{"Bearer " + hostKey, "bearer " + globalKey, "BEARER " + wrongKey, "Bearer", "",
		"Basic " + base64.StdEncoding.EncodeToString([]byte("x:"+globalKey)), "Basic Og==", hostKey} {
		all = append(all, []byte(s))
	}
	return all
}

var (
	bearerKeys   = testKeys()
	bearerShape  = regexp.MustCompile(`(?is)\Abearer (.*)\z`)
	knownBearers = map[string]bool{globalKey: true, hostKey: true, otherKey: true, customerKey: true}
)

// checkBearer: a header opens exactly when it is "Bearer" and one of the keys.
func checkBearer(t testing.TB, value []byte) (taken bool) {
	var h fasthttp.RequestHeader
	h.SetBytesV(fasthttp.HeaderAuthorization, value)
	sent := h.Peek(fasthttp.HeaderAuthorization) // without the line ends that a header cannot have
	key := presented(&h)
	who, ok := bearerKeys.Lookup(key, time.Now())
	m := bearerShape.FindSubmatch(sent)
	if want := m != nil && knownBearers[string(m[1])]; ok != want {
		t.Fatalf("%q opens: %t, as %+v", sent, ok, who)
	}
	h.Add(fasthttp.HeaderAuthorization, "Bearer "+hostKey)
	if key := presented(&h); len(sent) > 0 && key != nil {
		t.Fatalf("%q and a second header give %q", sent, key)
	}
	return ok
}

func queries() [][]byte {
	return [][]byte{[]byte("limit=2&cursor=aGFjbWUtN2YzYTkwYzE&state=ok"), []byte("customer_id=acme"), []byte("limit=1000&state="), []byte("a=%20+b")}
}

// checkQuery: a list's question is read as it was meant or refused.
func checkQuery(t testing.TB, text []byte) (taken bool) {
	var ctx fasthttp.RequestCtx
	ctx.Request.URI().SetQueryStringBytes(text)
	q, err := readQuery(&ctx, "state", "customer_id")
	if err != nil {
		var field *fieldError
		if !errors.As(err, &field) || len(err.Error()) > 400 || strings.ContainsAny(err.Error(), "\r\n\x00\x1b") {
			t.Fatalf("%q: unfit to answer with: %q", text, err)
		}
		return false
	}
	if q.limit < 1 || q.limit > maxLimit {
		t.Fatalf("%q has the limit %d", text, q.limit)
	}
	for name, values := range q.Values {
		if len(values) != 1 || name != "limit" && name != "cursor" && name != "state" && name != "customer_id" {
			t.Fatalf("%q asks %s of %q", text, name, values)
		}
	}
	return true
}
