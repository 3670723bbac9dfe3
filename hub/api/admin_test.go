package api

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"felhom.eu/hub/notify"
	"felhom.eu/messages"
)

const admin = "/api/v1/admin/"

// A customer's life, and each way to get it wrong.
func TestCustomers(t *testing.T) {
	h := newHub(t)
	var c messages.Customer
	h.do(t, "POST", admin+"customers", globalKey, `{"customer_id":"zeta","display_name":"Zeta & Söhne"}`).into(t, 201, &c)
	if c.ID != "zeta" || c.DisplayName != "Zeta & Söhne" {
		t.Errorf("added %+v", c)
	}
	h.do(t, "GET", admin+"customers/zeta", globalKey, "").into(t, 200, &c)
	h.do(t, "POST", admin+"customers/zeta/block", globalKey, "").into(t, 200, &c)
	if !c.Blocked {
		t.Error("not blocked")
	}
	h.do(t, "POST", admin+"customers/zeta/unblock", globalKey, "").into(t, 200, &c)
	if c.Blocked {
		t.Error("still blocked")
	}
	for _, c := range []struct {
		method, path, body string
		status             int
		code               messages.Code
		says               string
	}{
		{"POST", "customers", `{"customer_id":"zeta"}`, 409, messages.CodeConflict, "exists"},
		{"POST", "customers", `{"customer_id":"Zeta"}`, 400, messages.CodeInvalid, "customer_id"},
		{"POST", "customers", `{"customer_id":7}`, 400, messages.CodeInvalid, "customer_id: want a string"},
		{"POST", "customers", `{"customer_id":"q","colour":"red"}`, 400, messages.CodeInvalid, "colour: unknown field"},
		{"POST", "customers", `{"Customer_ID":"q"}`, 400, messages.CodeInvalid, "Customer_ID: unknown field"},
		{"POST", "customers", `{"customer_id":"q","\u0063ustomer_id":"r"}`, 400, messages.CodeInvalid, "customer_id: given twice"},
		{"POST", "customers", `{"customer_id":"q"`, 400, messages.CodeInvalid, "body: not a JSON object"},
		{"POST", "customers", `null`, 400, messages.CodeInvalid, "body: not a JSON object"},
		{"POST", "customers", `{"customer_id":"q"} {}`, 400, messages.CodeInvalid, "closing brace"},
		{"POST", "customers", `{"customer_id":"q","display_name":"a\u202eb"}`, 400, messages.CodeInvalid, "display_name"},
		{"POST", "customers", "{\"customer_id\":\"q\xff\"}", 400, messages.CodeInvalid, "UTF-8"},
		{"POST", "customers", ``, 400, messages.CodeInvalid, "JSON"},
		{"POST", "customers", `[]`, 400, messages.CodeInvalid, "body: not a JSON object"},
		{"GET", "customers/none", ``, 404, messages.CodeNotFound, ""},
		{"GET", "customers/No", ``, 404, messages.CodeNotFound, ""},
		{"POST", "customers/none/block", ``, 404, messages.CodeNotFound, ""},
		{"DELETE", "customers/none", ``, 404, messages.CodeNotFound, ""},
		{"DELETE", "customers/acme", ``, 409, messages.CodeConflict, "hosts"},
		{"GET", "customers?limit=0", ``, 400, messages.CodeInvalid, "limit"},
		{"GET", "customers?limit=1001", ``, 400, messages.CodeInvalid, "limit"},
		{"GET", "customers?limit=1&limit=2", ``, 400, messages.CodeInvalid, "limit: given twice"},
		{"GET", "customers?colour=red", ``, 400, messages.CodeInvalid, "colour: unknown parameter"},
		{"GET", "customers?limit=%zz", ``, 400, messages.CodeInvalid, "query"},
		{"GET", "customers?cursor=AAAA", ``, 400, messages.CodeInvalid, "cursor"},
	} {
		r := h.do(t, c.method, admin+c.path, globalKey, c.body)
		if r.status != c.status || r.code(t) != c.code || !strings.Contains(r.body, c.says) {
			t.Errorf("%s %s %s: %d %s, want %d %q", c.method, c.path, c.body, r.status, r.body, c.status, c.says)
		}
	}
	h.do(t, "DELETE", admin+"customers/zeta", globalKey, "").into(t, 204, nil)
}

