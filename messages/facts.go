package messages

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"time"
)

// Customer owns hosts; events belong to a customer.
type Customer struct {
	ID          CustomerID `json:"customer_id"`
	DisplayName string     `json:"display_name"`
	Blocked     bool       `json:"blocked"`
	CreatedAt   time.Time  `json:"created_at"`
}

// Host is the operator's intent for a host. A report never touches it.
type Host struct {
	ID         HostID     `json:"host_id"`
	CustomerID CustomerID `json:"customer_id"`
	CreatedAt  time.Time  `json:"created_at"`
	// PollIntervalSeconds is the host's own interval; 0 means the hub's. Above
	// the hub's it scales both thresholds of the switch by the same factor.
	PollIntervalSeconds int             `json:"poll_interval_seconds,omitempty"`
	Site                string          `json:"site,omitempty"` // hosts that fail together: a building, a line
	DesiredGeneration   uint64          `json:"desired_generation"`
	Desired             json.RawMessage `json:"desired,omitempty"`
	DRRecord            json.RawMessage `json:"dr_record,omitempty"`
}

// Phase is where a host's dead-man's switch stands.
type Phase uint8

// The phases. A host is new until its first contact and never alarms before.
const (
	PhaseNew Phase = iota
	PhaseOK
	PhaseStale
	PhaseDown
)

var phaseNames = [...]string{"new", "ok", "stale", "down"}

// String is the phase's word on the wire.
func (p Phase) String() string {
	if int(p) < len(phaseNames) {
		return phaseNames[p]
	}
	return "unknown"
}

// MarshalText writes the phase's word.
func (p Phase) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// ParsePhase reads the phase's word; ok is false for any other.
func ParsePhase(s string) (p Phase, ok bool) {
	for i, n := range phaseNames {
		if n == s {
			return Phase(i), true
		}
	}
	return 0, false
}

// Listened counts the time for which the hub could accept reports, since it
// was first started, in nanoseconds. It stands still while the hub is off,
// suspended, not listening or refusing writes; silence is a difference of two.
type Listened int64

// Duration is the same number as a time.Duration.
func (l Listened) Duration() time.Duration { return time.Duration(l) }

// Add is l moved by d.
func (l Listened) Add(d time.Duration) Listened { return l + Listened(d) }

// ReportRef says where a report's body lies in the history: the day's store,
// the batch's blob in it, the entry in the blob. The zero value is none.
type ReportRef struct {
	Batch uint64 // Batch.Sequence
	Day   uint32 // days since 1970-01-01 UTC, of the hub's clock at the commit
	Entry uint32 // index in Batch.Reports
}

// IsZero reports whether r points nowhere.
func (r ReportRef) IsZero() bool { return r == ReportRef{} }

// Figures are what the fleet's list shows of a report. A ratio is NaN when the
// report did not say.
type Figures struct {
	CPUUsedRatio    float32
	MemoryUsedRatio float32
	DiskUsedRatio   float32
	GuestTotal      uint16
	GuestRunning    uint16 // only status "running"
	GuestsUnknown   bool   // sections has another word than ok for the guests: one that is not listed is unknown, not gone
	Cloudflared     string
}

// UnknownFigures are those of nobody who said anything.
func UnknownFigures() Figures {
	nan := float32(math.NaN())
	return Figures{CPUUsedRatio: nan, MemoryUsedRatio: nan, DiskUsedRatio: nan}
}

