package notify

import (
	"bufio"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"net"
	"strings"
)

// dialogue is one connection to a mailServer.
type dialogue struct {
	m      *mailServer
	conn   net.Conn
	r      *bufio.Reader
	secure bool
}

func (d *dialogue) say(line string) { _, _ = fmt.Fprint(d.conn, line, "\r\n") }

func (d *dialogue) line() (string, bool) {
	line, err := d.r.ReadString('\n')
	return strings.TrimRight(line, "\r\n"), err == nil
}

// step answers one command.
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
		d.say("220 go ahead")
		secure := tls.Server(d.conn, &tls.Config{Certificates: d.m.world.TLS.Certificates})
		d.conn, d.r, d.secure = secure, bufio.NewReader(secure), true
		d.m.mu.Lock()
		d.m.secured++
		d.m.mu.Unlock()
	case "AUTH":
		return d.auth(rest)
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
	if !d.secure && !d.m.plain {
		d.say("250-STARTTLS")
	}
	d.say("250-AUTH PLAIN")
	d.say("250 8BITMIME")
}

func (d *dialogue) auth(rest string) bool {
	_, initial, _ := strings.Cut(rest, " ")
	who, _ := base64.StdEncoding.DecodeString(initial)
	if !strings.HasSuffix(string(who), "\x00sEcReTpass") {
		d.say("535 5.7.8 no: " + initial) // it repeats what it was told
		return true
	}
	d.m.mu.Lock()
	d.m.logins = append(d.m.logins, string(who))
	d.m.mu.Unlock()
	d.say("235 welcome")
	return true
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
	d.m.mu.Lock()
	defer d.m.mu.Unlock()
	if len(d.m.refuse) > 0 {
		d.say(d.m.refuse[0])
		d.m.refuse = d.m.refuse[1:]
		return true
	}
	d.m.mails = append(d.m.mails, b.String())
	d.say("250 queued")
	return true
}
