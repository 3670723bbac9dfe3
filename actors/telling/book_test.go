package telling

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"felhom.eu/messages"
)

// desk is a Book with a disk, in virtual time: what it tells is what each test reads.
type desk struct {
	*testing.T
	*Book
	now      Now
	wait     time.Duration
	hosts    map[messages.Scope]int
	sites    map[messages.HostID]string
	routes   []messages.Route
	silences []messages.Silence
	numbers  uint64

	rows   map[messages.IncidentID]messages.Alarm
	mail   map[messages.DeliveryID]messages.Delivery
	events map[messages.EventID]messages.Event
	sent   []messages.Delivery // in order, sealed
}

var began = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

func newDesk(t *testing.T, routes ...messages.Route) *desk {
	d := &desk{T: t, wait: 30 * time.Second, routes: routes, now: Now{Wall: began, Mono: time.Hour}, hosts: map[messages.Scope]int{},
		sites: map[messages.HostID]string{}, rows: map[messages.IncidentID]messages.Alarm{}, mail: map[messages.DeliveryID]messages.Delivery{},
		events: map[messages.EventID]messages.Event{}}
	d.restart()
	return d
}

// Hosts implements Census.
func (d *desk) Hosts(s messages.Scope) int { return d.hosts[s] }

// Site implements Census.
func (d *desk) Site(id messages.HostID) string { return d.sites[id] }

// Event implements Numbers.
func (d *desk) Event(e *messages.Event) {
	d.numbers++
	e.ID, e.Sequence = messages.EventID(fmt.Sprintf("E%08d", d.numbers)), d.numbers
}

// Delivery implements Numbers.
func (d *desk) Delivery() (messages.DeliveryID, uint64) {
	d.numbers++
	return messages.DeliveryID(fmt.Sprintf("D%08d", d.numbers)), d.numbers
}

// Incident implements Numbers.
func (d *desk) Incident() messages.IncidentID {
	d.numbers++
	return messages.IncidentID(fmt.Sprintf("M%08d", d.numbers))
}

// restart is a kill: the Book goes on from the rows.
func (d *desk) restart() {
	var unsealed []messages.Delivery
	for _, m := range d.mail {
		if !m.Sealed {
			unsealed = append(unsealed, m)
		}
	}
	d.Book = New(d.wait, d, d.routes, d.silences, slices.Collect(maps.Values(d.rows)), unsealed, d.now)
}

// cut makes a batch of events and of what is told with them.
func (d *desk) cut(events ...messages.Event) *messages.Batch {
	b := &messages.Batch{}
	for i := range events {
		e := &events[i]
		if e.At.IsZero() {
			e.At = d.now.Wall
		}
		d.Event(e)
		b.Events = append(b.Events, *e)
		d.Hear(e, d.now)
	}
	d.Tell(d.now, b, d)
	return b
}

// hears has a batch of events written.
func (d *desk) hears(events ...messages.Event) { d.keep(d.cut(events...)) }

func (d *desk) keep(b *messages.Batch) {
	for _, e := range b.Events {
		d.events[e.ID] = e
	}
	for _, a := range b.Alarms {
		if delete(d.rows, a.ID); a.Open() || len(a.Pending) > 0 {
			d.rows[a.ID] = a
		}
	}
	for _, m := range b.Deliveries {
		m.Events = slices.Clone(m.Events)
		if was, known := d.mail[m.ID]; known && was.Sealed {
			d.Errorf("delivery %s changes after it was sealed", m.ID)
		}
		if d.mail[m.ID] = m; m.Sealed {
			d.sent = append(d.sent, m)
		}
	}
	d.Commit()
}

// passes lets time go by, with a batch whenever the Book has something to tell.
func (d *desk) passes(for_ time.Duration) {
	end := d.now.Mono + for_
	for n := 0; ; n++ {
		wait, ok := d.Wake(d.now)
		if !ok || d.now.Mono+wait > end {
			break
		}
		if n > 100_000 {
			d.Fatal("the Book tells and tells, and time stands still")
		}
		d.goes(wait)
		d.hears()
	}
	d.goes(end - d.now.Mono)
}

func (d *desk) goes(by time.Duration) { d.now.Mono, d.now.Wall = d.now.Mono+by, d.now.Wall.Add(by) }

