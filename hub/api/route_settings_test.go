package api

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"felhom.eu/messages"
)

func (f *fakeFleet) ChangeRoute(_ context.Context, id messages.RouteID, change func(*messages.Route) error) (messages.Route, error) {
	i := slices.IndexFunc(f.routes, func(r messages.Route) bool { return r.ID == id })
	if i < 0 {
		return messages.Route{}, ErrNotFound
	}
	r := f.routes[i]
	if err := change(&r); err != nil {
		return messages.Route{}, err
	}
	f.routes[i] = r
	return r, f.err
}

// Settings are given with a route or later, and what is not given stays; the URL's token
// and the secret are shown by no answer but the one that made a secret.
func TestRouteSettings(t *testing.T) {
	h := newHub(t)
	var made, got routeItem
	h.do(t, "POST", admin+"routes", globalKey, `{"kind":"webhook","url":"https://ops.example.com/hunter2","name":"Ops","max_per_hour":30,
		"quiet_hours":{"from":"22:00","to":"07:00","time_zone":"Europe/Budapest"},"escalate_to":"`+ulid(9)+`","on_call":true}`).into(t, 201, &made)
	stored := h.fleet.routes[0]
	if stored.EscalateAfter != 15*time.Minute || stored.Quiet == nil || stored.Quiet.To != "07:00" || !stored.OnCall || stored.MaxPerHour != 30 ||
		made.EscalateAfterSeconds != 900 || made.Name != "Ops" || *made.QuietHours != *stored.Quiet || !made.OnCall || made.EscalateTo != messages.RouteID(ulid(9)) {
		t.Errorf("made %+v\nstored %+v", made, stored)
	}
	path := admin + "routes/" + string(made.RouteID)
	r := h.do(t, "PUT", path, globalKey, `{"min_severity":"critical","escalate_after_seconds":60}`)
	r.into(t, 200, &got)
	now := h.fleet.routes[0]
	if now.URL != stored.URL || now.Secret != stored.Secret || now.Name != "Ops" || now.Quiet == nil || now.MinSeverity != messages.SeverityCritical || now.EscalateAfter != time.Minute {
		t.Errorf("set to %+v", now)
	}
	if strings.Contains(r.body, "hunter2") || strings.Contains(r.body, "whsec_") {
		t.Errorf("told a secret: %s", r.body)
	}
	got = routeItem{}
	h.do(t, "PUT", path, globalKey, `{"quiet_hours":null,"escalate_to":"","name":"","max_per_hour":0,"on_call":false,"events":[],"secret":"","url":"https://new.example.com/x"}`).into(t, 200, &got)
	now = h.fleet.routes[0]
	if now.Quiet != nil || now.EscalateTo != "" || now.EscalateAfter != 0 || now.OnCall || now.Name != "" || now.URL.Reveal() != "https://new.example.com/x" ||
		now.Secret == stored.Secret || got.Secret != now.Secret.Reveal() {
		t.Errorf("set to %+v, told %+v", now, got)
	}
	for body, says := range map[string]string{
		`{"kind":"shoutrrr"}`:           "kind: unknown field",
		`{"customer_id":"acme"}`:        "customer_id: unknown field",
		`{"url":"ftp://x"}`:             "url",
		`{"secret":"hunter2"}`:          "secret",
		`{"name":"a\u202eb"}`:           "name",
		`{"max_per_hour":-1}`:           "max_per_hour",
		`{"max_per_hour":3601}`:         "max_per_hour",
		`{"max_per_hour":"3"}`:          "want a whole number",
		`{"on_call":1}`:                 "want true or false",
		`{"escalate_to":"x"}`:           "escalate_to",
		`{"escalate_after_seconds":60}`: "goes with escalate_to",
		`{"escalate_to":"` + ulid(9) + `","escalate_after_seconds":59}`:              "want 60 to 604800",
		`{"quiet_hours":"22:00-07:00"}`:                                              "quiet_hours: want {",
		`{"quiet_hours":{"from":"22:00","to":"7:00","time_zone":"UTC"}}`:             "two times of day",
		`{"quiet_hours":{"from":"24:00","to":"07:00","time_zone":"UTC"}}`:            "two times of day",
		`{"quiet_hours":{"from":"07:00","to":"07:00","time_zone":"UTC"}}`:            "two times of day",
		`{"quiet_hours":{"from":"22:00","to":"07:00"}}`:                              "time_zone",
		`{"quiet_hours":{"from":"22:00","to":"07:00","time_zone":"Local"}}`:          "time_zone",
		`{"quiet_hours":{"from":"22:00","to":"07:00","time_zone":"UTC","days":"x"}}`: "quiet_hours: want {",
	} {
		if r := h.do(t, "PUT", path, globalKey, body); r.status != 400 || !strings.Contains(r.body, strings.ReplaceAll(says, `"`, `\"`)) {
			t.Errorf("%s: %d %s, want %q", body, r.status, r.body, says)
		}
	}
	if r := h.do(t, "PUT", admin+"routes/"+ulid(99), globalKey, `{"name":"x"}`); r.status != 404 {
		t.Errorf("a route that is none: %d", r.status)
	}
	h.fleet.err = ErrInUse
	if r := h.do(t, "DELETE", path, globalKey, ""); r.status != 409 || !strings.Contains(r.body, "escalates to this one") {
		t.Errorf("removing one that is escalated to: %d %s", r.status, r.body)
	}
}
