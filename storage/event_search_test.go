package storage

import (
	"fmt"
	"slices"
	"testing"

	"felhom.eu/messages"
)

// What is searched for is found in either direction, once, through indexes and without;
// a page that looks at too many events ends early and says where to go on.
func TestEventsAreSearched(t *testing.T) {
	db, err := Open(t.TempDir(), Options{Logger: testLog{t}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	const n = maxLooked + 100
	f := newFleet(0)
	for i := uint64(1); i <= n; {
		b := f.empty()
		for ; len(b.Events) < 4000 && i <= n; i++ {
			e := messages.Event{ID: messages.EventID(risingID(i)), Sequence: i, Type: messages.HostDown, At: f.at, CustomerID: "acme", HostID: messages.HostID(fmt.Sprintf("acme-%08x", i%2)), Summary: "is down"}
			if i%7000 == 3 {
				e.Summary, e.IncidentID = "Web Server of ACME stopped", "incident"
			}
			b.Events = append(b.Events, e)
		}
		write(t, db, b)
	}
	want := []uint64{3, 7003, 14003}
	for name, c := range map[string]struct {
		filter EventFilter
		want   []uint64
		pages  int
	}{
		"text":         {EventFilter{Text: "web SERVER"}, want, 2},
		"incident":     {EventFilter{IncidentID: "incident"}, want, 2},
		"of a host":    {EventFilter{IncidentID: "incident", HostID: "acme-00000001"}, want, 1},
		"of another":   {EventFilter{Text: "web", HostID: "acme-00000000"}, nil, 1},
		"of customer":  {EventFilter{Text: "stopped", CustomerID: "acme"}, want, 2},
		"host by text": {EventFilter{Text: "ACME-00000001", Type: messages.HostStale}, nil, 2},
	} {
		for _, newest := range []bool{false, true} {
			var got []uint64
			behind, pages := messages.EventID(""), 0
			for more := true; more; pages++ {
				list := db.EventPage
				if newest {
					list = db.LatestEventPage
				}
				es, next, err := list(c.filter, behind, 100)
				if err != nil {
					t.Fatal(err)
				}
				for _, e := range es {
					got = append(got, e.Sequence)
				}
				behind, more = next, next != ""
			}
			if newest {
				slices.Reverse(got)
			}
			if !slices.Equal(got, c.want) || pages != c.pages {
				t.Errorf("%s, newest first %v: got %v on %d pages, want %v on %d", name, newest, got, pages, c.want, c.pages)
			}
		}
	}
	es, next, err := db.EventPage(EventFilter{}, messages.EventID(risingID(5)), 2)
	if err != nil || len(es) != 2 || es[0].Sequence != 6 || next != es[1].ID {
		t.Errorf("a page in between: %v, next %s, %v", es, next, err)
	}
}
