package pbstest

import (
	"crypto/sha256"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Knobs are what a test may turn while the server runs.
type Knobs struct {
	AuthDelay time.Duration // before a 401; 3 s in truth
	Latency   time.Duration // of every answer, so that requests can overlap
	PBS4      bool          // with the fields that PBS 4 adds
}

// Server is the fake. Its methods may be called from any goroutine; what Store
// and Group give out is for changing only while nothing asks.
type Server struct {
	URL  string // https://127.0.0.1:port
	tb   testing.TB
	http *httptest.Server

	mu      sync.Mutex
	knobs   Knobs
	tokens  map[string]acl
	stores  map[string]*Store
	jobs    []VerifyJob
	faults  []faultAt
	asked   map[string]int // requests by path below /api2/json
	targets []string       // of all requests, with their queries
	working int
	maxWork int
}

// Start runs a Server without datastores until the test ends. It knows the tokens
// named in this package.
func Start(tb testing.TB) *Server {
	tb.Helper()
	s := &Server{tb: tb, tokens: defaultTokens(), stores: map[string]*Store{}, asked: map[string]int{}}
	s.http = httptest.NewUnstartedServer(http.HandlerFunc(s.serve))
	s.http.Config.ErrorLog = log.New(io.Discard, "", 0) // clients that hang up are what is tested
	s.http.StartTLS()
	s.URL = s.http.URL
	tb.Cleanup(s.http.Close)
	return s
}

// CAFile is a copy of the server's certificate, which is its own CA.
func (s *Server) CAFile() string {
	file := filepath.Join(s.tb.TempDir(), "proxy.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.http.Certificate().Raw})
	if err := os.WriteFile(file, text, 0o600); err != nil {
		s.tb.Fatalf("write certificate: %v", err)
	}
	return file
}

// Fingerprint is the certificate's, in PBS's form.
func (s *Server) Fingerprint() string {
	sum := sha256.Sum256(s.http.Certificate().Raw)
	return strings.ReplaceAll(fmt.Sprintf("% x", sum), " ", ":")
}

// Turn changes the knobs.
func (s *Server) Turn(f func(*Knobs)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(&s.knobs)
}

// Asked is how often path (below /api2/json) was asked for; a pattern, as
// path.Match has it.
func (s *Server) Asked(pattern string) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for p, k := range s.asked {
		if ok, _ := path.Match(pattern, p); ok {
			n += k
		}
	}
	return n
}

// AskedAll are the requests since the last call, with their queries, sorted.
func (s *Server) AskedAll() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.targets
	s.targets = nil
	slices.Sort(all)
	return all
}

// MaxInFlight is the most requests that were in work at one time.
func (s *Server) MaxInFlight() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.maxWork
}

func (s *Server) serve(w http.ResponseWriter, req *http.Request) {
	p, below := strings.CutPrefix(req.URL.Path, "/api2/json")
	s.mu.Lock()
	s.asked[p]++
	s.targets = append(s.targets, req.URL.RequestURI()[len("/api2/json"):])
	s.working++
	s.maxWork = max(s.maxWork, s.working)
	knobs := s.knobs
	fault := s.fault(p)
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.working--
		s.mu.Unlock()
	}()
	time.Sleep(knobs.Latency)
	a := s.answer(req, p, below, knobs)
	if fault != nil {
		fault(req, a)
	}
	a.send(w, req)
}

func (s *Server) answer(req *http.Request, p string, below bool, knobs Knobs) *Reply {
	if !below || req.Method != http.MethodGet {
		return text(http.StatusNotFound, fmt.Sprintf("Path '%s' not found.", req.URL.Path))
	}
	rights, ok := s.authenticate(req.Header.Get("Authorization"))
	if !ok {
		time.Sleep(knobs.AuthDelay)
		return text(http.StatusUnauthorized, "authentication failed")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	data, refused := s.route(p, req.URL.Query(), rights)
	if refused != nil {
		return refused
	}
	body, err := json.Marshal(map[string]any{"data": data})
	if err != nil {
		s.tb.Errorf("encode %s: %v", p, err)
	}
	return &Reply{Status: http.StatusOK, Body: body}
}

// Reply is an answer on its way, for a Fault to spoil.
type Reply struct {
	Status      int
	Body        []byte
	Location    string
	Raw         []byte // sent instead of all of the above
	Silent      bool   // the request is never answered
	HangUpAfter int    // bytes of the body after which the connection ends
}

// text is how every refusal looks (proxmox-rest-server, formatter.rs).
func text(status int, body string) *Reply { return &Reply{Status: status, Body: []byte(body)} }

func (a *Reply) send(w http.ResponseWriter, req *http.Request) {
	switch {
	case a.Silent:
		<-req.Context().Done()
		panic(http.ErrAbortHandler)
	case a.Raw != nil:
		conn, _, err := w.(http.Hijacker).Hijack()
		if err == nil {
			_, _ = conn.Write(a.Raw)
			conn.Close()
		}
		return
	}
	w.Header().Set("Content-Type", "application/json;charset=UTF-8")
	w.Header().Set("Content-Length", fmt.Sprint(len(a.Body)))
	if a.Location != "" {
		w.Header().Set("Location", a.Location)
	}
	w.WriteHeader(a.Status)
	if a.HangUpAfter > 0 {
		_, _ = w.Write(a.Body[:min(a.HangUpAfter, len(a.Body)-1)])
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
	_, _ = w.Write(a.Body)
}

// authenticate gives the caller's rights. The token's name and its secret have a
// colon between them, and the secret is percent-decoded.
func (s *Server) authenticate(header string) (caller, bool) {
	value, ok := strings.CutPrefix(header, "PBSAPIToken")
	if !ok || value == "" || value[0] != '=' && value[0] != ' ' {
		return caller{}, false
	}
	id, secret, _ := strings.Cut(value[1:], ":")
	secret, err := url.PathUnescape(secret)
	s.mu.Lock()
	defer s.mu.Unlock()
	rights, ok := s.tokens[id]
	return caller{id, rights}, ok && err == nil && secret == Secret
}