// HostState is a host's reality as of its last durable change: what its actor
// holds in memory, and what storage keeps beside the newest body. Instants are
// nanoseconds of Unix time on the hub's clock unless they say otherwise; 0 is
// never.
type HostState struct {
	ID           HostID
	Phase        Phase
	SkewAlarmed  bool   // clock_skew was raised and has not returned
	IntervalSecs uint16 // the poll interval it was told at its last contact; 0 when never told
	FactsDue     uint32 // seconds of Unix time from which the rules on reports look again without news; 0 is never
	PhaseSince   int64
	ContactAt    int64    // wall clock of the last contact, for people
	ContactHeard Listened // the same moment in listening time, for the switch
	ReportAt     int64    // wall clock of the newest report
	ReportedAt   int64    // the agent's clock in it; 0 when it did not say
	UptimeSecs   uint32   // of the newest report
	SkewSecs     int32    // agent's clock minus hub's at the last contact

	// Ordering. Streams are kept as 64-bit hashes. Seen has bit i set when
	// Sequence−i was stored: an exact repeat is known by it.
	Stream   uint64
	Retired  [3]uint64
	Sequence uint64
	Seen     uint64

	BootHash  uint64  // of boot_id; 0 when never told
	Voice     *Voice  // who else speaks with this host's key; nil: nobody
	Faults    *Faults // alarms of the host itself that are open; nil: none
	GuestHash uint64  // of the guests' reality; 0 before the first report
	// FactsHash is Summary.FactsHash of the report that the rules on reports last
	// looked at, mixed with the settings that they had; 0 before the first.
	FactsHash uint64

	Incident     IncidentID // open from host_stale to host_recovered
	HeldUntil    Listened   // a goodbye holds alarms until then
	HeldReason   string     // the goodbye's reason, while held or late
	AgentVersion string
	Figures      Figures
	Last         ReportRef // the newest report's body
}

// Faults are the alarms of a host itself, beside its switch, that have not recovered:
// when each was raised, in nanoseconds of Unix time on the hub's clock; 0 when it is
// not. Their incidents are named by it.
type Faults struct {
	SkewedAt   int64 // clock_skew
	OutdatedAt int64 // agent_outdated
}

// KeyKind says what a key opens.
type KeyKind uint8

// The kinds of stored keys. The global key lives in the configuration.
const (
	KeyHost     KeyKind = iota + 1 // report and goodbye of one host
	KeyCustomer                    // controllers' reports of one customer
)

// Key is the record of an API key: its hash, never the key. Revocation and
// replacement overwrite the record; it is deleted with its host only.
type Key struct {
	Hash       KeyHash
	Kind       KeyKind
	HostID     HostID
	CustomerID CustomerID
	CreatedAt  time.Time
	// Replaces is the key that this one takes over from at its first use.
	Replaces KeyHash
	// ExpiresAt ends a replaced key's life when its successor was never used.
	ExpiresAt time.Time
	RevokedAt time.Time
}

// GuestRecord is what the hub knows of a guest. Reality comes from reports;
// intent (APIKey, DesiredSpec) only from operators.
type GuestRecord struct {
	HostID            HostID          `json:"host_id"`
	VMID              VMID            `json:"vmid"`
	Kind              string          `json:"kind,omitempty"`
	DisplayName       string          `json:"display_name"`
	Status            string          `json:"status"`
	ControllerVersion string          `json:"controller_version"`
	FirstSeenAt       time.Time       `json:"first_seen_at"`
	LastSeenAt        time.Time       `json:"last_seen_at"` // zero while it is in the host's newest report
	APIKeyHash        *KeyHash        `json:"-"`
	DesiredSpec       json.RawMessage `json:"desired_spec,omitempty"`
}

// EventType is one of the words of the spec.
type EventType string

