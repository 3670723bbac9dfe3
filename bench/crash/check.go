package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"

	"felhom.eu/bench/load"
	"felhom.eu/bench/rig"
	"felhom.eu/messages"
)

// checkReports holds what is kept to what was acknowledged. A report that was
// sent and never answered may be kept or not. It returns how many are lost.
func checkReports(c *rig.Checks, acks, open []load.Ack, kept map[messages.HostID][]digest) (lost int) {
	total, doubled, foreign := 0, 0, 0
	times := map[messages.HostID]map[digest]int{}
	for id, bodies := range kept {
		times[id] = map[digest]int{}
		for _, d := range bodies {
			total++
			if times[id][d]++; times[id][d] == 2 {
				doubled++
			}
		}
	}
	sent := map[digest]bool{}
	for _, a := range acks {
		d := digest(sha256.Sum256(a.Body()))
		sent[d] = true
		if times[a.Host.ID][d] == 0 {
			lost++
		}
	}
	for _, a := range open {
		sent[sha256.Sum256(a.Body())] = true
	}
	for _, of := range times {
		for d := range of {
			if !sent[d] {
				foreign++
			}
		}
	}
	c.Add(lost == 0, "every report answered 200 is there, byte for byte", "%d acknowledged, %d lost", len(acks), lost)
	c.Add(doubled == 0, "no report is there twice", "%d kept, %d twice", total, doubled)
	c.Add(foreign == 0, "nothing is there that was not sent", "%d bodies unknown", foreign)
	return lost
}

// told is what the hub says that happened, what it says it sent, and what came.
type told struct {
	events     []messages.Event
	deliveries []messages.Delivery
	got        []rig.Notification
}

// expected is what should have happened.
type expected struct {
	cycles   int // of every sleeper: stale, down, recovered once each
	sleepers map[messages.HostID]bool
	kills    int
	acks     []load.Ack    // of everybody
	stale    time.Duration // from which silence is one
}

// heard reports whether a host was answered, and its report sent, within the time
// before an instant in which nobody may call it silent. On a slow machine a look at
// the hub takes longer, and hosts that wait for its end are silent.
func (x *expected) heard(id messages.HostID, before time.Time) bool {
	return slices.ContainsFunc(x.acks, func(a load.Ack) bool {
		return a.Host.ID == id && !a.AnsweredAt.After(before) && time.Unix(a.At, 0).After(before.Add(-x.stale))
	})
}

func (t *told) check(c *rig.Checks, want expected) {
	t.checkIDs(c)
	t.checkOrder(c)
	t.checkTransitions(c, want)
	t.checkNotifications(c, want.kills)
	t.checkOutbox(c)
}

// checkIDs: event ids are unique and rise.
func (t *told) checkIDs(c *rig.Checks) {
	bad := 0
	for i := 1; i < len(t.events); i++ {
		if t.events[i].ID <= t.events[i-1].ID {
			bad++
		}
	}
	c.Add(bad == 0, "event ids are unique and rise", "%d events (%s), %d out of order", len(t.events), t.kinds(), bad)
}

func (t *told) kinds() string {
	n := map[messages.EventType]int{}
	for _, e := range t.events {
		n[e.Type]++
	}
	var words []string
	for kind, count := range n {
		words = append(words, fmt.Sprintf("%d %s", count, kind))
	}
	sort.Strings(words)
	return strings.Join(words, ", ")
}

// spokenFor reports whether an incident that was told speaks for a host's transition: the
// host fell silent shortly before it was opened, or before it was closed, and its end is
// the incident's, or came before that. Hosts named in the last message are told of again.
func (t *told) spokenFor(e messages.Event, tellers map[messages.EventID]map[string]bool) bool {
	const before = 6 * time.Minute // within which hosts fall silent together, and the wait to tell it
	opened := map[messages.IncidentID]messages.Event{}
	for _, x := range t.events {
		switch {
		case x.Type == messages.IncidentOpened && len(tellers[x.ID]) > 0:
			if _, known := opened[x.IncidentID]; !known {
				opened[x.IncidentID] = x
			}
		case x.Type == messages.IncidentClosed && len(tellers[x.ID]) > 0:
			if from, known := opened[x.IncidentID]; known && e.At.After(from.At.Add(-before)) && !e.At.After(x.At) {
				return true
			}
			delete(opened, x.IncidentID)
		}
	}
	for _, from := range opened { // still open
		if e.At.After(from.At.Add(-before)) {
			return true
		}
	}
	return false
}

// turns says where each transition may come from.
var turns = map[messages.EventType][]messages.EventType{
	messages.HostStale:     {"", messages.HostRecovered},
	messages.HostDown:      {messages.HostStale},
	messages.HostRecovered: {messages.HostStale, messages.HostDown},
}

