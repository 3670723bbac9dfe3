package simulated

import (
	"context"
	"errors"
	"reflect"
	"testing"
	"time"

	"felhom.eu/messages"
)

var noon = time.Date(2026, 6, 8, 12, 0, 0, 0, time.UTC)

// Protects drills: the same host says the same thing at the same time in every
// program, and another seed is another host.
func TestReportIsAFunctionOfSeedProfileAndTime(t *testing.T) {
	for _, p := range Presets() {
		a, b := New(7, p.Profile(time.Hour)), New(7, p.Profile(time.Hour))
		b.ReportAt(noon.Add(-999 * time.Hour)) // nothing is remembered
		if ra, rb := a.ReportAt(noon), b.ReportAt(noon); !reflect.DeepEqual(ra, rb) {
			t.Errorf("%s: got two reports of one host at one time:\n%+v\n%+v", p, ra, rb)
		}
	}
	if reflect.DeepEqual(New(7, Profile{}).ReportAt(noon).Host, New(8, Profile{}).ReportAt(noon).Host) {
		t.Error("seeds 7 and 8 are the same host")
	}
}

// Protects a fleet from looking like one host, and every figure from being one
// that no machine has.
func TestHostsDifferAndTheirFiguresArePossible(t *testing.T) {
	sizes, guests := map[uint64]bool{}, map[int]bool{}
	for seed := range uint64(40) {
		s := New(seed, Presets()[seed%8].Profile(time.Hour))
		for h := range 16 {
			r := s.ReportAt(noon.Add(time.Duration(h) * 31 * time.Minute))
			sizes[r.Host.MemoryTotalBytes], guests[len(r.Guests)] = true, true
			checkPossible(t, seed, &r)
		}
	}
	if len(sizes) < 4 || len(guests) < 12 {
		t.Errorf("40 hosts have %d sizes and %d counts of guests", len(sizes), len(guests))
	}
}

func checkPossible(t *testing.T, seed uint64, r *messages.Report) {
	t.Helper()
	n := r.Host
	if n.CPUUsedRatio < 0 || n.CPUUsedRatio > 1 || n.MemoryUsedBytes > n.MemoryTotalBytes || n.RootUsedBytes > n.RootTotalBytes || n.SwapUsedBytes > n.SwapTotalBytes {
		t.Errorf("seed %d: impossible node %+v", seed, n)
	}
	seen := map[messages.VMID]bool{}
	for _, g := range r.Guests {
		if seen[g.VMID] || g.VMID < messages.MinVMID || g.CPUUsedRatio < 0 || g.CPUUsedRatio > 1 ||
			g.MemoryUsedBytes > g.Spec.MemoryBytes || g.DiskUsedBytes > g.Spec.DiskBytes || g.UptimeSeconds > n.UptimeSeconds {
			t.Errorf("seed %d: impossible guest %+v", seed, g)
		}
		seen[g.VMID] = true
	}
}

// Protects the graphs' point: a day has a quiet and a busy half.
func TestLoadFollowsTheDay(t *testing.T) {
	var night, day float64
	for seed := range uint64(20) {
		s := New(seed, Profile{})
		for m := range 30 {
			night += s.ReportAt(noon.Add(-9*time.Hour + time.Duration(m)*time.Minute)).Host.CPUUsedRatio
			day += s.ReportAt(noon.Add(3*time.Hour + time.Duration(m)*time.Minute)).Host.CPUUsedRatio
		}
	}
	if day < 1.5*night {
		t.Errorf("afternoon's load is %.2f times the night's", day/night)
	}
}

// observed is what a watch of some hours sees of a host.
type observed struct{ silent, stopped, offline, skewed, full, boots int }

func watch(s *Source, step time.Duration, n int) (o observed) {
	boot := ""
	for i := range n {
		at := noon.Add(time.Duration(i) * step)
		r := s.ReportAt(at)
		o.silent += count(!s.Speaks(at))
		o.stopped += count(r.Guests[0].Status != messages.GuestRunning)
		o.offline += count(r.Cloudflared.Status != "active")
		o.skewed += count(r.ReportedAt.Sub(at) > 5*time.Minute)
		o.full += count(float64(r.Host.RootUsedBytes) > 0.95*float64(r.Host.RootTotalBytes))
		o.boots += count(boot != "" && boot != r.BootID)
		boot = r.BootID
	}
	return o
}

func count(b bool) int {
	if b {
		return 1
	}
	return 0
}

// Protects the demo: every preset shows what it is named for, for the share of
// time it should, and nothing else.
func TestPresetsMisbehaveAsNamedAndOnlySo(t *testing.T) {
	const down, n = 60 * time.Second, 2400 // two hours, three seconds a step: 120 downs
	for _, p := range Presets() {
		o := watch(New(3, p.Profile(down)), 3*time.Second, n)
		want := map[Preset]observed{
			Healthy: {}, Silent: {silent: n / 3}, Flapping: {silent: n * 3 / 8}, Skewed: {skewed: n},
			Stopping: {stopped: n / 4}, Offline: {offline: n / 5}, Reboots: {boots: 15}, Filling: {full: o.full},
		}[p]
		if o != want {
			t.Errorf("%s: got %+v, want %+v", p, o, want)
		}
		if p == Filling && (o.full < n/50 || o.full > n/5) {
			t.Errorf("filling: over 95 %% in %d of %d", o.full, n)
		}
	}
}

// Protects the alarm drill: a flapping host comes back before it is down, a
// silent one does not.
func TestSilentHostsStayAwayLongerThanFlappingOnes(t *testing.T) {
	const down = time.Minute
	for p, want := range map[Preset]time.Duration{Silent: 2 * down, Flapping: 45 * time.Second} {
		s, longest, run := New(11, p.Profile(down)), 0, 0
		for i := range 3600 {
			if run++; s.Speaks(noon.Add(time.Duration(i) * time.Second)) {
				run = 0
			}
			longest = max(longest, run)
		}
		if got := time.Duration(longest) * time.Second; got < want-time.Second || got > want+time.Second {
			t.Errorf("%s: longest silence %v, want %v", p, got, want)
		}
	}
}

// Protects the agent's loop: silence is an error to it, not an empty report.
func TestCollectFailsWhileSilent(t *testing.T) {
	always := Cycle{Every: time.Minute, For: time.Minute}
	if r, err := New(1, Profile{Silent: always}).Collect(context.Background()); r != nil || !errors.Is(err, ErrSilent) {
		t.Errorf("got %v, %v", r, err)
	}
	if r, err := New(1, Profile{}).Collect(context.Background()); err != nil || r.Host.Node == "" {
		t.Errorf("got %v, %v", r, err)
	}
}

// Protects the load tools: one process plays many hosts.
func BenchmarkReportAt(b *testing.B) {
	s := New(1, Profile{Guests: 10})
	for i := 0; b.Loop(); i++ {
		s.ReportAt(noon.Add(time.Duration(i) * time.Second))
	}
}
