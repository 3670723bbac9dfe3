package api

import (
	"context"
	"slices"
	"strings"
	"testing"

	"felhom.eu/messages"
)

// fakeAlarms are alarms in memory, newest first; what is acknowledged is remembered.
type fakeAlarms struct {
	alarms    []messages.AlarmView
	attention messages.NeedsAttention
}

func (f *fakeFleet) Alarms(_ context.Context, filter AlarmFilter, before messages.IncidentID, limit int) ([]messages.AlarmView, messages.IncidentID, error) {
	f.asked = append(f.asked, filter)
	return f.page(before, limit, func(v messages.AlarmView) bool { return v.MemberOf == "" })
}

// page gives a page less than it may hold, as one that looked at too much does.
func (f *fakeAlarms) page(before messages.IncidentID, limit int, match func(messages.AlarmView) bool) (rows []messages.AlarmView, next messages.IncidentID, err error) {
	for _, v := range f.alarms {
		if before != "" && v.ID >= before || !match(v) {
			continue
		}
		if len(rows) == limit {
			return rows, rows[limit-1].ID, nil
		}
		rows = append(rows, v)
	}
	return rows, "", nil
}

func (f *fakeAlarms) Alarm(_ context.Context, id messages.IncidentID) (messages.AlarmView, error) {
	i := slices.IndexFunc(f.alarms, func(v messages.AlarmView) bool { return v.ID == id })
	if i < 0 {
		return messages.AlarmView{}, ErrNotFound
	}
	return f.alarms[i], nil
}

func (f *fakeAlarms) Members(_ context.Context, id, before messages.IncidentID, limit int) ([]messages.AlarmView, messages.IncidentID, error) {
	return f.page(before, limit, func(v messages.AlarmView) bool { return v.MemberOf == id })
}

func (f *fakeAlarms) Acknowledge(_ context.Context, ids []messages.IncidentID, ack *messages.Ack) error {
	for i := range f.alarms {
		if v := &f.alarms[i]; slices.Contains(ids, v.ID) {
			v.Ack = ack
			return nil
		}
	}
	return ErrNotFound
}

func (f *fakeAlarms) Attention(context.Context) (messages.NeedsAttention, error) {
	return f.attention, nil
}

