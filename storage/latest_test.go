package storage

import (
	"slices"
	"testing"

	"felhom.eu/messages"
)

// Newest first, page by page, through the index of a host as through all events: each
// event once, and an end that says that it is one. What is passed by still counts
// against the looks, so that a rare word cannot hold a page up.
func TestLatestEventsPageBackwards(t *testing.T) {
	db := openTest(t, t.TempDir())
	b := &messages.Batch{Sequence: 1, At: start}
	for i := range uint64(9) {
		host := messages.HostID("acme-00000001")
		if i%3 == 0 {
			host = "acme-00000002"
		}
		b.Events = append(b.Events, messages.Event{ID: messages.EventID(risingID(i + 1)), Sequence: i + 1, Type: messages.HostStale, At: start, CustomerID: "acme", HostID: host})
	}
	write(t, db, b)
	odd := func(e *messages.Event) bool { return e.Sequence%2 == 1 }
	for _, c := range []struct {
		name        string
		filter      EventFilter
		match       func(*messages.Event) bool
		limit, look int
		want        []uint64
		rounds      int
	}{
		{"all", EventFilter{}, nil, 4, 100, []uint64{9, 8, 7, 6, 5, 4, 3, 2, 1}, 3},
		{"of a host", EventFilter{HostID: "acme-00000002"}, nil, 2, 100, []uint64{7, 4, 1}, 2},
		{"of a customer", EventFilter{CustomerID: "acme"}, odd, 100, 100, []uint64{9, 7, 5, 3, 1}, 1},
		{"two looks at a time", EventFilter{}, odd, 100, 2, []uint64{9, 7, 5, 3, 1}, 5},
		{"of nobody", EventFilter{HostID: "acme-0000000f"}, nil, 2, 100, nil, 1},
	} {
		var got []uint64
		before, rounds := messages.EventID(""), 0
		for more := true; more && rounds < 20; rounds++ {
			es, last, err := db.LatestEvents(c.filter, c.match, before, c.limit, c.look)
			if err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
			for _, e := range es {
				got = append(got, e.Sequence)
			}
			before, more = last, last != ""
		}
		if !slices.Equal(got, c.want) || rounds != c.rounds {
			t.Errorf("%s: got %v in %d rounds, want %v in %d", c.name, got, rounds, c.want, c.rounds)
		}
	}
}
