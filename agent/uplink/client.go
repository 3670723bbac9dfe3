// Package uplink is the agent's way to the hub: reports and goodbyes over
// HTTPS. It keeps nothing and repeats nothing; when to send what is the
// caller's business.
//
// The one idea to hold: the key travels in one header and is seen nowhere else.
// No redirect is followed and no proxy asked, errors are built from parts that
// never held it, and what the hub says is searched for it before it is passed on.
package uplink

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"time"

	"felhom.eu/agent/endpoint"
	"felhom.eu/messages"
)

const (
	reportPath  = "/api/v1/host-report"
	goodbyePath = "/api/v1/host-goodbye"

	gzipAbove      = 1 << 10          // bytes; below, a gzip header costs more than it saves
	maxAnswerBytes = 64 << 10         // an envelope has 120
	idleTimeout    = 60 * time.Second // below the hub's 75 s, so that the hub is never the one to close
	dialTimeout    = 10 * time.Second
)

// Config says which hub, and who is speaking.
type Config struct {
	URL       string          // https://host[:port][/prefix]; http only for loopback
	Key       messages.Secret // the host's API key, 64 hex digits
	CAFile    string          // PEM; trusted instead of the system's roots when set
	Timeout   time.Duration   // of one request, from dialling to the answer's last byte
	UserAgent string
	// ClockLead is how far this machine's clock pretends to be ahead, for
	// simulated hosts whose clock is wrong. 0 elsewhere.
	ClockLead time.Duration
}

// Client speaks to one hub. It is safe for concurrent use.
type Client struct {
	base      *url.URL
	key       messages.Secret
	userAgent string
	clockLead time.Duration
	http      *http.Client
}

// New makes a client; nothing is dialled yet. It fails on a URL that would show
// the key to the network, and on a CA file that holds no certificate.
func New(cfg Config) (*Client, error) {
	base, err := endpoint.Parse(cfg.URL)
	if err != nil {
		return nil, fmt.Errorf("read hub url: %w", err)
	}
	roots, err := readRoots(cfg.CAFile)
	if err != nil {
		return nil, err
	}
	return &Client{base: base, key: cfg.Key, userAgent: cfg.UserAgent, clockLead: cfg.ClockLead, http: &http.Client{
		Timeout:       cfg.Timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			Proxy:                  nil, // a proxy of plain HTTP would read the key
			DialContext:            (&net.Dialer{Timeout: dialTimeout}).DialContext,
			TLSHandshakeTimeout:    dialTimeout,
			TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots},
			MaxIdleConns:           1,
			IdleConnTimeout:        idleTimeout,
			MaxResponseHeaderBytes: maxAnswerBytes,
			DisableCompression:     true, // an answer is small, and a bomb is not
		},
	}}, nil
}

// readRoots reads the certificates of file; nil, for an empty name, means the
// system's.
func readRoots(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read ca_file: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("read ca_file: no certificate in %s", file)
	}
	return roots, nil
}

// Report posts a report and returns the hub's answer: the report is then on
// the hub's stable storage. Errors are *TransportError (the report's fate is
// unknown; repeat it) and *HTTPError (the hub refused).
func (c *Client) Report(ctx context.Context, r *messages.Report) (messages.Envelope, error) {
	return c.post(ctx, reportPath, r)
}

// Goodbye announces a planned stop. Errors are those of Report.
func (c *Client) Goodbye(ctx context.Context, g messages.Goodbye) (messages.Envelope, error) {
	return c.post(ctx, goodbyePath, g)
}

// Close drops the idle connection.
func (c *Client) Close() { c.http.CloseIdleConnections() }

func (c *Client) post(ctx context.Context, path string, document any) (messages.Envelope, error) {
	req, err := c.request(ctx, path, document)
	if err != nil {
		return messages.Envelope{}, fmt.Errorf("make request for %s: %w", path, err)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return messages.Envelope{}, c.transportError(path, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswerBytes+1))
	if err != nil {
		return messages.Envelope{}, c.transportError(path, err)
	}
	if resp.StatusCode != http.StatusOK {
		return messages.Envelope{}, c.httpError(resp, body)
	}
	envelope, err := decodeEnvelope(body)
	if err != nil {
		return messages.Envelope{}, c.transportError(path, err)
	}
	return envelope, nil
}

func (c *Client) request(ctx context.Context, path string, document any) (*http.Request, error) {
	body, err := json.Marshal(document)
	if err != nil {
		return nil, err
	}
	packed := len(body) > gzipAbove
	if packed {
		if body, err = compress(body); err != nil {
			return nil, err
		}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base.String()+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if packed {
		req.Header.Set("Content-Encoding", "gzip")
	}
	req.Header.Set("Authorization", "Bearer "+c.key.Reveal())
	req.Header.Set("Content-Type", "application/json")
	sent := time.Now().Add(c.clockLead).UTC()
	req.Header.Set("Date", sent.Format(http.TimeFormat)) // a replayed report is late, not its clock
	req.Header.Set("User-Agent", c.userAgent)
	return req, nil
}

func compress(b []byte) ([]byte, error) {
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	if _, err := w.Write(b); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return packed.Bytes(), nil
}

// decodeEnvelope tells a hub's answer from that of a captive portal, which also
// says 200.
func decodeEnvelope(body []byte) (e messages.Envelope, err error) {
	if len(body) > maxAnswerBytes {
		return e, fmt.Errorf("answer is over %d bytes", maxAnswerBytes)
	}
	if err := json.Unmarshal(body, &e); err != nil {
		return e, errors.New("answer is not an envelope: is this a hub?") // the decoder's error repeats the answer
	}
	if e.Status != "ok" {
		return e, errors.New(`answer has no status "ok": is this a hub?`)
	}
	return e, nil
}
