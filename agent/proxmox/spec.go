package proxmox

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"

	"felhom.eu/agent/api2"
	"felhom.eu/messages"
)

// refreshCycles is how many reports a spec that looks unchanged is believed.
const refreshCycles = 10

// defaultMemory of a guest whose configuration names none, in MiB (pct(1), qm(1)).
const defaultMemory = 512

// guestConfig is /nodes/{node}/{kind}/{vmid}/config: numbers and property
// strings, and for raw LXC options a list of pairs.
type guestConfig map[string]json.RawMessage

// knownSpec is a spec that was read, and what the lists showed of the guest at
// that time: when they show something else it is read again.
type knownSpec struct {
	messages.GuestSpec
	template bool
	onBoot   bool
	shape    shape
}

type shape struct {
	kind, name      string
	cpus            F64
	maxMem, maxDisk U64
}

func (g *sighting) shape() shape {
	return shape{g.kind, g.Name, g.CPUs, g.MaxMem, g.MaxDisk}
}

// specs reads what the guests were given, from memory where nothing changed: a
// tenth of the guests is read anew each cycle. The result is the new memory; a
// guest that is not in it could not be read, and err is the last reason. A node
// that stops answering is not asked for the rest.
func (s *Source) specs(ctx context.Context, node string, threads uint64, v *survey) (known map[messages.VMID]knownSpec, err error) {
	known = make(map[messages.VMID]knownSpec, len(v.guests))
	gone := false
	for _, id := range v.vmids() {
		g := v.guests[id]
		old, ok := s.known[id]
		fresh := ok && old.shape == g.shape()
		due := (s.cycle+uint64(id))%refreshCycles == 0
		switch {
		case bool(g.Template):
		case fresh && (gone || !due):
			known[id] = old
		case !gone:
			k, failed := s.readSpec(ctx, node, threads, id, g)
			if failed != nil {
				err, gone = failed, silent(api2.KindOf(failed))
				continue
			}
			known[id] = k
		}
	}
	return known, err
}

// silent reports whether asking the next question is in vain.
func silent(k api2.Kind) bool {
	return k == api2.KindUnreachable || k == api2.KindTimeout || k == api2.KindAuth
}

func (s *Source) readSpec(ctx context.Context, node string, threads uint64, id messages.VMID, g *sighting) (knownSpec, error) {
	q := question{path: path("nodes", node, g.kind, strconv.FormatUint(uint64(id), 10), "config")}
	conf, err := read[guestConfig](ctx, s.client, q)
	if err != nil {
		return knownSpec{}, err
	}
	spec, err := conf.spec(g.kind, threads)
	if err != nil {
		return knownSpec{}, s.client.Unreadable(q.path, err)
	}
	var template, onBoot Bool
	_ = conf.get("template", &template) // Bool reads anything
	_ = conf.get("onboot", &onBoot)
	return knownSpec{spec, bool(template), bool(onBoot), g.shape()}, nil
}

// spec is what the guest was given; threads are the host's.
func (conf guestConfig) spec(kind string, threads uint64) (messages.GuestSpec, error) {
	if kind == kindLXC {
		return conf.container(threads)
	}
	return conf.machine()
}

// container is an LXC guest's spec. Without cores, whole cores are made of the
// cpulimit; without either it may use every thread of the host. Bind mounts
// have no size of their own.
func (conf guestConfig) container(threads uint64) (spec messages.GuestSpec, err error) {
	var cores, memory U64
	var limit F64
	if err = conf.all(field{"cores", &cores}, field{"cpulimit", &limit}, field{"memory", &memory}); err != nil {
		return spec, err
	}
	switch {
	case cores > 0:
		spec.Cores = float64(cores)
	case limit > 0:
		spec.Cores = math.Ceil(float64(limit))
	default:
		spec.Cores = float64(threads)
	}
	spec.MemoryBytes = mebibytes(memory)
	spec.DiskBytes, err = conf.disks(containerDisk)
	return spec, err
}

// machine is a VM's spec. memory is a property string since qemu-server 8.0.8.
func (conf guestConfig) machine() (spec messages.GuestSpec, err error) {
	cores, sockets := U64(1), U64(1)
	if err = conf.all(field{"cores", &cores}, field{"sockets", &sockets}); err != nil {
		return spec, err
	}
	spec.Cores = float64(max(cores, 1) * max(sockets, 1))
	var memory U64
	if text := conf.properties("memory"); text["current"] != "" {
		err = memory.UnmarshalJSON([]byte(text["current"]))
	} else {
		err = memory.UnmarshalJSON([]byte(text[""]))
	}
	if err != nil {
		return spec, fmt.Errorf("memory: %w", err)
	}
	spec.MemoryBytes = mebibytes(memory)
	spec.DiskBytes, err = conf.disks(machineDisk)
	return spec, err
}

func mebibytes(n U64) uint64 {
	if n == 0 {
		n = defaultMemory
	}
	return uint64(n) << 20
}

var (
	containerDisk = regexp.MustCompile(`^(rootfs|mp\d+)$`)
	machineDisk   = regexp.MustCompile(`^(scsi|virtio|sata|ide)\d+$`)
)

// disks sums the sizes of the guest's own volumes. A volume without a size
// counts nothing; nor does what is only lent: bind mounts, CD-ROMs.
func (conf guestConfig) disks(names *regexp.Regexp) (sum uint64, err error) {
	for name := range conf {
		if !names.MatchString(name) {
			continue
		}
		p := conf.properties(name)
		if p["media"] == "cdrom" || p["size"] == "" || names == containerDisk && strings.HasPrefix(p[""], "/") {
			continue
		}
		n, err := parseSize(p["size"])
		if err != nil {
			return 0, fmt.Errorf("%s: %w", name, err)
		}
		sum += n
	}
	return sum, nil
}

// properties splits a property string; the part without a name is under "".
// An option that is not there has no properties.
func (conf guestConfig) properties(name string) map[string]string {
	text, _ := scalar(conf[name])
	p := map[string]string{}
	for part := range strings.SplitSeq(text, ",") {
		key, value, named := strings.Cut(part, "=")
		if !named || strings.HasPrefix(part, "/") {
			key, value = "", part
		}
		if key == "file" || key == "volume" {
			key = ""
		}
		p[key] = value
	}
	return p
}

// parseSize reads 16G, 512M, 1.5T or plain bytes; units are of 1024.
func parseSize(s string) (uint64, error) {
	digits := strings.TrimRight(s, "KMGT")
	shift := 0
	if unit := s[len(digits):]; len(unit) == 1 {
		shift = 10 * (1 + strings.Index("KMGT", unit))
	} else if unit != "" {
		return 0, fmt.Errorf("%.40q is not a size", s)
	}
	n, err := strconv.ParseFloat(digits, 64)
	size := n * float64(uint64(1)<<shift)
	if err != nil || !(size >= 0 && size < math.MaxInt64) {
		return 0, fmt.Errorf("%.40q is not a size", s)
	}
	return uint64(size), nil
}

// field is an option and where its value goes.
type field struct {
	name string
	into json.Unmarshaler
}

func (conf guestConfig) all(fields ...field) error {
	for _, f := range fields {
		if err := conf.get(f.name, f.into); err != nil {
			return err
		}
	}
	return nil
}

func (conf guestConfig) get(name string, into json.Unmarshaler) error {
	raw, ok := conf[name]
	if !ok {
		return nil
	}
	if err := into.UnmarshalJSON(raw); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}
