package messages

import (
	"strings"
	"testing"
)

func TestControllerReportIsAnyObjectThatNamesIt(t *testing.T) {
	got, err := ScanController([]byte(`{"x":[{"controller_id":7}],"controller_id":"db.1_a-2","guest_id":"acme-7f3a90c1/101","version":"` +
		strings.Repeat("é", 40) + `","interval_seconds":604800}`))
	want := ControllerReport{ID: "db.1_a-2", GuestID: "acme-7f3a90c1/101", Version: strings.Repeat("é", 32), IntervalSeconds: 604800}
	if err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
}

func TestControllerReportsAreRefusedByField(t *testing.T) {
	deep := `{"controller_id":"a","x":` + nested(MaxDepth) + `}`
	for body, field := range map[string]string{
		``: "", `[]`: "", `{}`: "controller_id", `{"controller_id":null}`: "controller_id", `{"controller_id":""}`: "controller_id",
		`{"controller_id":"-a"}`: "controller_id", `{"controller_id":"a."}`: "controller_id", `{"controller_id":"A"}`: "controller_id",
		`{"controller_id":"a/b"}`: "controller_id", `{"controller_id":"` + strings.Repeat("a", 65) + `"}`: "controller_id",
		`{"controller_id":"a","controller_id":"a"}`:   "controller_id",
		`{"controller_id":"a","guest_id":"acme/101"}`: "guest_id", `{"controller_id":"a","guest_id":"acme-7f3a90c1/1"}`: "guest_id",
		`{"controller_id":"a","version":1}`:             "version",
		`{"controller_id":"a","interval_seconds":59}`:   "interval_seconds",
		`{"controller_id":"a","interval_seconds":1e9}`:  "interval_seconds",
		`{"controller_id":"a","interval_seconds":"60"}`: "interval_seconds",
		`{"controller_id":"a"} x`:                       "", "{\"controller_id\":\"a\",\"x\":\"\xff\"}": "x", deep: "x",
	} {
		_, err := ScanController([]byte(body))
		wrong, ok := err.(*InvalidError)
		if !ok || field != "" && !strings.HasPrefix(wrong.Field, field) {
			t.Errorf("%.60s: %v, want a word on %q", body, err, field)
		}
	}
}

func TestControllerNamesAreCutAgain(t *testing.T) {
	n := ControllerName{"acme", "web"}
	if got, ok := CutControllerName(n.String()); !ok || got != n {
		t.Errorf("got %v, %v", got, ok)
	}
	if _, ok := CutControllerName("acme-7f3a90c1"); ok {
		t.Error("a host's id names a controller")
	}
}
