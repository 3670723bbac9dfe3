package notify

import (
	"context"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"strings"
	"testing"
	"time"

	"felhom.eu/hub/notify/notifytest"
	"felhom.eu/messages"
)

const mailRoute = "smtp://me:sEcReTpass@mail.example.com:587/?from=felhom@example.com&fromname=Felhom&to=ops@example.org,more+tag@example.org&skiptlsverify=yes"

// withTLS is a mail server that knows STARTTLS.
func withTLS(t *testing.T) *notifytest.MailServer {
	return &notifytest.MailServer{Certificate: &newWorld(t, contented).TLS.Certificates[0]}
}

// mailSender starts a mail server and makes a sender whose every connection goes there.
func mailSender(t *testing.T, m *notifytest.MailServer, o Options) *Sender {
	address := m.Start(t)
	s := New(o)
	s.options.Place.ExternalURL = "https://hub.example.com"
	s.options.Place.Customer = func(messages.CustomerID) string { return "Acme Dental" }
	s.dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return s.dialer.DialContext(ctx, network, address)
	}
	return s
}

// A mail comes through STARTTLS and a login, with dots that are no ends, in two
// parts that say the same, and nothing of a name in its header but the subject.
func TestMail(t *testing.T) {
	server := withTLS(t)
	d, events := outage(hostile)
	events[1].Detail.Reason = ".\r\n.hidden"
	r := mailSender(t, server, Options{AllowPrivate: true}).Send(t.Context(), routeTo(mailRoute), d, events)
	if !r.OK || len(server.Mails()) != 1 || len(server.Logins()) != 1 || server.Secured() != 1 {
		t.Fatalf("%+v: %d mails, logins %q, %d times TLS", r, len(server.Mails()), server.Logins(), server.Secured())
	}
	raw := server.Mails()[0]
	for _, line := range strings.Split(raw, "\n") {
		if strings.HasPrefix(line, ".") && !strings.HasPrefix(line, "..") {
			t.Errorf("a dot was not stuffed: %q", line)
		}
	}
	golden(t, "smtp.txt", raw)
	m, err := mail.ReadMessage(strings.NewReader(strings.ReplaceAll(raw, "\n..", "\n.")))
	if err != nil {
		t.Fatal(err)
	}
	if m.Header.Get("Bcc") != "" || m.Header.Get("Message-Id") != "<"+string(d.ID)+"@felhom>" || m.Header.Get("Auto-Submitted") != "auto-generated" {
		t.Errorf("header %v", m.Header)
	}
	subject, _ := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
	if !strings.HasPrefix(subject, "acme-7f3a90c1 is down") || strings.ContainsAny(subject, "\r\n") {
		t.Errorf("subject %q", subject)
	}
	parts(t, m)
}

// parts checks that there is text and HTML, and what is in them.
func parts(t *testing.T, m *mail.Message) {
	t.Helper()
	_, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	reader := multipart.NewReader(m.Body, params["boundary"])
	var kinds []string
	for {
		p, err := reader.NextRawPart()
		if err != nil {
			break
		}
		body, _ := io.ReadAll(quotedprintable.NewReader(p))
		kinds = append(kinds, p.Header.Get("Content-Type"))
		if !strings.Contains(string(body), "acme-7f3a90c1 is down, silent for 1 h 3 min") || !strings.Contains(string(body), "12 of 14 guests running") {
			t.Errorf("%s says %s", p.Header.Get("Content-Type"), body)
		}
	}
	if len(kinds) != 2 || !strings.HasPrefix(kinds[0], "text/plain") || !strings.HasPrefix(kinds[1], "text/html") {
		t.Errorf("parts %q", kinds)
	}
}

