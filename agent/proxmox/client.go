package proxmox

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"felhom.eu/messages"
)

const (
	maxBody   = 16 << 20 // bytes of an answer, inflated
	maxInWork = 2        // requests at once: pveproxy and pvedaemon have 3 workers each, the GUI needs one

	quickTimeout = 10 * time.Second
	slowTimeout  = 35 * time.Second // pveproxy gives up after 30 s, and says 596

	authBackOff = 5 * time.Minute // between two tries with a token that was refused
	idleTimeout = 4 * time.Second // pveproxy closes an idle connection after 5 s (pve-http-server, AnyEvent.pm)
)

// client asks pveproxy. It may be used by several goroutines; more than
// maxInWork of them wait.
type client struct {
	base     string // https://host:port
	header   messages.Secret
	secret   messages.Secret // for scrubbing it from what others say
	http     *http.Client
	inWork   chan struct{}
	maxBody  int64
	quick    time.Duration
	slow     time.Duration
	now      func() time.Time
	mu       sync.Mutex // guards the two below
	refused  string     // what the last 401 said
	askAgain time.Time  // no question before, after a 401
}

func newClient(base, tokenID string, secret messages.Secret, t *trust) *client {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &client{
		base:   base,
		header: "PVEAPIToken=" + messages.Secret(tokenID) + "=" + secret,
		secret: secret,
		http: &http.Client{
			Transport: &http.Transport{ // Proxy stays nil: the node is never behind one
				DialTLSContext:         t.dial,
				Protocols:              protocols,
				IdleConnTimeout:        idleTimeout,
				MaxIdleConnsPerHost:    maxInWork,
				MaxResponseHeaderBytes: 64 << 10,
			},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		inWork:  make(chan struct{}, maxInWork),
		maxBody: maxBody,
		quick:   quickTimeout,
		slow:    slowTimeout,
		now:     time.Now,
	}
}

// question is one GET.
type question struct {
	path  string     // escaped, below /api2/json
	query url.Values // Encode writes = as %3D, as pveproxy needs it
	slow  bool       // answered by pvedaemon, which a hung storage can hold up
}

// path joins the parts of a path, escaping each.
func path(parts ...string) string {
	var b strings.Builder
	for _, p := range parts {
		b.WriteString("/" + url.PathEscape(p))
	}
	return b.String()
}

// get asks and returns the answer's data. Every error is an *Error. After a
// 401 it answers from memory for some minutes: pveproxy punishes each bad try
// with 3 s of one of its workers.
func (c *client) get(ctx context.Context, q question) (json.RawMessage, error) {
	op := "GET " + q.path
	select {
	case c.inWork <- struct{}{}:
		defer func() { <-c.inWork }()
	case <-ctx.Done():
		return nil, transportError(op, ctx.Err())
	}
	if err := c.fromMemory(op); err != nil {
		return nil, err
	}
	timeout := c.quick
	if q.slow {
		timeout = c.slow
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	data, err := c.ask(ctx, op, q)
	if err != nil {
		err.Detail = c.scrub(err.Detail)
		c.remember(err)
		return nil, err
	}
	return data, nil
}

func (c *client) ask(ctx context.Context, op string, q question) (json.RawMessage, *Error) {
	target := c.base + "/api2/json" + q.path
	if len(q.query) > 0 {
		target += "?" + q.query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return nil, transportError(op, err)
	}
	req.Header.Set("Authorization", c.header.Reveal())
	resp, err := c.http.Do(req)
	if err != nil {
		if ue, ok := errors.AsType[*url.Error](err); ok {
			err = ue.Err // the rest repeats op
		}
		return nil, transportError(op, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, statusError(op, resp.StatusCode, refusal(resp))
	}
	return readData(op, resp.Body, c.maxBody)
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

// refusal is the text of an answer that is not 200: the body's message and
// parameter errors, or the reason phrase, which is all that versions before
// libpve-http-server-perl 5.2.0 (PVE 8.4) say. 401 and 595 have no body.
func refusal(resp *http.Response) string {
	var body struct {
		Message string            `json:"message"`
		Errors  map[string]string `json:"errors"`
	}
	b, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10)) // a cut body is as good as none
	_ = json.Unmarshal(b, &body)                          // and so is one that is not JSON
	text := body.Message
	if text == "" {
		_, text, _ = strings.Cut(resp.Status, " ")
	}
	for _, name := range slices.Sorted(maps.Keys(body.Errors)) {
		text = strings.TrimSpace(text) + " " + name + ": " + body.Errors[name]
	}
	return text
}

// scrub makes text that came from outside fit to be seen: no secret, one line.
func (c *client) scrub(text string) string {
	if c.secret != "" {
		text = strings.ReplaceAll(text, c.secret.Reveal(), c.secret.String())
	}
	return oneLine(text)
}

func (c *client) remember(e *Error) {
	if e.Kind != KindAuth {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refused, c.askAgain = e.Detail, c.now().Add(authBackOff)
}

func (c *client) fromMemory(op string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if left := c.askAgain.Sub(c.now()); left > 0 {
		return backedOff(op, c.refused, left)
	}
	return nil
}

// read asks and decodes the answer's data into a T.
func read[T any](ctx context.Context, c *client, q question) (T, error) {
	var v T
	data, err := c.get(ctx, q)
	if err != nil {
		return v, err
	}
	if err := json.Unmarshal(data, &v); err != nil {
		return v, &Error{Op: "GET " + q.path, Kind: KindDecode, Status: http.StatusOK, Detail: c.scrub(err.Error())}
	}
	return v, nil
}
