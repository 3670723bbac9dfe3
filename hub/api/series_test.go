package api

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"felhom.eu/messages"
)

// A series comes column by column, with null for what is not known.
func TestSeriesIsColumns(t *testing.T) {
	h := newHub(t)
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	u := messages.Gap(at.Add(15 * time.Minute))
	u.Reports, u.CPU, u.GuestsRunningMin, u.GuestsRunningMax = 2, messages.Level{Average: 0.125, Maximum: 0.25}, 0, 3
	h.fleet.usages = []messages.Usage{messages.Gap(at), u}
	r := h.do(t, "GET", admin+"hosts/"+hostID+"/series?resolution=15m", globalKey, "")
	for _, want := range []string{
		`"resolution":"15m"`, `"slot_seconds":900`, `"times":["2026-03-01T12:00:00Z","2026-03-01T12:15:00Z"]`, `"reports":[0,2]`,
		`"cpu_used_ratio":{"average":[null,0.125],"maximum":[null,0.25]}`, `"disk_used_ratio":{"average":[null,null]`,
		`"guests_running":{"minimum":[null,0],"maximum":[null,3]}`,
	} {
		if r.status != 200 || !strings.Contains(r.body, want) {
			t.Errorf("%d %s lacks %s", r.status, r.body, want)
		}
	}
	h.fleet.usages = nil
	if r := h.do(t, "GET", admin+"hosts/"+hostID+"/series", globalKey, ""); !strings.Contains(r.body, `"times":[]`) || strings.Contains(r.body, "null") {
		t.Errorf("an empty series: %s", r.body)
	}
}

// The resolution follows from how far back is asked for, and from does not go
// behind what is kept.
func TestSeriesPicksItsResolution(t *testing.T) {
	h := newHub(t)
	const day = 24 * time.Hour
	now := time.Now()
	for _, c := range []struct {
		since, until time.Duration
		resolution   string
		want         messages.Resolution
		span         time.Duration
	}{
		{day, 0, "", messages.ResolutionRaw, day},
		{47 * time.Hour, 0, "auto", messages.ResolutionRaw, 47 * time.Hour},
		{3 * day, 2*day + time.Hour, "auto", messages.ResolutionQuarter, 23 * time.Hour},
		{31 * day, 0, "auto", messages.ResolutionTwoHours, 31 * day},
		{900 * day, 0, "auto", messages.ResolutionTwoHours, 400 * day},
		{900 * day, 0, "15m", messages.ResolutionQuarter, 30 * day},
		{9 * day, -day, "raw", messages.ResolutionRaw, 2 * day},
		{day, 0, "2h", messages.ResolutionTwoHours, day},
	} {
		h.fleet.asked = nil
		q := url.Values{"from": {now.Add(-c.since).Format(time.RFC3339)}, "to": {now.Add(-c.until).Format(time.RFC3339)}}
		if c.resolution != "" {
			q.Set("resolution", c.resolution)
		}
		h.do(t, "GET", admin+"hosts/"+hostID+"/series?"+q.Encode(), globalKey, "").into(t, 200, nil)
		asked, _ := h.fleet.asked[0].(seriesAsked)
		asked.span = asked.span.Round(time.Minute)
		if diff := cmp.Diff(fmt.Sprint(seriesAsked{c.want, c.span}), fmt.Sprint(asked)); diff != "" {
			t.Errorf("%v to %v at %q:\n%s", c.since, c.until, c.resolution, diff)
		}
	}
}

// What cannot be asked is refused by name.
func TestSeriesRefusesWhatCannotBe(t *testing.T) {
	h := newHub(t)
	for query, field := range map[string]string{
		"from=yesterday": "from",
		"to=1":           "to",
		"from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z":                "from",
		"from=2999-01-01T00:00:00Z":                                        "from",
		"resolution=1h":                                                    "resolution",
		"resolution=raw&from=2020-01-01T00:00:00Z&to=2020-01-02T00:00:00Z": "to",
		"limit=5": "limit",
		"x=1":     "x",
	} {
		if r := h.do(t, "GET", admin+"hosts/"+hostID+"/series?"+query, globalKey, ""); r.status != 400 || !strings.Contains(r.body, `"message":"`+field) {
			t.Errorf("%s: %d %s", query, r.status, r.body)
		}
	}
	for path, status := range map[string]int{"hosts/acme-00000000/series": 404, "hosts/x/series": 404} {
		if r := h.do(t, "GET", admin+path, globalKey, ""); r.status != status {
			t.Errorf("%s: %d %s", path, r.status, r.body)
		}
	}
	if r := h.do(t, "GET", admin+"hosts/"+hostID+"/series", hostKey, ""); r.status != 403 {
		t.Errorf("with a host's key: %d", r.status)
	}
}
