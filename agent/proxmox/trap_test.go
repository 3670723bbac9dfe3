package proxmox

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"felhom.eu/agent/api2"
	"felhom.eu/agent/proxmox/pvetest"
	"felhom.eu/messages"
)

// One test for each trap that Proxmox's own code was seen to set, each of which
// fails when the answer is read naively.

// recorded is when the recorded tasks were just over.
var recorded = time.Unix(1773460000, 0)

// watching is a source whose clock stands at recorded, on a node in Berlin, in
// winter. It moves by what the function is given.
func watching(t *testing.T, s *pvetest.Server, token string) (*Source, func(time.Duration)) {
	t.Helper()
	src := source(t, s, token)
	now := recorded
	src.client.Now = func() time.Time { return now }
	src.zone = time.FixedZone("CET", 3600)
	return src, func(d time.Duration) { now = now.Add(d) }
}

func backupOf(t *testing.T, r *messages.Report, id messages.VMID) messages.Backup {
	t.Helper()
	for _, b := range r.Backups {
		if b.VMID == id {
			return b
		}
	}
	t.Fatalf("no backup entry of %d in %+v, %+v", id, r.Backups, r.Sections["backups"])
	return messages.Backup{}
}

func wantSection(t *testing.T, r *messages.Report, name string, status messages.SectionStatus, detail string) {
	t.Helper()
	if got := r.Sections[name]; got.Status != status || !strings.Contains(got.Detail, detail) {
		t.Errorf("%s: got %+v, want %s with %q", name, got, status, detail)
	}
}

// PVEAuditor is shown no backups where the content of a storage is listed: 200
// and nothing. A pruning that keeps all lists them.
func TestTrap01AuditorIsShownNoBackupsInContent(t *testing.T) {
	for _, mode := range modes {
		s := pvetest.Start(t, mode)
		s.RemoveTasks() // nothing but the storage tells
		src, _ := watching(t, s, pvetest.Auditor)
		r := collect(t, src)
		wantSection(t, r, "backups", messages.SectionOK, "")
		b := backupOf(t, r, 110)
		if b.NewestGoodAt == nil || b.NewestGoodAt.Unix() != 1773454807 || b.Count != 2 || b.Evidence != messages.EvidenceStorage ||
			b.Volume != "local:backup/vzdump-lxc-110-2026_03_14-03_20_07.tar.zst" || b.SizeBytes != 0 {
			t.Errorf("%s: got %+v", mode, b)
		}
		if s.Asked("/nodes/kiefer/storage/local/content") != 0 {
			t.Errorf("%s: content was asked for, which shows an auditor nothing", mode)
		}
		if s.Asked("/nodes/kiefer/storage/pbs-keller/prunebackups") != 0 {
			t.Errorf("%s: a backup server's client was run for every guest", mode)
		}
	}
}

// A token of its own privileges has only what its user has, too: what one of the
// two lacks shows as empty lists.
func TestTrap02PrivilegeSeparatedTokenHasTheIntersection(t *testing.T) {
	for _, mode := range modes {
		s := pvetest.Start(t, mode)
		for _, token := range []string{pvetest.Bare, pvetest.UserHalf, pvetest.TokenHalf} {
			src, _ := watching(t, s, token)
			if r, err := src.Collect(t.Context()); r != nil || api2.KindOf(err) != api2.KindForbidden {
				t.Errorf("%s %s: got %v, %v, want forbidden", mode, token, r, err)
			}
		}
		src, _ := watching(t, s, pvetest.NodeHalf)
		r := collect(t, src)
		for _, name := range []string{"guests", "storage_targets", "backups", "backup_jobs", "zfs_pools", "cluster"} {
			if got := r.Sections[name]; got.Status != messages.SectionDenied || !strings.Contains(got.Detail, "Audit") {
				t.Errorf("%s: %s: got %+v, want denied, naming the privilege", mode, name, got)
			}
		}
		if len(r.Guests)+len(r.StorageTargets)+len(r.Backups)+len(r.BackupJobs)+len(r.ZFSPools) != 0 || len(r.AuditTail) == 0 || len(r.Disks) == 0 {
			t.Errorf("%s: got %+v", mode, r)
		}
		src, _ = watching(t, s, pvetest.BothHalf)
		for name, section := range collect(t, src).Sections {
			if section.Status == messages.SectionDenied || section.Status == messages.SectionFailed {
				t.Errorf("%s: both halves: %s: got %+v", mode, name, section)
			}
		}
	}
}

