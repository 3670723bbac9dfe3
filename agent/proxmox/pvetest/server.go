package pvetest

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"path"
	"strings"
	"sync"
	"testing"
	"time"
)

// Mode is the version whose manners a Server has.
type Mode string

// The modes. Before 8.4 the text of an error is in the reason phrase only.
const (
	PVE7  Mode = "7.4" // vmids are strings, and the kernel is in kversion
	PVE83 Mode = "8.3"
	PVE9  Mode = "9"
)

// Knobs are what a test may turn while the server runs.
type Knobs struct {
	AuthDelay       time.Duration // before a 401; 3 s in truth
	HangDelay       time.Duration // before a 596; 30 s in truth
	Latency         time.Duration // of every answer, so that requests can overlap
	RequestsPerConn int           // before the connection is closed without a word; 100 in truth
	MaxTLS          uint16        // newest TLS version spoken; 0 is the newest there is
}

// Server is the fake. Its methods may be called from any goroutine.
type Server struct {
	URL  string // https://127.0.0.1:port
	mode Mode
	tb   testing.TB
	ln   net.Listener
	wg   sync.WaitGroup

	mu       sync.Mutex
	knobs    Knobs
	tokens   map[string]acl
	guests   map[int]*Guest
	estate   estate
	faults   []faultAt
	daemon   daemonState
	identity identity
	conns    map[net.Conn]struct{}
	asked    map[string]int // requests by path below /api2/json
	alpn     []string       // protocols that clients offered
	working  int
	maxWork  int
}

type daemonState int

const (
	daemonUp daemonState = iota
	daemonDown
	daemonStuck
)

// Start runs a Server until the test ends. It has the guests of the recorded
// lists and the tokens named in this package.
func Start(tb testing.TB, mode Mode) *Server {
	tb.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatalf("listen: %v", err)
	}
	s := &Server{
		URL: "https://" + ln.Addr().String(), mode: mode, tb: tb, ln: ln,
		knobs:  Knobs{RequestsPerConn: 100},
		tokens: defaultTokens(), guests: defaultGuests(), estate: defaultEstate(),
		conns: map[net.Conn]struct{}{}, asked: map[string]int{},
	}
	s.RotateCA()
	s.wg.Go(s.accept)
	tb.Cleanup(s.close)
	return s
}

// Turn changes the knobs.
func (s *Server) Turn(f func(*Knobs)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(&s.knobs)
}

// StopDaemon stops pvedaemon: pveproxy answers what it can itself and 595 to
// the rest.
func (s *Server) StopDaemon() { s.setDaemon(daemonDown) }

// HangDaemon lets pvedaemon hang, as on dead storage: what needs it gets 596.
func (s *Server) HangDaemon() { s.setDaemon(daemonStuck) }

// StartDaemon makes pvedaemon work again.
func (s *Server) StartDaemon() { s.setDaemon(daemonUp) }

func (s *Server) setDaemon(d daemonState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.daemon = d
}

// Asked is how often path (below /api2/json) was asked for.
func (s *Server) Asked(path string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked[path]
}

// AskedAll is the number of all requests.
func (s *Server) AskedAll() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range s.asked {
		n += k
	}
	return n
}

// MaxInFlight is the most requests that were in work at one time.
func (s *Server) MaxInFlight() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.maxWork
}

// Offered are the ALPN protocols that clients offered; pveproxy has none.
func (s *Server) Offered() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.alpn
}

func (s *Server) close() {
	s.ln.Close()
	s.mu.Lock()
	for c := range s.conns {
		c.Close()
	}
	s.mu.Unlock()
	s.wg.Wait()
}

func (s *Server) accept() {
	conf := &tls.Config{GetConfigForClient: s.tlsFor}
	for {
		raw, err := s.ln.Accept()
		if err != nil {
			return // closed
		}
		conn := tls.Server(raw, conf)
		s.mu.Lock()
		s.conns[conn] = struct{}{}
		s.mu.Unlock()
		s.wg.Go(func() {
			s.serve(conn)
			conn.Close()
			s.mu.Lock()
			delete(s.conns, conn)
			s.mu.Unlock()
		})
	}
}