// Following next_cursor sees every item once, whatever the page's size.
func TestPagesCoverTheList(t *testing.T) {
	h := newHub(t)
	for i := range 25 {
		id := messages.CustomerID(fmt.Sprintf("c%02d", i))
		h.fleet.customers[id] = messages.Customer{ID: id}
		h.fleet.events = append(h.fleet.events, messages.Event{ID: messages.EventID(ulid(i))})
		h.fleet.routes = append(h.fleet.routes, messages.Route{ID: messages.RouteID(ulid(25 - i))})
		h.fleet.sent = append(h.fleet.sent, messages.Delivery{ID: messages.DeliveryID(ulid(50 - i))})
		h.fleet.reports = append(h.fleet.reports, ReportView{ID: messages.ReportID(ulid(i))})
		host := messages.HostID(fmt.Sprintf("acme-%08x", i))
		h.fleet.hosts[host] = HostView{Host: messages.Host{ID: host}}
	}
	for path, want := range map[string]int{"customers": 26, "events": 25, "routes": 25, "deliveries": 25, "hosts": 26, "hosts/" + hostID + "/reports": 25} {
		for _, limit := range []int{1, 7, 25, 26, 1000} {
			seen := make(map[string]bool)
			cursor, pages := "", 0
			for more := true; more && pages < 30; pages++ {
				var p page[json.RawMessage]
				h.do(t, "GET", fmt.Sprintf("%s%s?limit=%d&cursor=%s", admin, path, limit, cursor), globalKey, "").into(t, 200, &p)
				for _, item := range p.Items {
					seen[string(item)] = true
				}
				if len(p.Items) > limit {
					t.Fatalf("%s: %d items, limit %d", path, len(p.Items), limit)
				}
				if more = p.Next != nil; more {
					cursor = *p.Next
				}
			}
			if fewest := (want + limit - 1) / limit; len(seen) != want || pages != fewest {
				t.Errorf("%s by %d: %d items on %d pages, want %d on %d", path, limit, len(seen), pages, want, fewest)
			}
		}
	}
	var empty page[json.RawMessage]
	h.fleet.sent = nil
	r := h.do(t, "GET", admin+"deliveries", globalKey, "")
	if r.into(t, 200, &empty); r.body != `{"items":[],"next_cursor":null}` {
		t.Errorf("an empty list is %s", r.body)
	}
}

// A host is minted, its key shown once, and it looks as the spec's table says.
func TestHosts(t *testing.T) {
	h := newHub(t)
	var minted mintedKey
	h.do(t, "POST", admin+"hosts", globalKey, `{"customer_id":"acme","poll_interval_seconds":120}`).into(t, 201, &minted)
	if minted.HostID != "acme-0badcafe" || minted.APIKey != newKey {
		t.Errorf("minted %+v", minted)
	}
	h.do(t, "POST", admin+"hosts/"+hostID+"/rotate-key", globalKey, "").into(t, 200, &minted)
	if minted.APIKey != newKey {
		t.Errorf("rotated to %q", minted.APIKey)
	}
	h.do(t, "POST", admin+"hosts/"+hostID+"/revoke-key", globalKey, "").into(t, 204, nil)
	for _, c := range []struct {
		method, path, body string
		status             int
		says               string
	}{
		{"POST", "hosts", `{"customer_id":"none"}`, 400, "customer_id: no such customer"},
		{"POST", "hosts", `{"customer_id":"acme","poll_interval_seconds":59}`, 400, "poll_interval_seconds"},
		{"POST", "hosts", `{"customer_id":"acme","poll_interval_seconds":"60"}`, 400, "want a whole number"},
		{"GET", "hosts?state=gone", "", 400, "state"},
		{"GET", "hosts?customer_id=A", "", 400, "customer_id"},
		{"GET", "hosts/acme-ffffffff", "", 404, ""},
		{"POST", "hosts/acme-ffffffff/rotate-key", "", 404, ""},
		{"POST", "hosts/acme-ffffffff/revoke-key", "", 404, ""},
		{"DELETE", "hosts/acme-ffffffff", "", 404, ""},
		{"GET", "hosts/acme-ffffffff/reports", "", 404, ""},
		{"GET", "hosts/" + hostID + "/reports/" + ulid(9), "", 404, ""},
		{"GET", "hosts/" + hostID + "/reports/9", "", 404, ""},
		{"GET", "hosts/" + hostID + "/reports?cursor=cA", "", 400, "cursor"},
	} {
		if r := h.do(t, c.method, admin+c.path, globalKey, c.body); r.status != c.status || !strings.Contains(r.body, c.says) {
			t.Errorf("%s %s: %d %s, want %d %q", c.method, c.path, r.status, r.body, c.status, c.says)
		}
	}
	h.do(t, "GET", admin+"hosts?customer_id=acme&state=stale", globalKey, "").into(t, 200, nil)
	if f := h.fleet.asked[len(h.fleet.asked)-1].(HostFilter); f.CustomerID != "acme" || f.Phase == nil || *f.Phase != messages.PhaseStale {
		t.Errorf("asked for %+v", f)
	}
	h.do(t, "DELETE", admin+"hosts/"+hostID, globalKey, "").into(t, 204, nil)
}

