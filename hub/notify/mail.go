package notify

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/mail"
	"net/textproto"
	"net/url"
	"time"

	"github.com/nicholas-fedor/shoutrrr/pkg/services/email/smtp"
	gomail "github.com/wneessen/go-mail"

	"felhom.eu/messages"
)

// Mail goes through go-mail: shoutrrr's own sender dials by itself, sends either
// text or HTML and one mail for each recipient, and writes a subject into the header
// as it is.

const (
	implicitPort = 465
	maxDialogue  = 256 << 10 // bytes that a server may say to one mail
)

func checkMail(u *url.URL) error { _, err := mailConfig(u); return err }

// mailConfig reads a URL. A plus in an address of a query is a space to a URL, and
// nobody's address has one.
func mailConfig(u *url.URL) (*smtp.Config, error) {
	c := &smtp.Config{Port: 25, Auth: smtp.AuthTypes.Unknown, Encryption: smtp.EncMethods.Auto, UseStartTLS: true}
	if err := c.SetURL(u); err != nil {
		return nil, err
	}
	c.FixEmailTags()
	for _, a := range append([]string{c.FromAddress}, c.ToAddresses...) {
		if _, err := mail.ParseAddress(a); err != nil {
			return nil, err
		}
	}
	return c, nil
}

func sendMail(ctx context.Context, s *Sender, l letter) Result {
	c, err := mailConfig(l.url)
	if err != nil {
		return misread(l)
	}
	m, err := mailMessage(c, &l)
	if err != nil {
		return Result{Permanent: true, Text: err.Error()}
	}
	client, err := s.mailClient(c)
	if err != nil {
		return Result{Permanent: true, Text: err.Error()}
	}
	if err := client.DialAndSendWithContext(ctx, m); err != nil && !m.IsDelivered() {
		return mailVerdict(err)
	}
	return Result{OK: true, Status: 250, Text: "250 accepted by " + c.Host}
}

// mailMessage is a letter as a mail of two parts. A mail that is sent again has the
// same id, and those of one incident are one thread.
func mailMessage(c *smtp.Config, l *letter) (*gomail.Msg, error) {
	m := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	if err := m.FromFormat(c.FromName, c.FromAddress); err != nil {
		return nil, err
	}
	if err := m.To(c.ToAddresses...); err != nil {
		return nil, err
	}
	m.SetBoundary("felhom-" + string(l.delivery.ID))
	m.Subject(l.Subject)
	m.SetDateWithValue(l.delivery.CreatedAt)
	m.SetMessageIDWithValue(string(l.delivery.ID) + "@felhom")
	if l.Thread != "" {
		m.SetGenHeader(gomail.HeaderReferences, "<"+string(l.Thread)+"@felhom>")
		m.SetGenHeader(gomail.HeaderInReplyTo, "<"+string(l.Thread)+"@felhom>")
	}
	m.SetGenHeader("Auto-Submitted", "auto-generated")
	if l.Severity == messages.SeverityCritical && !l.Over {
		m.SetImportance(gomail.ImportanceHigh)
	}
	m.SetBodyString(gomail.TypeTextPlain, l.Text())
	m.AddAlternativeString(gomail.TypeTextHTML, l.HTML())
	return m, nil
}

// mailClient dials as the URL says: TLS from the start on port 465, and STARTTLS
// elsewhere, which a login never goes without.
func (s *Sender) mailClient(c *smtp.Config) (*gomail.Client, error) {
	config := s.tls.Clone()
	config.ServerName, config.InsecureSkipVerify = c.Host, c.SkipTLSVerify
	implicit := c.Encryption == smtp.EncMethods.ImplicitTLS || c.Encryption == smtp.EncMethods.Auto && c.Port == implicitPort
	policy := gomail.TLSOpportunistic
	switch {
	case c.Encryption == smtp.EncMethods.None || !c.UseStartTLS && !implicit:
		policy = gomail.NoTLS
	case !implicit && (c.RequireStartTLS || c.Encryption == smtp.EncMethods.ExplicitTLS || c.Username != ""):
		policy = gomail.TLSMandatory
	}
	options := []gomail.Option{
		gomail.WithPort(int(c.Port)), gomail.WithTimeout(sendTimeout), gomail.WithTLSConfig(config), gomail.WithTLSPolicy(policy),
		gomail.WithDialContextFunc(func(ctx context.Context, network, address string) (net.Conn, error) {
			return s.dialMail(ctx, network, address, implicit, config)
		}),
	}
	if c.ClientHost != "" && c.ClientHost != "auto" {
		options = append(options, gomail.WithHELO(c.ClientHost))
	}
	if auth, ok := mailAuth(c); ok {
		options = append(options, gomail.WithSMTPAuth(auth), gomail.WithUsername(c.Username), gomail.WithPassword(c.Password))
	}
	return gomail.NewClient(c.Host, options...)
}

func mailAuth(c *smtp.Config) (kind gomail.SMTPAuthType, ok bool) {
	switch {
	case c.Username == "" || c.Auth == smtp.AuthTypes.None:
		return "", false
	case c.Auth == smtp.AuthTypes.Plain:
		return gomail.SMTPAuthPlain, true
	case c.Auth == smtp.AuthTypes.CRAMMD5:
		return gomail.SMTPAuthCramMD5, true
	case c.Auth == smtp.AuthTypes.OAuth2:
		return gomail.SMTPAuthXOAUTH2, true
	}
	return gomail.SMTPAuthAutoDiscover, true
}

// dialMail connects with the dialer of all routes, to a server that has only so long
// and so many words, whatever it does.
func (s *Sender) dialMail(ctx context.Context, network, address string, implicit bool, config *tls.Config) (net.Conn, error) {
	conn, err := s.dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	until, ok := ctx.Deadline()
	if !ok {
		until = time.Now().Add(sendTimeout)
	}
	bounded := &boundedConn{Conn: conn, until: until, left: maxDialogue}
	if err := bounded.SetDeadline(until); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	if !implicit {
		return bounded, nil
	}
	secure := tls.Client(bounded, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return secure, nil
}

// boundedConn ends after so many bytes were read, and at an instant that nobody can
// put off.
type boundedConn struct {
	net.Conn
	until time.Time
	left  int
}

var errTalksTooMuch = errors.New("the server says too much")

// Read implements net.Conn.
func (c *boundedConn) Read(p []byte) (int, error) {
	if c.left <= 0 {
		return 0, errTalksTooMuch
	}
	n, err := c.Conn.Read(p[:min(len(p), c.left)])
	c.left -= n
	return n, err
}

// SetDeadline implements net.Conn.
func (c *boundedConn) SetDeadline(t time.Time) error {
	if t.After(c.until) || t.IsZero() {
		t = c.until
	}
	return c.Conn.SetDeadline(t)
}

// mailVerdict reads an error of a mail: a server's 5xx is for good.
func mailVerdict(err error) Result {
	r := Result{Text: words(err)}
	if refused, ok := errors.AsType[*gomail.SendError](err); ok {
		r.Status = refused.ErrorCode()
	}
	if said, ok := errors.AsType[*textproto.Error](err); ok && r.Status == 0 {
		r.Status = said.Code
	}
	r.Permanent = r.Status >= 500
	return r
}
