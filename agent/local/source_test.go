package local

import (
	"context"
	"encoding/json"
	"math"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/shirou/gopsutil/v4/cpu"

	"felhom.eu/messages"
)

type prober string

func (p prober) Probe(context.Context) messages.Tunnel { return messages.Tunnel{Status: string(p)} }

func collect(t *testing.T, s *Source) *messages.Report {
	t.Helper()
	r, err := s.Collect(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Protects a newcomer's first look: the figures are this machine's, in the
// contract's units.
func TestFiguresAreThisMachines(t *testing.T) {
	n := collect(t, New(nil)).Host
	var fs syscall.Statfs_t
	if err := syscall.Statfs("/", &fs); err != nil {
		t.Fatal(err)
	}
	var info syscall.Sysinfo_t
	if err := syscall.Sysinfo(&info); err != nil {
		t.Fatal(err)
	}
	if want := uint64(fs.Blocks) * uint64(fs.Bsize); n.RootTotalBytes != want {
		t.Errorf("root: got %d bytes, want %d", n.RootTotalBytes, want)
	}
	if want := uint64(info.Totalram) * uint64(info.Unit); n.MemoryTotalBytes < want*9/10 || n.MemoryTotalBytes > want*11/10 {
		t.Errorf("memory: got %d bytes, want about %d", n.MemoryTotalBytes, want)
	}
	if d := int64(n.UptimeSeconds) - int64(info.Uptime); d < -2 || d > 2 {
		t.Errorf("uptime: got %d s, want %d", n.UptimeSeconds, info.Uptime)
	}
	name, _ := os.Hostname()
	if !strings.HasPrefix(name, n.Node) || n.Node == "" || strings.Contains(n.Node, ".") || n.Kernel == "" || n.CPUCount == 0 {
		t.Errorf("got node %q, kernel %q, %d processors", n.Node, n.Kernel, n.CPUCount)
	}
	if n.MemoryUsedBytes == 0 || n.MemoryUsedBytes > n.MemoryTotalBytes || n.RootUsedBytes > n.RootTotalBytes || n.SwapUsedBytes > n.SwapTotalBytes {
		t.Errorf("used is none or beyond total: %+v", n)
	}
}

// Protects the hub from taking "no guests known" for "no guests": every
// collection says why it is empty, and is [] on the wire.
func TestEveryEmptyCollectionSaysWhy(t *testing.T) {
	r := collect(t, New(prober("active")))
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var wire map[string]json.RawMessage
	if err := json.Unmarshal(text, &wire); err != nil {
		t.Fatal(err)
	}
	lists := 0
	for name, value := range wire {
		if string(value) == "null" {
			t.Errorf("%s is null", name)
		}
		if string(value) != "[]" {
			continue
		}
		lists++
		if r.Sections[name].Status != messages.SectionNotConfigured {
			t.Errorf("%s is empty without a reason", name)
		}
	}
	if lists != 6 || r.Cloudflared.Status != "active" {
		t.Errorf("got %d empty lists, tunnel %q", lists, r.Cloudflared.Status)
	}
	if got := collect(t, New(nil)).Cloudflared.Status; got != messages.TunnelUnknown {
		t.Errorf("without a prober: tunnel %q", got)
	}
}

// Protects the processor's figure: it covers the interval, leaves waiting for
// the disk out, counts a guest's time once, and never leaves 0 to 1.
func TestUsedRatioCoversTheInterval(t *testing.T) {
	before := cpu.TimesStat{User: 1000, System: 500, Idle: 8000, Iowait: 500}
	for _, c := range []struct {
		name string
		now  cpu.TimesStat
		want float64
	}{
		{"half", cpu.TimesStat{User: 1040, System: 510, Idle: 8040, Iowait: 510}, 0.5},
		{"guest is in user", cpu.TimesStat{User: 1040, Guest: 40, System: 510, Idle: 8050, Iowait: 500}, 0.5},
		{"nothing passed", before, 0},
		{"idle ran backwards", cpu.TimesStat{User: 1010, System: 500, Idle: 7999, Iowait: 500}, 1},
		{"all ran backwards", cpu.TimesStat{User: 1}, 0},
	} {
		if got := usedRatio(before, c.now); got != c.want {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
	if got := usedRatio(cpu.TimesStat{}, before); math.Abs(got-0.15) > 1e-9 {
		t.Errorf("since boot: got %v, want 0.15", got)
	}
}

// Protects the hub's count of reboots from an agent that invents boots.
func TestBootIDStaysWhileTheMachineIsUp(t *testing.T) {
	if a, b := BootID(), BootID(); a != b || len(a) != 36 {
		t.Errorf("got %q and %q", a, b)
	}
}
