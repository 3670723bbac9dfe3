package uplink

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"

	"felhom.eu/messages"
)

const maxMessageRunes = 200 // of what a hub says, in errors and logs

// TransportError is returned when no answer of a hub was understood: whether it
// has the document is not known.
type TransportError struct {
	URL string
	Err error
}

// Error implements error.
func (e *TransportError) Error() string { return fmt.Sprintf("post %s: %v", e.URL, e.Err) }

// Unwrap gives the network's error.
func (e *TransportError) Unwrap() error { return e.Err }

// HTTPError is returned when the hub refused the document, and says why.
type HTTPError struct {
	Status     int
	Code       messages.Code // empty when the answer was not a hub's
	Message    string        // at most 200 characters, printable, without the key
	RetryAfter time.Duration // 0: not said
}

// Error implements error.
func (e *HTTPError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "hub answered %d", e.Status)
	if e.Code != "" {
		fmt.Fprintf(&b, " %s", e.Code)
	}
	if e.Message != "" {
		fmt.Fprintf(&b, ": %s", e.Message)
	}
	return b.String()
}

// Refused gives the code and the wait that the hub asked for.
func (e *HTTPError) Refused() (messages.Code, time.Duration) { return e.Code, e.RetryAfter }

// transportError takes net/http's own wrapping off: it repeats the URL, and is
// not ours to trust with it.
func (c *Client) transportError(path string, err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	return &TransportError{URL: c.base.String() + path, Err: err}
}

func (c *Client) httpError(resp *http.Response, body []byte) error {
	e := &HTTPError{Status: resp.StatusCode, RetryAfter: retryAfter(resp.Header.Get("Retry-After"), time.Now())}
	var told messages.ErrorBody
	if err := json.Unmarshal(body, &told); err == nil {
		e.Code, e.Message = messages.Code(c.clean(string(told.Error.Code))), c.clean(told.Error.Message)
	}
	if e.Code == "" && resp.StatusCode >= 300 && resp.StatusCode < 400 {
		e.Message = "redirects are not followed; put the hub's final address into hub.url"
	}
	return e
}

// clean makes a stranger's text fit for a log: one short printable line in
// which the key, should it be echoed, is not.
func (c *Client) clean(s string) string {
	if c.key != "" {
		s = strings.ReplaceAll(s, c.key.Reveal(), c.key.String())
	}
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, s)
	if runes := []rune(s); len(runes) > maxMessageRunes {
		s = string(runes[:maxMessageRunes])
	}
	return s
}

// retryAfter reads both forms of the header (RFC 9110 §10.2.3); 0 for neither.
func retryAfter(s string, now time.Time) time.Duration {
	if n, err := strconv.Atoi(s); err == nil {
		const most = math.MaxInt32 // seconds; more would overflow, and is nonsense anyway
		return time.Duration(max(0, min(n, most))) * time.Second
	}
	if at, err := http.ParseTime(s); err == nil {
		return max(0, at.Sub(now))
	}
	return 0
}
