package proxmox

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"felhom.eu/agent/proxmox/pvetest"
	"felhom.eu/messages"
)

func instant(seconds int64) *time.Time {
	at := time.Unix(seconds, 0).UTC()
	return &at
}

// TestEveryTokenInEveryVersion: what each kind of token is told of each
// collection, and that an empty one is never vouched for without the right.
func TestEveryTokenInEveryVersion(t *testing.T) {
	names := []string{"guests", "storage_targets", "backups", "backup_jobs", "restore_tests", "audit_tail", "disks", "zfs_pools", "cluster"}
	want := map[string]string{ // o ok, d denied, in the order of names; - no report at all
		pvetest.Root:         "ooooooooo",
		pvetest.Auditor:      "ooooooooo",
		pvetest.BackupLister: "ooooooooo",
		pvetest.BothHalf:     "ooooooooo",
		pvetest.NoStorage:    "oddoooooo",
		pvetest.NodeAuditor:  "ddddooodd",
		pvetest.NodeHalf:     "ddddooodd",
		pvetest.OneGuest:     "ododooodd", // its one guest has a backup that a task tells of
		pvetest.Bare:         "-",
		pvetest.UserHalf:     "-",
		pvetest.TokenHalf:    "-",
	}
	for _, mode := range modes {
		s := pvetest.Start(t, mode)
		for token, verdicts := range want {
			src, _ := watching(t, s, token)
			src.scratch = ScratchRange{900, 999}
			r, err := src.Collect(t.Context())
			if (err != nil) != (verdicts == "-") {
				t.Errorf("%s %s: %v", mode, token, err)
			}
			if err != nil {
				continue
			}
			for i, name := range names {
				status := map[byte]messages.SectionStatus{'o': messages.SectionOK, 'd': messages.SectionDenied}[verdicts[i]]
				if got := r.Sections[name]; got.Status != status || got.Status == messages.SectionDenied && !strings.Contains(got.Detail, "Audit") {
					t.Errorf("%s %s: %s: got %+v, want %s", mode, token, name, got, status)
				}
			}
			b, err := json.Marshal(r)
			if err != nil || strings.Contains(string(b), pvetest.Secret) {
				t.Errorf("%s %s: %v, or the secret is in the report", mode, token, err)
			}
		}
	}
}

// TestBackupsOfARecordedNode holds a whole section to what the recorded tasks,
// logs and storages say of each guest.
func TestBackupsOfARecordedNode(t *testing.T) {
	yes := true
	want := func(sizes bool) messages.Items[messages.Backup] {
		list := messages.Items[messages.Backup]{
			{VMID: 110, Kind: "lxc", NewestGoodAt: instant(1773454807), Volume: "local:backup/vzdump-lxc-110-2026_03_14-03_20_07.tar.zst", Storage: "local",
				SizeBytes: 2813203578, LastResult: "ok", LastAt: instant(1773454807), LastSeconds: 98, Count: 2, Evidence: "task", InJob: &yes},
			{VMID: 112, Kind: "lxc", InJob: &yes},
			{VMID: 113, Kind: "lxc", LastResult: "failed", LastAt: instant(1773454905), LastError: "CT is locked (snapshot-delete)", InJob: &yes},
			{VMID: 114, Kind: "lxc", InJob: &yes},
			{VMID: 115, Kind: "lxc", InJob: &yes},
			{VMID: 210, Kind: "qemu", NewestGoodAt: instant(1773455275), Volume: "local:backup/vzdump-qemu-210-2026_03_14-03_27_55.vma.zst", Storage: "local",
				LastResult: "ok", LastAt: instant(1773455275), Count: 1, Evidence: "storage", InJob: &yes},
			{VMID: 211, Kind: "qemu", InJob: &yes},
		}
		if sizes {
			list[0].SizeBytes, list[0].Count = 2811203441, 4
			list[5].SizeBytes = 19002338123
		}
		return list
	}
	for _, mode := range modes {
		s := pvetest.Start(t, mode)
		for token, sizes := range map[string]bool{pvetest.Auditor: false, pvetest.BackupLister: true, pvetest.Root: true} {
			src, _ := watching(t, s, token)
			r := collect(t, src)
			if diff := cmp.Diff(want(sizes), r.Backups); diff != "" {
				t.Errorf("%s %s (-want +got):\n%s", mode, token, diff)
			}
		}
	}
}

