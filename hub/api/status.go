package api

import (
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"html/template"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"felhom.eu/hub/auth"
	"felhom.eu/messages"
)

const (
	statusHosts  = 500            // rows of hosts
	statusEvents = 30             // rows of events, newest first
	eventsSince  = 24 * time.Hour // how far back they are looked for
	eventPage    = 1000
	eventPages   = 20 // reads at most, so that a storm of events cannot hold the page
)

//go:embed status.css
var statusCSS string

//go:embed status.html
var statusHTML string

var statusTemplate = template.Must(template.New("status").Funcs(template.FuncMap{
	"stylesheet": func() string { return plainCSSPath },
	"percent":    showPercent,
	"guests":     showGuests,
	"ago":        showAgo,
	"bytes":      showBytes,
	"seconds":    showDuration,
}).Parse(statusHTML))

// statusView is what the page shows.
type statusView struct {
	Now     time.Time
	Version string
	Who     string
	CSRF    string
	Health  Health
	Phases  []phaseCount
	Hosts   []HostView
	More    bool // there are more hosts than shown
	Events  []messages.Event
}

type phaseCount struct {
	Phase messages.Phase
	Count int
}

// status is the page at "/": how the hub and its fleet are, in one look.
func (s *Server) status(ctx *fasthttp.RequestCtx, a args) error {
	if !a.who.May(auth.Read, "") {
		return errRole
	}
	c, cancel := s.ask()
	defer cancel()
	v, err := s.statusView(c, time.Now())
	if err != nil {
		return err
	}
	v.Who, v.CSRF = a.who.Name(), a.who.CSRF
	var page bytes.Buffer
	if err := statusTemplate.Execute(&page, v); err != nil {
		return fmt.Errorf("status page: %w", err)
	}
	ctx.Response.Header.SetContentType("text/html; charset=utf-8")
	ctx.SetBody(page.Bytes())
	return nil
}

func (s *Server) statusView(c context.Context, now time.Time) (*statusView, error) {
	v := &statusView{Now: now.UTC(), Version: s.cfg.Version, Health: s.fleet.Health()}
	for p, n := range v.Health.Hosts {
		v.Phases = append(v.Phases, phaseCount{messages.Phase(p), n})
	}
	var err error
	if v.Hosts, err = s.statusHosts(c, &v.Health); err != nil {
		return nil, err
	}
	if v.More = len(v.Hosts) > statusHosts; v.More {
		v.Hosts = v.Hosts[:statusHosts]
	}
	v.Events, err = s.latestEvents(c, now)
	return v, err
}

// statusHosts are the hosts that are down, the stale ones, then all others,
// each in the order of their ids; more than statusHosts when not all have room.
// Nobody searches the fleet for more silent hosts than there are.
func (s *Server) statusHosts(c context.Context, h *Health) ([]HostView, error) {
	var rows []HostView
	shown := map[messages.HostID]bool{}
	add := func(f HostFilter, limit int) error {
		found, err := s.fleet.Hosts(c, f, "", limit)
		for _, v := range found {
			if !shown[v.Host.ID] {
				shown[v.Host.ID] = true
				rows = append(rows, v)
			}
		}
		return err
	}
	for _, p := range []messages.Phase{messages.PhaseDown, messages.PhaseStale} {
		if n := min(h.Hosts[p], statusHosts); n > 0 {
			if err := add(HostFilter{Phase: &p}, n); err != nil {
				return nil, err
			}
		}
	}
	err := add(HostFilter{}, statusHosts+1)
	return rows, err
}

// latestEvents reads a day's events, oldest first as they come, and keeps the
// newest.
func (s *Server) latestEvents(c context.Context, now time.Time) ([]messages.Event, error) {
	var latest []messages.Event
	last := firstEventID(now.Add(-eventsSince))
	for range eventPages {
		rows, err := s.fleet.Events(c, EventFilter{}, last, eventPage)
		if err != nil {
			return nil, err
		}
		latest = append(latest, rows...)
		latest = latest[max(0, len(latest)-statusEvents):]
		if len(rows) < eventPage {
			break
		}
		last = rows[len(rows)-1].ID
	}
	slices.Reverse(latest)
	return latest, nil
}

// firstEventID sorts before every id made at t or later: a ULID is 48 bits of
// milliseconds, then randomness, in Crockford's base 32.
func firstEventID(t time.Time) messages.EventID {
	const digits = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
	id := []byte(strings.Repeat("0", 26))
	for ms, i := uint64(max(t.UnixMilli(), 0)), 9; i >= 0; ms, i = ms>>5, i-1 {
		id[i] = digits[ms&31]
	}
	return messages.EventID(id)
}

// showGuests is how many of a host's guests run; "–" when that is unknown.
func showGuests(v HostView) string {
	total, running := guestsOf(&v.State.Figures, v.State.ReportAt != 0)
	if total == nil {
		return "–"
	}
	return fmt.Sprintf("%d of %d", *running, *total)
}

// showPercent is a ratio as the page's figure; "–" when it is unknown.
func showPercent(v HostView, ratio float32) string {
	if v.State.ReportAt == 0 || math.IsNaN(float64(ratio)) {
		return "–"
	}
	return fmt.Sprintf("%.0f %%", ratio*100)
}

func showAgo(now time.Time, nanos int64) string {
	if nanos == 0 {
		return "never"
	}
	return showDuration(now.Sub(time.Unix(0, nanos))) + " ago"
}

// showDuration is d to two units: "3 d 4 h", "12 s".
func showDuration(d time.Duration) string {
	s := int64(max(d, 0) / time.Second)
	switch {
	case s >= 86400:
		return fmt.Sprintf("%d d %d h", s/86400, s/3600%24)
	case s >= 3600:
		return fmt.Sprintf("%d h %d min", s/3600, s/60%60)
	case s >= 60:
		return fmt.Sprintf("%d min %d s", s/60, s%60)
	}
	return fmt.Sprintf("%d s", s)
}

// showBytes takes the signed and unsigned sizes of Health.
func showBytes(n any) string {
	var v float64
	switch n := n.(type) {
	case int64:
		v = float64(n)
	case uint64:
		v = float64(n)
	}
	units := []string{"B", "KiB", "MiB", "GiB", "TiB"}
	for v >= 1024 && len(units) > 1 {
		v, units = v/1024, units[1:]
	}
	return fmt.Sprintf("%.4g %s", v, units[0])
}
