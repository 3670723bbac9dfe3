package app

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"felhom.eu/messages"
)

// said is a report with storages, backups and guests.
func said(host string, sequence int, used uint64, backup time.Time) map[string]any {
	return map[string]any{
		"host_id": host, "stream": "s", "sequence": sequence,
		"guests":          []map[string]any{{"vmid": 101, "name": "web", "status": "running"}, {"vmid": 102, "name": "db", "status": "stopped"}},
		"storage_targets": []map[string]any{{"storage": "local", "enabled": true, "active": true, "total_bytes": 100, "used_bytes": used}},
		"backups":         []map[string]any{{"vmid": 101, "newest_good_at": backup, "last_result": "ok"}},
		"sections":        map[string]any{"storage_targets": map[string]string{"status": "ok"}, "backups": map[string]string{"status": "ok"}},
	}
}

func (c client) eventTypes(path string) (types []messages.EventType) {
	var list struct{ Items []messages.Event }
	c.want(200, "GET", "/api/v1/admin/events"+path, nil, &list)
	for _, e := range list.Items {
		if e.Type != messages.HubGap {
			types = append(types, e.Type)
		}
	}
	return types
}

// From a report to an event, a chain of protection and settings that hold at once;
// on a real store, over HTTP, and over a restart.
func TestReportsAreJudgedFromEndToEnd(t *testing.T) {
	cfg := testConfig(t)
	a, c := start(t, cfg)
	m := c.mint()
	host := client{t, c.url, m.APIKey}
	old := time.Now().Add(-31 * time.Hour).UTC().Truncate(time.Second)
	host.want(200, "POST", "/api/v1/host-report", said(m.HostID, 1, 90, old), nil)
	host.want(200, "POST", "/api/v1/host-report", said(m.HostID, 2, 90, old), nil)
	want := []messages.EventType{messages.StorageHigh, messages.BackupOverdue}
	if got := c.eventTypes(""); !slices.Equal(got, want) {
		t.Fatalf("events are %v, want %v", got, want)
	}
	chain := func() (lines []string) {
		var list struct{ Items []messages.Protection }
		c.want(200, "GET", "/api/v1/admin/hosts/"+m.HostID+"/protection", nil, &list)
		var all struct{ Items []messages.Protection }
		c.want(200, "GET", "/api/v1/admin/protection?customer_id=acme", nil, &all)
		if len(all.Items) != len(list.Items) {
			t.Errorf("the host has %d guests, its customer %d", len(list.Items), len(all.Items))
		}
		for _, p := range list.Items {
			lines = append(lines, fmt.Sprintf("%d %s %s %s", p.VMID, p.Name, p.State, p.Backup.State))
		}
		return lines
	}
	if got := fmt.Sprint(chain()); got != "[101 web attention late 102 db unprotected missing]" {
		t.Errorf("protection is %s", got)
	}
	rules := "/api/v1/admin/hosts/" + m.HostID + "/rules"
	c.want(200, "PUT", rules, map[string]any{"storage_warning_ratio": 0.95, "backup_warning_seconds": 172800, "excluded_guests": []int{102}}, nil)
	c.want(400, "PUT", rules, map[string]any{"storage_warning_ratio": 0.96}, nil)
	want = append(want, messages.StorageRecovered, messages.BackupRecovered)
	for range 100 { // the newest report is judged again by itself, in a moment
		if slices.Equal(c.eventTypes(""), want) {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	if err := a.Stop(); err != nil {
		t.Fatal(err)
	}
	a, c = start(t, cfg)
	defer a.Stop()
	host.url = c.url
	host.want(200, "POST", "/api/v1/host-report", said(m.HostID, 3, 90, old), nil)
	if got := c.eventTypes("?type=backup_recovered"); len(got) != 1 {
		t.Errorf("backup_recovered is told %d times", len(got))
	}
	if got := c.eventTypes(""); !slices.Equal(got, want) {
		t.Errorf("events are %v, want %v", got, want)
	}
	if got := fmt.Sprint(chain()); got != "[101 web attention ok 102 db unprotected excluded]" {
		t.Errorf("protection is %s", got)
	}
	c.want(204, "DELETE", rules, nil, nil)
	c.want(204, "DELETE", "/api/v1/admin/hosts/"+m.HostID, nil, nil)
	c.want(404, "GET", rules, nil, nil)
}
