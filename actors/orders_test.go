package actors

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"felhom.eu/messages"
)

// Orders are decided on what is durable: no doubles, nothing under an owner
// that is not there, nothing removed that something else needs.
func TestOrdersAreDecidedOnWhatIsDurable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newScene(t)
		w.start()
		host := messages.Host{ID: "globex-00000001", CustomerID: "globex"}
		route := messages.Route{ID: testRoute, CustomerID: "globex"}
		for i, step := range []struct {
			order order
			want  error
		}{
			{AddHost{Host: host}, ErrNotFound},
			{AddRoute{route}, ErrNotFound},
			{PutCustomer{messages.Customer{ID: "globex"}}, ErrNotFound},
			{AddCustomer{messages.Customer{ID: "globex"}}, nil},
			{AddCustomer{messages.Customer{ID: "globex"}}, ErrExists},
			{AddHost{Host: host}, nil},
			{AddHost{Host: host}, ErrExists},
			{PutKeys{Host: "globex-00000002"}, ErrNotFound},
			{PutKeys{Host: host.ID}, nil},
			{RemoveCustomer{ID: "globex"}, ErrInUse},
			{RemoveHost{"globex-00000002"}, ErrNotFound},
			{RemoveHost{host.ID}, nil},
			{RemoveHost{host.ID}, ErrNotFound},
			{AddRoute{route}, nil},
			{RemoveCustomer{ID: "globex"}, ErrInUse},
			{RemoveRoute{testRoute}, nil},
			{RemoveRoute{testRoute}, ErrNotFound},
			{RemoveCustomer{ID: "globex"}, nil},
			{RemoveCustomer{ID: "globex"}, ErrNotFound},
			{EndSilence{"s1"}, ErrNotFound},
			{PutSilence{messages.Silence{ID: "s1", Scope: messages.Scope{Kind: messages.ScopeFleet}}}, nil},
			{EndSilence{"s1"}, nil},
			{EndSilence{"s1"}, ErrNotFound},
			{AckAlarms{IDs: []messages.IncidentID{"none"}}, ErrNotFound},
		} {
			if err := w.hub.Order(t.Context(), step.order); !errors.Is(err, step.want) || (err == nil) != (step.want == nil) {
				t.Errorf("step %d, %T: %v, want %v", i, step.order, err, step.want)
			}
		}
		w.stop()
	})
}

// A removed host is gone from memory and disk, whatever it was doing: its
// reports are refused, its silence alarms nobody, and the same id can come again.
func TestRemovedHostIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newScene(t)
		w.start()
		w.reports(15*time.Minute, testHost)
		w.store.set(func() { w.store.slow = time.Second })
		late := make(chan error, 1)
		go func() { late <- w.report(testHost) }() // in flight when the order comes
		time.Sleep(time.Millisecond)
		if err := w.hub.Order(t.Context(), RemoveHost{testHost}); err != nil {
			t.Fatal(err)
		}
		<-late
		if _, err := w.store.HostState(testHost); !errors.Is(err, ErrNotFound) {
			t.Errorf("the host's state is still stored: %v", err)
		}
		if err := w.report(testHost); !errors.Is(err, ErrUnknownHost) {
			t.Errorf("report of a removed host: %v, want %v", err, ErrUnknownHost)
		}
		w.sleep(3 * time.Hour)
		w.wantEvents()
		if n := w.hub.Stats().Hosts(); n != [4]int{} {
			t.Errorf("hosts by phase: %v, want none", n)
		}
		if err := w.hub.Order(t.Context(), AddHost{Host: messages.Host{ID: testHost, CustomerID: "acme"}}); err != nil {
			t.Error(err)
		}
		if err := w.report(testHost); err != nil {
			t.Error(err)
		}
		w.stop()
	})
}

// A removal that cannot be written leaves the host as it was.
func TestRefusedRemovalLeavesTheHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newScene(t)
		w.start()
		w.reports(15*time.Minute, testHost)
		w.store.set(func() { w.store.full = true })
		if err := w.hub.Order(t.Context(), RemoveHost{testHost}); !errors.Is(err, ErrUnavailable) {
			t.Fatalf("removal from a full store: %v, want %v", err, ErrUnavailable)
		}
		w.store.set(func() { w.store.full = false })
		w.sleep(3 * time.Second)
		if err := w.report(testHost); err != nil {
			t.Error(err)
		}
		w.sleep(2 * time.Hour)
		w.wantEvents(messages.HostStale, messages.HostDown)
		w.stop()
	})
}

// A host whose removal is refused while its last report is still being written
// comes back with that report, not with what was stored before it.
func TestRefusedRemovalWaitsForTheLastReport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newScene(t)
		w.start()
		w.reports(15*time.Minute, testHost)
		w.store.set(func() { w.store.slow = time.Second })
		late := make(chan error, 1)
		go func() { late <- w.report(testHost) }()
		time.Sleep(time.Millisecond)
		w.store.set(func() { w.store.full = true })
		if err := w.hub.Order(t.Context(), RemoveHost{testHost}); !errors.Is(err, ErrUnavailable) {
			t.Fatalf("removal from a full store: %v, want %v", err, ErrUnavailable)
		}
		<-late
		w.store.set(func() { w.store.slow, w.store.full = 0, false })
		w.sleep(3 * time.Second)
		if err := w.repeat(testHost); err != nil {
			t.Error(err)
		}
		if n := len(w.store.reports); n != 2 {
			t.Errorf("%d reports stored, want 2: the host forgot the one that was in flight", n)
		}
		w.stop()
	})
}

