package dashboard

import (
	"slices"
	"strings"
	"time"

	"felhom.eu/hub/api"
	"felhom.eu/hub/notify"
	"felhom.eu/messages"
)

// routeRow is a route as it may be shown: where it goes, not the token in its URL.
type routeRow struct {
	ID          messages.RouteID
	CustomerID  messages.CustomerID
	Kind        messages.RouteKind
	Name, Where string
	Events      []messages.EventType
	Severity    messages.Severity
	Failing     bool
	OnCall      bool
	Quiet       *messages.QuietHours
	MaxPerHour  int
	CreatedAt   time.Time
}

func rowOfRoute(route *messages.Route) routeRow {
	return routeRow{
		ID: route.ID, CustomerID: route.CustomerID, Kind: route.Kind, Name: route.Name, Where: notify.Mask(route.Kind, route.URL.Reveal()),
		Events: route.Events, Severity: route.MinSeverity, Failing: route.Incident != "", OnCall: route.OnCall, Quiet: route.Quiet,
		MaxPerHour: route.MaxPerHour, CreatedAt: route.CreatedAt,
	}
}

// routes are those of a customer or, when that is "", all that the viewer may see.
func (d *Dashboard) routes(r *request, of messages.CustomerID) (rows []routeRow, err error) {
	all, err := d.hub.Routes(r.ctx)
	if err != nil {
		return nil, err
	}
	for i := range all {
		if (of == "" || all[i].CustomerID == of) && r.viewer.sees(all[i].CustomerID) {
			rows = append(rows, rowOfRoute(&all[i]))
		}
	}
	slices.SortFunc(rows, func(a, b routeRow) int {
		return strings.Compare(string(a.CustomerID)+" "+string(a.ID), string(b.CustomerID)+" "+string(b.ID))
	})
	return rows, nil
}

// settingsPage is for operators: routes, and how the hub itself is.
type settingsPage struct {
	Routes []routeRow
	Users  []userRow
	Audit  []messages.AuditRecord // newest first
	Health api.Health
	Gaps   []messages.Event
	Tested *testedRoute
}

// userRow is a user with the browsers that are signed in.
type userRow struct {
	messages.User
	Browsers int
}

// Access is who may sign in, and who has.
type Access interface {
	Users() []messages.User
	List(now time.Time) []messages.Session
}

// testedRoute is what the far end of a route said.
type testedRoute struct {
	Route  routeRow
	Answer api.RouteAnswer
}

const (
	shownGaps  = 10
	shownAudit = 30
)

func (d *Dashboard) settings(r *request) error { return d.showSettings(r, nil) }

func (d *Dashboard) showSettings(r *request, tested *testedRoute) (err error) {
	if r.viewer.customer != "" {
		return errBad
	}
	p := &settingsPage{Health: d.hub.Health(), Tested: tested}
	if p.Routes, err = d.routes(r, ""); err != nil {
		return err
	}
	p.Users = usersOf(d.cfg.Access, r.now)
	if p.Audit, err = d.latestAudit(r); err != nil {
		return err
	}
	gaps := EventQuery{EventFilter: api.EventFilter{Type: messages.HubGap}, Limit: shownGaps, Look: eventLooks}
	if p.Gaps, _, err = d.hub.LatestEvents(r.ctx, gaps); err != nil {
		return err
	}
	return d.render(r, "settings", "settings", "Settings", p)
}

func usersOf(a Access, now time.Time) (rows []userRow) {
	if a == nil {
		return nil
	}
	browsers := make(map[messages.UserName]int)
	for _, s := range a.List(now) {
		browsers[s.User]++
	}
	for _, u := range a.Users() {
		rows = append(rows, userRow{u, browsers[u.Name]})
	}
	slices.SortFunc(rows, func(a, b userRow) int { return strings.Compare(string(a.Name), string(b.Name)) })
	return rows
}

// latestAudit is the end of the audit log, newest first. The log is read from its
// beginning, so its end is looked for: sequences are contiguous.
func (d *Dashboard) latestAudit(r *request) ([]messages.AuditRecord, error) {
	behind := func(n uint64) (bool, error) {
		rows, err := d.hub.Audit(r.ctx, n, 1)
		return len(rows) > 0, err
	}
	from, step := uint64(0), uint64(1)
	for growing := true; step > 0; {
		more, err := behind(from + step)
		if err != nil {
			return nil, err
		}
		switch {
		case more && growing:
			from, step = from+step, step*2
		case more:
			from, step = from+step, step/2
		default:
			growing, step = false, step/2
		}
	}
	rows, err := d.hub.Audit(r.ctx, max(from+1, shownAudit)-shownAudit, shownAudit)
	slices.Reverse(rows)
	return rows, err
}

// silencesPage lists maintenance, and has a form for more.
type silencesPage struct {
	Rows      []silenceRow
	Past      []silenceRow
	Customers []messages.Customer
	Sites     []string
	Problem   string
	Form      silenceForm
}

type silenceRow struct {
	api.SilenceView
	Tone string
	What string // its scope
}

func (d *Dashboard) silences(r *request) error {
	form := silenceForm{Scope: string(r.QueryArgs().Peek("scope")), ID: string(r.QueryArgs().Peek("id")), Hours: "4"}
	return d.showSilences(r, form, "")
}

const shownPast = 20

func (d *Dashboard) showSilences(r *request, form silenceForm, problem string) error {
	if r.viewer.customer != "" {
		return errBad
	}
	all, err := d.hub.Silences(r.ctx)
	if err != nil {
		return err
	}
	p := &silencesPage{Problem: problem, Form: form}
	slices.SortFunc(all, func(a, b api.SilenceView) int { return strings.Compare(string(b.ID), string(a.ID)) })
	for _, s := range all {
		v := silenceRow{s, "new", scopeWord(s.Scope)}
		switch {
		case s.State == messages.SilencePast:
			p.Past = append(p.Past, v)
			continue
		case s.State == messages.SilenceActive:
			v.Tone = "off"
		}
		p.Rows = append(p.Rows, v)
	}
	p.Past = p.Past[:min(len(p.Past), shownPast)]
	err = d.board.look(r.ctx, func() {
		p.Customers = d.board.customersOf(r.viewer)
		p.Sites = d.board.list(&listQuery{anyPhase: true}, r.viewer).sites
	})
	if err != nil {
		return err
	}
	return d.render(r, "silences", "silences", "Silences", p)
}

// scopeWord says what a silence or an incident is of.
func scopeWord(s messages.Scope) string {
	if s.Kind == messages.ScopeFleet {
		return "the whole fleet"
	}
	return string(s.Kind) + " " + s.ID
}
