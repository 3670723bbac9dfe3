// Package local reads any Linux machine as a host, without Proxmox: enough to
// try everything, or to watch a machine that runs no guests. It reads /proc and
// the root filesystem through gopsutil, and needs no rights.
package local

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/shirou/gopsutil/v4/cpu"
	"github.com/shirou/gopsutil/v4/disk"
	"github.com/shirou/gopsutil/v4/host"
	"github.com/shirou/gopsutil/v4/load"
	"github.com/shirou/gopsutil/v4/mem"

	"felhom.eu/messages"
)

// Prober tells how cloudflared is. It must return within ctx.
type Prober interface {
	Probe(ctx context.Context) messages.Tunnel
}

// Source reads this machine. Collect must not run twice at once.
type Source struct {
	tunnel Prober
	before cpu.TimesStat // processor times at the Collect before; zero at boot
}

// New makes a source. tunnel may be nil: the tunnel is then unknown.
func New(tunnel Prober) *Source { return &Source{tunnel: tunnel} }

// Collect reads the machine now. CPUUsedRatio covers the time since the Collect
// before, or since boot the first time. Any part of the node that cannot be
// read is an error, for a figure that is wrong looks like one that is right.
func (s *Source) Collect(ctx context.Context) (*messages.Report, error) {
	r := &messages.Report{Sections: sections(), Cloudflared: messages.Tunnel{Status: messages.TunnelUnknown}}
	if err := s.readNode(ctx, &r.Host); err != nil {
		return nil, err
	}
	if s.tunnel != nil {
		r.Cloudflared = s.tunnel.Probe(ctx)
	}
	return r, nil
}

// sections says of every collection that this source has none to offer.
func sections() map[string]messages.Section {
	none := messages.Section{Status: messages.SectionNotConfigured, Detail: "this source reads the machine only"}
	all := make(map[string]messages.Section)
	for _, name := range []string{"guests", "storage_targets", "backups", "restore_tests", "pbs_snapshots", "audit_tail"} {
		all[name] = none
	}
	return all
}

func (s *Source) readNode(ctx context.Context, n *messages.Node) error {
	for _, part := range []struct {
		name string
		read func(context.Context, *messages.Node) error
	}{
		{"identity", readIdentity}, {"processor", s.readCPU}, {"load", readLoad},
		{"memory", readMemory}, {"root filesystem", readRoot},
	} {
		if err := part.read(ctx, n); err != nil {
			return fmt.Errorf("read %s: %w", part.name, err)
		}
	}
	return nil
}

func readIdentity(ctx context.Context, n *messages.Node) (err error) {
	name, err := os.Hostname()
	if err != nil {
		return err
	}
	n.Node, _, _ = strings.Cut(name, ".")
	if n.Kernel, err = host.KernelVersionWithContext(ctx); err != nil {
		return err
	}
	n.UptimeSeconds, err = host.UptimeWithContext(ctx)
	return err
}

func (s *Source) readCPU(ctx context.Context, n *messages.Node) error {
	count, err := cpu.CountsWithContext(ctx, true)
	if err != nil {
		return err
	}
	times, err := cpu.TimesWithContext(ctx, false)
	if err != nil {
		return err
	}
	if len(times) == 0 {
		return errors.New("no processor in /proc/stat")
	}
	n.CPUCount = uint64(count)
	n.CPUUsedRatio = usedRatio(s.before, times[0])
	s.before = times[0]
	return nil
}

// usedRatio is the part of the time between two readings in which a processor
// worked. Guests' time is counted in User and Nice already (proc(5)); iowait is
// idle. Counters may run backwards a little; the ratio stays within 0 and 1.
func usedRatio(before, now cpu.TimesStat) float64 {
	idle := now.Idle + now.Iowait - before.Idle - before.Iowait
	total := allTime(now) - allTime(before)
	if total <= 0 {
		return 0
	}
	return min(1, max(0, 1-idle/total))
}

func allTime(t cpu.TimesStat) float64 {
	return t.User + t.Nice + t.System + t.Idle + t.Iowait + t.Irq + t.Softirq + t.Steal
}

func readLoad(ctx context.Context, n *messages.Node) error {
	l, err := load.AvgWithContext(ctx)
	if err != nil {
		return err
	}
	n.Load1m, n.Load5m, n.Load15m = l.Load1, l.Load5, l.Load15
	return nil
}

func readMemory(ctx context.Context, n *messages.Node) error {
	m, err := mem.VirtualMemoryWithContext(ctx)
	if err != nil {
		return err
	}
	swap, err := mem.SwapMemoryWithContext(ctx)
	if err != nil {
		return err
	}
	n.MemoryTotalBytes, n.MemoryUsedBytes = m.Total, m.Total-min(m.Available, m.Total)
	n.SwapTotalBytes, n.SwapUsedBytes = swap.Total, min(swap.Used, swap.Total)
	return nil
}

func readRoot(ctx context.Context, n *messages.Node) error {
	d, err := disk.UsageWithContext(ctx, "/")
	if err != nil {
		return err
	}
	n.RootTotalBytes, n.RootUsedBytes = d.Total, d.Used
	return nil
}

// BootID is the running kernel's boot id, new at every boot; empty when it
// cannot be read.
func BootID() string {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}
