package api

import (
	"strings"
	"testing"
	"time"

	"felhom.eu/messages"
)

// A month without listening time has no ratio, and a short outage of a long one is not
// rounded away.
func TestAvailabilityByMonth(t *testing.T) {
	h := newHub(t)
	june := messages.MonthOf(time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC))
	h.fleet.months = []messages.Availability{
		{Month: june, Hosts: 2, Outages: 1, Listened: 50 * 720 * time.Hour, Down: time.Minute, Planned: 30 * time.Second},
		{Month: june - 6},
	}
	of := func(path string) string {
		t.Helper()
		r := h.do(t, "GET", admin+path, globalKey, "")
		if r.status != 200 {
			t.Errorf("%s: %d %s", path, r.status, r.body)
		}
		return r.body
	}
	const first = `"outages":1,"listened_seconds":129600000,"down_seconds":60,"planned_seconds":30,"availability_ratio":0.999999}`
	if body := of("hosts/" + hostID + "/availability"); !strings.HasPrefix(body, `{"host_id":"`+hostID+`","customer_id":"acme","months":[{"month":"2026-06",`+first) ||
		!strings.Contains(body, `{"month":"2025-12","outages":0,"listened_seconds":0,"down_seconds":0,"planned_seconds":0,"availability_ratio":null}`) {
		t.Error(body)
	}
	if body := of("customers/acme/availability?months=1"); body != `{"customer_id":"acme","months":[{"month":"2026-06","hosts":2,`+first+`]}` {
		t.Error(body)
	}
	h.fleet.months = nil
	if body := of("customers/acme/availability"); !strings.Contains(body, `"months":[]`) {
		t.Error(body)
	}
	for path, status := range map[string]int{
		"hosts/acme-00000000/availability": 404, "hosts/x/availability": 404, "customers/zeta/availability": 404, "customers/-/availability": 404,
		"customers/acme/availability?months=0": 400, "customers/acme/availability?months=37": 400, "hosts/" + hostID + "/availability?months=x": 400,
		"hosts/" + hostID + "/availability?limit=1": 400,
	} {
		if r := h.do(t, "GET", admin+path, globalKey, ""); r.status != status {
			t.Errorf("%s: %d %s", path, r.status, r.body)
		}
	}
}
