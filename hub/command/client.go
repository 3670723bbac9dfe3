package command

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"felhom.eu/messages"
)

const (
	requestTimeout = 30 * time.Second // one question; a backup may take as long as it takes
	maxAnswerBytes = 64 << 20         // a page of 1000 hosts is under 1 MiB; this bounds a wrong far end
	pageSize       = 1000             // the most the admin API gives at once
	adminPath      = "/api/v1/admin/"
)

// Client asks a hub's admin API. Its methods block until the hub answered, the
// context ended or 30 seconds went by, and may be called from any number of
// goroutines. Errors are *APIError when the hub refused, *url.Error when it
// could not be reached.
type Client struct {
	base *url.URL
	key  messages.Secret
	http *http.Client
}

// NewClient makes a client of the hub at hubURL (scheme and host; http or
// https). The certificate of an https hub is checked against caFile, a PEM
// file, or the system's roots when caFile is empty.
func NewClient(hubURL string, key messages.Secret, caFile string) (*Client, error) {
	base, err := url.Parse(hubURL)
	if err != nil || base.Host == "" || (base.Scheme != "http" && base.Scheme != "https") {
		return nil, fmt.Errorf("hub url %q: want http://HOST:PORT or https://HOST:PORT", hubURL)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	if caFile != "" {
		roots, err := readRoots(caFile)
		if err != nil {
			return nil, err
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	}
	return &Client{base: base, key: key, http: &http.Client{Transport: transport, CheckRedirect: noRedirect}}, nil
}

// noRedirect keeps the global key from following a redirect to somebody else.
func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

func readRoots(file string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read ca file: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("read ca file %s: no certificate in it", file)
	}
	return roots, nil
}

// APIError is a hub's refusal.
type APIError struct {
	Status  int           // of HTTP
	Code    messages.Code // empty when the answer was not the hub's
	Message string
}

// Error is the hub's message with its code.
func (e *APIError) Error() string {
	if e.Code == "" {
		return fmt.Sprintf("answered %d %s", e.Status, http.StatusText(e.Status))
	}
	return fmt.Sprintf("%s (%d %s)", e.Message, e.Status, e.Code)
}

// Host is a host as the admin API shows it. Percentages are nil when the host
// did not say, instants when it never happened.
type Host struct {
	HostID         messages.HostID             `json:"host_id"`
	CustomerID     messages.CustomerID         `json:"customer_id"`
	Site           string                      `json:"site"`
	State          string                      `json:"state"` // new, ok, stale, down
	StateSince     *time.Time                  `json:"state_since"`
	LastReportAt   *time.Time                  `json:"last_report_at"`
	SilenceSeconds float64                     `json:"silence_seconds"` // listening time
	SkewSeconds    float64                     `json:"skew_seconds"`    // agent's clock minus hub's
	AgentVersion   string                      `json:"agent_version"`
	CPUPercent     *float64                    `json:"cpu_percent"`
	MemoryPercent  *float64                    `json:"memory_percent"`
	DiskPercent    *float64                    `json:"disk_percent"`
	GuestTotal     *int                        `json:"guest_total"` // nil when unknown
	GuestRunning   *int                        `json:"guest_running"`
	Cloudflared    string                      `json:"cloudflared"`
	Host           *messages.Node              `json:"host"`   // of the newest report; one host only
	Guests         []messages.Guest            `json:"guests"` // likewise
	Sections       map[string]messages.Section `json:"sections"`
}

// HostKey is a host with its API key in the clear: shown once, never again.
type HostKey struct {
	HostID messages.HostID `json:"host_id"`
	APIKey string          `json:"api_key"`
}

// Route is a route as the admin API shows it: URL is masked. Secret is set in
// the answer to AddRoute only.
type Route struct {
	ID          messages.RouteID     `json:"route_id,omitempty"`
	CustomerID  messages.CustomerID  `json:"customer_id,omitempty"` // empty: the operator's, hears all customers
	Kind        messages.RouteKind   `json:"kind"`
	URL         string               `json:"url"`
	Secret      string               `json:"secret,omitempty"`
	Events      []messages.EventType `json:"events,omitempty"` // empty: all
	MinSeverity string               `json:"min_severity,omitempty"`
	CreatedAt   *time.Time           `json:"created_at,omitempty"`

	Name                 string               `json:"name,omitempty"`
	QuietHours           *messages.QuietHours `json:"quiet_hours,omitempty"`
	MaxPerHour           int                  `json:"max_per_hour,omitempty"`
	EscalateTo           messages.RouteID     `json:"escalate_to,omitempty"`
	EscalateAfterSeconds int64                `json:"escalate_after_seconds,omitempty"`
	OnCall               bool                 `json:"on_call,omitempty"` // hears escalations only
	Failing              bool                 `json:"failing,omitempty"`
}

// RouteAnswer is what the far end of a route said to a test.
type RouteAnswer struct {
	OK         bool   `json:"ok"`
	StatusCode int    `json:"status_code"`
	Answer     string `json:"answer"`
	Error      string `json:"error"`
	DurationMS int64  `json:"duration_ms"`
}

// AddCustomer makes a customer.
func (c *Client) AddCustomer(ctx context.Context, id messages.CustomerID, name string) (messages.Customer, error) {
	body := map[string]string{"customer_id": string(id), "display_name": name}
	return call[messages.Customer](ctx, c, http.MethodPost, "customers", body)
}

// MintHost makes a host of customer and its key.
func (c *Client) MintHost(ctx context.Context, customer messages.CustomerID) (HostKey, error) {
	return call[HostKey](ctx, c, http.MethodPost, "hosts", map[string]any{"customer_id": customer})
}

// Hosts yields the hosts that match query (customer_id, state), by id; nil
// matches all. It asks for page after page while the caller ranges.
func (c *Client) Hosts(ctx context.Context, query url.Values) iter.Seq2[Host, error] {
	return list[Host](ctx, c, "hosts", query)
}

// Events yields the events that match query (host_id, customer_id, type,
// after), oldest first.
func (c *Client) Events(ctx context.Context, query url.Values) iter.Seq2[messages.Event, error] {
	return list[messages.Event](ctx, c, "events", query)
}

// AddRoute makes a route. The answer carries its secret, once.
func (c *Client) AddRoute(ctx context.Context, r Route) (Route, error) {
	return call[Route](ctx, c, http.MethodPost, "routes", r)
}

// Backup copies a backup of the hub's store to w. It blocks until all of it
// arrived; on an error w holds a part that is worth nothing.
func (c *Client) Backup(ctx context.Context, w io.Writer) (int64, error) {
	resp, err := c.send(ctx, http.MethodGet, "backup", nil, nil)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	n, err := io.Copy(w, resp.Body)
	if err != nil {
		return n, fmt.Errorf("read backup: %w", err)
	}
	return n, nil
}

// call sends body as JSON to path below the admin API and decodes the answer.
func call[T any](ctx context.Context, c *Client, method, path string, body any) (answer T, err error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	raw, err := c.do(ctx, method, path, nil, body)
	if err != nil || len(raw) == 0 {
		return answer, err
	}
	if err := json.Unmarshal(raw, &answer); err != nil {
		return answer, fmt.Errorf("decode the hub's answer to %s %s: %w", method, path, err)
	}
	return answer, nil
}

// list yields the items of every page of the list at path. A query without a
// limit gets the largest page.
func list[T any](ctx context.Context, c *Client, path string, query url.Values) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		q := url.Values{"limit": {strconv.Itoa(pageSize)}}
		for k, v := range query {
			q[k] = v
		}
		for {
			items, next, err := page[T](ctx, c, path, q)
			if err != nil {
				var none T
				yield(none, err)
				return
			}
			for _, item := range items {
				if !yield(item, nil) {
					return
				}
			}
			if next == "" {
				return
			}
			q.Set("cursor", next)
		}
	}
}