// TestBackupThatIsGoneIsNoBackup: what the log saw made, and the storage does not
// have any more, was pruned or deleted.
func TestBackupThatIsGoneIsNoBackup(t *testing.T) {
	s := pvetest.Start(t, pvetest.PVE9)
	src, advance := watching(t, s, pvetest.Auditor)
	collect(t, src)
	s.RemoveBackups("local")
	advance(time.Hour)
	r := collect(t, src)
	if b := backupOf(t, r, 110); b.NewestGoodAt == nil || b.Evidence != messages.EvidenceTask || b.Storage != "pbs-keller" || b.Count != 0 || b.SizeBytes != 0 {
		t.Errorf("got %+v, want the one at the backup server", b)
	}
	if b := backupOf(t, r, 210); b.NewestGoodAt != nil {
		t.Errorf("got %+v, which was deleted", b)
	}
}

// TestBackupOfAnotherNodeCounts, as what a shared storage lists.
func TestBackupOfAnotherNodeCounts(t *testing.T) {
	s := pvetest.Start(t, pvetest.PVE9)
	s.RemoveTasks()
	s.SetStorages(pvetest.Object{"storage": "nas", "type": "nfs", "content": "backup", "enabled": 1, "active": 1, "shared": 1, "total": 9, "used": 1, "avail": 8})
	s.PutBackup("nas", pvetest.Object{"volid": "nas:backup/vzdump-lxc-110-2026_03_14-03_20_07.tar.zst", "subtype": "lxc", "size": 5, "ctime": 1773454807, "vmid": 110})
	s.PutBackup("nas", pvetest.Object{"volid": "nas:backup/vzdump-qemu-113-2026_03_14-03_20_07.vma.zst", "subtype": "qemu", "size": 5, "ctime": 1773454807, "vmid": 113})
	src, _ := watching(t, s, pvetest.Auditor)
	r := collect(t, src)
	if b := backupOf(t, r, 110); b.Evidence != messages.EvidenceShared || b.LastResult != messages.BackupOK || b.Storage != "nas" {
		t.Errorf("got %+v", b)
	}
	if b := backupOf(t, r, 113); b.NewestGoodAt != nil {
		t.Errorf("got %+v: a VM's backup is no container's", b)
	}
}

// TestRunningBackupIsReadAsItGoes: line by line, each once, and its end is told.
func TestRunningBackupIsReadAsItGoes(t *testing.T) {
	s := pvetest.Start(t, pvetest.PVE9)
	s.RemoveTasks()
	s.RemoveBackups("local")
	src, advance := watching(t, s, pvetest.Auditor)
	start := recorded.Add(-time.Minute)
	clock := start.In(cet).Format(time.DateTime)
	upid := s.RunTask("vzdump", "", start, time.Time{}, "", []string{}...)
	s.EndTask(upid, time.Time{}, "", "INFO: starting new backup job: vzdump --all 1 --storage local", "INFO: Starting Backup of VM 110 (lxc)", "INFO: Backup started at "+clock, "INFO: Finished Backup of VM 110 (0")
	if b := backupOf(t, collect(t, src), 110); b.LastResult != messages.BackupRunning || !b.LastAt.Equal(start) || b.NewestGoodAt != nil {
		t.Errorf("while it runs: got %+v", b)
	}
	advance(time.Minute)
	s.FinishLine(upid, "0:01:11)")
	s.EndTask(upid, recorded.Add(30*time.Second), "OK", "TASK OK")
	r := collect(t, src)
	if b := backupOf(t, r, 110); b.LastResult != messages.BackupOK || b.LastSeconds != 71 || !b.NewestGoodAt.Equal(start) {
		t.Errorf("after it: got %+v", b)
	}
	asked := s.Asked("/nodes/kiefer/tasks/" + upid + "/log")
	for range 3 {
		advance(time.Minute)
		if b := backupOf(t, collect(t, src), 110); b.LastSeconds != 71 {
			t.Errorf("later: got %+v", b)
		}
	}
	if n := s.Asked("/nodes/kiefer/tasks/" + upid + "/log"); n != asked || n != 2 {
		t.Errorf("log was asked for %d times, want 2", n)
	}
	s.RemoveTasks() // rotated away
	advance(time.Minute)
	if b := backupOf(t, collect(t, src), 110); b.LastSeconds != 71 || len(src.dumps) != 0 {
		t.Errorf("after the archive forgot it: got %+v, %d logs kept", b, len(src.dumps))
	}
}

