package api

import (
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

const certCheckEvery = time.Second // at most; a handshake costs more than two stats

func (d *door) serveTLS(ln net.Listener) error {
	certs := &certificates{certFile: d.cfg.TLSCertFile, keyFile: d.cfg.TLSKeyFile, log: d.log}
	if err := certs.load(); err != nil {
		ln.Close()
		return err
	}
	return d.http.Serve(tls.NewListener(ln, &tls.Config{
		MinVersion:     tls.VersionTLS12,
		GetCertificate: certs.get,
	}))
}

// certificates is a certificate that follows its files. When they change to
// something unusable, half written for one, the last good one stays.
type certificates struct {
	certFile, keyFile string
	log               zerolog.Logger

	mu      sync.Mutex
	cert    *tls.Certificate
	stamp   [2]time.Time // of the files as loaded, or last tried
	checked time.Time
}

func (c *certificates) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := time.Now(); now.Sub(c.checked) >= certCheckEvery {
		c.checked = now
		c.follow()
	}
	return c.cert, nil
}

func (c *certificates) follow() {
	if c.stamps() == c.stamp {
		return
	}
	if err := c.load(); err != nil {
		c.log.Warn().Err(err).Msg("certificate changed and is unusable, keeping the last one")
		return
	}
	c.log.Info().Msg("certificate reloaded")
}

// load stamps before it reads: a change in between is then seen the next time.
func (c *certificates) load() error {
	c.stamp = c.stamps()
	cert, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return fmt.Errorf("load certificate %s: %w", c.certFile, err)
	}
	c.cert = &cert
	return nil
}

func (c *certificates) stamps() (t [2]time.Time) {
	for i, name := range [...]string{c.certFile, c.keyFile} {
		if st, err := os.Stat(name); err == nil {
			t[i] = st.ModTime()
		}
	}
	return t
}