// The figures of a host: percentages, instants, and null for what nobody knows.
func TestHostDetail(t *testing.T) {
	h := newHub(t)
	at := time.Date(2026, 6, 8, 14, 20, 9, 0, time.UTC)
	h.fleet.reports = []ReportView{{ID: messages.ReportID(ulid(1)), ReceivedAt: at, ReportedAt: at, Bytes: len(someReport),
		Figures: messages.Figures{CPUUsedRatio: 0.5, MemoryUsedRatio: float32(math.NaN())}}}
	h.fleet.bodies = [][]byte{[]byte(someReport)}
	h.fleet.hosts[hostID] = HostView{
		Host:    messages.Host{ID: hostID, CustomerID: "acme", CreatedAt: at},
		Silence: 1800*time.Second + 900*time.Millisecond,
		State: messages.HostState{Phase: messages.PhaseStale, PhaseSince: at.UnixNano(), ReportAt: at.UnixNano(), SkewSecs: -3, AgentVersion: "0.3.0",
			Last: messages.ReportRef{Day: 1, Batch: 1},
			Figures: messages.Figures{CPUUsedRatio: 0.0734, MemoryUsedRatio: float32(math.NaN()), DiskUsedRatio: 1,
				GuestTotal: 3, GuestRunning: 2, Cloudflared: "active"}},
	}
	var got map[string]any
	h.do(t, "GET", admin+"hosts/"+hostID, globalKey, "").into(t, 200, &got)
	want := map[string]any{
		"host_id": hostID, "customer_id": "acme", "state": "stale", "state_since": "2026-06-08T14:20:09Z", "last_report_at": "2026-06-08T14:20:09Z",
		"silence_seconds": 1800., "skew_seconds": -3., "agent_version": "0.3.0", "cpu_percent": 7.3, "memory_percent": nil, "disk_percent": 100.,
		"guest_total": 3., "guest_running": 2., "cloudflared": "active", "created_at": "2026-06-08T14:20:09Z", "desired_generation": 0.,
		"reported_at": nil, "known_guests": []any{},
	}
	var body map[string]any
	if err := json.Unmarshal([]byte(someReport), &body); err != nil {
		t.Fatal(err)
	}
	want["host"], want["guests"], want["sections"] = body["host"], body["guests"], body["sections"]
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if r := h.do(t, "GET", admin+"hosts/"+hostID+"/reports/"+ulid(1), globalKey, ""); r.body != someReport {
		t.Errorf("the body came back as %s", r.body)
	}
	var p page[map[string]any]
	h.do(t, "GET", admin+"hosts/"+hostID+"/reports", globalKey, "").into(t, 200, &p)
	if len(p.Items) != 1 || p.Items[0]["id"] != ulid(1) || p.Items[0]["cpu_percent"] != 50. || p.Items[0]["memory_percent"] != nil {
		t.Errorf("reports: %v", p.Items)
	}

	// Guests that could not be listed are not none.
	v := h.fleet.hosts[hostID]
	v.State.Figures.GuestsUnknown = true
	h.fleet.hosts[hostID], h.fleet.reports[0].Figures.GuestsUnknown = v, true
	h.do(t, "GET", admin+"hosts/"+hostID, globalKey, "").into(t, 200, &got)
	h.do(t, "GET", admin+"hosts/"+hostID+"/reports", globalKey, "").into(t, 200, &p)
	for _, m := range []map[string]any{got, p.Items[0]} {
		for _, k := range []string{"guest_total", "guest_running"} {
			if n, ok := m[k]; !ok || n != nil {
				t.Errorf("%s is %v, want null", k, n)
			}
		}
	}

	// A pruned body is no reason to hide the host; a host that never reported has no figures.
	h.fleet.reports = nil
	h.do(t, "GET", admin+"hosts/"+hostID, globalKey, "").into(t, 200, &got)
	h.fleet.hosts[hostID] = HostView{Host: messages.Host{ID: hostID, CustomerID: "acme"}}
	h.do(t, "GET", admin+"hosts/"+hostID, globalKey, "").into(t, 200, &got)
	for _, k := range []string{"state_since", "last_report_at", "cpu_percent", "disk_percent", "guest_total", "guest_running", "host", "guests"} {
		if got[k] != nil {
			t.Errorf("%s of a new host is %v", k, got[k])
		}
	}
}

