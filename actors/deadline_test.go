package actors

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"
	_ "time/tzdata"

	"felhom.eu/messages"
)

func nightly(clock string, days ...string) messages.Deadline {
	return messages.Deadline{
		ID: "01J00000000000000000000001", CustomerID: "acme", Name: "nightly", Time: clock, TimeZone: "Europe/Budapest", Weekdays: days,
		Expect: messages.ExpectController, Subject: "web", GraceSeconds: 900,
	}
}

// Where clocks change, a deadline is reckoned by the clock before the change.
func TestDeadlinesWhereClocksChange(t *testing.T) {
	for _, c := range []struct{ clock, now, last, next string }{
		// March 29, 2026: 02:00 becomes 03:00, so 02:30 is skipped and comes at 03:30.
		{"02:30", "2026-03-29T00:00:00Z", "2026-03-28T01:30:00Z", "2026-03-29T01:30:00Z"},
		{"02:30", "2026-03-29T01:30:00Z", "2026-03-29T01:30:00Z", "2026-03-30T00:30:00Z"},
		{"06:00", "2026-03-29T04:00:00Z", "2026-03-29T04:00:00Z", "2026-03-30T04:00:00Z"},
		// October 25, 2026: 03:00 becomes 02:00, so 02:30 comes twice; the first counts.
		{"02:30", "2026-10-25T00:29:59Z", "2026-10-24T00:30:00Z", "2026-10-25T00:30:00Z"},
		{"02:30", "2026-10-25T01:30:00Z", "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"},
		{"06:00", "2026-10-25T05:00:00Z", "2026-10-25T05:00:00Z", "2026-10-26T05:00:00Z"},
		{"00:00", "2026-06-01T12:00:00Z", "2026-05-31T22:00:00Z", "2026-06-01T22:00:00Z"},
	} {
		d := nightly(c.clock)
		s, err := scheduleOf(&d)
		if err != nil {
			t.Fatal(err)
		}
		now, _ := time.Parse(time.RFC3339, c.now)
		last, next := s.last(now).UTC().Format(time.RFC3339), s.next(now).UTC().Format(time.RFC3339)
		if last != c.last || next != c.next {
			t.Errorf("%s at %s: last %s, next %s, want %s and %s", c.clock, c.now, last, next, c.last, c.next)
		}
	}
}

func TestDeadlinesOfWeekdays(t *testing.T) {
	d := nightly("06:00", "mon", "fri")
	s, err := scheduleOf(&d)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 6, 6, 12, 0, 0, 0, time.UTC) // a Saturday
	if got := s.last(now).UTC(); got != time.Date(2026, 6, 5, 4, 0, 0, 0, time.UTC) {
		t.Errorf("last %v", got)
	}
	if got := s.next(now).UTC(); got != time.Date(2026, 6, 8, 4, 0, 0, 0, time.UTC) {
		t.Errorf("next %v", got)
	}
}

func TestBadDeadlinesAreRefused(t *testing.T) {
	for field, change := range map[string]func(*messages.Deadline){
		"time":          func(d *messages.Deadline) { d.Time = "6:00" },
		"time_zone":     func(d *messages.Deadline) { d.TimeZone = "Mars/Base" },
		"weekdays":      func(d *messages.Deadline) { d.Weekdays = []string{"mon", "mon"} },
		"grace_seconds": func(d *messages.Deadline) { d.GraceSeconds = 13 * 3600 },
	} {
		d := nightly("06:00")
		change(&d)
		_, err := scheduleOf(&d)
		if wrong := new(FieldProblem); !errors.As(err, &wrong) || wrong.Field != field {
			t.Errorf("%s: %v", field, err)
		}
	}
	for _, clock := range []string{"", "24:00", "06:60", "-1:00", "06.00", "06:0", "06:000"} {
		d := nightly(clock)
		if _, err := scheduleOf(&d); err == nil {
			t.Errorf("%q is a time of day", clock)
		}
	}
}

