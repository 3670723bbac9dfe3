package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"testing"

	"felhom.eu/bench/load"
	"felhom.eu/bench/rig"
	"felhom.eu/messages"
)

const sleeper, loader = messages.HostID("acme-00000001"), messages.HostID("acme-00000002")

// truth is one sleeper's cycle, told in two deliveries, one of them twice.
func truth() *told {
	event := func(id string, t messages.EventType) messages.Event {
		return messages.Event{ID: messages.EventID(id), Type: t, HostID: sleeper, IncidentID: "I1"}
	}
	stale, down, back := event("01", messages.HostStale), event("02", messages.HostDown), event("03", messages.HostRecovered)
	first := rig.Notification{ID: "D1", Body: []byte("1"), Events: []messages.Event{stale, down}}
	return &told{
		events:     []messages.Event{stale, down, back},
		deliveries: []messages.Delivery{{ID: "D2", State: messages.DeliverySent}, {ID: "D1", State: messages.DeliverySent}},
		got:        []rig.Notification{first, first, {ID: "D2", Body: []byte("2"), Events: []messages.Event{back}}},
	}
}

// An accounting that cannot fail proves nothing: every way of losing, doubling
// or inventing must be found, and the truth must pass.
func TestEveryBrokenPromiseIsFound(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(*told)
		finds string // "" is nothing
	}{
		"the truth":             {func(*told) {}, ""},
		"event lost":            {func(d *told) { d.events = d.events[:2] }, "who fell silent was noticed, once each time"},
		"event doubled":         {func(d *told) { d.events = append(d.events, d.events[2]) }, "event ids are unique and rise"},
		"ids out of order":      {func(d *told) { d.events[0].ID = "09" }, "event ids are unique and rise"},
		"down without stale":    {func(d *told) { d.events = d.events[1:] }, "stale, down and recovered pair up by incident"},
		"another incident":      {func(d *told) { d.events[2].IncidentID = "I2" }, "stale, down and recovered pair up by incident"},
		"no incident":           {func(d *told) { d.events[0].IncidentID = "" }, "stale, down and recovered pair up by incident"},
		"incident used again":   {func(d *told) { d.repeat() }, "stale, down and recovered pair up by incident"},
		"alarm about the awake": {func(d *told) { d.accuse(loader) }, "who kept reporting was never alarmed about"},
		"bad signature":         {func(d *told) { d.got[0].Err = errors.New("bad") }, "every notification is signed"},
		"untold":                {func(d *told) { d.got = d.got[:2] }, "every transition was told"},
		"told in two":           {func(d *told) { d.got[2].Events = append(d.got[2].Events, d.events[0]) }, "no event is in two deliveries"},
		"body changed":          {func(d *told) { d.got[1].Body = []byte("3") }, "a delivery comes with one body"},
		"repeated too often":    {func(d *told) { d.got = append(d.got, d.got[0]) }, "at most one repeated delivery a kill"},
		"pending for ever":      {func(d *told) { d.deliveries[0].State = messages.DeliveryPending }, "the outbox agrees with what came"},
		"said sent, never came": {func(d *told) {
			d.deliveries = append(d.deliveries, messages.Delivery{ID: "D3", State: messages.DeliverySent})
		}, "the outbox agrees with what came"},
		"came, never listed": {func(d *told) { d.deliveries = d.deliveries[1:] }, "the outbox agrees with what came"},
	} {
		t.Run(name, func(t *testing.T) {
			d := truth()
			c.spoil(d)
			var checks rig.Checks
			d.check(&checks, expected{cycles: 1, sleepers: map[messages.HostID]bool{sleeper: true}, kills: 1})
			expectFinding(t, checks, c.finds)
		})
	}
}

// repeat is a second cycle under the first one's incident.
func (d *told) repeat() {
	for i, e := range d.events[:3] {
		e.ID = messages.EventID(fmt.Sprintf("1%d", i))
		d.events = append(d.events, e)
	}
}

// accuse is a transition of a host that was never silent.
func (d *told) accuse(id messages.HostID) {
	d.events = append(d.events, messages.Event{ID: "10", Type: messages.HostStale, HostID: id, IncidentID: "I9"})
}

func expectFinding(t *testing.T, checks rig.Checks, finds string) {
	t.Helper()
	found := false
	for _, c := range checks {
		if !c.OK && finds == "" {
			t.Errorf("found where nothing is: %s: %s", c.Name, c.Detail)
		}
		found = found || !c.OK && c.Name == finds
	}
	if finds != "" && !found {
		t.Errorf("not found: %s\n%+v", finds, checks)
	}
}

// The same for reports: an acknowledged one missing or changed, one kept twice,
// one that nobody sent; and one that was never answered may be there or not.
func TestEveryLostReportIsFound(t *testing.T) {
	h := load.NewHost(0, sleeper, "")
	ack := func(n uint64) load.Ack { return load.Ack{Host: h, Sequence: n, At: 1_780_928_409} }
	kept := func(ns ...uint64) map[messages.HostID][]digest {
		var ds []digest
		for _, n := range ns {
			ds = append(ds, sha256.Sum256(ack(n).Body()))
		}
		return map[messages.HostID][]digest{sleeper: ds}
	}
	for name, c := range map[string]struct {
		kept  map[messages.HostID][]digest
		finds string
	}{
		"all":              {kept(1, 2), ""},
		"and the open one": {kept(1, 2, 3), ""},
		"one lost":         {kept(1), "every report answered 200 is there, byte for byte"},
		"one twice":        {kept(1, 2, 2), "no report is there twice"},
		"one never sent":   {kept(1, 2, 4), "nothing is there that was not sent"},
		"the wrong host's": {map[messages.HostID][]digest{loader: kept(1, 2)[sleeper]}, "every report answered 200 is there, byte for byte"},
		"nothing at all":   {nil, "every report answered 200 is there, byte for byte"},
	} {
		t.Run(name, func(t *testing.T) {
			var checks rig.Checks
			checkReports(&checks, []load.Ack{ack(1), ack(2)}, []load.Ack{ack(3)}, c.kept)
			expectFinding(t, checks, c.finds)
		})
	}
}