// heard is what a route was told since the last call, a line for each message: the time
// since the story began, the customer, why, and the events.
func (d *desk) heard(r messages.RouteID) (lines []string) {
	var rest []messages.Delivery
	for _, m := range d.sent {
		if m.RouteID != r {
			rest = append(rest, m)
			continue
		}
		var words []string
		for _, id := range m.Events {
			e, known := d.events[id]
			if !known {
				d.Errorf("told of %s, which is not durable", id)
			}
			w := string(e.Type)
			if e.HostID != "" {
				w += " " + string(e.HostID)[len(e.HostID)-2:]
			}
			if e.Detail.VMID != 0 {
				w += fmt.Sprintf("/%d", e.Detail.VMID)
			}
			words = append(words, w)
		}
		line := strings.Join(words, ", ")
		if m.Reason != "" {
			line = string(m.Reason) + ": " + line
		}
		lines = append(lines, line)
	}
	d.sent = rest
	return lines
}

func (d *desk) wants(r messages.RouteID, lines ...string) {
	d.Helper()
	if got := d.heard(r); !slices.Equal(got, lines) {
		d.Errorf("after %v route %s was told\n\t%s\nwant\n\t%s", d.now.Wall.Sub(began), r, strings.Join(got, "\n\t"), strings.Join(lines, "\n\t"))
	}
}

// host is the n-th of a customer.
func host(c messages.CustomerID, n int) messages.HostID {
	return messages.HostID(fmt.Sprintf("%s-%08d", c, n))
}

func event(t messages.EventType, h messages.HostID) messages.Event {
	return messages.Event{Type: t, CustomerID: h.Customer(), HostID: h, IncidentID: messages.IncidentID("I-" + h), Summary: string(h) + " " + string(t)}
}

// guest is an event of a rule on a guest.
func guest(t messages.EventType, h messages.HostID, v messages.VMID) messages.Event {
	e := event(t, h)
	e.IncidentID += messages.IncidentID(fmt.Sprintf("/%d", v))
	e.Detail = messages.EventDetail{VMID: v, Severity: messages.SeverityWarning}
	return e
}

var (
	operator = messages.Route{ID: "operator"}
	pager    = messages.Route{ID: "pager", MinSeverity: messages.SeverityCritical}
	acmes    = messages.Route{ID: "acme", CustomerID: "acme"}
)

// What befalls a customer within group_wait is one message; its end is another.
func TestEventsOfAWaitAreOneMessage(t *testing.T) {
	d := newDesk(t, operator, acmes)
	d.hears(event(messages.HostStale, host("acme", 1)))
	d.passes(20 * time.Second)
	d.hears(guest(messages.GuestStopped, host("acme", 2), 101))
	d.passes(9 * time.Second)
	d.wants("operator")
	d.passes(time.Minute)
	for _, r := range []messages.RouteID{"operator", "acme"} {
		d.wants(r, "host_stale 01, guest_stopped 02/101")
	}
	d.hears(event(messages.HostRecovered, host("acme", 1)))
	d.passes(time.Minute)
	d.wants("operator", "host_recovered 01")
	if len(d.rows) != 1 {
		t.Errorf("rows %v, want the guest's alone", d.rows)
	}
}

// Who hears only of what is critical hears no end of what never was.
func TestRecoveryIsToldIfItsAlarmWas(t *testing.T) {
	late := messages.Route{ID: "late", CreatedAt: began.Add(90 * time.Minute)}
	d := newDesk(t, operator, pager, late)
	d.hears(event(messages.HostStale, host("acme", 1)))
	d.passes(time.Hour)
	d.hears(event(messages.HostRecovered, host("acme", 1)))
	d.passes(time.Minute)
	d.wants("operator", "host_stale 01", "host_recovered 01")
	d.wants("pager")
	d.heard("late")

	d.hears(event(messages.HostStale, host("acme", 2)), event(messages.HostRecovered, host("acme", 2)))
	d.passes(time.Minute)
	d.wants("operator", "host_stale 02, host_recovered 02")

	d.hears(event(messages.HostStale, host("acme", 3)))
	d.passes(20 * time.Minute)
	d.hears(event(messages.HostDown, host("acme", 3)))
	d.passes(10 * time.Minute) // the third route comes
	d.heard("late")
	d.restart()
	d.hears(event(messages.HostRecovered, host("acme", 3)))
	d.passes(time.Minute)
	d.wants("pager", "host_down 03", "host_recovered 03")
	d.wants("late")
}

