package rig

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Metric is one sample of /metrics, by its name with labels, as it stands there.
func (a *Admin) Metric(ctx context.Context, name string) (float64, error) {
	status, body, err := a.do(ctx, http.MethodGet, "/metrics", nil)
	if err != nil || status != http.StatusOK {
		return 0, fmt.Errorf("read metrics: status %d: %w", status, err)
	}
	for line := range strings.Lines(string(body)) {
		if rest, ok := strings.CutPrefix(line, name+" "); ok {
			return strconv.ParseFloat(strings.TrimSpace(rest), 64)
		}
	}
	return 0, fmt.Errorf("read metrics: there is no %s", name)
}

// Page is one page of a list of hosts, as a client sees it: how many there are on
// it, where it goes on ("" at the end), and how long the answer took.
func (a *Admin) Page(ctx context.Context, query string) (hosts int, next string, took time.Duration, err error) {
	var page struct {
		Items []struct{} `json:"items"`
		Next  string     `json:"next_cursor"`
	}
	begin := time.Now()
	err = a.ask(ctx, http.MethodGet, "/hosts?"+query, nil, &page)
	return len(page.Items), page.Next, time.Since(begin), err
}

// Rest waits until the process has used less than a tenth of a processor for two
// seconds, at most so long: what a start leaves behind (compaction, collection) is over.
func (p *Process) Rest(ctx context.Context, most time.Duration) error {
	const look = 2 * time.Second
	for end := time.Now().Add(most); time.Now().Before(end); {
		before, err := p.CPU()
		if err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(look):
		}
		after, err := p.CPU()
		if err != nil || after-before < look/10 {
			return err
		}
	}
	return nil
}
