package api

import (
	"context"
	"errors"
	"io"
	"time"

	"felhom.eu/messages"
)

// The errors a Fleet answers with; error.go turns them into statuses.
var (
	ErrNotFound    = errors.New("not found")
	ErrExists      = errors.New("exists already")
	ErrInUse       = errors.New("still in use")
	ErrUnknownHost = errors.New("unknown host")
	ErrTooMany     = errors.New("too many")
	ErrBusy        = errors.New("at work")
	ErrNoRoute     = errors.New("no route would hear of it")
	// ErrTokenRefused is returned for an enrolment token that is unknown, expired,
	// used up, or for other machines.
	ErrTokenRefused = errors.New("enrolment token refused")
	// ErrUnavailable is returned when the hub cannot make something durable
	// now, or has more in flight than it may: nothing was done.
	ErrUnavailable = errors.New("unavailable")
)

// Receipt is what a durable report or goodbye is answered with.
type Receipt struct {
	PollIntervalSeconds int
	Blocked             bool
	DesiredGeneration   uint64
}

// Reporter takes what hosts and controllers say. Its methods return only when it is on stable
// storage or refused, keep nothing of their arguments, and may be called from
// any number of goroutines.
type Reporter interface {
	// Record stores a report that Scan accepted. Errors: ErrUnknownHost, ErrUnavailable.
	Record(s *messages.Summary, body []byte) (Receipt, error)
	// Goodbye holds the host's alarms. Errors: ErrUnknownHost, ErrUnavailable.
	Goodbye(g messages.Goodbye) (Receipt, error)
	// RecordController stores a controller's report; its first one makes the controller.
	// Errors: ErrNotFound when the customer is gone, ErrTooMany, ErrUnavailable.
	RecordController(c messages.CustomerID, r messages.ControllerReport, body []byte) (Receipt, error)
}