// What a server says is tried again or not, and the same mail is sent again.
func TestMailIsTriedAgain(t *testing.T) {
	server := withTLS(t)
	server.Refuse = []string{"451 4.3.0 later", "554 5.7.1 spam: sEcReTpass"}
	s := mailSender(t, server, Options{AllowPrivate: true})
	d, events := outage("")
	if r := s.Send(t.Context(), routeTo(mailRoute), d, events); r.OK || r.Permanent || r.Status != 451 {
		t.Errorf("451: %+v", r)
	}
	r := s.Send(t.Context(), routeTo(mailRoute), d, events)
	if r.OK || !r.Permanent || r.Status != 554 {
		t.Errorf("554: %+v", r)
	}
	told(t, "smtp", r)
	if r := s.Send(t.Context(), routeTo(mailRoute), d, events); !r.OK || len(server.Mails()) != 1 {
		t.Errorf("250: %+v, %d mails", r, len(server.Mails()))
	}
	if r := s.Send(t.Context(), routeTo(mailRoute), d, events); !r.OK || server.Mails()[0] != server.Mails()[1] {
		t.Errorf("the same delivery, another mail: %+v", r)
	}
}

// A wrong password is for good, and is not told.
func TestMailLoginRefused(t *testing.T) {
	server := withTLS(t)
	d, events := outage("")
	r := mailSender(t, server, Options{AllowPrivate: true}).Send(t.Context(), routeTo(strings.Replace(mailRoute, "sEcReTpass", "sEcReTwrong", 1)), d, events)
	if r.OK || !r.Permanent || r.Status != 535 || len(server.Mails()) != 0 {
		t.Errorf("%+v", r)
	}
	told(t, "smtp", r)
	if strings.Contains(r.Text, "AG1lAHNFY1JlVHdyb25n") {
		t.Errorf("the login is told: %s", r.Text)
	}
}

// A server is asked who it is, unless the URL says not to.
func TestMailServerIsVerified(t *testing.T) {
	server := withTLS(t)
	d, events := outage("")
	r := mailSender(t, server, Options{AllowPrivate: true}).Send(t.Context(), routeTo(strings.Replace(mailRoute, "&skiptlsverify=yes", "", 1)), d, events)
	if r.OK || r.Permanent || len(server.Logins()) > 0 || !strings.Contains(r.Text, "certificate") {
		t.Errorf("%+v", r)
	}
}

// A login never goes over the wire in the clear; without one, mail goes as the
// server can.
func TestMailWithoutTLS(t *testing.T) {
	server := &notifytest.MailServer{}
	s := mailSender(t, server, Options{AllowPrivate: true})
	d, events := outage("")
	if r := s.Send(t.Context(), routeTo(mailRoute), d, events); r.OK || len(server.Logins()) > 0 {
		t.Errorf("logged in without TLS: %+v", r)
	}
	if r := s.Send(t.Context(), routeTo(strings.Replace(mailRoute, "me:sEcReTpass@", "", 1)), d, events); !r.OK || server.Secured() != 0 {
		t.Errorf("without a login: %+v", r)
	}
}

// A server that hangs or never stops talking costs one try a bounded time.
func TestMailServersThatHangOrFlood(t *testing.T) {
	d, events := outage("")
	hangs := &notifytest.MailServer{Hang: true}
	ctx, cancel := contextFor(t, 50*time.Millisecond)
	defer cancel()
	start := time.Now()
	if r := mailSender(t, hangs, Options{AllowPrivate: true}).Send(ctx, routeTo(mailRoute), d, events); r.OK || r.Permanent || time.Since(start) > 3*time.Second {
		t.Errorf("hangs: %+v after %s", r, time.Since(start))
	}
	floods := &notifytest.MailServer{Flood: true}
	r := mailSender(t, floods, Options{AllowPrivate: true}).Send(t.Context(), routeTo(mailRoute), d, events)
	if r.OK || r.Permanent || len(r.Text) > maxAnswer || !strings.Contains(r.Text, errTalksTooMuch.Error()) {
		t.Errorf("floods: %d bytes: %+v", len(r.Text), r)
	}
}
