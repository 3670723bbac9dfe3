package storage

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"felhom.eu/messages"
)

// A disk that is nearly full refuses a batch whole, before anything is written,
// and takes it when there is room again.
func TestFullDiskRefusesBeforeWriting(t *testing.T) {
	free := uint64(1 << 30)
	o := smallOptions(t)
	o.MinFreeBytes = 1 << 20
	o.space = func(string) (space, error) { return space{free, 1 << 40}, nil }
	db, err := Open(t.TempDir(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	f := newFleet(2)
	write(t, db, f.mint())
	b := f.report(1000)
	for _, free = range []uint64{0, 1<<20 - 1, 1<<20 + 1999} { // the bodies count, too
		if err := db.WriteBodies(b); !errors.Is(err, ErrFull) {
			t.Errorf("%d free: %v", free, err)
		}
		if err := db.WriteState(b); !errors.Is(err, ErrOrder) {
			t.Errorf("state without bodies: %v", err)
		}
	}
	if days, err := db.Days(); err != nil || len(days) != 0 {
		t.Errorf("days %v, %v after refusals", days, err)
	}
	free = 1 << 30
	write(t, db, b)
	f.verify(t, db)
}

// On a full disk a start is refused, and so is opening a day that nobody had
// open; what is open stays open. Nothing is wrong with any when there is room again.
func TestFullDiskRefusesToOpen(t *testing.T) {
	dir, f := crashed(t) // two days
	free := uint64(0)
	o := smallOptions(t)
	o.MinFreeBytes = 1 << 20
	o.space = func(string) (space, error) { return space{free, 1 << 40}, nil }
	if _, err := Open(dir, o); !errors.Is(err, ErrFull) || errors.Is(err, ErrCorrupt) {
		t.Fatalf("a start on a full disk: %v", err)
	}
	free = 1 << 30
	db, err := Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.history.closeIdle(time.Now().Add(time.Hour))
	free = 0
	if _, _, err := db.Reports(f.hosts[0], messages.ReportRef{}, 0); !errors.Is(err, ErrFull) {
		t.Errorf("reports of a day that is not open: %v", err)
	}
	free = 1 << 30
	f.verify(t, db)
	free = 0
	db.history.closeIdle(time.Now().Add(time.Hour))
	if n := len(db.history.days); n != 2 {
		t.Errorf("%d days are open, want 2: closing one writes", n)
	}
	free = 1 << 30
}

// The reserve is three memtables, 64 MiB or 2 % of the file system, the largest
// of them, and never more than 1 GiB of a large one.
func TestReserveFollowsTheFileSystem(t *testing.T) {
	for _, c := range []struct {
		total, override uint64
		memTable        int64
		want            uint64
	}{
		{1 << 30, 0, 4 << 20, 64 << 20},
		{1 << 30, 0, 32 << 20, 96 << 20},
		{10 << 30, 0, 4 << 20, 10 << 30 / 50},
		{1 << 45, 0, 4 << 20, 1 << 30},
		{1 << 45, 5 << 20, 4 << 20, 5 << 20},
	} {
		db, err := Open(t.TempDir(), Options{MemTableBytes: c.memTable, MinFreeBytes: c.override,
			space: func(string) (space, error) { return space{c.total, c.total}, nil }})
		if err != nil {
			t.Fatal(err)
		}
		if db.reserve != c.want {
			t.Errorf("%+v: reserve %d", c, db.reserve)
		}
		db.Close()
	}
}

// Pointers lead to bodies that are durable: state does not overtake bodies, and
// bodies run ahead only as far as a start can tell from a loss.
func TestStateNeverOvertakesBodies(t *testing.T) {
	db := openTest(t, t.TempDir())
	f := newFleet(2)
	first := f.mint()
	if err := db.WriteState(first); !errors.Is(err, ErrOrder) {
		t.Errorf("state before bodies: %v", err)
	}
	write(t, db, first)
	var ahead []*messages.Batch
	for range maxBodiesAhead {
		b := f.report(10)
		ahead = append(ahead, b)
		if err := db.WriteBodies(b); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.WriteBodies(f.report(10)); !errors.Is(err, ErrOrder) {
		t.Errorf("bodies too far ahead: %v", err)
	}
	if err := db.WriteState(ahead[1]); !errors.Is(err, ErrOrder) {
		t.Errorf("state skips a batch: %v", err)
	}
	for _, b := range ahead {
		if err := db.WriteState(b); err != nil {
			t.Fatal(err)
		}
	}
}

// A batch that points where no report of that host is, or that breaks the order
// of events or deliveries, is refused whole.
func TestContradictoryBatchIsRefused(t *testing.T) {
	db := openTest(t, t.TempDir())
	f := newFleet(2)
	write(t, db, f.mint())
	write(t, db, f.report(10))
	for name, spoil := range map[string]func(*messages.Batch){
		"entry behind the end": func(b *messages.Batch) { b.Hosts[0].Last.Entry = 2 },
		"another's entry":      func(b *messages.Batch) { b.Hosts[0].Last.Entry = 1 },
		"another day":          func(b *messages.Batch) { b.Hosts[0].Last.Day++ },
		"a later batch":        func(b *messages.Batch) { b.Hosts[0].Last.Batch++ },
		"event skipped":        func(b *messages.Batch) { b.Events[0].Sequence++ },
		"event repeated":       func(b *messages.Batch) { b.Events[0].Sequence-- },
		"event id falls":       func(b *messages.Batch) { b.Events[0].ID = messages.EventID(risingID(0)) },
		"delivery skipped":     func(b *messages.Batch) { b.Deliveries[0].Sequence++ },
	} {
		g := *f
		g.last = map[messages.HostID]messages.ReportRef{}
		g.bodies = map[messages.ReportID]string{}
		g.of = map[messages.HostID][]messages.ReportID{}
		b := g.report(10)
		spoil(b)
		if err := db.WriteBodies(b); err != nil {
			t.Fatal(err)
		}
		if err := db.WriteState(b); !errors.Is(err, ErrOrder) {
			t.Errorf("%s: %v", name, err)
		}
	}
	f.verify(t, db)
}

// Writing the newest batch twice is writing it once.
func TestBatchIsIdempotent(t *testing.T) {
	db := openTest(t, t.TempDir())
	f := newFleet(3)
	write(t, db, f.mint())
	b := f.report(100)
	write(t, db, b)
	write(t, db, b)
	f.verify(t, db)
	if m := db.meta; m.Hosts != 3 || m.Event != 1 || m.Delivery != 1 {
		t.Errorf("meta after a repeat: %+v", m)
	}
}

// A batch over the limit of a transaction is refused with the limit, and the
// store goes on.
func TestBatchTooBigIsRefused(t *testing.T) {
	db := openTest(t, t.TempDir())
	f := newFleet(1)
	write(t, db, f.mint())
	b := f.empty()
	b.PutRoutes = make([]messages.Route, 20000)
	for i := range b.PutRoutes {
		b.PutRoutes[i] = messages.Route{ID: messages.RouteID(risingID(uint64(i))), URL: messages.Secret(strings.Repeat("u", 100))}
	}
	if err := db.WriteBodies(b); err != nil {
		t.Fatal(err)
	}
	if err := db.WriteState(b); !errors.Is(err, ErrTooBig) || !strings.Contains(err.Error(), "rows") {
		t.Errorf("write state: %v", err)
	}
	f.sequence--
	write(t, db, f.report(10))
	f.verify(t, db)
	if rs, err := db.Routes(); err != nil || len(rs) != 0 {
		t.Errorf("%d routes of a refused batch, %v", len(rs), err)
	}
}

// After a write with an unknown outcome everything is refused with its error:
// nobody builds on what may not be there.
func TestUnknownOutcomeStopsTheStore(t *testing.T) {
	db := openTest(t, t.TempDir())
	f := newFleet(1)
	write(t, db, f.mint())
	if err := db.state.Close(); err != nil { // the ground opens
		t.Fatal(err)
	}
	b := f.report(10)
	if err := db.WriteBodies(b); err != nil {
		t.Fatal(err)
	}
	cause := db.WriteState(b)
	if cause == nil {
		t.Fatal("a closed store was written to")
	}
	if err := db.WriteBodies(f.report(10)); !errors.Is(err, cause) {
		t.Errorf("write: %v, want %v", err, cause)
	}
	if _, err := db.Host("acme-00000001"); !errors.Is(err, cause) {
		t.Errorf("read: %v, want %v", err, cause)
	}
}

// A store is one process's.
func TestSecondHubIsRefused(t *testing.T) {
	dir := t.TempDir()
	db := openTest(t, dir)
	if _, err := Open(dir, smallOptions(t)); !errors.Is(err, ErrLocked) {
		t.Errorf("second open: %v", err)
	}
	db.Close()
	openTest(t, dir)
	info, err := os.Stat(dir)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("directory: %v, %v", info.Mode(), err)
	}
}

// A store of a newer program is left alone.
func TestNewerFormatIsRefused(t *testing.T) {
	dir := t.TempDir()
	openTest(t, dir).Close()
	if err := os.WriteFile(dir+"/format.json", []byte(`{"format":"felhom-store","version":2}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir, smallOptions(t)); !errors.Is(err, ErrNewer) {
		t.Errorf("open: %v", err)
	}
}

// After Close everything answers ErrClosed, and a second Close is harmless.
func TestClosedStoreSaysSo(t *testing.T) {
	db := openTest(t, t.TempDir())
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Errorf("second close: %v", err)
	}
	if _, err := db.Routes(); !errors.Is(err, ErrClosed) {
		t.Errorf("read: %v", err)
	}
	if err := db.WriteBodies(newFleet(1).mint()); !errors.Is(err, ErrClosed) {
		t.Errorf("write: %v", err)
	}
}

// A day that cannot be opened any more does not stop reports: it is moved
// aside, whole, and a new one begins; what was in it reads as corrupt.
func TestDamagedDayIsMovedAside(t *testing.T) {
	dir := t.TempDir()
	db := openTest(t, dir)
	f := newFleet(1)
	write(t, db, f.mint())
	write(t, db, f.report(100))
	db.Close()
	day := db.history.path(f.last[f.hosts[0]].Day)
	if err := os.Remove(day + "/MANIFEST"); err != nil {
		t.Fatal(err)
	}
	db = openTest(t, dir)
	write(t, db, f.report(100))
	rows, _, err := db.Reports(f.hosts[0], messages.ReportRef{}, 0)
	if len(rows) != 1 || !errors.Is(err, ErrCorrupt) {
		t.Errorf("%d reports, %v", len(rows), err)
	}
	if _, err := os.Stat(day + ".damaged-0"); err != nil {
		t.Error(err)
	}
}

// Readers and both halves of the writer run side by side (the race detector
// watches), and a reader never sees a pointer without its body.
func TestReadersBesideTheWriters(t *testing.T) {
	db := openTest(t, t.TempDir())
	f := newFleet(4)
	write(t, db, f.mint())
	var batches []*messages.Batch
	for range 60 {
		batches = append(batches, f.report(300))
	}
	queue := make(chan *messages.Batch, 1)
	done := make(chan error, 2)
	go func() {
		defer close(queue)
		for _, b := range batches {
			if err := db.WriteBodies(b); err != nil {
				done <- err
				return
			}
			queue <- b
		}
		done <- nil
	}()
	go func() {
		for b := range queue {
			if err := db.WriteState(b); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	for left := 2; left > 0; {
		select {
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
			left--
		default:
			if _, _, err := db.Reports(f.hosts[0], messages.ReportRef{}, 3); err != nil {
				t.Fatal(err)
			}
			db.history.closeIdle(time.Now().Add(time.Hour))
		}
	}
	f.verify(t, db)
}
