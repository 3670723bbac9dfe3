package storage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"felhom.eu/messages"
)

const testDay = 20513 // 2026-03-01

func midnight(day uint32) time.Time { return time.Unix(int64(day)*86400, 0).UTC() }

// days is a fleet that reports every step of some days, with figures that tell a
// report from another.
func (f *fleet) days(t testing.TB, db *DB, first uint32, n int, step time.Duration) {
	t.Helper()
	for at := midnight(first).Add(step / 2); at.Before(midnight(first + uint32(n))); at = at.Add(step) {
		f.at = at.Add(-time.Second)
		b := f.report(10)
		for i := range b.Reports {
			b.Reports[i].Figures = figuresAt(i, at)
			b.Hosts[i].Figures = b.Reports[i].Figures
		}
		write(t, db, b)
	}
}

func figuresAt(host int, at time.Time) messages.Figures {
	n := at.Unix()/60 + int64(host)*31
	f := messages.Figures{CPUUsedRatio: float32(n%101) / 100, MemoryUsedRatio: float32(n%37) / 100, DiskUsedRatio: 0.7, GuestTotal: 9, GuestRunning: uint16(n % 5)}
	if n%7 == 0 {
		f.CPUUsedRatio, f.GuestsUnknown = float32(math.NaN()), true
	}
	return f
}

