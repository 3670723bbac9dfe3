package main

import (
	"context"
	"net/url"
	"time"

	"felhom.eu/bench/rig"
)

// question is what an operator asks of the fleet, and how soon it is answered.
type question struct {
	Name        string  `json:"name"`
	Hosts       int     `json:"hosts"`        // in the answer, all pages
	Seconds     float64 `json:"seconds"`      // all pages
	PageSeconds float64 `json:"page_seconds"` // the slowest of them
}

// askAll asks twice and counts the second: the first brings the store's pages in.
func askAll(ctx context.Context, h *rig.Hub, n int) (qs []question, err error) {
	for pass := range 2 {
		qs = nil
		for _, ask := range []struct {
			name, query string
			pages       int // 0: all
		}{
			{"the first hundred", "limit=100", 1},
			{"a customer in the middle", "limit=1000&customer_id=" + rig.CustomerAt(n/2, perCustomer), 1},
			{"those that are down", "limit=100&state=down", 1},
			{"those that are ok", "limit=100&state=ok", 1},
			{"a customer's that are stale", "limit=100&state=stale&customer_id=" + rig.CustomerAt(n/2, perCustomer), 1},
			{"all, a thousand a page", "limit=1000", 0},
		} {
			if pass == 0 && ask.pages == 0 {
				continue
			}
			q, err := pages(ctx, h, ask.query, ask.pages)
			if err != nil {
				return nil, err
			}
			q.Name = ask.name
			qs = append(qs, q)
		}
	}
	return qs, nil
}

// pages reads so many pages of a list, or all.
func pages(ctx context.Context, h *rig.Hub, query string, most int) (q question, err error) {
	cursor := ""
	for read := 0; most == 0 || read < most; read++ {
		at := query
		if cursor != "" {
			at += "&cursor=" + url.QueryEscape(cursor)
		}
		n, next, took, err := h.Page(ctx, at)
		if err != nil {
			return q, err
		}
		q.Hosts += n
		q.Seconds += took.Seconds()
		q.PageSeconds = max(q.PageSeconds, took.Seconds())
		if cursor = next; cursor == "" {
			break
		}
	}
	return q, nil
}

// quick is how a duration reads in the table.
func quick(seconds float64) string {
	return time.Duration(seconds * float64(time.Second)).Round(100 * time.Microsecond).String()
}
