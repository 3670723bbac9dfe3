package messages

import (
	"encoding/json"
	"time"
)

// Limits of the wire contract, version 1.
const (
	MaxBodyBytes = 4 << 20 // a report, compressed or not
	MaxDepth     = 32      // nesting of arrays and objects, the document itself counted
	MaxGuests    = 4096    // guests in a report
	MaxStreamLen = 64      // bytes of a stream name
)

// Report is what an agent tells the hub of its host: POST /api/v1/host-report.
// Field names are fixed; fields are added, never renamed. Every collection is
// sent as [] when empty. The hub keeps the body as it came, so fields that it
// does not know survive.
type Report struct {
	HostID       HostID    `json:"host_id"`
	ReportedAt   time.Time `json:"reported_at"` // agent's clock, RFC 3339, UTC; never touches liveness
	AgentVersion string    `json:"agent_version"`

	// Stream is new at every start of the agent and Sequence counts from 1
	// within it: together they order reports. Empty and 0 from agents that do
	// not number their reports.
	Stream   string `json:"stream,omitempty"`
	Sequence uint64 `json:"sequence,omitempty"`
	BootID   string `json:"boot_id,omitempty"` // /proc/sys/kernel/random/boot_id

	Host           Node                 `json:"host"`
	Guests         List[Guest]          `json:"guests"`
	Cloudflared    Tunnel               `json:"cloudflared"`
	StorageTargets Items[StorageTarget] `json:"storage_targets"`
	Backups        Items[Backup]        `json:"backups"`
	RestoreTests   Items[RestoreTest]   `json:"restore_tests"`
	PBSSnapshots   Items[PBSGroup]      `json:"pbs_snapshots"`
	AuditTail      Items[AuditEntry]    `json:"audit_tail"`

	// Collections that agents did not always send; absent when they were not asked for.
	BackupJobs    Items[BackupJob]    `json:"backup_jobs,omitempty"`
	PBSDatastores Items[PBSDatastore] `json:"pbs_datastores,omitempty"`
	Disks         Items[Disk]         `json:"disks,omitempty"`
	ZFSPools      Items[ZFSPool]      `json:"zfs_pools,omitempty"`
	Cluster       *Cluster            `json:"cluster,omitempty"`

	// LastEnd says how the agent's run before this one ended, and its machine's;
	// nil when the agent does not know. It is in every report of a run.
	LastEnd *LastEnd `json:"last_end,omitempty"`

	// Sections says how each collection was obtained, by its name ("guests",
	// "backups", …). A collection that is denied or failed is unknown, not empty.
	Sections map[string]Section `json:"sections,omitempty"`
}

// Node is the host itself. Bytes are bytes, ratios run from 0 to 1.
type Node struct {
	Node             string  `json:"node"`
	PVEVersion       string  `json:"pve_version,omitempty"`
	Kernel           string  `json:"kernel,omitempty"`
	UptimeSeconds    uint64  `json:"uptime_seconds"`
	CPUUsedRatio     float64 `json:"cpu_used_ratio"`
	CPUCount         uint64  `json:"cpu_count"` // threads
	Load1m           float64 `json:"load_1m"`
	Load5m           float64 `json:"load_5m"`
	Load15m          float64 `json:"load_15m"`
	MemoryTotalBytes uint64  `json:"memory_total_bytes"`
	MemoryUsedBytes  uint64  `json:"memory_used_bytes"`
	SwapTotalBytes   uint64  `json:"swap_total_bytes"`
	SwapUsedBytes    uint64  `json:"swap_used_bytes"`
	RootTotalBytes   uint64  `json:"root_total_bytes"`
	RootUsedBytes    uint64  `json:"root_used_bytes"`
}

// Guest is one LXC container or VM.
type Guest struct {
	VMID              VMID       `json:"vmid"`
	Kind              string     `json:"kind,omitempty"` // lxc, qemu
	Name              string     `json:"name"`
	Status            string     `json:"status"` // Proxmox's word, or "unknown"
	ControllerVersion string     `json:"controller_version"`
	Spec              *GuestSpec `json:"spec,omitempty"` // absent when unknown
	UptimeSeconds     uint64     `json:"uptime_seconds,omitempty"`
	CPUUsedRatio      float64    `json:"cpu_used_ratio,omitempty"`
	MemoryUsedBytes   uint64     `json:"memory_used_bytes,omitempty"`
	DiskUsedBytes     uint64     `json:"disk_used_bytes,omitempty"`
	OnBoot            bool       `json:"onboot,omitempty"` // starts with the host
	Tags              []string   `json:"tags,omitempty"`
	Lock              string     `json:"lock,omitempty"` // backup, snapshot, migrate, …; what Proxmox is doing to it
}

// GuestRunning is the one status that counts as running.
const GuestRunning = "running"

// GuestUnknown is the status of a guest whose configuration could not be read.
const GuestUnknown = "unknown"

// GuestSpec is what a guest was given.
type GuestSpec struct {
	Cores       float64 `json:"cores"`
	MemoryBytes uint64  `json:"memory_bytes"`
	DiskBytes   uint64  `json:"disk_bytes"`
}

// Tunnel is the state of cloudflared on the host.
type Tunnel struct {
	Status string `json:"status"` // systemd's ActiveState, "not_installed", "degraded" or "unknown"
}

// TunnelUnknown is the status of a tunnel that could not be probed.
const TunnelUnknown = "unknown"

// Section says how a collection was obtained.
type Section struct {
	Status SectionStatus `json:"status"`
	Detail string        `json:"detail,omitempty"` // the privilege and path Proxmox named, or the error
	// ReadAt is when the collection was read (the agent's clock), when that is not
	// this report's time: what is asked for hourly is sent with every report in
	// between. Absent: read for this report.
	ReadAt *time.Time `json:"read_at,omitempty"`
}

// SectionStatus is one of four words.
type SectionStatus string

// The four ways a collection can have been obtained.
const (
	SectionOK            SectionStatus = "ok"
	SectionDenied        SectionStatus = "denied"
	SectionFailed        SectionStatus = "failed"
	SectionNotConfigured SectionStatus = "not_configured"
)

// Goodbye announces a planned shutdown: POST /api/v1/host-goodbye. The hub
// holds the host's alarms for BackBy − SentAt (both the agent's clock), at most
// 24 hours. Without BackBy it holds nothing and only records the reason.
type Goodbye struct {
	HostID HostID     `json:"host_id"`
	SentAt time.Time  `json:"sent_at"`
	Reason string     `json:"reason"`
	BackBy *time.Time `json:"back_by,omitempty"`
	Stream string     `json:"stream,omitempty"` // a goodbye of an older stream is ignored
}

// Envelope is the hub's answer to a report or goodbye it made durable. Agents
// ignore fields they do not know.
type Envelope struct {
	Status              string `json:"status"` // "ok"
	PollIntervalSeconds int    `json:"poll_interval_seconds"`
	Blocked             bool   `json:"blocked"`
	DesiredGeneration   uint64 `json:"desired_generation"`
	HasSignedOps        bool   `json:"has_signed_ops"`
}

// List is a slice that is [] on the wire when empty, never null.
type List[T any] []T

// MarshalJSON writes [] for nil.
func (l List[T]) MarshalJSON() ([]byte, error) {
	if l == nil {
		return []byte("[]"), nil
	}
	return json.Marshal([]T(l))
}
