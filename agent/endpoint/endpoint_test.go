package endpoint

import (
	"strings"
	"testing"
)

// Protects keys from the open network, and from addresses that name two things.
func TestOnlyHTTPSExceptOnLoopback(t *testing.T) {
	for s, want := range map[string]string{
		"https://hub.example.com":          "https://hub.example.com",
		"https://hub.example.com:8443/f/":  "https://hub.example.com:8443/f",
		"http://127.0.0.1:8080":            "http://127.0.0.1:8080",
		"http://[::1]:8080/":               "http://[::1]:8080",
		"http://localhost:8080":            "http://localhost:8080",
		"http://hub.example.com":           "",
		"http://localhost.example.com":     "",
		"http://127.0.0.1.example.com":     "",
		"http://10.0.0.1":                  "",
		"ftp://hub.example.com":            "",
		"hub.example.com":                  "",
		"":                                 "",
		"https://":                         "",
		"https://:443":                     "",
		"https://u:p@hub.example.com":      "",
		"https://hub.example.com/?key=abc": "",
	} {
		u, err := Parse(s)
		switch {
		case want == "" && err == nil:
			t.Errorf("%q is accepted as %s", s, u)
		case want != "" && (err != nil || u.String() != want):
			t.Errorf("%q: got %v, %v; want %s", s, u, err, want)
		}
	}
}

// Protects a password that was put into an address.
func TestErrorsDoNotRepeatTheAddress(t *testing.T) {
	for _, s := range []string{"https://u:canary@hub", "http://u:canary@hub:port%", "canary\x7f", "https://canary@hub%zz"} {
		if _, err := Parse(s); err == nil || strings.Contains(err.Error(), "canary") {
			t.Errorf("%q: got error %v", s, err)
		}
	}
}
