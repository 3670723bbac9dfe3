package actors

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"felhom.eu/messages"
)

// startGated starts the hub on a store that gives no host away until the gate is
// opened.
func (w *scene) startGated() (open func()) {
	gate := make(chan struct{})
	w.store.gate = gate
	w.start()
	if w.hub.Starting() == 0 || w.hub.directory.count() != 0 {
		w.Fatal("the hub has hosts already: the gate does not hold")
	}
	w.store.gate = nil
	return func() {
		close(gate)
		synctest.Wait()
	}
}

// A report of a host whose actor is not up yet is accepted at once and counts:
// what the start reads of the host afterwards is older, and must not win.
func TestReportBeforeTheHostIsUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newScene(t)
		w.addHost("acme-00000002")
		w.start()
		w.reports(15*time.Minute, testHost, "acme-00000002")
		w.stop()
		open := w.startGated()
		if err := w.report(testHost); err != nil {
			t.Fatalf("report while starting: %v", err)
		}
		if err := w.repeat(testHost); err != nil || w.hub.Stats().Repeats.Load() != 1 {
			t.Errorf("repeat while starting: %v, %d known as repeats, want 1", err, w.hub.Stats().Repeats.Load())
		}
		if err := w.report("acme-99999999"); !errors.Is(err, ErrUnknownHost) {
			t.Errorf("unknown host while starting: %v, want %v", err, ErrUnknownHost)
		}
		open()
		if n := w.hub.Starting(); n != 0 {
			t.Errorf("%d hosts are starting behind the gate", n)
		}
		if got := w.hub.Stats().Hosts(); got != [4]int{messages.PhaseOK: 2} {
			t.Errorf("%v hosts by phase, want 2 ok", got)
		}
		if err := w.report("acme-99999999"); !errors.Is(err, ErrUnknownHost) {
			t.Errorf("unknown host after the start: %v, want %v", err, ErrUnknownHost)
		}
		w.sleep(17 * time.Minute) // the grace of 16 min is over; 32 min of silence for the one, 17 for the other
		w.wantEvents(messages.HostStale)
		if id := w.store.events[0].HostID; id != "acme-00000002" {
			t.Errorf("%s is stale, which reported after the start", id)
		}
		w.stop()
	})
}

// A deadline that passes while the host's actor is not up yet is told, once: when
// the host is raised, and before a report that raises it, which does not undo
// a silence that was long enough. A kill in between changes nothing.
func TestDeadlinePassesBeforeTheHostIsUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newScene(t)
		w.addHost("acme-00000002")
		w.start()
		w.reports(15*time.Minute, testHost, "acme-00000002")
		w.stop()
		never := w.startGated()
		w.sleep(40 * time.Minute)
		w.wantEvents()
		w.kill()
		never()
		open := w.startGated()
		w.sleep(3 * time.Hour)
		w.wantEvents()
		if err := w.report("acme-00000002"); err != nil { // silent for hours, and nobody had looked
			t.Fatal(err)
		}
		told := []messages.EventType{messages.HostStale, messages.HostDown, messages.HostRecovered}
		w.wantEvents(told...)
		open()
		w.sleep(time.Second)
		w.wantEvents(append(told, messages.HostStale, messages.HostDown)...)
		if id := w.store.events[3].HostID; id != testHost {
			t.Errorf("%s is down, want %s", id, testHost)
		}
		if err := w.report(testHost); err != nil {
			t.Fatal(err)
		}
		w.sleep(10 * time.Minute)
		w.wantEvents(append(told, told...)...)
		w.stop()
	})
}

// A goodbye before its host is up holds the alarm like any other.
func TestGoodbyeBeforeTheHostIsUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newScene(t)
		w.start()
		w.reports(15*time.Minute, testHost)
		w.stop()
		open := w.startGated()
		now := time.Now()
		back := now.Add(2 * time.Hour)
		if _, err := w.hub.Ingest.Goodbye(messages.Goodbye{HostID: testHost, SentAt: now, BackBy: &back, Reason: "reboot"}); err != nil {
			t.Fatal(err)
		}
		open()
		w.sleep(2*time.Hour - time.Second)
		w.wantEvents()
		w.sleep(2 * time.Second)
		w.wantEvents(messages.HostStale, messages.HostDown)
		w.stop()
	})
}