func page[T any](ctx context.Context, c *Client, path string, q url.Values) (items []T, next string, err error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	raw, err := c.do(ctx, http.MethodGet, path, q, nil)
	if err != nil {
		return nil, "", err
	}
	var p struct {
		Items      []T    `json:"items"`
		NextCursor string `json:"next_cursor"`
	}
	if err := json.Unmarshal(raw, &p); err != nil {
		return nil, "", fmt.Errorf("decode the hub's list of %s: %w", path, err)
	}
	return p.Items, p.NextCursor, nil
}

// do is one round trip whose answer fits in memory.
func (c *Client) do(ctx context.Context, method, path string, q url.Values, body any) ([]byte, error) {
	resp, err := c.send(ctx, method, path, q, body)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswerBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read the hub's answer to %s %s: %w", method, path, err)
	}
	if len(raw) > maxAnswerBytes {
		return nil, fmt.Errorf("the answer to %s %s is larger than %d bytes", method, path, maxAnswerBytes)
	}
	return raw, nil
}

// send makes the request and turns every status but 2xx into an *APIError. The
// caller closes the body.
func (c *Client) send(ctx context.Context, method, path string, q url.Values, body any) (*http.Response, error) {
	var r io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			return nil, fmt.Errorf("encode request: %w", err)
		}
		r = bytes.NewReader(raw)
	}
	u := c.base.JoinPath(adminPath, path)
	u.RawQuery = q.Encode()
	req, err := http.NewRequestWithContext(ctx, method, u.String(), r)
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+c.key.Reveal())
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode/100 != 2 {
		defer resp.Body.Close()
		return nil, refusal(resp)
	}
	return resp, nil
}

// refusal reads what the hub said beside its status; a proxy's page is left unread.
func refusal(resp *http.Response) error {
	e := &APIError{Status: resp.StatusCode}
	var b messages.ErrorBody
	if json.NewDecoder(io.LimitReader(resp.Body, 64<<10)).Decode(&b) == nil {
		e.Code, e.Message = b.Error.Code, strings.TrimSpace(b.Error.Message)
	}
	return e
}