// Fleet is what the API asks of the hub, one method a question. Every method
// may return ErrUnavailable; the others are named.
type Fleet interface {
	Reporter

	AddCustomer(ctx context.Context, id messages.CustomerID, name string) (messages.Customer, error) // ErrExists
	SetBlocked(ctx context.Context, id messages.CustomerID, blocked bool) (messages.Customer, error) // ErrNotFound
	RemoveCustomer(ctx context.Context, id messages.CustomerID) error                                // ErrNotFound, ErrInUse
	Customer(ctx context.Context, id messages.CustomerID) (messages.Customer, error)                 // ErrNotFound
	// Customers are ordered by id; after is exclusive.
	Customers(ctx context.Context, after messages.CustomerID, limit int) ([]messages.Customer, error)

	// MintHost makes a host, of which the customer, the poll interval and the site count,
	// and its key, shown once. ErrNotFound: no such customer.
	MintHost(ctx context.Context, h messages.Host) (messages.HostID, messages.Secret, error)
	SetSite(ctx context.Context, id messages.HostID, site string) error         // ErrNotFound
	RotateKey(ctx context.Context, id messages.HostID) (messages.Secret, error) // ErrNotFound
	RevokeKey(ctx context.Context, id messages.HostID) error                    // ErrNotFound
	RemoveHost(ctx context.Context, id messages.HostID) error                   // ErrNotFound
	Host(ctx context.Context, id messages.HostID) (HostView, error)             // ErrNotFound
	// Hosts are ordered by id; after is exclusive.
	Hosts(ctx context.Context, f HostFilter, after messages.HostID, limit int) ([]HostView, error)
	Guests(ctx context.Context, id messages.HostID) ([]messages.GuestRecord, error)

	// Rules are the settings of a customer or, when host is given, of a host. ErrNotFound.
	Rules(ctx context.Context, customer messages.CustomerID, host messages.HostID) (RulesView, error)
	// SetRules replaces them. ErrNotFound, InvalidField.
	SetRules(ctx context.Context, s messages.RuleSettings) error
	// Protection lists guests by host and vmid; after is exclusive.
	Protection(ctx context.Context, f ProtectionFilter, after messages.GuestID, limit int) ([]messages.Protection, error)

	// RotateCustomerKey makes the key by which a customer's controllers report. ErrNotFound.
	RotateCustomerKey(ctx context.Context, id messages.CustomerID) (messages.Secret, error)
	RevokeCustomerKey(ctx context.Context, id messages.CustomerID) error // ErrNotFound
	// Controllers of a customer are ordered by id; after is exclusive. ErrNotFound.
	Controllers(ctx context.Context, c messages.CustomerID, after messages.ControllerID, limit int) ([]ControllerView, error)
	Controller(ctx context.Context, n messages.ControllerName) (ControllerView, error) // ErrNotFound
	RemoveController(ctx context.Context, n messages.ControllerName) error             // ErrNotFound
	// ControllerReports are as Reports, ControllerReport is as Report.
	ControllerReports(ctx context.Context, n messages.ControllerName, from messages.ReportRef, limit int) (rs []ReportView, next messages.ReportRef, err error)
	ControllerReport(ctx context.Context, n messages.ControllerName, r messages.ReportID) ([]byte, error)

	// AddDeadline makes a deadline. ErrNotFound: no such customer; ErrTooMany, InvalidField.
	AddDeadline(ctx context.Context, d messages.Deadline) (DeadlineView, error)
	Deadlines(ctx context.Context, c messages.CustomerID) ([]DeadlineView, error)            // ErrNotFound
	RemoveDeadline(ctx context.Context, c messages.CustomerID, id messages.DeadlineID) error // ErrNotFound

	// Reports are newest first. The zero ref starts at the newest; next is zero at the end.
	Reports(ctx context.Context, id messages.HostID, from messages.ReportRef, limit int) (rs []ReportView, next messages.ReportRef, err error)
	// Report is one report's body as it was received. ErrNotFound.
	Report(ctx context.Context, id messages.HostID, r messages.ReportID) ([]byte, error)

	// Series is a host's figures, oldest first, bounded to a few thousand. ErrNotFound.
	Series(ctx context.Context, id messages.HostID, r messages.Resolution, from, to time.Time) ([]messages.Usage, error)

	// HostAvailability is how much of the last months a host could be heard, newest
	// first; a month of which nothing is known is left out. ErrNotFound.
	HostAvailability(ctx context.Context, id messages.HostID, months int) ([]messages.Availability, error)
	// CustomerAvailability is that of all hosts which a customer has now. ErrNotFound.
	CustomerAvailability(ctx context.Context, id messages.CustomerID, months int) ([]messages.Availability, error)

	// Events are oldest first; after is exclusive.
	Events(ctx context.Context, f EventFilter, after messages.EventID, limit int) ([]messages.Event, error)
	// EventPage is oldest or newest first, from the one behind an event; next is where the
	// next page goes on, "" at the end. A page may hold fewer than limit, or none, and not
	// be the last: what a page looks at is bounded.
	EventPage(ctx context.Context, f EventFilter, newest bool, behind messages.EventID, limit int) (rows []messages.Event, next messages.EventID, err error)

	// AddToken makes an enrolment token that lives so long; the secret is shown once.
	// ErrNotFound: no such customer.
	AddToken(ctx context.Context, t messages.EnrollToken, life time.Duration) (messages.EnrollToken, messages.Secret, error)
	Tokens(ctx context.Context) ([]messages.EnrollToken, error) // by id
	RemoveToken(ctx context.Context, id messages.TokenID) error // ErrNotFound
	// Enroll makes a host for who presents a token with that hash, or gives the host
	// that it is already, if any, another key. ErrTokenRefused.
	Enroll(ctx context.Context, token messages.KeyHash, r messages.EnrollRequest, is messages.HostID) (messages.HostID, messages.Secret, error)

	AddRoute(ctx context.Context, r messages.Route) (messages.Route, error) // ErrNotFound: no such customer
	RemoveRoute(ctx context.Context, id messages.RouteID) error             // ErrNotFound
	Routes(ctx context.Context) ([]messages.Route, error)
	// TestRoute sends one notification now and tells what the far end said. ErrNotFound.
	TestRoute(ctx context.Context, id messages.RouteID) (RouteAnswer, error)

	silencer
	alarmKeeper
	routeChanger

	// Deliveries are newest first; before is exclusive.
	Deliveries(ctx context.Context, f DeliveryFilter, before messages.DeliveryID, limit int) ([]messages.Delivery, error)
	// Delivery is one with the events that it tells. ErrNotFound.
	Delivery(ctx context.Context, id messages.DeliveryID) (messages.Delivery, []messages.Event, error)
	RetryDelivery(ctx context.Context, id messages.DeliveryID) error // ErrNotFound

	// Replay runs the past through the rules and tells it line by line; an error of line
	// ends it. ErrBusy, InvalidField.
	Replay(ctx context.Context, q messages.ReplayQuery, line func(messages.ReplayLine) error) error

	// SaveAccess makes durable what changed of users and sessions, and the audit note
	// of its context. ErrNotFound: no such customer.
	SaveAccess(ctx context.Context, c AccessChange) error
	// Audit is the audit log, oldest first; after is exclusive.
	Audit(ctx context.Context, after uint64, limit int) ([]messages.AuditRecord, error)

	// Drill walks a made-up outage and its end through the chain, and tells it line by
	// line. ErrNotFound, ErrNoRoute.
	Drill(ctx context.Context, q messages.DrillQuery, line func(messages.DrillLine) error) error

	// Backup streams a consistent copy of the store to w.
	Backup(ctx context.Context, w io.Writer) error
	// Health says how the hub is; Ready is false while it cannot accept reports.
	Health() Health
}

