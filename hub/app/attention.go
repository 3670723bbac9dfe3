package app

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"felhom.eu/messages"
)

// triage sorts alarms, one after another, into the groups of a first screen. It keeps a
// few alarms a group, however many there are.
type triage struct {
	messages.NeedsAttention
	by     map[groupKey]*group
	covers covering
}

// groupKey is an incident, or the customer of alarms that are of none.
type groupKey struct {
	incident messages.IncidentID
	customer messages.CustomerID
}

type group struct {
	messages.AttentionGroup
	unknown bool              // something in it is open
	worst   messages.Severity // of what is open
}

func newTriage(covers covering, now time.Time) *triage {
	return &triage{messages.NeedsAttention{AsOf: now}, map[groupKey]*group{}, covers}
}

func (t *triage) add(a *messages.Alarm) {
	if !a.Open() {
		return
	}
	v := a.View(t.covers.by(a))
	key := groupKey{incident: v.MemberOf}
	if a.Type == messages.IncidentOpened && key.incident == "" {
		key.incident = v.ID
	}
	if key.incident == "" {
		key.customer = v.CustomerID
	}
	g := t.by[key]
	if g == nil {
		g = &group{AttentionGroup: messages.AttentionGroup{CustomerID: v.CustomerID, OldestAt: v.OpenedAt, Top: []messages.AlarmView{}}}
		t.by[key] = g
	}
	if key.incident == v.ID {
		g.Incident = &v
	}
	g.place(&v)
	if a.Type != messages.IncidentOpened { // which is its members
		t.count(&v)
		g.count(&v)
	}
}

func (t *triage) count(v *messages.AlarmView) {
	t.Alarms.Add(v.Severity)
	switch v.State {
	case messages.AlarmAcknowledged:
		t.Acknowledged++
	case messages.AlarmSilenced:
		t.Silenced++
	}
}

// place makes the group as old, new and bad as the alarm.
func (g *group) place(v *messages.AlarmView) {
	if g.CustomerID != v.CustomerID {
		g.CustomerID = "" // of several
	}
	if v.OpenedAt.Before(g.OldestAt) {
		g.OldestAt = v.OpenedAt
	}
	if v.OpenedAt.After(g.NewestAt) {
		g.NewestAt = v.OpenedAt
	}
	g.Severity = max(g.Severity, v.Severity)
	if v.State == messages.AlarmOpen {
		g.unknown, g.worst = true, max(g.worst, v.Severity)
	}
}

func (g *group) count(v *messages.AlarmView) {
	g.Alarms.Add(v.Severity)
	switch v.State {
	case messages.AlarmOpen:
		g.Open++
	case messages.AlarmAcknowledged:
		g.Acknowledged++
	case messages.AlarmSilenced:
		g.Silenced++
	}
	if at, _ := slices.BinarySearchFunc(g.Top, v, byUrgency); at < messages.MaxTop {
		g.Top = slices.Insert(g.Top, at, *v)
		g.Top = g.Top[:min(len(g.Top), messages.MaxTop)]
	}
}

// byUrgency puts what nobody knows of first, then the worst, then the newest.
func byUrgency(a messages.AlarmView, b *messages.AlarmView) int {
	return cmp.Or(
		-compareBools(a.State == messages.AlarmOpen, b.State == messages.AlarmOpen),
		cmp.Compare(b.Severity, a.Severity), b.OpenedAt.Compare(a.OpenedAt), cmp.Compare(b.ID, a.ID),
	)
}

func compareBools(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

// done is the first screen, with at most messages.MaxAttention groups.
func (t *triage) done() messages.NeedsAttention {
	groups := slices.SortedFunc(maps.Values(t.by), func(a, b *group) int {
		return cmp.Or(
			-compareBools(a.unknown, b.unknown), cmp.Compare(b.rank(), a.rank()),
			b.NewestAt.Compare(a.NewestAt), cmp.Compare(a.CustomerID, b.CustomerID),
		)
	})
	t.Groups = make([]messages.AttentionGroup, 0, min(len(groups), messages.MaxAttention))
	for _, g := range groups[:min(len(groups), messages.MaxAttention)] {
		g.Severity = g.rank()
		t.Groups = append(t.Groups, g.AttentionGroup)
	}
	t.MoreGroups = len(groups) - len(t.Groups)
	return t.NeedsAttention
}

// rank is the worst of what is open, or of all when nothing is.
func (g *group) rank() messages.Severity {
	if g.unknown {
		return g.worst
	}
	return g.Severity
}