func fastTest(t testing.TB, dir string) *DB {
	t.Helper()
	o := smallOptions(t)
	o.UnsafeNoSync = true
	o.rollHosts = 16 // several parts of any fleet
	db, err := Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func rollAll(t testing.TB, db *DB, today uint32) (rolled []uint32) {
	t.Helper()
	days, err := db.Unrolled(today)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range days {
		if err := db.Roll(t.Context(), d); err != nil {
			t.Fatal(err)
		}
	}
	return days
}

func seriesOf(t testing.TB, db *DB, id messages.HostID, r messages.Resolution, from, to time.Time) []messages.Usage {
	t.Helper()
	us, err := db.Series(t.Context(), id, r, from, to)
	if err != nil {
		t.Fatal(err)
	}
	return us
}

var sameUsage = cmp.Options{cmpopts.EquateNaNs()}

// Forty days of a small fleet: what the roll-ups tell is what the reports told, long
// after the reports were dropped, over restarts, and without a hole until now.
func TestSeriesOfFortyDays(t *testing.T) {
	dir := t.TempDir()
	db := fastTest(t, dir)
	f := newFleet(3)
	f.at = midnight(testDay).Add(-time.Minute)
	write(t, db, f.mint())
	const n, step = 40, 80 * time.Minute
	for i := range uint32(n) {
		today := testDay + i
		rollAll(t, db, today)
		for _, d := range have(db.Days()) {
			if d.Number+30 < today {
				if err := db.DropDay(d.Number); err != nil {
					t.Fatal(err)
				}
			}
		}
		if _, err := db.DropRollups(today); err != nil {
			t.Fatal(err)
		}
		if i%15 == 7 {
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			db = fastTest(t, dir)
		}
		f.days(t, db, today, 1, step)
	}
	now := midnight(testDay + n)
	for host, id := range f.hosts {
		for _, r := range rollups {
			got := seriesOf(t, db, id, r, midnight(testDay-1), now)
			oldest := midnight(testDay)
			if r == messages.ResolutionQuarter {
				oldest = midnight(testDay + n - 1 - 30)
			}
			want := naive(host, r, midnight(testDay-1), now, oldest, step)
			if diff := cmp.Diff(want, got, sameUsage); diff != "" {
				t.Fatalf("%s at %s:\n%s", id, r, diff)
			}
		}
	}
	raw := seriesOf(t, db, f.hosts[1], messages.ResolutionRaw, now.Add(-2*time.Hour), now)
	if len(raw) != 2 || !raw[1].At.Equal(now.Add(-step/2)) || raw[0].Reports != 1 {
		t.Errorf("raw is %+v", raw)
	}
	if files := have(os.ReadDir(filepath.Join(dir, rollDir, "15m"))); len(files) != 30 {
		t.Errorf("%d roll-ups of fifteen minutes", len(files))
	}
	if files := have(os.ReadDir(filepath.Join(dir, rollDir, "2h"))); len(files) != n-1 {
		t.Errorf("%d roll-ups of two hours", len(files))
	}
}

func have[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// naive sums the fleet's reports up the long way.
func naive(host int, r messages.Resolution, from, to, oldest time.Time, step time.Duration) (us []messages.Usage) {
	for at := from; at.Before(to); at = at.Add(r.Slot()) {
		u := messages.Gap(at)
		var cpu, memory, disk []float64
		for x := oldest.Add(step / 2); x.Before(at.Add(r.Slot())); x = x.Add(step) {
			if x.Before(at) {
				continue
			}
			f := figuresAt(host, x)
			u.Reports++
			memory, disk = append(memory, float64(f.MemoryUsedRatio)), append(disk, float64(f.DiskUsedRatio))
			if f.GuestsUnknown {
				continue
			}
			cpu = append(cpu, float64(f.CPUUsedRatio))
			if u.GuestsRunningMin < 0 || int(f.GuestRunning) < u.GuestsRunningMin {
				u.GuestsRunningMin = int(f.GuestRunning)
			}
			u.GuestsRunningMax = max(u.GuestsRunningMax, int(f.GuestRunning))
		}
		u.CPU, u.Memory, u.Disk = levelOf(cpu), levelOf(memory), levelOf(disk)
		us = append(us, u)
	}
	return us
}

func levelOf(vs []float64) messages.Level {
	if len(vs) == 0 {
		return messages.Gap(time.Time{}).CPU
	}
	sum := 0.0
	for _, v := range vs {
		sum += math.Round(v * 1000)
	}
	mean := math.Round(sum/float64(len(vs))+1e-9) / 1000
	return messages.Level{Average: float32(mean), Maximum: float32(math.Round(slices.Max(vs)*1000) / 1000)}
}

// A series is the same before and after its days are rolled up.
func TestRollingChangesNothing(t *testing.T) {
	db := fastTest(t, t.TempDir())
	f := newFleet(20)
	f.at = midnight(testDay).Add(-time.Minute)
	write(t, db, f.mint())
	f.days(t, db, testDay, 2, 25*time.Minute)
	from, to := midnight(testDay).Add(3*time.Hour), midnight(testDay+2).Add(-5*time.Hour)
	all := func() (all [][]messages.Usage) {
		for _, id := range f.hosts {
			for _, r := range rollups {
				all = append(all, seriesOf(t, db, id, r, from, to))
			}
		}
		return all
	}
	before := all()
	if days := rollAll(t, db, testDay+2); len(days) != 2 {
		t.Errorf("rolled %v", days)
	}
	if diff := cmp.Diff(before, all(), sameUsage); diff != "" {
		t.Error(diff)
	}
}

// A kill leaves a file that is not in its place, or one resolution without the
// other; the next pass makes both, with the same bytes. A pass that is stopped
// leaves nothing.
func TestRollAfterAKill(t *testing.T) {
	dir := t.TempDir()
	db := fastTest(t, dir)
	f := newFleet(40)
	f.at = midnight(testDay).Add(-time.Minute)
	write(t, db, f.mint())
	f.days(t, db, testDay, 1, 2*time.Hour)
	stopped, cancel := context.WithCancel(t.Context())
	cancel()
	if err := db.Roll(stopped, testDay); !errors.Is(err, context.Canceled) {
		t.Errorf("a stopped pass: %v", err)
	}
	for _, r := range rollups {
		if files := have(os.ReadDir(filepath.Join(dir, rollDir, string(r)))); len(files) > 0 {
			t.Errorf("a stopped pass left %v", files)
		}
	}
	rollAll(t, db, testDay+1)
	var whole [2][]byte
	for i, r := range rollups {
		whole[i] = have(os.ReadFile(rollPath(dir, r, testDay)))
	}
	for i, r := range rollups {
		path := rollPath(dir, r, testDay)
		if err := errors.Join(os.WriteFile(path+tmpSuffix, whole[i][:len(whole[i])/2], 0o600), os.Remove(path)); err != nil {
			t.Fatal(err)
		}
		if days := rollAll(t, db, testDay+1); len(days) != 1 {
			t.Errorf("without its %s the day is as rolled: %v", r, days)
		}
		for i, r := range rollups {
			if !bytes.Equal(whole[i], have(os.ReadFile(rollPath(dir, r, testDay)))) {
				t.Errorf("%s has other bytes the second time", r)
			}
		}
	}
	if days := rollAll(t, db, testDay); len(days) != 0 {
		t.Errorf("today was rolled up: %v", days)
	}
	if err := os.Remove(rollPath(dir, messages.ResolutionQuarter, testDay)); err != nil {
		t.Fatal(err)
	}
	for today, want := range map[uint32]int{testDay + 30: 1, testDay + 31: 0} {
		if days, err := db.Unrolled(today); len(days) != want || err != nil {
			t.Errorf("%d days later it lacks %v, %v", today-testDay, days, err)
		}
	}
}

// Damage anywhere in a roll-up is noticed, told and set aside, and never read as
// something else; the next pass makes it again.
func TestDamagedRollUp(t *testing.T) {
	dir := t.TempDir()
	db := fastTest(t, dir)
	f := newFleet(3)
	f.at = midnight(testDay).Add(-time.Minute)
	write(t, db, f.mint())
	f.days(t, db, testDay, 1, 3*time.Hour)
	rollAll(t, db, testDay+1)
	const r = messages.ResolutionTwoHours
	path := rollPath(dir, r, testDay)
	whole := have(os.ReadFile(path))
	from, to := midnight(testDay), midnight(testDay+1)
	want := seriesOf(t, db, f.hosts[2], r, from, to)
	for i := range whole {
		for _, damaged := range [][]byte{flip(whole, i), whole[:i]} {
			if err := os.WriteFile(path, damaged, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := verifyRoll(dir, r, testDay); !errors.Is(err, ErrCorrupt) {
				t.Fatalf("damage at %d of %d: %v", i, len(whole), err)
			}
		}
	}
	if err := os.WriteFile(path, flip(whole, len(rollMagic)+3), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, u := range seriesOf(t, db, f.hosts[2], r, from, to) {
		if u.Reports > 0 {
			t.Errorf("read from a damaged roll-up: %+v", u)
		}
	}
	if _, err := os.Stat(path + damagedSuffix); err != nil {
		t.Error(err)
	}
	rollAll(t, db, testDay+1)
	if diff := cmp.Diff(want, seriesOf(t, db, f.hosts[2], r, from, to), sameUsage); diff != "" {
		t.Error(diff)
	}
	if n, err := db.DropRollups(testDay + 1000); n != 3 || err != nil {
		t.Errorf("dropped %d files, %v", n, err)
	}
}

func flip(b []byte, i int) []byte {
	b = bytes.Clone(b)
	b[i] ^= 0x10
	return b
}

func verifyRoll(dir string, r messages.Resolution, day uint32) error {
	f, err := openRoll(dir, r, day)
	if err != nil {
		return err
	}
	defer f.close()
	return f.each(func(messages.HostID, []slot) error { return nil })
}

// Roll-ups go into the backup and come back with the same bytes, checked.
func TestRollUpsAreBackedUp(t *testing.T) {
	dir := t.TempDir()
	db := fastTest(t, dir)
	f := newFleet(50)
	f.at = midnight(testDay).Add(-time.Minute)
	write(t, db, f.mint())
	f.days(t, db, testDay, 2, 6*time.Hour)
	rollAll(t, db, testDay+2)
	var copied bytes.Buffer
	m, err := db.Backup(t.Context(), &copied)
	if err != nil || m.Rolls != 50*2*2 || m.Damaged != 0 {
		t.Fatalf("backup: %+v, %v", m, err)
	}
	to := filepath.Join(t.TempDir(), "restored")
	if _, err := Restore(t.Context(), &copied, to); err != nil {
		t.Fatal(err)
	}
	for _, r := range rollups {
		if !bytes.Equal(have(os.ReadFile(rollPath(dir, r, testDay+1))), have(os.ReadFile(rollPath(to, r, testDay+1)))) {
			t.Errorf("%s came back with other bytes", r)
		}
	}
	if s, err := Check(to); err != nil || len(s.Problems) > 0 || s.Rolls != m.Rolls {
		t.Errorf("check: %d rows, %v, %v", s.Rolls, s.Problems, err)
	}
	path := rollPath(to, messages.ResolutionQuarter, testDay)
	if err := os.WriteFile(path, flip(have(os.ReadFile(path)), 40), 0o600); err != nil {
		t.Fatal(err)
	}
	if s, err := Check(to); err != nil || len(s.Problems) != 1 || !strings.Contains(s.Problems[0], path) {
		t.Errorf("check of a damaged one: %v, %v", s.Problems, err)
	}
}

// Hosts that were removed are left out, and nothing is written without room.
func TestRollLeavesOut(t *testing.T) {
	dir := t.TempDir()
	o := smallOptions(t)
	free := uint64(1 << 40)
	o.space = func(string) (space, error) { return space{free, 1 << 40}, nil }
	db, err := Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	f := newFleet(2)
	f.at = midnight(testDay).Add(-time.Minute)
	write(t, db, f.mint())
	f.days(t, db, testDay, 1, 12*time.Hour)
	b := f.empty()
	b.DelHosts = f.hosts[:1]
	write(t, db, b)
	free = 0
	if err := db.Roll(t.Context(), testDay); !errors.Is(err, ErrFull) {
		t.Errorf("on a full disk: %v", err)
	}
	free = 1 << 40
	rollAll(t, db, testDay+1)
	roll, err := openRoll(dir, messages.ResolutionQuarter, testDay)
	if err != nil {
		t.Fatal(err)
	}
	defer roll.close()
	for i, want := range []bool{false, true} {
		if slots, err := roll.find(f.hosts[i]); err != nil || (slots != nil) != want {
			t.Errorf("host %d: %v, %v", i, slots, err)
		}
	}
	if _, err := db.Series(t.Context(), f.hosts[0], messages.ResolutionQuarter, f.at, f.at.Add(time.Hour)); !errors.Is(err, ErrNotFound) {
		t.Errorf("series of a removed host: %v", err)
	}
}

// A roll-up as version 1 wrote it is read for ever.
func TestRollUpOfVersion1(t *testing.T) {
	const golden = "testdata/rollup.v1"
	write := func(dir string) string {
		w, err := createRoll(dir, messages.ResolutionQuarter, testDay)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 200 {
			if err := w.add(messages.HostID(fmt.Sprintf("acme-%08x", i)), sampleDay().slots(messages.ResolutionQuarter, nil)); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.finish(); err != nil {
			t.Fatal(err)
		}
		return rollPath(dir, messages.ResolutionQuarter, testDay)
	}
	if *writeGolden {
		if err := os.WriteFile(golden, have(os.ReadFile(write(t.TempDir()))), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	path := write(t.TempDir())
	if err := os.WriteFile(path, have(os.ReadFile(golden)), 0o600); err != nil {
		t.Fatal(err)
	}
	roll, err := openRoll(filepath.Dir(filepath.Dir(filepath.Dir(path))), messages.ResolutionQuarter, testDay)
	if err != nil {
		t.Fatal(err)
	}
	defer roll.close()
	for _, id := range []messages.HostID{"acme-00000000", "acme-00000063", "acme-000000c7"} {
		slots, err := roll.find(id)
		if diff := cmp.Diff(sampleDay().slots(messages.ResolutionQuarter, nil), slots, cmp.AllowUnexported(slot{})); err != nil || diff != "" {
			t.Errorf("%s: %v\n%s", id, err, diff)
		}
	}
	for _, id := range []messages.HostID{"a", "acme-000000c8", "acme-0000006", "z"} {
		if slots, err := roll.find(id); slots != nil || err != nil {
			t.Errorf("%s: %v, %v", id, slots, err)
		}
	}
}

// What a day of 96 reports costs for each host, and takes on the disk.
func BenchmarkRoll(b *testing.B) {
	dir := b.TempDir()
	db := fastTest(b, dir)
	db.o.rollHosts = rollHosts
	f := newFleet(200)
	f.at = midnight(testDay).Add(-time.Minute)
	write(b, db, f.mint())
	f.days(b, db, testDay, 1, 15*time.Minute)
	for b.Loop() {
		if err := db.Roll(b.Context(), testDay); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*len(f.hosts)), "µs/host-day")
	for _, r := range rollups {
		info := have(os.Stat(rollPath(dir, r, testDay)))
		b.ReportMetric(float64(info.Size())/float64(len(f.hosts)), string(r)+"-B/host-day")
	}
}

// Thirty days of roll-ups and the part of today that has none.
func BenchmarkSeries(b *testing.B) {
	db := fastTest(b, b.TempDir())
	f := newFleet(200)
	f.at = midnight(testDay).Add(-time.Minute)
	write(b, db, f.mint())
	f.days(b, db, testDay, 1, 15*time.Minute)
	rollAll(b, db, testDay+1)
	for _, r := range rollups {
		whole := have(openRoll(db.dir, r, testDay))
		for day := range uint32(r.Days()) {
			w := have(createRoll(db.dir, r, testDay+1-uint32(r.Days())+day))
			if err := errors.Join(whole.each(w.add), w.finish()); err != nil {
				b.Fatal(err)
			}
		}
	}
	f.days(b, db, testDay+1, 1, 15*time.Minute)
	now := midnight(testDay + 2)
	for _, r := range rollups {
		b.Run(string(r), func(b *testing.B) {
			for b.Loop() {
				seriesOf(b, db, f.hosts[100], r, now.Add(-time.Duration(r.Days())*24*time.Hour), now)
			}
		})
	}
}