// checkOrder: a host's transitions follow one another legally, and one incident
// id runs from stale to recovered and is not used again.
func (t *told) checkOrder(c *rig.Checks) {
	last := map[messages.HostID]messages.Event{}
	used := map[messages.IncidentID]bool{}
	var bad []string
	for _, e := range t.events {
		from, isTurn := turns[e.Type]
		if !isTurn {
			continue
		}
		was := last[e.HostID]
		last[e.HostID] = e
		fresh := e.Type == messages.HostStale
		if !contains(from, was.Type) || e.IncidentID == "" || fresh == used[e.IncidentID] || (!fresh && e.IncidentID != was.IncidentID) {
			bad = append(bad, fmt.Sprintf("%s %s after %q", e.HostID, e.Type, was.Type))
		}
		used[e.IncidentID] = true
	}
	c.Add(len(bad) == 0, "stale, down and recovered pair up by incident", "%d hosts turned; %d illegal %.300v", len(last), len(bad), bad)
}

func contains(ts []messages.EventType, t messages.EventType) bool {
	for _, one := range ts {
		if one == t {
			return true
		}
	}
	return false
}

// checkTransitions: every sleeper turned as often as it was silent, and nobody
// turned who was heard.
func (t *told) checkTransitions(c *rig.Checks, want expected) {
	seen := map[messages.HostID]map[messages.EventType]int{}
	awake := 0
	for _, e := range t.events {
		if _, isTurn := turns[e.Type]; !isTurn {
			continue
		}
		if e.Type != messages.HostRecovered && want.heard(e.HostID, e.At) {
			awake++
		}
		if seen[e.HostID] == nil {
			seen[e.HostID] = map[messages.EventType]int{}
		}
		seen[e.HostID][e.Type]++
	}
	missed, repeated := 0, 0
	for id := range want.sleepers {
		for kind := range turns {
			missed += max(0, want.cycles-seen[id][kind])
			repeated += max(0, seen[id][kind]-want.cycles)
		}
	}
	c.Add(missed+repeated == 0, "who fell silent was noticed, once each time", "%d hosts, %d times each; %d missed, %d repeated", len(want.sleepers), want.cycles, missed, repeated)
	c.Add(awake == 0, "who was heard was not alarmed about", "%d false transitions", awake)
}

// checkNotifications: signatures, stable ids and bodies, every event told in
// one delivery.
func (t *told) checkNotifications(c *rig.Checks, kills int) {
	bodies := map[string][]byte{}
	var invalid []string
	changed, again := 0, 0
	for _, n := range t.got {
		if n.Err != nil {
			invalid = append(invalid, n.Err.Error())
		}
		if body, known := bodies[n.ID]; known {
			again++
			if !bytes.Equal(body, n.Body) {
				changed++
			}
		}
		bodies[n.ID] = n.Body
	}
	tellers, doubled := t.tellers(), 0
	for _, e := range t.events {
		if len(tellers[e.ID]) > 1 {
			doubled++
		}
	}
	untold := t.untold()
	c.Add(len(invalid) == 0, "every notification is signed", "%d received, %d invalid %.200v", len(t.got), len(invalid), invalid)
	c.Add(untold == 0, "every transition was told", "%d deliveries received; %d transitions untold", len(bodies), untold)
	c.Add(doubled == 0, "no event is in two deliveries", "%d are", doubled)
	c.Add(changed == 0, "a delivery comes with one body", "%d came with another", changed)
	c.Add(again <= kills, "at most one repeated delivery a kill", "%d repeated, %d kills", again, kills)
}

// tellers are the notifications that each event came in.
func (t *told) tellers() map[messages.EventID]map[string]bool {
	tellers := map[messages.EventID]map[string]bool{}
	for _, n := range t.got {
		for _, e := range n.Events {
			if tellers[e.ID] == nil {
				tellers[e.ID] = map[string]bool{}
			}
			tellers[e.ID][n.ID] = true
		}
	}
	return tellers
}

// untold is how many transitions neither came in a notification nor are spoken for.
func (t *told) untold() (n int) {
	tellers := t.tellers()
	for _, e := range t.events {
		if _, isTurn := turns[e.Type]; isTurn && len(tellers[e.ID]) == 0 && !t.spokenFor(e, tellers) {
			n++
		}
	}
	return n
}

// checkOutbox: what the hub says it sent is what came.
func (t *told) checkOutbox(c *rig.Checks) {
	came := map[messages.DeliveryID]bool{}
	for _, n := range t.got {
		came[messages.DeliveryID(n.ID)] = true
	}
	unsent, claimed := 0, 0
	known := map[messages.DeliveryID]bool{}
	for _, d := range t.deliveries {
		known[d.ID] = true
		if d.State != messages.DeliverySent {
			unsent++
		} else if !came[d.ID] {
			claimed++
		}
	}
	unknown := 0
	for id := range came {
		if !known[id] {
			unknown++
		}
	}
	c.Add(unsent+claimed+unknown == 0, "the outbox agrees with what came", "%d deliveries; %d not sent, %d said sent but never came, %d came but not listed",
		len(t.deliveries), unsent, claimed, unknown)
}
