package api

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/rs/zerolog"
)

const (
	firstBackOff  = 5 * time.Millisecond
	lastBackOff   = time.Second
	lingerFor     = 500 * time.Millisecond
	refuseTimeout = 100 * time.Millisecond // a new connection's buffer takes the answer at once
	hearingAfter  = 100 * time.Millisecond // of waiting for a connection; a shortage is told at once
)

// listener is what fasthttp accepts from. It outlives a shortage of
// descriptors or memory, which fasthttp takes for the end, and bounds the
// connections in all and of one address.
type listener struct {
	net.Listener
	max, perIP int
	tell       bool // answer who is refused, in plain HTTP
	refused    *atomic.Uint64
	log        zerolog.Logger
	ears       *ears
	done       chan struct{}
	close      func() error

	mu     sync.Mutex
	open   int
	byAddr map[netip.Addr]int
}

func newListener(ln net.Listener, max, perIP int, tell bool, refused *atomic.Uint64, log zerolog.Logger) *listener {
	l := &listener{Listener: ln, max: max, perIP: perIP, tell: tell, refused: refused, log: log, ears: new(ears),
		done: make(chan struct{}), byAddr: make(map[netip.Addr]int)}
	l.close = sync.OnceValue(func() error {
		close(l.done)
		return ln.Close()
	})
	return l
}

// Close stops listening; it may be called again.
func (l *listener) Close() error { return l.close() }

// Accept waits for a connection that may stay.
func (l *listener) Accept() (net.Conn, error) {
	wait := firstBackOff
	for deaf := false; ; {
		c, err := l.accept(&deaf)
		switch {
		case err == nil:
			wait = firstBackOff
			if held, answer := l.hold(c); held != nil {
				return held, nil
			} else {
				l.refuse(c, answer)
			}
		case !passing(err):
			return nil, err
		default:
			if short(err) && !deaf {
				deaf = true
				l.ears.turn(1)
			}
			l.log.Warn().Err(err).Dur("wait_ms", wait).Msg("cannot accept connections")
			if !l.sleep(wait) {
				return nil, net.ErrClosed
			}
			wait = min(2*wait, lastBackOff)
		}
	}
}

// accept waits for a connection, whoever it is of. A listener that was deaf hears
// again when one comes, or when none does for a while: a shortage is told at once.
func (l *listener) accept(deaf *bool) (net.Conn, error) {
	if !*deaf {
		return l.Listener.Accept()
	}
	hear := sync.OnceFunc(func() { l.ears.turn(-1) })
	t := time.AfterFunc(hearingAfter, hear)
	c, err := l.Listener.Accept()
	if t.Stop() && short(err) {
		return c, err
	}
	hear()
	*deaf = false
	return c, err
}

// ears count the listeners that cannot accept, and tell when the first cannot
// and when all can again.
type ears struct {
	mu   sync.Mutex
	deaf int
	tell func(deaf bool) // nil: nobody
}

func (e *ears) turn(by int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	before := e.deaf > 0
	e.deaf += by
	if after := e.deaf > 0; after != before && e.tell != nil {
		e.tell(after)
	}
}

// short reports whether an error of accept is a want of descriptors or memory.
func short(err error) bool {
	return oneOf(err, syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM)
}

// passing reports whether an error of accept heals by itself.
func passing(err error) bool {
	return short(err) || oneOf(err, syscall.ECONNABORTED, syscall.EINTR)
}

func oneOf(err error, errnos ...syscall.Errno) bool {
	for _, e := range errnos {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

func (l *listener) sleep(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-l.done:
		return false
	}
}

// hold takes c in, or says with which answer to turn it away.
func (l *listener) hold(c net.Conn) (*conn, []byte) {
	addr := limitedAddr(c)
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.open >= l.max:
		return nil, fullAnswer
	case l.perIP > 0 && addr.IsValid() && l.byAddr[addr] >= l.perIP:
		return nil, tooManyAnswer
	}
	l.open++
	if l.perIP > 0 && addr.IsValid() {
		l.byAddr[addr]++
	}
	return &conn{Conn: c, from: l, addr: addr}, nil
}

func (l *listener) release(addr netip.Addr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open--
	if n := l.byAddr[addr]; n > 1 {
		l.byAddr[addr] = n - 1
	} else {
		delete(l.byAddr, addr)
	}
}

// limitedAddr is whom c counts for: an IPv4 address or an IPv6 /64, which is
// what one customer of a provider has. Loopback counts for nobody.
func limitedAddr(c net.Conn) netip.Addr {
	tcp, ok := c.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	a := tcp.AddrPort().Addr().Unmap().WithZone("")
	switch {
	case a.IsLoopback():
		return netip.Addr{}
	case a.Is6():
		net, _ := a.Prefix(64)
		return net.Addr()
	}
	return a
}

func (l *listener) refuse(c net.Conn, answer []byte) {
	l.refused.Add(1)
	if l.tell {
		c.SetWriteDeadline(time.Now().Add(refuseTimeout))
		c.Write(answer)
	}
	c.Close()
}

var (
	fullAnswer    = rawAnswer("503 Service Unavailable", errUnavailable.body)
	tooManyAnswer = rawAnswer("429 Too Many Requests", errorBody("too_many", "too many connections from this address"))
)

func rawAnswer(status string, body []byte) []byte {
	head := "HTTP/1.1 " + status + "\r\nContent-Type: application/json\r\nRetry-After: 5\r\nConnection: close\r\n\r\n"
	return append([]byte(head), body...)
}

// conn is a connection that the listener counts.
type conn struct {
	net.Conn
	from   *listener
	addr   netip.Addr
	linger atomic.Bool
	closed atomic.Bool
}

// Close closes the connection. When an answer cut a request short it first
// waits a moment for the other end to read it: closing on unread input resets
// the connection, and the answer is lost on the way.
func (c *conn) Close() error {
	if c.closed.Swap(true) {
		return net.ErrClosed
	}
	defer c.from.release(c.addr)
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok && c.linger.Load() {
		if half.CloseWrite() == nil {
			c.Conn.SetReadDeadline(time.Now().Add(lingerFor))
			io.Copy(io.Discard, c.Conn)
		}
	}
	return c.Conn.Close()
}

// lingerOn makes the coming Close of a request's connection a patient one.
func lingerOn(c net.Conn) {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	if c, ok := c.(*conn); ok {
		c.linger.Store(true)
	}
}
