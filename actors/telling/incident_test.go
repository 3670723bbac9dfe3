package telling

import (
	"fmt"
	"testing"
	"time"

	"felhom.eu/messages"
)

// ofCustomer and theFleet are how many hosts a test's census counts.
func (d *desk) ofCustomer(c messages.CustomerID, n int) {
	d.hosts[messages.Scope{Kind: messages.ScopeCustomer, ID: string(c)}] = n
	d.hosts[messages.Scope{Kind: messages.ScopeFleet}] += n
}

// fall lets hosts fall silent, or whatever else the type says, one after the other.
func (d *desk) fall(t messages.EventType, c messages.CustomerID, from, to int, every time.Duration) {
	for i := from; i <= to; i++ {
		d.hears(event(t, host(c, i)))
		d.passes(every)
	}
}

// 40 hosts of one customer fall silent within three minutes: one message on each route.
// 38 return: one message. Two stay, and are named in it; they recover by themselves. A
// kill of the hub at any point of it changes nothing.
func TestSilenceOfACustomerIsOneMessage(t *testing.T) {
	for killed := range 5 {
		t.Run(fmt.Sprintf("killed at %d", killed), func(t *testing.T) {
			d := newDesk(t, operator, acmes)
			kill := func(at int) {
				if at == killed {
					d.restart()
				}
			}
			d.ofCustomer("acme", 40)
			d.ofCustomer("other", 1000)
			d.fall(messages.HostStale, "acme", 1, 20, 4*time.Second)
			kill(1)
			d.fall(messages.HostStale, "acme", 21, 40, 4*time.Second)
			kill(2)
			d.passes(30 * time.Minute)
			kill(3)
			for _, r := range []messages.RouteID{"operator", "acme"} {
				d.wants(r, "incident_opened")
			}
			d.fall(messages.HostRecovered, "acme", 1, 38, 3*time.Second)
			d.passes(4 * time.Minute)
			d.wants("operator")
			d.passes(2 * time.Minute)
			kill(4)
			closing := d.sent[0].Events[0]
			for _, r := range []messages.RouteID{"operator", "acme"} {
				d.wants(r, "incident_closed")
			}
			m := d.events[closing].Detail.Mass
			if m.Silent != 2 || m.Recovered != 38 || m.Total != 40 || len(m.Hosts) != 2 || m.Hosts[0] != host("acme", 39) {
				t.Errorf("the last message says %+v: %s", m, d.events[closing].Summary)
			}
			d.hears(event(messages.HostRecovered, host("acme", 39)))
			d.passes(time.Minute)
			d.wants("operator", "host_recovered 39")
			d.passes(4 * time.Hour)
			d.wants("acme", "host_recovered 39", "reminder: host_stale 40")
			d.hears(event(messages.HostRecovered, host("acme", 40)))
			d.passes(time.Hour)
			if len(d.rows) != 0 {
				t.Errorf("left: %+v", d.rows)
			}
		})
	}
}

// Who wants to be woken by what is critical hears of an incident when its hosts are
// down, once; those who heard of it do not hear that again. All return: one message.
func TestIncidentThatGetsWorse(t *testing.T) {
	downs := messages.Route{ID: "downs", Events: []messages.EventType{messages.HostDown, messages.HostRecovered}}
	d := newDesk(t, acmes, pager, downs)
	d.ofCustomer("acme", 20)
	d.fall(messages.HostStale, "acme", 1, 10, time.Second)
	d.passes(29 * time.Minute)
	d.wants("acme", "incident_opened")
	d.wants("pager")
	d.fall(messages.HostDown, "acme", 1, 10, time.Second)
	d.passes(time.Hour)
	d.wants("acme")
	d.wants("pager", "incident_opened")
	d.wants("downs", "incident_opened")
	d.fall(messages.HostRecovered, "acme", 1, 10, time.Second)
	d.passes(time.Hour)
	for _, r := range []messages.RouteID{"acme", "pager", "downs"} {
		d.wants(r, "incident_closed")
	}
	if len(d.rows) != 0 {
		t.Errorf("left: %+v", d.rows)
	}
}

