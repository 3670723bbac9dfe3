package command

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"felhom.eu/hub/terminal"
)

// Availability is a host's or a customer's availability as the admin API shows it.
type Availability struct {
	Months []AvailableMonth `json:"months"`
}

// AvailableMonth is one month of it.
type AvailableMonth struct {
	Month           string   `json:"month"`
	Hosts           *int     `json:"hosts"` // nil of a host
	Outages         int      `json:"outages"`
	ListenedSeconds int64    `json:"listened_seconds"`
	DownSeconds     int64    `json:"down_seconds"`
	PlannedSeconds  int64    `json:"planned_seconds"`
	Ratio           *float64 `json:"availability_ratio"`
}

// availabilityCommand shows the availability of one of what stands under path.
func (a *app) availabilityCommand(of, path, short string, one cobra.PositionalArgs) *cobra.Command {
	var months int
	cmd := &cobra.Command{
		Use: "availability " + of, Short: short,
		Long: short + ". A month (UTC) counts the time in which the hub listened and the host was\n" +
			"known; of that, down is from the last contact before a host_down to the next one.",
		Args: one,
		RunE: a.ask(func(ctx context.Context, s *session, args []string) error {
			ctx, cancel := context.WithTimeout(ctx, requestTimeout)
			defer cancel()
			raw, err := s.do(ctx, http.MethodGet, path+"/"+args[0]+"/availability", filter("months", fmt.Sprint(months)), nil)
			if err != nil {
				return err
			}
			if a.json {
				return a.out.Document(raw)
			}
			var v Availability
			if err := json.Unmarshal(raw, &v); err != nil {
				return fmt.Errorf("decode the hub's availability: %w", err)
			}
			return terminal.Tabulate(a.out, availabilityColumns(), terminal.All(v.Months), "nothing was listened to yet")
		}),
	}
	cmd.Flags().IntVar(&months, "months", 12, "how many `MONTHS` back, 1 to 36, the present one counted")
	return cmd
}

func availabilityColumns() []terminal.Column[AvailableMonth] {
	span := func(seconds int64) string {
		if seconds == 0 {
			return terminal.OrDash("")
		}
		return terminal.InWords(time.Duration(seconds) * time.Second)
	}
	return []terminal.Column[AvailableMonth]{
		{Title: "month", Cell: func(m AvailableMonth) string { return terminal.Clean(m.Month) }},
		{Title: "available", Right: true, Cell: func(m AvailableMonth) string {
			if m.Ratio == nil {
				return terminal.OrDash("")
			}
			return fmt.Sprintf("%.3f %%", 100**m.Ratio)
		}},
		{Title: "outages", Right: true, Cell: func(m AvailableMonth) string { return fmt.Sprint(m.Outages) }},
		{Title: "down", Right: true, Cell: func(m AvailableMonth) string { return span(m.DownSeconds) }},
		{Title: "planned", Right: true, Cell: func(m AvailableMonth) string { return span(m.PlannedSeconds) }},
		{Title: "listened", Right: true, Cell: func(m AvailableMonth) string { return span(m.ListenedSeconds) }},
		{Title: "hosts", Right: true, Cell: func(m AvailableMonth) string {
			if m.Hosts == nil {
				return terminal.OrDash("")
			}
			return fmt.Sprint(*m.Hosts)
		}},
	}
}
