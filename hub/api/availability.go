package api

import (
	"math"
	"strconv"

	"github.com/valyala/fasthttp"

	"felhom.eu/messages"
)

const (
	defaultMonths = 12
	maxMonths     = 36
)

// availability is a host's or a customer's, month by month.
type availability struct {
	HostID     messages.HostID     `json:"host_id,omitempty"`
	CustomerID messages.CustomerID `json:"customer_id"`
	Months     []availableMonth    `json:"months"` // newest first
}

// availableMonth is a month in the listening time of the hub.
type availableMonth struct {
	Month           messages.Month `json:"month"`
	Hosts           *int           `json:"hosts,omitempty"` // of a customer
	Outages         int            `json:"outages"`
	ListenedSeconds int64          `json:"listened_seconds"`
	DownSeconds     int64          `json:"down_seconds"`
	PlannedSeconds  int64          `json:"planned_seconds"`
	Ratio           *float64       `json:"availability_ratio"` // null when nothing was listened to
}

func (s *Server) hostAvailability(ctx *fasthttp.RequestCtx, a args) error {
	id, err := hostOf(a)
	if err != nil {
		return err
	}
	months, err := monthsOf(ctx)
	if err != nil {
		return err
	}
	c, cancel := s.ask()
	defer cancel()
	all, err := s.fleet.HostAvailability(c, id, months)
	if err != nil {
		return err
	}
	return answerJSON(ctx, 200, availability{HostID: id, CustomerID: id.Customer(), Months: shownMonths(all, false)})
}

func (s *Server) customerAvailability(ctx *fasthttp.RequestCtx, a args) error {
	id, err := messages.ParseCustomerID(a.params[0])
	if err != nil {
		return errNotFound
	}
	months, err := monthsOf(ctx)
	if err != nil {
		return err
	}
	c, cancel := s.ask()
	defer cancel()
	all, err := s.fleet.CustomerAvailability(c, id, months)
	if err != nil {
		return err
	}
	return answerJSON(ctx, 200, availability{CustomerID: id, Months: shownMonths(all, true)})
}

// monthsOf is how many months are asked for, the present one counted.
func monthsOf(ctx *fasthttp.RequestCtx) (int, error) {
	q, err := readQuery(ctx, "months")
	switch {
	case err != nil:
		return 0, err
	case q.Has("limit") || q.Has("cursor"):
		return 0, &fieldError{"limit, cursor", "these are all on one page"}
	case !q.Has("months"):
		return defaultMonths, nil
	}
	n, err := strconv.Atoi(q.Get("months"))
	if err != nil || n < 1 || n > maxMonths {
		return 0, &fieldError{"months", "want 1 to 36"}
	}
	return n, nil
}

func shownMonths(all []messages.Availability, ofCustomer bool) []availableMonth {
	shown := make([]availableMonth, len(all))
	for i, m := range all {
		s := availableMonth{Month: m.Month, Outages: m.Outages, ListenedSeconds: int64(m.Listened.Seconds()),
			DownSeconds: int64(m.Down.Seconds()), PlannedSeconds: int64(m.Planned.Seconds())}
		if ofCustomer {
			s.Hosts = new(m.Hosts)
		}
		if r, known := m.Ratio(); known {
			s.Ratio = new(math.Floor(r*1e6) / 1e6) // an outage is never rounded away
		}
		shown[i] = s
	}
	return shown
}
