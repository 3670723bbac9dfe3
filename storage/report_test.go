package storage

import (
	"errors"
	"slices"
	"testing"
	"time"

	"felhom.eu/messages"
)

// The last bodies are the newest ones, in order, and end where the history does; what
// came after a newer report is none of them.
func TestLastBodies(t *testing.T) {
	db := openTest(t, t.TempDir())
	f := newFleet(2)
	id := f.hosts[1]
	write(t, db, f.mint())
	if got, err := db.LastBodies(id, messages.ReportRef{}, 3); err != nil || got != nil {
		t.Errorf("without a report: %q, %v", got, err)
	}
	last := func(n int) (bodies []string) {
		got, err := db.LastBodies(id, f.last[id], n)
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range got {
			bodies = append(bodies, string(b))
		}
		return bodies
	}
	want := func(what string, got []string, reports ...int) {
		t.Helper()
		var bodies []string
		for _, i := range reports {
			bodies = append(bodies, f.bodies[f.of[id][i]])
		}
		if !slices.Equal(got, bodies) {
			t.Errorf("%s: got %q, want %q", what, got, bodies)
		}
	}
	write(t, db, f.report(30))
	f.at = f.at.Add(24 * time.Hour)
	write(t, db, f.report(30))
	late := f.report(30)
	late.Reports[1].Older = true
	write(t, db, late)
	write(t, db, f.report(30))
	want("two", last(2), 3, 1)
	want("all", last(9), 3, 1, 0)
	if err := db.DropDay(f.last[id].Day - 1); err != nil {
		t.Fatal(err)
	}
	want("without the first day", last(9), 3, 1)
	if _, err := db.LastBodies(f.hosts[0], f.last[id], 3); !errors.Is(err, ErrCorrupt) {
		t.Errorf("another host's report: %v", err)
	}
}
