package actors

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"felhom.eu/messages"
)

// say reports with these fields beside the host's id.
func (w *scene) say(fields string) error {
	w.seq[testHost]++
	body := fmt.Appendf(nil, `{"host_id":%q,"stream":"s","sequence":%d,%s}`, testHost, w.seq[testHost], fields)
	var s messages.Summary
	if err := messages.Scan(body, &s); err != nil {
		w.Fatal(err)
	}
	_, err := w.hub.Ingest.Record(&s, body)
	return err
}

func (w *scene) mustSay(fields string) {
	w.Helper()
	if err := w.say(fields); err != nil {
		w.Error(err)
	}
}

const (
	full  = `"host":{"root_total_bytes":100,"root_used_bytes":90}`
	empty = `"host":{"root_total_bytes":100,"root_used_bytes":10}`
	twoUp = `"guests":[{"vmid":101,"name":"web","status":"running","onboot":true},{"vmid":102,"status":"running"}]`
	oneUp = `"guests":[{"vmid":101,"name":"web","status":"stopped","onboot":true},{"vmid":102,"status":"running"}]`
)

// What a report says becomes an event in the write that stores it, once; its end
// shares the incident, and reports that say nothing new read nothing.
func TestReportsAreJudgedOnceAndTogetherWithTheirWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newScene(t)
		w.start()
		w.mustSay(full)
		for range 10 {
			w.sleep(15 * time.Minute)
			w.mustSay(full)
		}
		w.wantEvents(messages.StorageHigh)
		if w.store.studied != 0 {
			t.Errorf("the standing was read %d times for nothing", w.store.studied)
		}
		w.mustSay(empty)
		w.wantEvents(messages.StorageHigh, messages.StorageRecovered)
		high, recovered := w.store.events[0], w.store.events[1]
		if high.IncidentID == "" || high.IncidentID != recovered.IncidentID || high.HostID != testHost || high.Detail.Subject != "root" ||
			recovered.Severity() != messages.SeverityWarning || recovered.Summary != "acme-00000001: root is 10 % full after 2 h 30 min" {
			t.Errorf("got %+v and %+v", high, recovered)
		}
		w.stop()
	})
}

// A start tells nothing that is not new, and what was open is closed by it.
func TestStandingSurvivesRestartAndKill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newScene(t)
		w.start()
		w.mustSay(twoUp)
		w.sleep(15 * time.Minute)
		w.mustSay(oneUp)
		w.wantEvents(messages.GuestStopped)
		w.kill()
		w.start()
		w.mustSay(oneUp)
		w.wantEvents(messages.GuestStopped)
		w.stop()
		w.start()
		w.mustSay(twoUp)
		w.wantEvents(messages.GuestStopped, messages.GuestStarted)
		if e := w.store.events[1]; e.IncidentID != w.store.events[0].IncidentID || e.Detail.VMID != 101 {
			t.Errorf("got %+v", e)
		}
		w.stop()
	})
}

// A write that the store refuses leaves nothing behind: the same is told, once, when
// there is room.
func TestRefusedWriteIsJudgedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newScene(t)
		w.start()
		w.mustSay(empty)
		w.store.set(func() { w.store.full = true })
		if err := w.say(full); !errors.Is(err, ErrUnavailable) {
			t.Errorf("got %v, want unavailable", err)
		}
		w.store.set(func() { w.store.full = false })
		w.sleep(time.Minute)
		w.mustSay(full)
		w.wantEvents(messages.StorageHigh)
		w.stop()
	})
}

// A report whose standing cannot be read is stored all the same, and judged with the
// next one that can.
func TestUnreadableStandingCostsNoReport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newScene(t)
		w.start()
		w.mustSay(empty)
		w.store.set(func() { w.store.unreadable = errors.New("no such luck") })
		w.mustSay(full)
		w.wantEvents()
		w.store.set(func() { w.store.unreadable = nil })
		w.mustSay(full)
		w.wantEvents(messages.StorageHigh)
		w.stop()
	})
}

