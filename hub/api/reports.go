package api

import (
	"context"

	"github.com/valyala/fasthttp"

	"felhom.eu/messages"
)

// listReportsOf answers a page of a host's or a controller's reports, newest
// first; read gets them from the report at from on, and where to go on.
func listReportsOf[V any](s *Server, ctx *fasthttp.RequestCtx,
	read func(c context.Context, from messages.ReportRef, limit int) ([]ReportView, messages.ReportRef, error), view func(ReportView) V,
) error {
	q, err := readQuery(ctx)
	if err != nil {
		return err
	}
	from, err := readReportCursor(q.cursor)
	if err != nil {
		return err
	}
	c, cancel := s.ask()
	defer cancel()
	rows, next, err := read(c, from, q.limit)
	if err != nil {
		return err
	}
	p := page[V]{Items: make([]V, len(rows))}
	for i, r := range rows {
		p.Items[i] = view(r)
	}
	if !next.IsZero() {
		cursor := makeReportCursor(next)
		p.Next = &cursor
	}
	return answerJSON(ctx, 200, p)
}

// showReportOf answers the body of the report that a path names.
func showReportOf(s *Server, ctx *fasthttp.RequestCtx, name string, read func(context.Context, messages.ReportID) ([]byte, error)) error {
	report, err := messages.ParseULID[messages.ReportID]("report_id", name)
	if err != nil {
		return errNotFound
	}
	c, cancel := s.ask()
	defer cancel()
	body, err := read(c, report)
	if err != nil {
		return err
	}
	answer(ctx, 200, body)
	return nil
}
