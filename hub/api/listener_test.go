package api

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
)

// scriptedListener accepts what it is told to, then blocks until closed.
type scriptedListener struct {
	script []any // error or net.Conn
	closed chan struct{}
}

func newScript(script ...any) *scriptedListener {
	return &scriptedListener{script, make(chan struct{})}
}

func (l *scriptedListener) Accept() (net.Conn, error) {
	if len(l.script) == 0 {
		<-l.closed
		return nil, net.ErrClosed
	}
	next := l.script[0]
	l.script = l.script[1:]
	if err, ok := next.(error); ok {
		return nil, err
	}
	return next.(net.Conn), nil
}
func (l *scriptedListener) Close() error   { close(l.closed); return nil }
func (l *scriptedListener) Addr() net.Addr { return &net.TCPAddr{} }

// remoteConn comes from an address of choice and remembers what it was told.
type remoteConn struct {
	net.Conn
	from   string
	told   strings.Builder
	closed atomic.Bool
}

func from(ip string) *remoteConn { return &remoteConn{from: ip} }

func (c *remoteConn) RemoteAddr() net.Addr {
	return &net.TCPAddr{IP: net.ParseIP(c.from), Port: 1}
}
func (c *remoteConn) Write(p []byte) (int, error)      { return c.told.Write(p) }
func (c *remoteConn) SetWriteDeadline(time.Time) error { return nil }
func (c *remoteConn) Close() error                     { c.closed.Store(true); return nil }

func guard(ln net.Listener, max, perIP int) *listener {
	return newListener(ln, max, perIP, true, new(atomic.Uint64), zerolog.Nop())
}

func acceptError(e syscall.Errno) error {
	return &net.OpError{Op: "accept", Err: os.NewSyscallError("accept4", e)}
}

// A hub that ran out of descriptors listens again when there are some; fasthttp
// by itself would stop for good.
func TestListenerOutlivesShortages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var script []any
		for range 5 {
			for _, e := range []syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM} {
				script = append(script, acceptError(e))
			}
		}
		l := guard(newScript(append(script, from("192.0.2.1"))...), 10, 0)
		began := time.Now()
		c, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		// 5 ms doubling to 1 s: 1,275 ms over the first eight, then a second each.
		if took := time.Since(began); took != 13275*time.Millisecond {
			t.Errorf("took %v", took)
		}
		if c.RemoteAddr().(*net.TCPAddr).IP.String() != "192.0.2.1" {
			t.Errorf("accepted %v", c.RemoteAddr())
		}
	})
}

// Closing ends a wait at once, and an error that will not pass is told.
func TestListenerEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := guard(newScript(acceptError(syscall.EMFILE), acceptError(syscall.EMFILE), acceptError(syscall.EMFILE)), 10, 0)
		done := make(chan error)
		go func() { _, err := l.Accept(); done <- err }()
		time.Sleep(6 * time.Millisecond)
		began := time.Now()
		l.Close()
		l.Close()
		if err := <-done; !errors.Is(err, net.ErrClosed) || time.Since(began) != 0 {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
	if _, err := guard(newScript(acceptError(syscall.EBADF)), 10, 0).Accept(); !errors.Is(err, syscall.EBADF) {
		t.Errorf("got %v, want the error that will not pass", err)
	}
}

// One address cannot take every connection: an IPv6 customer has a /64, so that
// counts as one, and loopback, a proxy's or a test's, counts as none.
func TestConnectionsAreBounded(t *testing.T) {
	for _, c := range []struct {
		name       string
		max, perIP int
		from       []string
		want       []string // "", or the status of the refusal
	}{
		{"per address", 100, 2, []string{"192.0.2.1", "192.0.2.1", "192.0.2.1", "192.0.2.2"}, []string{"", "", "429", ""}},
		{"mapped addresses are the same", 100, 1, []string{"192.0.2.1", "::ffff:192.0.2.1"}, []string{"", "429"}},
		{"per /64", 100, 1, []string{"2001:db8::1", "2001:db8::ffff", "2001:db8:0:1::1"}, []string{"", "429", ""}},
		{"loopback", 100, 1, []string{"127.0.0.1", "127.0.0.1", "::1", "::1"}, []string{"", "", "", ""}},
		{"in all", 2, 0, []string{"127.0.0.1", "192.0.2.1", "192.0.2.2"}, []string{"", "", "503"}},
		{"no limit per address", 100, 0, []string{"192.0.2.1", "192.0.2.1", "192.0.2.1"}, []string{"", "", ""}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var script []any
			var conns []*remoteConn
			taken := 0
			for i, ip := range c.from {
				conns = append(conns, from(ip))
				script = append(script, conns[i])
				if c.want[i] == "" {
					taken++
				}
			}
			l := guard(newScript(append(script, io.ErrUnexpectedEOF)...), c.max, c.perIP)
			var held []net.Conn
			for range taken {
				got, err := l.Accept()
				if err != nil {
					t.Fatal(err)
				}
				held = append(held, got)
			}
			if _, err := l.Accept(); err == nil {
				t.Fatal("more were taken than should be")
			}
			for i, want := range c.want {
				told := conns[i].told.String()
				if (want == "") != (told == "") || !strings.Contains(told, want) || conns[i].closed.Load() != (want != "") {
					t.Errorf("%s: told %q, want %q", c.from[i], told, want)
				}
			}
			for _, h := range held {
				h.Close()
				h.Close()
			}
			if l.open != 0 || len(l.byAddr) != 0 {
				t.Errorf("%d open, %v left after all closed", l.open, l.byAddr)
			}
		})
	}
}