// The body of a report that is being written stays as it is, though its host is
// removed and whoever brought it has been answered.
func TestRemovalLeavesABodyInFlightAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newScene(t)
		w.addHost("acme-00000002")
		w.start()
		w.store.set(func() { w.store.slowBodies = time.Second })
		record := func(id messages.HostID, body string) {
			_, _ = w.hub.Ingest.Record(&messages.Summary{HostID: id, Figures: messages.Figures{GuestsUnknown: true}}, []byte(body))
		}
		go record(testHost, "removed")
		time.Sleep(time.Millisecond)
		go func() { _ = w.hub.Order(t.Context(), RemoveHost{testHost}) }()
		synctest.Wait()
		for range 20 {
			go record("acme-00000002", "another")
		}
		w.sleep(time.Minute)
		w.store.set(func() {
			if got := string(w.store.reports[0].Body); got != "removed" {
				t.Errorf("stored %q as the removed host's report", got)
			}
		})
		w.stop()
	})
}

// A host that panics goes on from what is stored, however often; hollywood's
// own restart would end the process at the fourth time.
func TestPanickingHostGoesOnFromWhatIsStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newScene(t)
		w.start()
		w.reports(15*time.Minute, testHost)
		h := w.hub.directory.get(testHost)
		for range 100 {
			synctest.Wait()
			h.state.Phase = messages.PhaseDown // a spoiled state
			w.hub.engine.Send(h.PID(), (*hostLoaded)(nil))
			synctest.Wait()
			if err := w.report(testHost); err != nil {
				t.Fatal(err)
			}
		}
		w.wantEvents() // a spoiled state would have "recovered"
		if n := w.hub.Panics(); n != 100 {
			t.Errorf("%d panics counted, want 100", n)
		}
		w.sleep(2 * time.Hour)
		w.wantEvents(messages.HostStale, messages.HostDown)
		w.stop()
	})
}

// A panic in an actor that cannot go on ends the hub instead of leaving it lame.
func TestPanicOfTheWriterEndsTheHub(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newScene(t)
		w.start()
		w.hub.engine.Send(w.hub.writer, (*write)(nil))
		synctest.Wait()
		select {
		case <-w.fatal:
		default:
			t.Error("the hub goes on without its writer")
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_ = w.hub.Stop(ctx)
	})
}

type pings struct{ n int }

func (p *pings) Ping(context.Context) error { p.n++; return nil }

// The watchdog pings every minute while the hub listens and writes, and is
// silent while it does not.
func TestWatchdogPingsOnlyAWellHub(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newScene(t)
		p := &pings{}
		w.pinger = p
		w.start()
		w.sleep(10*time.Minute + time.Second)
		if p.n != 10 {
			t.Errorf("%d pings in ten minutes, want 10", p.n)
		}
		w.store.set(func() { w.store.full = true })
		w.sleep(2 * time.Minute)
		well := p.n
		w.sleep(10 * time.Minute)
		if p.n != well {
			t.Errorf("%d pings while the store was full, want none", p.n-well)
		}
		w.store.set(func() { w.store.full = false })
		w.sleep(2*time.Minute + time.Second)
		if p.n <= well {
			t.Error("no ping after the store was well again")
		}
		w.stop()
	})
}

// History older than retention is dropped by whole days; a clock that jumped a
// year ahead drops nothing before it has been believed for a day.
func TestRetentionDropsDaysAndDistrustsTheClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newScene(t)
		today := uint32(time.Now().Unix() / 86400)
		w.store.days = []uint32{today - 400, today - 31, today - 30, today - 1, today}
		w.store.past.Ledger = messages.Ledger{Listened: 1, At: time.Now().Add(-time.Hour)}
		w.up = 100 * 24 * time.Hour
		w.start()
		w.sleep(2 * time.Minute)
		if want := []uint32{today - 30, today - 1, today}; !slices.Equal(w.store.days, want) {
			t.Errorf("days left %v, want %v", w.store.days, want)
		}
		w.stop()

		w.store.past.Ledger.At = time.Now().Add(-365 * 24 * time.Hour)
		w.store.days = []uint32{today - 400}
		w.start()
		w.sleep(20 * time.Hour)
		if len(w.store.days) != 1 {
			t.Error("a day was dropped by a clock that had just jumped")
		}
		w.sleep(10 * time.Hour)
		if len(w.store.days) != 0 {
			t.Error("the day was never dropped")
		}
		w.stop()
	})
}

// A blocked customer's hosts are told so with every answer, and watched as
// before: who owes money is not who may fall silent unseen. A restart keeps it.
func TestBlockedCustomerIsStillWatched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newScene(t)
		w.start()
		told := func(want bool) {
			t.Helper()
			w.seq[testHost]++
			s := messages.Summary{HostID: testHost, StreamHash: 7, Sequence: w.seq[testHost], Figures: messages.Figures{GuestsUnknown: true}}
			if r, err := w.hub.Ingest.Record(&s, []byte("x")); err != nil || r.Blocked != want {
				t.Errorf("receipt %+v, %v; want blocked %v", r, err, want)
			}
		}
		told(false)
		if err := w.hub.Order(t.Context(), PutCustomer{messages.Customer{ID: "acme", Blocked: true}}); err != nil {
			t.Fatal(err)
		}
		told(true)
		w.stop()
		w.start()
		told(true)
		w.sleep(2 * time.Hour)
		w.wantEvents(messages.HostStale, messages.HostDown)
		if err := w.hub.Order(t.Context(), PutCustomer{messages.Customer{ID: "acme"}}); err != nil {
			t.Fatal(err)
		}
		told(false)
		w.wantEvents(messages.HostStale, messages.HostDown, messages.HostRecovered)
		w.stop()
	})
}
