package uplink

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"felhom.eu/messages"
	"felhom.eu/messages/mutation"
)

// targets are the readers of what a hub answers, by the names of their fuzz
// functions. An input of both is a Retry-After, a line's end, and a body.
func targets(testing.TB) map[string]mutation.Target {
	words := []string{canary, `"ok"`, "\n", "-1", "9999999999999999999999", "Fri, 31 Dec 9999 23:59:59 GMT", `"status":`, `\u001b[2J`, `"poll_interval_seconds":1e3,`}
	refusal, err := json.Marshal(messages.ErrorBody{Error: messages.ErrorDetail{Code: messages.CodeUnauthorized, Message: "no valid key " + canary}})
	if err != nil {
		panic(err) // plain fields only
	}
	return map[string]mutation.Target{
		"Envelope": {Seeds: [][]byte{[]byte(okEnvelope), []byte(`{"status":"ok"`), []byte(`{"status":"ok","blocked":true,"poll_interval_seconds":60,"has_signed_ops":false,"x":[{}]}`)}, Words: words, Check: checkEnvelope},
		"Refusal": {Seeds: [][]byte{append([]byte("-1\n"), refusal...), append([]byte("120\n"), refusal...), []byte("9999999999999999999999\n<html>"),
			[]byte("Fri, 31 Dec 1999 23:59:59 GMT\n" + `{"error":{"code":"unauthorized","message":"\u0000\n` + canary + `"}}`)}, Words: words, Check: checkRefusal},
	}
}

func FuzzEnvelope(f *testing.F) { mutation.Fuzz(f, targets(f)["Envelope"]) }
func FuzzRefusal(f *testing.F)  { mutation.Fuzz(f, targets(f)["Refusal"]) }

// Protects the log and the key from whatever answers in the hub's place.
func TestMutations(t *testing.T) { mutation.Run(t, targets(t)) }

// checkEnvelope: only a hub's "ok" is a delivery, and it reads the same when it
// is written again.
func checkEnvelope(t testing.TB, body []byte) (taken bool) {
	e, err := decodeEnvelope(body)
	if err != nil {
		if s := err.Error(); len(s) > 200 || strings.Contains(s, canary) || bytes.Contains(body, []byte("<")) && strings.Contains(s, "<") {
			t.Errorf("got error %q", s)
		}
		return false
	}
	again, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	if f, err := decodeEnvelope(again); e.Status != "ok" || err != nil || e != f || !json.Valid(body) {
		t.Errorf("%q is taken for %+v, then for %+v, %v", body, e, f, err)
	}
	return true
}

// checkRefusal: an error is one short printable line without the key.
func checkRefusal(t testing.TB, input []byte) (taken bool) {
	wait, body, _ := bytes.Cut(input, []byte("\n"))
	c := &Client{key: canary}
	status := [...]int{201, 307, 401, 503}[len(input)%4]
	resp := &http.Response{StatusCode: status, Header: http.Header{"Retry-After": {string(wait)}}}
	err := c.httpError(resp, body).(*HTTPError)
	s := err.Error()
	if strings.Contains(s, canary) || utf8.RuneCountInString(s) > 2*maxMessageRunes+50 || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) ||
		!strings.Contains(s, fmt.Sprint(status)) {
		t.Errorf("got error %q", s)
	}
	if err.RetryAfter < 0 {
		t.Errorf("got wait %v", err.RetryAfter)
	}
	return err.Code != ""
}
