package api

import (
	"fmt"
	"strings"

	"github.com/valyala/fasthttp"

	"felhom.eu/messages"
)

// healthz says that the process answers, and nothing more: whether it should be
// sent reports is readyz.
func (s *Server) healthz(ctx *fasthttp.RequestCtx, _ args) error {
	return answerJSON(ctx, 200, map[string]string{"status": "ok", "version": s.cfg.Version})
}

func (s *Server) readyz(ctx *fasthttp.RequestCtx, _ args) error {
	if h := s.fleet.Health(); !h.Ready {
		return &problem{status: 503, code: messages.CodeUnavailable, message: "not ready: " + redact(h.Reason)}
	}
	return answerJSON(ctx, 200, map[string]string{"status": "ready"})
}

// metrics writes the text format of Prometheus, version 0.0.4. It needs no key, as
// scrapers have none: it counts, and names no customer, host or route.
func (s *Server) metrics(ctx *fasthttp.RequestCtx, _ args) error {
	h := s.fleet.Health()
	var m exposition
	m.one("felhom_build_info", "gauge", "What is running.", 1, "version", s.cfg.Version)
	m.one("felhom_ready", "gauge", "1 while the hub can accept reports.", truth(h.Ready))
	m.one("felhom_listening", "gauge", "1 while time counts as listening time.", truth(h.Listening))
	m.one("felhom_start_time_seconds", "gauge", "When the hub started, Unix time.", unixSeconds(h))
	m.one("felhom_listened_seconds_total", "counter", "Time for which the hub could accept reports, since its first start.", h.Listened.Seconds())

	m.head("felhom_hosts", "gauge", "Hosts by state.")
	for p, n := range h.Hosts {
		m.row("felhom_hosts", float64(n), "state", messages.Phase(p).String())
	}
	m.one("felhom_hosts_starting", "gauge", "Stored hosts that are not counted by state yet, after a start. Their reports are accepted.", float64(h.HostsStarting))
	m.head("felhom_controllers", "gauge", "Controllers by state.")
	for p, n := range h.Controllers {
		if p := messages.Phase(p); p != messages.PhaseNew { // there are none: the first report makes one
			m.row("felhom_controllers", float64(n), "state", p.String())
		}
	}
	m.one("felhom_customers", "gauge", "Customers.", float64(h.Customers))
	m.one("felhom_api_keys", "gauge", "Live API keys, the global one not counted.", float64(s.keys.Len()))

	m.one("felhom_reports_total", "counter", "Reports accepted since start.", float64(h.ReportsTotal))
	m.one("felhom_report_repeats_total", "counter", "Exact repeats acknowledged again since start.", float64(h.RepeatsTotal))
	m.one("felhom_reports_refused_total", "counter", "Reports answered 503 since start.", float64(h.RefusedTotal))
	m.one("felhom_reports_in_flight", "gauge", "Reports on their way to stable storage.", float64(h.InFlight))
	m.one("felhom_events_total", "counter", "Events written since start.", float64(h.EventsTotal))
	m.one("felhom_batches_total", "counter", "Commits since start.", float64(h.BatchesTotal))
	m.one("felhom_last_commit_seconds", "gauge", "How long the last commit took.", h.LastCommitTook.Seconds())
	m.one("felhom_deliveries_pending", "gauge", "Deliveries not yet sent.", float64(h.PendingOut))
	m.one("felhom_deliveries_dead", "gauge", "Deliveries given up.", float64(h.DeadOut))
	m.one("felhom_damaged_rows_total", "counter", "Rows of the store that were found damaged and begun anew, since start.", float64(h.DamagedTotal))
	m.head("felhom_alarms", "gauge", "Alarms that are still wrong, by severity.")
	for s, n := range []int{h.Alarms.Info, h.Alarms.Warning, h.Alarms.Critical} {
		m.row("felhom_alarms", float64(n), "severity", messages.Severity(s).String())
	}
	m.one("felhom_alarms_acknowledged", "gauge", "Alarms that are still wrong and acknowledged.", float64(h.AlarmsAcknowledged))
	m.one("felhom_alarms_silenced", "gauge", "Alarms that are still wrong, not acknowledged, and silenced now.", float64(h.AlarmsSilenced))
	m.one("felhom_store_bytes", "gauge", "Size of the store.", float64(h.StoreBytes))
	m.one("felhom_disk_free_bytes", "gauge", "Free space where the store is.", float64(h.DiskFreeBytes))
	m.one("felhom_actor_panics_total", "counter", "Actors replaced after a panic.", float64(h.ActorPanics))
	m.one("felhom_dead_letters_total", "counter", "Messages to actors that were gone.", float64(h.DeadLetters))

	m.head("felhom_http_responses_total", "counter", "Answers by class of their status.")
	for class := 1; class < len(s.counts.byClass); class++ {
		m.row("felhom_http_responses_total", float64(s.counts.byClass[class].Load()), "class", fmt.Sprintf("%dxx", class))
	}
	m.one("felhom_http_unauthorized_total", "counter", "Requests without a valid key.", float64(s.counts.unauthorized.Load()))
	m.one("felhom_csp_reports_total", "counter", "Things that browsers refused to load for a page.", float64(s.counts.cspReports.Load()))
	m.one("felhom_http_malformed_total", "counter", "Requests that could not be read.", float64(s.counts.malformed.Load()))
	m.one("felhom_http_panics_total", "counter", "Requests whose handler panicked.", float64(s.counts.panics.Load()))
	m.one("felhom_http_refused_connections_total", "counter", "Connections over a limit.", float64(s.counts.refusedConns.Load()))

	ctx.Response.Header.SetContentType("text/plain; version=0.0.4; charset=utf-8")
	ctx.SetBodyString(m.String())
	return nil
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func unixSeconds(h Health) float64 {
	if h.StartedAt.IsZero() {
		return 0
	}
	return float64(h.StartedAt.UnixMilli()) / 1000
}

// exposition builds metrics in Prometheus' text format.
type exposition struct{ strings.Builder }

func (m *exposition) head(name, kind, help string) {
	fmt.Fprintf(m, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind)
}

// row writes one sample; labels are pairs of name and value.
func (m *exposition) row(name string, v float64, labels ...string) {
	m.WriteString(name)
	for i := 0; i < len(labels); i += 2 {
		fmt.Fprintf(m, "{%s=%q}", labels[i], labels[i+1])
	}
	fmt.Fprintf(m, " %v\n", v)
}

func (m *exposition) one(name, kind, help string, v float64, labels ...string) {
	m.head(name, kind, help)
	m.row(name, v, labels...)
}
