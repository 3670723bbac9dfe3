package dashboard

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"felhom.eu/messages"
)

const (
	maxGroups  = 40 // that the first screen shows
	maxMembers = 12 // of each
)

// attention is what needs it now.
type attention struct {
	Groups []group
	More   int // groups that are not shown
	Hosts  int // in the fleet
	New    int // of these, never heard
	Last   time.Time
}

// group is one incident: many hosts that fell silent together, one that did with all
// that is wrong on it, or one thing that is wrong.
type group struct {
	Incident messages.IncidentID
	Title    string
	Word     string // of its type
	Tone     string
	Customer messages.CustomerID
	Name     string // the customer's
	Host     messages.HostID
	Site     string
	Since    time.Time
	Ack      *messages.Ack
	Silenced *messages.Silence
	Scope    messages.Scope // that a silence of it would have
	Members  []member
	More     int
	severity messages.Severity
	mass     bool
}

// member is one alarm of a group beside its first.
type member struct {
	Title string
	Tone  string
	Word  string
	Host  messages.HostID
	Since time.Time
}

func (d *Dashboard) attention(r *request) (a attention, err error) {
	err = d.board.look(r.ctx, func() { a = d.board.attention(r.viewer, r.now) })
	return a, err
}

// attention groups what is open. b.mu is held.
func (b *board) attention(v viewer, now time.Time) (a attention) {
	alarms, ids := make([]messages.Alarm, 0, len(b.alarms)), make(map[messages.IncidentID]bool)
	for _, m := range b.alarms {
		if v.customer == "" || m.CustomerID == v.customer {
			alarms, ids[m.ID] = append(alarms, m), true
		}
	}
	for _, r := range b.sorted {
		if !v.sees(r.id.Customer()) {
			continue
		}
		a.Hosts++
		a.Last = later(a.Last, at(r.contactAt))
		if r.phase == messages.PhaseNew {
			a.New++
		}
		if r.phase >= messages.PhaseStale && !ids[r.incident] {
			alarms = append(alarms, alarmOf(r))
		}
	}
	groups := groupsOf(alarms)
	for i := range groups {
		groups[i].Silenced = b.silencedBy(&groups[i], now)
		groups[i].Name = string(groups[i].Customer)
		if c, ok := b.customers[groups[i].Customer]; ok && c.DisplayName != "" {
			groups[i].Name = c.DisplayName
		}
	}
	sortGroups(groups)
	a.More = max(len(groups)-maxGroups, 0)
	a.Groups = groups[:len(groups)-a.More]
	return a
}

// silencedBy is the silence that keeps a group quiet now; nil when none does. b.mu is held.
func (b *board) silencedBy(g *group, now time.Time) *messages.Silence {
	for i := range b.silences {
		s := &b.silences[i].Silence
		if s.Scope.Covers(g.Customer, g.Site, g.Host) && s.On(now) {
			return s
		}
	}
	return nil
}

// alarmOf is what a silent host is that no alarm tells of: it fell silent before the hub
// kept any.
func alarmOf(r *row) messages.Alarm {
	t := messages.HostStale
	if r.phase == messages.PhaseDown {
		t = messages.HostDown
	}
	return messages.Alarm{
		ID: r.incident, CustomerID: r.id.Customer(), HostID: r.id, Site: r.site, Type: t, Severity: t.Severity(),
		Summary: "no contact since " + stamp(at(r.contactAt)), OpenedAt: at(r.since),
	}
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// groupsOf puts alarms together that have one cause: those of an incident, and those
// of a host that is silent itself. The worst come first, then the newest.
func groupsOf(alarms []messages.Alarm) []group {
	heads := make(map[messages.IncidentID]int) // of incidents
	silent := make(map[messages.HostID]int)
	var groups []group
	for i := range alarms {
		if a := &alarms[i]; a.Type == messages.IncidentOpened {
			heads[a.ID] = len(groups)
			groups = append(groups, groupOf(a))
		}
	}
	under := func(a *messages.Alarm) (int, bool) {
		for _, id := range []messages.IncidentID{a.Incident, a.Wide} {
			if at, ok := heads[id]; ok && id != "" {
				return at, true
			}
		}
		return 0, false
	}
	for pass := range 2 { // who is silent, then what belongs to it
		for i := range alarms {
			a := &alarms[i]
			ofHost := a.Type == messages.HostDown || a.Type == messages.HostStale
			if a.Type == messages.IncidentOpened || ofHost != (pass == 0) {
				continue
			}
			at, ok := under(a)
			if !ok && !ofHost {
				at, ok = silent[a.HostID]
			}
			if ok {
				groups[at].add(a)
			} else {
				at = len(groups)
				groups = append(groups, groupOf(a))
			}
			if ofHost {
				silent[a.HostID] = at
			}
		}
	}
	sortGroups(groups)
	return groups
}

// sortGroups puts what nobody knows of first, then the worst, then the newest.
func sortGroups(groups []group) {
	known := func(g *group) int {
		if g.Ack != nil || g.Silenced != nil {
			return 1
		}
		return 0
	}
	slices.SortStableFunc(groups, func(a, b group) int {
		return cmp.Or(cmp.Compare(known(&a), known(&b)), cmp.Compare(b.severity, a.severity), b.Since.Compare(a.Since))
	})
}

func groupOf(a *messages.Alarm) group {
	scope := a.Scope
	switch {
	case scope.Kind != "":
	case a.HostID != "":
		scope = messages.Scope{Kind: messages.ScopeHost, ID: string(a.HostID)}
	case a.CustomerID != "":
		scope = messages.Scope{Kind: messages.ScopeCustomer, ID: string(a.CustomerID)}
	default:
		scope = messages.Scope{Kind: messages.ScopeFleet}
	}
	return group{
		Scope: scope, Incident: a.ID, Title: a.Summary, Word: wordOf(a.Type), Tone: toneOfAlarm(a.Severity), Customer: a.CustomerID, Host: a.HostID,
		Site: a.Site, Since: a.OpenedAt, Ack: a.Ack, severity: a.Severity, mass: a.Type == messages.IncidentOpened,
	}
}

func (g *group) add(a *messages.Alarm) {
	if len(g.Members) >= maxMembers {
		g.More++
		return
	}
	g.Members = append(g.Members, member{a.Summary, toneOfAlarm(a.Severity), wordOf(a.Type), a.HostID, a.OpenedAt})
}

// wordOf is an alarm's type for people.
func wordOf(t messages.EventType) string {
	switch t {
	case messages.HostDown:
		return "down"
	case messages.HostStale:
		return "stale"
	case messages.IncidentOpened:
		return "outage"
	}
	return strings.ReplaceAll(string(t), "_", " ")
}
