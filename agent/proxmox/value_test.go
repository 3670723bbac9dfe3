package proxmox

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"felhom.eu/agent/proxmox/pvetest"
	"felhom.eu/messages"
)

// TestNumbersInEveryForm: what is exact stays exact, what is absent is 0, what
// is no number is an error and not a 0.
func TestNumbersInEveryForm(t *testing.T) {
	for in, want := range map[string]uint64{
		`7`: 7, `"7"`: 7, `" 7"`: 7, `0`: 0, `null`: 0, `""`: 0, `"N/A"`: 0,
		`9007199254740993`: 9007199254740993, `18446744073692774400`: 18446744073692774400,
		`1.12589990684262e+15`: 1125899906842620, `"1e15"`: 1e15, `2.9`: 2, `18446744073709551615`: math.MaxUint64,
	} {
		var u U64
		if err := json.Unmarshal([]byte(in), &u); err != nil || uint64(u) != want {
			t.Errorf("%s: got %d, %v, want %d", in, u, err, want)
		}
	}
	for _, in := range []string{`"x"`, `-1`, `1e30`, `true`, `{}`, `[]`, `"Inf"`, `18446744073709551616`, `1e999999999`} {
		var u U64
		if err := json.Unmarshal([]byte(in), &u); err == nil {
			t.Errorf("%s: got %d, want an error", in, u)
		}
	}
	for in, want := range map[string]float64{`0.5`: 0.5, `"0.5"`: 0.5, `3`: 3, `null`: 0, `""`: 0, `"N/A"`: 0} {
		var f F64
		if err := json.Unmarshal([]byte(in), &f); err != nil || float64(f) != want {
			t.Errorf("%s: got %v, %v, want %v", in, f, err, want)
		}
	}
	for _, in := range []string{`"NaN"`, `"inf"`, `1e999`, `"x"`, `[]`} {
		var f F64
		if err := json.Unmarshal([]byte(in), &f); err == nil {
			t.Errorf("%s: got %v, want an error", in, f)
		}
	}
	for in, want := range map[string]bool{`1`: true, `"1"`: true, `true`: true, `"yes"`: true, `"on"`: true, `0`: false, `"0"`: false, `""`: false, `null`: false} {
		var b Bool
		if err := json.Unmarshal([]byte(in), &b); err != nil || bool(b) != want {
			t.Errorf("%s: got %v, %v, want %v", in, b, err, want)
		}
	}
}

// TestRecordedAnswersDecodeWithoutLoss: every field that is kept has, in every
// recorded answer of every version, exactly the value of the JSON.
func TestRecordedAnswersDecodeWithoutLoss(t *testing.T) {
	lists := map[string]bool{"lxc_list": true, "qemu_list": true, "cluster_resources": true}
	rows := 0
	for _, c := range pvetest.Cases() {
		if c.Response.Status != 200 || c.Data() == nil {
			continue
		}
		switch {
		case lists[c.File]:
			var raw []map[string]json.RawMessage
			var got []resource
			decodeBoth(t, c, &raw, &got)
			for i := range raw {
				rows++
				sameFields(t, c.Name, raw[i], got[i])
			}
		case c.File == "node_status":
			var s nodeStatus
			var raw struct{ Memory, Swap, RootFS map[string]json.RawMessage }
			decodeBoth(t, c, &raw, &s)
			sameNumber(t, c.Name, raw.Memory["total"], s.Memory.Total)
			sameNumber(t, c.Name, raw.Swap["used"], s.Swap.Used)
			sameNumber(t, c.Name, raw.RootFS["used"], s.RootFS.Used)
			if s.version() == "" || s.kernel() == "" || len(s.LoadAvg) != 3 || s.LoadAvg[0] != 1.18 || s.CPUInfo.CPUs != 32 {
				t.Errorf("%s: got %+v", c.Name, s)
			}
		case c.File == "lxc_config" || c.File == "qemu_config":
			var conf guestConfig
			decodeBoth(t, c, &conf, &conf)
			if _, err := conf.spec(strings.TrimSuffix(c.File, "_config"), 32); err != nil {
				t.Errorf("%s: %v", c.Name, err)
			}
		case c.File == "storage_list":
			var raw []map[string]json.RawMessage
			var got []struct{ Total, Avail U64 }
			decodeBoth(t, c, &raw, &got)
			for i := range raw {
				sameNumber(t, c.Name, raw[i]["avail"], got[i].Avail)
			}
		}
	}
	if rows < 25 {
		t.Errorf("only %d rows looked at", rows)
	}
}

func decodeBoth(t *testing.T, c pvetest.Case, into ...any) {
	t.Helper()
	for _, v := range into {
		if err := json.Unmarshal(c.Data(), v); err != nil {
			t.Fatalf("%s/%s: %v", c.File, c.Name, err)
		}
	}
}

