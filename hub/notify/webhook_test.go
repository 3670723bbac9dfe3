package notify

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"felhom.eu/messages"
)

// The signature is the one of the Standard Webhooks reference: its published
// example must come out.
func TestSignIsStandardWebhooks(t *testing.T) {
	key, err := base64.StdEncoding.DecodeString("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	if err != nil {
		t.Fatal(err)
	}
	got := Sign(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", []byte(`{"test": 2432232314}`))
	if want := "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="; got != want {
		t.Errorf("signature %s, want %s", got, want)
	}
}

func testRoute(url string) messages.Route {
	return messages.Route{ID: "r", URL: messages.Secret(url), Secret: SecretPrefix + "c2VjcmV0"}
}

// A receiver can verify what it gets, and every try carries the same id and body.
func TestCallIsSignedAndRepeatable(t *testing.T) {
	var bodies, ids []string
	far := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		id, stamp := r.Header.Get("Webhook-Id"), r.Header.Get("Webhook-Timestamp")
		if want := Sign([]byte("secret"), id, stamp, body); r.Header.Get("Webhook-Signature") != want {
			t.Errorf("signature %q, want %q", r.Header.Get("Webhook-Signature"), want)
		}
		bodies, ids = append(bodies, string(body)), append(ids, id)
	}))
	defer far.Close()
	w := New(Options{AllowPrivate: true, Agent: "felhom-hub/test"})
	events := []messages.Event{{ID: "e1", Type: messages.HostDown, HostID: "acme-7f3a90c1", Summary: "is down <b>"}}
	for i := range 2 {
		if r := w.Call(t.Context(), testRoute(far.URL), &messages.Delivery{ID: "d1"}, events, time.Unix(int64(i)*60, 0)); !r.OK || r.Status != 200 {
			t.Fatalf("call %d: %+v", i, r)
		}
	}
	if bodies[0] != bodies[1] || ids[0] != "d1" || ids[1] != "d1" {
		t.Errorf("two tries differ: %q %q, ids %q", bodies[0], bodies[1], ids)
	}
	var got struct {
		DeliveryID string           `json:"delivery_id"`
		Events     []messages.Event `json:"events"`
	}
	if err := json.Unmarshal([]byte(bodies[0]), &got); err != nil || got.DeliveryID != "d1" || len(got.Events) != 1 || got.Events[0].Type != messages.HostDown {
		t.Errorf("body %s: %v", bodies[0], err)
	}
}

// Which answers end a delivery, which are tried again and when.
func TestAnswersAreJudged(t *testing.T) {
	for _, c := range []struct {
		status     int
		retryAfter string
		want       Result
	}{
		{200, "", Result{OK: true, Status: 200}},
		{204, "", Result{OK: true, Status: 204}},
		{302, "", Result{Status: 302}},
		{400, "", Result{Permanent: true, Status: 400}},
		{404, "", Result{Permanent: true, Status: 404}},
		{408, "", Result{Status: 408}},
		{410, "", Result{Permanent: true, Status: 410}},
		{429, "120", Result{Status: 429, RetryAfter: 2 * time.Minute}},
		{429, "10000000000", Result{Status: 429, RetryAfter: maxRetryAfter}},
		{500, "soon", Result{Status: 500}},
		{503, "-5", Result{Status: 503}},
	} {
		var elsewhere bool
		far := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			elsewhere = elsewhere || r.URL.Path == "/elsewhere"
			w.Header().Set("Location", "/elsewhere")
			w.Header().Set("Retry-After", c.retryAfter)
			w.WriteHeader(c.status)
		}))
		got := New(Options{AllowPrivate: true}).Call(t.Context(), testRoute(far.URL), &messages.Delivery{ID: "d1"}, nil, time.Now())
		far.Close()
		got.Text = ""
		if got != c.want || elsewhere {
			t.Errorf("%d: %+v, want %+v; followed a redirect: %v", c.status, got, c.want, elsewhere)
		}
	}
}

// Retry-After may be an instant, too (RFC 9110, 10.2.3).
func TestRetryAfterTakesDates(t *testing.T) {
	now := time.Date(2026, 6, 8, 14, 0, 0, 0, time.UTC)
	if got := retryAfter("Mon, 08 Jun 2026 14:05:00 GMT", now); got != 5*time.Minute {
		t.Errorf("got %v, want 5m", got)
	}
	if got := retryAfter("Mon, 08 Jun 2026 13:05:00 GMT", now); got != 0 {
		t.Errorf("an instant that has passed: %v, want 0", got)
	}
}

// No spelling of a loopback address gets through, and an error says nothing of
// the URL, whose path may be a token.
func TestPrivateTargetsAreRefusedAndTokensKept(t *testing.T) {
	called := false
	far := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { called = true }))
	defer far.Close()
	port := far.URL[strings.LastIndex(far.URL, ":"):]
	for _, host := range []string{"127.0.0.1", "localhost", "0.0.0.0", "[::]", "[::1]", "[::ffff:127.0.0.1]"} {
		r := New(Options{}).Call(t.Context(), testRoute("http://"+host+port+"/bot-TOKEN?key=TOKEN"), &messages.Delivery{ID: "d1"}, nil, time.Now())
		if r.OK || called {
			t.Errorf("%s was reached", host)
		}
		if strings.Contains(r.Text, "TOKEN") {
			t.Errorf("the error tells the token: %s", r.Text)
		}
	}
}

// Which addresses count as private.
func TestPrivate(t *testing.T) {
	for a, want := range map[string]bool{
		"127.0.0.1": true, "10.1.2.3": true, "172.16.0.1": true, "192.168.1.1": true, "169.254.169.254": true,
		"100.64.0.1": true, "0.0.0.0": true, "224.0.0.1": true, "255.255.255.255": true, "198.18.0.1": true, "240.0.0.1": true,
		"::1": true, "::": true, "fe80::1": true, "fe80::1%eth0": true, "fd00::1": true, "ff02::1": true,
		"::ffff:10.0.0.1": true, "64:ff9b::a00:1": true, "192.0.0.8": true, "2002:a00:1::1": true,
		"192.0.2.1": false, "8.8.8.8": false, "2001:db8::1": false, "2606:4700::1111": false, "::ffff:8.8.8.8": false,
	} {
		if got := Private(netip.MustParseAddr(a)); got != want {
			t.Errorf("Private(%s) = %v, want %v", a, got, want)
		}
	}
}
