package storage

import (
	"cmp"
	"fmt"
	"slices"
	"testing"

	"felhom.eu/messages"
)

// manyAlarms fills a store with n open alarms of ten customers, a host each.
func manyAlarms(t testing.TB, n int) *DB {
	db, err := Open(t.TempDir(), Options{Logger: testLog{t}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	f := newFleet(0)
	for i := 0; i < n; {
		b := f.empty()
		for ; len(b.Alarms) < 5000 && i < n; i++ {
			b.Alarms = append(b.Alarms, messages.Alarm{
				ID: messages.IncidentID(risingID(uint64(i))), CustomerID: messages.CustomerID(fmt.Sprintf("customer-%d", i%10)),
				HostID: messages.HostID(fmt.Sprintf("customer-%d-%08x", i%10, i)), Type: messages.HostDown, Severity: messages.Severity(i % 3),
				Raised: messages.EventID(risingID(uint64(i))), Summary: "customer is down, silent for 1 h", OpenedAt: f.at, Told: []messages.EventType{messages.HostDown}, ToldAt: f.at,
			})
		}
		write(t, db, b)
	}
	return db
}

// Pages of alarms, newest first, hold each that matches once, and end; a page that looks
// at too many that do not match ends early and says where to go on.
func TestAlarmsPageByPage(t *testing.T) {
	const n = maxLooked + 7000
	db := manyAlarms(t, n)
	rare := AlarmFilter{Match: func(a *messages.Alarm) bool { return a.HostID == "customer-3-00000003" }}
	for name, c := range map[string]struct {
		filter AlarmFilter
		limit  int
		want   int // alarms
		pages  int
	}{
		"all":       {AlarmFilter{}, 10000, n, 3},
		"exactly":   {AlarmFilter{}, n, n, 2}, // the first ends at what a page may look at
		"customer":  {AlarmFilter{CustomerID: "customer-4"}, 2700, n / 10, 2},
		"host":      {AlarmFilter{HostID: "customer-3-00000003"}, 10, 1, 2},
		"both":      {AlarmFilter{CustomerID: "customer-4", HostID: "customer-3-00000003"}, 10, 0, 2},
		"predicate": {rare, 10, 1, 2},
	} {
		seen, pages, before := []messages.IncidentID(nil), 0, messages.IncidentID("")
		for {
			rows, next, err := db.Alarms(c.filter, before, c.limit)
			if err != nil || len(rows) > c.limit {
				t.Fatalf("%s: %d rows, %v", name, len(rows), err)
			}
			for i := range rows {
				seen = append(seen, rows[i].ID)
			}
			pages++
			if before = next; next == "" {
				break
			}
		}
		if !slices.IsSortedFunc(seen, func(a, b messages.IncidentID) int { return cmp.Compare(b, a) }) || len(slices.Compact(slices.Clone(seen))) != c.want || pages != c.pages {
			t.Errorf("%s: %d alarms on %d pages, want %d on %d", name, len(seen), pages, c.want, c.pages)
		}
	}
	rows, _, err := db.Alarms(AlarmFilter{}, "01J00000000000000000000000Z", 1) // one that is gone
	if err != nil || len(rows) != 1 || rows[0].ID != messages.IncidentID(risingID(0)) {
		t.Errorf("behind one that is gone: %v, %v", rows, err)
	}
}

// With 300,000 open alarms: the first page of all, one of a customer, and one that looks
// for what is not there, which is the longest that a page takes.
func BenchmarkAlarmPages(b *testing.B) {
	db := manyAlarms(b, 300_000)
	for name, f := range map[string]AlarmFilter{"first": {}, "customer": {CustomerID: "customer-4"}, "nobody": {CustomerID: "nobody"},
		"nothing": {Match: func(*messages.Alarm) bool { return false }}} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, _, err := db.Alarms(f, "", 100); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("every", func(b *testing.B) {
		n := 0
		for b.Loop() {
			if err := db.EachAlarm(func(messages.Alarm) error { n++; return nil }); err != nil {
				b.Fatal(err)
			}
		}
	})
}
