package text

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"felhom.eu/hub/terminal"
	"felhom.eu/messages"
)

const maxChanges = 6 // of what a host's last reports said anew; what is over is counted

// facts are the lines below a head: whose it is when that is asked for, who is in
// it, and all else while all is told.
func (t *teller) facts(in *incident, whose, all bool) []string {
	var facts []string
	e := in.lead()
	if name := t.customer(e.CustomerID); name != "" && whose {
		facts = append(facts, "Customer: "+name)
	}
	if len(in.others) > 0 {
		return append(facts, names(membersOf(in)))
	}
	if tell := phrases[e.Type].facts; tell != nil && (all || e.Detail.Mass != nil) {
		facts = append(facts, tell(t, e)...)
	}
	if in.over() && in.first() != e && all {
		facts = append(facts, "Began "+t.clock(in.first().At)+", ended "+t.clock(e.At))
	}
	return facts
}

// clock is an instant for people, near the delivery's.
func (t *teller) clock(at time.Time) string { return clockTime(at, t.delivery.CreatedAt) }

// lastKnown is what a silent host said last.
func (t *teller) lastKnown(e *messages.Event) []string {
	facts := t.lastHeard(e)
	d := &e.Detail
	known := ""
	if d.GuestTotal > 0 {
		known = fmt.Sprintf("%d of %d guests running", d.GuestRunning, d.GuestTotal)
	}
	if tunnel := clean(d.Cloudflared); tunnel != "" {
		if known != "" {
			known += ", "
		}
		known += "tunnel " + tunnel
	}
	if known != "" {
		facts = append(facts, "Last known: "+known)
	}
	return append(facts, changes(d.Changes)...)
}

func (t *teller) lastHeard(e *messages.Event) []string {
	last := e.Detail.LastContactAt
	if last == nil {
		return nil
	}
	silence := terminal.InWords(seconds(e.Detail.SilenceSeconds))
	if t.late() {
		silence = roughly(t.delivery.CreatedAt.Sub(*last))
	}
	return []string{fmt.Sprintf("Silent for %s, last heard %s", silence, t.clock(*last))}
}

// changes are what a host's last reports said anew.
func changes(list []messages.Change) []string {
	if len(list) == 0 {
		return nil
	}
	facts := []string{"Changed in its last reports:"}
	for _, c := range list[:min(len(list), maxChanges)] {
		facts = append(facts, "- "+change(&c))
	}
	if n := len(list) - maxChanges; n > 0 {
		facts = append(facts, fmt.Sprintf("- and %d more", n))
	}
	return facts
}

func change(c *messages.Change) string {
	what, from, to := cmp.Or(clean(c.What), "?"), clean(c.From), clean(c.To)
	switch {
	case to == "":
		return what
	case from == "":
		return what + ": " + to
	}
	return what + ": " + from + " → " + to
}

// why is the reason that a report gave.
func (t *teller) why(e *messages.Event) []string {
	facts := []string{"Since " + t.clock(e.At)}
	if why := clean(e.Detail.Reason); why != "" {
		facts = append(facts, "Reason: "+why)
	}
	return facts
}

func (t *teller) skew(e *messages.Event) []string {
	return []string{"Times in its reports are off by as much; backups and certificates may be, too"}
}

func (t *teller) outdated(e *messages.Event) []string {
	return []string{"Seen " + t.clock(e.At), "Its reports are taken as ever; what newer agents tell is missing"}
}

func (t *teller) cloned(e *messages.Event) []string {
	return []string{"Seen " + t.clock(e.At), "Give the copy a key of its own: felhom-hub host mint"}
}

func (t *teller) deadline(e *messages.Event) []string {
	if last := e.Detail.LastContactAt; last != nil {
		return []string{"The last one came " + t.clock(*last)}
	}
	return []string{"None ever came"}
}

func (t *teller) route(e *messages.Event) []string {
	facts := []string{"What goes there waits, and is tried again for three days"}
	if answer := clean(e.Detail.Error); answer != "" {
		facts = append(facts, "Its answer: "+answer)
	}
	return facts
}

func (t *teller) gap(e *messages.Event) []string {
	if e.Detail.From == nil || e.Detail.To == nil {
		return nil
	}
	return []string{
		fmt.Sprintf("From %s to %s", t.clock(*e.Detail.From), t.clock(*e.Detail.To)),
		"That time is not counted as silence of any host",
	}
}

func (t *teller) test(*messages.Event) []string {
	return []string{"Nothing happened. Messages of this route look like this one."}
}

// members are the hosts of an incident that are silent.
func (t *teller) members(e *messages.Event) []string {
	m := e.Detail.Mass
	if m == nil {
		return nil
	}
	var facts []string
	if m.Scope.Kind == messages.ScopeFleet {
		facts = append(facts, "Is the line to this hub down?")
	}
	if m.Down > 0 {
		facts = append(facts, fmt.Sprintf("%d of the silent ones are down", m.Down))
	}
	if m.Recovered > 0 && e.Type == messages.IncidentOpened {
		facts = append(facts, hosts(m.Recovered)+" back already")
	}
	if len(m.Hosts) == 0 {
		return facts
	}
	list := make([]string, 0, len(m.Hosts))
	for _, h := range m.Hosts {
		list = append(list, string(h))
	}
	slices.Sort(list)
	if n := m.Silent - len(list); n > 0 { // the event does not name them all
		return append(facts, fmt.Sprintf("Silent: %s and %d more", names(list[:min(len(list), maxNames)]), n+max(len(list)-maxNames, 0)))
	}
	return append(facts, "Silent: "+names(list))
}
