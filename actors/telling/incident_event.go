package telling

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"felhom.eu/messages"
)

// incident makes the events of what is to be told of an incident now; false when that
// is nothing yet.
func (t *round) incident(m *mass, why hold) bool {
	b, a := t.book, m.alarm
	ends := b.over(m, t.now)
	if why != free && len(a.Told) == 0 && ends && m.silent == 0 { // it came and went in maintenance
		t.unfold(m, false)
		return true
	}
	if why != free && !ends {
		if b.speaks(m, t.now) {
			a.place = held
			g := b.group(a.CustomerID)
			g.held = append(g.held, a)
		}
		return false
	}
	b.nest(m)
	if len(a.Told) == 0 || b.worse(m) {
		a.Severity = max(a.Severity, b.severity(m))
		e := t.event(m, messages.IncidentOpened)
		a.Raised, a.Summary = e.ID, e.Summary
	}
	if ends {
		t.event(m, messages.IncidentClosed)
		t.unfold(m, true)
	}
	return true
}

// nest puts an incident that was not told yet into the wider one that all its members
// are in.
func (b *Book) nest(m *mass) {
	if m.alarm.Wide != "" || len(m.alarm.Told) > 0 || m.window.bit == fleetBit {
		return
	}
	var wide *mass
	if w := b.masses.windows[messages.Scope{Kind: messages.ScopeFleet}]; w != nil && m.window.bit == siteBit {
		wide = w.mass
	}
	if m.window.bit == customerBit {
		for _, a := range m.members {
			if a.Open() && a.Wide == "" {
				return
			}
			if a.Open() {
				wide = b.byID[a.Wide]
			}
		}
	}
	if wide == nil {
		return
	}
	b.touch(m.alarm)
	m.alarm.Wide = wide.alarm.ID
	if m.window.bit == siteBit {
		wide.inner = append(wide.inner, m)
	}
}

// event makes an event of an incident, of what is known now.
func (t *round) event(m *mass, typ messages.EventType) *messages.Event {
	b, a := t.book, m.alarm
	b.touch(a)
	silent, down, members := m.numbers()
	mass := &messages.Mass{Scope: m.window.scope, Silent: silent, Down: down, Recovered: members - silent,
		Total: b.census.Hosts(m.window.scope), Hosts: m.names()}
	e := messages.Event{Type: typ, At: t.now.Wall.UTC(), CustomerID: a.CustomerID, IncidentID: a.ID,
		Detail: messages.EventDetail{Mass: mass, Severity: a.Severity}}
	if typ == messages.IncidentClosed {
		e.Detail.DurationSeconds = int64(max(t.now.Wall.Sub(a.OpenedAt), 0) / time.Second)
	}
	e.Summary = summary(typ, mass, silent)
	t.numbers.Event(&e)
	t.batch.Events = append(t.batch.Events, e)
	b.pend(a, messages.PendingEvent{ID: e.ID, Type: typ, Severity: e.Severity()}, t.now)
	return &e
}

// names are the silent hosts, in order, no more than an event takes.
func (m *mass) names() []messages.HostID {
	hosts := []messages.HostID{}
	m.each(func(a *entry) { hosts = append(hosts, a.HostID) })
	slices.Sort(hosts)
	return slices.Clone(hosts[:min(len(hosts), messages.MaxMassHosts)])
}

// each calls fn for the members that are silent.
func (m *mass) each(fn func(*entry)) {
	for _, a := range m.members {
		if a.Open() {
			fn(a)
		}
	}
	for _, in := range m.inner {
		in.each(fn)
	}
}

// summary is an incident in a line.
func summary(typ messages.EventType, m *messages.Mass, silent int) string {
	of := "the fleet"
	if m.Scope.ID != "" {
		of = m.Scope.ID
	}
	if typ == messages.IncidentOpened {
		s := fmt.Sprintf("%d of %d hosts of %s are silent", silent, max(m.Total, silent), of)
		if m.Down > 0 {
			s += fmt.Sprintf(", %d of them down", m.Down)
		}
		return s
	}
	if silent == 0 {
		return fmt.Sprintf("all %d hosts of %s that were silent are back", m.Recovered, of)
	}
	named := make([]string, 0, 3)
	for _, id := range m.Hosts[:min(len(m.Hosts), 3)] {
		named = append(named, string(id))
	}
	s := fmt.Sprintf("%d hosts of %s are back, %d still silent: %s", m.Recovered, of, silent, strings.Join(named, ", "))
	if silent > len(named) {
		s += fmt.Sprintf(" and %d more", silent-len(named))
	}
	return s
}

