package rules

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"felhom.eu/messages"
)

func decoded(t *testing.T, fields string) *messages.Report {
	t.Helper()
	r, err := messages.Decode([]byte(`{"host_id":"acme-00000001",` + fields + `}`))
	if err != nil {
		t.Fatal(err)
	}
	return &r
}

func inLines(cs []messages.Change) (lines []string) {
	for _, c := range cs {
		lines = append(lines, c.What+": "+c.From+" → "+c.To)
	}
	return lines
}

func TestChanges(t *testing.T) {
	const ok = `"sections":{"guests":{"status":"ok"},"storage_targets":{"status":"ok"},"disks":{"status":"ok"},"zfs_pools":{"status":"ok"},"audit_tail":{"status":"ok"}},`
	task := func(n int, status string) string {
		end := `,"ended_at":"2026-01-02T04:00:00Z","status":"` + status + `"`
		if status == "" {
			end = ""
		}
		return fmt.Sprintf(`{"upid":"U%d","type":"vzdump","id":"101","user":"root@pam","started_at":"2026-01-02T03:%02d:00Z"%s}`, n, n, end)
	}
	for name, c := range map[string]struct {
		older, newer string
		want         []string
	}{
		"nothing": {`"host":{"kernel":"a"},"guests":[{"vmid":101,"status":"running"}]`, `"host":{"kernel":"a"},"guests":[{"vmid":101,"status":"running"}]`, nil},
		"host": {
			`"host":{"kernel":"6.8.4","uptime_seconds":9000,"root_total_bytes":100,"root_used_bytes":71}`,
			`"host":{"kernel":"6.8.12","uptime_seconds":30,"root_total_bytes":100,"root_used_bytes":97}`,
			[]string{"kernel: 6.8.4 → 6.8.12", "host:  → rebooted", "root: 71 % → 97 %"}},
		"a little fuller": {`"host":{"root_total_bytes":100,"root_used_bytes":71}`, `"host":{"root_total_bytes":100,"root_used_bytes":75}`, nil},
		"host not told":   {`"host":{"kernel":"a","uptime_seconds":5,"root_total_bytes":100,"root_used_bytes":71}`, `"host":{}`, nil},
		"tunnel":          {`"cloudflared":{"status":"active"}`, `"cloudflared":{"status":"inactive"}`, []string{"tunnel: active → inactive"}},
		"tunnel unknown":  {`"cloudflared":{"status":"active"}`, `"cloudflared":{"status":"unknown"}`, nil},
		"guests": {
			`"guests":[{"vmid":101,"name":"web","status":"running"},{"vmid":102,"status":"running"},{"vmid":103,"status":"running"}]`,
			`"guests":[{"vmid":104,"name":"n\u001b[2Jew","status":"stopped"},{"vmid":101,"name":"web","status":"stopped"},{"vmid":103,"status":"unknown"}]`,
			[]string{"guest 104 (n[2Jew): absent → stopped", "guest 101 (web): running → stopped", "guest 102: running → absent"}},
		"guests denied": {`"guests":[{"vmid":101,"status":"running"}]`, `"guests":[],"sections":{"guests":{"status":"denied"}}`, nil},
		"storages": {
			ok + `"storage_targets":[{"storage":"nas","active":true},{"storage":"local","active":true,"total_bytes":100,"used_bytes":50},{"storage":"old","active":true}]`,
			ok + `"storage_targets":[{"storage":"nas","active":false},{"storage":"local","active":true,"total_bytes":100,"used_bytes":60},{"storage":"usb","active":true}]`,
			[]string{"storage nas: active → inactive", "storage local: 50 % → 60 %", "storage usb: absent → active", "storage old: active → absent"}},
		"disks and pools": {
			ok + `"disks":[{"device":"/dev/sda","serial":"S1","health":"PASSED"},{"device":"/dev/sdb","serial":"S2"}],"zfs_pools":[{"name":"rpool","health":"ONLINE"}]`,
			ok + `"disks":[{"device":"/dev/sdb","serial":"S1","health":"FAILED!"}],"zfs_pools":[{"name":"rpool","health":"DEGRADED"},{"name":"tank","health":"ONLINE"}]`,
			[]string{"disk /dev/sdb: PASSED → FAILED!", "disk /dev/sdb: unknown → absent", "pool rpool: ONLINE → DEGRADED", "pool tank: absent → ONLINE"}},
		"tasks": {
			ok + `"audit_tail":[` + task(6, "") + "," + task(5, "OK") + `]`,
			ok + `"audit_tail":[` + task(8, "") + "," + task(7, "no space") + "," + task(6, "OK") + "," + task(5, "OK") + "," + task(4, "OK") + `]`,
			[]string{"task vzdump 101:  → running", "task vzdump 101:  → no space", "task vzdump 101: running → OK"}},
		"many tasks": {ok + `"audit_tail":[]`, ok + `"audit_tail":[` + task(8, "OK") + "," + task(7, "OK") + "," + task(6, "OK") + "," + task(5, "OK") + "," +
			task(4, "OK") + "," + task(3, "OK") + `]`, slices.Repeat([]string{"task vzdump 101:  → OK"}, maxTasks)},
		"tasks not vouched for": {`"audit_tail":[]`, `"audit_tail":[` + task(8, "OK") + `]`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			if got := inLines(Changes(decoded(t, c.older), decoded(t, c.newer))); !slices.Equal(got, c.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(c.want, "\n"))
			}
		})
	}
}

// What is told is bounded, and says how much is left out.
func TestChangesAreBounded(t *testing.T) {
	var guests []string
	for i := range 100 {
		guests = append(guests, fmt.Sprintf(`{"vmid":%d,"name":%q,"status":"running"}`, 100+i, strings.Repeat("é", 100)))
	}
	got := Changes(decoded(t, `"guests":[]`), decoded(t, `"guests":[`+strings.Join(guests, ",")+`]`))
	if len(got) != maxChanges || got[maxChanges-1] != (messages.Change{What: "81 more"}) || len(got[0].What) > maxSubject {
		t.Errorf("got %d: %v", len(got), inLines(got))
	}
}
