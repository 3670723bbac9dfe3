package messages

import "time"

// ProtectionState says how well a guest could be brought back.
type ProtectionState string

// The states.
const (
	Protected         ProtectionState = "protected"   // every link is proven, and new enough
	Attention         ProtectionState = "attention"   // there is a backup, and a link behind it is weak or missing
	Unprotected       ProtectionState = "unprotected" // there is no backup, or none new enough
	ProtectionUnknown ProtectionState = "unknown"     // nobody vouches for what would have to be known
)

// ParseProtectionState reads a state's word; ok is false for any other.
func ParseProtectionState(s string) (p ProtectionState, ok bool) {
	switch p = ProtectionState(s); p {
	case Protected, Attention, Unprotected, ProtectionUnknown:
		return p, true
	}
	return "", false
}

// LinkState is how one link of the chain is.
type LinkState string

// The states of a link.
const (
	LinkOK       LinkState = "ok"
	LinkLate     LinkState = "late"     // older than the warning, not yet than the alarm
	LinkOverdue  LinkState = "overdue"  // too old
	LinkFailed   LinkState = "failed"   // the newest attempt did
	LinkMissing  LinkState = "missing"  // it never was
	LinkExcluded LinkState = "excluded" // an operator does not want it
	LinkUnknown  LinkState = "unknown"  // nobody vouches for it now; At is what was known last
	LinkNone     LinkState = "none"     // there is nothing that could prove it
)

// ProtectionLink is one link: its state, and the instant and age of its proof.
type ProtectionLink struct {
	State      LinkState  `json:"state"`
	At         *time.Time `json:"at,omitempty"`
	AgeSeconds *int64     `json:"age_seconds,omitempty"`
	Detail     string     `json:"detail,omitempty"`
}

// Protection is a guest's chain: backed up → verified → restore-tested.
type Protection struct {
	HostID      HostID          `json:"host_id"`
	CustomerID  CustomerID      `json:"customer_id"`
	VMID        VMID            `json:"vmid"`
	Name        string          `json:"name,omitempty"`
	State       ProtectionState `json:"state"`
	Backup      ProtectionLink  `json:"backup"`
	Verify      ProtectionLink  `json:"verify"`
	RestoreTest ProtectionLink  `json:"restore_test"`
	Source      *PBSSource      `json:"pbs_source,omitempty"` // whose group is the guest's
	Missing     bool            `json:"missing,omitempty"`    // it is not in the host's list any more
}
