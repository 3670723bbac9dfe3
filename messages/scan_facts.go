package messages

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"strconv"
	"time"
)

// What Scan hashes for the rules on reports. A collection that only changes when
// something happened counts byte for byte; one with figures that are another in
// every report counts with the members that a rule looks at, and a figure of how
// full something is counts in whole percent.

// noteFacts counts the bytes from start to where the scanner stands. An empty
// collection is as none.
func (p *scanner) noteFacts(field, start int) {
	if raw := p.body[start:p.pos]; string(raw) != "[]" {
		p.facts.add(uint64(field))
		p.facts.addBytes(raw)
	}
}

// later counts a value that the contract's first version did not know: of any type.
func (p *scanner) later(field int) {
	start := p.pos
	p.skip()
	p.noteFacts(field, start)
}

// addBytes folds bytes in, eight at a time.
func (h *hash) addBytes(b []byte) {
	h.add(uint64(len(b)))
	for ; len(b) >= 8; b = b[8:] {
		h.add(binary.LittleEndian.Uint64(b))
	}
	var tail [8]byte
	copy(tail[:], b)
	h.add(binary.LittleEndian.Uint64(tail[:]))
}

// countedMembers are the members of a collection's elements, in the order in which
// agents send them, and which of them count: byte for byte, but for the two that
// say how full it is, which are -1 where there are none.
type countedMembers struct {
	*shape
	counted     uint32 // a bit for each
	total, used int
}

var (
	storageMembers = countedMembers{shapeOf([]string{
		"storage", "type", "content", "enabled", "active", "shared", "total_bytes", "used_bytes", "available_bytes",
	}), 1<<0 | 1<<3 | 1<<4, 6, 7}
	datastoreMembers = countedMembers{shapeOf([]string{
		"server", "datastore", "total_bytes", "used_bytes", "available_bytes", "groups_missing",
	}), 1<<0 | 1<<1 | 1<<5, 2, 3}
	diskMembers = countedMembers{shapeOf([]string{"device", "kind", "model", "serial", "size_bytes", "health", "wear_ratio", "use"}), 1<<0 | 1<<3 | 1<<5 | 1<<6, -1, -1}
	poolMembers = countedMembers{shapeOf([]string{"name", "health", "size_bytes", "allocated_bytes", "free_bytes", "fragmentation_ratio"}), 1<<0 | 1<<1, -1, -1}
)

// Of a cluster only that counts which guests its other nodes have.
var (
	clusterShape = shapeOf([]string{"name", "quorate", "members"})
	nodeMembers  = countedMembers{shapeOf([]string{"node", "online", "vmids"}), 1 << 2, -1, -1}
)

func (p *scanner) cluster() {
	if p.peek() != '{' {
		p.skip()
		return
	}
	o := p.object(clusterShape)
	for p.next(&o) {
		if o.field == 2 {
			p.members(&nodeMembers, lenient)
		} else {
			p.skip()
		}
	}
}

// How a collection is held to its type: the first version's are arrays of
// objects, later ones may be anything.
const (
	strict  = true
	lenient = false
)

// members counts the members of a collection's elements that m names.
func (p *scanner) members(m *countedMembers, strictly bool) {
	if p.peek() != '[' && !strictly {
		p.skip()
		return
	}
	p.open('[', "an array")
	for p.index = 0; p.more(p.index > 0, ']'); p.index++ {
		switch {
		case p.peek() == '{':
			p.element(m)
		case strictly:
			p.mistyped("an object")
			return
		default:
			p.skip()
		}
	}
	p.index = -1
}

func (p *scanner) element(m *countedMembers) {
	var total, used float64
	o := p.object(m.shape)
	for p.next(&o) {
		switch o.field {
		case m.total:
			total = p.anyNumber()
		case m.used:
			used = p.anyNumber()
		default:
			start := p.pos
			p.skip()
			if m.counted&(1<<o.field) != 0 {
				p.noteFacts(o.field, start)
			}
		}
	}
	if total > 0 {
		p.facts.add(percent(used / total))
	}
}