// An incident is listed once, shown with its members page by page, acknowledged with who
// and why, and that is taken back.
func TestAlarms(t *testing.T) {
	h := newHub(t)
	incident := messages.IncidentID(ulid(9))
	h.fleet.alarms = []messages.AlarmView{
		{ID: incident, Type: messages.IncidentOpened, Severity: messages.SeverityCritical, State: messages.AlarmOpen, Scope: &messages.Scope{Kind: messages.ScopeFleet}, Members: 3, Hosts: []messages.HostID{hostID}},
		{ID: messages.IncidentID(ulid(8)), MemberOf: incident, HostID: hostID, State: messages.AlarmOpen},
		{ID: messages.IncidentID(ulid(7)), MemberOf: incident, State: messages.AlarmOpen},
		{ID: messages.IncidentID(ulid(6)), MemberOf: incident, State: messages.AlarmOpen},
		{ID: messages.IncidentID(ulid(5)), HostID: hostID, Type: messages.StorageHigh, State: messages.AlarmOpen},
	}
	var p page[messages.AlarmView]
	h.do(t, "GET", admin+"alarms?limit=1", globalKey, "").into(t, 200, &p)
	if len(p.Items) != 1 || p.Items[0].ID != incident || p.Items[0].Members != 3 || p.Next == nil {
		t.Fatalf("first page %+v", p)
	}
	h.do(t, "GET", admin+"alarms?limit=1&cursor="+*p.Next, globalKey, "").into(t, 200, &p)
	if len(p.Items) != 1 || p.Items[0].ID != messages.IncidentID(ulid(5)) || p.Next != nil {
		t.Errorf("second page %+v", p)
	}
	var d alarmDetail
	h.do(t, "GET", admin+"alarms/"+string(incident)+"?limit=2", globalKey, "").into(t, 200, &d)
	if len(d.MemberAlarms.Items) != 2 || d.MemberAlarms.Next == nil || d.Severity != messages.SeverityCritical {
		t.Fatalf("shown %+v", d)
	}
	h.do(t, "GET", admin+"alarms/"+string(incident)+"?limit=2&cursor="+*d.MemberAlarms.Next, globalKey, "").into(t, 200, &d)
	if len(d.MemberAlarms.Items) != 1 || d.MemberAlarms.Items[0].ID != messages.IncidentID(ulid(6)) || d.MemberAlarms.Next != nil {
		t.Errorf("the rest of its members %+v", d.MemberAlarms)
	}
	if r := h.do(t, "GET", admin+"alarms/"+ulid(5), globalKey, ""); !strings.Contains(r.body, `"member_alarms":{"items":[],"next_cursor":null}`) {
		t.Errorf("one that is no incident: %s", r.body)
	}

	var v messages.AlarmView
	h.do(t, "POST", admin+"alarms/"+ulid(5)+"/acknowledge", globalKey, `{"reason":"disk ordered"}`).into(t, 200, &v)
	if v.Ack == nil || v.Ack.By != "global key" || v.Ack.Reason != "disk ordered" || v.Ack.At.IsZero() {
		t.Errorf("acknowledged %+v", v.Ack)
	}
	h.do(t, "DELETE", admin+"alarms/"+ulid(5)+"/acknowledge", globalKey, "").into(t, 204, nil)
	if h.fleet.alarms[4].Ack != nil {
		t.Error("it was not taken back")
	}

	severity := messages.SeverityWarning
	h.do(t, "GET", admin+"alarms?customer_id=acme&host_id="+hostID+"&state=silenced&severity=warning", globalKey, "").into(t, 200, nil)
	if f := h.fleet.asked[len(h.fleet.asked)-1].(AlarmFilter); f.CustomerID != "acme" || f.HostID != hostID || f.State != messages.AlarmSilenced || *f.Severity != severity {
		t.Errorf("asked for %+v", f)
	}
	for _, c := range []struct {
		method, path, body string
		status             int
	}{
		{"GET", "alarms?state=closed", "", 400},
		{"GET", "alarms?severity=bad", "", 400},
		{"GET", "alarms?cursor=AA", "", 400},
		{"GET", "alarms/" + ulid(1), "", 404},
		{"GET", "alarms/x", "", 404},
		{"POST", "alarms/" + ulid(1) + "/acknowledge", `{"reason":"x"}`, 404},
		{"POST", "alarms/" + ulid(5) + "/acknowledge", `{}`, 400},
		{"POST", "alarms/" + ulid(5) + "/acknowledge", `{"reason":"a\u0000"}`, 400},
		{"DELETE", "alarms/" + ulid(1) + "/acknowledge", "", 404},
	} {
		if r := h.do(t, c.method, admin+c.path, globalKey, c.body); r.status != c.status {
			t.Errorf("%s %s: %d %s", c.method, c.path, r.status, r.body)
		}
	}
}

// A delivery is shown with the events that it tells, and why it was made.
func TestDeliveryIsShown(t *testing.T) {
	h := newHub(t)
	h.fleet.events = []messages.Event{{ID: messages.EventID(ulid(1)), Type: messages.HostDown, Summary: "acme is down"}}
	h.fleet.sent = []messages.Delivery{{ID: messages.DeliveryID(ulid(5)), Events: []messages.EventID{messages.EventID(ulid(1))}, Reason: messages.BecauseReminder, LastStatus: 503, LastError: "no room"}}
	var d deliveryDetail
	h.do(t, "GET", admin+"deliveries/"+ulid(5), globalKey, "").into(t, 200, &d)
	if len(d.Events) != 1 || d.Events[0].Summary != "acme is down" || d.Reason != messages.BecauseReminder || d.LastError != "no room" {
		t.Errorf("shown %+v", d)
	}
	for _, id := range []string{ulid(9), "x"} {
		if r := h.do(t, "GET", admin+"deliveries/"+id, globalKey, ""); r.status != 404 {
			t.Errorf("%s: %d", id, r.status)
		}
	}
}

// What needs attention is cut to as many groups as are asked for, and says how many more
// there are.
func TestAttentionIsCut(t *testing.T) {
	h := newHub(t)
	h.fleet.attention = messages.NeedsAttention{Groups: make([]messages.AttentionGroup, 60), MoreGroups: 7}
	for query, want := range map[string][2]int{"": {50, 17}, "?limit=2": {2, 65}, "?limit=200": {60, 7}} {
		var got messages.NeedsAttention
		if h.do(t, "GET", admin+"attention"+query, globalKey, "").into(t, 200, &got); len(got.Groups) != want[0] || got.MoreGroups != want[1] {
			t.Errorf("%q: %d groups and %d more", query, len(got.Groups), got.MoreGroups)
		}
	}
	for _, query := range []string{"?limit=201", "?cursor=x", "?groups=1"} {
		if r := h.do(t, "GET", admin+"attention"+query, globalKey, ""); r.status != 400 {
			t.Errorf("%s: %d", query, r.status)
		}
	}
}
