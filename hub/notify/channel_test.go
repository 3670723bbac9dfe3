package notify

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"felhom.eu/messages"
)

var rewrite = flag.Bool("rewrite", false, "write the golden files anew")

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", "channels", name)
	if *rewrite {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got; -rewrite writes it anew):\n%s", name, diff)
	}
}

// hostile is a name with what is markup somewhere, and worse.
const hostile = "<script>x</script> @everyone <!channel> [x](javascript:x) *b* _i_ `c` \x1b[31m\u202e\r\nBcc: evil@example.com\r\n.\r\n" + `&"'|\`

// Each channel is told what it should be, and no name is markup there: the golden
// files are what a reader of them has to judge.
func TestChannels(t *testing.T) {
	d, events := outage(hostile + strings.Repeat(" and on", 1500))
	for _, name := range overHTTP() {
		w := newWorld(t, contented)
		if r := w.sender(Options{AllowPrivate: true}).Send(t.Context(), routeTo(urls[name]), d, events); !r.OK {
			t.Errorf("%s: %+v", name, r)
			continue
		}
		var all []string
		for _, r := range w.asked() {
			all = append(all, shown(r))
			harmless(t, name, r)
		}
		golden(t, name+".txt", undated(strings.Join(all, "\n")))
	}
}

// undated hides what services add of their own of the time.
func undated(s string) string {
	for _, key := range []string{`"timestamp": "`, `"timestamp": `, `"sign": "`} {
		for i := strings.Index(s, key); i >= 0; i = strings.Index(s, key) {
			rest := s[i+len(key):]
			end := strings.IndexAny(rest, "\",\n")
			s = s[:i] + strings.ReplaceAll(key, " ", "") + "…" + rest[end:]
		}
	}
	return s
}

func harmless(t *testing.T, name string, r request) {
	t.Helper()
	if len(r.body) > 20_000 || strings.ContainsAny(r.body, "\x1b\u202e") || strings.Contains(r.body, `\u001b`) || strings.Contains(r.body, `\u202e`) {
		t.Errorf("%s: %d bytes, or control characters: %.200q", name, len(r.body), r.body)
	}
	for k, values := range r.header {
		if len(values) > 1 || strings.ContainsAny(values[0], "\r\n") || k == "Bcc" {
			t.Errorf("%s: header %s: %q", name, k, values)
		}
	}
}

// What is urgent makes a phone loud, and what is over does not.
func TestPriorities(t *testing.T) {
	for _, c := range []struct {
		typ                    messages.EventType
		ntfy, gotify, pushover string
	}{
		{messages.HostDown, `"priority": 5`, `"priority": 9`, `priority = "1"`},
		{messages.HostRecovered, `"priority": 3`, `"priority": 4`, `priority = "0"`},
		{messages.HostStale, `"priority": 4`, `"priority": 6`, `priority = "0"`},
		{messages.RouteTest, `"priority": 3`, `"priority": 4`, `priority = "-1"`},
	} {
		d, events := outage("")
		events[0].Type = c.typ
		for name, want := range map[string]string{"ntfy": c.ntfy, "gotify": c.gotify, "pushover": c.pushover} {
			w := newWorld(t, contented)
			w.sender(Options{AllowPrivate: true}).Send(t.Context(), routeTo(urls[name]), d, events)
			if got := shown(w.asked()[0]); !strings.Contains(got, want) {
				t.Errorf("%s of %s: want %s in\n%s", name, c.typ, want, got)
			}
		}
	}
}

// A pager is told which incident a message is of, and a recovery ends it.
func TestPagersKnowTheIncident(t *testing.T) {
	d, events := outage("")
	for typ, want := range map[messages.EventType][]string{
		messages.HostDown:      {`"event_action": "trigger"`, `"dedup_key": "01JX7Q0000000000000000NCD1"`, `"severity": "critical"`},
		messages.HostRecovered: {`"event_action": "resolve"`, `"dedup_key": "01JX7Q0000000000000000NCD1"`},
	} {
		events[0].Type = typ
		w := newWorld(t, contented)
		r := w.sender(Options{AllowPrivate: true}).Send(t.Context(), routeTo(urls["pagerduty"]), d, events)
		if !r.OK {
			t.Fatalf("%+v", r)
		}
		for _, words := range want {
			if got := shown(w.asked()[0]); !strings.Contains(got, words) {
				t.Errorf("%s: want %s in %s", typ, words, got)
			}
		}
	}
}

// Slack's API says no with a 200.
func TestSlackAPIVerdicts(t *testing.T) {
	for text, want := range map[string]Result{
		`{"ok":true,"ts":"1"}`:                        {OK: true, Status: 200, Text: `{"ok":true,"ts":"1"}`},
		`{"ok":false,"error":"channel_not_found"}`:    {Permanent: true, Status: 200, Text: "channel_not_found"},
		`{"ok":false,"error":"ratelimited"}`:          {Status: 200, Text: "ratelimited"},
		`{ "ok": true, "message": {"text": "cut off `: {OK: true, Status: 200, Text: `{ "ok": true, "message": {"text": "cut off `},
		`<html>maintenance`:                           {Status: 200, Text: `<html>maintenance`},
	} {
		if got := slackVerdict(Result{OK: true, Status: 200, Text: text}); got != want {
			t.Errorf("%s: got %+v, want %+v", text, got, want)
		}
	}
}

// A chat that cannot be told for good does not end what others are still to be told.
func TestWorstOfSeveralCalls(t *testing.T) {
	ok, never, again := Result{OK: true}, Result{Permanent: true}, Result{Status: 500}
	for _, c := range []struct {
		in   []Result
		want Result
	}{{[]Result{ok, ok}, ok}, {[]Result{ok, never}, never}, {[]Result{never, again, ok}, again}, {[]Result{again, never}, again}} {
		if got := worst(c.in...); got != c.want {
			t.Errorf("%v: got %v, want %v", c.in, got, c.want)
		}
	}
}

// A message is cut between lines, and says so.
func TestClipped(t *testing.T) {
	var lines []string
	for i := range 100 {
		lines = append(lines, fmt.Sprintf("line %d", i))
	}
	got := clipped(lines, 200)
	if len(got) > 200 || !strings.HasSuffix(got, "more lines") || !strings.HasPrefix(got, "line 0\nline 1\n") {
		t.Errorf("%q", got)
	}
	if got := clipped(lines[:2], 200); got != "line 0\nline 1" {
		t.Errorf("%q", got)
	}
}
