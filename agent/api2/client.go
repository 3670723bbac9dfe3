package api2

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"felhom.eu/messages"
)

const (
	maxBody   = 16 << 20 // bytes of an answer, inflated
	maxInWork = 2        // requests at once: pveproxy and pvedaemon have 3 workers each, the GUI needs one

	// AuthBackOff is the pause after a 401: both servers make a bad try wait 3 s.
	AuthBackOff = 5 * time.Minute
	// IdleTimeout is below pveproxy's, which closes an idle connection after 5 s
	// (pve-http-server, AnyEvent.pm).
	IdleTimeout = 4 * time.Second
)

// Client asks one server. It may be used by several goroutines; more than two
// of them wait. Its fields are for reading once the first question was asked.
type Client struct {
	Base    string          // https://host:port
	Header  messages.Secret // the value of Authorization
	Secret  messages.Secret // the part of it that is scrubbed from what others say
	HTTP    *http.Client
	MaxBody int64            // bytes of an answer
	Now     func() time.Time // for the pause after a 401
	// Refusal finds the server's own words in an answer that is not 200.
	Refusal func(*http.Response) string

	inWork   chan struct{}
	mu       sync.Mutex // guards the two below
	refused  string     // what the last 401 said
	askAgain time.Time  // no question before, after a 401
}

// New makes a Client of the server at base, as ParseURL wrote it. header is the
// whole value of Authorization, secret the part of it that nobody may see.
func New(base string, header, secret messages.Secret, t *Trust, refusal func(*http.Response) string) *Client {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &Client{
		Base:   base,
		Header: header,
		Secret: secret,
		HTTP: &http.Client{
			Transport: &http.Transport{ // Proxy stays nil: the server is never behind one
				DialTLSContext:         t.dial,
				Protocols:              protocols,
				IdleConnTimeout:        IdleTimeout,
				MaxIdleConnsPerHost:    maxInWork,
				MaxResponseHeaderBytes: 64 << 10,
			},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		MaxBody: maxBody,
		Now:     time.Now,
		Refusal: refusal,
		inWork:  make(chan struct{}, maxInWork),
	}
}

// ParseURL reads the address of a server, https://host:port, and gives it
// without a path. The error repeats nothing that could be a password.
func ParseURL(s string) (base string, err error) {
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return "", errors.New("url: want https://host:port, and nothing else in it")
	case strings.Trim(u.Path, "/") != "" && strings.Trim(u.Path, "/") != "api2/json":
		return "", fmt.Errorf("url: path %.80q: want none", u.Path)
	}
	return "https://" + u.Host, nil
}

// Path joins the parts of a path, escaping each.
func Path(parts ...string) string {
	var b strings.Builder
	for _, p := range parts {
		b.WriteString("/" + url.PathEscape(p))
	}
	return b.String()
}

// Get asks for path, which is escaped and below /api2/json, and returns the
// answer's data, without the secret if a server repeats it. It waits for its turn,
// then at most timeout. Every error is an *Error. After a 401 it answers from memory
// for AuthBackOff.
func (c *Client) Get(ctx context.Context, path string, query url.Values, timeout time.Duration) (json.RawMessage, error) {
	op := "GET " + path
	select {
	case c.inWork <- struct{}{}:
		defer func() { <-c.inWork }()
	case <-ctx.Done():
		return nil, transportError(op, ctx.Err())
	}
	if err := c.fromMemory(op); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	data, err := c.ask(ctx, op, path, query)
	if err != nil {
		err.Detail = c.Scrub(err.Detail)
		c.remember(err)
		return nil, err
	}
	if c.Secret != "" {
		data = bytes.ReplaceAll(data, []byte(c.Secret.Reveal()), []byte(c.Secret.String()))
	}
	return data, nil
}

// ask encodes the query with = as %3D, as pveproxy needs it.
func (c *Client) ask(ctx context.Context, op, path string, query url.Values) (json.RawMessage, *Error) {
	target := c.Base + "/api2/json" + path
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return nil, transportError(op, err)
	}
	req.Header.Set("Authorization", c.Header.Reveal())
	resp, err := c.HTTP.Do(req)
	if err != nil {
		if ue, ok := errors.AsType[*url.Error](err); ok {
			err = ue.Err // the rest repeats op
		}
		return nil, transportError(op, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, statusError(op, resp.StatusCode, c.Refusal(resp))
	}
	return readData(op, resp.Body, c.MaxBody)
}

// readData unwraps {"data": …} of at most limit bytes.
func readData(op string, body io.Reader, limit int64) (json.RawMessage, *Error) {
	fail := func(format string, args ...any) *Error {
		return &Error{Op: op, Kind: KindDecode, Status: http.StatusOK, Detail: fmt.Sprintf(format, args...)}
	}
	b, err := io.ReadAll(io.LimitReader(body, limit+1))
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return nil, fail("answer ends after %d bytes", len(b))
	case err != nil:
		return nil, transportError(op, err)
	case int64(len(b)) > limit:
		return nil, fail("answer is over %d KiB", limit>>10)
	}
	var envelope struct {
		Data json.RawMessage `json:"data"`
	}
	if err := json.Unmarshal(b, &envelope); err != nil {
		return nil, fail("answer is not JSON (%v): %.60q", err, b)
	}
	if len(envelope.Data) == 0 || bytes.Equal(envelope.Data, []byte("null")) {
		return nil, fail("answer has no data")
	}
	return envelope.Data, nil
}

// Scrub makes text that came from outside fit to be seen: no secret, one line.
func (c *Client) Scrub(text string) string {
	if c.Secret != "" {
		text = strings.ReplaceAll(text, c.Secret.Reveal(), c.Secret.String())
	}
	return OneLine(text)
}

// Unreadable is the error of an answer whose data is not what it should be.
func (c *Client) Unreadable(path string, err error) *Error {
	return &Error{Op: "GET " + path, Kind: KindDecode, Status: http.StatusOK, Detail: c.Scrub(err.Error())}
}

func (c *Client) remember(e *Error) {
	if e.Kind != KindAuth {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refused, c.askAgain = e.Detail, c.Now().Add(AuthBackOff)
}

func (c *Client) fromMemory(op string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if left := c.askAgain.Sub(c.Now()); left > 0 {
		return backedOff(op, c.refused, left)
	}
	return nil
}

// Read asks and decodes the answer's data into a T.
func Read[T any](ctx context.Context, c *Client, path string, query url.Values, timeout time.Duration) (T, error) {
	var v T
	data, err := c.Get(ctx, path, query, timeout)
	if err != nil {
		return v, err
	}
	if err := json.Unmarshal(data, &v); err != nil {
		return v, c.Unreadable(path, err)
	}
	return v, nil
}

// ReadRows decodes a list row by row: one that cannot be read costs itself
// only, and is told in bad.
func ReadRows[T any](ctx context.Context, c *Client, path string, query url.Values, timeout time.Duration) (rows []T, bad []error, err error) {
	raw, err := Read[[]json.RawMessage](ctx, c, path, query, timeout)
	if err != nil {
		return nil, nil, err
	}
	rows = make([]T, 0, len(raw))
	for _, b := range raw {
		var row T
		if err := json.Unmarshal(b, &row); err != nil {
			bad = append(bad, c.Unreadable(path, err))
			continue
		}
		rows = append(rows, row)
	}
	return rows, bad, nil
}