// The types that the hub emits today.
const (
	HostStale     EventType = "host_stale"
	HostDown      EventType = "host_down"
	HostRecovered EventType = "host_recovered"
	HostRebooted  EventType = "host_rebooted"
	ClockSkew     EventType = "clock_skew"
	ClockMended   EventType = "clock_recovered"
	AgentOutdated EventType = "agent_outdated" // older than the hub by a minor version
	AgentUpdated  EventType = "agent_updated"
	HostCloned    EventType = "host_cloned" // two speak with its key
	CloneGone     EventType = "clone_gone"
	HostFlapping  EventType = "host_flapping" // something about it changes again and again
	HostSettled   EventType = "host_settled"

	GuestStopped         EventType = "guest_stopped"
	GuestStarted         EventType = "guest_started"
	GuestMissing         EventType = "guest_missing"
	GuestReturned        EventType = "guest_returned"
	TunnelDown           EventType = "tunnel_down"
	TunnelRecovered      EventType = "tunnel_recovered"
	StorageHigh          EventType = "storage_high"
	StorageRecovered     EventType = "storage_recovered"
	StorageOffline       EventType = "storage_offline"
	StorageOnline        EventType = "storage_online"
	BackupFailedEvent    EventType = "backup_failed"
	BackupOverdue        EventType = "backup_overdue"
	BackupRecovered      EventType = "backup_recovered"
	VerifyFailed         EventType = "verify_failed"
	VerifyOverdue        EventType = "verify_overdue"
	VerifyRecovered      EventType = "verify_recovered"
	RestoreTestFailed    EventType = "restore_test_failed"
	RestoreTestOverdue   EventType = "restore_test_overdue"
	RestoreTestRecovered EventType = "restore_test_recovered"
	DiskFailing          EventType = "disk_failing"
	DiskRecovered        EventType = "disk_recovered"
	PoolDegraded         EventType = "pool_degraded"
	PoolRecovered        EventType = "pool_recovered"
	SectionLost          EventType = "section_unknown"
	SectionKnown         EventType = "section_known"

	ControllerStale     EventType = "controller_stale"
	ControllerDown      EventType = "controller_down"
	ControllerRecovered EventType = "controller_recovered"

	DeadlineMissed EventType = "deadline_missed"
	DeadlineMet    EventType = "deadline_met"

	RouteFailing   EventType = "route_failing"
	RouteRecovered EventType = "route_recovered"
	HubGap         EventType = "hub_gap"
	RouteTest      EventType = "route_test" // never stored: made by `route test`
	Drill          EventType = "drill"      // nothing happened: somebody tries the chain to a phone,
	DrillOver      EventType = "drill_over" // and this is its end; no alarm and no recovery

	IncidentOpened EventType = "incident_opened" // many hosts fell silent together
	IncidentClosed EventType = "incident_closed"
)

// RuleEvents are the types that the rules on reports tell.
var RuleEvents = []EventType{
	GuestStopped, GuestStarted, GuestMissing, GuestReturned, TunnelDown, TunnelRecovered, StorageHigh, StorageRecovered,
	StorageOffline, StorageOnline,
	BackupFailedEvent, BackupOverdue, BackupRecovered, VerifyFailed, VerifyOverdue, VerifyRecovered,
	RestoreTestFailed, RestoreTestOverdue, RestoreTestRecovered, DiskFailing, DiskRecovered, PoolDegraded, PoolRecovered,
	SectionLost, SectionKnown,
}

// ControllerEvents are the types that the switch of controllers and deadlines tell.
var ControllerEvents = []EventType{ControllerStale, ControllerDown, ControllerRecovered, DeadlineMissed, DeadlineMet}

// EventTypes are all types of events that are kept, by name.
var EventTypes = slices.Sorted(slices.Values(slices.Concat([]EventType{
	HostStale, HostDown, HostRecovered, HostRebooted, ClockSkew, ClockMended, AgentOutdated, AgentUpdated,
	HostCloned, CloneGone, HostFlapping, HostSettled, IncidentOpened, IncidentClosed,
	RouteFailing, RouteRecovered, HubGap, Drill, DrillOver,
}, RuleEvents, ControllerEvents)))

// Severity orders event types for routes that filter by it.
type Severity uint8

// The severities.
const (
	SeverityInfo Severity = iota
	SeverityWarning
	SeverityCritical
)