// Events are followed by the last id seen, and filtered by what exists.
func TestEvents(t *testing.T) {
	h := newHub(t)
	for i := range 3 {
		h.fleet.events = append(h.fleet.events, messages.Event{ID: messages.EventID(ulid(i)), Type: messages.HostDown})
	}
	var p page[messages.Event]
	h.do(t, "GET", admin+"events?after="+ulid(0)+"&type=host_down&host_id="+hostID+"&customer_id=acme", globalKey, "").into(t, 200, &p)
	if len(p.Items) != 2 || p.Items[0].ID != messages.EventID(ulid(1)) {
		t.Errorf("got %+v", p.Items)
	}
	if f := h.fleet.asked[0].(EventFilter); f != (EventFilter{CustomerID: "acme", HostID: hostID, Type: messages.HostDown}) {
		t.Errorf("asked for %+v", f)
	}
	for _, q := range []string{"after=", "cursor=", "after=&cursor="} { // a reader's first question
		if h.do(t, "GET", admin+"events?"+q, globalKey, "").into(t, 200, &p); len(p.Items) != 3 {
			t.Errorf("%s: %+v", q, p)
		}
	}
	h.do(t, "GET", admin+"events?order=desc&limit=2", globalKey, "").into(t, 200, &p)
	if len(p.Items) != 2 || p.Items[0].ID != messages.EventID(ulid(2)) || p.Next == nil {
		t.Errorf("newest first: %+v", p)
	}
	back := *p.Next
	if h.do(t, "GET", admin+"events?order=desc&cursor="+back, globalKey, "").into(t, 200, &p); len(p.Items) != 1 || p.Items[0].ID != messages.EventID(ulid(0)) || p.Next != nil {
		t.Errorf("further back: %+v", p)
	}
	if h.do(t, "GET", admin+"events?order=desc&before="+ulid(1), globalKey, "").into(t, 200, &p); len(p.Items) != 1 {
		t.Errorf("before one: %+v", p)
	}
	h.do(t, "GET", admin+"events?q=Web+1&incident_id="+ulid(7), globalKey, "").into(t, 200, &p)
	if f := h.fleet.asked[len(h.fleet.asked)-1].(EventFilter); f.Text != "Web 1" || f.IncidentID != messages.IncidentID(ulid(7)) {
		t.Errorf("asked for %+v", f)
	}
	for _, q := range []string{"order=up", "before=" + ulid(1), "order=desc&after=" + ulid(1), "cursor=" + back, "incident_id=x", "q=%00",
		"q=" + strings.Repeat("x", 101), "after=x", "limit=", "type=host_gone", "type=route_test", "host_id=acme", "customer_id=-"} {
		if r := h.do(t, "GET", admin+"events?"+q, globalKey, ""); r.status != 400 {
			t.Errorf("%s: %d", q, r.status)
		}
	}
}

