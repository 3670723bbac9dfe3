package api

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/rs/zerolog"
	"github.com/valyala/fasthttp"

	"felhom.eu/hub/auth"
	"felhom.eu/messages"
)

const (
	defaultReadTimeout  = 10 * time.Second // a whole request, header and body
	defaultWriteTimeout = 10 * time.Second
	defaultIdleTimeout  = 15 * time.Second // between requests on one connection: see Config
	askTimeout          = 9 * time.Second  // for the Fleet
	testTimeout         = 30 * time.Second // for the far end of a route
	readBuffer          = 4 << 10          // bounds a request's header
	adminBody           = 64 << 10         // bytes of an operator's JSON
	noBody              = 1                // bytes; 0 would mean fasthttp's default
	maxConns            = 1 << 18
)

// Config is what a Server must be told. The zero value of a field is its default.
type Config struct {
	Version      string // shown by /healthz, /metrics
	MaxBodyBytes int    // of a report, inflated or not; default messages.MaxBodyBytes
	// MaxConns bounds the open connections of each listener; the default is half
	// of what the process may open.
	MaxConns int
	// MaxConnsPerIP bounds the open connections of one IPv4 address or IPv6 /64;
	// 0 is no limit. Agents behind one NAT share an address, so a useful limit is
	// above the largest site; behind a reverse proxy everyone does, so leave it
	// 0 there. Loopback is never limited.
	MaxConnsPerIP      int
	AllowPrivateRoutes bool   // routes may name loopback, link-local and private addresses
	ExternalURL        string // for links and for the cookie's Secure; default: the listener's address
	TLSCertFile        string // with TLSKeyFile: both listeners speak TLS; reloaded when they change
	TLSKeyFile         string
	// Sessions are the users and their browsers, as they were left; nil is none.
	Sessions    *auth.Sessions
	BehindProxy bool // the last address of X-Forwarded-For is where a request came from

	ReadTimeout  time.Duration // default 10 s
	WriteTimeout time.Duration // default 10 s
	Pages        []Page        // the dashboard's
	StyleSheet   string        // path of the one that the sign-in page is to have, among Pages
	Icon         string        // and of its icon
	Closing      func()        // called when Shutdown begins, to end answers that have no end; may be nil
	Deaf         func(bool)    // called when a listener cannot accept for want of descriptors or memory, and when all can again; may be nil

	// IdleTimeout closes a connection without requests; default 15 s. An idle
	// one costs about 14 KB, so it is kept for an agent's next report only when
	// that comes soon.
	IdleTimeout time.Duration
}

func (c Config) withDefaults() Config {
	if c.Sessions == nil {
		c.Sessions = new(auth.Sessions)
	}
	c.MaxBodyBytes = or(c.MaxBodyBytes, messages.MaxBodyBytes)
	c.MaxConns = or(c.MaxConns, halfOfFiles())
	c.ReadTimeout = or(c.ReadTimeout, defaultReadTimeout)
	c.WriteTimeout = or(c.WriteTimeout, defaultWriteTimeout)
	c.IdleTimeout = or(c.IdleTimeout, defaultIdleTimeout)
	return c
}

func or[T int | time.Duration](v, otherwise T) T {
	if v > 0 {
		return v
	}
	return otherwise
}

// halfOfFiles leaves the other half of the descriptors to the store.
func halfOfFiles() int {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return 512
	}
	return int(max(min(l.Cur/2, maxConns), 16))
}

// Server is the hub's HTTP server, or rather two of one kind: one for everyone,
// one that knows only the agents' endpoints.
type Server struct {
	cfg      Config
	keys     *auth.Keys
	fleet    Fleet
	log      zerolog.Logger
	everyone *door
	agents   *door

	room       *room
	inflaters  inflaters
	receipts   receipts
	strangers  tally
	complaints tally // of browsers
	passwords  *auth.Passwords
	throttle   auth.Throttle
	users      sync.Mutex // from reading a user to the change's being durable
	refusals   refusals
	counts     counters
	address    atomic.Pointer[string] // scheme://host:port of the main listener
	life       context.Context        // ends when Shutdown gives up waiting
	end        context.CancelFunc
	closing    atomic.Bool
	ears       ears
}

