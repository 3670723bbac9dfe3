package app

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"felhom.eu/hub/api"
	"felhom.eu/hub/config"
	"felhom.eu/messages"
	"felhom.eu/storage"
)

var noon = time.Date(2026, 6, 8, 12, 0, 0, 0, time.UTC)

func incidentID(n int) messages.IncidentID { return messages.IncidentID(fmt.Sprintf("01J%023d", n)) }

// alarm is an open alarm of a host of a customer, opened so many minutes after noon.
func alarm(n int, customer messages.CustomerID, minutes int, change ...func(*messages.Alarm)) messages.Alarm {
	a := messages.Alarm{
		ID: incidentID(n), CustomerID: customer, HostID: messages.HostID(fmt.Sprintf("%s-%08x", customer, n)),
		Type: messages.HostStale, Severity: messages.SeverityWarning, Summary: "silent", OpenedAt: noon.Add(time.Duration(minutes) * time.Minute),
	}
	for _, c := range change {
		c(&a)
	}
	return a
}

func acked(a *messages.Alarm)    { a.Ack = &messages.Ack{By: "global key", Reason: "x", At: noon} }
func critical(a *messages.Alarm) { a.Type, a.Severity = messages.HostDown, messages.SeverityCritical }

func mass(a *messages.Alarm) {
	a.Type, a.Severity, a.HostID = messages.IncidentOpened, messages.SeverityCritical, ""
	a.Scope = messages.Scope{Kind: messages.ScopeCustomer, ID: string(a.CustomerID)}
}

func memberOf(n int) func(*messages.Alarm) {
	return func(a *messages.Alarm) { a.Incident = incidentID(n) }
}

func wide(n int) func(*messages.Alarm) { return func(a *messages.Alarm) { a.Wide = incidentID(n) } }

