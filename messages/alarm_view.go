package messages

import "time"

// AlarmState is where an alarm stands with people.
type AlarmState string

// The states of an alarm. One that is acknowledged and silenced is acknowledged.
const (
	AlarmOpen         AlarmState = "open"         // still wrong, and nobody said that it is known
	AlarmAcknowledged AlarmState = "acknowledged" // still wrong
	AlarmSilenced     AlarmState = "silenced"     // still wrong
	AlarmClosed       AlarmState = "closed"       // ended, which is still to be told
)

// AlarmView is an alarm as people are shown it. What is said of one that is an incident
// is in Scope, Members and Hosts.
type AlarmView struct {
	ID         IncidentID `json:"incident_id"`
	CustomerID CustomerID `json:"customer_id,omitempty"`
	HostID     HostID     `json:"host_id,omitempty"`
	RouteID    RouteID    `json:"route_id,omitempty"`
	Site       string     `json:"site,omitempty"`
	Type       EventType  `json:"type"`
	Severity   Severity   `json:"severity"`
	Summary    string     `json:"summary"`
	EventID    EventID    `json:"event_id,omitempty"` // that says all of it
	VMID       VMID       `json:"vmid,omitempty"`
	Subject    string     `json:"subject,omitempty"`
	OpenedAt   time.Time  `json:"opened_at"`
	ClosedAt   time.Time  `json:"closed_at,omitzero"`
	State      AlarmState `json:"state"`
	ToldAt     time.Time  `json:"told_at,omitzero"` // first; absent: nobody was told yet
	Ack        *Ack       `json:"acknowledged,omitempty"`
	SilencedBy SilenceID  `json:"silenced_by,omitempty"`
	Escalated  bool       `json:"escalated,omitempty"`
	MemberOf   IncidentID `json:"member_of,omitempty"` // the incident that it is told by
	Scope      *Scope     `json:"scope,omitempty"`
	Members    int        `json:"members,omitempty"` // hosts that are or were in it
	Hosts      []HostID   `json:"hosts,omitempty"`   // the first of those silent as it was told
}

// View is an alarm for people; by is a silence that covers it now, or "".
func (a *Alarm) View(by SilenceID) AlarmView {
	v := AlarmView{
		ID: a.ID, CustomerID: a.CustomerID, HostID: a.HostID, RouteID: a.RouteID, Site: a.Site, Type: a.Type, Severity: a.Severity,
		Summary: a.Summary, EventID: a.Raised, VMID: a.VMID, Subject: a.Subject, OpenedAt: a.OpenedAt, ClosedAt: a.ClosedAt,
		State: a.state(by), ToldAt: a.ToldAt, Ack: a.Ack, SilencedBy: by, Escalated: len(a.Escalated) > 0, MemberOf: a.Parent(), Members: a.Members,
	}
	if a.Scope.Kind != "" {
		v.Scope = &a.Scope
	}
	return v
}

func (a *Alarm) state(by SilenceID) AlarmState {
	switch {
	case !a.Open():
		return AlarmClosed
	case a.Ack != nil:
		return AlarmAcknowledged
	case by != "":
		return AlarmSilenced
	}
	return AlarmOpen
}

// Parent is the incident that an alarm is told by: the widest; "" when it is told by
// itself.
func (a *Alarm) Parent() IncidentID {
	if a.Wide != "" {
		return a.Wide
	}
	return a.Incident
}

// AlarmCounts counts alarms by severity.
type AlarmCounts struct {
	Info     int `json:"info"`
	Warning  int `json:"warning"`
	Critical int `json:"critical"`
}

// Add counts one more.
func (n *AlarmCounts) Add(s Severity) {
	switch s {
	case SeverityInfo:
		n.Info++
	case SeverityWarning:
		n.Warning++
	default:
		n.Critical++
	}
}

// NeedsAttention is what is wrong now, in groups: what a first screen shows.
type NeedsAttention struct {
	AsOf         time.Time        `json:"as_of"`        // a moment ago
	Alarms       AlarmCounts      `json:"alarms"`       // all that is still wrong, members of incidents too
	Acknowledged int              `json:"acknowledged"` // of these
	Silenced     int              `json:"silenced"`     // likewise, and not acknowledged
	Groups       []AttentionGroup `json:"groups"`       // what nobody knows of first, then the worst, then the newest
	MoreGroups   int              `json:"more_groups"`  // that are not in Groups
}

// AttentionGroup is an incident with its members, or what is wrong with a customer that
// is of no incident.
type AttentionGroup struct {
	Incident     *AlarmView  `json:"incident,omitempty"`
	CustomerID   CustomerID  `json:"customer_id,omitempty"` // absent: of several, or the hub's own
	Severity     Severity    `json:"severity"`              // the worst of those open, or of all when none is
	Alarms       AlarmCounts `json:"alarms"`
	Open         int         `json:"open"`
	Acknowledged int         `json:"acknowledged"`
	Silenced     int         `json:"silenced"`
	OldestAt     time.Time   `json:"oldest_at"`
	NewestAt     time.Time   `json:"newest_at"`
	Top          []AlarmView `json:"top"` // the worst and newest, at most MaxTop
}

// Bounds of NeedsAttention.
const (
	MaxAttention = 200 // groups
	MaxTop       = 5   // alarms shown of a group
)
