package load

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"felhom.eu/messages"
)

// The marks stand in a template where a host's own values go. None of them can
// occur in the rest of the document.
const (
	markHost     = "@host@"
	markStream   = "@stream@"
	markSequence = 987654321987654321
)

var markTime = time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)

// template is a report's body cut at the places where hosts differ: host_id,
// reported_at, stream and sequence, in that order.
type template struct {
	cut   [5][]byte
	fixed int // bytes in cut
}

// Templates is how many differing machines a fleet has; the rest repeat
// them under their own names. More than a batch of reports has, so that a store
// that packs them is not flattered by repetition.
const Templates = 512

var templates = func() (ts [Templates]template) {
	for i := range ts {
		ts[i] = newTemplate(machine(i))
	}
	return ts
}()

func newTemplate(r messages.Report) template {
	body, err := json.Marshal(r)
	if err != nil {
		panic(fmt.Sprintf("render report: %v", err)) // machine is wrong
	}
	var t template
	marks := []string{markHost, markTime.Format(time.RFC3339), markStream, strconv.Itoa(markSequence)}
	for i, mark := range marks {
		before, after, found := bytes.Cut(body, []byte(mark))
		if !found {
			panic("render report: no " + mark) // the field order of messages.Report changed
		}
		t.cut[i], body = before, after
	}
	t.cut[len(marks)] = body
	for _, c := range t.cut {
		t.fixed += len(c)
	}
	return t
}

// machine is a Proxmox host with eight guests, half of them running: about 2 KiB
// as JSON. What a real host measures differs from machine to machine.
func machine(i int) messages.Report {
	random := rand.New(rand.NewPCG(uint64(i), 2))
	ratio := func() float64 { return float64(random.IntN(10_000)) / 10_000 }
	part := func(total uint64) uint64 { return random.Uint64N(total) &^ 4095 }
	const memory, swap, root = 67430330368, 8589934592, 100861726720
	r := messages.Report{
		HostID: markHost, ReportedAt: markTime, AgentVersion: "0.3.0",
		Stream: markStream, Sequence: markSequence, BootID: bootID(random),
		Host: messages.Node{
			Node: fmt.Sprintf("pve%d", i+1), PVEVersion: "8.4.1", Kernel: "6.8.12-9-pve",
			UptimeSeconds: random.Uint64N(1 << 24), CPUUsedRatio: ratio(), CPUCount: 16,
			Load1m: ratio(), Load5m: ratio(), Load15m: ratio(),
			MemoryTotalBytes: memory, MemoryUsedBytes: part(memory),
			SwapTotalBytes: swap, SwapUsedBytes: part(swap), RootTotalBytes: root, RootUsedBytes: part(root),
		},
		Cloudflared: messages.Tunnel{Status: "active"},
	}
	for g, name := range []string{"web", "db", "mail", "proxy", "wiki", "git", "dns", "media"} {
		vm := messages.Guest{
			VMID: messages.VMID(101 + g), Kind: "lxc", Name: name, Status: "stopped",
			Spec: &messages.GuestSpec{Cores: 2, MemoryBytes: 2 << 30, DiskBytes: 8 << 30},
		}
		if g%3 == 2 {
			vm.Kind = "qemu"
		}
		if (i+g)%2 == 0 {
			vm.Status = messages.GuestRunning
			vm.UptimeSeconds, vm.CPUUsedRatio, vm.MemoryUsedBytes = random.Uint64N(1<<24), ratio(), part(2<<30)
		}
		if vm.Status == messages.GuestRunning && vm.Kind == "lxc" { // Proxmox does not know how full a virtual machine's disk is
			vm.DiskUsedBytes = part(8 << 30)
		}
		r.Guests = append(r.Guests, vm)
	}
	return r
}

// bootID is a UUID, as the kernel makes them.
func bootID(random *rand.Rand) string {
	a, b := random.Uint64(), random.Uint64()
	return fmt.Sprintf("%08x-%04x-%04x-%04x-%012x", a>>32, a>>16&0xffff, a&0xffff, b>>48, b&(1<<48-1))
}

// appendBody appends the body that h sends with sequence at the instant (whole
// seconds of Unix time).
func (h *Host) appendBody(b []byte, sequence uint64, at int64) []byte {
	t := &templates[h.machine%Templates]
	b = append(append(b, t.cut[0]...), h.ID...)
	b = time.Unix(at, 0).UTC().AppendFormat(append(b, t.cut[1]...), time.RFC3339)
	b = append(append(b, t.cut[2]...), h.Stream...)
	b = strconv.AppendUint(append(b, t.cut[3]...), sequence, 10)
	return append(b, t.cut[4]...)
}

// bodyLen is the length of what appendBody appends.
func (h *Host) bodyLen(sequence uint64) int {
	return templates[h.machine%Templates].fixed + len(h.ID) + len(time.RFC3339) - len("07:00") + len(h.Stream) + digits(sequence)
}

func digits(n uint64) int {
	d := 1
	for ; n >= 10; n /= 10 {
		d++
	}
	return d
}

// appendRequest appends the whole POST of that body.
func (h *Host) appendRequest(b []byte, sequence uint64, at int64) []byte {
	b = append(b, "POST /api/v1/host-report HTTP/1.1\r\nHost: felhom\r\nAuthorization: Bearer "...)
	b = append(b, h.Key.Reveal()...)
	b = append(b, "\r\nContent-Type: application/json\r\nContent-Length: "...)
	b = strconv.AppendInt(b, int64(h.bodyLen(sequence)), 10)
	return h.appendBody(append(b, "\r\n\r\n"...), sequence, at)
}