// Orders wait until every host is up, and are carried out then: a host that is
// removed while the hub starts does not come back with what was read before.
func TestOrdersWaitForTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newScene(t)
		w.addHost("acme-00000002")
		w.start()
		w.reports(time.Minute, testHost)
		w.stop()
		open := w.startGated()
		var removed, inUse error
		var all sync.WaitGroup
		all.Go(func() { removed = w.hub.Order(t.Context(), RemoveHost{ID: testHost}) })
		synctest.Wait()
		all.Go(func() { inUse = w.hub.Order(t.Context(), RemoveCustomer{ID: "acme"}) })
		synctest.Wait()
		if _, there := w.store.hosts[testHost]; !there {
			t.Error("a host was removed before all were up")
		}
		open()
		all.Wait()
		if removed != nil || !errors.Is(inUse, ErrInUse) {
			t.Errorf("remove host: %v, remove its customer, which has another: %v, want %v", removed, inUse, ErrInUse)
		}
		if err := w.report(testHost); !errors.Is(err, ErrUnknownHost) {
			t.Errorf("report of the removed host: %v, want %v", err, ErrUnknownHost)
		}
		if n := w.hub.directory.count(); n != 1 {
			t.Errorf("%d actors, want 1", n)
		}
		w.stop()
	})
}

// A hub that is stopped while it starts ends in order.
func TestStopWhileStarting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newScene(t)
		w.start()
		w.reports(time.Minute, testHost)
		w.stop()
		open := w.startGated()
		if err := w.report(testHost); err != nil {
			t.Fatal(err)
		}
		w.stop()
		open()
		select {
		case err := <-w.fatal:
			t.Errorf("the hub could not go on: %v", err)
		default:
		}
		w.start()
		if s := w.store.states[testHost].Sequence; s != 2 {
			t.Errorf("sequence %d after the restart, want 2", s)
		}
		w.stop()
	})
}

// Hosts that report while they are being raised, in several parts, have one actor
// each, no report is lost between two, and each is counted once. It is for the race
// detector, too.
func TestReportsRaceWithTheStart(t *testing.T) {
	const hosts, each = 3 * raisedTogether, 4
	w := newScene(t)
	var ids []messages.HostID
	for i := range hosts {
		id := messages.HostID(fmt.Sprintf("acme-%08x", i+1))
		w.addHost(id)
		ids = append(ids, id)
	}
	slices.Sort(ids)
	gate := make(chan struct{})
	w.store.gate = gate
	cfg := w.config()
	cfg.Names = slices.Clone(ids[hosts/5:]) // the others have no key
	cfg.MaxInside = hosts
	hub, err := NewHub(cfg)
	if err != nil {
		t.Fatal(err)
	}
	hub.Open()
	for !hub.Listening() {
		time.Sleep(time.Millisecond)
	}
	var all sync.WaitGroup
	for _, id := range ids {
		all.Go(func() {
			for i := range each {
				s := messages.Summary{HostID: id, StreamHash: 7, Sequence: uint64(i + 1), Figures: messages.Figures{GuestsUnknown: true}}
				if _, err := hub.Ingest.Record(&s, nil); err != nil {
					t.Errorf("%s: %v", id, err)
				}
			}
		})
	}
	close(gate)
	all.Wait()
	for hub.Starting() > 0 {
		time.Sleep(time.Millisecond)
	}
	if got := hub.Stats().Hosts(); got != [4]int{messages.PhaseOK: hosts} {
		t.Errorf("%v hosts by phase, want %d ok", got, hosts)
	}
	for _, id := range ids {
		if s := w.store.states[id]; s.Sequence != each || s.Seen != 1<<each-1 {
			t.Errorf("%s: sequence %d, seen %b", id, s.Sequence, s.Seen)
		}
		if err := hub.Order(t.Context(), RemoveCustomer{ID: "acme"}); !errors.Is(err, ErrInUse) {
			t.Fatalf("remove a customer that has %s: %v, want %v", id, err, ErrInUse)
		}
		if err := hub.Order(t.Context(), RemoveHost{ID: id}); err != nil {
			t.Fatal(err)
		}
	}
	if err := hub.Order(t.Context(), RemoveCustomer{ID: "acme"}); err != nil {
		t.Errorf("remove a customer without hosts: %v", err)
	}
	if err := hub.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}
