// Package notify speaks to the far ends of routes. Today that is the webhook,
// signed the Standard Webhooks way, so that a receiver can tell that a call is
// ours, and that it has seen it before.
package notify

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"felhom.eu/messages"
)

const (
	dialTimeout = 5 * time.Second
	sendTimeout = 10 * time.Second
	maxAnswer   = 500 // bytes of an answer that are kept
	maxRead     = 64 << 10
	// maxRetryAfter is read for anything longer, so that no header overflows.
	maxRetryAfter = 24 * time.Hour
	// SecretPrefix begins every webhook secret; base64 follows.
	SecretPrefix = "whsec_"
)

// Result is what the far end said to one call.
type Result struct {
	OK         bool
	Permanent  bool // trying again would not help
	Status     int  // 0: no answer
	Text       string
	RetryAfter time.Duration
}

// Webhooks calls webhooks. The zero value is not usable: New.
type Webhooks struct{ client *http.Client }

// New makes a caller. Unless allowPrivate, it refuses to connect to loopback,
// link-local, private and shared addresses, whatever name led there.
func New(allowPrivate bool, agent string) *Webhooks {
	d := &net.Dialer{Timeout: dialTimeout}
	if !allowPrivate {
		d.Control = refusePrivate
	}
	return &Webhooks{client: &http.Client{
		Timeout: sendTimeout,
		Transport: named{agent, &http.Transport{
			DialContext: d.DialContext, TLSHandshakeTimeout: dialTimeout,
			MaxIdleConnsPerHost: 1, IdleConnTimeout: time.Minute, ForceAttemptHTTP2: true,
		}},
		// A redirect would carry the body to where nobody configured.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// named says who calls.
type named struct {
	agent string
	http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (n named) RoundTrip(r *http.Request) (*http.Response, error) {
	r.Header.Set("User-Agent", n.agent)
	return n.RoundTripper.RoundTrip(r)
}

// payload is the body of a call.
type payload struct {
	DeliveryID messages.DeliveryID           `json:"delivery_id"`
	Events     messages.List[messages.Event] `json:"events"`
}

// Call sends one delivery to r's URL, signed with its secret at now. The body
// depends on the delivery and its events only: every try sends the same.
func (w *Webhooks) Call(ctx context.Context, r messages.Route, id messages.DeliveryID, events []messages.Event, now time.Time) Result {
	body, err := json.Marshal(payload{id, events})
	if err != nil {
		return Result{Permanent: true, Text: fmt.Sprintf("encode events: %v", err)}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.URL.Reveal(), bytes.NewReader(body))
	if err != nil {
		return Result{Permanent: true, Text: "malformed url"}
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(r.Secret.Reveal(), SecretPrefix))
	if err != nil {
		return Result{Permanent: true, Text: "malformed secret: want whsec_<base64>"}
	}
	stamp := strconv.FormatInt(now.Unix(), 10)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Webhook-Id", string(id))
	req.Header.Set("Webhook-Timestamp", stamp)
	req.Header.Set("Webhook-Signature", Sign(key, string(id), stamp, body))
	resp, err := w.client.Do(req)
	if err != nil {
		return Result{Text: Reason(err)}
	}
	defer resp.Body.Close()
	return judge(resp)
}

// Sign is the webhook-signature header: "v1," and the base64 of the HMAC-SHA256
// of "id.timestamp.body" (standardwebhooks.com).
func Sign(key []byte, id, timestamp string, body []byte) string {
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%s.", id, timestamp)
	mac.Write(body)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

func judge(resp *http.Response) Result {
	text, _ := io.ReadAll(io.LimitReader(resp.Body, maxAnswer)) // what came before an error is what there is to say
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, maxRead))
	r := Result{Status: resp.StatusCode, Text: strings.ToValidUTF8(string(text), "")}
	switch {
	case resp.StatusCode >= 200 && resp.StatusCode < 300:
		r.OK = true
	case resp.StatusCode == http.StatusRequestTimeout, resp.StatusCode == http.StatusTooManyRequests:
	default:
		r.Permanent = resp.StatusCode >= 400 && resp.StatusCode < 500
	}
	if !r.OK {
		r.RetryAfter = retryAfter(resp.Header.Get("Retry-After"), time.Now())
		// Not resp.Status: its words are the far end's, and as many as it likes.
		said := strings.TrimSpace(strconv.Itoa(resp.StatusCode) + " " + http.StatusText(resp.StatusCode))
		r.Text = strings.TrimSpace(said + ": " + r.Text)
	}
	return r
}

// retryAfter reads both forms of the header (RFC 9110, 10.2.3); 0 is none.
func retryAfter(h string, now time.Time) time.Duration {
	if n, err := strconv.Atoi(h); err == nil && n > 0 {
		return time.Duration(min(n, int(maxRetryAfter/time.Second))) * time.Second
	}
	if at, err := http.ParseTime(h); err == nil {
		return min(max(at.Sub(now), 0), maxRetryAfter)
	}
	return 0
}

// Reason is an error without the URL that net/http puts into it: a URL may
// carry a token.
func Reason(err error) string {
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	return err.Error()
}
