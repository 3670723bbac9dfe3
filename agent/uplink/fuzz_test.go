package uplink

import (
	"net/http"
	"strings"
	"testing"
	"unicode"
)

// Protects the log and the key from whatever answers in the hub's place: an
// error is one short printable line without the key, and only a hub's "ok" is
// a delivery.
func FuzzAnswers(f *testing.F) {
	f.Add(200, okEnvelope, "")
	f.Add(200, `{"status":"ok"`, "")
	f.Add(401, `{"error":{"code":"unauthorized","message":"\u0000\n`+canary+`"}}`, "-1")
	f.Add(503, "<html>", "9999999999999999999999")
	c := &Client{key: canary}
	f.Fuzz(func(t *testing.T, status int, body, wait string) {
		if e, err := decodeEnvelope([]byte(body)); err == nil && e.Status != "ok" {
			t.Errorf("%q is taken for an envelope", body)
		}
		resp := &http.Response{StatusCode: status, Header: http.Header{"Retry-After": {wait}}}
		err := c.httpError(resp, []byte(body)).(*HTTPError)
		s := err.Error()
		if strings.Contains(s, canary) || len([]rune(s)) > 2*maxMessageRunes+50 || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("got error %q", s)
		}
		if err.RetryAfter < 0 {
			t.Errorf("got wait %v", err.RetryAfter)
		}
	})
}