// TestGuestOfNoJobIsToldAtOnce: the hourly answer knows nothing of a guest that
// came after it.
func TestGuestOfNoJobIsToldAtOnce(t *testing.T) {
	s := pvetest.Start(t, pvetest.PVE9)
	s.SetJobs(pvetest.Object{"id": "nightly", "all": 1, "exclude": "9001,9100,211", "storage": "local", "schedule": "03:20", "next-run": 1773541200},
		pvetest.Object{"id": "off", "enabled": "0", "vmid": "130", "storage": "local", "next-run": 1773541200})
	src, advance := watching(t, s, pvetest.Auditor)
	r := collect(t, src)
	if b := backupOf(t, r, 211); b.InJob == nil || *b.InJob {
		t.Errorf("got %+v, want in no job", b)
	}
	if jobs := r.BackupJobs; len(jobs) != 2 || jobs[0].NextRunAt == nil || jobs[0].Selection != "all" || jobs[1].Enabled || jobs[1].NextRunAt != nil ||
		!cmp.Equal(jobs[0].Exclude, []messages.VMID{211, 9001, 9100}) {
		t.Errorf("got %+v", jobs)
	}
	s.SetJobs(pvetest.Object{"id": "web", "pool": "web"}, pvetest.Object{"id": "off", "enabled": "0", "vmid": "130"})
	s.Put(130, pvetest.Guest{Kind: "lxc"})
	s.Put(131, pvetest.Guest{Kind: "lxc", Pool: "web"})
	advance(time.Minute)
	r = collect(t, src)
	for id, in := range map[messages.VMID]bool{130: false, 131: true, 110: false} {
		if b := backupOf(t, r, id); b.InJob == nil || *b.InJob != in {
			t.Errorf("got %+v, want in a job: %t", b, in)
		}
	}
}

// TestLostRightIsUnknownAtOnce: a token that loses its right must not show as
// storages, backups and jobs that vanished, nor as what they were.
func TestLostRightIsUnknownAtOnce(t *testing.T) {
	s := pvetest.Start(t, pvetest.PVE9)
	src, advance := watching(t, s, pvetest.Auditor)
	collect(t, src)
	s.Regrant(pvetest.Auditor, pvetest.NoStorage)
	advance(time.Minute)
	r := collect(t, src)
	wantSection(t, r, "storage_targets", messages.SectionDenied, "Datastore.Audit on /storage")
	wantSection(t, r, "backups", messages.SectionDenied, "Datastore.Audit on /storage")
	s.Regrant(pvetest.Auditor, pvetest.NodeAuditor)
	advance(time.Hour)
	r = collect(t, src)
	for _, name := range []string{"guests", "backups", "backup_jobs", "zfs_pools", "cluster"} {
		wantSection(t, r, name, messages.SectionDenied, "Audit")
	}
	if len(r.Backups)+len(r.BackupJobs)+len(r.ZFSPools) != 0 {
		t.Errorf("got %+v, %+v, %+v", r.Backups, r.BackupJobs, r.ZFSPools)
	}
}

