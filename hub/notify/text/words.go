package text

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"felhom.eu/hub/terminal"
	"felhom.eu/messages"
)

// phrase is how a type of event is spoken of beside its summary.
type phrase struct {
	state string // what is so while it lasts: "still down"
	many  string // what several of them are: "12 guests stopped"
	facts func(*teller, *messages.Event) []string
}

// phrases has every type of event.
var phrases = map[messages.EventType]phrase{
	messages.HostStale:     {"silent", "hosts silent", (*teller).lastKnown},
	messages.HostDown:      {"down", "hosts down", (*teller).lastKnown},
	messages.HostRecovered: {"back", "hosts back", nil},
	messages.HostRebooted:  {"rebooted", "hosts rebooted", nil},
	messages.ClockSkew:     {"off by the clock", "hosts with a wrong clock", (*teller).skew},
	messages.ClockMended:   {"right by the clock", "hosts with a right clock again", nil},
	messages.AgentOutdated: {"on an old agent", "hosts on an old agent", (*teller).outdated},
	messages.AgentUpdated:  {"updated", "agents updated", nil},
	messages.HostCloned:    {"spoken for by two", "hosts spoken for by two", (*teller).cloned},
	messages.CloneGone:     {"alone again", "hosts alone again", nil},
	messages.HostFlapping:  {"coming and going", "alarms that come and go", (*teller).why},
	messages.HostSettled:   {"settled", "alarms that settled", nil},

	messages.GuestStopped:         {"stopped", "guests stopped", (*teller).why},
	messages.GuestStarted:         {"running again", "guests running again", nil},
	messages.GuestMissing:         {"missing", "guests missing", (*teller).why},
	messages.GuestReturned:        {"listed again", "guests listed again", nil},
	messages.TunnelDown:           {"down", "tunnels down", (*teller).why},
	messages.TunnelRecovered:      {"up again", "tunnels up again", nil},
	messages.StorageHigh:          {"nearly full", "storages nearly full", (*teller).why},
	messages.StorageRecovered:     {"not so full any more", "storages not so full any more", nil},
	messages.StorageOffline:       {"offline", "storages offline", (*teller).why},
	messages.StorageOnline:        {"online again", "storages online again", nil},
	messages.BackupFailedEvent:    {"without its backup", "backups failed", (*teller).why},
	messages.BackupOverdue:        {"without a backup", "guests without a backup", (*teller).why},
	messages.BackupRecovered:      {"backed up again", "guests backed up again", nil},
	messages.VerifyFailed:         {"without a verified backup", "backups failed verification", (*teller).why},
	messages.VerifyOverdue:        {"without a verified backup", "backups not verified", (*teller).why},
	messages.VerifyRecovered:      {"verified again", "backups verified again", nil},
	messages.RestoreTestFailed:    {"without a restore test", "restore tests failed", (*teller).why},
	messages.RestoreTestOverdue:   {"without a restore test", "restore tests overdue", (*teller).why},
	messages.RestoreTestRecovered: {"restored for a test again", "restore tests passed again", nil},
	messages.DiskFailing:          {"failing", "disks failing", (*teller).why},
	messages.DiskRecovered:        {"healthy again", "disks healthy again", nil},
	messages.PoolDegraded:         {"degraded", "pools degraded", (*teller).why},
	messages.PoolRecovered:        {"healthy again", "pools healthy again", nil},
	messages.SectionLost:          {"unknown", "collections unknown", (*teller).why},
	messages.SectionKnown:         {"known again", "collections known again", nil},

	messages.ControllerStale:     {"silent", "controllers silent", (*teller).lastHeard},
	messages.ControllerDown:      {"down", "controllers down", (*teller).lastHeard},
	messages.ControllerRecovered: {"back", "controllers back", nil},
	messages.DeadlineMissed:      {"missed", "deadlines missed", (*teller).deadline},
	messages.DeadlineMet:         {"met", "deadlines met", nil},

	messages.RouteFailing:   {"failing", "routes failing", (*teller).route},
	messages.RouteRecovered: {"delivering again", "routes delivering again", nil},
	messages.HubGap:         {"deaf", "gaps of the hub", (*teller).gap},
	messages.RouteTest:      {"tested", "tests", (*teller).test},
	messages.Drill:          {"on trial", "drills", nil},
	messages.DrillOver:      {"tried", "drills over", nil},

	messages.IncidentOpened: {"silent", "incidents", (*teller).members},
	messages.IncidentClosed: {"back", "incidents over", (*teller).members},
}

// silent reports whether a type tells that a host fell silent or is back.
func silent(t messages.EventType) bool {
	return t == messages.HostStale || t == messages.HostDown || t == messages.HostRecovered
}

// head says what happened to whom, in at most 240 characters.
func (t *teller) head(in *incident) string {
	words := t.short(in)
	if t.delivery.Reason == messages.BecauseDrill {
		words = "TEST, nothing is wrong: " + words
	}
	return cut(words, maxHead)
}

