package messages

import "time"

// ReplayQuery asks for a stretch of the past, run through the hub's rules once more.
type ReplayQuery struct {
	Since      time.Time   `json:"since"`
	Until      time.Time   `json:"until,omitzero"`        // zero: now
	CustomerID CustomerID  `json:"customer_id,omitempty"` // "": all
	HostID     HostID      `json:"host_id,omitempty"`     // "": all
	Rules      ReplayRules `json:"rules,omitzero"`
}

// ReplayRules are the settings that a replay has in place of the hub's. What is not
// named is as it is set now; RuleSettings replace all that is set there.
type ReplayRules struct {
	StaleSeconds int                         `json:"stale_seconds,omitempty"` // 0: the hub's
	DownSeconds  int                         `json:"down_seconds,omitempty"`
	Customers    map[CustomerID]RuleSettings `json:"customers,omitempty"`
	Hosts        map[HostID]RuleSettings     `json:"hosts,omitempty"`
}

// ReplayVerdict says where something was told.
type ReplayVerdict string

// The verdicts.
const (
	ReplaySame   ReplayVerdict = "same"   // then, and in the replay
	ReplayPartly ReplayVerdict = "partly" // a message of the replay that was told then in part
	ReplayNew    ReplayVerdict = "replay" // only in the replay
	ReplayThen   ReplayVerdict = "then"   // only then
)

// ReplayLine is a line of a replay's answer: one of its fields is set. Progress comes
// while it runs, then every message, and at last the summary or what went wrong.
type ReplayLine struct {
	Progress *ReplayProgress  `json:"progress,omitempty"`
	Message  *ReplayedMessage `json:"message,omitempty"`
	Summary  *ReplaySummary   `json:"summary,omitempty"`
	Error    *ErrorDetail     `json:"error,omitempty"`
}

// ReplayProgress is how far a replay has come.
type ReplayProgress struct {
	Reports int       `json:"reports"`
	At      time.Time `json:"at"` // in the past
}

// ReplayedMessage is a message of the replay; or, of verdict then, what of a message
// that was really made is in none of the replay.
type ReplayedMessage struct {
	Verdict    ReplayVerdict   `json:"verdict"`
	At         time.Time       `json:"at"` // when it was due
	RouteID    RouteID         `json:"route_id"`
	CustomerID CustomerID      `json:"customer_id,omitempty"`
	Reason     DeliveryReason  `json:"reason,omitempty"`
	DeliveryID DeliveryID      `json:"delivery_id,omitempty"` // of verdict then
	State      DeliveryState   `json:"state,omitempty"`       // likewise
	Events     List[ToldEvent] `json:"events"`
}

// ToldEvent is an event in a message.
type ToldEvent struct {
	Verdict    ReplayVerdict `json:"verdict"`
	Type       EventType     `json:"type"`
	At         time.Time     `json:"at"`
	CustomerID CustomerID    `json:"customer_id,omitempty"`
	HostID     HostID        `json:"host_id,omitempty"`
	VMID       VMID          `json:"vmid,omitempty"`
	Subject    string        `json:"subject,omitempty"`
	Severity   Severity      `json:"severity"`
	Summary    string        `json:"summary"`
}

// ReplaySummary is the end of a replay.
type ReplaySummary struct {
	Since    time.Time `json:"since"`
	Until    time.Time `json:"until"`
	BeganAt  time.Time `json:"began_at"` // the first report that was looked at: earlier than since, to know what was open then
	Reports  int       `json:"reports"`
	Damaged  int       `json:"damaged"` // reports that could not be read
	Hosts    int       `json:"hosts"`
	Messages struct {
		Replay int `json:"replay"` // in the replay
		Then   int `json:"then"`   // really made
	} `json:"messages"`
	Events struct { // told, each on each route
		Same   int `json:"same"`
		Replay int `json:"replay"` // only in the replay
		Then   int `json:"then"`   // only then
	} `json:"events"`
	Notes List[string] `json:"notes"` // what the replay cannot know, for people
}