// anyNumber reads a value of any type: 0 when it is no number.
func (p *scanner) anyNumber() float64 {
	if !isNumber(p.peek()) {
		p.skip()
		return 0
	}
	raw := p.number()
	if v, n := decimal(raw, 0); n == len(raw) && n < 20 {
		return float64(v)
	}
	v, _ := strconv.ParseFloat(view(raw), 64)
	return v
}

// leastPercent is where percentages begin to count: no threshold is lower.
const leastPercent = 40

// percent is a ratio in whole percent, rounded down; 0 for what no rule looks at.
func percent(ratio float64) uint64 {
	if v := ratio * 100; v >= leastPercent && v <= math.MaxInt32 { // false for NaN
		return uint64(v)
	}
	return 0
}

// lenientValue reads a value as a T: its zero value when it is something else.
func lenientValue[T any](p *scanner) (v T) {
	start := p.pos
	p.skip()
	if json.Unmarshal(p.body[start:p.pos], &v) != nil {
		var none T
		return none
	}
	return v
}

// DecodeFacts reads of a report that Scan accepted what the rules on reports look
// at, at a few times Scan's cost: the host's uptime and root, the guests, the
// tunnel, the collections and how they were obtained. It keeps nothing of body.
// The error is an *InvalidError.
func DecodeFacts(body []byte) (Report, error) {
	p := scanners.Get().(*scanner)
	p.start(body)
	p.space()
	var r Report
	o := p.object(reportShape)
	for p.next(&o) {
		p.fact(o.field, &r)
	}
	err := p.finish()
	scanners.Put(p)
	if err != nil {
		return Report{}, err
	}
	return r, nil
}

func (p *scanner) fact(field int, r *Report) {
	switch field {
	case reportHostID:
		r.HostID = HostID(p.text())
	case reportHost:
		p.hostFacts(&r.Host)
	case reportGuests:
		r.Guests = p.guestList()
	case reportCloudflared:
		r.Cloudflared.Status = p.cloudflared("")
	case reportStorageTargets:
		r.StorageTargets = items[StorageTarget](p)
	case reportBackups:
		r.Backups = items[Backup](p)
	case reportRestoreTests:
		r.RestoreTests = items[RestoreTest](p)
	case reportPBSSnapshots:
		r.PBSSnapshots = items[PBSGroup](p)
	case reportAuditTail:
		r.AuditTail = items[AuditEntry](p)
	case reportPBSDatastores:
		r.PBSDatastores = items[PBSDatastore](p)
	case reportDisks:
		r.Disks = items[Disk](p)
	case reportZFSPools:
		r.ZFSPools = items[ZFSPool](p)
	case reportSections:
		r.Sections = p.sectionMap()
	case reportCluster:
		r.Cluster = lenientValue[*Cluster](p)
	default:
		p.skip()
	}
}

func (p *scanner) hostFacts(n *Node) {
	o := p.object(hostShape)
	for p.next(&o) {
		switch o.field {
		case hostUptimeSeconds:
			n.UptimeSeconds = p.uint()
		case hostRootTotalBytes:
			n.RootTotalBytes = p.uint()
		case hostRootUsedBytes:
			n.RootUsedBytes = p.uint()
		default:
			p.skip()
		}
	}
}

func (p *scanner) sectionMap() map[string]Section {
	sections := map[string]Section{}
	p.open('{', "an object")
	for inner := false; p.more(inner, '}'); inner = true {
		_, name := p.key()
		key := string(name)
		var s Section
		o := p.object(sectionShape)
		for p.next(&o) {
			switch o.field {
			case sectionStatus:
				s.Status = p.sectionStatus()
			case sectionDetail:
				s.Detail = string(p.text())
			default:
				s.ReadAt = lenientValue[*time.Time](p)
			}
		}
		sections[key] = s
	}
	return sections
}

// items reads a collection; an empty one, as most are, costs nothing.
func items[T any](p *scanner) Items[T] {
	if start := p.pos; p.peek() == '[' {
		p.pos++
		if p.space() == ']' {
			p.pos++
			return nil
		}
		p.pos = start
	}
	return lenientValue[Items[T]](p)
}
