// Package simulated is a made-up host, for demos, drills and load: a node of
// some size with guests and a daily rhythm, that misbehaves as its Profile says.
//
// The one idea to hold: everything is a pure function of (seed, profile, time).
// Two programs that simulate the same host agree at every instant, nothing is
// remembered between reports, and a thousand hosts cost no more than their
// guests' names.
package simulated

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"felhom.eu/messages"
)

// ErrSilent is returned by Collect while the host is silent.
var ErrSilent = errors.New("simulated host is silent")

// Profile says what a host is like and what goes wrong with it. The zero value
// is a healthy host whose size comes from the seed.
type Profile struct {
	Node    string        // "": made up
	Guests  int           // 0: 1 to 24, by the seed; negative: none
	Silent  Cycle         // reports nothing
	Stopped Cycle         // a third of its guests, at least one, are stopped
	Offline Cycle         // its tunnel is down
	Reboots time.Duration // between two boots; 0: 30 days
	Skew    time.Duration // its clock's lead over the real one
	// DiskFills is how long the root filesystem takes from its usual fill to
	// 99 %, over and over: someone cleans up each time. 0: never.
	DiskFills time.Duration
}

// Cycle is something that lasts For out of Every, at a phase of the host's own.
// The zero value never is; Every ≤ For always is.
type Cycle struct{ Every, For time.Duration }

// on reports whether the cycle is on at t. shift, in [0, 1), is its phase.
func (c Cycle) on(t time.Time, shift float64) bool {
	if c.For <= 0 {
		return false
	}
	return c.For >= c.Every || phase(t, c.Every, shift) < float64(c.For)/float64(c.Every)
}

// phase is how much of a period has passed at t, in [0, 1).
func phase(t time.Time, period time.Duration, shift float64) float64 {
	_, f := math.Modf(float64(t.UnixNano())/float64(period) + shift)
	return f
}

// What the simulated hardware comes in.
const gib = 1 << 30

var sizes = []struct{ threads, memory, root uint64 }{
	{4, 16 * gib, 94 * gib},
	{8, 32 * gib, 94 * gib},
	{16, 64 * gib, 233 * gib},
	{32, 128 * gib, 466 * gib},
	{64, 512 * gib, 932 * gib},
}

// Source is one simulated host. It is safe for concurrent use.
type Source struct {
	seed    uint64
	profile Profile
	node    messages.Node // what never changes
	guests  []guest
	shift   float64 // the host's phase in every cycle
	busy    float64 // mean processor load
	filled  float64 // usual fill of the root filesystem
}

// guest is what never changes of a guest, and how hard it works.
type guest struct {
	messages.Guest
	busy, memory, disk float64 // of what it was given
}

// New makes the host that seed and profile describe.
func New(seed uint64, profile Profile) *Source {
	r := rand.New(rand.NewPCG(seed, 0x5eed))
	size := sizes[r.IntN(len(sizes))]
	s := &Source{seed: seed, profile: profile, shift: r.Float64(), busy: 0.05 + 0.4*r.Float64(), filled: 0.2 + 0.4*r.Float64()}
	s.node = messages.Node{
		Node:             fmt.Sprintf("pve%d", 1+r.IntN(9)),
		PVEVersion:       []string{"8.3.5", "8.4.1", "8.4.14", "9.0.11"}[r.IntN(4)],
		Kernel:           []string{"6.8.12-9-pve", "6.8.12-15-pve", "6.14.11-4-pve"}[r.IntN(3)],
		CPUCount:         size.threads,
		MemoryTotalBytes: size.memory,
		SwapTotalBytes:   8 * gib,
		RootTotalBytes:   size.root,
	}
	if profile.Node != "" {
		s.node.Node = profile.Node
	}
	if s.profile.Reboots <= 0 {
		s.profile.Reboots = 30 * 24 * time.Hour
	}
	s.guests = makeGuests(r, guestCount(r, profile.Guests))
	return s
}

func guestCount(r *rand.Rand, asked int) int {
	bySeed := 1 + r.IntN(24) // drawn always, so that a profile's count changes nothing else
	if asked == 0 {
		return bySeed
	}
	return min(max(asked, 0), messages.MaxGuests)
}

var trades = []string{"web", "db", "mail", "files", "git", "wiki", "vpn", "backup", "home", "media", "dns", "proxy", "build", "chat", "erp", "shop"}

func makeGuests(r *rand.Rand, n int) []guest {
	guests := make([]guest, n)
	for i := range guests {
		kind := []string{"lxc", "lxc", "qemu"}[r.IntN(3)]
		name := trades[r.IntN(len(trades))]
		guests[i] = guest{
			Guest: messages.Guest{
				VMID: messages.VMID(messages.MinVMID + i), Kind: kind, Name: fmt.Sprintf("%s-%d", name, 100+i),
				Spec: &messages.GuestSpec{Cores: float64(uint(1) << r.IntN(4)), MemoryBytes: gib << r.IntN(4), DiskBytes: 8 * gib << r.IntN(5)},
			},
			busy: 0.3 * r.Float64(), memory: 0.2 + 0.6*r.Float64(), disk: 0.1 + 0.7*r.Float64(),
		}
	}
	return guests
}

