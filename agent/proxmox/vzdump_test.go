package proxmox

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"felhom.eu/messages"
	"felhom.eu/messages/mutation"
)

var cet = time.FixedZone("CET", 3600)

// parsed is what the log of a task from start to end tells.
func parsed(zone *time.Location, start, end time.Time, status, log string) []attempt {
	l := &vzdumpLog{zone: zone, from: start, to: end}
	for line := range strings.SplitSeq(strings.Trim(log, "\n"), "\n") {
		l.line(line)
	}
	if status != "" {
		l.end(status)
	}
	return l.closed
}

func same(t *testing.T, name string, got, want []attempt) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(attempt{})); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

func at(text string) time.Time {
	v, err := time.Parse(time.RFC3339, text)
	if err != nil {
		panic(err)
	}
	return v
}

// A task that failed has good guests in it, and each guest its own result, size
// and duration.
func TestLogTellsOfEachGuest(t *testing.T) {
	got := parsed(cet, at("2026-03-14T02:20:00Z"), at("2026-03-14T02:50:00Z"), "job errors", `
INFO: starting new backup job: vzdump --all 1 --mode snapshot --storage local --quiet 1
INFO: Starting Backup of VM 110 (lxc)
INFO: Backup started at 2026-03-14 03:20:07
INFO: creating vzdump archive '/var/lib/vz/dump/vzdump-lxc-110-2026_03_14-03_20_07.tar.zst'
INFO: archive file size: 2.62GB
INFO: Finished Backup of VM 110 (00:01:38)
INFO: Backup finished at 2026-03-14 03:21:45
INFO: Starting Backup of VM 113 (lxc)
INFO: Backup started at 2026-03-14 03:21:45
ERROR: Backup of VM 113 failed - CT is locked (snapshot-delete)
INFO: Failed at 2026-03-14 03:21:46
INFO: Starting Backup of VM 114 (lxc)
INFO: Backup started at 2026-03-14 03:21:46
WARN: a volume was left out
INFO: archive file size: 700MB
INFO: Finished Backup of VM 114 (100:00:01)
INFO: Starting Backup of VM 210 (qemu)
INFO: Backup started at 2026-03-14 03:21:47`)
	same(t, "mixed", got, []attempt{
		{vmid: 110, kind: "lxc", at: at("2026-03-14T03:20:07+01:00").In(cet), seconds: 98, result: messages.BackupOK, storage: "local", size: 2813203578,
			archive: "/var/lib/vz/dump/vzdump-lxc-110-2026_03_14-03_20_07.tar.zst", endedAt: at("2026-03-14T03:21:45+01:00").In(cet)},
		{vmid: 113, kind: "lxc", at: at("2026-03-14T03:21:45+01:00").In(cet), result: messages.BackupFailed, problem: "CT is locked (snapshot-delete)",
			storage: "local", endedAt: at("2026-03-14T03:21:45+01:00").In(cet)},
		{vmid: 114, kind: "lxc", at: at("2026-03-14T03:21:46+01:00").In(cet), seconds: 360001, result: messages.BackupWarnings, storage: "local",
			size: 700 << 20, endedAt: at("2026-03-14T03:21:46+01:00").In(cet).Add(360001 * time.Second)},
		{vmid: 210, kind: "qemu", at: got[3].at, result: messages.BackupFailed, problem: "job errors", storage: "local", endedAt: got[3].at},
	})
}

// What a program prints into the log of one guest's backup proves nothing of
// another guest's.
func TestLogOfOneGuestSpeaksForNoOther(t *testing.T) {
	got := parsed(time.UTC, at("2026-03-14T02:20:00Z"), at("2026-03-14T02:50:00Z"), "job errors", `
INFO: Finished Backup of VM 111 (00:00:01)
INFO: Starting Backup of VM 110 (lxc)
INFO: Starting Backup of VM 112 (lxc)
INFO: Finished Backup of VM 112 (00:00:01)
ERROR: Backup of VM 113 failed - liar
INFO: tar: INFO: Finished Backup of VM 110 (00:00:01)
INFO: Finished Backup of VM 110 (00:00:01) 
INFO: Starting Backup of VM 99999999999999999999 (lxc)
ERROR: Backup of VM 7 failed - no guest`)
	if len(got) != 1 || got[0].vmid != 110 || got[0].result != messages.BackupFailed || got[0].problem != "job errors" {
		t.Errorf("got %+v, want 110, failed", got)
	}
}