// A week of a nightly report that is due by 06:00 (05:00 in UTC). The tests' clock
// starts at midnight of Saturday, January 1, 2000.
func TestDeadlineIsMissedAndMet(t *testing.T) {
	if raced {
		t.Skip("days of seconds; shorter tests have the same goroutines")
	}
	synctest.Test(t, func(t *testing.T) {
		w := newScene(t)
		w.start()
		until := func(day, hour, minute int) {
			w.sleep(time.Until(time.Date(2000, 1, day, hour, minute, 0, 0, time.UTC)))
		}
		report := func() {
			if err := w.control(messages.ControllerReport{ID: "web", IntervalSeconds: messages.MaxControllerInterval}); err != nil {
				t.Error(err)
			}
		}
		missed, met := messages.DeadlineMissed, messages.DeadlineMet
		if err := w.hub.AddDeadline(nightly("06:00")); err != nil {
			t.Fatal(err)
		}
		until(1, 2, 0)
		report()
		until(1, 6, 0)
		w.wantEvents()
		until(2, 5, 10) // in its grace
		report()
		until(2, 6, 0)
		w.wantEvents()
		until(3, 5, 14) // nothing since, the grace is not over
		w.wantEvents()
		until(3, 5, 16)
		w.wantEvents(missed)
		until(3, 9, 0) // late
		report()
		until(3, 9, 1)
		w.wantEvents(missed, met)
		until(4, 6, 0) // what came late is in this period
		w.wantEvents(missed, met)

		// The hub is off at the deadline, and nobody could report.
		until(5, 4, 0)
		w.kill()
		until(5, 12, 0)
		w.start()
		until(5, 12, 10)
		report() // within the grace after the gap
		until(5, 13, 0)
		w.wantEvents(missed, met, messages.HubGap)

		until(6, 6, 0) // what came in that grace is in this period, too
		w.wantEvents(missed, met, messages.HubGap)

		// Off again, and this time nobody comes.
		until(7, 4, 0)
		w.stop()
		until(7, 12, 0)
		w.start()
		until(7, 12, 15)
		w.wantEvents(missed, met, messages.HubGap, messages.HubGap)
		until(7, 12, 18)
		w.wantEvents(missed, met, messages.HubGap, messages.HubGap, missed)
		w.kill()
		w.start()
		until(8, 5, 16) // missed again: of the same incident
		w.wantEvents(missed, met, messages.HubGap, messages.HubGap, missed, missed)
		report()
		until(8, 5, 18)
		w.wantEvents(missed, met, messages.HubGap, messages.HubGap, missed, missed, met)
		es := w.store.events
		if len(es) != 7 {
			t.Fatalf("%d events", len(es))
		}
		if es[0].IncidentID != es[1].IncidentID || es[4].IncidentID != es[6].IncidentID || es[4].IncidentID == es[0].IncidentID || es[5].IncidentID != es[4].IncidentID {
			t.Error("alarms and recoveries do not pair up")
		}
		if got, want := es[0].Summary, "nightly: no report of web by Mon 06:00 CET"; got != want {
			t.Errorf("told %q, want %q", got, want)
		}
		if got, want := es[1].Summary, "nightly: the report of web by Mon 06:00 CET has come, late by 4 h"; got != want {
			t.Errorf("told %q, want %q", got, want)
		}
		if err := w.hub.RemoveDeadline("acme", nightly("").ID); err != nil {
			t.Error(err)
		}
		until(10, 0, 0)
		if len(w.store.events) != 7 {
			t.Error("a removed deadline was missed")
		}
		w.stop()
	})
}

func TestBackupsSeen(t *testing.T) {
	s := messages.Standing{Guests: []messages.GuestStanding{
		{VMID: 101, BackupAt: 50}, {VMID: 102, BackupAt: 40}, {VMID: 103, NoBackup: true}, {VMID: 104, MissingSince: 1}, {VMID: 105},
	}}
	for _, c := range []struct {
		vmid     messages.VMID
		excluded []messages.VMID
		want     int64
	}{{101, nil, 50}, {105, nil, 0}, {999, nil, 0}, {0, nil, 0}, {0, []messages.VMID{105}, 40}} {
		got := backupSeen(&s, c.vmid, c.excluded)
		if got.IsZero() != (c.want == 0) || c.want != 0 && got.Unix() != c.want {
			t.Errorf("guest %d without %v: %v, want %d", c.vmid, c.excluded, got, c.want)
		}
	}
}
