package api2

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"
)

// Protects a collection from hanging: a question that waits behind two stalled
// ones is given up with its context.
func TestWaitingForATurnEnds(t *testing.T) {
	c := New("https://127.0.0.1:1", "header", "secret", &Trust{}, func(*http.Response) string { return "" })
	c.inWork <- struct{}{}
	c.inWork <- struct{}{}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Get(ctx, "/version", nil, time.Minute); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want canceled", err)
	}
}

// Protects what else there is on the server: a name stays one part of the path.
func TestPathsAreEscaped(t *testing.T) {
	if got, want := Path("nodes", "a/../b", "c d?x"), "/nodes/a%2F..%2Fb/c%20d%3Fx"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// Protects a password in an address that is refused.
func TestParseURLRepeatsNoPassword(t *testing.T) {
	for _, s := range []string{"https://root:hunter2@pbs", "http://pbs?hunter2", "https://pbs#hunter2", "hunter2"} {
		if _, err := ParseURL(s); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: got %v", s, err)
		}
	}
	if got, err := ParseURL("https://pbs:8007/api2/json/"); got != "https://pbs:8007" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}