// counters are what /metrics tells of the server itself.
type counters struct {
	panics       atomic.Uint64
	unauthorized atomic.Uint64
	malformed    atomic.Uint64
	refusedConns atomic.Uint64
	cspReports   atomic.Uint64
	byClass      [6]atomic.Uint64 // answers by hundreds of the status
}

// New makes a Server that authenticates with keys and asks fleet. It listens
// nowhere until Serve or ServeAgents.
func New(cfg Config, keys *auth.Keys, fleet Fleet, log zerolog.Logger) *Server {
	s := &Server{cfg: cfg.withDefaults(), keys: keys, fleet: fleet, log: log, inflaters: newInflaters(), passwords: auth.NewPasswords()}
	s.room = newRoom(max(bodyRoom, 4*s.cfg.MaxBodyBytes), s.cfg.ReadTimeout+askTimeout)
	s.ears.tell = s.cfg.Deaf
	s.life, s.end = context.WithCancel(context.Background())
	s.strangers = tally{log: log, what: "requests without a valid key"}
	s.complaints = tally{log: log, what: "browsers refused what a page asked them to load"}
	s.everyone = newDoor(s, newTable(withPages(routes, s.cfg.Pages), func(*route) bool { return true }))
	s.agents = newDoor(s, newTable(routes, func(r *route) bool {
		return r.access == forAgents || r.access == forEnrolment || r.access == forControllers
	}))
	return s
}

// Serve answers everything on ln, with TLS when it is configured, until
// Shutdown; it then returns nil. Any other return means that the hub is deaf on
// ln and should end.
func (s *Server) Serve(ln net.Listener) error {
	scheme := "http"
	if s.cfg.TLSCertFile != "" {
		scheme = "https"
	}
	address := scheme + "://" + ln.Addr().String()
	s.address.Store(&address)
	return s.everyone.serve(ln)
}

// ServeAgents answers only the agents' endpoints on ln: whatever else is asked
// there does not exist. It returns as Serve does.
func (s *Server) ServeAgents(ln net.Listener) error { return s.agents.serve(ln) }

// Shutdown stops listening, lets the requests in flight finish, and returns
// when they did or ctx ended. A half-sent request ends by its own timeout.
func (s *Server) Shutdown(ctx context.Context) error {
	s.closing.Store(true)
	defer s.end()
	if s.cfg.Closing != nil {
		s.cfg.Closing()
	}
	var errs [2]error
	var wg sync.WaitGroup
	for i, d := range [...]*door{s.everyone, s.agents} {
		wg.Go(func() { errs[i] = d.http.ShutdownWithContext(ctx) })
	}
	wg.Wait()
	return errors.Join(errs[:]...)
}

// ask is the context of a question to the Fleet: a deadline of its own, and
// nothing of the request, whose memory ends with the handler.
func (s *Server) ask() (context.Context, context.CancelFunc) {
	return context.WithTimeout(s.life, askTimeout)
}

// change is the context of a change: as of a question, with what the audit log
// will say.
func (s *Server) change(a args) (context.Context, context.CancelFunc) {
	c, cancel := s.ask()
	return messages.WithAudit(c, a.note), cancel
}

// door is one way in: a table of routes behind a fasthttp server.
type door struct {
	*Server
	routes *table
	http   *fasthttp.Server
}