// cpulimit without cores makes cpus the string "0.5" for one container, which
// must not cost all of them.
func TestTrap03CPULimitIsAString(t *testing.T) {
	src, _ := watching(t, pvetest.Start(t, pvetest.PVE9), pvetest.Auditor)
	r := collect(t, src)
	if g := guest(t, r, 112); g.Spec == nil || g.Spec.Cores != 1 || len(r.Guests) != 7 {
		t.Errorf("got %+v of %d guests", g, len(r.Guests))
	}
}

// The lists' own cpu is 0 at each worker's first request and an average of no
// known time after it.
func TestTrap04CPUComesFromPvestatd(t *testing.T) {
	src, _ := watching(t, pvetest.Start(t, pvetest.PVE9), pvetest.Auditor)
	for range 5 {
		if r := collect(t, src); guest(t, r, 110).CPUUsedRatio != 0.0319887015533 || r.Host.CPUUsedRatio != 0.0624218037461 {
			t.Fatalf("got %v, host %v", guest(t, r, 110).CPUUsedRatio, r.Host.CPUUsedRatio)
		}
	}
}

// Before 8.4 the text of a refusal is in the reason phrase and nowhere else: the
// privilege and path must be told all the same.
func TestTrap05ErrorTextIsInReasonOrMessage(t *testing.T) {
	for _, mode := range modes {
		src, _ := watching(t, pvetest.Start(t, mode), pvetest.NodeAuditor)
		r := collect(t, src)
		for _, name := range []string{"backup_jobs", "cluster", "zfs_pools"} {
			wantSection(t, r, name, messages.SectionDenied, "403 Permission check failed (/, Sys.Audit)")
		}
	}
}

// 401, 595 and 596 have no body: the status is to be looked at before any JSON.
func TestTrap06EmptyBodiesAreNoJSONErrors(t *testing.T) {
	s := pvetest.Start(t, pvetest.PVE83)
	src, _ := watching(t, s, pvetest.Auditor)
	s.Break("/nodes/kiefer/disks/list", pvetest.Status(595, "No route to host"))
	s.Break("/cluster/backup", pvetest.Status(596, "Connection timed out"))
	r := collect(t, src)
	wantSection(t, r, "disks", messages.SectionFailed, "unreachable: 595 No route to host")
	wantSection(t, r, "backup_jobs", messages.SectionFailed, "timeout: 596 Connection timed out")
	wrong, err := New(Config{URL: s.URL, TokenID: pvetest.Auditor, Token: "wrong", Node: pvetest.Node, CAFile: s.CAFile()})
	if err != nil {
		t.Fatal(err)
	}
	defer wrong.client.HTTP.CloseIdleConnections()
	if _, err := wrong.Collect(t.Context()); api2.KindOf(err) != api2.KindAuth {
		t.Errorf("wrong secret: got %v", err)
	}
}

// There is no 404: 501 is a path that the version does not know, 500 a guest or
// ZFS that is not there, 400 a storage that is not.
func TestTrap07ThereIsNo404(t *testing.T) {
	s := pvetest.Start(t, pvetest.PVE9)
	disks := []pvetest.Object{}
	s.SetDisks(disks, nil)
	s.Break("/cluster/backup-info/not-backed-up", pvetest.Status(501, "Method 'GET /cluster/backup-info/not-backed-up' not implemented"))
	src, _ := watching(t, s, pvetest.Auditor)
	r := collect(t, src)
	wantSection(t, r, "zfs_pools", messages.SectionNotConfigured, "not installed")
	wantSection(t, r, "disks", messages.SectionOK, "")
	wantSection(t, r, "backup_jobs", messages.SectionFailed, "501")
	wantSection(t, r, "backups", messages.SectionOK, "")
	if b := backupOf(t, r, 110); b.InJob != nil {
		t.Errorf("got in_job %v, want unknown", *b.InJob)
	}
}

