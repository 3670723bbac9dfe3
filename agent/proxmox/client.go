package proxmox

import (
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"felhom.eu/agent/api2"
	"felhom.eu/messages"
)

const (
	quickTimeout = 10 * time.Second
	slowTimeout  = 35 * time.Second // pveproxy gives up after 30 s, and says 596
)

// client asks pveproxy.
type client struct {
	*api2.Client
	quick time.Duration
	slow  time.Duration
}

func newClient(base, tokenID string, secret messages.Secret, t *api2.Trust) *client {
	header := "PVEAPIToken=" + messages.Secret(tokenID) + "=" + secret
	return &client{api2.New(base, header, secret, t, refusal), quickTimeout, slowTimeout}
}

// question is one GET.
type question struct {
	path  string     // escaped, below /api2/json
	query url.Values // Encode writes = as %3D, as pveproxy needs it
	slow  bool       // answered by pvedaemon, which a hung storage can hold up
}

func (c *client) timeout(q question) time.Duration {
	if q.slow {
		return c.slow
	}
	return c.quick
}

// path joins the parts of a path, escaping each.
func path(parts ...string) string { return api2.Path(parts...) }

// get asks and returns the answer's data. Every error is an *api2.Error.
func (c *client) get(ctx context.Context, q question) (json.RawMessage, error) {
	return c.Get(ctx, q.path, q.query, c.timeout(q))
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

// read asks and decodes the answer's data into a T.
func read[T any](ctx context.Context, c *client, q question) (T, error) {
	return api2.Read[T](ctx, c.Client, q.path, q.query, c.timeout(q))
}

// readRows decodes a list row by row: one that cannot be read costs itself
// only, and is told in bad.
func readRows[T any](ctx context.Context, c *client, q question) (rows []T, bad []error, err error) {
	return api2.ReadRows[T](ctx, c.Client, q.path, q.query, c.timeout(q))
}