// unfold ends an incident: each host that is still silent is by itself again, and was
// told of in the incident's last message.
func (t *round) unfold(m *mass, told bool) {
	b, a := t.book, m.alarm
	b.touch(a)
	a.ClosedAt = t.now.Wall.UTC()
	delete(b.byID, a.ID)
	m.window.mass = nil
	if m.window.count == 0 {
		delete(b.masses.windows, m.window.scope)
	}
	for _, x := range m.members {
		if x.Open() {
			b.touch(x)
			b.free(x, m.window.bit, told, t.now)
		}
	}
	for _, in := range m.inner {
		b.touch(in.alarm)
		in.alarm.Wide = ""
	}
	a.mass = nil
	if !told {
		b.settle(a)
	}
}

// free takes an alarm out of an incident.
func (b *Book) free(a *entry, bit uint8, told bool, now Now) {
	if bit == customerBit {
		a.Incident = ""
		a.Pending, a.PendingSince = nil, time.Time{}
	} else {
		a.Wide = ""
	}
	if told && bit == customerBit || a.Incident == "" && len(a.Pending) == 0 {
		a.countAsTold(now)
	}
	b.remind(a, now)
}

// countAsTold notes that an alarm was named in another's message.
func (a *entry) countAsTold(now Now) {
	for _, typ := range []messages.EventType{messages.HostStale, a.Type} {
		if !slices.Contains(a.Told, typ) {
			a.Told = append(a.Told[:len(a.Told):len(a.Told)], typ)
		}
	}
	if a.ToldAt.IsZero() {
		a.ToldAt = now.Wall.UTC()
	}
	a.RemindedAt = now.Wall.UTC()
}

// regather finds the incidents and their members again in the alarms.
func (b *Book) regather(sorted []*entry, again bool, now Now) {
	for _, a := range sorted {
		if a.Type == messages.IncidentOpened && a.Open() {
			bit := customerBit
			switch a.Scope.Kind {
			case messages.ScopeSite:
				bit = siteBit
			case messages.ScopeFleet:
				bit = fleetBit
			}
			m := b.gather(a, b.window(a.Scope, bit), now)
			b.restless[m] = true
			if len(a.Told) == 0 {
				b.list(a, now)
			}
		}
	}
	for _, a := range sorted {
		if wide := b.byID[a.Wide]; a.mass != nil && wide != nil {
			wide.inner = append(wide.inner, a.mass)
		} else if a.mass != nil && a.Wide != "" {
			a.Wide = ""
		}
	}
	for _, a := range sorted {
		if ofSilence(a) && a.Open() {
			b.rejoin(a, again, now)
		}
	}
}

// gathered reports whether an alarm was among those that an incident was opened of. Of
// those that joined it later the rows say so.
func (m *mass) gathered(a *entry) bool {
	at := m.alarm.OpenedAt
	return !a.OpenedAt.After(at) && a.OpenedAt.After(at.Add(-together)) && len(a.Pending)+len(a.Told) > 0
}

// rejoin puts a silent host's alarm where it belongs: into the incident that its row
// names, or that it is a member of though its row was yet to say so. again: no row that was to come later
// is known to have come.
func (b *Book) rejoin(a *entry, again bool, now Now) {
	b.silent[a.HostID] = a
	covered := b.covered(a)
	named := [2]messages.IncidentID{a.Incident, a.Wide}
	lost := a.Incident != "" && b.byID[a.Incident] == nil
	a.Incident, a.Wide = "", ""
	for _, w := range b.windowsOf(a) {
		m := w.mass
		switch {
		case m != nil && (slices.Contains(named[:], m.alarm.ID) || !covered && m.gathered(a)):
			if w.bit == customerBit || a.Wide == "" {
				b.enter(m, a)
			}
		case m == nil && !covered && !lost && a.fell > now.Mono-together && (w.bit == customerBit || a.Wide == ""):
			b.count(w, a, now)
		}
	}
	if lost && a.Incident == "" { // its incident's last message named it
		a.countAsTold(now)
	}
	if again || named != [2]messages.IncidentID{a.Incident, a.Wide} {
		b.behind = append(b.behind, a)
	}
}