// TestFailingDisksGrowOld: for three periods the last reading is told with its
// time, then it is unknown.
func TestFailingDisksGrowOld(t *testing.T) {
	s := pvetest.Start(t, pvetest.PVE9)
	src, advance := watching(t, s, pvetest.Auditor)
	r := collect(t, src)
	if section := r.Sections["disks"]; section.ReadAt != nil || len(r.Disks) != 4 {
		t.Errorf("got %+v, %+v", section, r.Disks)
	}
	s.Break("/nodes/kiefer/disks/list", pvetest.Status(500, "smartctl: exit 1"))
	advance(2 * time.Hour)
	r = collect(t, src)
	if section := r.Sections["disks"]; section.ReadAt == nil || !section.ReadAt.Equal(recorded) || !strings.Contains(section.Detail, "smartctl") || len(r.Disks) != 4 {
		t.Errorf("after two hours: got %+v, %d disks", section, len(r.Disks))
	}
	advance(time.Hour)
	r = collect(t, src)
	if section := r.Sections["disks"]; section.Status != messages.SectionFailed || section.ReadAt != nil || len(r.Disks) != 0 {
		t.Errorf("after three: got %+v, %d disks", section, len(r.Disks))
	}
}

// TestOldListingsAndJobsDoNotLookFresh: a storage that cannot be listed again is
// told with its time, then its backups are unknown, and so is who is in a job.
func TestOldListingsAndJobsDoNotLookFresh(t *testing.T) {
	s := pvetest.Start(t, pvetest.PVE9)
	src, advance := watching(t, s, pvetest.Auditor)
	if b := backupOf(t, collect(t, src), 110); b.InJob == nil || !*b.InJob {
		t.Errorf("got %+v", b)
	}
	s.Break("/nodes/kiefer/storage/local/prunebackups", pvetest.Status(500, "got timeout"))
	s.Break("/cluster/backup", pvetest.Status(500, "got timeout"))
	advance(time.Hour)
	r := collect(t, src)
	wantSection(t, r, "backups", messages.SectionOK, "got timeout (as of 2026-03-14T03:46:40Z)")
	if b := backupOf(t, r, 210); b.NewestGoodAt == nil || b.InJob == nil {
		t.Errorf("after an hour: got %+v", b)
	}
	advance(2 * time.Hour)
	r = collect(t, src)
	wantSection(t, r, "backup_jobs", messages.SectionFailed, "got timeout")
	wantSection(t, r, "backups", messages.SectionFailed, "whether guest 112 has a backup is unknown: storage local")
	if len(r.Backups) != 0 {
		t.Errorf("after three: got %+v", r.Backups)
	}
	for _, id := range []int{112, 113, 114, 115, 210, 211} { // what is left has a backup that a task tells of
		s.Remove(id)
	}
	advance(time.Minute)
	r = collect(t, src)
	wantSection(t, r, "backups", messages.SectionOK, "storage local")
	if b := backupOf(t, r, 110); b.NewestGoodAt == nil || b.Count != 0 || b.InJob != nil {
		t.Errorf("got %+v, want the task's, and nothing of jobs", b)
	}
}

