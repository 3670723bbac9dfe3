package messages

import "time"

// DrillQuery asks for a drill: of a host or, without one, of a customer.
type DrillQuery struct {
	CustomerID     CustomerID `json:"customer_id,omitempty"`
	HostID         HostID     `json:"host_id,omitempty"`
	RouteID        RouteID    `json:"route_id,omitempty"`        // "": all that would hear of an outage
	TimeoutSeconds int        `json:"timeout_seconds,omitempty"` // for the answers to each message; 0: 30
}

// DrillStepName says how far a message of a drill has come.
type DrillStepName string

// The steps, in order. A route that was not answered well tries again.
const (
	DrillDecided  DrillStepName = "decided"
	DrillDurable  DrillStepName = "durable"  // on stable storage, with its deliveries
	DrillTaken    DrillStepName = "taken"    // by the route
	DrillSent     DrillStepName = "sent"     // to the far end
	DrillAnswered DrillStepName = "answered" // by it
)

// DrillLine is a line of a drill's answer: one of its fields is set.
type DrillLine struct {
	Step   *DrillStep   `json:"step,omitempty"`
	Result *DrillResult `json:"result,omitempty"`
	Error  *ErrorDetail `json:"error,omitempty"`
}

// DrillStep is a message of the drill that came a step further.
type DrillStep struct {
	Part       EventType     `json:"part"` // drill or drill_over
	Step       DrillStepName `json:"step"`
	At         time.Time     `json:"at"`
	AfterMS    float64       `json:"after_ms"` // since it was decided
	RouteID    RouteID       `json:"route_id,omitempty"`
	DeliveryID DeliveryID    `json:"delivery_id,omitempty"`

	// Of the step answered.
	OK         bool   `json:"ok,omitempty"`
	StatusCode int    `json:"status_code,omitempty"`
	Answer     string `json:"answer,omitempty"`
}

// DrillResult is how a drill ended: well when every route took both messages in time.
type DrillResult struct {
	OK     bool               `json:"ok"`
	Routes List[DrillOfRoute] `json:"routes"`
}

// DrillOfRoute is what a route did in all.
type DrillOfRoute struct {
	RouteID RouteID `json:"route_id"`
	OK      bool    `json:"ok"`
	AfterMS float64 `json:"after_ms"` // the slower of the two, until it was answered
	Problem string  `json:"problem,omitempty"`
}
