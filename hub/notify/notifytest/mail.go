// Package notifytest has far ends of routes for tests: real ones, on loopback.
package notifytest

import (
	"bufio"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Password is the one that a MailServer lets in.
const Password = "sEcReTpass"

// patience is how long a MailServer keeps a connection.
const patience = 20 * time.Second

// MailServer is an SMTP server with AUTH, and STARTTLS when it has a Certificate.
// Its fields are set before Start.
type MailServer struct {
	Certificate *tls.Certificate
	Refuse      []string // answers to the first mails, instead of taking them
	Flood       bool     // it talks and never stops
	Hang        bool     // it never says anything

	listener net.Listener
	mu       sync.Mutex
	mails    []string
	logins   []string
	secured  int
	out      bool
}

// Start makes the server listen until the test ends, and returns its address.
func (m *MailServer) Start(t testing.TB) string {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m.listener = ln
	t.Cleanup(func() { _ = ln.Close() })
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go m.serve(conn)
		}
	}()
	return ln.Addr().String()
}

// Mails are those it took, as they came over the wire: lines end in \n, and dots at
// their beginning are still doubled.
func (m *MailServer) Mails() []string {
	return locked(m, func() []string { return slices.Clone(m.mails) })
}

// Logins are the credentials that it let in.
func (m *MailServer) Logins() []string {
	return locked(m, func() []string { return slices.Clone(m.logins) })
}

// Secured is how many connections asked for STARTTLS.
func (m *MailServer) Secured() int { return locked(m, func() int { return m.secured }) }

// SetOut makes it hang up on whoever connects, or ends that.
func (m *MailServer) SetOut(out bool) { locked(m, func() bool { m.out = out; return out }) }

func locked[T any](m *MailServer, read func() T) T {
	m.mu.Lock()
	defer m.mu.Unlock()
	return read()
}

func (m *MailServer) serve(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	if locked(m, func() bool { return m.out }) {
		return
	}
	_ = conn.SetDeadline(time.Now().Add(patience))
	if m.Hang {
		_, _ = io.Copy(io.Discard, conn)
		return
	}
	for m.Flood {
		if _, err := fmt.Fprint(conn, "220-", strings.Repeat("x", 1000), "\r\n"); err != nil {
			return
		}
	}
	d := dialogue{m: m, conn: conn, r: bufio.NewReader(conn)}
	d.say("220 mail.example.com ESMTP")
	for d.step() {
	}
}

// dialogue is one connection.
type dialogue struct {
	m      *MailServer
	conn   net.Conn
	r      *bufio.Reader
	secure bool
}

func (d *dialogue) say(line string) { _, _ = fmt.Fprint(d.conn, line, "\r\n") }

func (d *dialogue) line() (string, bool) {
	line, err := d.r.ReadString('\n')
	return strings.TrimRight(line, "\r\n"), err == nil
}

// step answers one command; false ends the connection.
func (d *dialogue) step() bool {
	line, ok := d.line()
	if !ok {
		return false
	}
	verb, rest, _ := strings.Cut(line, " ")
	switch strings.ToUpper(verb) {
	case "EHLO", "HELO":
		d.hello()
	case "STARTTLS":
		d.startTLS()
	case "AUTH":
		d.auth(rest)
	case "DATA":
		return d.data()
	case "QUIT":
		d.say("221 bye")
		return false
	default:
		d.say("250 ok")
	}
	return true
}

func (d *dialogue) hello() {
	d.say("250-mail.example.com")
	if !d.secure && d.m.Certificate != nil {
		d.say("250-STARTTLS")
	}
	d.say("250-AUTH PLAIN")
	d.say("250 8BITMIME")
}

func (d *dialogue) startTLS() {
	d.say("220 go ahead")
	secure := tls.Server(d.conn, &tls.Config{Certificates: []tls.Certificate{*d.m.Certificate}})
	d.conn, d.r, d.secure = secure, bufio.NewReader(secure), true
	locked(d.m, func() int { d.m.secured++; return d.m.secured })
}

func (d *dialogue) auth(rest string) {
	_, initial, _ := strings.Cut(rest, " ")
	who, _ := base64.StdEncoding.DecodeString(initial)
	if !strings.HasSuffix(string(who), "\x00"+Password) {
		d.say("535 5.7.8 no: " + initial) // it repeats what it was told
		return
	}
	locked(d.m, func() int { d.m.logins = append(d.m.logins, string(who)); return 0 })
	d.say("235 welcome")
}

func (d *dialogue) data() bool {
	d.say("354 go on")
	var b strings.Builder
	for {
		line, ok := d.line()
		if !ok {
			return false
		}
		if line == "." {
			break
		}
		b.WriteString(line + "\n")
	}
	d.say(locked(d.m, func() string { return d.m.take(b.String()) }))
	return true
}

func (m *MailServer) take(mail string) (answer string) {
	if len(m.Refuse) > 0 {
		answer, m.Refuse = m.Refuse[0], m.Refuse[1:]
		return answer
	}
	m.mails = append(m.mails, mail)
	return "250 queued"
}
