package browsertest

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"felhom.eu/agent/simulated"
	"felhom.eu/messages"
)

const gib = 1 << 30

// wellRun adds to a simulated report what an agent with all its rights tells: backups,
// verified and tested, storages, disks and tasks. Every fifth host has something wrong.
func wellRun(n int) func(*messages.Report, time.Time) {
	return func(r *messages.Report, at time.Time) {
		at = at.UTC().Truncate(time.Hour)
		ago := func(h int) *time.Time { t := at.Add(-time.Duration(h) * time.Hour); return &t }
		r.StorageTargets = messages.Items[messages.StorageTarget]{
			{Storage: "local", Type: "dir", Content: []string{"iso", "vztmpl"}, Enabled: true, Active: true, TotalBytes: 94 * gib, UsedBytes: uint64(20+n) * gib},
			{Storage: "local-zfs", Type: "zfspool", Content: []string{"images", "rootdir"}, Enabled: true, Active: true, TotalBytes: 1800 * gib, UsedBytes: uint64(600+31*n) * gib},
			{Storage: "backup", Type: "pbs", Content: []string{"backup"}, Enabled: true, Active: true, Shared: true, TotalBytes: 7300 * gib, UsedBytes: 4100 * gib},
		}
		for i, g := range r.Guests {
			age := 6 + i%3
			if n%5 == 4 && i == 1 {
				age = 61
			}
			r.Backups = append(r.Backups, messages.Backup{VMID: g.VMID, Kind: g.Kind, NewestGoodAt: ago(age), Storage: "backup", LastResult: messages.BackupOK, LastAt: ago(age), Evidence: messages.EvidenceStorage, Count: 14})
			if n%7 == 3 && i == 0 {
				continue
			}
			r.RestoreTests = append(r.RestoreTests, messages.RestoreTest{VMID: g.VMID, ScratchVMID: 9000, Level: messages.RestoreBooted, OK: true, StartedAt: *ago(24*(4+i) + 3), Seconds: 240})
		}
		r.Disks = messages.Items[messages.Disk]{
			{Device: "/dev/nvme0n1", Kind: "nvme", Model: "Samsung PM9A3 1.92TB", SizeBytes: 1920383410176, Health: "PASSED", WearRatio: new(0.07)},
			{Device: "/dev/nvme1n1", Kind: "nvme", Model: "Samsung PM9A3 1.92TB", SizeBytes: 1920383410176, Health: "PASSED", WearRatio: new(0.06)},
		}
		r.ZFSPools = messages.Items[messages.ZFSPool]{{Name: "rpool", Health: "ONLINE", SizeBytes: 1800 * gib, AllocatedBytes: uint64(600+31*n) * gib, FreeBytes: 900 * gib}}
		for i, kind := range []string{"vzdump", "vzstart", "aptupdate", "vzdump"} {
			r.AuditTail = append(r.AuditTail, messages.AuditEntry{UPID: fmt.Sprint("UPID:", i, n, at.Unix()), Type: kind, ID: []string{"", "101", "", ""}[i], User: "root@pam", StartedAt: *ago(6 + 5*i), EndedAt: ago(5 + 5*i), Status: "OK"})
		}
		for _, name := range []string{"storage_targets", "backups", "restore_tests", "audit_tail", "disks", "zfs_pools"} {
			r.Sections[name] = messages.Section{Status: messages.SectionOK}
		}
	}
}

// Every page, light and dark, on a desk and on a phone, into the folder FELHOM_SHOTS.
func TestScreenshots(t *testing.T) {
	if os.Getenv("FELHOM_SHOTS") == "" {
		t.Skip("FELHOM_SHOTS is not set")
	}
	customers := []messages.Customer{
		{ID: "acme", DisplayName: "Acme Ltd"}, {ID: "bluebird", DisplayName: "Bluebird Dental"}, {ID: "harbour", DisplayName: "Harbour Freight"},
		{ID: "lindgren", DisplayName: "Lindgren & Söner"}, {ID: "orchard", DisplayName: "Orchard School"}, {ID: "tannery", DisplayName: "The Old Tannery"},
	}
	sites := []string{"Budapest", "Berlin", "Malmö"}
	var fleet []machine
	for i, c := range customers {
		for j := range 4 {
			n := 4*i + j
			p := simulated.Profile{}
			if n == 6 {
				p.Offline = simulated.Cycle{Every: time.Hour, For: time.Hour}
			}
			id := messages.HostID(fmt.Sprintf("%s-%08x", c.ID, 0x7f3a90c1*uint32(n+1)))
			fleet = append(fleet, machine{id: id, site: sites[(i+j)%3], source: simulated.New(uint64(n+40), p), more: wellRun(n)})
		}
	}
	w := begin(t, customers, fleet, 26*time.Hour)
	receiver := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(204) }))
	t.Cleanup(receiver.Close)
	w.post("routes", map[string]any{"kind": "webhook", "url": receiver.URL})
	w.post("silences", map[string]any{"scope": map[string]string{"kind": "customer", "id": "orchard"}, "reason": "new switches in the server room", "duration_seconds": 7200})
	w.stops[fleet[9].id]()
	w.stops[fleet[17].id]()

	b := open(t, w.app.URL())
	b.signIn(w.app.LoginLink())
	b.until(fmt.Sprintf(`document.querySelector('tr[data-h=%q].down')`, fleet[9].id))
	host := "/hosts/" + string(fleet[2].id)
	graphs := chromedp.Poll(`document.querySelectorAll("#graphs canvas").length === 4`, nil)
	day := chromedp.Click(`[data-span="day"]`)
	for _, page := range []struct {
		name, path string
		before     []chromedp.Action
	}{
		{name: "fleet", path: "/"},
		{"host", host, []chromedp.Action{day, graphs}},
		{"guests", host, []chromedp.Action{day, graphs, chromedp.Evaluate(`document.querySelector("#h-guests").scrollIntoView()`, nil)}},
		{name: "customers", path: "/customers"},
		{name: "customer", path: "/customers/harbour"},
		{name: "events", path: "/events"},
		{name: "deliveries", path: "/deliveries"},
		{name: "silences", path: "/silences"},
		{name: "settings", path: "/settings"},
		{name: "sign-in", path: "/login"},
	} {
		b.shoot(page.name, page.path, page.before...)
	}
	b.quiet()
}
