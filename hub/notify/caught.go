package notify

import (
	"context"
	"errors"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync"
)

// shoutrrr's senders call http.DefaultTransport, at the end of all their clients,
// and know no context. So while one works, the calls of its goroutine are caught
// there and made by the sender's own transport: with the dialer of all routes, in
// time, with a bounded answer, and with a verdict that no sender can hide. A
// service's answer that is no success comes back to it as an error, so that it
// follows no redirect. All other calls of the program go on as ever.

// catcher is in the place of http.DefaultTransport.
type catcher struct {
	next  http.RoundTripper
	calls sync.Map // of goroutines (string): *caught
}

// caught is what one try of a service came to.
type caught struct {
	ctx    context.Context
	client *http.Client
	result Result // of its last call
	called bool
}

var theCatcher = sync.OnceValue(func() *catcher {
	c := &catcher{next: http.DefaultTransport}
	http.DefaultTransport = c
	return c
})

var errRefused = errors.New("the service did not take it")

// RoundTrip implements http.RoundTripper.
func (c *catcher) RoundTrip(r *http.Request) (*http.Response, error) {
	if call, ok := c.calls.Load(goroutine()); ok {
		return call.(*caught).roundTrip(r)
	}
	return c.next.RoundTrip(r)
}

// CloseIdleConnections lets the closing of a client reach its connections.
func (c *catcher) CloseIdleConnections() {
	if next, ok := c.next.(interface{ CloseIdleConnections() }); ok {
		next.CloseIdleConnections()
	}
}

func (c *caught) roundTrip(r *http.Request) (*http.Response, error) {
	c.called = true
	resp, err := c.client.Transport.RoundTrip(r.WithContext(c.ctx))
	if err != nil {
		c.result = Result{Text: Reason(err)}
		return nil, err
	}
	if resp.StatusCode < 200 || resp.StatusCode >= 300 {
		defer resp.Body.Close()
		c.result = judge(resp)
		return nil, errRefused
	}
	c.result = Result{OK: true, Status: resp.StatusCode}
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(resp.Body, maxRead), resp.Body}
	return resp, nil
}

// during runs do, and catches its calls.
func (c *catcher) during(call *caught, do func()) {
	id := goroutine()
	c.calls.Store(id, call)
	defer c.calls.Delete(id)
	do()
}

// goroutine names the goroutine that asks. net/http makes a round trip on that of
// its caller, and nothing else that is the same there and here comes through a
// service.
func goroutine() string {
	var b [64]byte
	words := strings.Fields(string(b[:runtime.Stack(b[:], false)])) // goroutine 42 [running]:
	return words[1]
}