// short is the same as a subject has it.
func (t *teller) short(in *incident) string {
	e := in.lead()
	switch {
	case t.late() && in.open() && e.Detail.Mass == nil:
		return fmt.Sprintf("Still %s, %s: %s", phrases[e.Type].state, roughly(t.lasting(in)), t.whatOf(in))
	case len(in.others) > 0:
		return t.count(in)
	case e.Detail.Mass != nil:
		return t.mass(in)
	}
	return cmp.Or(oneLine(e.Summary), t.whatOf(in)+" is "+phrases[e.Type].state)
}

// late reports whether the events happened some time before they are told: what
// they say of how long is no longer so.
func (t *teller) late() bool {
	r := t.delivery.Reason
	return r == messages.BecauseReminder || r == messages.BecauseEscalation || r == messages.BecauseUnsilenced
}

// whatOf names what an incident is about: "guest 104 (web), acme-7f3a90c1".
func (t *teller) whatOf(in *incident) string {
	if len(in.others) > 0 {
		return t.count(in)
	}
	e := in.lead()
	whose := cmp.Or(string(e.HostID), t.customer(e.CustomerID), "the hub")
	if what := subjectOf(e); what != "" {
		return what + ", " + whose
	}
	return whose
}

// subjectOf names what an event is about on its host; "" is the host itself.
func subjectOf(e *messages.Event) string {
	switch {
	case e.RouteID != "":
		return "route " + string(e.RouteID)
	case e.Type == messages.TunnelDown:
		return "tunnel"
	case e.Type == messages.DeadlineMissed:
		return clean(e.Detail.Reason)
	case slices.Contains(messages.ControllerEvents, e.Type):
		return controller(e)
	case e.Detail.VMID != 0:
		return guest(e)
	case e.Detail.OfRule():
		return clean(e.Detail.Subject)
	}
	return ""
}

// controller is a controller's name: what its summary begins with.
func controller(e *messages.Event) string {
	words := clean(e.Summary)
	for _, verb := range []string{" is down", " has been silent", " is back"} {
		if i := strings.LastIndex(words, verb); i > 0 {
			return words[:i]
		}
	}
	return "controller"
}

// guest is a guest's number, and its name where the summary has it.
func guest(e *messages.Event) string {
	title := fmt.Sprintf("guest %d", e.Detail.VMID)
	_, rest, found := strings.Cut(oneLine(e.Summary), title+" (")
	end := strings.LastIndexByte(rest, ')')
	if !found || end < 0 {
		return title
	}
	return title + " (" + clean(rest[:end]) + ")"
}

// lasting is for how long it has been so when the delivery was made.
func (t *teller) lasting(in *incident) time.Duration {
	e := in.first()
	since := e.At
	if last := e.Detail.LastContactAt; last != nil && silent(e.Type) {
		since = *last
	}
	return max(t.delivery.CreatedAt.Sub(since), 0)
}

// count is how many are told together: "14 guests stopped on acme-7f3a90c1".
func (t *teller) count(in *incident) string {
	e := in.lead()
	words := fmt.Sprintf("%d %s", len(in.others)+1, phrases[e.Type].many)
	if host := in.host(); host != "" {
		return words + " on " + string(host)
	}
	return words
}

// mass is an incident of many hosts: "12 of 40 hosts silent".
func (t *teller) mass(in *incident) string {
	e := in.lead()
	m := e.Detail.Mass
	if e.Type == messages.IncidentClosed && m.Silent == 0 {
		words := fmt.Sprintf("%s back%s", hosts(m.Recovered), of(&m.Scope))
		if e.Detail.DurationSeconds > 0 {
			words += " after " + terminal.InWords(seconds(e.Detail.DurationSeconds))
		}
		return words
	}
	if e.Type == messages.IncidentClosed {
		return fmt.Sprintf("%s back, %d still silent%s", hosts(m.Recovered), m.Silent, of(&m.Scope))
	}
	words := fmt.Sprintf("%d of %s silent%s", m.Silent, hosts(m.Total), of(&m.Scope))
	if t.late() {
		words = fmt.Sprintf("Still %s, %s", words, roughly(t.lasting(in)))
	}
	return words
}

// of says whose hosts an incident is of, where that is not said elsewhere.
func of(s *messages.Scope) string {
	switch s.Kind {
	case messages.ScopeSite:
		return " at " + clean(s.ID)
	case messages.ScopeFleet:
		return ", whole fleet"
	}
	return ""
}

func hosts(n int) string {
	if n == 1 {
		return "1 host"
	}
	return fmt.Sprintf("%d hosts", n)
}

// roughly leaves out minutes beside hours: a reminder comes every few of them.
func roughly(d time.Duration) string {
	if d >= 2*time.Hour && d < 48*time.Hour {
		d = d.Truncate(time.Hour)
	}
	return terminal.InWords(d)
}

func seconds(n int64) time.Duration { return time.Duration(n) * time.Second }

// names lists at most ten, and counts the others.
func names(list []string) string {
	if n := len(list) - maxNames; n > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(list[:maxNames], ", "), n)
	}
	return strings.Join(list, ", ")
}

// membersOf are the names of incidents that are told together.
func membersOf(in *incident) []string {
	list := make([]string, 0, len(in.others)+1)
	for _, o := range append([]*incident{{events: in.events}}, in.others...) {
		e := o.lead()
		list = append(list, cmp.Or(subjectOf(e), string(e.HostID)))
	}
	slices.Sort(list)
	return list
}