// Severity says how much a type matters. A recovery has the severity of its
// alarm, so that a route which hears the alarm hears the end of it.
func (t EventType) Severity() Severity {
	switch t {
	case HostDown, HostRecovered, ControllerDown, ControllerRecovered, RouteFailing, RouteRecovered, Drill, DrillOver:
		return SeverityCritical
	case HostStale, ControllerStale, DeadlineMissed, DeadlineMet, ClockSkew, ClockMended, HostCloned, CloneGone, HostFlapping, HostSettled, HubGap,
		IncidentOpened, IncidentClosed: // and more when their hosts are down
		return SeverityWarning
	}
	if slices.Contains(RuleEvents, t) {
		return SeverityWarning // and more when the event says so
	}
	return SeverityInfo
}

var severityNames = [...]string{"info", "warning", "critical"}

// String is the severity's word.
func (s Severity) String() string { return severityNames[min(int(s), len(severityNames)-1)] }

// ParseSeverity reads a severity's word; ok is false for any other.
func ParseSeverity(word string) (s Severity, ok bool) {
	i := slices.Index(severityNames[:], word)
	return Severity(max(i, 0)), i >= 0
}

// MarshalText writes the severity's word.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (s *Severity) UnmarshalText(word []byte) error {
	v, ok := ParseSeverity(string(word))
	if !ok {
		return fmt.Errorf("severity %.20q: want info, warning or critical", word)
	}
	*s = v
	return nil
}

// Severity is how much this event matters: what it says itself, or what its type does.
func (e *Event) Severity() Severity { return max(e.Detail.Severity, e.Type.Severity()) }

// Event is a durable fact. IDs rise in the order of commits, so a reader that
// asks for what came after the last id it saw misses nothing.
type Event struct {
	ID         EventID     `json:"event_id"`
	Sequence   uint64      `json:"-"` // contiguous from 1
	Type       EventType   `json:"type"`
	At         time.Time   `json:"at"`
	CustomerID CustomerID  `json:"customer_id,omitempty"` // empty: the hub's own
	HostID     HostID      `json:"host_id,omitempty"`
	RouteID    RouteID     `json:"route_id,omitempty"`
	IncidentID IncidentID  `json:"incident_id,omitempty"`
	Summary    string      `json:"summary"` // one line, fits a lock screen
	Detail     EventDetail `json:"detail"`
}

// EventDetail is what is known beside the summary; a field that says nothing is
// left out.
type EventDetail struct {
	LastContactAt   *time.Time `json:"last_contact_at,omitempty"`
	SilenceSeconds  int64      `json:"silence_seconds,omitempty"`  // listening time
	DurationSeconds int64      `json:"duration_seconds,omitempty"` // last contact to return
	Planned         bool       `json:"planned,omitempty"`
	Reason          string     `json:"reason,omitempty"`
	LateSeconds     int64      `json:"late_seconds,omitempty"`
	SkewSeconds     int64      `json:"skew_seconds,omitempty"`
	From            *time.Time `json:"from,omitempty"` // hub_gap
	To              *time.Time `json:"to,omitempty"`
	GuestTotal      int        `json:"guest_total,omitempty"`
	GuestRunning    int        `json:"guest_running,omitempty"`
	Cloudflared     string     `json:"cloudflared,omitempty"`
	Error           string     `json:"error,omitempty"`
	Cause           Cause      `json:"cause,omitempty"`   // host_recovered: why it was silent; host_rebooted: why it did
	Changes         []Change   `json:"changes,omitempty"` // host_down: what its last reports said anew
	Mass            *Mass      `json:"mass,omitempty"`    // incident_opened, incident_closed

	// What an event of the rules on reports is about, beside its host. Severity is
	// the worst that was told of its incident.
	Severity Severity `json:"severity,omitempty"`
	VMID     VMID     `json:"vmid,omitempty"`    // a guest
	Subject  string   `json:"subject,omitempty"` // a storage, a disk, a pool, a collection: its name
}

// Mass is what is known of an incident as of its event.
type Mass struct {
	Scope     Scope    `json:"scope"`
	Silent    int      `json:"silent"`              // members that are silent now
	Down      int      `json:"down,omitempty"`      // of these: down
	Recovered int      `json:"recovered,omitempty"` // members that returned
	Total     int      `json:"total"`               // hosts in the scope that ever reported
	Hosts     []HostID `json:"hosts"`               // the silent ones, at most MaxMassHosts
}