// Unknown parameters, a since in floating point and a "=" that is not %3D are
// refused: the fake is as strict, so nothing may be.
func TestTrap08QueriesAreStrict(t *testing.T) {
	s := pvetest.Start(t, pvetest.PVE9)
	src, advance := watching(t, s, pvetest.Auditor)
	src.scratch = ScratchRange{900, 999}
	for range 3 { // since is sent from the second time on
		for name, section := range collect(t, src).Sections {
			if section.Status == messages.SectionFailed || section.Detail != "" {
				t.Errorf("%s: %+v", name, section)
			}
		}
		advance(2 * time.Hour)
	}
	if s.Asked("/nodes/kiefer/storage/local/prunebackups") != 3 {
		t.Error("the storage was not listed three times")
	}
}

// The list of storages activates all of them and hangs with one dead server.
// pvestatd's figures stand in, everything else is read as ever, and the node is
// left alone for a while.
func TestTrap09ListOfStoragesHangsWithOne(t *testing.T) {
	for _, mode := range modes {
		s := pvetest.Start(t, mode)
		s.HangStorage("nas-alt", true)
		src, advance := watching(t, s, pvetest.Auditor)
		for range 3 {
			r := collect(t, src)
			wantSection(t, r, "storage_targets", messages.SectionOK, "from pvestatd, as storages do not answer")
			if len(r.StorageTargets) == 0 || len(r.Guests) != 7 {
				t.Errorf("%s: got %+v, %d guests", mode, r.StorageTargets, len(r.Guests))
			}
			for _, name := range []string{"guests", "backup_jobs", "audit_tail", "disks", "zfs_pools", "cluster"} {
				wantSection(t, r, name, messages.SectionOK, "")
			}
			if b := backupOf(t, r, 110); b.NewestGoodAt == nil {
				t.Errorf("%s: got %+v", mode, b)
			}
			advance(time.Minute)
		}
		if n := s.Asked("/nodes/kiefer/storage"); n != 1 {
			t.Errorf("%s: asked %d times, want once", mode, n)
		}
		s.HangStorage("nas-alt", false)
		advance(hungStorage)
		r := collect(t, src)
		if wantSection(t, r, "storage_targets", messages.SectionOK, ""); len(r.StorageTargets) != 5 {
			t.Errorf("%s: after it: got %+v", mode, r.StorageTargets)
		}
	}
}

// A backup that is still being written to a backup server has size 1 through
// Proxmox VE: it is no backup yet.
func TestTrap10UnfinishedBackupHasSizeOne(t *testing.T) {
	for _, mode := range modes {
		s := pvetest.Start(t, mode)
		s.RemoveTasks()
		src, _ := watching(t, s, pvetest.BackupLister)
		b := backupOf(t, collect(t, src), 210)
		if b.NewestGoodAt.Unix() != 1773455275 || b.Storage != "local" || b.SizeBytes != 19002338123 || b.Count != 1 {
			t.Errorf("%s: got %+v, want the finished one", mode, b)
		}
	}
}