func (s *Server) tlsFor(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.alpn = append(s.alpn, hello.SupportedProtos...)
	return &tls.Config{
		Certificates: []tls.Certificate{s.identity.leaf},
		MinVersion:   tls.VersionTLS10,
		MaxVersion:   s.knobs.MaxTLS,
	}, nil
}

// serve speaks HTTP/1.1 by hand: net/http's server can neither write a reason
// phrase nor two Connection headers.
func (s *Server) serve(conn net.Conn) {
	in := bufio.NewReader(conn)
	for n := 0; ; n++ {
		req, err := http.ReadRequest(in)
		if err != nil || n == s.limit() {
			return
		}
		a := s.answer(req)
		if a.Silent {
			_, _ = io.Copy(io.Discard, in) // until the client gives up
			return
		}
		_, err = conn.Write(a.bytes(strings.Contains(req.Header.Get("Accept-Encoding"), "gzip")))
		if err != nil || a.Status >= 400 || a.HangUpAfter > 0 {
			return
		}
	}
}

func (s *Server) limit() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.knobs.RequestsPerConn
}

// answer is what the request gets, its faults included.
func (s *Server) answer(req *http.Request) *Reply {
	p, below := strings.CutPrefix(req.URL.Path, "/api2/json")
	s.mu.Lock()
	s.asked[p]++
	s.working++
	s.maxWork = max(s.maxWork, s.working)
	knobs := s.knobs
	s.mu.Unlock()
	time.Sleep(knobs.Latency)
	a := s.plainAnswer(req, p, below, knobs)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.working--
	for _, f := range s.faults {
		if ok, _ := path.Match(f.pattern, p); ok || f.pattern == Everywhere {
			f.fault(req, a)
		}
	}
	return a
}

func (s *Server) plainAnswer(req *http.Request, p string, below bool, knobs Knobs) *Reply {
	switch {
	case req.Method != http.MethodGet:
		return &Reply{Status: 501, Reason: fmt.Sprintf("method '%s' not available", req.Method)}
	case req.ContentLength != 0 || len(req.TransferEncoding) > 0:
		const text = "Unexpected content for method 'GET'"
		return &Reply{Status: 501, Reason: text, Body: []byte(text)}
	}
	rights, refused := s.authenticate(req.Header.Get("Authorization"))
	if refused != "" {
		time.Sleep(knobs.AuthDelay)
		return &Reply{Status: 401, Reason: refused, Header: []string{"Connection: close"}}
	}
	if !below {
		return s.refusal(notImplemented(p))
	}
	return s.route(p, req.URL.RawQuery, rights, knobs)
}

// Reply is an answer on its way, for a Fault to spoil.
type Reply struct {
	Status      int
	Reason      string
	Header      []string // whole lines
	Body        []byte
	Raw         []byte // sent instead of all of the above
	Silent      bool   // the request is never answered
	HangUpAfter int    // bytes of the body after which the connection ends
}

// bytes is the answer on the wire.
func (a *Reply) bytes(zip bool) []byte {
	if a.Raw != nil {
		return a.Raw
	}
	body := a.Body
	header := append([]string{"Cache-Control: max-age=0", "Pragma: no-cache", "Server: pve-api-daemon/3.0"}, a.Header...)
	if len(body) > 0 && body[0] == '{' {
		header = append(header, "Content-Type: application/json;charset=UTF-8")
	}
	if zip && len(body) > 1024 {
		var z bytes.Buffer
		w, _ := gzip.NewWriterLevel(&z, gzip.BestSpeed) // a level there is
		_, _ = w.Write(body)                            // a Buffer takes all
		_ = w.Close()
		body = z.Bytes()
		header = append(header, "Content-Encoding: gzip")
	}
	header = append(header, fmt.Sprintf("Content-Length: %d", len(body)))
	if a.HangUpAfter > 0 {
		body = body[:min(a.HangUpAfter, len(body))]
	}
	head := fmt.Sprintf("HTTP/1.1 %d %s\r\n%s\r\n\r\n", a.Status, a.Reason, strings.Join(header, "\r\n"))
	return append([]byte(head), body...)
}
