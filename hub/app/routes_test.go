package app

import (
	"strings"
	"testing"

	"felhom.eu/messages"
)

// Settings of routes are kept over a stop; no route escalates to itself, by way of others,
// to another owner's or to none, and one that is escalated to stays.
func TestRouteSettingsAreKept(t *testing.T) {
	cfg := testConfig(t)
	a, c := start(t, cfg)
	c.mint()
	type item struct {
		ID         string               `json:"route_id"`
		EscalateTo string               `json:"escalate_to"`
		Quiet      *messages.QuietHours `json:"quiet_hours"`
		Name       string
	}
	add := func(more map[string]any) (r item) {
		body := map[string]any{"kind": "webhook", "url": "https://ops.example.com/x"}
		for k, v := range more {
			body[k] = v
		}
		c.want(201, "POST", "/api/v1/admin/routes", body, &r)
		return r
	}
	duty := add(map[string]any{"on_call": true, "name": "duty"})
	ops := add(map[string]any{"escalate_to": duty.ID})
	acme := add(map[string]any{"customer_id": "acme"})
	put := func(id string, says string, body map[string]any) {
		t.Helper()
		var e messages.ErrorBody
		if says == "" {
			c.want(200, "PUT", "/api/v1/admin/routes/"+id, body, nil)
		} else if c.want(400, "PUT", "/api/v1/admin/routes/"+id, body, &e); !strings.Contains(e.Error.Message, says) {
			t.Errorf("%v: got %q, want %q", body, e.Error.Message, says)
		}
	}
	put(ops.ID, "", map[string]any{"quiet_hours": messages.QuietHours{From: "22:00", To: "07:00", TimeZone: "Europe/Budapest"}})
	put(duty.ID, "escalate_to: it would come back", map[string]any{"escalate_to": ops.ID})
	put(duty.ID, "escalate_to: it would come back", map[string]any{"escalate_to": duty.ID})
	put(acme.ID, "escalate_to: want a route of the same owner", map[string]any{"escalate_to": duty.ID})
	put(duty.ID, "escalate_to: there is no such route", map[string]any{"escalate_to": "01JZ0000000000000000000002"})
	c.want(409, "DELETE", "/api/v1/admin/routes/"+duty.ID, nil, nil)
	if err := a.Stop(); err != nil {
		t.Fatal(err)
	}
	a, c = start(t, cfg)
	defer a.Stop()
	var list struct{ Items []item }
	c.want(200, "GET", "/api/v1/admin/routes", nil, &list)
	if len(list.Items) != 3 || list.Items[1].EscalateTo != duty.ID || list.Items[1].Quiet == nil || list.Items[0].Name != "duty" {
		t.Errorf("kept %+v", list.Items)
	}
	c.want(200, "PUT", "/api/v1/admin/routes/"+ops.ID, map[string]any{"escalate_to": ""}, nil)
	c.want(204, "DELETE", "/api/v1/admin/routes/"+duty.ID, nil, nil)
}