// TestDisksPoolsAndCluster: wear is what is used up, 0 % left is not unknown, and
// a node may stand alone.
func TestDisksPoolsAndCluster(t *testing.T) {
	for _, mode := range modes {
		s := pvetest.Start(t, mode)
		src, advance := watching(t, s, pvetest.Auditor)
		r := collect(t, src)
		wear := (100.0 - 94) / 100
		want := messages.Items[messages.Disk]{
			{Device: "/dev/nvme0n1", Kind: "nvme", Model: "SAMSUNG MZVL21T0HCLR-00B00", Serial: "S676NX0T300123", SizeBytes: 1024209543168, Health: "PASSED", WearRatio: &wear, Use: "ZFS"},
			{Device: "/dev/sda", Kind: "hdd", Model: "WDC_WD80EFAX-68KNBN0", Serial: "VGH0ABCD", SizeBytes: 8001563222016, Health: "PASSED", Use: "ext4"},
			{Device: "/dev/sdb", Kind: "hdd", Model: "ST4000DM000", SizeBytes: 4000787030016, Health: "FAILED!", Use: "LVM"},
			{Device: "/dev/sdc", Model: "LOGICAL_VOLUME", Serial: "SER9", SizeBytes: 300000000000, Health: "UNKNOWN"},
		}
		if diff := cmp.Diff(want, r.Disks); diff != "" {
			t.Errorf("%s: disks (-want +got):\n%s", mode, diff)
		}
		pools := messages.Items[messages.ZFSPool]{
			{Name: "rpool", Health: "ONLINE", SizeBytes: 1013309239296, AllocatedBytes: 402109239296, FreeBytes: 611200000000, FragmentationRatio: 0.21},
			{Name: "tank", Health: "DEGRADED", SizeBytes: 15994458210304, AllocatedBytes: 9120938811392, FreeBytes: 6873519398912, FragmentationRatio: 0.07},
		}
		if diff := cmp.Diff(pools, r.ZFSPools); diff != "" {
			t.Errorf("%s: pools (-want +got):\n%s", mode, diff)
		}
		cluster := &messages.Cluster{Name: "wald", Members: []messages.ClusterMember{{Node: "birke", VMIDs: []messages.VMID{150}}, {Node: "kiefer", Online: true}}}
		if diff := cmp.Diff(cluster, r.Cluster); diff != "" {
			t.Errorf("%s: cluster (-want +got):\n%s", mode, diff)
		}
		s.LeaveCluster()
		s.SetDisks([]pvetest.Object{{"devpath": "/dev/sdz", "size": 5, "wearout": 0, "health": "PASSED"}}, []pvetest.Object{})
		advance(time.Hour)
		r = collect(t, src)
		if len(r.Disks) != 1 || r.Disks[0].WearRatio == nil || *r.Disks[0].WearRatio != 1 || r.Cluster != nil || len(r.ZFSPools) != 0 {
			t.Errorf("%s: got %+v, %+v", mode, r.Disks, r.Cluster)
		}
		for _, name := range []string{"disks", "zfs_pools", "cluster"} {
			wantSection(t, r, name, messages.SectionOK, "")
		}
	}
}

// TestStoragesOfANode: an inactive one has no figures, and words are in order.
func TestStoragesOfANode(t *testing.T) {
	want := messages.Items[messages.StorageTarget]{
		{Storage: "local", Type: "dir", Content: []string{"backup", "iso", "vztmpl"}, Enabled: true, Active: true, TotalBytes: 98497780736, UsedBytes: 19327352832, AvailableBytes: 74119098368},
		{Storage: "local-zfs", Type: "zfspool", Content: []string{"images", "rootdir"}, Enabled: true, Active: true, TotalBytes: 1878042353664, UsedBytes: 731229782016, AvailableBytes: 1146812571648},
		{Storage: "nas-alt", Type: "nfs", Content: []string{"backup", "iso"}, Enabled: true, Shared: true},
		{Storage: "pbs-keller", Type: "pbs", Content: []string{"backup"}, Enabled: true, Active: true, Shared: true, TotalBytes: 7936210247680, UsedBytes: 5120938811392, AvailableBytes: 2815271436288},
		{Storage: "usb-platte", Type: "dir", Content: []string{"backup"}},
	}
	for _, mode := range modes {
		src, _ := watching(t, pvetest.Start(t, mode), pvetest.Auditor)
		if diff := cmp.Diff(want, collect(t, src).StorageTargets); diff != "" {
			t.Errorf("%s (-want +got):\n%s", mode, diff)
		}
	}
}