// An outage of six customers is one message on the operator's route, and one for each
// customer of three hosts and more; a customer of two hears of both.
func TestSilenceOfTheFleetIsOneMessage(t *testing.T) {
	for _, killed := range []bool{false, true} {
		routes := []messages.Route{operator}
		for i := range 6 {
			routes = append(routes, messages.Route{ID: messages.RouteID(fmt.Sprint("c", i)), CustomerID: messages.CustomerID(fmt.Sprint("c", i))})
		}
		d := newDesk(t, routes...)
		each := []int{10, 10, 10, 8, 3, 2}
		for i, n := range each {
			d.ofCustomer(messages.CustomerID(fmt.Sprint("c", i)), n)
		}
		for n := range 10 {
			for i := range 6 {
				if n < each[i] {
					d.fall(messages.HostStale, messages.CustomerID(fmt.Sprint("c", i)), n+1, n+1, time.Second)
				}
			}
			if killed && n == 5 {
				d.restart()
			}
		}
		d.passes(10 * time.Minute)
		d.wants("operator", "incident_opened")
		for i := range 5 {
			d.wants(messages.RouteID(fmt.Sprint("c", i)), "incident_opened")
		}
		d.wants("c5", "host_stale 01, host_stale 02")
		for i := range 6 {
			d.fall(messages.HostRecovered, messages.CustomerID(fmt.Sprint("c", i)), 1, each[i], time.Second)
		}
		d.passes(10 * time.Minute)
		d.wants("operator", "incident_closed")
		d.wants("c3", "incident_closed")
		d.wants("c5", "host_recovered 01, host_recovered 02")
		if len(d.rows) != 0 {
			t.Errorf("left: %+v", d.rows)
		}
	}
}

// What befalls one customer alone is not the fleet's, however many its hosts are.
func TestOneCustomerIsNotTheFleet(t *testing.T) {
	d := newDesk(t, operator)
	d.ofCustomer("acme", 40)
	d.ofCustomer("other", 10)
	d.fall(messages.HostStale, "acme", 1, 40, time.Second)
	d.fall(messages.HostStale, "other", 1, 2, time.Second)
	d.passes(time.Minute)
	if m := d.events[d.sent[0].Events[0]].Detail.Mass; m == nil || m.Scope.Kind != messages.ScopeCustomer {
		t.Errorf("told %+v", m)
	}
}

// Hosts of one place that fall together are told to the operator as that.
func TestSilenceOfASite(t *testing.T) {
	d := newDesk(t, operator, acmes)
	d.ofCustomer("acme", 30)
	d.ofCustomer("other", 300)
	d.hosts[messages.Scope{Kind: messages.ScopeSite, ID: "Pest"}] = 12
	for i := 1; i <= 4; i++ {
		d.sites[host("acme", i)], d.sites[host("other", i)] = "Pest", "Pest"
	}
	for i := 1; i <= 4; i++ {
		d.fall(messages.HostStale, "acme", i, i, time.Second)
		d.fall(messages.HostStale, "other", i, i, time.Second)
	}
	d.passes(time.Minute)
	d.wants("operator", "incident_opened")
	d.wants("acme", "host_stale 01, host_stale 02, host_stale 03, host_stale 04")
	d.fall(messages.HostRecovered, "acme", 1, 4, time.Second)
	d.fall(messages.HostRecovered, "other", 1, 4, time.Second)
	d.passes(10 * time.Minute)
	d.wants("operator", "incident_closed")
}

// A few hosts, and many over hours, are no incident.
func TestFewHostsAreNoIncident(t *testing.T) {
	d := newDesk(t, operator)
	d.ofCustomer("acme", 40)
	d.fall(messages.HostStale, "acme", 1, 7, 10*time.Second)
	d.passes(time.Hour)
	if m := d.heard("operator"); len(m) != 1 {
		t.Errorf("told %v, want the seven in one message", m)
	}
	d.fall(messages.HostStale, "acme", 8, 30, 3*time.Minute)
	for _, line := range d.heard("operator") {
		if line == "incident_opened" {
			t.Error("one host in three minutes is an incident")
		}
	}
}

// A batch that is refused takes back an incident, and opens it again.
func TestRefusedBatchOfAnIncident(t *testing.T) {
	d := newDesk(t, operator)
	d.ofCustomer("acme", 10)
	d.fall(messages.HostStale, "acme", 1, 2, time.Second)
	d.cut(event(messages.HostStale, host("acme", 3)))
	d.Reset(d.now)
	d.hears(event(messages.HostStale, host("acme", 3)))
	d.passes(20 * time.Second)
	d.cut(event(messages.HostRecovered, host("acme", 1)))
	d.Reset(d.now)
	d.passes(5 * time.Minute)
	d.wants("operator", "incident_opened")
	d.fall(messages.HostRecovered, "acme", 1, 3, time.Second)
	d.passes(time.Minute)
	d.wants("operator", "incident_closed")
	if len(d.rows) != 0 || len(d.alarms) != 0 {
		t.Errorf("left: %+v", d.rows)
	}
}

