package telling

import (
	"maps"
	"slices"
	"time"

	"felhom.eu/messages"
)

// Many hosts that fall silent together are one incident: it is told in their place, to
// the customer's routes that of the customer's hosts, to the operator's that of the site
// or of the fleet when there is one.

const (
	// together is the time within which hosts fall silent together.
	together = 5 * time.Minute
	// fewest, and the share of a scope's hosts, make an incident.
	fewest = 3
	share  = 5 // one in so many
)

// masses are the incidents, and the windows of those that may become one.
type masses struct {
	silent   map[messages.HostID]*entry // the alarm of each silent host
	windows  map[messages.Scope]*window
	byID     map[messages.IncidentID]*mass
	restless map[*mass]bool   // to be looked at
	filled   map[*window]bool // likewise
}

// window is the hosts of a scope that fell silent within the last minutes, and of no
// incident of that scope.
type window struct {
	scope  messages.Scope
	bit    uint8
	fallen []*entry // oldest first, and some that count no more
	count  int
	by     map[messages.CustomerID]int // of a scope wider than a customer
	mass   *mass
}

// mass is an incident.
type mass struct {
	alarm        *entry
	window       *window
	members      []*entry      // hosts that fell silent, and some that have returned
	inner        []*mass       // a site's, of the fleet's
	silent, down int           // of the members, now
	quiet        time.Duration // when the last returned, or it was opened; monotonic
}

// The bits of entry.windows.
const (
	customerBit uint8 = 1 << iota
	siteBit
	fleetBit
)

func newMasses() masses {
	return masses{silent: make(map[messages.HostID]*entry), windows: make(map[messages.Scope]*window), byID: make(map[messages.IncidentID]*mass),
		restless: make(map[*mass]bool), filled: make(map[*window]bool)}
}

// windowsOf are those that a host's alarm may count in, the narrowest first.
func (b *Book) windowsOf(a *entry) []*window {
	ws := []*window{b.window(messages.Scope{Kind: messages.ScopeCustomer, ID: string(a.CustomerID)}, customerBit)}
	if a.Site != "" {
		ws = append(ws, b.window(messages.Scope{Kind: messages.ScopeSite, ID: a.Site}, siteBit))
	}
	return append(ws, b.window(messages.Scope{Kind: messages.ScopeFleet}, fleetBit))
}

func (b *Book) window(s messages.Scope, bit uint8) *window {
	w := b.masses.windows[s]
	if w == nil {
		w = &window{scope: s, bit: bit}
		if bit != customerBit {
			w.by = make(map[messages.CustomerID]int)
		}
		b.masses.windows[s] = w
	}
	return w
}

// fell notes a host that fell silent: it joins the incidents that are open, and is
// counted for those that are not. One in maintenance does neither.
func (b *Book) fell(a *entry, now Now) {
	b.silent[a.HostID] = a
	if b.covered(a) {
		return
	}
	for _, w := range b.windowsOf(a) {
		if w.mass != nil {
			b.join(w.mass, a)
		} else if w.bit == customerBit || a.Wide == "" {
			b.count(w, a, now)
		}
	}
}

func (b *Book) count(w *window, a *entry, now Now) {
	a.windows |= w.bit
	w.fallen = append(w.fallen, a)
	w.count++
	if w.by != nil {
		w.by[a.CustomerID]++
	}
	b.filled[w] = true
	if g := b.group(a.CustomerID); w.bit == customerBit && w.count > 1 && b.census.Hosts(w.scope) >= fewest {
		b.hesitate(g, now)
	}
}

// uncount takes an alarm out of a window's count.
func (w *window) uncount(a *entry) {
	if a.windows&w.bit == 0 {
		return
	}
	a.windows &^= w.bit
	w.count--
	if w.by == nil {
		return
	}
	if w.by[a.CustomerID]--; w.by[a.CustomerID] == 0 {
		delete(w.by, a.CustomerID)
	}
}

// hesitate gives a group in which one host after the other falls silent time to become an
// incident: group_wait from now, and no more in all than they have for it.
func (b *Book) hesitate(g *group, now Now) {
	if b.wait > 0 && b.armed[g.customer] != nil {
		g.due = max(g.due, min(now.Mono+b.wait, g.since+together))
	}
}

// join makes a host's alarm a member.
func (b *Book) join(m *mass, a *entry) {
	b.keep(a)
	b.enter(m, a)
	if !a.changed {
		b.behind = append(b.behind, a)
	}
	m.alarm.Members++
	b.touch(m.alarm)
	b.restless[m] = true
}

// enter is what membership means for the alarm. Its row may be written later: that it
// is a member follows from the incident's row and its own.
func (b *Book) enter(m *mass, a *entry) {
	if m.window.bit == customerBit {
		a.Incident = m.alarm.ID
		a.Pending, a.PendingSince = nil, time.Time{}
		b.flaps.pass(a)
	} else {
		a.Wide = m.alarm.ID
	}
	m.members = append(m.members, a)
	m.silent++
	if a.Type == messages.HostDown {
		m.down++
	}
}

// of are the incidents that an alarm is a member of.
func (b *Book) of(a *entry) (ms []*mass) {
	for _, id := range []messages.IncidentID{a.Incident, a.Wide} {
		if m := b.byID[id]; m != nil && a.mass == nil {
			ms = append(ms, m)
		}
	}
	return ms
}

func (b *Book) wentDown(a *entry) {
	for _, m := range b.of(a) {
		m.down++
		b.restless[m] = true
	}
}