// TestAuditTailIsTheNewestFifty, newest first, with names of tokens and nothing
// that looks like a password.
func TestAuditTailIsTheNewestFifty(t *testing.T) {
	s := pvetest.Start(t, pvetest.PVE83)
	for i := range 60 {
		at := recorded.Add(time.Duration(i) * time.Second)
		s.RunTask("aptupdate", "", at, at.Add(time.Second), "OK")
	}
	s.RunTask("qmstart", "110", recorded.Add(2*time.Minute), time.Time{}, "")
	s.RunTask("imgcopy", "x", recorded.Add(time.Minute), recorded.Add(2*time.Minute), "mount //nas: exit 32 password=hunter2 at smb://bob:hunter2@nas "+pvetest.Secret)
	src, _ := watching(t, s, pvetest.Auditor)
	r := collect(t, src)
	list := r.AuditTail
	if len(list) != auditEntries || list[0].Type != "qmstart" || list[0].EndedAt != nil || list[0].Status != "" {
		t.Fatalf("got %d, first %+v", len(list), list[0])
	}
	b, err := json.Marshal(list)
	if err != nil || strings.Contains(string(b), "hunter2") || strings.Contains(string(b), pvetest.Secret) || !strings.Contains(string(b), "exit 32") {
		t.Errorf("got %s, %v", b, err)
	}
}

// TestRestoreTestsOfTasksAndFiles: a restore into the scratch range proves that
// it could be restored, the operator's files what they say; no verification does.
func TestRestoreTestsOfTasksAndFiles(t *testing.T) {
	for _, mode := range modes {
		s := pvetest.Start(t, mode)
		start := recorded.Add(-time.Hour)
		s.RunTask("qmrestore", "911", start, start.Add(90*time.Second), "command 'set -o pipefail' failed: exit code 1",
			"restore vma archive: zstd -q -d -c /var/lib/vz/dump/vzdump-qemu-210-2026_03_14-03_27_55.vma.zst | vma extract -v -r /var/tmp/x.fifo - /var/tmp/x")
		s.RunTask("qmrestore", "912", start.Add(time.Second), start.Add(time.Minute), "WARNINGS: 1",
			"new volume ID is 'local-zfs:vm-912-disk-0'",
			"restore proxmox backup image: /usr/bin/pbs-restore --repository node@pbs!kiefer@192.0.2.20:keller vm/211/2026-03-14T02:31:00Z drive-scsi0.img.fidx /dev/zvol/x --verbose")
		s.RunTask("vzrestore", "150", start, start.Add(time.Minute), "OK", "restoring 'local:backup/vzdump-lxc-110-2026_03_14-03_20_07.tar.zst' now..") // a guest's own number
		s.RunTask("vzrestore", "913", start, start.Add(time.Minute), "OK", "no word of what")
		s.RunTask("qmrestore", "914", start, time.Time{}, "", "restore vma archive: /x/vzdump-qemu-210-2026_03_14-03_27_55.vma")
		src, advance := watching(t, s, pvetest.Auditor)
		src.scratch = ScratchRange{900, 999}
		src.resultsDir = t.TempDir()
		drop(t, src.resultsDir, "a.json", `{"vmid":110,"scratch_vmid":910,"level":"checked","ok":true,"started_at":"2026-03-14T01:00:00Z","duration_seconds":93,"checked_by":"restore.sh"}`)
		drop(t, src.resultsDir, "b.json", `{"vmid":110,"level":"verified","ok":true,"started_at":"2026-03-14T01:00:00Z"}`)
		want := messages.Items[messages.RestoreTest]{
			{VMID: 211, ScratchVMID: 912, Source: "vm/211/2026-03-14T02:31:00Z", Level: "restored", OK: true, StartedAt: start.Add(time.Second).UTC(), Seconds: 59, Detail: "WARNINGS: 1"},
			{VMID: 210, ScratchVMID: 911, Source: "/var/lib/vz/dump/vzdump-qemu-210-2026_03_14-03_27_55.vma.zst", Level: "restored", StartedAt: start.UTC(), Seconds: 90,
				Detail: "command 'set -o pipefail' failed: exit code 1"},
			{VMID: 110, ScratchVMID: 910, Level: "checked", OK: true, StartedAt: *instant(1773450000), Seconds: 93, CheckedBy: "restore.sh"},
			{VMID: 110, ScratchVMID: 910, Source: "local:backup/vzdump-lxc-110-2026_03_14-03_20_07.tar.zst", Level: "restored", OK: true, StartedAt: *instant(1773449800), Seconds: 55},
		}
		for range 2 { // the second time from memory
			r := collect(t, src)
			if diff := cmp.Diff(want, r.RestoreTests); diff != "" {
				t.Errorf("%s (-want +got):\n%s", mode, diff)
			}
			wantSection(t, r, "restore_tests", messages.SectionOK, `1 results do not count, the first: "b.json": level`)
			wantSection(t, r, "restore_tests", messages.SectionOK, "1 restores whose logs do not name the backup")
			advance(time.Minute)
		}
		src.resultsDir = filepath.Join(src.resultsDir, "gone")
		wantSection(t, collect(t, src), "restore_tests", messages.SectionFailed, "no such file")
	}
}

