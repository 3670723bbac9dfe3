package messages

import (
	"encoding/json"
	"slices"
	"time"
)

// Items is a collection of a report whose elements are read one by one: one that
// is not understood, from another version of the agent, is left out and refuses
// nothing. It is [] on the wire when empty, never null.
type Items[T any] []T

// MarshalJSON writes [] for nil.
func (items Items[T]) MarshalJSON() ([]byte, error) { return List[T](items).MarshalJSON() }

// UnmarshalJSON leaves out the elements that are not a T. The error is of a value
// that is no array.
func (items *Items[T]) UnmarshalJSON(raw []byte) error {
	var list []json.RawMessage
	if err := json.Unmarshal(raw, &list); err != nil {
		return err
	}
	*items = slices.Grow((*items)[:0], len(list))
	for _, raw := range list {
		var item T
		if json.Unmarshal(raw, &item) == nil {
			*items = append(*items, item)
		}
	}
	return nil
}

// The names of the collections, as report fields and as keys of Sections.
const (
	SectionGuests         = "guests"
	SectionStorageTargets = "storage_targets"
	SectionBackups        = "backups"
	SectionBackupJobs     = "backup_jobs"
	SectionRestoreTests   = "restore_tests"
	SectionPBSSnapshots   = "pbs_snapshots"
	SectionPBSDatastores  = "pbs_datastores"
	SectionAuditTail      = "audit_tail"
	SectionDisks          = "disks"
	SectionZFSPools       = "zfs_pools"
	SectionCluster        = "cluster"
)

// StorageTarget is a storage of the host, from /nodes/{node}/storage. A storage
// that is not active has no figures.
type StorageTarget struct {
	Storage        string   `json:"storage"`
	Type           string   `json:"type"` // dir, zfspool, lvmthin, nfs, pbs, …
	Content        []string `json:"content,omitempty"`
	Enabled        bool     `json:"enabled"`
	Active         bool     `json:"active"`
	Shared         bool     `json:"shared"`
	TotalBytes     uint64   `json:"total_bytes,omitempty"`
	UsedBytes      uint64   `json:"used_bytes,omitempty"`
	AvailableBytes uint64   `json:"available_bytes,omitempty"`
}

// BackupResult is how a guest's last backup ended.
type BackupResult string

// The results.
const (
	BackupOK       BackupResult = "ok"
	BackupWarnings BackupResult = "warnings" // good, with something to read
	BackupFailed   BackupResult = "failed"
	BackupRunning  BackupResult = "running"
)

// BackupEvidence is what tells of a backup. A listing of a shared storage is the
// weakest: hosts that are not of one cluster may both keep a guest 100 there.
type BackupEvidence string

// The kinds of evidence.
const (
	EvidenceTask    BackupEvidence = "task"           // this host's own task log
	EvidenceStorage BackupEvidence = "storage"        // a storage of this host lists it
	EvidenceShared  BackupEvidence = "shared_storage" // a storage that others may write to lists it
)

// Backup is what the host knows of one guest's backups, from task logs and
// storages. A guest without any known backup has an entry without NewestGoodAt.
type Backup struct {
	VMID         VMID         `json:"vmid"`
	Kind         string       `json:"kind,omitempty"` // lxc, qemu
	NewestGoodAt *time.Time   `json:"newest_good_at,omitempty"`
	Volume       string       `json:"volume,omitempty"` // volume id or archive of the newest good one
	Storage      string       `json:"storage,omitempty"`
	SizeBytes    uint64       `json:"size_bytes,omitempty"` // 0 when unknown
	LastResult   BackupResult `json:"last_result,omitempty"`
	LastAt       *time.Time   `json:"last_at,omitempty"` // start of the last attempt
	LastSeconds  uint64       `json:"last_duration_seconds,omitempty"`
	LastError    string       `json:"last_error,omitempty"` // Proxmox's words
	Count        uint64       `json:"count,omitempty"`      // backups that storages list; 0 when unknown
	// Evidence says what NewestGoodAt rests on.
	Evidence BackupEvidence `json:"evidence,omitempty"`
	// InJob says whether an enabled backup job includes the guest; absent when unknown.
	InJob *bool `json:"in_job,omitempty"`
}

// BackupJob is one job of /cluster/backup.
type BackupJob struct {
	ID        string     `json:"id"`
	Enabled   bool       `json:"enabled"`
	Schedule  string     `json:"schedule,omitempty"` // systemd calendar event, as Proxmox writes it
	Storage   string     `json:"storage,omitempty"`
	Selection string     `json:"selection,omitempty"` // all, or vmids, or pool:NAME
	Exclude   []VMID     `json:"exclude,omitempty"`
	Comment   string     `json:"comment,omitempty"`
	Node      string     `json:"node,omitempty"` // runs on that node only; empty: on all
	NextRunAt *time.Time `json:"next_run_at,omitempty"`
}

// RestoreLevel says how much a restore test proved.
type RestoreLevel string

// The levels, each proving more. A verification by PBS is none of them.
const (
	RestoreRestored RestoreLevel = "restored" // the archive could be restored
	RestoreBooted   RestoreLevel = "booted"   // and the guest started
	RestoreChecked  RestoreLevel = "checked"  // and what runs in it answered
)