// returned notes that a silent host is back, or gone for good.
func (b *Book) returned(a *entry, now Now) {
	delete(b.silent, a.HostID)
	if a.windows != 0 {
		for _, w := range b.windowsOf(a) {
			w.uncount(a)
		}
	}
	for _, m := range b.of(a) {
		m.silent--
		if a.Type == messages.HostDown {
			m.down--
		}
		m.quiet = now.Mono
		b.restless[m] = true
		b.remind(m.alarm, now)
	}
	if g := b.groups[a.CustomerID]; g != nil && len(g.held) > 0 {
		g.recheck = true // what waited because this host was down
		b.wake = now.Mono
	}
}

// threshold is how many silent hosts make an incident of a scope.
func (b *Book) threshold(s messages.Scope) int { return max(fewest, (b.census.Hosts(s)+share-1)/share) }

// incidents opens those that are due, and lists those of which something is to be told.
func (t *round) incidents() {
	b := t.book
	if len(b.filled) > 0 {
		for _, w := range slices.SortedFunc(maps.Keys(b.filled), func(x, y *window) int { return int(x.bit)*2 - int(y.bit)*2 + compare(x.scope.ID, y.scope.ID) }) {
			w.prune(t.now)
			if w.mass == nil && b.full(w) {
				t.begins(w)
			}
			if w.count == 0 && w.mass == nil {
				delete(b.masses.windows, w.scope)
			}
		}
		clear(b.filled)
	}
	if len(b.restless) == 0 {
		return
	}
	for m := range b.restless {
		if b.byID[m.alarm.ID] == m && m.alarm.place != listed && b.speaks(m, t.now) {
			b.list(m.alarm, t.now)
		}
	}
	clear(b.restless)
}

// prune drops those that fell silent too long ago to count with the next one.
func (w *window) prune(now Now) {
	n := 0
	for n < len(w.fallen) && (w.fallen[n].windows&w.bit == 0 || w.fallen[n].fell <= now.Mono-together) {
		w.uncount(w.fallen[n])
		n++
	}
	w.fallen = w.fallen[n:]
}

// full reports whether a window is an incident. A wide one is of more customers than
// one: without the one that it hit most it must still be.
func (b *Book) full(w *window) bool {
	least := b.threshold(w.scope)
	if w.count < least {
		return false
	}
	most := 0
	for _, n := range w.by {
		most = max(most, n)
	}
	return w.by == nil || w.count-most >= least
}

// begins opens a window's incident. Its event is made when it is told, of what is
// known then.
func (t *round) begins(w *window) {
	b := t.book
	a := &entry{lookAt: never, fell: t.now.Mono, Alarm: messages.Alarm{
		ID: t.numbers.Incident(), Type: messages.IncidentOpened, Severity: messages.SeverityWarning, Scope: w.scope,
		OpenedAt: t.now.Wall.UTC(), PendingSince: t.now.Wall.UTC(),
	}}
	switch w.bit {
	case customerBit:
		a.CustomerID = messages.CustomerID(w.scope.ID)
	case siteBit:
		a.Site = w.scope.ID
	}
	b.undo[a] = nil
	b.alarms[a.ID] = a
	b.write(a)
	m := b.gather(a, w, t.now)
	fallen := w.fallen
	w.fallen = nil
	for _, x := range fallen {
		if x.windows&w.bit != 0 {
			w.uncount(x)
			if w.bit == customerBit || x.Wide == "" {
				b.join(m, x)
			}
		}
	}
	b.restless[m] = true
	b.list(a, t.now)
	g := b.group(a.CustomerID)
	b.hesitate(g, t.now)
}

// gather makes the mass of an incident's alarm.
func (b *Book) gather(a *entry, w *window, now Now) *mass {
	m := &mass{alarm: a, window: w, quiet: now.Mono}
	a.mass, w.mass, b.byID[a.ID] = m, m, m
	return m
}

// numbers are of a mass with those within it.
func (m *mass) numbers() (silent, down, members int) {
	silent, down, members = m.silent, m.down, m.alarm.Members
	for _, in := range m.inner {
		s, d, n := in.numbers()
		silent, down, members = silent+s, down+d, members+n
	}
	return silent, down, members
}

// over reports whether an incident has ended: nobody is silent, or few, and nobody
// has returned for a while.
func (b *Book) over(m *mass, now Now) bool {
	silent, _, _ := m.numbers()
	return silent == 0 || silent < b.threshold(m.window.scope) && m.quiet <= now.Mono-together
}

// worse reports whether an incident is critical, which was not told.
func (b *Book) worse(m *mass) bool { return b.severity(m) > m.alarm.Severity }

func (b *Book) severity(m *mass) messages.Severity {
	silent, down, _ := m.numbers()
	if down >= b.threshold(m.window.scope) || down > 0 && down == silent {
		return messages.SeverityCritical
	}
	return messages.SeverityWarning
}

// speaks reports whether something is to be told of an incident.
func (b *Book) speaks(m *mass, now Now) bool {
	return len(m.alarm.Told) == 0 || b.worse(m) || b.over(m, now)
}

// massDue is when an incident is to be looked at, though nothing happens.
func (b *Book) massDue(a *entry) time.Duration {
	if a.mass == nil || b.byID[a.ID] != a.mass || len(a.Told) == 0 || a.place == listed {
		return never
	}
	if silent, _, _ := a.mass.numbers(); silent >= b.threshold(a.mass.window.scope) {
		return never
	}
	return a.mass.quiet + together
}
