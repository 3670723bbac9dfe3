package uplink

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"

	"felhom.eu/agent/endpoint"
	"felhom.eu/messages"
)

const enrollPath = "/api/v1/enroll"

// Enroll asks the hub to make a host of this machine; the Client's key is the
// enrolment token. Errors are those of Report: after a *TransportError, asking
// again with the same nonce leads to the same host.
func (c *Client) Enroll(ctx context.Context, r messages.EnrollRequest) (a messages.EnrollAnswer, err error) {
	req, err := c.request(ctx, enrollPath, r)
	if err != nil {
		return a, fmt.Errorf("make request for %s: %w", enrollPath, err)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return a, c.transportError(enrollPath, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswerBytes))
	if err != nil {
		return a, c.transportError(enrollPath, err)
	}
	if resp.StatusCode != http.StatusCreated {
		return a, c.httpError(resp, body)
	}
	if err := json.Unmarshal(body, &a); err != nil || !messages.ValidKey(a.APIKey) {
		return a, c.transportError(enrollPath, errors.New("answer is not an enrolment: is this a hub?"))
	}
	if _, err := messages.ParseHostID(string(a.HostID)); err != nil {
		return a, c.transportError(enrollPath, errors.New("answer names no host: is this a hub?"))
	}
	return a, nil
}

// Pinned fetches, as PEM, the certificate with this SHA-256 from what the hub at
// hubURL presents: its own, or one that signed it. Nothing is sent before it is
// found, and nothing but the handshake is.
func Pinned(ctx context.Context, hubURL string, sum [sha256.Size]byte) ([]byte, error) {
	u, err := endpoint.Parse(hubURL)
	if err != nil {
		return nil, fmt.Errorf("read hub url: %w", err)
	}
	if u.Scheme != "https" {
		return nil, errors.New("read hub url: only https has a certificate to pin")
	}
	port := u.Port()
	if port == "" {
		port = "443"
	}
	var found *x509.Certificate
	d := tls.Dialer{NetDialer: &net.Dialer{Timeout: dialTimeout}, Config: &tls.Config{
		MinVersion: tls.VersionTLS12, ServerName: u.Hostname(),
		InsecureSkipVerify: true, // the fingerprint vouches, which the operator gave
		VerifyConnection: func(cs tls.ConnectionState) error {
			for _, c := range cs.PeerCertificates {
				if sha256.Sum256(c.Raw) == sum {
					found = c
					return nil
				}
			}
			return errors.New("the hub presents no certificate with that fingerprint")
		},
	}}
	conn, err := d.DialContext(ctx, "tcp", net.JoinHostPort(u.Hostname(), port))
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: found.Raw}), nil
}