// A batch that is refused changes nothing; what was in it comes again.
func TestRefusedBatchIsTakenBack(t *testing.T) {
	d := newDesk(t, operator)
	d.hears(event(messages.HostStale, host("acme", 1)))
	d.cut(event(messages.HostRecovered, host("acme", 1)), event(messages.HostStale, host("acme", 2)))
	d.Reset(d.now)
	d.goes(time.Minute)
	d.cut() // would tell
	d.Reset(d.now)
	d.passes(time.Minute)
	d.wants("operator", "host_stale 01")
	d.hears(event(messages.HostRecovered, host("acme", 1)))
	d.passes(time.Minute)
	d.wants("operator", "host_recovered 01")
	if len(d.alarms) != 0 || len(d.rows) != 0 {
		t.Errorf("left: %v, rows %v", d.alarms, d.rows)
	}
}

// A kill at any moment loses nothing and doubles nothing: the rows say what is pending
// and what was told.
func TestRestartGoesOn(t *testing.T) {
	d := newDesk(t, operator)
	d.hears(event(messages.HostStale, host("acme", 1)))
	d.passes(20 * time.Second)
	d.restart()
	d.passes(15 * time.Second)
	d.wants("operator", "host_stale 01")
	d.restart()
	d.passes(time.Minute)
	d.wants("operator")
	d.hears(event(messages.HostRecovered, host("acme", 1)))
	d.restart()
	d.now.Wall = d.now.Wall.Add(-2 * time.Hour) // the clock steps back: nobody waits longer for it
	d.restart()
	d.passes(31 * time.Second)
	d.wants("operator", "host_recovered 01")
}

// The end of what was opened before there was a Book is told by the route's filter.
func TestRecoveryOfAnOlderAlarmIsTold(t *testing.T) {
	d := newDesk(t, operator, pager)
	d.hears(event(messages.HostRecovered, host("acme", 1)))
	d.passes(time.Minute)
	d.wants("operator", "host_recovered 01")
	if len(d.rows) != 0 {
		t.Errorf("rows %v", d.rows)
	}
}

// 245 guests of one host are one message; thousands are as few as messages have room.
func TestGuestsOfAHostAreOneMessage(t *testing.T) {
	d := newDesk(t, operator, acmes)
	for v := range 245 {
		d.hears(guest(messages.GuestStopped, host("acme", 1), messages.VMID(100+v)))
	}
	d.passes(time.Minute)
	if m := d.sent; len(m) != 2 || len(m[0].Events) != 245 || len(m[1].Events) != 245 {
		t.Errorf("%d messages", len(m))
	}
	d.sent = nil
	var all []messages.Event
	for v := range 2000 {
		all = append(all, guest(messages.GuestStopped, host("acme", 2), messages.VMID(100+v)))
	}
	d.hears(all...)
	d.passes(time.Minute)
	if n := len(d.sent); n != 8 {
		t.Errorf("%d messages of 2000 guests on two routes, want 8", n)
	}
}

// What befalls many customers at once is told to the operator in a number of messages
// that their events bound; a customer's own route hears of it alone.
func TestStormIsToldInFewMessages(t *testing.T) {
	const customers, each = 200, 30
	own := messages.Route{ID: "own", CustomerID: "c7"}
	d := newDesk(t, operator, own)
	var all []messages.Event
	for i := range customers * each {
		c := messages.CustomerID(fmt.Sprint("c", i%customers))
		all = append(all, guest(messages.GuestStopped, host(c, 1), messages.VMID(100+i)))
	}
	d.hears(all...)
	d.passes(time.Minute)
	told, count := map[messages.EventID]int{}, map[messages.RouteID]int{}
	for _, m := range d.sent {
		count[m.RouteID]++
		for _, e := range m.Events {
			if m.RouteID == "operator" {
				told[e]++
			} else if d.events[e].CustomerID != "c7" {
				t.Errorf("the customer's route is told of %s", d.events[e].CustomerID)
			}
		}
	}
	if most := maxApart + customers*each/maxEvents + 1; count["operator"] > most || count["own"] != 1 {
		t.Errorf("messages by route %v, want at most %d for the operator, 1 for the customer", count, most)
	}
	if len(told) != customers*each {
		t.Errorf("%d events told, want %d", len(told), customers*each)
	}
}