// HostFilter narrows a list of hosts; zero fields match all.
type HostFilter struct {
	CustomerID messages.CustomerID
	Phase      *messages.Phase
	Site       string
}

// EventFilter narrows a list of events; zero fields match all.
type EventFilter struct {
	CustomerID messages.CustomerID
	HostID     messages.HostID
	Type       messages.EventType
	IncidentID messages.IncidentID
	Text       string // in the summary, the host or the customer; case does not count
}

// DeliveryFilter narrows a list of deliveries; zero fields match all.
type DeliveryFilter struct {
	CustomerID messages.CustomerID
	State      messages.DeliveryState
}

// AccessChange is what changed of who may sign in and who is signed in.
type AccessChange struct {
	PutUsers    []messages.User
	DelUsers    []messages.UserName
	PutSessions []messages.Session
	DelSessions []messages.KeyHash
}

// ProtectionFilter narrows a list of guests; zero fields match all.
type ProtectionFilter struct {
	CustomerID messages.CustomerID
	HostID     messages.HostID
	State      messages.ProtectionState
}

// RulesView is what is set for a customer or host itself, and what holds for it.
type RulesView struct {
	Own       messages.RuleSettings `json:"own"`
	Effective messages.RuleSettings `json:"effective"`
}

// HostView is a host with its state as of Now in listening time.
type HostView struct {
	Host    messages.Host
	State   messages.HostState
	Silence time.Duration // listening time since the last contact; 0 when new
}

// ControllerView is a controller as of Now in listening time.
type ControllerView struct {
	State   messages.ControllerState
	Silence time.Duration // listening time since the last report
}

// ReportView is a line in the list of a host's or a controller's reports.
type ReportView struct {
	ID         messages.ReportID
	ReceivedAt time.Time
	ReportedAt time.Time
	Older      bool // came after a newer one, which the host's state is of
	Figures    messages.Figures
	Bytes      int
}

// RouteAnswer is what the far end of a route said to a test.
type RouteAnswer struct {
	OK         bool   `json:"ok"`
	StatusCode int    `json:"status_code,omitempty"`
	Answer     string `json:"answer,omitempty"` // at most 500 bytes of the body
	Error      string `json:"error,omitempty"`
	DurationMS int64  `json:"duration_ms"`
}

// Health is the hub's own state, for /readyz, /metrics and the dashboard.
type Health struct {
	Ready          bool
	Reason         string // why not ready, in one line
	StartedAt      time.Time
	Listening      bool
	Listened       time.Duration
	Hosts          [4]int // by messages.Phase; those whose actors are up
	Controllers    [4]int // likewise
	HostsStarting  int    // stored ones whose actors are not up yet; their reports are accepted
	Customers      int
	ReportsTotal   uint64 // accepted since start
	RepeatsTotal   uint64
	RefusedTotal   uint64 // 503 since start
	EventsTotal    uint64
	BatchesTotal   uint64
	ActorPanics    uint64
	DeadLetters    uint64
	DamagedTotal   uint64 // rows of the store that were found damaged, and begun anew, since start
	PendingOut     int    // deliveries not yet sent
	DeadOut        int
	InFlight       int
	LastCommitTook time.Duration
	StoreBytes     int64

	Alarms                             messages.AlarmCounts // that are still wrong, by severity
	AlarmsAcknowledged, AlarmsSilenced int                  // of these
	DiskFreeBytes                      uint64
}
