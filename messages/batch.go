package messages

import (
	"errors"
	"time"
)

// ErrFull is returned by a store that refused a batch for want of space before
// it wrote anything. After any other error of a write its outcome is unknown.
var ErrFull = errors.New("store is full")

// Batch is the unit of durable change: everything in it is on stable storage,
// or nothing. It carries decided facts (instants, ids, sequence numbers), never
// "now" and no randomness, so that applying it twice is applying it once.
//
// Bodies are made durable before the rest: a HostState never points to a body
// that a power cut could take.
type Batch struct {
	Sequence uint64    // contiguous from 1
	At       time.Time // hub's clock when the batch was closed
	Ledger   Ledger

	Reports []StoredReport // one blob in the history of Day

	Hosts       []HostState
	Controllers []ControllerState
	Guests      []GuestsSeen
	Standings   []Standing
	Events      []Event
	Deliveries  []Delivery // put: new or changed
	Months      []MonthStart
	Outages     []Outage
	Alarms      []Alarm // put; one that is closed with nothing pending is removed
	Traces      []Trace

	PutCustomers   []Customer
	PutHosts       []Host
	PutKeys        []Key
	PutRoutes      []Route
	PutRules       []RuleSettings // an empty one is removed
	PutTokens      []EnrollToken
	PutSilences    []Silence
	DelCustomers   []CustomerID // with rules, controllers, deadlines and keys
	DelHosts       []HostID     // with state, standing, outages, rules, guests and keys; events and history stay
	DelRoutes      []RouteID
	DelTokens      []TokenID
	DelSilences    []SilenceID
	PutDeadlines   []Deadline
	DelDeadlines   []Deadline // of which CustomerID, ID and Incident count
	PutUsers       []User
	DelUsers       []UserName
	PutSessions    []Session
	DelSessions    []KeyHash
	Audit          []AuditRecord    // the store numbers them
	DelControllers []ControllerName // state only; events and history stay
}

// Day is the history store that the batch's reports go to: days since
// 1970-01-01 UTC of At.
func (b *Batch) Day() uint32 { return uint32(b.At.Unix() / 86400) }

// Ledger is how long the hub has listened, as of a moment of its wall clock.
// Every batch extends it, so no contact is ever ahead of it.
type Ledger struct {
	Listened Listened
	At       time.Time
}

// StoredReport is a report's body with what a list of reports shows.
type StoredReport struct {
	ID         ReportID
	HostID     HostID         // "" of a controller's report
	Controller ControllerName // zero of a host's
	ReceivedAt time.Time
	ReportedAt time.Time // agent's clock; zero when it did not say
	SentAt     time.Time // the request's Date header; zero when it had none
	Previous   ReportRef // the report of the same host or controller stored before this one
	Older      bool      // came after a newer one: history only, never the host's state
	Figures    Figures
	Body       []byte // as received, inflated
}

// Subject is the text by which the history knows whose report it is.
func (r *StoredReport) Subject() string {
	if r.HostID == "" {
		return r.Controller.String()
	}
	return string(r.HostID)
}

// GuestsSeen is the guests of a host's newest report, when they differ from
// those of the report before: present ones are updated, absent ones get
// LastSeenAt = At. Intent is left alone.
type GuestsSeen struct {
	HostID HostID
	At     time.Time
	Guests []Guest
}
