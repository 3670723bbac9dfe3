package api

import (
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"felhom.eu/messages"
)

const authHeader = "Authorization: Bearer " + hostKey + "\r\n"

// smuggled is a whole report of another host: when it is recorded, bytes that
// one reader takes for a body passed for a request.
var smuggled = fmt.Sprintf("POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n%s",
	reportPath, otherKey, len(otherReport), otherReport)

var otherReport = strings.Replace(someReport, hostID, otherID, 1)

func post(headers, rest string) string {
	return "POST " + reportPath + " HTTP/1.1\r\nHost: x\r\n" + authHeader + headers + "\r\n" + rest
}

func get(target, headers string) string {
	return "GET " + target + " HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + globalKey + "\r\n" + headers + "\r\n"
}

// A request that two readers could cut differently is refused, and what hides
// in it is never served: not by us behind a proxy that read it the other way.
func TestSmugglingIsRefused(t *testing.T) {
	h := newHub(t)
	for _, c := range []struct{ name, text string }{
		{"two lengths that differ", post("Content-Length: 3\r\nContent-Length: 5\r\n", "abc"+smuggled)},
		{"two lengths that agree, as a list", post("Content-Length: 3, 3\r\n", "abc"+smuggled)},
		{"length and chunks", post("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"+smuggled)},
		{"chunks and length", post("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n", "0\r\n\r\n"+smuggled)},
		{"xchunked", post("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"+smuggled)},
		{"chunked, identity", post("Transfer-Encoding: chunked, identity\r\n", "0\r\n\r\n"+smuggled)},
		{"two transfer encodings", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", "0\r\n\r\n"+smuggled)},
		{"chunks in HTTP/1.0", strings.Replace(post("Transfer-Encoding: chunked\r\n", "0\r\n\r\n"+smuggled), "HTTP/1.1", "HTTP/1.0", 1)},
		{"space before a colon", post("Content-Length : 5\r\n", "hello"+smuggled)},
		{"bare line feeds", strings.ReplaceAll(post("Content-Length: 2\r\n", "{}"), "\r\n", "\n") + smuggled},
		{"bare line feed before the body", strings.Replace(post("Content-Length: 2\r\n", "{}"), "\r\n\r\n", "\n\n", 1) + smuggled},
		{"folded line", post("X: a\r\n Content-Length: 2\r\n", smuggled)},
		{"bare carriage return", post("X: a\rContent-Length: 5\r\n", "hello"+smuggled)},
		{"line feed in a chunk extension", post("Transfer-Encoding: chunked\r\n", "2;\nxx\r\nhi\r\n0\r\n\r\n"+smuggled)},
		{"0x in a chunk's size", post("Transfer-Encoding: chunked\r\n", "0x2\r\nhi\r\n0\r\n\r\n"+smuggled)},
		{"chunk of 2^64", post("Transfer-Encoding: chunked\r\n", "ffffffffffffffff1\r\nhi\r\n0\r\n\r\n"+smuggled)},
		{"length +5", post("Content-Length: +5\r\n", "hello"+smuggled)},
		{"length -1", post("Content-Length: -1\r\n", "hello"+smuggled)},
		{"length of 2^66", post("Content-Length: 99999999999999999999\r\n", "hello"+smuggled)},
		{"no host", "POST " + reportPath + " HTTP/1.1\r\n" + authHeader + "\r\n" + smuggled},
		{"two hosts", post("Host: y\r\n", smuggled)},
		{"NUL in a header", post("X: a\x00b\r\n", smuggled)},
		{"bad method", strings.Replace(post("", smuggled), "POST", "P@ST", 1)},
		{"HTTP/0.9", "POST " + reportPath + "\r\n\r\n" + smuggled},
		{"HTTP/9.9", strings.Replace(post("", smuggled), "HTTP/1.1", "HTTP/9.9", 1)},
		{"HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + smuggled},
		{"TLS to the plain port", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + wrongKey + "\r\n\r\n"},
		{"a header that is none", post("Bad Header "+wrongKey+"\r\n", smuggled)},
		{"a header beyond the limit", post("X: "+strings.Repeat("p", 2*readBuffer)+wrongKey+"\r\n", smuggled)},
		{"a bad chunk", post("Transfer-Encoding: chunked\r\n", "zz"+wrongKey+"\r\n"+smuggled)},
	} {
		t.Run(c.name, func(t *testing.T) {
			replies := h.raw(t, c.text)
			if len(replies) > 1 {
				t.Errorf("%d answers on a connection that should have ended", len(replies))
			}
			for _, r := range replies {
				if r.status < 400 || r.status >= 500 {
					t.Errorf("answered %d %s", r.status, r.body)
				}
				r.code(t)
			}
		})
	}
	if n := h.fleet.count(); n != 0 {
		t.Errorf("%d reports were smuggled in", n)
	}
	// The set can fail: the smuggled request by itself is a good one.
	if r := h.raw(t, smuggled); len(r) != 1 || r[0].status != 200 {
		t.Errorf("the smuggled request alone: %+v", r)
	}
}

// Every pair of framings a request could claim: never more than the one request.
func TestFramingPermutations(t *testing.T) {
	h := newHub(t)
	lengths := []string{"", "Content-Length: 0\r\n", "Content-Length: 5\r\n", "content-length: 5\r\n", "Content-Length:5\r\n", "Content-Length: 5 \r\n",
		"Content-Length:\t5\r\n", "Content-Length: 0x5\r\n", "Content-Length: 5,6\r\n", "Content-Length: 5\r\nContent-Length: 5\r\n", "Content_Length: 5\r\n"}
	encodings := []string{"", "Transfer-Encoding: chunked\r\n", "transfer-encoding: CHUNKED\r\n", "Transfer-Encoding:\tchunked\r\n", "Transfer-Encoding: chunked \r\n",
		"Transfer-Encoding: \"chunked\"\r\n", "Transfer-Encoding: identity, chunked\r\n", "Transfer-Encoding: gzip\r\n", "Transfer-Encoding: chunked\r\n\tx\r\n",
		"Transfer_Encoding: chunked\r\n", "X: y\r\n Transfer-Encoding: chunked\r\n"}
	for _, l := range lengths {
		for _, e := range encodings {
			for _, headers := range []string{l + e, e + l} {
				both := strings.Contains(strings.ToLower(headers), "content-length:") && strings.Contains(strings.ToLower(headers), "\ntransfer-encoding:")
				replies := h.raw(t, post(headers, "0\r\n\r\n"+smuggled))
				ours := len(replies)
				if both && ours > 1 {
					t.Errorf("%q: %d answers", headers, ours)
				}
				if ours > 2 {
					t.Errorf("%q: %d answers to two requests", headers, ours)
				}
			}
		}
	}
}

// Paths that a proxy in front could read as another path are nobody's path.
func TestOnlyCanonicalPathsAreRouted(t *testing.T) {
	h := newHub(t)
	for _, target := range []string{
		"http://evil/api/v1/admin/customers", "//api/v1/admin/customers", "/api/v1/admin/../admin/customers", "/api/v1/admin/./customers",
		"/api/v1/admin/%63ustomers", "/api/v1/admin%2fcustomers", "/api/v1/admin/customers%00", "/api/v1/admin/customers;x", "/api/v1/admin/customers#x",
		"/healthz/..%2fapi/v1/admin/customers", "\\api\\v1\\admin\\customers", "/api/v1/admin/customers/%2e%2e", "/api/v1/admin/customers/..", "*", "/api/v1/admin/hosts/acme%2d7f3a90c1",
	} {
		for _, r := range h.raw(t, get(target, "Connection: close\r\n")) {
			if r.status != 404 && r.status != 400 {
				t.Errorf("%s: %d %s", target, r.status, r.body)
			}
			r.code(t)
		}
	}
	for _, target := range []string{"/api/v1/admin/customers", "/api/v1/admin/customers?limit=1"} {
		if r := h.raw(t, get(target, "Connection: close\r\n")); len(r) != 1 || r[0].status != 200 {
			t.Errorf("%s: %+v", target, r)
		}
	}
}

// Strangers who announce large bodies cost a header each, not the bodies: they
// are answered before a byte of body is read or room for it made.
func TestStrangersGetNoBodyBuffer(t *testing.T) {
	h := newHub(t)
	const strangers = 500
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	var wg sync.WaitGroup
	for i := range strangers {
		auth := ""
		if i%2 == 0 {
			auth = "Authorization: Bearer " + wrongKey + "\r\n"
		}
		wg.Go(func() {
			text := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: x\r\n%sContent-Length: %d\r\n\r\nx", reportPath, auth, messages.MaxBodyBytes)
			c, err := net.Dial("tcp", h.addr)
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			c.SetDeadline(time.Now().Add(20 * time.Second))
			io.WriteString(c, text)
			if r := readReplies(c); len(r) != 1 || r[0].status != 401 || r[0].code(t) != messages.CodeUnauthorized {
				t.Errorf("got %+v", r)
			}
		})
	}
	wg.Wait()
	runtime.ReadMemStats(&after)
	if mib := (after.TotalAlloc - before.TotalAlloc) >> 20; mib > 100 {
		t.Errorf("%d MiB were allocated for %d strangers", mib, strangers)
	}
	if n := h.counts.unauthorized.Load(); n != strangers {
		t.Errorf("%d counted as unauthorized, want %d", n, strangers)
	}
}

// A client that is still sending hears why its body is refused: the answer must
// not be lost to a reset.
func TestOversizeIsHeard(t *testing.T) {
	h := newHub(t)
	body := strings.Repeat("a", messages.MaxBodyBytes+1<<20)
	for range 5 {
		if r := h.do(t, "POST", reportPath, hostKey, body); r.status != 400 || r.code(t) != messages.CodeBodyTooLarge {
			t.Fatalf("length: %d %s", r.status, r.body)
		}
		if r := h.do(t, "POST", reportPath, wrongKey, body); r.status != 401 {
			t.Fatalf("stranger: %d %s", r.status, r.body)
		}
		chunked := post("Transfer-Encoding: chunked\r\n", fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(body), body))
		if r := h.raw(t, chunked); len(r) != 1 || r[0].code(t) != messages.CodeBodyTooLarge {
			t.Fatalf("chunks: %+v", r)
		}
	}
	atLimit := someReport + strings.Repeat(" ", messages.MaxBodyBytes-len(someReport))
	if r := h.do(t, "POST", reportPath, hostKey, atLimit); r.status != 200 {
		t.Errorf("a body of exactly the limit: %d %s", r.status, r.body)
	}
	if r := h.do(t, "POST", "/api/v1/admin/customers", globalKey, strings.Repeat(" ", adminBody+1)); r.code(t) != messages.CodeBodyTooLarge {
		t.Errorf("an operator's body: %d %s", r.status, r.body)
	}
}

// Whatever framing a stranger's body has, what it hears is that it is one.
func TestStrangersOfEveryFraming(t *testing.T) {
	h := newHub(t)
	for _, framing := range []string{
		"Content-Length: 1\r\n\r\nx", "Content-Length: 0\r\n\r\n", "\r\n", "Content-Length: 4194305\r\n\r\n{",
		"Transfer-Encoding: chunked\r\n\r\n4\r\n{}{}\r\n0\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\nzz",
	} {
		r := h.raw(t, "POST "+reportPath+" HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "+wrongKey+"\r\n"+framing)
		if len(r) != 1 || r[0].status != 401 {
			t.Errorf("%q: %+v", framing, r)
		}
	}
}

// A bomb is put out at the limit, before it is inflated.
func TestGzipBomb(t *testing.T) {
	h := newHub(t)
	bomb := strings.Repeat(gzipped(t, strings.Repeat("\x00", 1<<20)), 256) // members inflate one after the other
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for range 5 {
		if r := h.do(t, "POST", reportPath, hostKey, bomb, "Content-Encoding", "gzip"); r.code(t) != messages.CodeBodyTooLarge {
			t.Fatalf("got %d %s", r.status, r.body)
		}
	}
	runtime.ReadMemStats(&after)
	if mib := (after.TotalAlloc - before.TotalAlloc) >> 20; mib > 200 {
		t.Errorf("%d MiB were allocated for 5 bombs", mib)
	}
}

// "Expect: 100-continue" is granted to who may send a body, and to nobody else.
func TestExpectContinue(t *testing.T) {
	h := newHub(t)
	text := func(key string, n int, body string) string {
		return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n%s", reportPath, key, n, body)
	}
	for _, c := range []struct {
		name, text string
		want       []int
	}{
		{"agent", text(hostKey, len(someReport), someReport), []int{100, 200}},
		{"stranger", text(wrongKey, len(someReport), ""), []int{401}},
		{"too large", text(hostKey, messages.MaxBodyBytes+1, ""), []int{400}},
	} {
		var got []int
		for _, r := range h.raw(t, c.text) {
			got = append(got, r.status)
		}
		if fmt.Sprint(got) != fmt.Sprint(c.want) {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
}

// Clients that never finish lose their connection, whatever they dribble, and an
// honest agent is served beside them.
func TestSlowClientsAreCutOff(t *testing.T) {
	h := newHub(t, func(c *Config) { c.ReadTimeout = 300 * time.Millisecond })
	begins := []string{
		"POST " + reportPath + " HTTP/1.1\r\nHost: x\r\nX-Slow: ",                                                   // the header dribbles
		post(fmt.Sprintf("Content-Length: %d\r\n", messages.MaxBodyBytes), `{"host_id":"`),                          // an agent's body
		fmt.Sprintf("POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: x\r\n\r\n", reportPath), // nonsense
		"P",
	}
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			c, err := net.Dial("tcp", h.addr)
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			io.WriteString(c, begins[i%len(begins)])
			ended := make(chan struct{})
			go dribble(c, ended)
			c.SetReadDeadline(time.Now().Add(20 * time.Second))
			if _, err := io.Copy(io.Discard, c); isTimeout(err) {
				t.Errorf("%q is still open after 20 s", begins[i%len(begins)])
			}
			close(ended)
		})
	}
	for range 20 {
		if r := h.do(t, "POST", reportPath, hostKey, someReport); r.status != 200 {
			t.Errorf("an honest agent got %d %s", r.status, r.body)
		}
	}
	wg.Wait()
}

func isTimeout(err error) bool {
	ne, ok := err.(net.Error)
	return ok && ne.Timeout()
}

// dribble writes a byte now and then until the other end has had enough.
func dribble(c net.Conn, ended chan struct{}) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ended:
			return
		case <-tick.C:
			if _, err := c.Write([]byte("a")); err != nil {
				return
			}
		}
	}
}
