package main

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

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
		"alarm about the awake": {func(d *told) { d.accuse(loader, time.Second) }, "who was heard was not alarmed about"},
		"or at once":            {func(d *told) { d.accuse(loader, 0) }, "who was heard was not alarmed about"},
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
			d.check(&checks, expected{cycles: 1, sleepers: map[messages.HostID]bool{sleeper: true}, kills: 1, acks: heardOf, stale: 3 * time.Second})
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

// heardOf is when the loader was answered last.
var heardOf = []load.Ack{{Host: load.NewHost(1, loader, ""), At: 1_780_928_409, AnsweredAt: time.Unix(1_780_928_410, 0)}}

// accuse is a transition of a host, so long after the loader was answered.
func (d *told) accuse(id messages.HostID, after time.Duration) {
	at := heardOf[0].AnsweredAt.Add(after)
	d.events = append(d.events, messages.Event{ID: "10", At: at, Type: messages.HostStale, HostID: id, IncidentID: "I9"})
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

// Changes of the hub's sources are lines that have to be there, once each; what
// comes of them is Go.
func TestChangesApply(t *testing.T) {
	product, err := rig.ProductDir()
	if err != nil {
		t.Fatal(err)
	}
	files, err := changes.ReadDir("testdata")
	if err != nil || len(files) < len(broken) {
		t.Fatalf("%d changes, %v", len(files), err)
	}
	for _, f := range files {
		texts, err := changedFiles(product, strings.TrimSuffix(f.Name(), ".change"))
		if err != nil || len(texts) == 0 {
			t.Errorf("%s: %d files, %v", f.Name(), len(texts), err)
		}
		for name, text := range texts {
			if _, err := parser.ParseFile(token.NewFileSet(), name, text, parser.AllErrors); err != nil {
				t.Errorf("%s: %v", f.Name(), err)
			}
		}
	}
	for _, b := range broken {
		if _, err := changedFiles(product, b.name); err != nil {
			t.Error(err)
		}
		if _, err := choose(options{only: b.by}); err != nil {
			t.Error(err)
		}
	}
}

// A judge that lets something pass proves nothing.
func TestDamageIsJudged(t *testing.T) {
	of := func(things ...string) *picture {
		p := &picture{things: map[string]string{}, refused: map[string]string{}}
		for i := 0; i < len(things); i += 2 {
			p.things[things[i]] = things[i+1]
		}
		return p
	}
	truth := of(ofReport+"h r", "body", ofState+"h", "1", ofEvent+"e", "x")
	failing := of(ofReport+"h r", "body", ofState+"h", "1")
	failing.refused["/events"] = "500"
	for name, c := range map[string]struct {
		shows  *picture
		told   string
		came   string
		silent bool
	}{
		"all there":              {truth, "", "harmless", false},
		"all there, and told":    {truth, "damage", "told, nothing missing", false},
		"event gone":             {of(ofReport+"h r", "body", ofState+"h", "1"), "", "", true},
		"event gone, told":       {of(ofReport+"h r", "body", ofState+"h", "1"), "lost", "told", false},
		"event refused":          {failing, "", "told", false},
		"state old":              {of(ofReport+"h r", "body", ofState+"h", "0", ofEvent+"e", "x"), "", "", true},
		"state old, told":        {of(ofReport+"h r", "body", ofState+"h", "0", ofEvent+"e", "x"), "lost", "told", false},
		"body wrong, even told":  {of(ofReport+"h r", "bodY", ofState+"h", "1", ofEvent+"e", "x"), "lost", "", true},
		"event from nowhere":     {of(ofReport+"h r", "body", ofState+"h", "1", ofEvent+"e", "x", ofEvent+"f", "y"), "", "", true},
		"another report's place": {of(ofReport+"h s", "body", ofState+"h", "1", ofEvent+"e", "x"), "lost", "", true},
	} {
		t.Run(name, func(t *testing.T) {
			var v verdict
			v.judge(c.shows.differs(truth), c.told)
			if v.came != c.came || (v.silent != "") != c.silent {
				t.Errorf("got %+v", v)
			}
		})
	}
}

// What a file is damaged in is its contents, not the zeros behind them.
func TestDamageHitsContents(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	was := append([]byte("something"), make([]byte, 1<<20)...)
	for _, d := range damages {
		if err := os.WriteFile(path, was, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := d.strike(path, rand.New(rand.NewPCG(1, 2))); err != nil {
			t.Fatal(err)
		}
		is, err := os.ReadFile(path)
		if d.name == removed.name && errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil || bytes.Equal(is, was) || bytes.Equal(bytes.TrimRight(is, "\x00"), []byte("something")) {
			t.Errorf("%s: %d bytes, %v", d.name, len(is), err)
		}
	}
}
