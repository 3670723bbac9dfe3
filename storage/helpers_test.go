package storage

import (
	"fmt"
	"testing"
	"time"

	"github.com/dgraph-io/badger/v4"

	"felhom.eu/messages"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// smallOptions keep a test's files and its memory small.
func smallOptions(t testing.TB) Options {
	return Options{Logger: testLog{t}, MemTableBytes: 1 << 20, MinFreeBytes: 1, tune: func(o badger.Options) badger.Options {
		o.MemTableSize = 1 << 20
		o.ValueLogFileSize = 4 << 20
		return o
	}}
}

// testLog shows what the store says when a test fails.
type testLog struct{ t testing.TB }

func (l testLog) Errorf(f string, args ...any)   { l.t.Logf("error: "+f, args...) }
func (l testLog) Warningf(f string, args ...any) { l.t.Logf("warning: "+f, args...) }
func (testLog) Infof(string, ...any)             {}
func (testLog) Debugf(string, ...any)            {}

func openTest(t testing.TB, dir string) *DB {
	t.Helper()
	db, err := Open(dir, smallOptions(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func write(t testing.TB, db *DB, b *messages.Batch) {
	t.Helper()
	if err := db.WriteBodies(b); err != nil {
		t.Fatal(err)
	}
	if err := db.WriteState(b); err != nil {
		t.Fatal(err)
	}
}

// risingID is a well-formed id that rises with n.
func risingID(n uint64) string { return fmt.Sprintf("01J%023d", n) }

// fleet makes batches the way a hub does: each host reports once a batch.
type fleet struct {
	hosts      []messages.HostID
	sequence   uint64
	events     uint64
	deliveries uint64
	reports    uint64
	at         time.Time
	last       map[messages.HostID]messages.ReportRef
	bodies     map[messages.ReportID]string
	of         map[messages.HostID][]messages.ReportID // oldest first
}

func newFleet(n int) *fleet {
	f := &fleet{at: start, last: map[messages.HostID]messages.ReportRef{}, bodies: map[messages.ReportID]string{},
		of: map[messages.HostID][]messages.ReportID{}}
	for i := range n {
		f.hosts = append(f.hosts, messages.HostID(fmt.Sprintf("acme-%08x", i+1)))
	}
	return f
}

func (f *fleet) empty() *messages.Batch {
	f.sequence++
	f.at = f.at.Add(time.Second)
	return &messages.Batch{Sequence: f.sequence, At: f.at,
		Ledger: messages.Ledger{Listened: messages.Listened(f.sequence) * messages.Listened(time.Second), At: f.at}}
}

// mint is the batch that makes the fleet.
func (f *fleet) mint() *messages.Batch {
	b := f.empty()
	b.PutCustomers = []messages.Customer{{ID: "acme", DisplayName: "Acme Ltd", CreatedAt: f.at}}
	for i, id := range f.hosts {
		b.PutHosts = append(b.PutHosts, messages.Host{ID: id, CustomerID: "acme", CreatedAt: f.at})
		b.PutKeys = append(b.PutKeys, messages.Key{Hash: messages.KeyHash{byte(i), 1}, Kind: messages.KeyHost, HostID: id, CustomerID: "acme", CreatedAt: f.at})
	}
	return b
}

// report is a batch in which every host reports, and the first has an event
// that is to be delivered.
func (f *fleet) report(bodyBytes int) *messages.Batch {
	b := f.empty()
	for i, id := range f.hosts {
		f.reports++
		rid := messages.ReportID(risingID(f.reports))
		body := fmt.Sprintf("report %d of %s ", f.reports, id)
		for len(body) < bodyBytes {
			body += fmt.Sprintf("%x ", uint64(len(body))*f.reports*0x9e3779b97f4a7c15)
		}
		b.Reports = append(b.Reports, messages.StoredReport{ID: rid, HostID: id, ReceivedAt: f.at,
			ReportedAt: f.at.Add(-time.Second), Previous: f.last[id], Body: []byte(body),
			Figures: messages.Figures{CPUUsedRatio: 0.25, GuestTotal: 3, Cloudflared: "active"}})
		ref := messages.ReportRef{Day: b.Day(), Batch: b.Sequence, Entry: uint32(i)}
		f.last[id] = ref
		f.bodies[rid] = body
		f.of[id] = append(f.of[id], rid)
		b.Hosts = append(b.Hosts, messages.HostState{ID: id, Phase: messages.PhaseOK, ContactAt: f.at.UnixNano(),
			ReportAt: f.at.UnixNano(), Stream: 0x1234567890abcdef, Sequence: f.sequence, Seen: 1, AgentVersion: "1.2.3",
			Figures: messages.Figures{CPUUsedRatio: 0.25, GuestTotal: 3, Cloudflared: "active"}, Last: ref})
	}
	f.tell(b, f.hosts[0])
	return b
}

// tell adds an event of a host and its delivery.
func (f *fleet) tell(b *messages.Batch, id messages.HostID) {
	f.events++
	f.deliveries++
	e := messages.Event{ID: messages.EventID(risingID(f.events)), Sequence: f.events, Type: messages.HostStale,
		At: f.at, CustomerID: id.Customer(), HostID: id, Summary: "host fell silent"}
	b.Events = append(b.Events, e)
	b.Deliveries = append(b.Deliveries, messages.Delivery{ID: messages.DeliveryID(risingID(f.deliveries)), Sequence: f.deliveries,
		RouteID: "R", CustomerID: id.Customer(), Events: []messages.EventID{e.ID}, State: messages.DeliveryPending, CreatedAt: f.at, DueAt: f.at})
}

// verify holds everything in the store against what the fleet wrote.
func (f *fleet) verify(t testing.TB, db *DB) {
	t.Helper()
	hosts := 0
	err := db.EachHost("", "", func(h messages.Host, s messages.HostState) error {
		hosts++
		if h.CustomerID != "acme" || s.ID != h.ID || s.Last != f.last[h.ID] {
			t.Errorf("host %+v with state %+v, wanted last %v", h, s, f.last[h.ID])
		}
		return nil
	})
	if err != nil || hosts != len(f.hosts) {
		t.Fatalf("%d hosts, %v; want %d", hosts, err, len(f.hosts))
	}
	for _, id := range f.hosts {
		rows, next, err := db.Reports(id, messages.ReportRef{}, 0)
		if err != nil || !next.IsZero() || len(rows) != len(f.of[id]) {
			t.Fatalf("reports of %s: %d, next %v, %v; want %d", id, len(rows), next, err, len(f.of[id]))
		}
		for i, r := range rows {
			if want := f.of[id][len(rows)-1-i]; r.ID != want || r.Bytes != len(f.bodies[want]) {
				t.Errorf("report %d of %s: %+v, want %s", i, id, r, want)
			}
			if body, err := db.body(r.Ref); err != nil || string(body) != f.bodies[r.ID] {
				t.Errorf("body of %s: %.40q, %v", r.ID, body, err)
			}
		}
	}
	events, err := db.Events(EventFilter{}, "", 0)
	if err != nil || uint64(len(events)) != f.events {
		t.Fatalf("%d events, %v; want %d", len(events), err, f.events)
	}
	for i, e := range events {
		if e.Sequence != uint64(i+1) || e.ID != messages.EventID(risingID(e.Sequence)) {
			t.Errorf("event %d is %+v", i, e)
		}
	}
	pending := uint64(0)
	err = db.EachPendingDelivery(func(d messages.Delivery) error {
		pending++
		if d.Sequence != pending {
			t.Errorf("pending delivery %d has sequence %d", pending, d.Sequence)
		}
		return nil
	})
	if err != nil || pending != f.deliveries {
		t.Errorf("%d pending deliveries, %v; want %d", pending, err, f.deliveries)
	}
}

// raw writes a value past the codec; nil deletes it.
func raw(t testing.TB, db *DB, key, value []byte) {
	t.Helper()
	err := db.state.Update(func(txn *badger.Txn) error {
		if value == nil {
			return txn.Delete(key)
		}
		return txn.Set(key, value)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func setGuest(t testing.TB, db *DB, g *messages.GuestRecord) {
	t.Helper()
	key := guestKey(g.HostID, g.VMID)
	raw(t, db, key, (&encoder{}).seal(key, func(e *encoder) { e.guest(g) }))
}