// The log names no zone. The instant must be right where agent and node have
// one clock, on the nights when it changes, and for an agent elsewhere.
func TestLogTimesAreInstants(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Skip("no time zones here")
	}
	for _, c := range []struct {
		name        string
		zone        *time.Location
		start, text string
		want        string
	}{
		{"own zone", berlin, "2026-06-14T01:20:00Z", "2026-06-14 03:20:07", "2026-06-14T01:20:07Z"},
		{"an hour into the job", berlin, "2026-06-14T01:20:00Z", "2026-06-14 04:20:07", "2026-06-14T02:20:07Z"},
		{"agent in UTC", time.UTC, "2026-06-14T01:20:00Z", "2026-06-14 03:20:07", "2026-06-14T01:20:07Z"},
		{"agent to the east", time.FixedZone("", 9*3600), "2026-06-14T01:20:00Z", "2026-06-14 03:20:07", "2026-06-14T01:20:07Z"},
		{"node in Kathmandu", time.UTC, "2026-06-14T01:20:00Z", "2026-06-14 07:05:07", "2026-06-14T01:20:07Z"},
		{"second 02:30 of the night", berlin, "2026-10-25T01:29:00Z", "2026-10-25 02:30:00", "2026-10-25T01:30:00Z"},
		{"first 02:30 of the night", berlin, "2026-10-25T00:29:00Z", "2026-10-25 02:30:00", "2026-10-25T00:30:00Z"},
		{"hour that is not", berlin, "2026-03-29T01:10:00Z", "2026-03-29 03:10:05", "2026-03-29T01:10:05Z"},
		{"nonsense", berlin, "2026-06-14T01:20:00Z", "2026-13-44 99:99:99", "2026-06-14T01:20:00Z"},
	} {
		start := at(c.start)
		l := &vzdumpLog{zone: c.zone, from: start, to: start.Add(90 * time.Minute)}
		if got := l.instant(c.text); !got.Equal(at(c.want)) {
			t.Errorf("%s: got %s, want %s", c.name, got.UTC().Format(time.RFC3339), c.want)
		}
	}
}

// A snapshot's own name tells its time best.
func TestLogOfABackupServer(t *testing.T) {
	got := parsed(time.FixedZone("", -5*3600), at("2026-03-14T02:20:00Z"), at("2026-03-14T02:30:00Z"), "OK", `
INFO: starting new backup job: vzdump 110 --storage pbs-keller --mode snapshot
INFO: Starting Backup of VM 110 (lxc)
INFO: Backup started at 2026-03-14 03:20:09
INFO: creating Proxmox Backup Server archive 'ct/110/2026-03-14T02:20:07Z'
INFO: Finished Backup of VM 110 (00:00:36)`)
	same(t, "pbs", got, []attempt{{vmid: 110, kind: "lxc", at: at("2026-03-14T02:20:07Z"), seconds: 36, result: messages.BackupOK, storage: "pbs-keller",
		archive: "ct/110/2026-03-14T02:20:07Z", endedAt: at("2026-03-14T02:20:43Z")}})
}

// FuzzLog: no log makes a guest of another one's lines, or panics.
func FuzzLog(f *testing.F) { mutation.Fuzz(f, targets(f)["Log"]) }

var logWords = []string{"INFO: ", "ERROR: ", "Starting Backup of VM 110 (lxc)", "Backup started at 2026-03-14 03:20:07", "Finished Backup of VM 110 (00:00:36)",
	"Backup of VM 110 failed - x", "\n", "archive file size: 9999999999TB", "creating vzdump archive '", "99999999999:00:00", "restoring '", "VM 99 ", "VM 4294967396 "}

// logs are what logs begin with, end with and have in them.
func logs() [][]byte {
	return [][]byte{
		[]byte("INFO: starting new backup job: vzdump 110 --storage pbs-keller --mode snapshot\nINFO: Starting Backup of VM 110 (lxc)\n" +
			"INFO: Backup started at 2026-03-14 03:20:09\nINFO: creating Proxmox Backup Server archive 'ct/110/2026-03-14T02:20:07Z'\nINFO: Finished Backup of VM 110 (00:00:36)"),
		[]byte("INFO: Starting Backup of VM 110 (lxc)\nINFO: Backup started at 2026-03-14 03:20:07\nINFO: archive file size: 9999999999TB\nINFO: Finished Backup of VM 110 (99999999999:00:00)"),
		[]byte("ERROR: Backup of VM 110 failed - x\nrestoring 'ct/110/2026-03-14T02:20:07Z' now.."),
	}
}

func checkLog(t testing.TB, b []byte) (taken bool) {
	start, log := at("2026-03-14T02:20:00Z"), string(b)
	for _, a := range parsed(cet, start, start.Add(time.Hour), "OK", log) {
		taken = true
		if a.vmid < messages.MinVMID || a.vmid > messages.MaxVMID || a.result == messages.BackupRunning || a.at.Before(start.Add(-time.Minute)) {
			t.Errorf("got %+v", a)
		}
	}
	var r restoreTask
	for line := range strings.SplitSeq(log, "\n") {
		r.line(line)
	}
	if (r.source == "") != (r.vmid == 0) {
		t.Errorf("got %+v", r)
	}
	return taken || r.vmid != 0
}