// Those that a refused batch made members of an incident, which then does not come
// about, are told by themselves.
func TestRefusedIncidentLeavesItsHosts(t *testing.T) {
	d := newDesk(t, operator)
	d.ofCustomer("acme", 10)
	d.fall(messages.HostStale, "acme", 1, 2, time.Second)
	d.cut(event(messages.HostStale, host("acme", 3)))
	d.Reset(d.now)
	d.passes(5 * time.Minute)
	d.wants("operator", "host_stale 01, host_stale 02")
	d.hears(event(messages.HostRecovered, host("acme", 1)))
	d.passes(time.Minute)
	d.wants("operator", "host_recovered 01")
}

// Hosts that fell silent long ago do not become an incident because a clock was set back
// before a batch was refused or the hub started anew.
func TestOldSilenceIsNoIncidentAfterAClockStep(t *testing.T) {
	for name, restart := range map[string]func(*desk){"refused": func(d *desk) { d.cut(); d.Reset(d.now) }, "restart": (*desk).restart} {
		d := newDesk(t, operator)
		d.ofCustomer("acme", 40) // eight are an incident
		for i := 1; i <= 12; i++ {
			d.hears(event(messages.HostStale, host("acme", i)))
			d.passes(2 * time.Minute)
		}
		d.heard("operator")
		d.now.Wall = d.now.Wall.Add(-2 * time.Hour)
		restart(d)
		d.passes(2 * time.Minute)
		if got := d.heard("operator"); len(got) > 0 {
			t.Errorf("%s: told %v", name, got)
		}
	}
}

// A host that is removed is of no incident and no alarm any more.
func TestRemovedHostLeavesItsIncident(t *testing.T) {
	d := newDesk(t, operator)
	d.ofCustomer("acme", 10)
	d.fall(messages.HostStale, "acme", 1, 3, time.Second)
	d.passes(time.Minute)
	d.heard("operator")
	b := &messages.Batch{DelHosts: []messages.HostID{host("acme", 2)}}
	d.Forget(b, d.now)
	d.Tell(d.now, b, d)
	d.keep(b)
	d.fall(messages.HostRecovered, "acme", 1, 1, time.Second)
	d.fall(messages.HostRecovered, "acme", 3, 3, time.Second)
	d.passes(time.Minute)
	d.wants("operator", "incident_closed")
	if len(d.rows) != 0 {
		t.Errorf("left: %+v", d.rows)
	}
}

// BenchmarkSilenceOfTheFleet is 300,000 of 1,000,000 hosts of 10,000 customers that fall
// silent in batches of 2,048.
func BenchmarkSilenceOfTheFleet(b *testing.B) {
	t := &testing.T{}
	for b.Loop() {
		d := newDesk(t, operator)
		for c := range 10_000 {
			d.ofCustomer(messages.CustomerID(fmt.Sprint("c", c)), 100)
		}
		for n := 0; n < 300_000; {
			events := make([]messages.Event, 0, 2048)
			for ; len(events) < 2048 && n < 300_000; n++ {
				events = append(events, event(messages.HostStale, host(messages.CustomerID(fmt.Sprint("c", n/30)), n%30)))
			}
			d.hears(events...)
			d.passes(50 * time.Millisecond)
		}
		d.passes(10 * time.Minute)
		b.ReportMetric(float64(len(d.sent)), "messages")
	}
}

// Nobody is reminded of a controller or a deadline that was removed.
func TestRemovedControllersAndDeadlinesAreForgotten(t *testing.T) {
	d := newDesk(t, operator)
	d.hears(
		messages.Event{Type: messages.ControllerDown, CustomerID: "acme", IncidentID: "I-web", Detail: messages.EventDetail{Subject: "web"}},
		messages.Event{Type: messages.ControllerDown, CustomerID: "acme", IncidentID: "I-db", Detail: messages.EventDetail{Subject: "db"}},
		messages.Event{Type: messages.DeadlineMissed, CustomerID: "acme", IncidentID: "I-six", Detail: messages.EventDetail{Subject: "web"}})
	d.passes(time.Minute)
	d.heard("operator")
	b := &messages.Batch{DelControllers: []messages.ControllerName{{CustomerID: "acme", ID: "web"}, {CustomerID: "globex", ID: "db"}},
		DelDeadlines: []messages.Deadline{{CustomerID: "acme", ID: "six", Incident: "I-six"}}}
	d.Forget(b, d.now)
	d.Tell(d.now, b, d)
	d.keep(b)
	if _, left := d.rows["I-db"]; len(d.rows) != 1 || !left {
		t.Errorf("left: %+v", d.rows)
	}
}
