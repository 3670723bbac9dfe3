package actors

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"felhom.eu/messages"
)

var webController = messages.ControllerName{CustomerID: "acme", ID: "web"}

// control sends a controller's report.
func (w *scene) control(r messages.ControllerReport) error {
	_, err := w.hub.Ingest.Controller("acme", r, []byte(`{"controller_id":"web"}`))
	return err
}

func (w *scene) mustControl() {
	w.Helper()
	if err := w.control(messages.ControllerReport{ID: "web", GuestID: "acme-00000001/101"}); err != nil {
		w.Error(err)
	}
}

func TestControllerGoesSilentAndReturns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newScene(t)
		w.start()
		w.mustControl()
		w.sleep(30*time.Minute - time.Second)
		w.wantEvents()
		w.sleep(3 * time.Second)
		w.wantEvents(messages.ControllerStale)
		if got := w.hub.Stats().Controllers(); got != [4]int{messages.PhaseStale: 1} {
			t.Errorf("by phase: %v, want a stale one", got)
		}
		w.sleep(30 * time.Minute)
		w.wantEvents(messages.ControllerStale, messages.ControllerDown)
		w.sleep(2 * time.Hour)
		w.mustControl()
		w.sleep(time.Minute)
		w.wantEvents(messages.ControllerStale, messages.ControllerDown, messages.ControllerRecovered)
		for _, e := range w.store.events {
			if e.IncidentID == "" || e.IncidentID != w.store.events[0].IncidentID {
				t.Errorf("%s belongs to incident %q, want %q", e.Type, e.IncidentID, w.store.events[0].IncidentID)
			}
			if e.CustomerID != "acme" || e.HostID != testHost || e.Detail.VMID != 101 || e.Detail.Subject != "web" {
				t.Errorf("%s is about %s %s %d %q", e.Type, e.CustomerID, e.HostID, e.Detail.VMID, e.Detail.Subject)
			}
		}
		if got, want := w.store.events[2].Summary, "controller acme/web is back after 3 h"; got != want {
			t.Errorf("told %q, want %q", got, want)
		}
		w.stop()
	})
}

func TestControllersOwnIntervalScalesItsSwitch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newScene(t)
		w.start()
		if err := w.control(messages.ControllerReport{ID: "web", IntervalSeconds: 7200}); err != nil {
			t.Fatal(err)
		}
		w.sleep(4*time.Hour - 10*time.Minute)
		w.wantEvents()
		w.sleep(20 * time.Minute)
		w.wantEvents(messages.ControllerStale)
		w.stop()
	})
}

func TestControllersSurviveStopAndKillWithoutAWord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newScene(t)
		w.start()
		w.mustControl()
		w.sleep(40 * time.Minute)
		w.wantEvents(messages.ControllerStale)
		w.stop()
		w.sleep(25 * time.Minute) // does not count
		w.start()
		w.sleep(15 * time.Minute) // 55 min of silence that the hub listened to
		w.wantEvents(messages.ControllerStale)
		w.kill()
		w.start()
		w.sleep(30 * time.Minute)
		w.wantEvents(messages.ControllerStale, messages.ControllerDown)
		w.mustControl()
		w.kill()
		w.start()
		w.sleep(10 * time.Minute)
		w.wantEvents(messages.ControllerStale, messages.ControllerDown, messages.ControllerRecovered)
		w.stop()
	})
}

func TestRefusedControllerReportChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newScene(t)
		w.start()
		w.store.set(func() { w.store.full = true })
		if err := w.control(messages.ControllerReport{ID: "web"}); !errors.Is(err, ErrUnavailable) {
			t.Errorf("a full store: %v", err)
		}
		w.store.set(func() { w.store.full = false })
		w.sleep(3 * time.Hour)
		w.wantEvents()
		if err := w.hub.RemoveController(webController); !errors.Is(err, ErrNotFound) {
			t.Errorf("one that was refused is there: %v", err)
		}
		w.stop()
	})
}

func TestRemovedControllerIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newScene(t)
		w.start()
		w.mustControl()
		if err := w.hub.RemoveController(webController); err != nil {
			t.Fatal(err)
		}
		w.sleep(3 * time.Hour)
		w.wantEvents()
		if len(w.store.controllers) != 0 {
			t.Errorf("the store has %v", w.store.controllers)
		}
		w.mustControl()
		w.sleep(35 * time.Minute)
		w.wantEvents(messages.ControllerStale)
		w.stop()
	})
}

func TestReportsOfOneControllerAreLinked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newScene(t)
		w.start()
		w.mustControl()
		w.mustControl()
		if n := len(w.store.reports); n != 2 || !w.store.reports[0].Previous.IsZero() || w.store.reports[1].Previous.Batch == 0 {
			t.Errorf("%d reports: %+v", n, w.store.reports)
		}
		if last := w.store.controllers[webController].Last; last.Batch <= w.store.reports[1].Previous.Batch {
			t.Errorf("the state points to %+v", last)
		}
		w.stop()
	})
}

func TestCustomerHasSoManyControllersAtMost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newScene(t)
		for i := range maxControllers {
			n := messages.ControllerName{CustomerID: "acme", ID: messages.ControllerID("c" + hex8(i))}
			w.store.controllers[n] = messages.ControllerState{ControllerName: n, Phase: messages.PhaseDown}
		}
		w.start()
		if err := w.control(messages.ControllerReport{ID: "web"}); !errors.Is(err, ErrTooMany) {
			t.Errorf("one more: %v", err)
		}
		if err := w.control(messages.ControllerReport{ID: messages.ControllerID("c" + hex8(7))}); err != nil {
			t.Errorf("one that is known: %v", err)
		}
		w.stop()
	})
}

func TestControllersGoWithTheirCustomer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newScene(t)
		w.store.past.Customers = append(w.store.past.Customers, messages.Customer{ID: "brief"})
		w.start()
		if _, err := w.hub.Ingest.Controller("brief", messages.ControllerReport{ID: "web"}, nil); err != nil {
			t.Fatal(err)
		}
		if err := w.hub.Order(t.Context(), RemoveCustomer{ID: "brief"}); err != nil {
			t.Fatal(err)
		}
		w.sleep(3 * time.Hour)
		w.wantEvents()
		if _, err := w.hub.Ingest.Controller("brief", messages.ControllerReport{ID: "web"}, nil); !errors.Is(err, ErrNotFound) {
			t.Errorf("reports on: %v", err)
		}
		w.stop()
	})
}
