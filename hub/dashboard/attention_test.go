package dashboard

import (
	"testing"
	"time"

	"felhom.eu/messages"
)

// One cause is one group: an outage with its members, a silent host with what is wrong
// on it; the worst first, and what somebody knows of last.
func TestAlarmsAreGroupedByCause(t *testing.T) {
	at := func(minute int) time.Time { return time.Date(2026, 3, 1, 12, minute, 0, 0, time.UTC) }
	groups := groupsOf([]messages.Alarm{
		{ID: "1", Type: messages.BackupOverdue, HostID: "acme-00000001", Severity: messages.SeverityWarning, OpenedAt: at(1)},
		{ID: "2", Type: messages.HostDown, HostID: "acme-00000001", Severity: messages.SeverityCritical, OpenedAt: at(2)},
		{ID: "3", Type: messages.HostDown, HostID: "zoo-00000001", Severity: messages.SeverityCritical, OpenedAt: at(3), Incident: "5"},
		{ID: "4", Type: messages.HostDown, HostID: "zoo-00000002", Severity: messages.SeverityCritical, OpenedAt: at(3), Wide: "5"},
		{ID: "5", Type: messages.IncidentOpened, CustomerID: "zoo", Severity: messages.SeverityCritical, OpenedAt: at(4)},
		{ID: "6", Type: messages.TunnelDown, HostID: "zoo-00000001", Severity: messages.SeverityWarning, OpenedAt: at(5)},
		{ID: "7", Type: messages.HostDown, HostID: "acme-00000009", Severity: messages.SeverityCritical, OpenedAt: at(9), Ack: &messages.Ack{By: "ada"}},
		{ID: "8", Type: messages.StorageHigh, HostID: "acme-00000003", Severity: messages.SeverityWarning, OpenedAt: at(8)},
	})
	want := []struct {
		id      messages.IncidentID
		members int
	}{{"5", 3}, {"2", 1}, {"8", 0}, {"7", 0}}
	if len(groups) != len(want) {
		t.Fatalf("got %d groups, want %d: %+v", len(groups), len(want), groups)
	}
	for i, w := range want {
		if groups[i].Incident != w.id || len(groups[i].Members) != w.members {
			t.Errorf("group %d: %s with %d members, want %s with %d", i, groups[i].Incident, len(groups[i].Members), w.id, w.members)
		}
	}
}
