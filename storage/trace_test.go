package storage

import (
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/dgraph-io/badger/v4"

	"felhom.eu/messages"
)

var sampleTraces = func() []messages.Trace {
	back := start.Add(time.Hour)
	return []messages.Trace{
		{Kind: messages.TraceClock, At: start, Listened: 5, Resumed: -3},
		{Kind: messages.TraceGoodbye, At: start, HostID: "acme-0000000a", Goodbye: messages.Goodbye{SentAt: start, Reason: "reboot", BackBy: &back, Stream: "s"}},
		{Kind: messages.TraceRepeat, At: start, HostID: "acme-0000000a", Report: messages.Summary{HostID: "acme-0000000a", StreamHash: 1, Sequence: 2,
			BootHash: 3, ReportedAt: 4, SentAt: 5, UptimeSecs: 6, AgentEnd: messages.AgentKilled, MachineEnd: messages.MachinePanicked}},
	}
}()

// What the rules were given comes back in order, with the bodies; it goes with its day.
func TestTracesAndReportsComeBackInOrder(t *testing.T) {
	db := openTest(t, t.TempDir())
	f := newFleet(2)
	write(t, db, f.mint())
	var bodies []string
	var traces []messages.Trace
	f.at = start.Add(11*time.Hour + 59*time.Minute + 57*time.Second)
	for i := range 5 { // midnight is among them
		b := f.report(600)
		b.Traces = sampleTraces[:i%4]
		traces = append(traces, b.Traces...)
		for _, r := range b.Reports {
			bodies = append(bodies, string(r.Body))
		}
		write(t, db, b)
	}
	read := func() (got []messages.Trace) {
		t.Helper()
		last := uint64(0)
		if err := db.EachTrace(func(batch uint64, x messages.Trace) error {
			if batch < last {
				t.Errorf("batch %d after %d", batch, last)
			}
			last = batch
			got = append(got, x)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		return got
	}
	if got := read(); !reflect.DeepEqual(got, traces) {
		t.Errorf("traces are %+v, want %+v", got, traces)
	}
	reports := func(from, to time.Time, wanted func(*messages.StoredReport) bool) (got []string) {
		t.Helper()
		damaged, err := db.EachReport(from, to, wanted, func(_ uint64, r messages.StoredReport) error {
			got = append(got, string(r.Body))
			return nil
		})
		if err != nil || damaged > 0 {
			t.Fatalf("%d damaged, %v", damaged, err)
		}
		return got
	}
	all := func(*messages.StoredReport) bool { return true }
	if got := reports(start, f.at, all); !reflect.DeepEqual(got, bodies) {
		t.Errorf("%d reports, want %d in order", len(got), len(bodies))
	}
	one := func(r *messages.StoredReport) bool { return r.HostID == f.hosts[1] }
	if got := reports(start, f.at, one); len(got) != 5 || got[0] != bodies[1] {
		t.Errorf("%d reports of one host", len(got))
	}
	stop := errors.New("stop")
	if _, err := db.EachReport(start, f.at, all, func(uint64, messages.StoredReport) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("%v, want what the caller said", err)
	}

	day := uint32(start.Unix() / 86400)
	if err := db.DropDay(day); err != nil {
		t.Fatal(err)
	}
	if got := reports(start, f.at, all); len(got) == 0 || len(got) == len(bodies) || got[0] != bodies[len(bodies)-len(got)] {
		t.Errorf("%d of %d reports are left", len(got), len(bodies))
	}
	if got := read(); len(got) == 0 || len(got) == len(traces) {
		t.Errorf("%d of %d traces are left", len(got), len(traces))
	}
}

// A damaged report is passed over, and counted.
func TestDamagedReportsArePassedOver(t *testing.T) {
	db := openTest(t, t.TempDir())
	f := newFleet(1)
	write(t, db, f.mint())
	for range 3 {
		write(t, db, f.report(600))
	}
	s, err := db.history.acquire(uint32(start.Unix()/86400), false)
	if err != nil {
		t.Fatal(err)
	}
	key := blobKey(3)
	if err := s.db.Update(func(txn *badger.Txn) error { return txn.Set(key, []byte(fmt.Sprintf("%40d", 1))) }); err != nil {
		t.Fatal(err)
	}
	db.history.release(s)
	n := 0
	damaged, err := db.EachReport(start, f.at, func(*messages.StoredReport) bool { return true }, func(uint64, messages.StoredReport) error { n++; return nil })
	if damaged != 1 || n != 2 || err != nil {
		t.Errorf("%d damaged, %d read, %v", damaged, n, err)
	}
}