// Speaks reports whether the host reports at all at t.
func (s *Source) Speaks(t time.Time) bool { return !s.profile.Silent.on(t, s.shift) }

// Collect is ReportAt now, or ErrSilent.
func (s *Source) Collect(context.Context) (*messages.Report, error) {
	now := time.Now()
	if !s.Speaks(now) {
		return nil, ErrSilent
	}
	r := s.ReportAt(now)
	return &r, nil
}

// ReportAt is what the host would report at t. HostID, AgentVersion, Stream and
// Sequence are the caller's to fill in; ReportedAt is the host's own, possibly
// wrong, clock. Guest specs are shared between reports and must not be changed.
func (s *Source) ReportAt(t time.Time) messages.Report {
	boot, uptime := s.boot(t)
	return messages.Report{
		ReportedAt:  t.Add(s.profile.Skew).UTC(),
		BootID:      fmt.Sprintf("%08x-0000-4000-8000-%012x", uint32(s.seed), uint64(boot)&0xffffffffffff),
		Host:        s.nodeAt(t, uptime),
		Guests:      s.guestsAt(t, uptime),
		Cloudflared: s.tunnelAt(t),
		Sections:    sections(),
	}
}

// boot counts the host's boots up to t, and is how long the last one is ago.
func (s *Source) boot(t time.Time) (n int64, uptime time.Duration) {
	n64, f := math.Modf(float64(t.UnixNano())/float64(s.profile.Reboots) + s.shift)
	return int64(n64), time.Duration(f * float64(s.profile.Reboots))
}

func (s *Source) nodeAt(t time.Time, uptime time.Duration) messages.Node {
	n := s.node
	n.UptimeSeconds = uint64(uptime / time.Second)
	n.CPUUsedRatio = s.load(t, s.busy, 0)
	threads := float64(n.CPUCount)
	n.Load1m = round(threads * n.CPUUsedRatio)
	n.Load5m = round(threads * s.load(t.Add(-3*time.Minute), s.busy, 0))
	n.Load15m = round(threads * s.load(t.Add(-8*time.Minute), s.busy, 0))
	n.MemoryUsedBytes = part(n.MemoryTotalBytes, 0.3+0.6*s.load(t, s.busy, 1))
	n.SwapUsedBytes = part(n.SwapTotalBytes, 0.1*s.busy)
	n.RootUsedBytes = part(n.RootTotalBytes, s.fill(t))
	return n
}

// load is a ratio around mean: a daily rhythm that peaks in the afternoon, a
// shorter wave, and noise that is the same for everyone who asks for the same
// minute. salt makes series differ.
func (s *Source) load(t time.Time, mean float64, salt uint64) float64 {
	day := math.Sin(2 * math.Pi * (phase(t, 24*time.Hour, s.shift/12) - 0.375)) // shift: up to two hours
	wave := math.Sin(2 * math.Pi * phase(t, 47*time.Minute, s.shift+float64(salt)*0.37))
	noise := rand.New(rand.NewPCG(s.seed^salt<<32, uint64(t.Unix()/60))).Float64() - 0.5
	return round(min(1, max(0.01, mean*(1+0.5*day+0.15*wave+0.2*noise))))
}

// fill is how full the root filesystem is.
func (s *Source) fill(t time.Time) float64 {
	if s.profile.DiskFills <= 0 {
		return s.filled
	}
	return s.filled + (0.99-s.filled)*phase(t, s.profile.DiskFills, s.shift)
}

func (s *Source) guestsAt(t time.Time, uptime time.Duration) []messages.Guest {
	stopped := 0
	if s.profile.Stopped.on(t, s.shift) {
		stopped = (len(s.guests) + 2) / 3
	}
	out := make([]messages.Guest, len(s.guests))
	for i := range s.guests {
		out[i] = s.guestAt(t, i, uptime, i < stopped)
	}
	return out
}

func (s *Source) guestAt(t time.Time, i int, uptime time.Duration, stopped bool) messages.Guest {
	g := s.guests[i]
	out := g.Guest
	out.DiskUsedBytes = part(g.Spec.DiskBytes, g.disk)
	if stopped {
		out.Status = "stopped"
		return out
	}
	out.Status = messages.GuestRunning
	out.UptimeSeconds = uint64(max(0, uptime/time.Second-30))
	out.CPUUsedRatio = s.load(t, g.busy, uint64(i)+2)
	out.MemoryUsedBytes = part(g.Spec.MemoryBytes, g.memory)
	return out
}

func (s *Source) tunnelAt(t time.Time) messages.Tunnel {
	if s.profile.Offline.on(t, s.shift) {
		return messages.Tunnel{Status: "failed"}
	}
	return messages.Tunnel{Status: "active"}
}

func sections() map[string]messages.Section {
	all := map[string]messages.Section{"guests": {Status: messages.SectionOK}}
	for _, name := range []string{"storage_targets", "backups", "restore_tests", "pbs_snapshots", "audit_tail"} {
		all[name] = messages.Section{Status: messages.SectionNotConfigured}
	}
	return all
}

func part(total uint64, ratio float64) uint64 { return uint64(float64(total) * ratio) }

// round keeps three decimals: more would be noise on the wire.
func round(x float64) float64 { return math.Round(x*1000) / 1000 }
