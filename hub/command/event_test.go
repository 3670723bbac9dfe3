package command

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"felhom.eu/hub/terminal"
	"felhom.eu/messages"
)

// following starts a fake hub that answers each request for events with the
// next of pages, and an app that prints to out.
func following(t *testing.T, pages ...string) (a *app, s *session, out *bytes.Buffer, asked *[]string) {
	t.Helper()
	out, asked = new(bytes.Buffer), new([]string)
	hub := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		*asked = append(*asked, r.URL.Query().Get("after"))
		io.WriteString(w, `{"items":[`+pages[min(len(*asked), len(pages))-1]+`]}`)
	}))
	t.Cleanup(hub.Close)
	client, err := NewClient(hub.URL, messages.Secret(globalKey), "")
	if err != nil {
		t.Fatal(err)
	}
	return &app{out: terminal.New(out, io.Discard)}, &session{Client: client}, out, asked
}

// A follower asks for what came after the last event it printed: nothing is
// printed twice and nothing is skipped.
func TestFollowingMovesBehindTheLastEvent(t *testing.T) {
	later := strings.ReplaceAll(eventJSON, "00000001", "00000009")
	a, s, out, asked := following(t, eventJSON+","+later, "", "")
	q := url.Values{}
	for range 2 {
		if err := a.printEvents(list[json.RawMessage](t.Context(), s.Client, "events", q), q); err != nil {
			t.Fatal(err)
		}
	}
	if got := strings.Count(out.String(), "\n"); got != 2 {
		t.Errorf("printed %d lines, want 2:\n%s", got, out)
	}
	if want := "01JZ0000000000000000000009"; len(*asked) != 2 || (*asked)[1] != want {
		t.Errorf("asked after %q, want the second to be %s", *asked, want)
	}
}

// With --json every event is one line, so that a pipe can read while it follows.
func TestFollowingPrintsALineOfJSONAnEvent(t *testing.T) {
	a, s, out, _ := following(t, eventJSON)
	a.json = true
	if err := a.printEvents(list[json.RawMessage](t.Context(), s.Client, "events", nil), url.Values{}); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); got != eventJSON+"\n" {
		t.Errorf("got %q, want the event as it came, on one line", got)
	}
}

// An interrupted follower ends well: that is how it is meant to end.
func TestFollowingEndsWithItsContext(t *testing.T) {
	a, s, _, _ := following(t, "")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := a.followEvents(ctx, s, url.Values{}); err != nil {
		t.Errorf("got %v, want nil", err)
	}
}

// A hub that refuses will go on refusing: following ends with its words.
func TestFollowingEndsWhenRefused(t *testing.T) {
	a, s, _, _ := following(t, "")
	s.key = "wrong"
	hub := httptest.NewServer(&fakeHub{requests: t.TempDir() + "/requests"})
	t.Cleanup(hub.Close)
	s.base, _ = url.Parse(hub.URL)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := a.followEvents(ctx, s, url.Values{}); err == nil || !strings.Contains(err.Error(), "401") {
		t.Errorf("got %v, want the 401", err)
	}
}
