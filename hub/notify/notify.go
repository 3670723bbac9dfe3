// Package notify speaks to the far ends of routes: a webhook, signed the Standard
// Webhooks way, and every service that a shoutrrr URL names, mail among them.
//
// The idea to hold while reading: a try has one verdict (Result), and must not have
// effects beside it. So every connection goes through one dialer, which refuses
// private addresses after names were resolved; no redirect is followed; a try ends
// in time; an answer is read up to a bound; and no word of a route's URL that may
// open something gets into an error.
//
// shoutrrr's own senders keep little of that: they take no context, hide statuses,
// read answers without bound, follow redirects, and some lose a message without an
// error. What people use most is therefore sent here, by the URLs that shoutrrr
// reads; the rest goes through shoutrrr with its calls caught (caught.go).
//
//	route ─ kind ─▶ webhook.go
//	             └▶ service.go ─ scheme ─▶ mail.go, push.go, chat.go
//	                                     └▶ other.go ─▶ shoutrrr ─▶ caught.go
package notify

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/url"
	"time"

	"felhom.eu/hub/notify/text"
	"felhom.eu/messages"
)

const (
	dialTimeout = 5 * time.Second
	sendTimeout = 10 * time.Second
)

// Result is what the far end said to one try.
type Result struct {
	OK         bool
	Permanent  bool // trying again would not help
	Status     int  // of HTTP, or the reply code of SMTP; 0: no answer
	Text       string
	RetryAfter time.Duration
}

// Options say how a Sender speaks.
type Options struct {
	AllowPrivate bool   // routes may lead to loopback, link-local and private addresses
	Agent        string // of User-Agent
	Place        text.Place
}

// Sender sends deliveries on routes. Make one with New; any number of goroutines
// may use it.
type Sender struct {
	options  Options
	dialer   net.Dialer
	dial     func(ctx context.Context, network, address string) (net.Conn, error) // of dialer
	tls      *tls.Config
	checked  *http.Client // knows whom it speaks to
	trusting *http.Client // for URLs that say not to check a certificate
}

// New makes a sender.
func New(o Options) *Sender {
	s := &Sender{options: o, dialer: net.Dialer{Timeout: dialTimeout}, tls: &tls.Config{MinVersion: tls.VersionTLS12}}
	if !o.AllowPrivate {
		s.dialer.Control = refusePrivate
	}
	s.dial = s.dialer.DialContext
	s.checked = s.client(s.tls.Clone()) // a transport writes into its own
	trusting := s.tls.Clone()
	trusting.InsecureSkipVerify = true
	s.trusting = s.client(trusting)
	return s
}

func (s *Sender) client(config *tls.Config) *http.Client {
	return &http.Client{
		Timeout: sendTimeout,
		Transport: named{s.options.Agent, &http.Transport{
			DialContext:     func(ctx context.Context, n, a string) (net.Conn, error) { return s.dial(ctx, n, a) },
			TLSClientConfig: config, TLSHandshakeTimeout: dialTimeout,
			MaxIdleConnsPerHost: 1, IdleConnTimeout: time.Minute, ForceAttemptHTTP2: true, MaxResponseHeaderBytes: maxRead,
		}},
		// A redirect would carry the body to where nobody configured.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
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

// Send is one try of a delivery on a route. It ends with ctx, and after ten seconds
// by itself. The text of what it returns says nothing of the route's URL that may
// open something.
func (s *Sender) Send(ctx context.Context, r messages.Route, d messages.Delivery, events []messages.Event) Result {
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	var result Result
	switch r.Kind {
	case messages.RouteWebhook:
		result = s.Call(ctx, r, &d, events, time.Now())
	case messages.RouteShoutrrr:
		result = s.tell(ctx, r, &d, events)
	default:
		result = Result{Permanent: true, Text: "no route is of kind " + string(r.Kind)}
	}
	result.Text = scrub(result.Text, r)
	return result
}

// tell sends a delivery in words.
func (s *Sender) tell(ctx context.Context, r messages.Route, d *messages.Delivery, events []messages.Event) Result {
	svc, u, err := serviceOf(r.URL.Reveal())
	if err != nil {
		return Result{Permanent: true, Text: err.Error()}
	}
	return svc.send(ctx, s, letter{text.Of(d, events, s.options.Place), d, u, svc.example})
}

// letter is a message on its way: what it says, and by which URL.
type letter struct {
	text.Message
	delivery *messages.Delivery
	url      *url.URL
	example  string // of such a URL
}

// trusts is the client for a URL that says whether to check the far end's certificate.
func (s *Sender) trusts(anybody bool) *http.Client {
	if anybody {
		return s.trusting
	}
	return s.checked
}