// certificate writes a self-signed certificate for loopback with its own serial.
func certificate(t *testing.T, dir string, serial int64) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "hub"},
		NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for name, b := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: der}, keyFile: {Type: "PRIVATE KEY", Bytes: pkcs8}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(b), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certFile, keyFile
}

// The hub speaks TLS 1.2 and newer, and the listener's address says https.
func TestTLS(t *testing.T) {
	certFile, keyFile := certificate(t, t.TempDir(), 1)
	h := newHub(t, func(c *Config) { c.TLSCertFile, c.TLSKeyFile = certFile, keyFile })
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}, Timeout: 5 * time.Second}
	defer client.CloseIdleConnections()
	res, err := client.Get("https://" + h.addr + "/healthz")
	if err != nil || res.StatusCode != 200 {
		t.Fatalf("%v %v", res, err)
	}
	res.Body.Close()
	if _, err := tls.Dial("tcp", h.addr, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}); err == nil {
		t.Error("TLS 1.1 was accepted")
	}
	if link := h.LoginLink(); !strings.HasPrefix(link, "https://127.0.0.1:") {
		t.Errorf("link %.30s", link)
	}
	req, _ := http.NewRequest("POST", "https://"+h.addr+reportPath, strings.NewReader(strings.Repeat("a", 6<<20)))
	req.Header.Set("Authorization", "Bearer "+wrongKey)
	if res, err = client.Do(req); err != nil || res.StatusCode != 401 {
		t.Errorf("a stranger's large body over TLS: %v %v", res, err)
	} else {
		res.Body.Close()
	}
}

// A renewed certificate is served without a restart; a half-written one is not,
// and does not take the good one away.
func TestCertificateFollowsItsFiles(t *testing.T) {
	dir := t.TempDir()
	certFile, keyFile := certificate(t, dir, 1)
	c := &certificates{certFile: certFile, keyFile: keyFile, log: zerolog.Nop()}
	if err := c.load(); err != nil {
		t.Fatal(err)
	}
	later := time.Now()
	serial := func() int64 {
		later = later.Add(time.Minute)
		os.Chtimes(certFile, later, later) // a file system's clock may be coarse
		c.checked = time.Time{}
		cert, err := c.get(nil)
		if err != nil {
			t.Fatal(err)
		}
		return cert.Leaf.SerialNumber.Int64()
	}
	if got := serial(); got != 1 {
		t.Errorf("serial %d, want 1", got)
	}
	certificate(t, dir, 2)
	if got := serial(); got != 2 {
		t.Errorf("serial %d after renewal, want 2", got)
	}
	if err := os.WriteFile(certFile, []byte("-----BEGIN CERT"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := serial(); got != 2 {
		t.Errorf("serial %d while the file is half written, want 2", got)
	}
	certificate(t, dir, 3)
	if got := serial(); got != 3 {
		t.Errorf("serial %d, want 3", got)
	}
	h := New(Config{TLSCertFile: filepath.Join(dir, "none"), TLSKeyFile: keyFile}, testKeys(), newFakeFleet(), zerolog.Nop())
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Serve(ln); err == nil {
		t.Error("served without a certificate")
	}
}

// Shutdown lets a request in flight finish and be heard.
func TestShutdownDrains(t *testing.T) {
	h := newHub(t)
	entered, finish := make(chan struct{}), make(chan struct{})
	h.fleet.backupFunc = func(w io.Writer) error {
		io.WriteString(w, "first")
		close(entered)
		<-finish
		_, err := io.WriteString(w, " last")
		return err
	}
	got := make(chan reply)
	go func() { got <- h.do(t, "GET", "/api/v1/admin/backup", globalKey, "") }()
	<-entered
	down := make(chan error)
	go func() { down <- h.Shutdown(context.Background()) }()
	for h.dialable() { // until the listener is closed
		time.Sleep(time.Millisecond)
	}
	close(finish)
	if r := <-got; r.status != 200 || r.body != "first last" {
		t.Errorf("got %d %q", r.status, r.body)
	}
	if err := <-down; err != nil {
		t.Error(err)
	}
}

func (h *hub) dialable() bool {
	c, err := net.Dial("tcp", h.addr)
	if err != nil {
		return false
	}
	c.Close()
	return true
}

// A shortage is told when it begins, and its end when a connection comes or when
// accept just waits for one: a hub to which nobody comes is not deaf.
func TestListenerTellsThatItIsDeaf(t *testing.T) {
	short := acceptError(syscall.EMFILE)
	for _, c := range []struct {
		name   string
		script []any
		want   string
	}{
		{"nobody comes after it", []any{short, short}, "true after 0s, false after 115ms"}, // waits of 5 and 10 ms
		{"somebody does", []any{short, from("192.0.2.1")}, "true after 0s, false after 5ms"},
		{"a connection that was given up", []any{acceptError(syscall.ECONNABORTED)}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				var told []string
				l := guard(newScript(c.script...), 10, 0)
				l.ears.tell = func(deaf bool) { told = append(told, fmt.Sprintf("%t after %v", deaf, time.Since(began))) }
				go func() {
					for _, err := l.Accept(); err == nil; _, err = l.Accept() {
					}
				}()
				time.Sleep(time.Minute)
				synctest.Wait()
				if got := strings.Join(told, ", "); got != c.want {
					t.Errorf("told %q, want %q", got, c.want)
				}
				l.Close()
			})
		})
	}
}
