package messages

import (
	"fmt"
	"hash/maphash"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Summary is what the hub takes from a report on its way in. Its strings are
// copies: they outlive the scanned body.
type Summary struct {
	HostID       HostID
	ReportedAt   int64  // Unix nanoseconds, agent's clock, held between 1 and 2262-04-11; 0 when absent
	SentAt       int64  // Unix nanoseconds, the request's Date header; 0 when absent; the caller sets it after Scan
	AgentVersion string // its first 64 bytes
	StreamHash   uint64 // HashText of stream; 0 when absent
	Sequence     uint64
	BootHash     uint64 // HashText of boot_id; 0 when absent
	UptimeSecs   uint32 // host.uptime_seconds, capped
	AgentEnd     AgentEnd
	MachineEnd   MachineEnd
	GuestHash    uint64  // of vmid, kind, name, status, controller_version, spec of every guest in order; never 0
	FactsHash    uint64  // of all that the rules on reports look at; two reports with one mean the same to them; never 0
	Figures      Figures // Cloudflared is its first 64 bytes
}

const maxWord = 64 // bytes of the texts that a Summary keeps

// Scan checks a whole report against the wire contract and sums it up in s, in
// one pass. The error is an *InvalidError, and s is then half filled.
//
// The contract: one JSON document (RFC 8259) in valid UTF-8, nothing behind it,
// no key twice in an object, no lone surrogate in an escape, nested no deeper than
// MaxDepth; a host_id; at most MaxGuests guests, each with a vmid of its own; and
// every field that Report has, if it is there, of Report's type and never null.
// Names are matched exactly. Unknown fields are checked as JSON and ignored.
//
// A report that is accepted costs no allocation when s holds its host_id and
// agent_version already: a caller that knows which host to expect sets s.HostID
// first. Scan keeps nothing of body.
func Scan(body []byte, s *Summary) error {
	p := scanners.Get().(*scanner)
	p.start(body)
	p.report(s)
	err := p.finish()
	scanners.Put(p)
	return err
}

var scanners = sync.Pool{New: func() any { return new(scanner) }}

// The shapes of the contract, each with the numbers of its fields.
const (
	reportHostID = iota
	reportReportedAt
	reportAgentVersion
	reportStream
	reportSequence
	reportBootID
	reportHost
	reportGuests
	reportCloudflared
	reportStorageTargets
	reportBackups
	reportRestoreTests
	reportPBSSnapshots
	reportAuditTail
	reportSections
	reportPBSDatastores
	reportDisks
	reportZFSPools
	reportLastEnd
	reportCluster
)

var reportShape = shapeOf([]string{
	reportHostID:         "host_id",
	reportReportedAt:     "reported_at",
	reportAgentVersion:   "agent_version",
	reportStream:         "stream",
	reportSequence:       "sequence",
	reportBootID:         "boot_id",
	reportHost:           "host",
	reportGuests:         "guests",
	reportCloudflared:    "cloudflared",
	reportStorageTargets: "storage_targets",
	reportBackups:        "backups",
	reportRestoreTests:   "restore_tests",
	reportPBSSnapshots:   "pbs_snapshots",
	reportAuditTail:      "audit_tail",
	reportSections:       "sections",

	// What came later stands behind what every agent sends.
	reportPBSDatastores: SectionPBSDatastores,
	reportDisks:         SectionDisks,
	reportZFSPools:      SectionZFSPools,
	reportLastEnd:       "last_end",
	reportCluster:       SectionCluster,
})

func (p *scanner) report(s *Summary) {
	before := *s
	unknown := float32(math.NaN())
	*s = Summary{Figures: Figures{CPUUsedRatio: unknown, MemoryUsedRatio: unknown, DiskUsedRatio: unknown}}
	guests := noGuests
	p.facts = fnvBasis
	p.space()
	o := p.object(reportShape)
	for p.next(&o) {
		switch o.field {
		case reportHostID:
			s.HostID = p.hostID(before.HostID)
		case reportReportedAt:
			s.ReportedAt = clockNanos(p.instant())
		case reportAgentVersion:
			s.AgentVersion = word(before.AgentVersion, p.text())
		case reportStream:
			s.StreamHash = HashText(p.stream())
		case reportSequence:
			s.Sequence = p.uint()
		case reportBootID:
			s.BootHash = HashText(p.text())
		case reportHost:
			p.host(s)
		case reportGuests:
			p.guests(&s.Figures, &guests)
		case reportCloudflared:
			s.Figures.Cloudflared = p.cloudflared(before.Figures.Cloudflared)
		case reportStorageTargets:
			p.members(&storageMembers, strict)
		case reportBackups, reportRestoreTests, reportPBSSnapshots:
			start := p.pos
			p.objects()
			p.noteFacts(o.field, start)
		case reportAuditTail:
			p.objects()
		case reportSections:
			p.sections(s)
		case reportPBSDatastores:
			p.members(&datastoreMembers, lenient)
		case reportDisks:
			p.members(&diskMembers, lenient)
		case reportZFSPools:
			p.members(&poolMembers, lenient)
		case reportLastEnd:
			s.AgentEnd, s.MachineEnd = p.lastEnd()
		case reportCluster:
			p.cluster()
		}
	}
	if o.seen&(1<<reportHostID) == 0 {
		p.missing("host_id")
	}
	s.GuestHash = max(uint64(guests), 1)
	p.facts.add(s.GuestHash)
	p.facts.add(HashText(s.Figures.Cloudflared))
	p.facts.add(percent(float64(s.Figures.DiskUsedRatio)))
	s.FactsHash = max(uint64(p.facts), 1)
}

// noGuests is where the hash of the guests starts.
const noGuests hash = fnvBasis

// missing fails because the object that just ended has no such field.
func (p *scanner) missing(field string) {
	p.level++
	p.path[p.level] = field
	p.fail("missing")
	p.level--
}

// hostID reads a host id. It returns before if it is that one.
func (p *scanner) hostID(before HostID) HostID {
	b := p.text()
	switch {
	case p.err != nil:
		return ""
	case !validHostID(b):
		p.fail("malformed; want <customer_id>-<8 hex digits>")
		return ""
	case string(b) == string(before):
		return before
	}
	return HostID(b)
}

// instant reads an RFC 3339 time.
func (p *scanner) instant() time.Time {
	b := p.text()
	t, ok := parseInstant(b)
	if p.err == nil && !ok {
		p.fail("want an RFC 3339 time, as 2026-06-08T14:20:09Z")
	}
	return t
}

// clockNanos is t as Unix nanoseconds, held within what these can say and above
// 0, which means never: a clock that is centuries off is still only a clock.
func clockNanos(t time.Time) int64 {
	switch {
	case t.Before(time.Unix(0, 1)):
		return 1
	case t.After(time.Unix(0, math.MaxInt64)):
		return math.MaxInt64
	}
	return t.UnixNano()
}

func (p *scanner) stream() []byte {
	b := p.text()
	if len(b) > MaxStreamLen {
		p.fail(fmt.Sprintf("longer than %d bytes", MaxStreamLen))
	}
	return b
}

const (
	hostNode = iota
	hostPVEVersion
	hostKernel
	hostUptimeSeconds
	hostCPUUsedRatio
	hostCPUCount
	hostLoad1m
	hostLoad5m
	hostLoad15m
	hostMemoryTotalBytes
	hostMemoryUsedBytes
	hostSwapTotalBytes
	hostSwapUsedBytes
	hostRootTotalBytes
	hostRootUsedBytes
)

var hostShape = shapeOf([]string{
	hostNode:             "node",
	hostPVEVersion:       "pve_version",
	hostKernel:           "kernel",
	hostUptimeSeconds:    "uptime_seconds",
	hostCPUUsedRatio:     "cpu_used_ratio",
	hostCPUCount:         "cpu_count",
	hostLoad1m:           "load_1m",
	hostLoad5m:           "load_5m",
	hostLoad15m:          "load_15m",
	hostMemoryTotalBytes: "memory_total_bytes",
	hostMemoryUsedBytes:  "memory_used_bytes",
	hostSwapTotalBytes:   "swap_total_bytes",
	hostSwapUsedBytes:    "swap_used_bytes",
	hostRootTotalBytes:   "root_total_bytes",
	hostRootUsedBytes:    "root_used_bytes",
})

func (p *scanner) host(s *Summary) {
	unknown := math.NaN()
	cpu, memoryUsed, rootUsed := unknown, unknown, unknown
	var memoryTotal, rootTotal float64
	o := p.object(hostShape)
	for p.next(&o) {
		switch o.field {
		case hostNode, hostPVEVersion, hostKernel:
			p.text()
		case hostUptimeSeconds:
			s.UptimeSecs = uint32(min(p.uint(), math.MaxUint32))
		case hostCPUUsedRatio:
			cpu = p.float()
		case hostLoad1m, hostLoad5m, hostLoad15m:
			p.float()
		case hostMemoryTotalBytes:
			memoryTotal = float64(p.uint())
		case hostMemoryUsedBytes:
			memoryUsed = float64(p.uint())
		case hostRootTotalBytes:
			rootTotal = float64(p.uint())
		case hostRootUsedBytes:
			rootUsed = float64(p.uint())
		default:
			p.uint()
		}
	}
	s.Figures.CPUUsedRatio = ratio(cpu, 1)
	s.Figures.MemoryUsedRatio = ratio(memoryUsed, memoryTotal)
	s.Figures.DiskUsedRatio = ratio(rootUsed, rootTotal)
}

// ratio is used ÷ total, NaN when that is not a finite number.
func ratio(used, total float64) float32 {
	r := float32(used / total)
	if math.IsInf(float64(r), 0) {
		return float32(math.NaN())
	}
	return r
}

const (
	guestVMID = iota
	guestKind
	guestName
	guestStatus
	guestControllerVersion
	guestSpec
	guestUptimeSeconds
	guestCPUUsedRatio
	guestMemoryUsedBytes
	guestDiskUsedBytes
	guestOnBoot
	guestTags
	guestLock
)

var guestShape = shapeOf([]string{
	guestVMID:              "vmid",
	guestKind:              "kind",
	guestName:              "name",
	guestStatus:            "status",
	guestControllerVersion: "controller_version",
	guestSpec:              "spec",
	guestUptimeSeconds:     "uptime_seconds",
	guestCPUUsedRatio:      "cpu_used_ratio",
	guestMemoryUsedBytes:   "memory_used_bytes",
	guestDiskUsedBytes:     "disk_used_bytes",
	guestOnBoot:            "onboot",
	guestTags:              "tags",
	guestLock:              "lock",
})

func (p *scanner) guests(f *Figures, h *hash) {
	p.open('[', "an array")
	for p.index = 0; p.more(p.index > 0, ']'); p.index++ {
		if p.index == MaxGuests {
			p.index = -1
			p.fail(fmt.Sprintf("more than %d", MaxGuests))
			return
		}
		if p.guest(h) {
			f.GuestRunning++
		}
		f.GuestTotal++
	}
	p.index = -1
	p.distinctGuests()
}

// guest reads one guest, and tells whether it is running.
func (p *scanner) guest(h *hash) (running bool) {
	var g guestReality
	o := p.object(guestShape)
	for p.next(&o) {
		switch o.field {
		case guestVMID:
			g.vmid = p.vmid()
		case guestKind:
			g.kind = HashText(p.text())
		case guestName:
			g.name = HashText(p.text())
		case guestStatus:
			status := p.text()
			running = string(status) == GuestRunning
			g.status = HashText(status)
		case guestControllerVersion:
			g.controller = HashText(p.text())
		case guestSpec:
			p.spec(&g)
		case guestCPUUsedRatio:
			p.float()
		case guestOnBoot, guestTags, guestLock:
			p.later(o.field)
		default:
			p.uint()
		}
	}
	if g.vmid == 0 {
		p.missing("vmid")
	}
	h.addGuest(&g)
	return running
}

func (p *scanner) vmid() uint64 {
	v := p.uint()
	switch {
	case p.err != nil:
	case v < MinVMID:
		p.fail(fmt.Sprintf("below %d", MinVMID))
	case v > MaxVMID:
		p.fail(fmt.Sprintf("above %d", MaxVMID))
	}
	p.vmids = append(p.vmids, v<<32|uint64(p.index))
	return v
}

// distinctGuests fails if two guests have one vmid.
func (p *scanner) distinctGuests() {
	if p.err != nil {
		return
	}
	slices.Sort(p.vmids) // most agents list them in order: no work
	for i := 1; i < len(p.vmids); i++ {
		if a, b := p.vmids[i-1], p.vmids[i]; a>>32 == b>>32 {
			p.index = int(uint32(b))
			p.level++
			p.path[p.level] = guestShape.names[guestVMID]
			p.fail(fmt.Sprintf("%d is also guests[%d]", b>>32, uint32(a)))
			return
		}
	}
}

const (
	specCores = iota
	specMemoryBytes
	specDiskBytes
)

var specShape = shapeOf([]string{
	specCores:       "cores",
	specMemoryBytes: "memory_bytes",
	specDiskBytes:   "disk_bytes",
})

func (p *scanner) spec(g *guestReality) {
	g.hasSpec = true
	o := p.object(specShape)
	for p.next(&o) {
		switch o.field {
		case specCores:
			g.cores = p.float()
		case specMemoryBytes:
			g.memory = p.uint()
		case specDiskBytes:
			g.disk = p.uint()
		}
	}
}

var cloudflaredShape = shapeOf([]string{"status"})

func (p *scanner) cloudflared(before string) (status string) {
	o := p.object(cloudflaredShape)
	for p.next(&o) {
		status = word(before, p.text())
	}
	return status
}

// objects reads a collection of which the hub knows only that it holds objects.
func (p *scanner) objects() {
	p.open('[', "an array")
	for p.index = 0; p.more(p.index > 0, ']'); p.index++ {
		if p.peek() != '{' {
			p.mistyped("an object")
			return
		}
		p.skip()
	}
	p.index = -1
}

const (
	sectionStatus = iota
	sectionDetail
	sectionReadAt
)

var sectionShape = shapeOf([]string{
	sectionStatus: "status",
	sectionDetail: "detail",
	sectionReadAt: "read_at",
})

// sections reads how each collection was obtained. Their names are the keys.
func (p *scanner) sections(s *Summary) {
	p.open('{', "an object")
	p.level++
	base := len(p.keys)
	for inner := false; p.more(inner, '}'); inner = true {
		p.path[p.level] = ""
		at := p.pos
		raw, name := p.key()
		p.path[p.level] = view(raw)
		p.note(base, at, name)
		ofGuests := string(name) == reportShape.names[reportGuests]
		p.facts.addBytes(name)
		status := p.section()
		p.facts.add(uint64(len(status))) // denied and failed are one to the rules
		if ofGuests && status != "" && status != SectionOK {
			s.Figures.GuestsUnknown = true
		}
	}
	p.forget(base)
	p.level--
}

func (p *scanner) section() (status SectionStatus) {
	o := p.object(sectionShape)
	for p.next(&o) {
		switch o.field {
		case sectionStatus:
			status = p.sectionStatus()
		case sectionDetail:
			p.text()
		default:
			p.skip()
		}
	}
	return status
}

func (p *scanner) sectionStatus() SectionStatus {
	b := p.text()
	for _, known := range [...]SectionStatus{SectionOK, SectionDenied, SectionFailed, SectionNotConfigured} {
		if string(b) == string(known) {
			return known
		}
	}
	p.fail("want ok, denied, failed or not_configured")
	return ""
}

// words are texts that many reports share, by hash: the last one with each.
var words [256]atomic.Pointer[string]

// word is the first maxWord bytes of text as a string: before if it is that
// one, else a shared copy.
func word(before string, text []byte) string {
	text = clip(text, maxWord)
	if string(text) == before {
		return before
	}
	slot := &words[maphash.Bytes(keySeed, text)%uint64(len(words))]
	if w := slot.Load(); w != nil && *w == string(text) {
		return *w
	}
	w := string(text)
	slot.Store(&w)
	return w
}
