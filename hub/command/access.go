package command

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"felhom.eu/hub/config"
	"felhom.eu/messages"
)

const keyVariable = config.EnvPrefix + "GLOBAL_KEY"

// accessFlags are the flags of every command that asks a running hub.
type accessFlags struct{ hub, caFile string }

// asks gives cmd, and the commands below it, the flags of a client.
func (a *app) asks(cmd *cobra.Command) *cobra.Command {
	f := cmd.PersistentFlags()
	f.StringVar(&a.access.hub, "hub", "", "`URL` of the hub to ask (default: where the configuration has it listen, http://127.0.0.1:8080)")
	f.StringVar(&a.access.caFile, "ca-file", "", "PEM `FILE` to check the hub's certificate with")
	return cmd
}

// session is a client and what is worth saying when it is refused.
type session struct {
	*Client
	url     string
	agents  string // the URL that agents use
	keyFrom string
}

// open finds the hub and the global key: flags, then the environment, then
// the configuration's file.
func (a *app) open() (*session, error) {
	c, err := a.configuration()
	if err != nil {
		return nil, err
	}
	s := &session{url: a.access.hub, agents: a.access.hub}
	if s.url == "" {
		s.url = localURL(&c)
		s.agents = cmp.Or(c.ExternalURL, s.url)
	}
	key, err := s.findKey(&c)
	if err != nil {
		return nil, err
	}
	s.Client, err = NewClient(s.url, key, a.access.caFile)
	return s, Usage(err)
}

// localURL is where a hub with this configuration is reached from its own
// machine. With TLS that is the name in its certificate, if it is known.
func localURL(c *config.Config) string {
	if c.TLS() && c.ExternalURL != "" {
		return c.ExternalURL
	}
	host, port, _ := net.SplitHostPort(c.Listen) // was validated
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	if c.TLS() {
		return "https://" + net.JoinHostPort(host, port)
	}
	return "http://" + net.JoinHostPort(host, port)
}

// findKey returns the global key and remembers where it was found, for hints.
func (s *session) findKey(c *config.Config) (messages.Secret, error) {
	if c.GlobalKey != "" {
		s.keyFrom = "the configuration"
		if os.Getenv(keyVariable) != "" {
			s.keyFrom = keyVariable
		}
		return c.GlobalKey, nil
	}
	s.keyFrom = c.GlobalKeyPath()
	key, err := config.ReadKeyFile(s.keyFrom)
	return key, Hint(err, "set %s, or say where the hub keeps its key with --config or --data-dir", keyVariable)
}

// explain gives an error of the client the hint that its cause deserves.
func (s *session) explain(err error) error {
	var refused *APIError
	if lost := new(*url.Error); errors.As(err, lost) {
		err = fmt.Errorf("ask the hub at %s: %w", s.url, (*lost).Err) // without the query that it repeats
	}
	switch {
	case err == nil, hintOf(err) != "":
		return err
	case errors.As(err, &refused):
		return s.explainRefusal(refused, err)
	case errors.Is(err, syscall.ECONNREFUSED):
		return Hint(err, "is the hub running? start it with `felhom-hub`, or name another one with --hub")
	case strings.HasPrefix(s.url, "http:") && (errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET)):
		return Hint(err, "does the hub speak TLS? then its address begins with https://")
	case errors.Is(err, http.ErrSchemeMismatch):
		return Hint(err, "the hub speaks no TLS there; its address begins with http://")
	case errors.As(err, new(x509.UnknownAuthorityError)):
		return Hint(err, "name the certificate that signed the hub's with --ca-file")
	case errors.As(err, new(*net.DNSError)):
		return Hint(err, "check the host name in %s", s.url)
	case errors.Is(err, context.DeadlineExceeded):
		return Hint(err, "the hub took more than %s; see %s/readyz", requestTimeout, strings.TrimSuffix(s.url, "/"))
	}
	return err
}

func (s *session) explainRefusal(refused *APIError, err error) error {
	switch refused.Status {
	case http.StatusUnauthorized:
		return Hint(err, "the key from %s is not this hub's", s.keyFrom)
	case http.StatusForbidden:
		return Hint(err, "the key from %s is valid, but it is not the global key", s.keyFrom)
	case http.StatusServiceUnavailable:
		return Hint(err, "nothing was done; try again, and see %s/readyz for the reason", strings.TrimSuffix(s.url, "/"))
	}
	if refused.Code == "" {
		return Hint(err, "is %s a hub's admin address?", s.url)
	}
	return err
}

// ask is the body of a command that needs a session.
func (a *app) ask(run func(ctx context.Context, s *session, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		s, err := a.open()
		if err != nil {
			return err
		}
		return s.explain(run(cmd.Context(), s, args))
	}
}
