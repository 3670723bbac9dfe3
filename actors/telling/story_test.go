package telling

import (
	"testing"
	"time"

	"felhom.eu/messages"
)

// maintain is a silence of acme from an instant after the story began.
func (d *desk) maintain(from, lasts time.Duration) {
	s := messages.Silence{ID: "S1", Scope: messages.Scope{Kind: messages.ScopeCustomer, ID: "acme"}, StartsAt: began.Add(from), EndsAt: began.Add(from + lasts)}
	d.silences = []messages.Silence{s}
	d.PutSilence(s)
	d.hears()
}

// until lets time pass up to so long after the story began.
func (d *desk) until(at time.Duration) { d.passes(at - d.now.Wall.Sub(began)) }

// Maintenance from one hour to three: what was told before is not told again, and its
// end is told in it; what comes and goes in it is not told at all; what is still wrong
// at its end is told then, once. A kill in it changes nothing.
func TestMaintenance(t *testing.T) {
	for _, killed := range []bool{false, true} {
		d := newDesk(t, operator, acmes)
		d.maintain(time.Hour, 2*time.Hour)
		d.until(30 * time.Minute)
		d.hears(guest(messages.GuestStopped, host("acme", 1), 101), guest(messages.GuestStopped, host("acme", 1), 102))
		d.until(90 * time.Minute)
		d.wants("acme", "guest_stopped 01/101, guest_stopped 01/102")
		d.hears(event(messages.HostStale, host("acme", 2)), event(messages.HostStale, host("acme", 3)), event(messages.HostStale, host("other", 4)))
		d.passes(time.Minute)
		if killed {
			d.restart()
		}
		d.hears(guest(messages.GuestStarted, host("acme", 1), 101))
		d.hears(event(messages.HostDown, host("acme", 3)))
		d.until(2 * time.Hour)
		d.hears(event(messages.HostRecovered, host("acme", 2)))
		d.hears(event(messages.HostRebooted, host("acme", 2)))
		d.until(3*time.Hour - time.Second)
		d.wants("acme", "guest_started 01/101")
		d.heard("operator")
		d.until(3*time.Hour + 2*time.Minute)
		for _, r := range []messages.RouteID{"acme", "operator"} {
			d.wants(r, "unsilenced: host_stale 03, host_down 03")
		}
		d.until(200 * time.Minute)
		d.hears(guest(messages.GuestStarted, host("acme", 1), 102), event(messages.HostRecovered, host("acme", 3)))
		d.passes(time.Hour)
		d.wants("acme", "guest_started 01/102, host_recovered 03")
		if len(d.rows) != 1 { // the other customer's
			t.Errorf("left: %+v", d.rows)
		}
	}
}

// An operator who ends a silence hears at once of what is still wrong.
func TestSilenceEndedByHand(t *testing.T) {
	d := newDesk(t, operator)
	d.maintain(0, 10*time.Hour)
	d.hears(event(messages.HostStale, host("acme", 1)))
	d.passes(time.Hour)
	d.wants("operator")
	s, _ := d.Silence("S1")
	s.EndsAt = d.now.Wall
	d.PutSilence(s)
	d.hears()
	d.passes(time.Minute)
	d.wants("operator", "unsilenced: host_stale 01")
}

// While a host is down, what is wrong on it waits; if it still is when the host is back,
// it is told, and not when it is over.
func TestHostThatIsDownSpeaksForAllOnIt(t *testing.T) {
	d := newDesk(t, operator)
	h := host("acme", 1)
	d.hears(guest(messages.GuestStopped, h, 100))
	d.passes(time.Minute)
	d.hears(event(messages.HostStale, h))
	d.hears(event(messages.HostDown, h))
	d.passes(time.Minute)
	d.heard("operator")
	d.hears(guest(messages.BackupOverdue, h, 101), guest(messages.BackupOverdue, h, 102))
	d.passes(time.Hour)
	d.restart()
	d.passes(time.Hour)
	d.hears(guest(messages.BackupRecovered, h, 101), guest(messages.GuestStarted, h, 100))
	d.passes(time.Hour)
	d.wants("operator", "guest_started 01/100")
	d.hears(event(messages.HostRecovered, h))
	d.passes(time.Hour)
	d.wants("operator", "backup_overdue 01/102, host_recovered 01")
}

// What nobody acknowledges is told again every four hours, together with what is nearly
// due; an acknowledgement ends that, and the alarm's end ends the acknowledgement.
func TestRemindersEndWithAnAcknowledgement(t *testing.T) {
	d := newDesk(t, operator, acmes, pager)
	d.hears(event(messages.HostStale, host("acme", 1)))
	d.passes(20 * time.Minute)
	d.hears(guest(messages.GuestStopped, host("acme", 2), 101))
	d.passes(time.Hour)
	d.heard("operator")
	d.until(4*time.Hour + 10*time.Minute)
	d.wants("operator", "reminder: host_stale 01, guest_stopped 02/101")
	d.restart()
	d.until(8*time.Hour + 10*time.Minute)
	d.wants("operator", "reminder: host_stale 01, guest_stopped 02/101")
	if n := d.Ack([]messages.IncidentID{"I-acme-00000001", "none"}, &messages.Ack{By: "eve", At: d.now.Wall}, d.now); n != 1 {
		t.Errorf("%d acknowledged", n)
	}
	d.hears()
	d.restart()
	d.until(13 * time.Hour)
	d.wants("operator", "reminder: guest_stopped 02/101")
	d.Ack([]messages.IncidentID{"I-acme-00000001"}, nil, d.now)
	d.hears()
	d.until(17 * time.Hour)
	if got := d.heard("operator"); len(got) < 2 {
		t.Errorf("told %v after the acknowledgement was taken back", got)
	}
	d.wants("pager")
}

