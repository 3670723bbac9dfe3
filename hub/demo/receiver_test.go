package demo

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func sign(secret []byte, id string, at time.Time, body string) http.Header {
	mac := hmac.New(sha256.New, secret)
	fmt.Fprintf(mac, "%s.%d.%s", id, at.Unix(), body)
	return http.Header{
		"Webhook-Id":        {id},
		"Webhook-Timestamp": {fmt.Sprint(at.Unix())},
		"Webhook-Signature": {"v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))},
	}
}

// The demo claims that every signature is valid: the check must be able to say
// otherwise, for each part that is signed.
func TestVerifyRefusesWhatTheHubDidNotSign(t *testing.T) {
	secret, now, body := []byte("a secret of the demo"), time.Unix(1780000000, 0), `{"events":[]}`
	for name, c := range map[string]struct {
		change func(http.Header)
		body   string
		want   bool
	}{
		"as signed":             {func(http.Header) {}, body, true},
		"one of two signatures": {func(h http.Header) { h["Webhook-Signature"][0] = "v1,AAAA " + h["Webhook-Signature"][0] }, body, true},
		"another body":          {func(http.Header) {}, body + " ", false},
		"another id":            {func(h http.Header) { h.Set("webhook-id", "other") }, body, false},
		"another instant":       {func(h http.Header) { h.Set("webhook-timestamp", fmt.Sprint(now.Unix()+1)) }, body, false},
		"another kind":          {func(h http.Header) { h["Webhook-Signature"][0] = "v2" + h["Webhook-Signature"][0][2:] }, body, false},
		"no signature":          {func(h http.Header) { h.Del("webhook-signature") }, body, false},
		"no instant":            {func(h http.Header) { h.Del("webhook-timestamp") }, body, false},
	} {
		h := sign(secret, "id", now, body)
		c.change(h)
		if got := verify(secret, h, []byte(c.body), now); got != c.want {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
	if verify(secret, sign(secret, "id", now, body), []byte(body), now.Add(6*time.Minute)) {
		t.Error("a signature of six minutes ago was taken: it could be a replay")
	}
}

// A delivery that comes again counts once, and a forged one is the demo's failure.
func TestReceiverCountsDeliveriesOnceAndForgeriesAlways(t *testing.T) {
	r := &receiver{secret: []byte("a secret of the demo"), seen: map[string]bool{}}
	post := func(secret string) int {
		body := `{"delivery_id":"d1","events":[{"type":"host_down"},{"type":"host_stale"}]}`
		req := httptest.NewRequest("POST", "/told", strings.NewReader(body))
		req.Header = sign([]byte(secret), "d1", time.Now(), body)
		w := httptest.NewRecorder()
		r.ServeHTTP(w, req)
		return w.Code
	}
	for _, want := range []struct {
		secret string
		status int
	}{{"a secret of the demo", 204}, {"a secret of the demo", 204}, {"somebody else's", 401}} {
		if got := post(want.secret); got != want.status {
			t.Errorf("signed with %q: got %d, want %d", want.secret, got, want.status)
		}
	}
	fresh, got := r.told()
	if want := (tally{deliveries: 1, events: 2, repeats: 1, forged: 1}); got != want || len(fresh) != 1 {
		t.Errorf("got %+v and %d fresh, want %+v and 1", got, len(fresh), want)
	}
	if err := r.verdict(); !errors.Is(err, errUnsigned) {
		t.Errorf("verdict %v, want %v", err, errUnsigned)
	}
}
