package messages

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// What one version of an agent writes, the hub reads; what it cannot read costs
// the element, never the report.
func TestCollectionsAreReadElementByElement(t *testing.T) {
	at := time.Date(2026, 3, 14, 2, 20, 7, 0, time.UTC)
	no := false
	sent := Report{
		HostID:         "acme-7f3a90c1",
		ReportedAt:     at,
		StorageTargets: Items[StorageTarget]{{Storage: "local", Type: "dir", Content: []string{"backup"}, Enabled: true, Active: true, TotalBytes: 10, UsedBytes: 4, AvailableBytes: 6}},
		Backups:        Items[Backup]{{VMID: 110, NewestGoodAt: &at, LastResult: BackupOK, LastAt: &at, InJob: &no}},
		RestoreTests:   Items[RestoreTest]{{VMID: 110, ScratchVMID: 901, Level: RestoreBooted, OK: true, StartedAt: at}},
		PBSSnapshots:   Items[PBSGroup]{{Server: "keller", Datastore: "keller", BackupType: "ct", BackupID: "110", Owner: "node@pbs!kiefer", Count: 14, NewestAt: &at}},
		AuditTail:      Items[AuditEntry]{{UPID: "UPID:kiefer:x", Type: "vzdump", User: "root@pam", StartedAt: at}},
		BackupJobs:     Items[BackupJob]{{ID: "nightly", Enabled: true, Exclude: []VMID{9001}}},
		Disks:          Items[Disk]{{Device: "/dev/sda", SizeBytes: 8001563222016}},
		Cluster:        &Cluster{Name: "wald", Quorate: true, Members: []ClusterMember{{Node: "kiefer", Online: true}}},
		Guests:         List[Guest]{{VMID: 110, OnBoot: true, Tags: []string{"no-backup"}, Lock: "backup"}},
	}
	body, err := json.Marshal(sent)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Decode(body)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(sent, got); diff != "" {
		t.Errorf("(-sent +got):\n%s", diff)
	}

	got, err = Decode([]byte(`{"host_id":"acme-7f3a90c1","reported_at":"2026-03-14T02:20:07Z","host":{},"guests":[],
		"backups":[{"vmid":"many"},{"vmid":110,"size_bytes":5}],"disks":7,"zfs_pools":[1,{"name":"tank"}],"cluster":"none"}`))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Items[Backup]{{VMID: 110, SizeBytes: 5}}, got.Backups); diff != "" {
		t.Errorf("backups (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(Items[ZFSPool]{{Name: "tank"}}, got.ZFSPools); diff != "" || got.Disks != nil || got.Cluster != nil {
		t.Errorf("disks %v, cluster %v, pools (-want +got):\n%s", got.Disks, got.Cluster, diff)
	}
}

// A report with every collection that there was in version 1 is read without
// losing anything: what the hub writes again is what the agent wrote.
func TestGoldenCollectionsSurvive(t *testing.T) {
	body, err := os.ReadFile("testdata/v1/collections.json")
	if err != nil {
		t.Fatal(err)
	}
	r, err := Decode(body)
	if err != nil {
		t.Fatal(err)
	}
	for name, n := range map[string]int{"storage_targets": len(r.StorageTargets), "backups": len(r.Backups), "backup_jobs": len(r.BackupJobs),
		"restore_tests": len(r.RestoreTests), "pbs_snapshots": len(r.PBSSnapshots), "pbs_datastores": len(r.PBSDatastores),
		"audit_tail": len(r.AuditTail), "disks": len(r.Disks), "zfs_pools": len(r.ZFSPools)} {
		if n == 0 {
			t.Errorf("%s is empty", name)
		}
	}
	again, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.TrimSpace(string(body)), string(again)); diff != "" {
		t.Errorf("(-sent +read):\n%s", diff)
	}
}
