package command

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"felhom.eu/hub/terminal"
	"felhom.eu/messages"
)

const sparkCells = 60 // beside the figures, on a terminal of 80 columns and more

// series is a host's series as the admin API shows it, column by column.
type series struct {
	Resolution messages.Resolution                   `json:"resolution"`
	From       time.Time                             `json:"from"`
	To         time.Time                             `json:"to"`
	Reports    []*float64                            `json:"reports"`
	CPU        struct{ Average, Maximum []*float64 } `json:"cpu_used_ratio"`
	Memory     struct{ Average, Maximum []*float64 } `json:"memory_used_ratio"`
	Disk       struct{ Average, Maximum []*float64 } `json:"disk_used_ratio"`
	Guests     struct{ Minimum, Maximum []*float64 } `json:"guests_running"`
}

func (a *app) hostSeriesCommand() *cobra.Command {
	var since, resolution string
	var span time.Duration
	cmd := &cobra.Command{
		Use: "series HOST", Short: "Show a host's use over time",
		Args: func(cmd *cobra.Command, args []string) (err error) {
			if span, err = spanOf(since); err != nil || span <= 0 {
				return fmt.Errorf("--since %q: want an age, such as 30h or 8d", since)
			}
			if !slices.Contains([]string{"auto", "raw", "15m", "2h"}, resolution) {
				return fmt.Errorf("--resolution %q: want auto, raw, 15m or 2h", resolution)
			}
			return idArg(messages.ParseHostID)(cmd, args)
		},
		RunE: a.ask(func(ctx context.Context, s *session, args []string) error {
			q := filter("from", time.Now().Add(-span).UTC().Format(time.RFC3339), "resolution", resolution)
			ctx, cancel := context.WithTimeout(ctx, requestTimeout)
			defer cancel()
			raw, err := s.do(ctx, http.MethodGet, "hosts/"+args[0]+"/series", q, nil)
			if err != nil {
				return err
			}
			if a.json {
				return a.out.Document(raw)
			}
			var v series
			if err := json.Unmarshal(raw, &v); err != nil {
				return fmt.Errorf("decode the hub's series: %w", err)
			}
			return a.showSeries(v)
		}),
	}
	cmd.Flags().StringVar(&since, "since", "24h", "how far back, as an `AGE` such as 30h or 8d; at most 400d")
	cmd.Flags().StringVar(&resolution, "resolution", "auto", "`raw` for 2 days, 15m for 30, 2h for 400, or auto")
	return cmd
}

// seriesRow is a figure over time.
type seriesRow struct {
	name       string
	line, peak []*float64
	top        float64 // of the line; 0: its own peak
	text       func(*float64) string
}

func (a *app) showSeries(v series) error {
	rows := []seriesRow{
		{"cpu", v.CPU.Average, v.CPU.Maximum, 1, ratioText},
		{"memory", v.Memory.Average, v.Memory.Maximum, 1, ratioText},
		{"disk", v.Disk.Average, v.Disk.Maximum, 1, ratioText},
		{"guests", v.Guests.Minimum, v.Guests.Maximum, 0, countText},
		{"reports", v.Reports, v.Reports, 0, countText},
	}
	for i := range rows {
		if r := &rows[i]; r.top == 0 {
			if p := highest(r.peak); p != nil {
				r.top = *p
			}
		}
	}
	columns := []terminal.Column[seriesRow]{
		{Title: "figure", Cell: func(r seriesRow) string { return r.name }},
		{Title: "average", Right: true, Cell: func(r seriesRow) string { return r.text(average(r.line)) }},
		{Title: "highest", Right: true, Cell: func(r seriesRow) string { return r.text(highest(r.peak)) }},
		{Title: "over time", Cell: func(r seriesRow) string { return terminal.Spark(r.line, r.top, sparkCells) }},
	}
	a.out.Remark("%s to %s, %s", v.From.Local().Format(time.DateTime), v.To.Local().Format(time.DateTime), terminal.Clean(string(v.Resolution)))
	return terminal.Tabulate(a.out, columns, terminal.All(rows), "")
}

func average(vs []*float64) *float64 {
	sum, n := 0.0, 0
	for _, v := range vs {
		if v != nil {
			sum, n = sum+*v, n+1
		}
	}
	if n == 0 {
		return nil
	}
	return new(sum / float64(n))
}

func highest(vs []*float64) (top *float64) {
	for _, v := range vs {
		if v != nil && (top == nil || *v > *top) {
			top = v
		}
	}
	return top
}

func ratioText(v *float64) string {
	if v == nil {
		return terminal.Percent(nil)
	}
	return terminal.Percent(new(*v * 100))
}

func countText(v *float64) string {
	if v == nil {
		return terminal.OrDash("")
	}
	return fmt.Sprintf("%.3g", *v)
}
