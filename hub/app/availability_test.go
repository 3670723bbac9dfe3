package app

import (
	"testing"
	"time"
)

// The months are there from the first batch on, and over a restart; a host counts from
// its first report, and not when it is removed.
func TestAvailabilityFromEndToEnd(t *testing.T) {
	cfg := testConfig(t)
	a, c := start(t, cfg)
	m, silent := c.mint(), c.mint()
	host := client{t, c.url, m.APIKey}
	host.want(200, "POST", "/api/v1/host-report", said(m.HostID, 1, 10, time.Now()), nil)
	const hosts = "/api/v1/admin/hosts/"
	type answer struct {
		Months []struct {
			Month          string
			Hosts, Outages int
			Ratio          *float64 `json:"availability_ratio"`
		}
	}
	check := func(c client, known int) {
		t.Helper()
		var one, never, all answer
		c.want(200, "GET", hosts+m.HostID+"/availability", nil, &one)
		c.want(200, "GET", hosts+silent.HostID+"/availability", nil, &never)
		c.want(200, "GET", "/api/v1/admin/customers/acme/availability?months=1", nil, &all)
		if len(one.Months) == 0 || len(all.Months) != 1 || one.Months[0].Month != all.Months[0].Month {
			t.Fatalf("got %+v, of the customer %+v", one, all)
		}
		if r := one.Months[0].Ratio; r == nil || *r != 1 || all.Months[0].Hosts != known || never.Months[0].Ratio != nil {
			t.Errorf("got %+v, of the silent host %+v, of the customer %+v", one, never, all)
		}
	}
	check(c, 1)
	if err := a.Stop(); err != nil {
		t.Fatal(err)
	}
	a, c = start(t, cfg)
	defer a.Stop()
	check(c, 1)
	c.want(204, "DELETE", hosts+m.HostID, nil, nil)
	c.want(404, "GET", hosts+m.HostID+"/availability", nil, nil)
	var all answer
	if c.want(200, "GET", "/api/v1/admin/customers/acme/availability", nil, &all); all.Months[0].Hosts != 0 {
		t.Errorf("a removed host counts: %+v", all)
	}
}