// What nobody knows of comes first, then the worst, then the newest; an incident counts
// its members and not itself; what ended does not count.
func TestTriage(t *testing.T) {
	covers := newCovering([]messages.Silence{{ID: "s", Scope: messages.Scope{Kind: messages.ScopeCustomer, ID: "quiet"},
		StartsAt: noon, EndsAt: noon.Add(time.Hour)}}, noon)
	tr := newTriage(covers, noon)
	for _, a := range []messages.Alarm{
		alarm(1, "globex", 5), alarm(2, "globex", 6, critical, acked),
		alarm(3, "acme", 1), alarm(4, "acme", 2, critical), alarm(5, "acme", 3, func(a *messages.Alarm) { a.ClosedAt = noon }),
		alarm(6, "known", 9, critical, acked), alarm(7, "quiet", 9, critical),
		alarm(10, "mass", 0, mass), alarm(11, "mass", 1, memberOf(10)), alarm(12, "mass", 2, memberOf(10)),
		alarm(20, "", 0, mass, func(a *messages.Alarm) { a.Scope = messages.Scope{Kind: messages.ScopeFleet} }),
		alarm(21, "a", 1, mass, wide(20)), alarm(22, "a", 1, memberOf(21), wide(20)), alarm(23, "b", 2, wide(20), critical),
	} {
		tr.add(&a)
	}
	got := tr.done()
	if want := (messages.AlarmCounts{Warning: 5, Critical: 5}); got.Alarms != want || got.Acknowledged != 2 || got.Silenced != 1 || got.MoreGroups != 0 {
		t.Errorf("counted %+v, %d acknowledged, %d silenced, %d more", got.Alarms, got.Acknowledged, got.Silenced, got.MoreGroups)
	}
	var lines []string
	for _, g := range got.Groups {
		name := string(g.CustomerID)
		if g.Incident != nil {
			name += " incident " + strings.TrimLeft(string(g.Incident.ID[3:]), "0")
		}
		top := ""
		for _, v := range g.Top {
			top += " " + strings.TrimLeft(string(v.ID[3:]), "0")
		}
		lines = append(lines, fmt.Sprintf("%s: %s, %d open %d acknowledged %d silenced, from %s to %s:%s", strings.TrimSpace(name), g.Severity,
			g.Open, g.Acknowledged, g.Silenced, g.OldestAt.Format("15:04"), g.NewestAt.Format("15:04"), top))
	}
	if diff := cmp.Diff([]string{
		"mass incident 10: critical, 2 open 0 acknowledged 0 silenced, from 12:00 to 12:02: 12 11",
		"incident 20: critical, 2 open 0 acknowledged 0 silenced, from 12:00 to 12:02: 23 22",
		"acme: critical, 2 open 0 acknowledged 0 silenced, from 12:01 to 12:02: 4 3",
		"globex: warning, 1 open 1 acknowledged 0 silenced, from 12:05 to 12:06: 1 2",
		"known: critical, 0 open 1 acknowledged 0 silenced, from 12:09 to 12:09: 6",
		"quiet: critical, 0 open 0 acknowledged 1 silenced, from 12:09 to 12:09: 7",
	}, sorted(lines, 3)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// sorted makes the order of the first n certain: they are as urgent as each other.
func sorted(lines []string, n int) []string {
	slices.SortFunc(lines[:n], func(a, b string) int {
		order := func(s string) int { return slices.Index([]string{"m", "i", "a"}, s[:1]) }
		return order(a) - order(b)
	})
	return lines
}

// However many groups and alarms there are, so many are shown, and they are the right ones.
func TestTriageIsBounded(t *testing.T) {
	tr := newTriage(newCovering(nil, noon), noon)
	for i := range 1000 {
		a := alarm(i, messages.CustomerID(fmt.Sprintf("c%d", i%250)), i)
		tr.add(&a)
	}
	got := tr.done()
	if len(got.Groups) != messages.MaxAttention || got.MoreGroups != 50 || got.Groups[0].CustomerID != "c249" {
		t.Errorf("%d groups, %d more, first %s", len(got.Groups), got.MoreGroups, got.Groups[0].CustomerID)
	}
	tr = newTriage(newCovering(nil, noon), noon)
	for i := range 100 {
		a := alarm(i, "acme", i)
		tr.add(&a)
	}
	if g := tr.done().Groups[0]; g.Open != 100 || len(g.Top) != messages.MaxTop || g.Top[0].ID != incidentID(99) || g.Top[4].ID != incidentID(95) {
		t.Errorf("%d open, top %+v", g.Open, g.Top)
	}
}

// A silence covers what is in its scope, an incident by what that is of; it is looked at
// again when the first of them changes.
func TestCovering(t *testing.T) {
	on := func(id messages.SilenceID, kind messages.ScopeKind, of string, minutes int) messages.Silence {
		return messages.Silence{ID: id, Scope: messages.Scope{Kind: kind, ID: of}, StartsAt: noon, EndsAt: noon.Add(time.Duration(minutes) * time.Minute)}
	}
	c := newCovering([]messages.Silence{on("host", messages.ScopeHost, "acme-00000001", 30), on("site", messages.ScopeSite, "vienna", 20),
		on("customer", messages.ScopeCustomer, "globex", 40), on("past", messages.ScopeFleet, "", 0)}, noon)
	if !c.until.Equal(noon.Add(20 * time.Minute)) {
		t.Errorf("until %s", c.until)
	}
	for want, a := range map[messages.SilenceID]messages.Alarm{
		"host": alarm(1, "acme", 0), "": alarm(2, "acme", 0), "customer": alarm(3, "globex", 0, mass),
		"site": alarm(4, "acme", 0, func(a *messages.Alarm) { a.Site = "vienna" }),
	} {
		if got := c.by(&a); got != want {
			t.Errorf("%s is covered by %q, want %q", a.HostID, got, want)
		}
	}
}

// A survey is made again when something happened, somebody changed something, a silence
// changes or a minute went by; one that takes long is made rarely, and nobody waits for it.
func TestSurveysAreMadeWhenDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s surveys
		var n atomic.Int64
		var takes time.Duration
		var events uint64
		var until time.Time
		look := func(now time.Time) (survey, error) {
			made := int(n.Add(1))
			time.Sleep(takes)
			return survey{NeedsAttention: messages.NeedsAttention{AsOf: now, MoreGroups: made}, until: until}, nil
		}
		want := func(why string, made, seen int) {
			t.Helper()
			a, err := s.get(func() uint64 { return events }, look)
			time.Sleep(time.Second) // for one that nobody waits for
			if err != nil || int(n.Load()) != made || a.MoreGroups != seen {
				t.Errorf("%s: survey %d of %d, %v; want %d of %d", why, a.MoreGroups, n.Load(), err, seen, made)
			}
		}
		want("the first", 1, 1)
		want("nothing happened", 1, 1)
		events++
		want("something happened", 2, 2)
		s.forget()
		want("somebody changed something", 3, 3)
		time.Sleep(surveyFor)
		until = time.Now().Add(10 * time.Second)
		want("a minute went by", 4, 4)
		time.Sleep(10 * time.Second)
		until = time.Time{}
		want("a silence changed", 5, 5)
		takes = 500 * time.Millisecond
		events++
		want("it takes long now", 6, 6)
		events++
		want("too soon", 6, 6)
		time.Sleep(surveyShare * takes)
		want("nobody waits", 7, 6)
		want("the one that nobody waited for", 7, 7)
	})
}

