package app

import (
	"strings"
	"testing"
	"time"

	"felhom.eu/hub/api"
	"felhom.eu/messages"
)

// Silences are kept, begin and end as they were made, and outlive a stop; what could
// never be, or is of nothing, is refused with what would do.
func TestSilencesAreKept(t *testing.T) {
	cfg := testConfig(t)
	a, c := start(t, cfg)
	m := c.mint()
	host := map[string]any{"kind": "host", "id": m.HostID}
	var once, weekly, later api.SilenceView
	c.want(201, "POST", "/api/v1/admin/silences", map[string]any{"scope": host, "reason": "new disks", "duration_seconds": 7200}, &once)
	c.want(201, "POST", "/api/v1/admin/silences", map[string]any{"scope": map[string]any{"kind": "fleet"}, "reason": "updates",
		"schedule": "0 3 * * 0", "time_zone": "Europe/Budapest", "duration_seconds": 60}, &weekly)
	c.want(201, "POST", "/api/v1/admin/silences", map[string]any{"scope": map[string]any{"kind": "site", "id": "vienna"}, "reason": "x",
		"starts_at": time.Now().Add(time.Hour), "ends_at": time.Now().Add(2 * time.Hour)}, &later)
	if once.State != messages.SilenceActive || !once.EndsAt.Equal(once.StartsAt.Add(2*time.Hour)) || !once.ChangesAt.Equal(once.EndsAt) || once.DurationSeconds != 0 {
		t.Errorf("made %+v", once)
	}
	if weekly.ChangesAt.IsZero() || !weekly.EndsAt.IsZero() || later.State != messages.SilenceUpcoming {
		t.Errorf("made %+v and %+v", weekly, later)
	}
	for says, change := range map[string]map[string]any{
		"ends_at: want this or duration_seconds": {},
		"ends_at: want an instant behind":        {"ends_at": time.Now().Add(-time.Hour)},
		"ends_at: is past":                       {"starts_at": time.Now().Add(-2 * time.Hour), "ends_at": time.Now().Add(-time.Hour)},
		"at most 30 days":                        {"ends_at": time.Now().Add(31 * 24 * time.Hour)},
		"duration_seconds: want this or ends_at": {"ends_at": time.Now().Add(time.Hour), "duration_seconds": 60},
		"schedule: hour":                         {"schedule": "0 25 * * *", "duration_seconds": 60},
		"want 60 to 86400":                       {"schedule": "0 3 * * *", "duration_seconds": 86401},
		"time_zone: want a name":                 {"schedule": "0 3 * * *", "duration_seconds": 60, "time_zone": "Local"},
		"time_zone: goes with":                   {"duration_seconds": 60, "time_zone": "UTC"},
		"names no instant":                       {"schedule": "0 0 29 2 *", "duration_seconds": 60, "ends_at": time.Now().Add(time.Minute)},
		"no such host":                           {"duration_seconds": 60, "scope": map[string]any{"kind": "host", "id": "acme-00000000"}},
		"no such customer":                       {"duration_seconds": 60, "scope": map[string]any{"kind": "customer", "id": "nobody"}},
		"name of a site":                         {"duration_seconds": 60, "scope": map[string]any{"kind": "site", "id": strings.Repeat("x", 65)}},
		"scope.kind":                             {"duration_seconds": 60, "scope": map[string]any{"kind": "guest"}},
		"the fleet has none":                     {"duration_seconds": 60, "scope": map[string]any{"kind": "fleet", "id": "x"}},
	} {
		body := map[string]any{"scope": host, "reason": "x"}
		for k, v := range change {
			body[k] = v
		}
		var e messages.ErrorBody
		if c.want(400, "POST", "/api/v1/admin/silences", body, &e); !strings.Contains(e.Error.Message, says) {
			t.Errorf("%v: got %q, want %q", change, e.Error.Message, says)
		}
	}
	c.want(204, "DELETE", "/api/v1/admin/silences/"+string(once.ID), nil, nil)
	c.want(404, "DELETE", "/api/v1/admin/silences/"+string(once.ID), nil, nil) // there is nothing to end
	c.want(204, "DELETE", "/api/v1/admin/silences/"+string(later.ID), nil, nil)
	if err := a.Stop(); err != nil {
		t.Fatal(err)
	}
	a, c = start(t, cfg)
	defer a.Stop()
	var list struct{ Items []api.SilenceView }
	c.want(200, "GET", "/api/v1/admin/silences", nil, &list)
	if len(list.Items) != 3 || list.Items[0].State != messages.SilencePast || list.Items[1].Schedule != weekly.Schedule || list.Items[2].State != messages.SilencePast {
		t.Errorf("listed %+v", list.Items)
	}
}