// The list of tasks is cut at 50 unless told otherwise; "WARNINGS: 1" is a
// success, and what is older than the archive is known from the storage.
func TestTrap11TaskListIsCutAtFifty(t *testing.T) {
	s := pvetest.Start(t, pvetest.PVE9)
	s.RemoveTasks()
	s.RemoveBackups("local")
	for i := range 70 {
		at := recorded.Add(-time.Duration(i+1) * time.Hour)
		s.RunTask("vzdump", "113", at, at.Add(time.Minute), "CT is locked")
	}
	old := recorded.Add(-100 * time.Hour)
	s.RunTask("vzdump", "112", old, old.Add(time.Minute), "WARNINGS: 1")
	src, _ := watching(t, s, pvetest.Auditor)
	r := collect(t, src)
	if b := backupOf(t, r, 112); b.LastResult != messages.BackupWarnings || b.NewestGoodAt == nil || !b.NewestGoodAt.Equal(old) {
		t.Errorf("got %+v", b)
	}
	if b := backupOf(t, r, 113); b.LastResult != messages.BackupFailed || b.LastError != "CT is locked" || b.NewestGoodAt != nil {
		t.Errorf("got %+v", b)
	}
}

// saved is "0", "1" and 1 in one list of tasks.
func TestTrap12SavedIsStringAndNumber(t *testing.T) {
	for _, c := range pvetest.Cases() {
		if c.File != "cluster_tasks" && c.File != "node_tasks" || c.Response.Status != 200 {
			continue
		}
		var raw []json.RawMessage
		if err := json.Unmarshal(c.Data(), &raw); err != nil {
			t.Fatal(err)
		}
		for _, b := range raw {
			var row task
			if err := json.Unmarshal(b, &row); err != nil || row.UPID == "" || row.Start == 0 || row.running() != !strings.Contains(string(b), "endtime") {
				t.Errorf("%s: %s: got %+v, %v", c.Name, b, row, err)
			}
		}
	}
}

// Sizes are beyond what a float64 counts, beyond int64, and in floating point.
func TestTrap13SizesAreBeyondFloat64(t *testing.T) {
	s := pvetest.Start(t, pvetest.PVE9)
	var rows []pvetest.Object
	huge := pvetest.Find("storage_list", "huge-sizes")
	d := json.NewDecoder(strings.NewReader(string(huge.Data())))
	d.UseNumber()
	if err := d.Decode(&rows); err != nil {
		t.Fatal(err)
	}
	rows[0]["used"], rows[0]["total"] = json.Number("9007199254740993"), json.Number("9007199254740995")
	s.SetStorages(rows...)
	src, _ := watching(t, s, pvetest.Auditor)
	r := collect(t, src)
	if len(r.StorageTargets) != 2 {
		t.Fatalf("got %+v, %+v", r.StorageTargets, r.Sections["storage_targets"])
	}
	fs, fs2 := r.StorageTargets[0], r.StorageTargets[1]
	if fs.TotalBytes != 9007199254740995 || fs.AvailableBytes != 1125899906842620 || fs.UsedBytes != 9007199254740993 || fs2.TotalBytes != 18446744073692774400 || fs2.AvailableBytes != 18446735277599752192 {
		t.Errorf("got %+v", r.StorageTargets)
	}
}

// 595 means that pveproxy found no pvedaemon: the token is not to blame, and
// nothing waits for it as after a 401.
func TestTrap14Status595IsNoAuthenticationError(t *testing.T) {
	for _, mode := range modes {
		s := pvetest.Start(t, mode)
		src, advance := watching(t, s, pvetest.Auditor)
		s.StopDaemon()
		r := collect(t, src)
		for _, name := range []string{"guests", "disks", "cluster", "zfs_pools", "backup_jobs"} {
			wantSection(t, r, name, messages.SectionFailed, "595")
		}
		wantSection(t, r, "audit_tail", messages.SectionOK, "") // pveproxy knows that itself
		s.StartDaemon()
		advance(time.Second)
		r = collect(t, src)
		for _, name := range []string{"guests", "storage_targets", "cluster"} {
			wantSection(t, r, name, messages.SectionOK, "")
		}
		advance(retryAfter)
		if r = collect(t, src); r.Sections["disks"].Status != messages.SectionOK {
			t.Errorf("%s: disks are still %+v", mode, r.Sections["disks"])
		}
	}
}
