package app

import (
	"slices"
	"testing"
	"time"

	"felhom.eu/messages"
)

// What a report said is in the host's series at once, at every resolution, and over
// a restart; a removed host has none.
func TestSeriesFromEndToEnd(t *testing.T) {
	cfg := testConfig(t)
	a, c := start(t, cfg)
	m := c.mint()
	host := client{t, c.url, m.APIKey}
	report := said(m.HostID, 1, 10, time.Now())
	report["host"] = map[string]any{"cpu_used_ratio": 0.25}
	host.want(200, "POST", "/api/v1/host-report", report, nil)
	path := "/api/v1/admin/hosts/" + m.HostID + "/series"
	check := func(c client) {
		t.Helper()
		for _, r := range []messages.Resolution{messages.ResolutionRaw, messages.ResolutionQuarter, messages.ResolutionTwoHours} {
			var v struct {
				Times         []time.Time                           `json:"times"`
				Reports       []int                                 `json:"reports"`
				CPU           struct{ Average, Maximum []*float64 } `json:"cpu_used_ratio"`
				GuestsRunning struct{ Minimum, Maximum []*int }     `json:"guests_running"`
			}
			c.want(200, "GET", path+"?resolution="+string(r), nil, &v)
			at := slices.Index(v.Reports, 1)
			if at < 0 || v.CPU.Average[at] == nil || *v.CPU.Average[at] != 0.25 || *v.GuestsRunning.Maximum[at] != 1 {
				t.Errorf("%s: %+v", r, v)
			}
			if at > 0 && v.CPU.Maximum[0] != nil {
				t.Errorf("%s: yesterday has figures: %+v", r, v)
			}
		}
	}
	check(c)
	if err := a.Stop(); err != nil {
		t.Fatal(err)
	}
	a, c = start(t, cfg)
	defer a.Stop()
	check(c)
	c.want(204, "DELETE", "/api/v1/admin/hosts/"+m.HostID, nil, nil)
	c.want(404, "GET", path, nil, nil)
}