// A route is shown masked, its secret once and only if the hub made it.
func TestRoutes(t *testing.T) {
	h := newHub(t)
	const target = "https://ntfy.example.com/topic?token=hunter2"
	var r routeItem
	made := h.do(t, "POST", admin+"routes", globalKey, `{"kind":"webhook","url":"`+target+`","events":["host_down"],"min_severity":"warning"}`)
	made.into(t, 201, &r)
	raw, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(r.Secret, "whsec_"))
	if err != nil || len(raw) < 24 || !strings.HasPrefix(r.Secret, "whsec_") {
		t.Errorf("secret %q", r.Secret)
	}
	stored := h.fleet.routes[0]
	if stored.URL.Reveal() != target || stored.Secret.Reveal() != r.Secret || stored.MinSeverity != messages.SeverityWarning ||
		!slices.Equal(stored.Events, []messages.EventType{messages.HostDown}) {
		t.Errorf("stored %+v", stored)
	}
	if r.URL != "https://ntfy.example.com/…" || r.MinSeverity != "warning" {
		t.Errorf("shown %+v", r)
	}
	given := "whsec_" + base64.StdEncoding.EncodeToString(make([]byte, 24))
	second := h.do(t, "POST", admin+"routes", globalKey, `{"customer_id":"acme","kind":"webhook","url":"http://192.0.2.1:81/x","secret":"`+given+`"}`)
	second.into(t, 201, &r)
	list := h.do(t, "GET", admin+"routes", globalKey, "")
	for _, text := range []string{second.body, list.body} {
		if strings.Contains(text, "whsec_") || strings.Contains(text, "hunter2") {
			t.Errorf("told a secret: %s", text)
		}
	}
	var said RouteAnswer
	h.do(t, "POST", admin+"routes/"+string(r.RouteID)+"/test", globalKey, "").into(t, 200, &said)
	if !said.OK {
		t.Errorf("test said %+v", said)
	}
	h.do(t, "DELETE", admin+"routes/"+string(r.RouteID), globalKey, "").into(t, 204, nil)
	for _, path := range []string{"routes/" + ulid(99), "routes/x"} {
		if got := h.do(t, "DELETE", admin+path, globalKey, ""); got.status != 404 {
			t.Errorf("%s: %d", path, got.status)
		}
	}
	for body, says := range map[string]string{
		`{"kind":"mail","url":"` + target + `"}`:                                     "kind",
		`{"kind":"webhook"}`:                                                         "url",
		`{"kind":"webhook","url":"ftp://x/y"}`:                                       "url",
		`{"kind":"webhook","url":"https://x/#y"}`:                                    "fragment",
		`{"kind":"webhook","url":"` + target + `","secret":"whsec_aGk="}`:            "secret",
		`{"kind":"webhook","url":"` + target + `","secret":"hunter2hunter2hunter2"}`: "secret",
		`{"kind":"webhook","url":"` + target + `","events":["host_gone"]}`:           "host_gone",
		`{"kind":"webhook","url":"` + target + `","min_severity":"bad"}`:             "min_severity",
		`{"kind":"webhook","url":"` + target + `","customer_id":"none"}`:             "customer_id",
		`{"kind":"webhook","url":{"a":"hunter2"}}`:                                   "url",
	} {
		got := h.do(t, "POST", admin+"routes", globalKey, body)
		if got.status != 400 || !strings.Contains(got.body, says) || strings.Contains(got.body, "hunter2") {
			t.Errorf("%s: %d %s", body, got.status, got.body)
		}
	}
}