// MaxMassHosts bounds the names in Mass.
const MaxMassHosts = 50

// Change is something that a report says otherwise than one before it, in words: a
// guest, the kernel, a storage. From is empty for what only happened, such as a task.
type Change struct {
	What string `json:"what"`
	From string `json:"from,omitempty"`
	To   string `json:"to,omitempty"`
}

// Cause is why a host was silent.
type Cause string

// The causes that its first report after that tells; "" is not known.
const (
	CauseNetwork  Cause = "network"  // the host was up all the time, and its agent
	CauseAgent    Cause = "agent"    // the host was up all the time, its agent was not
	CauseReboot   Cause = "reboot"   // after a goodbye
	CauseShutdown Cause = "shutdown" // likewise
	CauseCrash    Cause = "crash"    // it started anew without a goodbye: power loss or crash

	// These two only an agent that was there tells apart; see LastEnd.
	CauseKernelCrash Cause = "kernel_crash"
	CausePowerLoss   Cause = "power_loss" // or a reset
)

// OfRule reports whether it is of an event that a rule on reports told.
func (d *EventDetail) OfRule() bool { return d.VMID != 0 || d.Subject != "" || d.Severity != 0 }

// RouteKind says how a route is spoken to.
type RouteKind string

// The kinds of routes.
const (
	RouteWebhook  RouteKind = "webhook"  // a POST signed the Standard Webhooks way
	RouteShoutrrr RouteKind = "shoutrrr" // a service by its shoutrrr URL: mail, ntfy, Telegram …
)

// Route is where notifications go: of one customer, or of all when CustomerID
// is empty (the operator's).
type Route struct {
	ID          RouteID
	CustomerID  CustomerID
	Kind        RouteKind
	URL         Secret      // may carry a token
	Secret      Secret      // whsec_<base64>
	Events      []EventType // empty: all of MinSeverity and above
	MinSeverity Severity
	CreatedAt   time.Time
	Incident    IncidentID // open from route_failing to route_recovered

	Name          string      // for people; "" is none
	Quiet         *QuietHours // keeps what is not critical until their end; nil: never
	MaxPerHour    int         // messages; what is over waits. 0: no limit
	EscalateTo    RouteID     // hears what nobody acknowledged; "": nobody
	EscalateAfter time.Duration
	OnCall        bool // hears escalations only
}

// DeliveryState is one of three words.
type DeliveryState string

// The states of a delivery.
const (
	DeliveryPending DeliveryState = "pending"
	DeliverySent    DeliveryState = "sent"
	DeliveryDead    DeliveryState = "dead"
)

// Delivery is one notification on one route: the events of one customer that
// are told together. It is written with its first event. While it is not
// Sealed, later events may join it; once sealed its events, and so its body,
// never change.
type Delivery struct {
	ID            DeliveryID    `json:"delivery_id"`
	Sequence      uint64        `json:"-"` // contiguous from 1
	RouteID       RouteID       `json:"route_id"`
	CustomerID    CustomerID    `json:"customer_id,omitempty"`
	Events        []EventID     `json:"events"`
	State         DeliveryState `json:"state"`
	Sealed        bool          `json:"-"`
	CreatedAt     time.Time     `json:"created_at"`
	DueAt         time.Time     `json:"due_at"` // end of group_wait
	Attempts      int           `json:"attempts"`
	LastAttemptAt time.Time     `json:"last_attempt_at,omitzero"`
	LastStatus    int           `json:"last_status,omitempty"` // of HTTP; 0: no answer
	LastError     string        `json:"last_error,omitempty"`  // without secrets
	SentAt        time.Time     `json:"sent_at,omitzero"`

	Reason DeliveryReason `json:"reason,omitempty"`
}