func sameFields(t *testing.T, name string, raw map[string]json.RawMessage, got resource) {
	t.Helper()
	for key, have := range map[string]U64{"vmid": got.VMID, "mem": got.Memory, "maxmem": got.MaxMem,
		"disk": got.Disk, "maxdisk": got.MaxDisk, "uptime": got.Uptime} {
		sameNumber(t, name+" "+key, raw[key], have)
	}
	for key, have := range map[string]string{"name": got.Name, "status": got.Status, "lock": got.Lock, "type": got.Type} {
		var want string
		if raw[key] != nil {
			if err := json.Unmarshal(raw[key], &want); err != nil {
				t.Fatal(err)
			}
		}
		if have != want {
			t.Errorf("%s %s: got %q, want %q", name, key, have, want)
		}
	}
	if (raw["cpu"] != nil) != (got.CPU != nil) {
		t.Errorf("%s: cpu known %v", name, got.CPU != nil)
	}
}

// sameNumber compares with the JSON's own digits; scientific notation is left
// to TestNumbersInEveryForm.
func sameNumber(t *testing.T, name string, raw json.RawMessage, got U64) {
	t.Helper()
	want := strings.Trim(string(raw), `"`)
	if want == "" {
		want = "0"
	}
	if have, _ := json.Marshal(got); !strings.ContainsAny(want, "e.") && string(have) != want {
		t.Errorf("%s: got %s, want %s", name, have, want)
	}
}

// TestSpecsOfOddConfigurations: units, lent storage, property strings; and a
// value that is none fails instead of counting 0.
func TestSpecsOfOddConfigurations(t *testing.T) {
	const mi, gi = uint64(1) << 20, uint64(1) << 30
	for _, c := range []struct {
		name, kind, conf string
		cores            float64
		memory, disk     uint64
	}{
		{"units", "lxc", `{"rootfs":"a:b,size=512M","mp0":"a:c,mp=/x,size=1T","mp1":"a:d,size=4194304K","mp2":"a:e,size=1.5G","mp3":"a:f,size=1048576"}`,
			32, 512 * mi, 512*mi + 1024*gi + 4*gi + 3*gi/2 + mi},
		{"named volume", "lxc", `{"rootfs":"volume=a:b,size=1G","mp0":"mp=/x,size=2G,volume=a:c"}`, 32, 512 * mi, 3 * gi},
		{"bind mounts are lent", "lxc", `{"rootfs":"a:b,size=1G","mp0":"/tank/a=b,mp=/x,size=9G","mp1":"/dev/sdb1,mp=/y"}`, 32, 512 * mi, gi},
		{"unused volumes", "lxc", `{"rootfs":"a:b,size=1G","unused0":"a:c,size=2G","mp":"a:d,size=4G"}`, 32, 512 * mi, gi},
		{"cpulimit of a string", "lxc", `{"cpulimit":"1.5","memory":"1024"}`, 2, 1024 * mi, 0},
		{"cores win over the limit", "lxc", `{"cores":4,"cpulimit":2}`, 4, 512 * mi, 0},
		{"nothing", "qemu", `{}`, 1, 512 * mi, 0},
		{"current memory", "qemu", `{"memory":"current=2048","cores":"2","sockets":2}`, 4, 2048 * mi, 0},
		{"int memory", "qemu", `{"memory":4096,"virtio0":"a:b,size=1G","sata1":"a:c,size=1G","ide0":"a:d,size=1G","scsihw":"virtio"}`, 1, 4096 * mi, 3 * gi},
		{"cdroms are lent", "qemu", `{"ide2":"local:iso/x.iso,media=cdrom,size=3G","ide3":"none,media=cdrom","scsi0":"a:b,size=1G"}`, 1, 512 * mi, gi},
		{"efi and tpm are no disks", "qemu", `{"efidisk0":"a:b,size=4M","tpmstate0":"a:c,size=4M"}`, 1, 512 * mi, 0},
	} {
		spec, err := specOf(t, c.kind, c.conf)
		if err != nil || spec.Cores != c.cores || spec.MemoryBytes != c.memory || spec.DiskBytes != c.disk {
			t.Errorf("%s: got %+v, %v, want %v cores, %d, %d", c.name, spec, err, c.cores, c.memory, c.disk)
		}
	}
	for _, conf := range []string{`{"cores":"many","sockets":"x"}`, `{"memory":"much"}`, `{"rootfs":"a:b,size=big","scsi0":"a:b,size=1GG"}`, `{"mp0":"a:b,size=-1G","scsi0":"a:b,size=99999999999T"}`} {
		for _, kind := range []string{"lxc", "qemu"} {
			if spec, err := specOf(t, kind, conf); err == nil {
				t.Errorf("%s %s: got %+v, want an error", kind, conf, spec)
			}
		}
	}
}

func specOf(t *testing.T, kind, text string) (messages.GuestSpec, error) {
	t.Helper()
	var conf guestConfig
	if err := json.Unmarshal([]byte(text), &conf); err != nil {
		t.Fatal(err)
	}
	return conf.spec(kind, 32)
}
