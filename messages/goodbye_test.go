package messages

import (
	"strings"
	"testing"
)

// goodbyes that are accepted, by what is particular in them.
var goodbyes = map[string]string{
	"full":    `{"host_id":"acme-7f3a90c1","sent_at":"2026-06-08T14:20:09Z","reason":"kernel 6.8.12-10","back_by":"2026-06-08T14:30:09+02:00","stream":"01JX7Q2M5T9V0W3Y6Z8ABCDEFG"}`,
	"least":   `{"sent_at":"2026-06-08T14:20:09.5Z","host_id":"acme-7f3a90c1"}`,
	"limits":  `{"host_id":"acme-7f3a90c1","sent_at":"2026-06-08T14:20:09Z","reason":"` + strings.Repeat(`\u00e9`, 128) + `","stream":"` + strings.Repeat("s", 64) + `"}`,
	"unknown": `{"host_id":"acme-7f3a90c1","sent_at":"2026-06-08T14:20:09Z","guests":[{"a":1}],"Reason":null}`,
}

// Accepted goodbyes read the same both ways.
func TestGoodbyesAreAccepted(t *testing.T) {
	for name, body := range goodbyes {
		if _, err := DecodeGoodbye([]byte(body)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		agreeOnGoodbye(t, []byte(body))
	}
	g, _ := DecodeGoodbye([]byte(goodbyes["full"]))
	if g.HostID != "acme-7f3a90c1" || g.Reason != "kernel 6.8.12-10" || g.SentAt.Sub(*g.BackBy).Minutes() != 110 {
		t.Errorf("got %+v", g)
	}
}

// A goodbye holds alarms, so one that is not certain is refused, by its field.
func TestInvalidGoodbyesAreRefusedByField(t *testing.T) {
	good := `"host_id":"acme-7f3a90c1","sent_at":"2026-06-08T14:20:09Z"`
	for body, want := range map[string]string{
		`{"sent_at":"2026-06-08T14:20:09Z"}`:               "host_id: missing",
		`{"host_id":"acme-7f3a90c1"}`:                      "sent_at: missing",
		`{` + good + `,"sent_at":"2026-06-08T14:20:09Z"}`:  "sent_at: given twice",
		`{` + good + `,"back_by":null}`:                    "back_by: want a string",
		`{` + good + `,"back_by":"soon"}`:                  "back_by: want an RFC 3339 time",
		`{` + good + `,"reason":["x"]}`:                    "reason: want a string",
		`{` + good + `,"reason":"` + rep("x", 257) + `"}`:  "reason: longer than 256 bytes",
		`{` + good + `,"stream":"` + rep("x", 65) + `"}`:   "stream: longer than 64 bytes",
		`{` + good + `,"x":` + nested(MaxDepth) + `}`:      "x: byte 95: nested deeper than 32",
		`{` + good + `,"x":"` + "\xff" + `"}`:              "x: byte 65: invalid UTF-8",
		`{` + good + `}{}`:                                 "byte 60: unexpected '{'",
		`{"host_id":"x","sent_at":"2026-06-08T14:20:09Z"}`: "host_id: malformed",
		`null`: "want an object",
	} {
		if _, err := DecodeGoodbye([]byte(body)); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%.80s: got %v, want %s", body, err, want)
		}
		agreeOnGoodbye(t, []byte(body))
	}
}

func rep(s string, n int) string { return strings.Repeat(s, n) }