// A reminder is of what was told: news that come when one is due are told in its place.
func TestNewsComeBeforeReminders(t *testing.T) {
	d := newDesk(t, operator, messages.Route{ID: "downs", Events: []messages.EventType{messages.HostDown, messages.HostRecovered}})
	d.hears(event(messages.HostStale, host("acme", 1)))
	d.until(4*time.Hour + 20*time.Second)
	d.wants("operator", "host_stale 01")
	d.hears(event(messages.HostDown, host("acme", 1)))
	d.until(8 * time.Hour)
	d.wants("operator", "host_down 01")
	d.wants("downs", "host_down 01")
	d.until(8*time.Hour + 2*time.Minute)
	d.wants("operator", "reminder: host_down 01")
	d.wants("downs", "reminder: host_down 01")
}

// What is critical and not acknowledged is told on the next route, once, and so is its
// end; who is on call hears of nothing else.
func TestEscalation(t *testing.T) {
	first := messages.Route{ID: "first", EscalateTo: "second", EscalateAfter: 15 * time.Minute}
	second := messages.Route{ID: "second", OnCall: true}
	d := newDesk(t, first, second)
	for i := 1; i <= 2; i++ {
		d.hears(event(messages.HostStale, host("acme", i)))
		d.hears(event(messages.HostDown, host("acme", i)))
	}
	d.passes(10 * time.Minute)
	d.Ack([]messages.IncidentID{"I-acme-00000002"}, &messages.Ack{By: "eve"}, d.now)
	d.hears()
	d.restart()
	d.wants("second")
	d.passes(10 * time.Minute)
	d.wants("second", "escalation: host_down 01")
	d.restart()
	d.passes(10 * time.Hour)
	d.wants("second")
	d.hears(event(messages.HostRecovered, host("acme", 1)), event(messages.HostRecovered, host("acme", 2)))
	d.passes(time.Minute)
	d.wants("second", "host_recovered 01")
}

// A guest that stops and starts five times an hour is one message, and one when it has
// not changed for a quarter of an hour, which says how it is then.
func TestFlapping(t *testing.T) {
	d := newDesk(t, operator)
	h := host("acme", 1)
	for i := range 9 {
		typ := messages.GuestStopped
		if i%2 == 1 {
			typ = messages.GuestStarted
		}
		d.hears(guest(typ, h, 101))
		d.passes(4 * time.Minute)
		if i == 5 {
			d.restart()
		}
	}
	d.wants("operator", "guest_stopped 01/101", "guest_started 01/101", "guest_stopped 01/101", "guest_started 01/101", "host_flapping 01/101")
	d.passes(15 * time.Minute)
	d.wants("operator", "host_settled 01/101")
	d.hears(guest(messages.GuestStarted, h, 101))
	d.passes(time.Minute)
	d.wants("operator", "guest_started 01/101")
	if len(d.rows) != 0 {
		t.Errorf("left: %+v", d.rows)
	}
}

// In a route's quiet hours what is not critical waits for their end, all in one message;
// what is takes along what waits.
func TestQuietHours(t *testing.T) {
	calm := messages.Route{ID: "calm", Quiet: &messages.QuietHours{From: "22:00", To: "07:00", TimeZone: "Europe/Budapest"}}
	d := newDesk(t, operator, calm)
	d.until(10 * time.Hour) // 22:00 UTC, 23:00 there
	d.hears(guest(messages.GuestStopped, host("acme", 1), 101))
	d.passes(time.Hour)
	d.hears(guest(messages.GuestStopped, host("acme", 1), 102))
	d.restart()
	d.passes(time.Hour)
	d.hears(guest(messages.GuestStarted, host("acme", 1), 101))
	d.hears(guest(messages.GuestStopped, host("other", 1), 7))
	d.passes(time.Minute)
	d.wants("calm")
	d.until(18*time.Hour - time.Minute)
	d.wants("calm")
	d.until(18*time.Hour + 2*time.Minute)
	got := d.heard("calm")
	if len(got) < 2 || got[0] != "guest_stopped 01/101, guest_stopped 01/102, guest_started 01/101" || got[1] != "guest_stopped 01/7" {
		t.Errorf("told in the morning: %q", got)
	}

	d.until(35 * time.Hour)
	d.heard("calm")
	d.hears(event(messages.HostStale, host("acme", 5)))
	d.passes(30 * time.Minute)
	d.wants("calm")
	d.hears(event(messages.HostDown, host("acme", 5)))
	d.passes(time.Minute)
	if got := d.heard("calm"); len(got) != 1 || got[0] != "host_stale 05, host_down 05" {
		t.Errorf("told at night: %q", got)
	}
}