// A route cannot be pointed at what only the hub can reach, in any spelling of
// an address, unless the operator allows it.
func TestPrivateRoutesAreRefused(t *testing.T) {
	for host, private := range map[string]bool{
		"127.0.0.1": true, "localhost": true, "LOCALHOST.": true, "a.localhost": true, "0.0.0.0": true, "[::]": true, "[::1]": true,
		"[::ffff:127.0.0.1]": true, "[::ffff:10.0.0.1]": true, "10.1.2.3": true, "172.16.0.1": true, "192.168.1.1": true, "169.254.169.254": true,
		"100.64.0.1": true, "[fe80::1]": true, "[fd00::1]": true, "[64:ff9b::7f00:1]": true, "[2002:7f00:1::]": true, "224.0.0.1": true,
		"255.255.255.255": true, "127.1": true, "0x7f.1": true, "2130706433": true, "0177.0.0.1": true,
		"example.com": false, "1.1.1.1": false, "[2606:4700::1111]": false, "1.example.com": false, "x1": false,
	} {
		err := notify.CheckURL(messages.RouteWebhook, "https://"+host+":8443/x", false)
		if (err != nil) != private {
			t.Errorf("%s: %v, private is %v", host, err, private)
		}
		if err := notify.CheckURL(messages.RouteWebhook, "https://"+host+"/x", true); err != nil {
			t.Errorf("%s, allowed: %v", host, err)
		}
	}
}

// A delivery can be listed by its state and sent again.
func TestDeliveries(t *testing.T) {
	h := newHub(t)
	h.fleet.sent = []messages.Delivery{{ID: messages.DeliveryID(ulid(7)), State: messages.DeliveryDead}}
	h.do(t, "GET", admin+"deliveries?state=dead", globalKey, "").into(t, 200, nil)
	if h.fleet.asked[0] != (DeliveryFilter{State: messages.DeliveryDead}) {
		t.Errorf("asked for %v", h.fleet.asked[0])
	}
	h.do(t, "POST", admin+"deliveries/"+ulid(7)+"/retry", globalKey, "").into(t, 204, nil)
	for path, want := range map[string]int{"deliveries?state=lost": 400, "deliveries?cursor=x": 400} {
		if r := h.do(t, "GET", admin+path, globalKey, ""); r.status != want {
			t.Errorf("%s: %d", path, r.status)
		}
	}
	if r := h.do(t, "POST", admin+"deliveries/"+ulid(8)+"/retry", globalKey, ""); r.status != 404 {
		t.Errorf("no such delivery: %d", r.status)
	}
}

// A backup that cannot begin is an error; one that fails on the way is an answer
// that breaks off, which no client takes for a whole one.
func TestBackup(t *testing.T) {
	h := newHub(t)
	data := strings.Repeat("0123456789abcdef", 1<<16)
	h.fleet.backupFunc = func(w io.Writer) error { _, err := io.WriteString(w, data); return err }
	if r := h.do(t, "GET", admin+"backup", globalKey, ""); r.status != 200 || r.body != data {
		t.Errorf("%d, %d bytes", r.status, len(r.body))
	}
	h.fleet.backupFunc = func(io.Writer) error { return fmt.Errorf("open store: %w", ErrUnavailable) }
	if r := h.do(t, "GET", admin+"backup", globalKey, ""); r.status != 503 {
		t.Errorf("%d %s", r.status, r.body)
	}
	h.fleet.backupFunc = func(io.Writer) error { panic("backup of " + hostKey) }
	if r := h.do(t, "GET", admin+"backup", globalKey, ""); r.status != 500 {
		t.Errorf("%d %s", r.status, r.body)
	}
	h.fleet.backupFunc = func(w io.Writer) error { io.WriteString(w, data); return errors.New("disk went away") }
	req, _ := http.NewRequest("GET", "http://"+h.addr+admin+"backup", nil)
	req.Header.Set("Authorization", "Bearer "+globalKey)
	res, err := h.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, res.Body); err == nil {
		t.Error("a backup that failed ended like a whole one")
	}
	// A client that walks away ends the backup.
	ended := make(chan error)
	h.fleet.backupFunc = func(w io.Writer) error {
		for {
			if _, err := io.WriteString(w, data); err != nil {
				ended <- err
				return err
			}
		}
	}
	if res, err = h.http.Do(req); err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	<-ended
}

