package notify

import (
	"bytes"
	"encoding/base64"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"felhom.eu/messages"
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
	}, "Scrub": {
		Seeds: scrubSeeds(),
		Words: []string{"\n", "%zz", "%2F", "%00", "@", ":", "//", "?key=", "&", "#", "+https", "[::1]", "\xff", "é", "=", "xn--", ";"},
		Cost:  4,
		Check: checkScrub,
	}}
}

func scrubSeeds() (seeds [][]byte) {
	for _, raw := range urls {
		seeds = append(seeds, []byte(raw))
	}
	return append(seeds, []byte("https://hooks.example.com/TOKEN?key=TOKEN"))
}

// checkScrub: whatever an error has of a route's URL, in whatever form, nothing of
// it that may open something is left; and no URL breaks what looks at it.
func checkScrub(t testing.TB, input []byte) (taken bool) {
	raw, kind := string(input), messages.RouteShoutrrr
	if strings.HasPrefix(raw, "http") {
		kind = messages.RouteWebhook
	}
	r := messages.Route{Kind: kind, URL: messages.Secret(raw), Secret: "whsec_c2VjcmV0c2VjcmV0"}
	err := CheckURL(kind, raw, false)
	shown := lower(Mask(kind, raw))
	if err != nil {
		shown += lower(err.Error())
	}
	said := raw + " " + url.QueryEscape(raw) + " " + url.PathEscape(raw) + " " + lower(raw) + " whsec_c2VjcmV0c2VjcmV0"
	u, bad := url.Parse(raw)
	if bad != nil {
		u = &url.URL{}
	}
	if u.User != nil {
		password, _ := u.User.Password()
		said += " " + password + " " + base64.StdEncoding.EncodeToString([]byte(u.User.Username()+":"+password))
	}
	left := lower(scrub(said, r))
	for _, secret := range opening(u) {
		readable := utf8.ValidString(secret)
		if secret = lower(secret); readable && len(secret) >= leastSecret && !strings.Contains(shown, secret) && strings.Contains(left, secret) {
			t.Errorf("%q: %q is left in %q", raw, secret, left)
		}
	}
	return err == nil
}

// opening are the parts of a URL that may open something.
func opening(u *url.URL) (parts []string) {
	parts = strings.Split(u.Path, "/")
	if u.User != nil {
		password, _ := u.User.Password()
		parts = append(parts, u.User.Username(), password)
	}
	for _, values := range u.Query() {
		parts = append(parts, values...)
	}
	return parts
}

func FuzzAnswer(f *testing.F) { mutation.Fuzz(f, targets(f)["Answer"]) }
func FuzzScrub(f *testing.F)  { mutation.Fuzz(f, targets(f)["Scrub"]) }

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
