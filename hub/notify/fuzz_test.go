package notify

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
	"unicode/utf8"

	"felhom.eu/messages/mutation"
)

// targets is the reader of a far end's answer. An input is a Retry-After, a
// line's end, the words of the status, a line's end, and a body.
func targets(testing.TB) map[string]mutation.Target {
	return map[string]mutation.Target{"Answer": {
		Seeds: [][]byte{[]byte("120\nToo Many Requests\nslow down"), []byte("Fri, 31 Dec 9999 23:59:59 GMT\nx\n{}"), []byte("-1\n\n<html>"),
			[]byte("Thu, 01 Jan 1970 00:00:00 GMT\nGone\n"), []byte("9223372036854775807\n" + strings.Repeat("x", 5000) + "\n" + strings.Repeat("\xff", 5000))},
		Words: []string{"\n", "99999999999999999999", "+1", " 1", "0x10", "1e9", "Fri, 31 Dec 9999 23:59:59 GMT", "\u202e", "\xff", "\x1b[2J"},
		Check: checkAnswer,
	}}
}

func FuzzAnswer(f *testing.F) { mutation.Fuzz(f, targets(f)["Answer"]) }

// Protects deliveries, the store that keeps their last error, and those who read
// it, from whatever answers at the far end.
func TestMutations(t *testing.T) { mutation.Run(t, targets(t)) }

// checkAnswer: a wait is of this world, the words are few and text, and each status
// has one verdict.
func checkAnswer(t testing.TB, input []byte) (taken bool) {
	wait, rest, _ := bytes.Cut(input, []byte("\n"))
	words, body, _ := bytes.Cut(rest, []byte("\n"))
	status := [...]int{200, 204, 299, 301, 400, 408, 410, 429, 500, 503}[len(input)%10]
	r := judge(&http.Response{StatusCode: status, Status: string(words), Header: http.Header{"Retry-After": {string(wait)}}, Body: io.NopCloser(bytes.NewReader(body))})
	if r.RetryAfter < 0 || r.RetryAfter > maxRetryAfter || r.OK && r.RetryAfter != 0 {
		t.Errorf("%q: got a wait of %v", wait, r.RetryAfter)
	}
	if len(r.Text) > maxAnswer+100 || !utf8.ValidString(r.Text) {
		t.Errorf("%.200q: got %d bytes of text, %.200q", input, len(r.Text), r.Text)
	}
	if r.Status != status || r.OK != (status < 300) || r.Permanent != (status == 400 || status == 410) {
		t.Errorf("%d: got %+v", status, r)
	}
	return r.RetryAfter > 0
}