// RestoreTest is one test restore, from tasks in the scratch range or from the
// operator's result files.
type RestoreTest struct {
	VMID        VMID         `json:"vmid"` // the guest whose backup it was
	ScratchVMID VMID         `json:"scratch_vmid,omitempty"`
	Source      string       `json:"source,omitempty"` // volume id of the backup
	Level       RestoreLevel `json:"level"`
	OK          bool         `json:"ok"`
	StartedAt   time.Time    `json:"started_at"`
	Seconds     uint64       `json:"duration_seconds,omitempty"`
	Detail      string       `json:"detail,omitempty"`
	CheckedBy   string       `json:"checked_by,omitempty"`
}

// PBSGroup is a backup group of a Proxmox Backup Server: all snapshots of one
// guest by one owner in one namespace.
type PBSGroup struct {
	Server     string `json:"server"` // its name in the agent's configuration
	Datastore  string `json:"datastore"`
	Namespace  string `json:"namespace,omitempty"` // "" is the root
	BackupType string `json:"backup_type"`         // ct, vm, host
	BackupID   string `json:"backup_id"`           // a vmid for ct and vm
	Owner      string `json:"owner"`
	Comment    string `json:"comment,omitempty"`
	Count      uint64 `json:"count"`                // finished snapshots
	Unfinished uint64 `json:"unfinished,omitempty"` // running or broken ones

	NewestAt        *time.Time `json:"newest_at,omitempty"`         // of finished snapshots
	NewestSizeBytes uint64     `json:"newest_size_bytes,omitempty"` // logical
	// Of the newest snapshot that was verified at all: its backup time, and what
	// the verification found.
	VerifiedAt *time.Time `json:"verified_at,omitempty"`
	VerifiedOK bool       `json:"verified_ok,omitempty"`
	// Failed counts the snapshots whose verification failed.
	Failed    uint64 `json:"failed,omitempty"`
	Encrypted bool   `json:"encrypted,omitempty"` // the newest one
	Protected uint64 `json:"protected,omitempty"`
}

// PBSDatastore is one datastore of a Proxmox Backup Server.
type PBSDatastore struct {
	Server         string     `json:"server"`
	Datastore      string     `json:"datastore"`
	TotalBytes     uint64     `json:"total_bytes,omitempty"`
	UsedBytes      uint64     `json:"used_bytes,omitempty"`
	AvailableBytes uint64     `json:"available_bytes,omitempty"`
	FullAt         *time.Time `json:"estimated_full_at,omitempty"`
	Maintenance    string     `json:"maintenance,omitempty"`
	Error          string     `json:"error,omitempty"` // instead of figures
	// GroupsMissing says why groups of the datastore may be missing in the report;
	// empty when all are there. Groups that are there hold in any case.
	GroupsMissing string         `json:"groups_missing,omitempty"`
	VerifyJobs    []PBSVerifyJob `json:"verify_jobs,omitempty"`
}

// PBSVerifyJob is a verify job of a datastore.
type PBSVerifyJob struct {
	ID        string     `json:"id"`
	Namespace string     `json:"namespace,omitempty"`
	Schedule  string     `json:"schedule,omitempty"`
	LastAt    *time.Time `json:"last_at,omitempty"`    // end of the last run
	LastState string     `json:"last_state,omitempty"` // PBS's words; OK is good
	NextRunAt *time.Time `json:"next_run_at,omitempty"`
}

// AuditEntry is a task of the node's task list.
type AuditEntry struct {
	UPID      string     `json:"upid"`
	Type      string     `json:"type"`
	ID        string     `json:"id,omitempty"` // what it worked on
	User      string     `json:"user"`
	TokenID   string     `json:"token_id,omitempty"` // a token's name, never its secret
	StartedAt time.Time  `json:"started_at"`
	EndedAt   *time.Time `json:"ended_at,omitempty"` // absent while it runs
	Status    string     `json:"status,omitempty"`   // OK, WARNINGS: n, or an error
}

// Disk is a physical disk.
type Disk struct {
	Device    string   `json:"device"`
	Kind      string   `json:"kind,omitempty"` // nvme, ssd, hdd
	Model     string   `json:"model,omitempty"`
	Serial    string   `json:"serial,omitempty"`
	SizeBytes uint64   `json:"size_bytes"`
	Health    string   `json:"health,omitempty"`     // PASSED, OK, FAILED!, UNKNOWN
	WearRatio *float64 `json:"wear_ratio,omitempty"` // used up, 0 to 1; absent when unknown
	Use       string   `json:"use,omitempty"`
}

// ZFSPool is a ZFS pool.
type ZFSPool struct {
	Name               string  `json:"name"`
	Health             string  `json:"health"` // ONLINE, DEGRADED, …
	SizeBytes          uint64  `json:"size_bytes"`
	AllocatedBytes     uint64  `json:"allocated_bytes"`
	FreeBytes          uint64  `json:"free_bytes"`
	FragmentationRatio float64 `json:"fragmentation_ratio,omitempty"`
}

// Cluster is the Proxmox cluster that the host is a member of.
type Cluster struct {
	Name    string          `json:"name"`
	Quorate bool            `json:"quorate"`
	Members []ClusterMember `json:"members,omitempty"`
}

// ClusterMember is one node of it.
type ClusterMember struct {
	Node   string `json:"node"`
	Online bool   `json:"online"`
	// VMIDs are the guests that are there, of a member that does not report itself.
	VMIDs []VMID `json:"vmids,omitempty"`
}
