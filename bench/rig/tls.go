package rig

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// Certificate is a certificate for loopback that nobody but a rig trusts.
type Certificate struct {
	CertFile, KeyFile string
	Trust             *tls.Config // of a client that trusts it and nothing else
}

// NewCertificate makes one in dir, of the kind that is usual: ECDSA P-256.
func NewCertificate(dir string) (*Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	t := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "felhom bench"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("make certificate: %w", err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	c := &Certificate{CertFile: filepath.Join(dir, "cert.pem"), KeyFile: filepath.Join(dir, "key.pem")}
	if err := writePEM(c.CertFile, "CERTIFICATE", der); err != nil {
		return nil, err
	}
	if err := writePEM(c.KeyFile, "PRIVATE KEY", private); err != nil {
		return nil, err
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	c.Trust = &tls.Config{RootCAs: x509.NewCertPool(), ServerName: "127.0.0.1"}
	c.Trust.RootCAs.AddCert(parsed)
	return c, nil
}

func writePEM(path, kind string, der []byte) error {
	return os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
}

// Settings make a hub speak TLS with the certificate.
func (c *Certificate) Settings() Settings {
	return Settings{"TLS_CERT_FILE": c.CertFile, "TLS_KEY_FILE": c.KeyFile}
}

// OverTLS makes the client speak TLS to a hub whose certificate trust accepts.
func (a *Admin) OverTLS(trust *tls.Config) {
	a.secure = true
	a.client.Transport.(*http.Transport).TLSClientConfig = trust
}
