package api

import (
	"context"

	"github.com/valyala/fasthttp"

	"felhom.eu/messages"
)

const maxDrillTimeout = 60 // seconds: after a minute a route gives a drill up

type drillInput struct {
	CustomerID     string `json:"customer_id"`
	HostID         string `json:"host_id"`
	RouteID        string `json:"route_id"`
	TimeoutSeconds int    `json:"timeout_seconds"`
}

// drill streams the steps of a made-up outage and of its end.
func (s *Server) drill(ctx *fasthttp.RequestCtx, _ args) error {
	q, err := s.drillQuery(ctx)
	if err != nil {
		return err
	}
	return s.lines(ctx, "drill", func(c context.Context, line func(any) error) error {
		return s.fleet.Drill(c, q, func(l messages.DrillLine) error { return line(l) })
	}, func(e messages.ErrorDetail) any { return messages.DrillLine{Error: &e} })
}

func (s *Server) drillQuery(ctx *fasthttp.RequestCtx) (q messages.DrillQuery, err error) {
	var in drillInput
	if err := s.decode(ctx, &in); err != nil {
		return q, err
	}
	if (in.CustomerID == "") == (in.HostID == "") {
		return q, &fieldError{"host_id, customer_id", "want one of them"}
	}
	if in.CustomerID != "" {
		if q.CustomerID, err = field("customer_id", in.CustomerID, messages.ParseCustomerID); err != nil {
			return q, err
		}
	} else if q.HostID, err = field("host_id", in.HostID, messages.ParseHostID); err != nil {
		return q, err
	}
	if in.RouteID != "" {
		if q.RouteID, err = field("route_id", in.RouteID, parseRouteID); err != nil {
			return q, err
		}
	}
	if q.TimeoutSeconds = in.TimeoutSeconds; q.TimeoutSeconds < 0 || q.TimeoutSeconds > maxDrillTimeout {
		return q, &fieldError{"timeout_seconds", "want 1 to 60"}
	}
	return q, nil
}