// stored writes alarms and events into the store of a hub that is to start.
func stored(t *testing.T, cfg config.Config, b messages.Batch) {
	t.Helper()
	db, err := storage.Open(cfg.DataDir, storage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	b.Sequence, b.At = 1, time.Now().UTC()
	b.Ledger = messages.Ledger{Listened: 1, At: b.At}
	if err := db.WriteBodies(&b); err != nil {
		t.Fatal(err)
	}
	if err := db.WriteState(&b); err != nil {
		t.Fatal(err)
	}
}

// Alarms are listed with their incidents folded, unless a host or a customer is asked for
// that has no part in what is shown of several; silences show, and members are all there.
func TestAlarmsAreListed(t *testing.T) {
	cfg := testConfig(t)
	told := messages.Event{ID: "01J00000000000000000000010", Sequence: 1, Type: messages.IncidentOpened, At: noon, CustomerID: "acme", IncidentID: incidentID(10),
		Detail: messages.EventDetail{Mass: &messages.Mass{Hosts: []messages.HostID{"acme-0000000b"}}}}
	first := messages.HostID("acme-00000001")
	stored(t, cfg, messages.Batch{
		PutCustomers: []messages.Customer{{ID: "acme"}, {ID: "globex"}},
		PutHosts:     []messages.Host{{ID: first, CustomerID: "acme"}},
		Events:       []messages.Event{told},
		Alarms: []messages.Alarm{
			alarm(1, "acme", 0), alarm(2, "globex", 1, critical), alarm(3, "globex", 1, acked),
			alarm(4, "acme", 2, func(a *messages.Alarm) {
				a.ClosedAt, a.Pending = noon, []messages.PendingEvent{{ID: told.ID, Type: messages.HostRecovered}}
			}),
			alarm(10, "acme", 3, mass, func(a *messages.Alarm) { a.Raised, a.Members = told.ID, 2 }),
			alarm(11, "acme", 3, memberOf(10)), alarm(12, "acme", 4, memberOf(10)),
			alarm(20, "", 5, mass, func(a *messages.Alarm) { a.Scope = messages.Scope{Kind: messages.ScopeFleet} }),
			alarm(21, "globex", 5, wide(20)),
		},
	})
	a, c := start(t, cfg)
	defer a.Stop()
	c.want(201, "POST", "/api/v1/admin/silences", map[string]any{"scope": map[string]any{"kind": "host", "id": first}, "reason": "x", "duration_seconds": 3600}, nil)
	for query, want := range map[string]string{
		"": "20 10 3 2 1", "?state=open": "20 10 2", "?state=acknowledged": "3", "?state=silenced": "1", "?state=all": "20 10 4 3 2 1",
		"?customer_id=acme": "10 1", "?customer_id=globex": "21 3 2", "?host_id=acme-0000000b": "11", "?severity=critical": "20 10 2", "?severity=info": "",
		"?limit=2": "20 10 3 2 1",
	} {
		var got []string
		for cursor := ""; ; {
			var p struct {
				Items []messages.AlarmView
				Next  string `json:"next_cursor"`
			}
			path := "/api/v1/admin/alarms" + query
			if cursor != "" {
				path += "&cursor=" + cursor
			}
			c.want(200, "GET", path, nil, &p)
			for _, v := range p.Items {
				got = append(got, strings.TrimLeft(string(v.ID[3:]), "0"))
			}
			if cursor = p.Next; cursor == "" {
				break
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: got %v, want %s", query, got, want)
		}
	}
	var d struct {
		messages.AlarmView
		MemberAlarms struct{ Items []messages.AlarmView } `json:"member_alarms"`
	}
	c.want(200, "GET", "/api/v1/admin/alarms/"+string(incidentID(10)), nil, &d)
	if len(d.MemberAlarms.Items) != 2 || d.Members != 2 || !slices.Equal(d.Hosts, []messages.HostID{"acme-0000000b"}) || d.MemberAlarms.Items[0].MemberOf != incidentID(10) {
		t.Errorf("the incident: %+v", d)
	}
	c.want(404, "GET", "/api/v1/admin/alarms/"+string(incidentID(99)), nil, nil)
	c.want(404, "POST", "/api/v1/admin/alarms/"+string(incidentID(99))+"/acknowledge", map[string]string{"reason": "x"}, nil)
	var n messages.NeedsAttention
	c.want(200, "GET", "/api/v1/admin/attention", nil, &n)
	if n.Alarms != (messages.AlarmCounts{Warning: 5, Critical: 1}) || len(n.Groups) != 4 || n.Silenced != 1 || n.Acknowledged != 1 {
		t.Errorf("needs attention: %+v", n)
	}
	h := api.Fleet(&fleet{hub: a.hub, db: a.db, app: a}).Health()
	if h.Alarms != n.Alarms || h.AlarmsSilenced != 1 || h.AlarmsAcknowledged != 1 {
		t.Errorf("health counts %+v", h)
	}
}

// An acknowledgement is kept over a stop and shows at once, of an incident with all its
// members; it can be taken back.
func TestAcknowledgementsAreKept(t *testing.T) {
	cfg := testConfig(t)
	told := func(a *messages.Alarm) {
		a.Told, a.ToldAt = []messages.EventType{a.Type}, a.OpenedAt
		a.Raised = messages.EventID(a.ID)
	}
	stored(t, cfg, messages.Batch{
		PutCustomers: []messages.Customer{{ID: "acme"}},
		PutHosts:     []messages.Host{{ID: "acme-00000001", CustomerID: "acme"}, {ID: "acme-0000000b", CustomerID: "acme"}, {ID: "acme-0000000c", CustomerID: "acme"}},
		Alarms: []messages.Alarm{alarm(1, "acme", 0, told, func(a *messages.Alarm) { a.Type = messages.StorageHigh }),
			alarm(10, "acme", 3, mass, told), alarm(11, "acme", 3, memberOf(10), told), alarm(12, "acme", 4, memberOf(10), told)},
	})
	a, c := start(t, cfg)
	acked := func(want int) {
		t.Helper()
		var n messages.NeedsAttention
		if c.want(200, "GET", "/api/v1/admin/attention", nil, &n); n.Acknowledged != want {
			t.Errorf("%d are acknowledged, want %d", n.Acknowledged, want)
		}
	}
	acked(0)
	var v messages.AlarmView
	path := func(n int) string { return "/api/v1/admin/alarms/" + string(incidentID(n)) + "/acknowledge" }
	c.want(200, "POST", path(1), map[string]string{"reason": "disk ordered"}, &v)
	if v.State != messages.AlarmAcknowledged || v.Ack == nil || v.Ack.By != "global key" || v.Ack.Reason != "disk ordered" {
		t.Errorf("acknowledged %+v", v)
	}
	acked(1)
	c.want(200, "POST", path(10), map[string]string{"reason": "provider called"}, nil)
	acked(3)
	if err := a.Stop(); err != nil {
		t.Fatal(err)
	}
	a, c = start(t, cfg)
	defer a.Stop()
	acked(3)
	c.want(204, "DELETE", path(10), nil, nil)
	acked(1)
}
