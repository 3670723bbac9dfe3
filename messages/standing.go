package messages

import "slices"

// Standing is what the rules on reports remember of a host: what its newest
// reports said of each guest, which problems are open, and since when something
// is unknown. It is written together with the events that it led to. Instants are
// seconds of Unix time on the hub's clock unless they say otherwise; 0 is never.
type Standing struct {
	HostID   HostID
	Tunnel   TunnelStanding
	Guests   []GuestStanding // by vmid
	Sections []SectionStanding
	Problems []Problem
	Storages []StorageStanding
	Sources  []PBSSource // whose groups are this host's guests', as learned
}

// TunnelStanding is what is remembered of the tunnel.
type TunnelStanding struct {
	Seen   bool  // it was active before
	Missed uint8 // reports in a row in which it was not
}

// StorageStanding is what is remembered of a storage that was active.
type StorageStanding struct {
	Name   string
	Missed uint8 // reports in a row in which it was not
}

// SectionStanding is what is remembered of a collection.
type SectionStanding struct {
	Name         string
	KnownAt      int64 // first; 0 when it was never vouched for
	UnknownSince int64 // 0 while it is known
}

// GuestStanding is what is remembered of a guest. The instants of backups,
// verifications and restore tests are those that the reports give.
type GuestStanding struct {
	VMID         VMID
	Name         string
	FirstSeenAt  int64
	RunningSince int64 // 0 when it was not running in the report before
	BusySince    int64 // it stopped in the hands of a task, which is given time
	MissingSince int64 // it is not in a list that is vouched for
	OnBoot       bool
	NoBackup     bool // by its tag
	NoTest       bool // by its tag
	Uncovered    bool // no enabled backup job includes it

	Doubtful bool // what is known of its backups may be of another host's guest
	Hidden   bool // its group may be among those that could not be listed

	BackupAt     int64 // newest good one; 0: none is known
	BackupFailed bool  // the last attempt did
	Source       uint8 // 1 + index in Standing.Sources of its PBS group; 0: it has none
	GroupSince   int64 // the hub first saw that group
	VerifiedAt   int64 // time of the newest backup that was verified at all
	VerifiedOK   bool
	TestedAt     int64 // newest restore test
	TestedOKAt   int64 // newest good one
	TestLevel    RestoreLevel
}

// PBSSource is where a host's backups go on a Proxmox Backup Server, and as whom:
// what one storage of type pbs is configured with. In a setting, an empty field
// but Namespace stands for any.
type PBSSource struct {
	Server    string `json:"server,omitempty"`
	Datastore string `json:"datastore,omitempty"`
	Namespace string `json:"namespace,omitempty"` // "" is the root; in a setting "*" stands for any
	Owner     string `json:"owner,omitempty"`
}

// Rule names a family of rules on reports: alarms that have one recovery.
type Rule string

// The rules.
const (
	RuleGuest       Rule = "guest"    // guest_stopped
	RulePresence    Rule = "presence" // guest_missing
	RuleTunnel      Rule = "tunnel"   // tunnel_down
	RuleStorage     Rule = "storage"  // storage_high: the root, storages and PBS datastores
	RuleOffline     Rule = "storage_offline"
	RuleBackup      Rule = "backup"       // backup_failed, backup_overdue
	RuleVerify      Rule = "verify"       // verify_failed, verify_overdue
	RuleRestoreTest Rule = "restore_test" // restore_test_failed, restore_test_overdue
	RuleDisk        Rule = "disk"         // disk_failing
	RulePool        Rule = "pool"         // pool_degraded
	RuleSection     Rule = "section"      // section_unknown
)

// Rules lists them all.
var Rules = []Rule{RuleGuest, RulePresence, RuleTunnel, RuleStorage, RuleOffline, RuleBackup, RuleVerify, RuleRestoreTest, RuleDisk, RulePool, RuleSection}

// Problem is an alarm that has not recovered. There is at most one of a rule and
// subject.
type Problem struct {
	Rule     Rule
	Subject  string // a vmid, or the name of a storage, disk, pool or collection
	Incident IncidentID
	Since    int64
	Severity Severity // the worst that was told
	Told     []EventType
}

// RuleSettings are an operator's own thresholds for a customer or, closer, for
// one of its hosts. A nil field is inherited: of a host from its customer, of a
// customer from the hub's defaults. A list that is empty, but not nil, is set.
type RuleSettings struct {
	CustomerID CustomerID `json:"-"` // either this
	HostID     HostID     `json:"-"` // or this

	StorageWarningRatio   *float64 `json:"storage_warning_ratio,omitempty"`
	StorageCriticalRatio  *float64 `json:"storage_critical_ratio,omitempty"`
	BackupWarningSeconds  *int64   `json:"backup_warning_seconds,omitempty"`
	BackupCriticalSeconds *int64   `json:"backup_critical_seconds,omitempty"`
	VerifySeconds         *int64   `json:"verify_seconds,omitempty"`
	RestoreTestSeconds    *int64   `json:"restore_test_seconds,omitempty"`

	DisabledRules    []Rule      `json:"disabled_rules,omitzero"`
	ExcludedGuests   []VMID      `json:"excluded_guests,omitzero"`
	ExcludedStorages []string    `json:"excluded_storages,omitzero"`
	PBSSources       []PBSSource `json:"pbs_sources,omitzero"` // set: nothing is learned
}

// Empty reports whether nothing is set.
func (s *RuleSettings) Empty() bool {
	return s.StorageWarningRatio == nil && s.StorageCriticalRatio == nil && s.BackupWarningSeconds == nil &&
		s.BackupCriticalSeconds == nil && s.VerifySeconds == nil && s.RestoreTestSeconds == nil &&
		s.DisabledRules == nil && s.ExcludedGuests == nil && s.ExcludedStorages == nil && s.PBSSources == nil
}

// ParseRule checks s against the names of the rules.
func ParseRule(s string) (Rule, bool) { return Rule(s), slices.Contains(Rules, Rule(s)) }
