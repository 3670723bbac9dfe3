package app

import (
	"testing"
	"time"

	"github.com/oklog/ulid/v2"

	"felhom.eu/messages"
)

// The events of an incident are found in both directions while it is open and after, and
// no page goes back behind its begin.
func TestEventsOfAnIncident(t *testing.T) {
	cfg := testConfig(t)
	idAt := func(d time.Duration) string {
		id, err := ulid.New(ulid.Timestamp(noon.Add(d)), ulid.DefaultEntropy())
		if err != nil {
			t.Fatal(err)
		}
		return id.String()
	}
	open, ended := messages.IncidentID(idAt(0)), messages.IncidentID(idAt(0))
	var b messages.Batch
	for i, at := range []time.Duration{-time.Hour, -time.Minute, time.Second, time.Minute, time.Hour} {
		e := messages.Event{ID: messages.EventID(idAt(at)), Sequence: uint64(i + 1), Type: messages.HostStale, At: noon.Add(at), CustomerID: "acme", HostID: "acme-00000001", IncidentID: open}
		if i%2 == 1 {
			e.IncidentID, e.HostID, e.CustomerID = ended, "globex-00000001", "globex"
		}
		b.Events = append(b.Events, e)
	}
	b.PutCustomers = []messages.Customer{{ID: "acme"}, {ID: "globex"}}
	b.Alarms = []messages.Alarm{alarm(1, "acme", 0, func(a *messages.Alarm) { a.ID = open })}
	stored(t, cfg, b)
	a, c := start(t, cfg)
	defer a.Stop()
	for query, want := range map[string]int{
		"incident_id=" + string(open): 2, "incident_id=" + string(open) + "&order=desc": 3, // one is older than any can be; a page that is not full shows it
		"incident_id=" + string(ended): 2, "incident_id=" + string(ended) + "&order=desc": 2,
		"q=GLOBEX": 2, "q=nothing": 0, "order=desc&before=" + string(b.Events[2].ID): 2,
	} {
		var p struct {
			Items []messages.Event
			Next  *string `json:"next_cursor"`
		}
		c.want(200, "GET", "/api/v1/admin/events?"+query, nil, &p)
		if len(p.Items) != want || p.Next != nil {
			t.Errorf("%s: %d events, want %d", query, len(p.Items), want)
		}
	}
}
