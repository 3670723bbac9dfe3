package actors

import (
	"slices"
	"testing"
	"time"

	"felhom.eu/messages"
)

// TestAvailabilityOfACustomer protects the sum: every host counts for the time for which
// it was known, one from before outages were noted from the calendar's beginning on,
// one that never reported not at all, and one that is down until now.
func TestAvailabilityOfACustomer(t *testing.T) {
	hour := func(n int) messages.Listened { return messages.Listened(time.Duration(n) * time.Hour) }
	april := messages.MonthOf(time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC))
	months := []messages.MonthStart{{Month: april - 2, Heard: hour(100)}, {Month: april, Heard: hour(800)}} // of March the hub saw nothing
	now := Moment{Wall: time.Date(2026, 4, 3, 0, 0, 0, 0, time.UTC), At: hour(900)}
	lives := []Life{
		{State: &messages.HostState{Phase: messages.PhaseOK}, Outages: []messages.Outage{{From: hour(50), To: hour(110)}, {From: hour(790), To: hour(805), Planned: true}}},
		{State: &messages.HostState{Phase: messages.PhaseDown, ContactHeard: hour(860)}, Outages: []messages.Outage{{From: hour(850), To: hour(850)}}},
		{State: &messages.HostState{}},
	}
	got := AvailabilityOf(months, now, 12, slices.Values(lives))
	want := []messages.Availability{
		{Month: april, Hosts: 2, Outages: 2, Listened: 150 * time.Hour, Down: 45 * time.Hour, Planned: 5 * time.Hour},
		{Month: april - 2, Hosts: 1, Outages: 2, Listened: 700 * time.Hour, Down: 20 * time.Hour, Planned: 10 * time.Hour},
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got := AvailabilityOf(months, now, 2, slices.Values(lives)); len(got) != 1 {
		t.Errorf("of two months: %+v", got)
	}
	if got := AvailabilityOf(nil, now, 12, slices.Values(lives)); len(got) != 0 {
		t.Errorf("without a calendar: %+v", got)
	}
}