// Health, readiness and metrics are public and tell what they should.
func TestHealthAndMetrics(t *testing.T) {
	h := newHub(t)
	if r := h.do(t, "GET", "/healthz", "", ""); r.body != `{"status":"ok","version":"test"}` {
		t.Error(r.body)
	}
	if r := h.do(t, "GET", "/readyz", "", ""); r.status != 200 {
		t.Error(r.body)
	}
	h.fleet.health = Health{Reason: "disk is full", Hosts: [4]int{1, 2, 3, 4}, Controllers: [4]int{0, 5, 6, 7}, DamagedTotal: 8, ReportsTotal: 12}
	if r := h.do(t, "GET", "/readyz", "", ""); r.status != 503 || r.code(t) != messages.CodeUnavailable || !strings.Contains(r.body, "disk is full") || r.header.Get("Retry-After") == "" {
		t.Errorf("%d %s", r.status, r.body)
	}
	h.do(t, "POST", reportPath, wrongKey, someReport)
	metrics := h.do(t, "GET", "/metrics", "", "").body
	for _, want := range []string{`felhom_hosts{state="down"} 4`, `felhom_controllers{state="stale"} 6`, "felhom_damaged_rows_total 8", "felhom_reports_total 12", "felhom_ready 0", "felhom_http_unauthorized_total 1", `felhom_http_responses_total{class="5xx"} 1`, `felhom_build_info{version="test"} 1`} {
		if !strings.Contains(metrics, "\n"+want+"\n") {
			t.Errorf("metrics lack %s", want)
		}
	}
	for _, name := range []string{hostID, "acme", "Acme", string(h.fleet.health.Reason)} {
		if strings.Contains(metrics, name) {
			t.Errorf("metrics, which anybody may read, name %q", name)
		}
	}
	sample := regexp.MustCompile(`^felhom_[a-z_]+(\{[a-z]+="[^"]*"\})? [0-9.e+-]+$`)
	typed := ""
	for line := range strings.Lines(metrics) {
		line = strings.TrimSuffix(line, "\n")
		if name, ok := strings.CutPrefix(line, "# TYPE "); ok {
			typed, _, _ = strings.Cut(name, " ")
		} else if !strings.HasPrefix(line, "# HELP ") && (!sample.MatchString(line) || !strings.HasPrefix(line, typed)) {
			t.Errorf("no sample of %s: %q", typed, line)
		}
	}
}

// A flood of strangers is one line a minute, and the count is right.
func TestStrangersAreTalliedByTheMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logs := new(logBuffer)
		tally := tally{log: zerolog.New(logs)}
		for range 3 {
			for range 1000 {
				tally.add()
			}
			time.Sleep(tallyEvery)
			synctest.Wait()
		}
		if got := logs.String(); strings.Count(got, "\n") != 3 || strings.Count(got, `"count":1000`) != 3 {
			t.Errorf("logged %s", got)
		}
	})
}

// Every route is documented, and nothing else is.
func TestOpenAPISaysWhatIsServed(t *testing.T) {
	h := newHub(t)
	doc := h.do(t, "GET", "/api/v1/openapi.yaml", "", "").body
	documented := make(map[string]bool)
	path, inPaths := "", false
	for line := range strings.Lines(doc) {
		line = strings.TrimRight(line, "\n")
		switch {
		case !strings.HasPrefix(line, " "):
			inPaths = line == "paths:"
		case inPaths && strings.HasPrefix(line, "  /"):
			path = strings.TrimSuffix(strings.TrimSpace(line), ":")
		case inPaths && regexp.MustCompile(`^    (get|post|put|patch|delete):$`).MatchString(line):
			documented[strings.ToUpper(strings.Trim(line, " :"))+" "+path] = true
		}
	}
	for _, r := range routes {
		if !documented[r.method+" "+r.path] {
			t.Errorf("%s %s is not documented", r.method, r.path)
		}
		delete(documented, r.method+" "+r.path)
	}
	for op := range documented {
		t.Errorf("%s is documented and not served", op)
	}
}
