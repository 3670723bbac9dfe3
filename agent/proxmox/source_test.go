package proxmox

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"felhom.eu/agent/api2"
	"felhom.eu/agent/proxmox/pvetest"
	"felhom.eu/messages"
)

// modes are the versions whose manners every collection must stand.
// Under the race detector the newest stands for them: which goroutines there are is
// the same in all, and every question's handshake costs ten times as much.
var modes = func() []pvetest.Mode {
	if raced {
		return []pvetest.Mode{pvetest.PVE9}
	}
	return []pvetest.Mode{pvetest.PVE7, pvetest.PVE83, pvetest.PVE9}
}()

func source(t *testing.T, s *pvetest.Server, token string) *Source {
	t.Helper()
	src, err := New(Config{
		URL: s.URL, TokenID: token, Token: pvetest.Secret, Node: pvetest.Node, CAFile: s.CAFile(),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(src.client.HTTP.CloseIdleConnections)
	return src
}

func collect(t *testing.T, src *Source) *messages.Report {
	t.Helper()
	r, err := src.Collect(t.Context())
	if err != nil {
		t.Fatalf("collect: %v", err)
	}
	return r
}

func guest(t *testing.T, r *messages.Report, id messages.VMID) messages.Guest {
	t.Helper()
	for _, g := range r.Guests {
		if g.VMID == id {
			return g
		}
	}
	t.Fatalf("no guest %d in %+v", id, r.Guests)
	return messages.Guest{}
}

// TestAuditorSeesEverything holds the report of a node to what its lists,
// figures and configurations say, in every version's form: vmids as strings,
// cpus as "0.5", memory as a property string, sizes of disks, no templates.
func TestAuditorSeesEverything(t *testing.T) {
	const mi, gi = 1 << 20, 1 << 30
	want := messages.List[messages.Guest]{
		{VMID: 110, Kind: "lxc", Name: "wiki", Status: "running", Spec: &messages.GuestSpec{Cores: 2, MemoryBytes: 2 * gi, DiskBytes: 56 * gi},
			UptimeSeconds: 1893590, CPUUsedRatio: 0.0319887015533, MemoryUsedBytes: 812703744, DiskUsedBytes: 6120931328,
			OnBoot: true, Tags: []string{"prod", "web"}},
		{VMID: 112, Kind: "lxc", Name: "dns-a", Status: "stopped", Spec: &messages.GuestSpec{Cores: 1, MemoryBytes: 256 * mi, DiskBytes: gi}},
		{VMID: 113, Kind: "lxc", Name: "mail", Status: "running", Spec: &messages.GuestSpec{Cores: 4, MemoryBytes: 512 * mi, DiskBytes: 4 * gi},
			UptimeSeconds: 88231, CPUUsedRatio: 0.0051, MemoryUsedBytes: 3412213760, DiskUsedBytes: 31021113344, Lock: "backup"},
		{VMID: 114, Kind: "lxc", Name: "CT114", Status: "stopped", Spec: &messages.GuestSpec{Cores: 32, MemoryBytes: 512 * mi}},
		{VMID: 115, Kind: "lxc", Name: "xn--bcher-kva", Status: "stopped", Spec: &messages.GuestSpec{Cores: 1, MemoryBytes: 512 * mi, DiskBytes: 4 * gi}, Tags: []string{"test"}},
		{VMID: 210, Kind: "qemu", Name: "build-runner", Status: "running", Spec: &messages.GuestSpec{Cores: 8, MemoryBytes: 16 * gi, DiskBytes: 640 * gi},
			UptimeSeconds: 901233, CPUUsedRatio: 0.238114499177, MemoryUsedBytes: 11190403072, OnBoot: true, Tags: []string{"ci", "linux"}},
		{VMID: 211, Kind: "qemu", Name: "laptop-vm", Status: "hibernated", Spec: &messages.GuestSpec{Cores: 2, MemoryBytes: 2 * gi, DiskBytes: 32 * gi}, Lock: "suspended"},
	}
	versions := map[pvetest.Mode][2]string{
		pvetest.PVE7:  {"7.4-18", "5.15.158-2-pve"},
		pvetest.PVE83: {"8.3.5", "6.8.12-15-pve"},
		pvetest.PVE9:  {"9.1.4", "6.17.4-1-pve"},
	}
	for _, mode := range modes {
		t.Run(string(mode), func(t *testing.T) {
			r := collect(t, source(t, pvetest.Start(t, mode), pvetest.Auditor))
			if diff := cmp.Diff(want, r.Guests); diff != "" {
				t.Errorf("guests (-want +got):\n%s", diff)
			}
			host := messages.Node{
				Node: "kiefer", PVEVersion: versions[mode][0], Kernel: versions[mode][1], UptimeSeconds: 1893641,
				CPUUsedRatio: 0.0624218037461, CPUCount: 32, Load1m: 1.18, Load5m: 0.97, Load15m: 0.88,
				MemoryTotalBytes: 67315462144, MemoryUsedBytes: 41281355776,
				SwapTotalBytes: 8589930496, SwapUsedBytes: 131072,
				RootTotalBytes: 98497780736, RootUsedBytes: 19327352832,
			}
			if mode == pvetest.PVE7 {
				host.MemoryUsedBytes = 29104979968 // its "free" had the caches in it
			}
			if diff := cmp.Diff(host, r.Host); diff != "" {
				t.Errorf("host (-want +got):\n%s", diff)
			}
			ok, no := messages.Section{Status: messages.SectionOK}, messages.Section{Status: messages.SectionNotConfigured}
			sections := map[string]messages.Section{"guests": ok, "storage_targets": ok, "backups": ok, "backup_jobs": ok, "audit_tail": ok,
				"disks": ok, "zfs_pools": ok, "cluster": ok, "restore_tests": no, "pbs_snapshots": no, "pbs_datastores": no}
			if diff := cmp.Diff(sections, r.Sections); diff != "" {
				t.Errorf("sections (-want +got):\n%s", diff)
			}
		})
	}
}

// TestReportIsOneTheHubTakes sends a report through the hub's own decoder,
// which refuses null collections, bad vmids and duplicates.
func TestReportIsOneTheHubTakes(t *testing.T) {
	s := pvetest.Start(t, pvetest.PVE9)
	s.Put(7, pvetest.Guest{Kind: "lxc"}) // below what a vmid can be
	for _, token := range []string{pvetest.Auditor, pvetest.NodeAuditor} {
		r := collect(t, source(t, s, token))
		r.HostID, r.ReportedAt, r.AgentVersion = "acme-7f3a90c1", time.Now().UTC(), "dev"
		b, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := messages.Decode(b); err != nil || len(back.Guests) != len(r.Guests) {
			t.Errorf("%s: %v", token, err)
		}
	}
}

// TestEmptyListIsNotNoGuests protects from the worst misreading of all: a
// token without rights is given empty lists, and a fleet of guests "vanishes".
func TestEmptyListIsNotNoGuests(t *testing.T) {
	for _, mode := range modes {
		s := pvetest.Start(t, mode)
		for _, token := range []string{pvetest.NodeAuditor, pvetest.NotBelow} {
			r := collect(t, source(t, s, token))
			got := r.Sections["guests"]
			if got.Status != messages.SectionDenied || !strings.Contains(got.Detail, "VM.Audit on /vms") || len(r.Guests) != 0 {
				t.Errorf("%s %s: guests %v, section %+v, want denied, naming the privilege and path", mode, token, r.Guests, got)
			}
		}
		s.RemoveAll()
		r := collect(t, source(t, s, pvetest.Auditor))
		if got := r.Sections["guests"]; got.Status != messages.SectionOK || len(r.Guests) != 0 {
			t.Errorf("%s: section of a node without guests %+v, want ok", mode, got)
		}
	}
}

// TestPartOfTheGuestsIsToldAsPart says that a token for one guest is not taken
// for one that sees all.
func TestPartOfTheGuestsIsToldAsPart(t *testing.T) {
	r := collect(t, source(t, pvetest.Start(t, pvetest.PVE9), pvetest.OneGuest))
	if len(r.Guests) != 1 || r.Guests[0].VMID != 110 {
		t.Errorf("got guests %+v, want 110 only", r.Guests)
	}
	if got := r.Sections["guests"]; got.Status != messages.SectionOK || !strings.Contains(got.Detail, "VM.Audit on /vms") {
		t.Errorf("got section %+v, want ok with a note on VM.Audit", got)
	}
}

// TestEmptyAndUnvouchedIsFailed: when the permissions cannot be read, an empty
// list proves nothing.
func TestEmptyAndUnvouchedIsFailed(t *testing.T) {
	s := pvetest.Start(t, pvetest.PVE9)
	s.Break("/access/permissions", pvetest.Status(595, "Connection refused"))
	r := collect(t, source(t, s, pvetest.NodeAuditor))
	if got := r.Sections["guests"].Status; got != messages.SectionFailed {
		t.Errorf("got %s, want failed", got)
	}
	r = collect(t, source(t, s, pvetest.Auditor))
	if got := r.Sections["guests"]; got.Status != messages.SectionOK || len(r.Guests) != 7 || !strings.Contains(got.Detail, "permissions unknown") {
		t.Errorf("got %+v with %d guests, want ok with 7 and a note", got, len(r.Guests))
	}
}

// TestNodeStatusIsAHardError: without the node's own status there is no
// report, and the error says which privilege on which path, in both versions'
// ways of saying it.
func TestNodeStatusIsAHardError(t *testing.T) {
	for _, mode := range modes {
		r, err := source(t, pvetest.Start(t, mode), pvetest.Bare).Collect(t.Context())
		e, ok := errors.AsType[*api2.Error](err)
		if r != nil || !ok || e.Kind != api2.KindForbidden || e.Status != 403 ||
			e.Detail != "Permission check failed (/nodes/kiefer, Sys.Audit)" {
			t.Errorf("%s: got report %v, error %v", mode, r, err)
		}
	}
}

// TestStatusWithoutFiguresIsAHardError: a node of 0 bytes of memory is not a
// node that was read.
func TestStatusWithoutFiguresIsAHardError(t *testing.T) {
	s := pvetest.Start(t, pvetest.PVE9)
	s.Break("/nodes/kiefer/status", pvetest.Body(`{"data":{"uptime":7}}`))
	if r, err := source(t, s, pvetest.Auditor).Collect(t.Context()); r != nil || api2.KindOf(err) != api2.KindDecode {
		t.Errorf("got %v, %v, want a decode error", r, err)
	}
}

// TestMoreGuestsThanAReportHolds are failed, not sent: the hub would refuse the
// whole report, and take the host for silent.
func TestMoreGuestsThanAReportHolds(t *testing.T) {
	s := pvetest.Start(t, pvetest.PVE9)
	seen := &survey{guests: map[messages.VMID]*sighting{}}
	for i := range messages.MaxGuests + 1 {
		seen.add(kindLXC, guestRow{VMID: U64(1000 + i)})
	}
	guests, section := source(t, s, pvetest.Auditor).guests(t.Context(), pvetest.Node, 1, seen)
	if section.Status != messages.SectionFailed || len(guests) != 0 {
		t.Errorf("got %d guests, %+v, want none, failed", len(guests), section)
	}
}

// TestDaemonTroubleFailsGuestsOnly: pveproxy alone still tells of the node, so
// the report goes, with guests unknown, not gone; and 595 is not the token's
// fault. Afterwards all is back.
func TestDaemonTroubleFailsGuestsOnly(t *testing.T) {
	for _, mode := range modes {
		for _, trouble := range []struct {
			name   string
			start  func(*pvetest.Server)
			detail string
		}{
			{"stopped", (*pvetest.Server).StopDaemon, "unreachable: 595 Connection refused"},
			{"hung storage", (*pvetest.Server).HangDaemon, "timeout: 596 Connection timed out"},
			{"stalled", func(s *pvetest.Server) { s.Break("/nodes/kiefer/lxc", pvetest.Stall) }, "timeout: no answer in time"},
		} {
			t.Run(string(mode)+" "+trouble.name, func(t *testing.T) {
				s := pvetest.Start(t, mode)
				src := source(t, s, pvetest.Auditor)
				if trouble.name == "stalled" {
					src.client.slow = src.client.quick / 100
				}
				trouble.start(s)
				r := collect(t, src)
				got := r.Sections["guests"]
				if got.Status != messages.SectionFailed || !strings.Contains(got.Detail, trouble.detail) || len(r.Guests) != 0 {
					t.Errorf("got %d guests, section %+v, want none, failed: %s", len(r.Guests), got, trouble.detail)
				}
				if r.Host.MemoryTotalBytes == 0 || r.Host.CPUUsedRatio != 0.0624218037461 {
					t.Errorf("got host %+v", r.Host)
				}
				s.StartDaemon()
				s.Mend()
				src.client.slow = slowTimeout
				if r := collect(t, src); len(r.Guests) != 7 || r.Sections["guests"].Status != messages.SectionOK {
					t.Errorf("after it: got %d guests, %+v", len(r.Guests), r.Sections["guests"])
				}
			})
		}
	}
}

// TestFailingConfigCostsOneGuest: the guest is unknown and without a spec, the
// others are not touched, and the next report has it again.
func TestFailingConfigCostsOneGuest(t *testing.T) {
	s := pvetest.Start(t, pvetest.PVE83)
	src := source(t, s, pvetest.Auditor)
	s.Break("/nodes/kiefer/lxc/110/config", pvetest.Status(500, "can't open '/etc/pve/lxc/110.conf'"))
	r := collect(t, src)
	if g := guest(t, r, 110); g.Status != messages.GuestUnknown || g.Spec != nil || g.Name != "wiki" {
		t.Errorf("got %+v, want unknown without spec", g)
	}
	if g := guest(t, r, 113); g.Status != "running" || g.Spec == nil {
		t.Errorf("got %+v, want it untouched", g)
	}
	if got := r.Sections["guests"]; got.Status != messages.SectionOK || !strings.Contains(got.Detail, "can't open") {
		t.Errorf("got section %+v, want ok with the error", got)
	}
	s.Mend()
	if g := guest(t, collect(t, src), 110); g.Status != "running" || g.Spec == nil {
		t.Errorf("after it: got %+v", g)
	}
}

// TestDeadNodeIsNotAskedForEveryConfig: a node that stops answering in the
// middle would cost ten seconds a guest.
func TestDeadNodeIsNotAskedForEveryConfig(t *testing.T) {
	s := pvetest.Start(t, pvetest.PVE9)
	s.Break("/nodes/kiefer/*/*/config", pvetest.Status(596, "Connection timed out"))
	r := collect(t, source(t, s, pvetest.Auditor))
	asked := 0
	for _, g := range r.Guests {
		if g.Status != messages.GuestUnknown || g.Spec != nil {
			t.Errorf("got %+v, want unknown", g)
		}
		asked += s.Asked("/nodes/kiefer/" + g.Kind + "/" + strconv.Itoa(int(g.VMID)) + "/config")
	}
	if asked != 1 {
		t.Errorf("asked for %d configurations, want 1", asked)
	}
}

// TestSpecsAreReadOnChangeAndEveryTenthTime keeps the agent from asking for
// each guest's configuration with each report, and from never asking again.
func TestSpecsAreReadOnChangeAndEveryTenthTime(t *testing.T) {
	s := pvetest.Start(t, pvetest.PVE9)
	src := source(t, s, pvetest.Auditor)
	const conf = "/nodes/kiefer/lxc/113/config"
	collect(t, src)
	before := s.Asked(conf)
	for range 10 {
		collect(t, src)
	}
	if got := s.Asked(conf) - before; got != 1 {
		t.Errorf("asked %d times in ten reports, want 1", got)
	}
	before = s.Asked(conf)
	s.Change(113, func(g *pvetest.Guest) {
		g.Row["maxmem"], g.Config["memory"] = 1<<30, 1024
	})
	if g := guest(t, collect(t, src), 113); g.Spec.MemoryBytes != 1<<30 || s.Asked(conf)-before != 1 {
		t.Errorf("got %+v after a change, asked %d times", g.Spec, s.Asked(conf)-before)
	}
	s.Remove(113)
	collect(t, src)
	if _, ok := src.known[113]; ok {
		t.Error("a removed guest is still remembered")
	}
}

// TestStatusesBehindRunningAndStopped: pausing a VM or an I/O error that stops
// it show in pvestatd's word only.
func TestStatusesBehindRunningAndStopped(t *testing.T) {
	s := pvetest.Start(t, pvetest.PVE9)
	src := source(t, s, pvetest.Auditor)
	for qmp, want := range map[string]string{"": "running", "paused": "paused", "io-error": "io-error", "stopped": "running", "unknown": "running"} {
		s.Change(210, func(g *pvetest.Guest) { g.QMPStatus = qmp })
		if got := guest(t, collect(t, src), 210).Status; got != want {
			t.Errorf("pvestatd says %q: got %q, want %q", qmp, got, want)
		}
	}
}

// TestBadRowsCostThemselvesOnly: a row that cannot be read is filled in by
// pvestatd's, and told; when nothing else knows the guest, the collection is
// unknown, as a guest must not just be missing.
func TestBadRowsCostThemselvesOnly(t *testing.T) {
	s := pvetest.Start(t, pvetest.PVE9)
	src := source(t, s, pvetest.Auditor)
	for _, id := range []int{110, 9001} { // 9001 is a template: only its configuration still says so
		s.Change(id, func(g *pvetest.Guest) { g.Row["uptime"], g.Unmeasured = "long", true })
	}
	r := collect(t, src)
	if g := guest(t, r, 110); g.Status != messages.GuestUnknown || len(r.Guests) != 7 {
		t.Errorf("got %+v of %d", g, len(r.Guests))
	}
	if got := r.Sections["guests"]; got.Status != messages.SectionOK || !strings.Contains(got.Detail, "2 unreadable rows") {
		t.Errorf("got section %+v, want ok, telling of the row", got)
	}
	s.Break("/cluster/resources", pvetest.Status(500, "no"))
	if got := collect(t, src).Sections["guests"]; got.Status != messages.SectionFailed {
		t.Errorf("got section %+v, want failed", got)
	}
}

// TestWithoutResourcesCPUIsUnknown: the lists' own cpu is noise, and no
// substitute for a guest's.
func TestWithoutResourcesCPUIsUnknown(t *testing.T) {
	s := pvetest.Start(t, pvetest.PVE9)
	s.Break("/cluster/resources", pvetest.Status(500, "rrd"))
	src := source(t, s, pvetest.Auditor)
	for range 5 { // past the workers' first requests, where the lists say 0.9
		r := collect(t, src)
		if g := guest(t, r, 110); g.CPUUsedRatio != 0 || g.Status != "running" {
			t.Fatalf("got %+v, want running with cpu unknown", g)
		}
		if got := r.Sections["guests"]; got.Status != messages.SectionOK || !strings.Contains(got.Detail, "cpu unknown") {
			t.Fatalf("got section %+v", got)
		}
	}
}

// TestCountersBeyondInt64LoseNothing: one busy interface must not cost a guest.
func TestCountersBeyondInt64LoseNothing(t *testing.T) {
	s := pvetest.Start(t, pvetest.PVE9)
	s.Change(110, func(g *pvetest.Guest) {
		g.Row["netin"] = json.Number("12682136550675316737")
		g.Row["mem"] = json.Number("9007199254740993")
		g.Row["maxdisk"] = json.Number("1.12589990684262e+15")
	})
	g := guest(t, collect(t, source(t, s, pvetest.Auditor)), 110)
	if g.Status != "running" || g.MemoryUsedBytes != 9007199254740993 {
		t.Errorf("got %+v", g)
	}
}

// TestNodeNameIsFound in the order: configuration, /etc/pve/local, this
// machine's short name, the node that answers.
func TestNodeNameIsFound(t *testing.T) {
	s := pvetest.Start(t, pvetest.PVE9)
	for _, c := range []struct{ name, link, host, want string }{
		{"link", "nodes/fichte", "kiefer", "fichte"},
		{"short host name", "", "kiefer.example.org", "kiefer"},
		{"local member", "", "elsewhere", "kiefer"},
	} {
		t.Run(c.name, func(t *testing.T) {
			src := source(t, s, pvetest.Auditor)
			src.node, src.hostname, src.localLink = "", func() string { return c.host }, t.TempDir()+"/local"
			if c.link != "" {
				if err := os.Symlink(c.link, src.localLink); err != nil {
					t.Fatal(err)
				}
			}
			if got, err := src.nodeName(t.Context()); got != c.want || err != nil {
				t.Errorf("got %q, %v, want %q", got, err, c.want)
			}
		})
	}
}

// TestStopInTheMiddleIsNoReport: an agent that is told to stop must not tell
// the hub that its guests are unknown.
func TestStopInTheMiddleIsNoReport(t *testing.T) {
	s := pvetest.Start(t, pvetest.PVE9)
	ctx, cancel := context.WithCancel(t.Context())
	src := source(t, s, pvetest.Auditor)
	s.Break("/nodes/kiefer/lxc", pvetest.Stall)
	s.Break("/nodes/kiefer/qemu", func(*http.Request, *pvetest.Reply) { cancel() })
	if r, err := src.Collect(ctx); r != nil || !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, %v, want no report and context.Canceled", r, err)
	}
}
