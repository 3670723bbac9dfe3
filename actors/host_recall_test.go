package actors

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"felhom.eu/messages"
)

// wentDown lets the host report twice and fall silent until an hour has passed.
func wentDown(w *scene) {
	w.Helper()
	w.mustSay(twoUp)
	w.sleep(15 * time.Minute)
	w.mustSay(oneUp)
	w.sleep(59 * time.Minute)
	w.wantEvents(messages.GuestStopped, messages.HostStale)
}

// wantDown is the one host_down, told in time, with so many changes.
func (w *scene) wantDown(changes int) {
	w.Helper()
	synctest.Wait()
	w.wantEvents(messages.GuestStopped, messages.HostStale, messages.HostDown)
	if len(w.store.events) < 3 {
		w.FailNow()
	}
	if e := w.store.events[2]; len(e.Detail.Changes) != changes || e.Detail.SilenceSeconds != 3600 {
		w.Errorf("silent for %d s, changes %v, want 3600 and %d", e.Detail.SilenceSeconds, e.Detail.Changes, changes)
	}
}

// A host that goes down is told of with what its last reports said anew, once.
func TestDownTellsWhatChangedBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newScene(t)
		w.start()
		wentDown(w)
		w.sleep(time.Minute + 5*time.Second)
		w.wantDown(1)
		if c := w.store.events[2].Detail.Changes[0]; c != (messages.Change{What: "guest 101 (web)", From: "running", To: "stopped"}) {
			t.Errorf("got %+v", c)
		}
		if w.store.events[1].Detail.Changes != nil {
			t.Error("host_stale has changes")
		}
		w.mustSay(oneUp)
		w.wantEvents(messages.GuestStopped, messages.HostStale, messages.HostDown, messages.HostRecovered)
		w.stop()
	})
}

// Reading that hangs, fails or panics costs the changes, not the alarm, and what comes
// meanwhile is heard.
func TestDownIsToldWithoutItsReports(t *testing.T) {
	for name, spoil := range map[string]func(*fakeStore){
		"slow":    func(f *fakeStore) { f.slowRecall = time.Minute },
		"failing": func(f *fakeStore) { f.unreadable = errors.New("no such luck") },
		"panic":   func(f *fakeStore) { f.onRecall = func() { panic("a bug") } },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newScene(t)
				w.start()
				wentDown(w)
				w.store.set(func() { spoil(w.store) })
				w.sleep(time.Minute + time.Second)
				w.sleep(recallPatience)
				w.wantDown(0)
				w.store.set(func() { w.store.unreadable = nil })
				w.mustSay(oneUp)
				w.wantEvents(messages.GuestStopped, messages.HostStale, messages.HostDown, messages.HostRecovered)
				w.sleep(2 * time.Minute)
				w.stop()
			})
		})
	}
}

// What comes while the reports are read waits for it; a hub that is killed then tells
// of the host at its next start.
func TestDownWhileItsReportsAreRead(t *testing.T) {
	during := func(t *testing.T, then func(*scene)) {
		synctest.Test(t, func(t *testing.T) {
			w := newScene(t)
			w.start()
			wentDown(w)
			w.store.set(func() { w.store.slowRecall = time.Minute })
			w.sleep(time.Minute + time.Second)
			w.wantEvents(messages.GuestStopped, messages.HostStale)
			then(w)
			w.sleep(2 * time.Minute)
			w.stop()
		})
	}
	t.Run("a report comes", func(t *testing.T) {
		during(t, func(w *scene) {
			w.mustSay(oneUp)
			w.wantEvents(messages.GuestStopped, messages.HostStale, messages.HostDown, messages.HostRecovered)
		})
	})
	t.Run("the host panics", func(t *testing.T) {
		during(t, func(w *scene) {
			w.hub.engine.Send(w.hub.directory.hosts[testHost].PID(), (*recalled)(nil))
			synctest.Wait()
			if err := w.say(oneUp); !errors.Is(err, ErrUnavailable) {
				t.Errorf("a report before the state is read back: %v", err)
			}
			w.sleep(recallPatience)
			w.wantEvents(messages.GuestStopped, messages.HostStale, messages.HostDown)
			w.hub.alarms.mu.Lock()
			if n := w.hub.alarms.open; n != 0 {
				t.Errorf("%d transitions are under way", n)
			}
			w.hub.alarms.mu.Unlock()
			if n := w.hub.watch.panics.Load(); n != 1 {
				t.Errorf("%d panics, want 1", n)
			}
			w.mustSay(oneUp)
			w.wantEvents(messages.GuestStopped, messages.HostStale, messages.HostDown, messages.HostRecovered)
		})
	})
	t.Run("the hub is killed", func(t *testing.T) {
		during(t, func(w *scene) {
			w.kill()
			w.wantEvents(messages.GuestStopped, messages.HostStale)
			w.start()
			w.sleep(time.Hour)
			w.wantEvents(messages.GuestStopped, messages.HostStale, messages.HostDown)
		})
	})
}

// A fleet that falls silent in one moment is told without what changed, but for a few.
func TestMassSilenceReadsFewReports(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const hosts = 3 * recallBudget
		w := newScene(t)
		for i := range hosts {
			w.addHost(messages.HostID(fmt.Sprintf("acme-%08x", i+1)))
		}
		w.start()
		for i := range hosts {
			if err := w.report(messages.HostID(fmt.Sprintf("acme-%08x", i+1))); err != nil {
				t.Fatal(err)
			}
		}
		w.sleep(time.Hour + 10*time.Second)
		down := 0
		for _, typ := range w.store.types() {
			if typ == messages.HostDown {
				down++
			}
		}
		if down != hosts || w.store.recalled != recallBudget {
			t.Errorf("%d of %d are down, %d were read", down, hosts, w.store.recalled)
		}
		w.stop()
	})
}
