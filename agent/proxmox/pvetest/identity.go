package pvetest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// identity is the server's CA and certificate.
type identity struct {
	caFile string
	ca     *x509.Certificate
	caKey  *ecdsa.PrivateKey
	leaf   tls.Certificate
	serial int64
}

// names of pve-ssl.pem (pve-cluster, PVE/Cluster/Setup.pm), besides loopback.
var nodeNames = []string{"localhost", Node, Node + ".example.org"}

// RotateCA makes a new CA, writes it to CAFile, and a certificate by it.
func (s *Server) RotateCA() {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := &s.identity
	if id.caFile == "" {
		id.caFile = filepath.Join(s.tb.TempDir(), "pve-root-ca.pem")
	}
	id.serial++
	template := id.template("Proxmox Virtual Environment")
	template.IsCA, template.BasicConstraintsValid = true, true
	template.KeyUsage = x509.KeyUsageCertSign
	id.caKey = s.key()
	id.ca = s.sign(template, template, id.caKey, id.caKey)
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: id.ca.Raw})
	if err := os.WriteFile(id.caFile, text, 0o600); err != nil {
		s.tb.Fatalf("write CA: %v", err)
	}
	s.renew(nodeNames, []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback})
}

// Rotate renews the certificate by the same CA.
func (s *Server) Rotate() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.renew(nodeNames, []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback})
}

// ServeName serves a certificate for that name only, as pveproxy does when it
// was given one of its own (pveproxy-ssl.pem).
func (s *Server) ServeName(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.renew([]string{name}, nil)
}

// CAFile is where the CA's certificate is.
func (s *Server) CAFile() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.identity.caFile
}

// Fingerprint is the certificate's, as Proxmox prints it.
func (s *Server) Fingerprint() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fingerprint()
}

func (s *Server) fingerprint() string {
	sum := sha256.Sum256(s.identity.leaf.Certificate[0])
	return strings.ToUpper(strings.ReplaceAll(fmt.Sprintf("% x", sum), " ", ":"))
}

func (s *Server) renew(names []string, ips []net.IP) {
	id := &s.identity
	id.serial++
	template := id.template(names[0])
	template.DNSNames, template.IPAddresses = names, ips
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	key := s.key()
	leaf := s.sign(template, id.ca, key, id.caKey)
	id.leaf = tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: key}
}

func (id *identity) template(name string) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(id.serial),
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(24 * time.Hour),
	}
}

func (s *Server) key() *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		s.tb.Fatalf("make key: %v", err)
	}
	return key
}

func (s *Server) sign(template, parent *x509.Certificate, key, parentKey *ecdsa.PrivateKey) *x509.Certificate {
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, parentKey)
	if err != nil {
		s.tb.Fatalf("sign certificate: %v", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		s.tb.Fatalf("read certificate: %v", err)
	}
	return cert
}