func newDoor(s *Server, t *table) *door {
	d := &door{Server: s, routes: t}
	d.http = &fasthttp.Server{
		Handler:        d.handle,
		HeaderReceived: d.headerReceived,
		ErrorHandler:   d.failed,
		Logger:         connLogger{s.log},

		MaxRequestBodySize: s.cfg.MaxBodyBytes,
		ReadBufferSize:     readBuffer,
		ReadTimeout:        s.cfg.ReadTimeout,
		WriteTimeout:       s.cfg.WriteTimeout,
		IdleTimeout:        s.cfg.IdleTimeout,
		Concurrency:        s.cfg.MaxConns + 1, // the listener refuses first, and in JSON

		CloseOnShutdown:              true,
		SecureErrorLogMessage:        true,
		NoDefaultServerHeader:        true,
		NoDefaultContentType:         true,
		DisablePreParseMultipartForm: true, // it would write files for a stranger
	}
	return d
}

func (d *door) serve(ln net.Listener) error {
	if d.closing.Load() {
		return ln.Close()
	}
	secure := d.cfg.TLSCertFile != ""
	guarded := newListener(ln, d.cfg.MaxConns, d.cfg.MaxConnsPerIP, !secure, &d.counts.refusedConns, d.log)
	guarded.ears = &d.ears
	var err error
	if secure {
		err = d.serveTLS(guarded)
	} else {
		err = d.http.Serve(guarded)
	}
	if err == nil && !d.closing.Load() {
		err = errors.New("listener closed")
	}
	if err != nil {
		return fmt.Errorf("serve %s: %w", ln.Addr(), err)
	}
	return nil
}

// handle is outermost: fasthttp does not recover, and one panic would end the hub.
func (d *door) handle(ctx *fasthttp.RequestCtx) {
	defer d.forget(ctx)
	defer d.recovered(ctx)
	if err := d.dispatch(ctx); err != nil {
		d.fail(ctx, err)
	}
	d.counts.byClass[ctx.Response.StatusCode()/100%6].Add(1)
}

// dispatch checks again what headerReceived checked: there it only bounded the
// body, here it decides.
func (d *door) dispatch(ctx *fasthttp.RequestCtx) error {
	r, a, err := d.enter(&ctx.Request.Header)
	if r != nil && r.page() {
		protect(ctx)
	}
	if err == nil {
		err = d.meant(ctx, r, &a.who)
	}
	if err == nil {
		err = narrow(ctx, r, &a.who)
	}
	if err != nil {
		return err
	}
	if !r.audited() {
		return r.handle(d.Server, ctx, a)
	}
	a.note = d.noteOf(ctx, r, &a)
	err = r.handle(d.Server, ctx, a)
	d.write(ctx, a.note, err)
	return err
}

// enter finds what a header asks for and who asks.
func (d *door) enter(h *fasthttp.RequestHeader) (r *route, a args, err error) {
	if !plainLines(h.RawHeaders()) {
		return nil, a, errMalformed
	}
	if r, a.params, err = d.routes.find(h); err != nil {
		return nil, a, err
	}
	a.who, err = d.admit(r, &a.params, h)
	return r, a, err
}

// plainLines reports whether every line ends in CRLF and none goes on in the
// next. fasthttp reads bare line feeds and folded lines; a proxy that does not
// would see a request end elsewhere.
func plainLines(raw []byte) bool {
	for start := 0; ; {
		i := bytes.IndexByte(raw[start:], '\n')
		if i < 0 {
			return true
		}
		end := start + i
		if end == 0 || raw[end-1] != '\r' {
			return false
		}
		start = end + 1
		if start < len(raw) && (raw[start] == ' ' || raw[start] == '\t') {
			return false
		}
	}
}

