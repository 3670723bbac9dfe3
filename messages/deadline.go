package messages

import "time"

// DeadlineID is a ULID.
type DeadlineID string

// Expectation is what a deadline asks for.
type Expectation string

// The expectations.
const (
	ExpectController Expectation = "controller" // a report of the controller that Subject names
	ExpectHost       Expectation = "host"       // a report of the host
	ExpectBackup     Expectation = "backup"     // a good backup of the guest, or of every guest of the host
)

// Weekdays are their words, by time.Weekday.
var Weekdays = [...]string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

// Bounds of a deadline's grace, in seconds.
const (
	DefaultDeadlineGrace = 900
	MaxDeadlineGrace     = 12 * 3600
)

// Deadline is a time of day by which something of a customer must have come. A
// report counts for the period in which it came: behind the grace of the deadline
// before, up to the end of its own.
type Deadline struct {
	ID           DeadlineID  `json:"deadline_id"`
	CustomerID   CustomerID  `json:"customer_id"`
	Name         string      `json:"name"`
	Time         string      `json:"time"`      // "06:00"
	TimeZone     string      `json:"time_zone"` // "Europe/Budapest"
	Weekdays     []string    `json:"weekdays"`  // of the zone; empty: every day
	Expect       Expectation `json:"expect"`
	Subject      string      `json:"subject"` // a controller_id, host_id or guest_id
	GraceSeconds int64       `json:"grace_seconds"`
	CreatedAt    time.Time   `json:"created_at"`

	// What was decided: the newest deadline, and the open miss.
	DecidedAt  time.Time  `json:"decided_at,omitzero"`
	MissedAt   time.Time  `json:"missed_at,omitzero"`   // the first deadline that was missed
	MissedFrom time.Time  `json:"missed_from,omitzero"` // the beginning of its period
	Incident   IncidentID `json:"incident_id,omitempty"`
}
