package messages

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"
	"unicode/utf8"
)

// Decode reads a whole report into a Report. It is the obvious decoder, built on
// encoding/json: it accepts exactly what Scan accepts, at some fifty times the
// cost, and gives everything but the unknown fields. The error is an *InvalidError.
func Decode(body []byte) (Report, error) {
	if err := checkJSON(body); err != nil {
		return Report{}, err
	}
	var d decoder
	r := d.report(body)
	if d.err != nil {
		return Report{}, d.err
	}
	return r, nil
}

// checkJSON holds a document to what encoding/json lets pass: invalid UTF-8, lone
// surrogates, a key given twice, any depth.
func checkJSON(body []byte) error {
	switch {
	case !utf8.Valid(body):
		return &InvalidError{Problem: "invalid UTF-8"}
	case !json.Valid(body):
		return &InvalidError{Problem: "not one JSON document"}
	case loneSurrogateIn(body):
		return &InvalidError{Problem: "half a surrogate pair"}
	}
	return checkNesting(json.NewDecoder(bytes.NewReader(body)))
}

// loneSurrogateIn looks through the escapes of a valid document.
func loneSurrogateIn(body []byte) bool {
	for i := 0; i < len(body); i++ {
		if body[i] != '\\' {
			continue
		}
		_, n := escape(body[i:])
		if n == loneSurrogate {
			return true
		}
		i += n - 1
	}
	return false
}

// checkNesting walks the tokens of a valid document.
func checkNesting(tokens *json.Decoder) error {
	tokens.UseNumber()
	var open []map[string]bool // keys so far; nil for an array
	isKey := false
	for {
		t, err := tokens.Token()
		if err != nil {
			return nil // the end: the document is valid
		}
		switch t {
		case json.Delim('{'):
			open = append(open, map[string]bool{})
		case json.Delim('['):
			open = append(open, nil)
		case json.Delim('}'), json.Delim(']'):
			open = open[:len(open)-1]
		default:
			if isKey {
				key := t.(string)
				keys := open[len(open)-1]
				if keys[key] {
					return &InvalidError{Problem: fmt.Sprintf("key %s given twice", echo(key))}
				}
				keys[key] = true
				isKey = false
				continue
			}
		}
		if len(open) > MaxDepth {
			return &InvalidError{Problem: fmt.Sprintf("nested deeper than %d", MaxDepth)}
		}
		isKey = len(open) > 0 && open[len(open)-1] != nil
	}
}

// decoder picks the fields of the contract, and keeps the first problem.
type decoder struct{ err error }

// members is an object by its exact keys; path names it in errors.
type members struct {
	path   string
	values map[string]json.RawMessage
}

func (m members) at(name string) string {
	if m.path == "" {
		return name
	}
	return m.path + "." + name
}

func (d *decoder) fail(path, problem string) {
	if d.err == nil {
		d.err = &InvalidError{Field: path, Problem: problem}
	}
}

// value reads raw as a T, which null is not.
func value[T any](d *decoder, path string, raw json.RawMessage, want string) (v T) {
	if string(raw) == "null" || json.Unmarshal(raw, &v) != nil {
		d.fail(path, "want "+want)
	}
	return v
}

// field reads a member as a T: its zero value when there is none.
func field[T any](d *decoder, m members, name, want string) (v T) {
	if raw, ok := m.values[name]; ok {
		return value[T](d, m.at(name), raw, want)
	}
	return v
}

func (d *decoder) members(path string, raw json.RawMessage) members {
	return members{path, value[map[string]json.RawMessage](d, path, raw, "an object")}
}

func (d *decoder) object(m members, name string) members {
	if raw, ok := m.values[name]; ok {
		return d.members(m.at(name), raw)
	}
	return members{path: m.at(name)}
}

func (d *decoder) text(m members, name string) string {
	return field[string](d, m, name, "a string")
}

func (d *decoder) uint(m members, name string) uint64 {
	return field[uint64](d, m, name, "a whole number from 0 to 18446744073709551615")
}

func (d *decoder) float(m members, name string) float64 {
	return field[float64](d, m, name, "a number below 1.8e308")
}

func (d *decoder) list(m members, name string) List[json.RawMessage] {
	return field[List[json.RawMessage]](d, m, name, "an array")
}

func (d *decoder) instant(m members, name string) time.Time {
	if _, ok := m.values[name]; !ok {
		return time.Time{}
	}
	t, ok := parseInstant([]byte(d.text(m, name)))
	if !ok {
		d.fail(m.at(name), "want an RFC 3339 time")
	}
	return t.UTC()
}