func drop(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestAskingIsBounded: a node of 40 guests is asked at most 25 times for a report
// after the first ones, two at a time, whatever happened since the last: hours
// that are due, new tasks, running ones, guests that come.
func TestAskingIsBounded(t *testing.T) {
	if raced {
		t.Skip("a thousand handshakes; shorter tests have the same goroutines")
	}
	s := pvetest.Start(t, pvetest.PVE9)
	s.Crowd(recorded)
	src, advance := watching(t, s, pvetest.Auditor)
	src.scratch = ScratchRange{900, 999}
	s.Turn(func(k *pvetest.Knobs) { k.Latency = time.Millisecond })
	r := collect(t, src)
	first := s.AskedAll()
	if len(r.Guests) != 40 || len(r.Backups) != 40 || r.Sections["backups"].Status != messages.SectionOK {
		t.Fatalf("got %d guests, %d backups, %+v", len(r.Guests), len(r.Backups), r.Sections["backups"])
	}
	most, total := 0, 0
	const cycles = 20
	for i := range cycles {
		advance(15 * time.Minute)
		now := src.client.Now()
		switch i {
		case 5:
			s.Nightly(now.Add(-20 * time.Minute))
		case 6:
			for k := range 30 {
				s.RunTask("vzdump", fmt.Sprint(100+k), now.Add(-time.Minute), now, "OK", "INFO: x")
				s.RunTask("vzrestore", fmt.Sprint(900+k), now.Add(-time.Minute), now, "OK", "restoring 'local:backup/vzdump-lxc-110-2026_03_14-03_20_07.tar.zst' now..")
			}
		case 10:
			s.Put(140, pvetest.Guest{Kind: "lxc"})
			s.RunTask("vzdump", "140", now, time.Time{}, "", "INFO: x", "INFO: y")
		}
		before := s.AskedAll()
		collect(t, src)
		n := s.AskedAll() - before
		most, total = max(most, n), total+n
	}
	if most > 25 || s.MaxInFlight() > 2 {
		t.Errorf("asked %d times for one report, %d at a time, want at most 25 and 2", most, s.MaxInFlight())
	}
	t.Logf("first report %d questions, then %.1f on average and %d at most, %d at a time", first, float64(total)/cycles, most, s.MaxInFlight())
	if r = collect(t, src); len(r.RestoreTests) != 30 || src.unreadLogs() != 0 {
		t.Errorf("got %d restore tests, %d logs unread: they wait for ever", len(r.RestoreTests), src.unreadLogs())
	}
}

func (s *Source) unreadLogs() int { return (&round{Source: s}).unread() }