// Settings hold at once: the newest report is looked at again, and so does the
// host's own before its customer's.
func TestSettingsHoldAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newScene(t)
		w.start()
		w.mustSay(full)
		w.wantEvents(messages.StorageHigh)
		ratio := func(r float64) *float64 { return &r }
		put := func(s messages.RuleSettings) {
			if err := w.hub.Order(t.Context(), PutRules{s}); err != nil {
				t.Errorf("%+v: %v", s, err)
			}
			w.sleep(time.Second)
		}
		put(messages.RuleSettings{CustomerID: "acme", StorageWarningRatio: ratio(0.94), StorageCriticalRatio: ratio(0.98)})
		w.wantEvents(messages.StorageHigh, messages.StorageRecovered)
		put(messages.RuleSettings{HostID: testHost, StorageWarningRatio: ratio(0.6)})
		w.wantEvents(messages.StorageHigh, messages.StorageRecovered, messages.StorageHigh)
		w.stop()
		w.start() // they are stored
		if own, effective := w.hub.RuleSettings("", testHost); own.StorageWarningRatio == nil || effective.StorageWarning != 0.6 || effective.StorageCritical != 0.98 {
			t.Errorf("after a restart: %+v, %+v", own, effective)
		}
		put(messages.RuleSettings{HostID: testHost})
		w.wantEvents(messages.StorageHigh, messages.StorageRecovered, messages.StorageHigh, messages.StorageRecovered)
		if err := w.hub.Order(t.Context(), PutRules{messages.RuleSettings{HostID: "acme-99999999"}}); !errors.Is(err, ErrNotFound) {
			t.Errorf("a host that is not there: %v", err)
		}
		if err := w.hub.Order(t.Context(), PutRules{messages.RuleSettings{HostID: testHost, StorageWarningRatio: ratio(0.99)}}); err == nil {
			t.Error("a warning above the customer's critical is taken")
		}
		w.stop()
	})
}

// Reports that come while another is being judged wait for it, and none is lost.
func TestReportsWaitForAJudgement(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newScene(t)
		w.start()
		w.mustSay(empty)
		var wg sync.WaitGroup
		for i := range 20 {
			fields := full
			if i%2 == 1 {
				fields = empty
			}
			w.seq[testHost]++
			body := fmt.Appendf(nil, `{"host_id":%q,"stream":"s","sequence":%d,%s}`, testHost, w.seq[testHost], fields)
			wg.Go(func() {
				var s messages.Summary
				if err := messages.Scan(body, &s); err != nil {
					t.Error(err)
				}
				if _, err := w.hub.Ingest.Record(&s, body); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if n := len(w.store.reports); n != 21 {
			t.Errorf("%d reports are stored, want 21", n)
		}
		w.mustSay(empty)
		want := messages.StorageHigh
		for _, e := range w.store.events {
			if e.Type != want {
				t.Fatalf("events are %v", w.store.types())
			}
			want = map[messages.EventType]messages.EventType{messages.StorageHigh: messages.StorageRecovered, messages.StorageRecovered: messages.StorageHigh}[want]
		}
		w.stop()
	})
}

// A damaged standing is told of and counted, and costs neither the report nor the
// next judgement.
func TestDamagedStandingIsToldAndBegunAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newScene(t)
		w.start()
		w.mustSay(full)
		w.store.set(func() { w.store.unreadable = fmt.Errorf("%w: value of key w", ErrDamaged) })
		w.mustSay(empty)
		w.store.set(func() { w.store.unreadable = nil })
		if n := w.hub.Stats().Damaged.Load(); n != 1 {
			t.Errorf("%d counted, want 1", n)
		}
		w.mustSay(full)
		w.wantEvents(messages.StorageHigh, messages.StorageRecovered, messages.StorageHigh)
		w.stop()
	})
}