func (d *decoder) report(body []byte) Report {
	m := d.members("", body)
	r := Report{
		HostID:         HostID(d.text(m, "host_id")),
		ReportedAt:     d.instant(m, "reported_at"),
		AgentVersion:   d.text(m, "agent_version"),
		Stream:         d.text(m, "stream"),
		Sequence:       d.uint(m, "sequence"),
		BootID:         d.text(m, "boot_id"),
		Host:           d.node(d.object(m, "host")),
		Guests:         d.guests(m),
		Cloudflared:    Tunnel{Status: d.text(d.object(m, "cloudflared"), "status")},
		StorageTargets: objects[StorageTarget](d, m, "storage_targets"),
		Backups:        objects[Backup](d, m, "backups"),
		RestoreTests:   objects[RestoreTest](d, m, "restore_tests"),
		PBSSnapshots:   objects[PBSGroup](d, m, "pbs_snapshots"),
		AuditTail:      objects[AuditEntry](d, m, "audit_tail"),
		BackupJobs:     later[Items[BackupJob]](m, "backup_jobs"),
		PBSDatastores:  later[Items[PBSDatastore]](m, "pbs_datastores"),
		Disks:          later[Items[Disk]](m, "disks"),
		ZFSPools:       later[Items[ZFSPool]](m, "zfs_pools"),
		Cluster:        later[*Cluster](m, "cluster"),
		LastEnd:        lastEnd(m),
		Sections:       d.sections(d.object(m, "sections")),
	}
	if _, err := ParseHostID(string(r.HostID)); err != nil {
		d.fail("host_id", "missing or malformed")
	}
	if len(r.Stream) > MaxStreamLen {
		d.fail("stream", fmt.Sprintf("longer than %d bytes", MaxStreamLen))
	}
	return r
}

func (d *decoder) node(m members) Node {
	return Node{
		Node:             d.text(m, "node"),
		PVEVersion:       d.text(m, "pve_version"),
		Kernel:           d.text(m, "kernel"),
		UptimeSeconds:    d.uint(m, "uptime_seconds"),
		CPUUsedRatio:     d.float(m, "cpu_used_ratio"),
		CPUCount:         d.uint(m, "cpu_count"),
		Load1m:           d.float(m, "load_1m"),
		Load5m:           d.float(m, "load_5m"),
		Load15m:          d.float(m, "load_15m"),
		MemoryTotalBytes: d.uint(m, "memory_total_bytes"),
		MemoryUsedBytes:  d.uint(m, "memory_used_bytes"),
		SwapTotalBytes:   d.uint(m, "swap_total_bytes"),
		SwapUsedBytes:    d.uint(m, "swap_used_bytes"),
		RootTotalBytes:   d.uint(m, "root_total_bytes"),
		RootUsedBytes:    d.uint(m, "root_used_bytes"),
	}
}

func (d *decoder) guests(m members) []Guest {
	list := d.list(m, "guests")
	if len(list) > MaxGuests {
		d.fail("guests", fmt.Sprintf("more than %d", MaxGuests))
		return nil
	}
	var guests []Guest
	first := map[VMID]int{}
	for i, raw := range list {
		m := d.members(fmt.Sprintf("guests[%d]", i), raw)
		g := d.guest(m)
		if j, ok := first[g.VMID]; ok {
			d.fail(m.at("vmid"), fmt.Sprintf("%d is also guests[%d]", g.VMID, j))
		}
		first[g.VMID] = i
		guests = append(guests, g)
	}
	return guests
}

func (d *decoder) guest(m members) Guest {
	vmid := d.uint(m, "vmid")
	if vmid < MinVMID || vmid > MaxVMID {
		d.fail(m.at("vmid"), fmt.Sprintf("want %d to %d", MinVMID, MaxVMID))
	}
	return Guest{
		VMID:              VMID(vmid),
		Kind:              d.text(m, "kind"),
		Name:              d.text(m, "name"),
		Status:            d.text(m, "status"),
		ControllerVersion: d.text(m, "controller_version"),
		Spec:              d.spec(m),
		UptimeSeconds:     d.uint(m, "uptime_seconds"),
		CPUUsedRatio:      d.float(m, "cpu_used_ratio"),
		MemoryUsedBytes:   d.uint(m, "memory_used_bytes"),
		DiskUsedBytes:     d.uint(m, "disk_used_bytes"),
		OnBoot:            later[bool](m, "onboot"),
		Tags:              later[Items[string]](m, "tags"),
		Lock:              later[string](m, "lock"),
	}
}

func (d *decoder) spec(guest members) *GuestSpec {
	if _, ok := guest.values["spec"]; !ok {
		return nil
	}
	m := d.object(guest, "spec")
	return &GuestSpec{
		Cores:       d.float(m, "cores"),
		MemoryBytes: d.uint(m, "memory_bytes"),
		DiskBytes:   d.uint(m, "disk_bytes"),
	}
}

// objects is a collection of which the contract asks only that its elements are
// objects.
func objects[T any](d *decoder, m members, name string) Items[T] {
	for i, raw := range d.list(m, name) {
		if raw[0] != '{' {
			d.fail(fmt.Sprintf("%s[%d]", name, i), "want an object")
		}
	}
	return field[Items[T]](d, m, name, "an array")
}

// later is a collection that came after the first version: the hub reads what it
// understands of it and refuses nothing.
func later[T any](m members, name string) (v T) {
	if raw, ok := m.values[name]; ok && json.Unmarshal(raw, &v) != nil {
		var none T
		return none
	}
	return v
}

func (d *decoder) sections(m members) map[string]Section {
	var sections map[string]Section
	if len(m.values) > 0 {
		sections = make(map[string]Section, len(m.values))
	}
	for name, raw := range m.values {
		m := d.members(m.at(echo(name)), raw)
		s := Section{Status: SectionStatus(d.text(m, "status")), Detail: d.text(m, "detail"), ReadAt: later[*time.Time](m, "read_at")}
		if _, ok := m.values["status"]; ok && !s.Status.valid() {
			d.fail(m.at("status"), "want ok, denied, failed or not_configured")
		}
		sections[name] = s
	}
	return sections
}

func (s SectionStatus) valid() bool {
	switch s {
	case SectionOK, SectionDenied, SectionFailed, SectionNotConfigured:
		return true
	}
	return false
}