// headerReceived grants a body only to who may send one there, and only while
// there is room. Without it 500 connections that announce 4 MiB each cost 2 GiB.
// A body that is smaller than what the connection holds anyway is not asked
// about: the handler does that, before it looks at it.
func (d *door) headerReceived(h *fasthttp.RequestHeader) (c fasthttp.RequestConfig) {
	defer func() {
		if v := recover(); v != nil {
			d.caught(v)
			c = stranger
		}
	}()
	d.room.release(h) // of a request that ended without a word
	if n := h.ContentLength(); n >= 0 && n <= readBuffer && len(h.Peek(fasthttp.HeaderExpect)) == 0 {
		return fasthttp.RequestConfig{MaxRequestBodySize: readBuffer}
	}
	r, _, err := d.enter(h)
	if err != nil {
		return d.turnAway(h)
	}
	limit := d.bodyLimit(r)
	switch {
	case h.ContentLength() > limit:
		h.Del(fasthttp.HeaderExpect) // the answer is final: no "100 Continue" before it
	case !d.room.take(h, announced(h, limit)):
		return d.turnAway(h)
	}
	return fasthttp.RequestConfig{MaxRequestBodySize: limit}
}

// announced is how many bytes the body may have. Chunks do not say.
func announced(h *fasthttp.RequestHeader, limit int) int {
	if n := h.ContentLength(); n != -1 {
		return n
	}
	return limit
}

// turnAway makes fasthttp refuse the body, of whatever framing, before it reads
// any of it, and hand the request to failed with its header intact.
func (d *door) turnAway(h *fasthttp.RequestHeader) fasthttp.RequestConfig {
	h.Del(fasthttp.HeaderExpect)
	if h.ContentLength() != 0 && !bodyless(h) {
		h.SetContentLength(noBody + 1)
	}
	return stranger
}

// bodyless is a request that fasthttp reads no body of unless it has a length.
func bodyless(h *fasthttp.RequestHeader) bool { return h.ContentLength() == -2 }

var stranger = fasthttp.RequestConfig{MaxRequestBodySize: noBody}

func (s *Server) bodyLimit(r *route) int {
	switch {
	case r.method != fasthttp.MethodPost && r.method != fasthttp.MethodPut:
		return noBody
	case r.access == forAgents:
		return s.cfg.MaxBodyBytes
	case r.access == forEnrolment, r.access == forGuests: // anybody may send one
		return enrolBody
	case r.access == forAll:
		return cspBody
	}
	return adminBody
}

// failed answers what fasthttp could not read as a request, and what it
// stopped reading.
func (d *door) failed(ctx *fasthttp.RequestCtx, err error) {
	defer d.forget(ctx)
	defer d.recovered(ctx)
	d.counts.malformed.Add(1)
	d.fail(ctx, d.unread(&ctx.Request.Header, err))
	d.counts.byClass[ctx.Response.StatusCode()/100%6].Add(1)
	lingerOn(ctx.Conn())
}

// unread finds the error that the caller should hear. What headerReceived
// turned away comes here as a body too large; its header says why it was. When
// the length is gone, fasthttp had begun to read the chunks of an admitted body
// and has forgotten the header.
func (d *door) unread(h *fasthttp.RequestHeader, err error) error {
	var timeout net.Error
	var small *fasthttp.ErrSmallBuffer
	slow := errors.As(err, &timeout) && timeout.Timeout()
	large := errors.Is(err, fasthttp.ErrBodyTooLarge)
	switch {
	case errors.As(err, &small):
		return errHeaderTooLarge
	case slow:
		return errTooSlow
	case !large:
		return errMalformed
	case h.ContentLength() == 0:
		return errBodyTooLarge
	}
	r, _, err := d.enter(h)
	switch {
	case err != nil:
		return err
	case h.ContentLength() <= d.bodyLimit(r): // it would do, had there been room
		return errUnavailable
	}
	return errBodyTooLarge
}

// recovered turns a panic into a 500, and the connection's end.
func (s *Server) recovered(ctx *fasthttp.RequestCtx) {
	v := recover()
	if v == nil {
		return
	}
	s.caught(v)
	ctx.Response.Reset()
	s.answerProblem(ctx, errInternal)
	ctx.SetConnectionClose()
}

func (s *Server) caught(v any) {
	s.counts.panics.Add(1)
	s.log.Error().Str("panic", redact(fmt.Sprint(v))).Bytes("stack", debug.Stack()).Msg("request handler panicked")
}
