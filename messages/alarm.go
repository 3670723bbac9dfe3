package messages

import (
	"slices"
	"time"
)

// Alarm is something wrong that was not yet told to have ended: what is behind an
// incident id. It is opened by an event of an alarm's type, worsened by further ones,
// closed by its recovery, and forgotten when the recovery was told too. An event that
// no recovery belongs to is one as well, until it is told.
//
// What an event is about is written with the event; who hears of it is decided when
// Pending is told, by what is known then: silences, incidents, what inhibits it.
type Alarm struct {
	ID         IncidentID // of an event without incident: the event's id
	CustomerID CustomerID // empty: the hub's own
	HostID     HostID
	RouteID    RouteID
	Site       string    // of the host, when it was opened
	Type       EventType // the newest alarm's; of what has no recovery: the event's
	Severity   Severity  // the worst so far
	Raised     EventID   // the event of Type
	Summary    string    // of Raised
	VMID       VMID      // of a rule's alarm: the guest,
	Subject    string    // or what else
	OpenedAt   time.Time
	ClosedAt   time.Time // zero: it is still wrong

	Pending      []PendingEvent // not yet told, oldest first
	PendingSince time.Time      // when the oldest of them came
	Told         []EventType    // the alarms that were told; empty: its recovery is not told either
	ToldAt       time.Time      // first; a route that is newer hears no recovery of it

	// Incidents that it is a member of; it is told by them, not by itself.
	Incident IncidentID // its customer's
	Wide     IncidentID // its site's or the fleet's: for the operator's routes

	Ack        *Ack
	RemindedAt time.Time // last reminder; zero: none
	Escalated  []RouteID // the routes that heard of it and have passed it on, as nobody acknowledged it

	// Of an alarm of type incident_opened, and zero otherwise.
	Scope   Scope
	Members int // hosts that are or were in it

	// Of an alarm of type host_flapping: what ends what it is about, again and again.
	Flaps EventType
}

// Open reports whether what it is about is still wrong.
func (a *Alarm) Open() bool { return a.ClosedAt.IsZero() && a.Type.Recovery() != "" }

// PendingEvent is an event of an alarm that is to be told.
type PendingEvent struct {
	ID       EventID
	Type     EventType
	Severity Severity
}

// Ack is somebody's word that an alarm is known. It ends with the alarm.
type Ack struct {
	By     string    `json:"by"` // a user's name, or "global key"
	Reason string    `json:"reason"`
	At     time.Time `json:"at"`
}

// ScopeKind says what a silence or an incident is of.
type ScopeKind string

// The kinds of scopes.
const (
	ScopeHost     ScopeKind = "host"     // ID is a host_id
	ScopeCustomer ScopeKind = "customer" // ID is a customer_id
	ScopeSite     ScopeKind = "site"     // ID is a host's site
	ScopeFleet    ScopeKind = "fleet"    // ID is empty
)

// Scope is the hosts that a silence or an incident is about.
type Scope struct {
	Kind ScopeKind `json:"kind"`
	ID   string    `json:"id,omitempty"`
}

// Covers reports whether what belongs to a host, or to a customer when host is "",
// is in the scope.
func (s Scope) Covers(customer CustomerID, site string, host HostID) bool {
	switch s.Kind {
	case ScopeHost:
		return host != "" && s.ID == string(host)
	case ScopeCustomer:
		return customer != "" && s.ID == string(customer)
	case ScopeSite:
		return site != "" && s.ID == site
	}
	return s.Kind == ScopeFleet
}

// SilenceID names a silence: a ULID.
type SilenceID string

// Limits of silences.
const (
	MaxSilence     = 30 * 24 * time.Hour // from start to end; of a recurring one: each time
	MaxSiteLen     = 64                  // bytes of a site's name
	MaxSilenceRuns = 24 * time.Hour      // the most that one window of a recurring silence lasts
)

// Silence is maintenance: what is wrong within its scope is recorded and not told.
// One with a Schedule begins anew at every instant that the cron expression names, for
// DurationSeconds, from StartsAt until EndsAt; without one it lasts from StartsAt to EndsAt.
type Silence struct {
	ID              SilenceID `json:"silence_id"`
	Scope           Scope     `json:"scope"`
	Reason          string    `json:"reason"`
	CreatedBy       string    `json:"created_by"`
	CreatedAt       time.Time `json:"created_at"`
	StartsAt        time.Time `json:"starts_at"`
	EndsAt          time.Time `json:"ends_at,omitzero"` // zero: a recurring one without end
	Schedule        string    `json:"schedule,omitempty"`
	TimeZone        string    `json:"time_zone,omitempty"`
	DurationSeconds int64     `json:"duration_seconds,omitempty"`
}

// QuietHours are when a route keeps what is not critical for later, by the clock of a
// place. From may be later in the day than To.
type QuietHours struct {
	From     string `json:"from"` // "22:00"
	To       string `json:"to"`   // "07:00"
	TimeZone string `json:"time_zone"`
}

// DeliveryReason says why something is told.
type DeliveryReason string

// The reasons of deliveries.
const (
	BecauseNews       DeliveryReason = ""           // it just happened
	BecauseReminder   DeliveryReason = "reminder"   // it is still so, and nobody acknowledged it
	BecauseEscalation DeliveryReason = "escalation" // nobody acknowledged it on the route before
	BecauseUnsilenced DeliveryReason = "unsilenced" // a silence ended, and it is still so
	BecauseDrill      DeliveryReason = "drill"      // nothing happened: somebody tries the chain
)

// recoveries are the alarm types with what ends them.
var recoveries = map[EventType]EventType{
	HostStale: HostRecovered, HostDown: HostRecovered, HostCloned: CloneGone, HostFlapping: HostSettled,
	GuestStopped: GuestStarted, GuestMissing: GuestReturned, TunnelDown: TunnelRecovered, StorageHigh: StorageRecovered,
	BackupFailedEvent: BackupRecovered, BackupOverdue: BackupRecovered, VerifyFailed: VerifyRecovered, VerifyOverdue: VerifyRecovered,
	RestoreTestFailed: RestoreTestRecovered, RestoreTestOverdue: RestoreTestRecovered, DiskFailing: DiskRecovered,
	PoolDegraded: PoolRecovered, SectionLost: SectionKnown, ControllerStale: ControllerRecovered, ControllerDown: ControllerRecovered,
	ClockSkew: ClockMended, AgentOutdated: AgentUpdated, StorageOffline: StorageOnline,
	DeadlineMissed: DeadlineMet, RouteFailing: RouteRecovered, IncidentOpened: IncidentClosed,
}

// Recovery is the type that ends an alarm of this type; "" when it is no alarm that
// anything ends.
func (t EventType) Recovery() EventType { return recoveries[t] }

// IsRecovery reports whether the type ends alarms.
func (t EventType) IsRecovery() bool { return slices.Contains(recoveryTypes, t) }

var recoveryTypes = func() (types []EventType) {
	for _, r := range recoveries {
		if !slices.Contains(types, r) {
			types = append(types, r)
		}
	}
	return types
}()
