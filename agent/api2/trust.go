package api2

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"strings"
	"time"
)

// dialTimeout bounds connecting and the TLS handshake, each.
const dialTimeout = 5 * time.Second

// Trust decides whether the far end is the server. All empty: the system's roots
// vouch. With both a CA file and a fingerprint, both must hold.
type Trust struct {
	CAFile     string // PEM
	Pin        string // as NormalFingerprint writes it; "" pins nothing
	ServerName string // in the certificate; "" is the URL's host
}

// dial opens a TLS connection. The CA file is read anew for each: connections
// are few, and Proxmox may replace its CA while the agent runs.
func (t *Trust) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	conf, err := t.config(addr)
	if err != nil {
		return nil, err
	}
	d := tls.Dialer{NetDialer: &net.Dialer{Timeout: dialTimeout}, Config: conf}
	ctx, cancel := context.WithTimeout(ctx, 2*dialTimeout)
	defer cancel()
	return d.DialContext(ctx, network, addr)
}

func (t *Trust) config(addr string) (*tls.Config, error) {
	conf := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.ServerName}
	if conf.ServerName == "" {
		host, _, err := net.SplitHostPort(addr)
		if err != nil {
			return nil, err
		}
		conf.ServerName = host
	}
	if t.CAFile != "" {
		pem, err := os.ReadFile(t.CAFile)
		if err != nil {
			return nil, fmt.Errorf("read CA: %w", err)
		}
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("read CA %s: no certificate in it", t.CAFile)
		}
	}
	if t.Pin != "" {
		conf.InsecureSkipVerify = t.CAFile == "" // the pin alone vouches
		conf.VerifyConnection = t.verifyPin
	}
	return conf, nil
}

func (t *Trust) verifyPin(cs tls.ConnectionState) error {
	sum := sha256.Sum256(cs.PeerCertificates[0].Raw)
	if got := formatFingerprint(sum[:]); got != t.Pin {
		return &FingerprintError{Want: t.Pin, Got: got}
	}
	return nil
}

// NormalFingerprint reads a SHA-256 fingerprint in any case, with colons,
// blanks or neither, and writes it as Proxmox does: AB:CD:….
func NormalFingerprint(s string) (string, error) {
	plain := strings.NewReplacer(":", "", " ", "", "\t", "").Replace(s)
	sum, err := hex.DecodeString(plain)
	if err != nil || len(sum) != sha256.Size {
		return "", fmt.Errorf("fingerprint %.100q: want the SHA-256 of the certificate, 64 hex digits", s)
	}
	return formatFingerprint(sum), nil
}

func formatFingerprint(sum []byte) string {
	pairs := make([]string, len(sum))
	for i, b := range sum {
		pairs[i] = fmt.Sprintf("%02X", b)
	}
	return strings.Join(pairs, ":")
}
