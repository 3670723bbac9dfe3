package messages

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"
)

// report is a minimal report with more fields in it.
func report(fields string) string { return `{"host_id":"acme-7f3a90c1",` + fields + `}` }

// guests is a report with n guests.
func guests(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,{"vmid":%d}`, 100+i)
	}
	return report(`"guests":[` + b.String()[1:] + `]`)
}

func nested(depth int) string { return strings.Repeat("[", depth) + strings.Repeat("]", depth) }

// invalidReports are refused with the field named; json marks those that are
// refused before there are fields, which only Scan can name.
var invalidReports = []struct {
	name, body, field, problem string
	json                       bool
}{
	{name: "empty", body: ``, problem: "byte 0: the document ends too early", json: true},
	{name: "cut short", body: `{"host_id":"a-00000000"`, problem: "byte 23: the document ends", json: true},
	{name: "not an object", body: `[]`, problem: "want an object"},
	{name: "trailing data", body: `{"host_id":"a-00000000"} {}`, problem: `byte 25: unexpected '{'`, json: true},
	{name: "trailing NUL", body: "{\"host_id\":\"a-00000000\"}\x00", problem: `byte 24: unexpected '\x00'`, json: true},
	{name: "trailing comma", body: report(`"x":1,`), problem: `byte 33: unexpected '}'`, json: true},
	{name: "byte order mark", body: "\uFEFF{}", problem: "byte 0: unexpected", json: true},
	{name: "number as host", body: report(`"host":01`), field: "host", problem: "want an object", json: true},
	{name: "malformed number", body: report(`"sequence":01`), problem: "byte 38: malformed number", json: true},
	{name: "bad escape", body: report(`"x":"\q"`), problem: "byte 32: malformed escape", json: true},
	{name: "raw newline", body: report("\"x\":\"\n\""), problem: "byte 32: raw control character", json: true},

	{name: "no host_id", body: `{}`, field: "host_id", problem: "missing"},
	{name: "host_id in another case", body: `{"HOST_ID":"acme-7f3a90c1"}`, field: "host_id", problem: "missing"},
	{name: "host_id null", body: `{"host_id":null}`, field: "host_id", problem: "want a string"},
	{name: "host_id empty", body: `{"host_id":""}`, field: "host_id", problem: "malformed"},
	{name: "host_id in upper case", body: `{"host_id":"Acme-7f3a90c1"}`, field: "host_id", problem: "malformed"},
	{name: "host_id without hex", body: `{"host_id":"acme-7f3a90cg"}`, field: "host_id", problem: "malformed"},
	{name: "host_id of 33+9", body: `{"host_id":"` + strings.Repeat("a", 33) + `-7f3a90c1"}`, field: "host_id", problem: "malformed"},
	{name: "host_id twice", body: `{"host_id":"acme-7f3a90c1","host_id":"acme-7f3a90c1"}`, field: "host_id", problem: "given twice", json: true},
	{name: "host_id twice, escaped", body: `{"host_id":"acme-7f3a90c1","\u0068ost_id":"acme-7f3a90c1"}`, field: "host_id", problem: "given twice", json: true},

	{name: "reported_at a number", body: report(`"reported_at":1749392409`), field: "reported_at", problem: "want a string"},
	{name: "reported_at without zone", body: report(`"reported_at":"2026-06-08T14:20:09"`), field: "reported_at", problem: "want an RFC 3339 time"},
	{name: "reported_at with comma", body: report(`"reported_at":"2026-06-08T14:20:09,5Z"`), field: "reported_at", problem: "want an RFC 3339 time"},
	{name: "reported_at at one o'clock", body: report(`"reported_at":"2026-06-08T1:20:09Z"`), field: "reported_at", problem: "want an RFC 3339 time"},
	{name: "reported_at far east", body: report(`"reported_at":"2026-06-08T14:20:09+24:00"`), field: "reported_at", problem: "want an RFC 3339 time"},
	{name: "reported_at 60 minutes off", body: report(`"reported_at":"2026-06-08T14:20:09-01:60"`), field: "reported_at", problem: "want an RFC 3339 time"},
	{name: "reported_at on 30 February", body: report(`"reported_at":"2026-02-30T14:20:09Z"`), field: "reported_at", problem: "want an RFC 3339 time"},
	{name: "agent_version null", body: report(`"agent_version":null`), field: "agent_version", problem: "want a string"},
	{name: "stream of 65", body: report(`"stream":"` + strings.Repeat("s", 65) + `"`), field: "stream", problem: "longer than 64 bytes"},
	{name: "sequence negative", body: report(`"sequence":-1`), field: "sequence", problem: "want a whole number"},
	{name: "sequence minus zero", body: report(`"sequence":-0`), field: "sequence", problem: "want a whole number"},
	{name: "sequence with fraction", body: report(`"sequence":1.0`), field: "sequence", problem: "want a whole number"},
	{name: "sequence with exponent", body: report(`"sequence":1e3`), field: "sequence", problem: "want a whole number"},
	{name: "sequence too large", body: report(`"sequence":18446744073709551616`), field: "sequence", problem: "want a whole number"},
	{name: "sequence much too large", body: report(`"sequence":1` + strings.Repeat("0", 2000)), field: "sequence", problem: "want a whole number"},
	{name: "sequence a string", body: report(`"sequence":"1"`), field: "sequence", problem: "want a whole number"},
	{name: "boot_id an object", body: report(`"boot_id":{}`), field: "boot_id", problem: "want a string"},

	{name: "host null", body: report(`"host":null`), field: "host", problem: "want an object"},
	{name: "host an array", body: report(`"host":[]`), field: "host", problem: "want an object"},
	{name: "kernel a number", body: report(`"host":{"kernel":6}`), field: "host.kernel", problem: "want a string"},
	{name: "load infinite", body: report(`"host":{"load_1m":1e309}`), field: "host.load_1m", problem: "want a number below"},
	{name: "load infinite, long", body: report(`"host":{"load_1m":-1` + strings.Repeat("0", 400) + `}`), field: "host.load_1m", problem: "want a number below"},
	{name: "ratio a string", body: report(`"host":{"cpu_used_ratio":"0.5"}`), field: "host.cpu_used_ratio", problem: "want a number"},
	{name: "bytes null", body: report(`"host":{"memory_total_bytes":null}`), field: "host.memory_total_bytes", problem: "want a whole number"},
	{name: "count with fraction", body: report(`"host":{"cpu_count":1.5}`), field: "host.cpu_count", problem: "want a whole number"},
	{name: "node twice", body: report(`"host":{"node":"a","node":"a"}`), field: "host.node", problem: "given twice", json: true},

	{name: "guests null", body: report(`"guests":null`), field: "guests", problem: "want an array"},
	{name: "guests an object", body: report(`"guests":{}`), field: "guests", problem: "want an array"},
	{name: "guest null", body: report(`"guests":[{"vmid":100},null]`), field: "guests[1]", problem: "want an object"},
	{name: "vmid missing", body: report(`"guests":[{"vmid":100},{"name":"x"}]`), field: "guests[1].vmid", problem: "missing"},
	{name: "vmid 99", body: report(`"guests":[{"vmid":100},{"vmid":101},{"vmid":102},{"vmid":99}]`), field: "guests[3].vmid", problem: "below 100"},
	{name: "vmid 10^9", body: report(`"guests":[{"vmid":1000000000}]`), field: "guests[0].vmid", problem: "above 999999999"},
	{name: "vmid 2^32+100", body: report(`"guests":[{"vmid":4294967396}]`), field: "guests[0].vmid", problem: "above 999999999"},
	{name: "vmid a string", body: report(`"guests":[{"vmid":"100"}]`), field: "guests[0].vmid", problem: "want a whole number"},
	{name: "vmid of two guests", body: report(`"guests":[{"vmid":102},{"vmid":100},{"vmid":102}]`), field: "guests[2].vmid", problem: "102 is also guests[0]"},
	{name: "vmid of the last of many", body: strings.Replace(guests(MaxGuests), "4195}", "100}", 1), field: "guests[4095].vmid", problem: "100 is also guests[0]"},
	{name: "4097 guests", body: guests(MaxGuests + 1), field: "guests", problem: "more than 4096"},
	{name: "status a number", body: report(`"guests":[{"vmid":100,"status":1}]`), field: "guests[0].status", problem: "want a string"},
	{name: "name twice", body: report(`"guests":[{"vmid":100,"name":"a","name":"b"}]`), field: "guests[0].name", problem: "given twice", json: true},
	{name: "spec null", body: report(`"guests":[{"vmid":100,"spec":null}]`), field: "guests[0].spec", problem: "want an object"},
	{name: "cores a string", body: report(`"guests":[{"vmid":100,"spec":{"cores":"2"}}]`), field: "guests[0].spec.cores", problem: "want a number"},
	{name: "spec bytes negative", body: report(`"guests":[{"vmid":100,"spec":{"disk_bytes":-5}}]`), field: "guests[0].spec.disk_bytes", problem: "want a whole number"},
	{name: "name not UTF-8", body: report("\"guests\":[{\"vmid\":100,\"name\":\"a\xffb\"}]"), field: "guests[0].name", problem: "invalid UTF-8", json: true},
	{name: "name an encoded surrogate", body: report("\"guests\":[{\"vmid\":100,\"name\":\"\xed\xa0\x80\"}]"), field: "guests[0].name", problem: "invalid UTF-8", json: true},
	{name: "name a lone high surrogate", body: report(`"guests":[{"vmid":100,"name":"\ud83dx"}]`), field: "guests[0].name", problem: "half a surrogate pair", json: true},
	{name: "name a lone low surrogate", body: report(`"guests":[{"vmid":100,"name":"\ude00"}]`), field: "guests[0].name", problem: "half a surrogate pair", json: true},
	{name: "name two high surrogates", body: report(`"guests":[{"vmid":100,"name":"\ud83d\ud83d"}]`), field: "guests[0].name", problem: "half a surrogate pair", json: true},

	{name: "cloudflared a string", body: report(`"cloudflared":"active"`), field: "cloudflared", problem: "want an object"},
	{name: "cloudflared status null", body: report(`"cloudflared":{"status":null}`), field: "cloudflared.status", problem: "want a string"},
	{name: "storage_targets null", body: report(`"storage_targets":null`), field: "storage_targets", problem: "want an array"},
	{name: "storage target a string", body: report(`"storage_targets":[{},"local"]`), field: "storage_targets[1]", problem: "want an object"},
	{name: "backups an object", body: report(`"backups":{}`), field: "backups", problem: "want an array"},
	{name: "backup null", body: report(`"backups":[null]`), field: "backups[0]", problem: "want an object"},
	{name: "backup with a key twice", body: report(`"backups":[{},{"a":1,"a":1}]`), field: "backups[1]", problem: `key a given twice`, json: true},
	{name: "restore test an array", body: report(`"restore_tests":[[]]`), field: "restore_tests[0]", problem: "want an object"},
	{name: "pbs snapshot a number", body: report(`"pbs_snapshots":[1]`), field: "pbs_snapshots[0]", problem: "want an object"},
	{name: "audit_tail a bool", body: report(`"audit_tail":true`), field: "audit_tail", problem: "want an array"},

	{name: "sections an array", body: report(`"sections":[]`), field: "sections", problem: "want an object"},
	{name: "section a string", body: report(`"sections":{"backups":"ok"}`), field: "sections.backups", problem: "want an object"},
	{name: "section status unknown", body: report(`"sections":{"backups":{"status":"OK"}}`), field: "sections.backups.status", problem: "want ok, denied, failed or not_configured"},
	{name: "section status empty", body: report(`"sections":{"backups":{"status":""}}`), field: "sections.backups.status", problem: "want ok"},
	{name: "section detail null", body: report(`"sections":{"backups":{"detail":null}}`), field: "sections.backups.detail", problem: "want a string"},
	{name: "section twice", body: report(`"sections":{"backups":{},"back\u0075ps":{}}`), field: `sections."back\\u0075ps"`, problem: "given twice", json: true},

	{name: "unknown key twice", body: report(`"x":1,"y":2,"x":1`), field: "x", problem: "given twice", json: true},
	{name: "unknown key twice, escaped", body: report(`"x":{"é":1,"\u00e9":2}`), field: "x", problem: `key "\u00e9" given twice`, json: true},
	{name: "empty key twice", body: report(`"x":[{"":1,"":2}]`), field: "x", problem: `key "" given twice`, json: true},
	{name: "unknown key not UTF-8", body: report("\"\xff\":1"), problem: "invalid UTF-8", json: true},
	{name: "unknown in host twice", body: report(`"host":{"gpu":1,"node":"","gpu":1}`), field: "host.gpu", problem: "given twice", json: true},
	{name: "unknown text a lone surrogate", body: report(`"x":{"y":"\uDFFF"}`), field: "x", problem: "half a surrogate pair", json: true},
	{name: "depth 33", body: report(`"x":` + nested(MaxDepth)), field: "x", problem: "nested deeper than 32", json: true},
	{name: "depth 33 of a backup", body: report(`"backups":[{"x":` + nested(MaxDepth-2) + `}]`), field: "backups[0]", problem: "nested deeper than 32", json: true},
	{name: "many keys, one twice", body: report(`"x":{` + manyKeys(1000) + `,"k0007":0}`), field: "x", problem: "key k0007 given twice", json: true},
	{name: "a long name", body: report(`"x` + strings.Repeat("é", 5000) + `":{"` + strings.Repeat("k", 5000) + `":1,"` + strings.Repeat("k", 5000) + `":1}`),
		field: `"x` + strings.Repeat(`\u00e9`, 9) + `"`, problem: "key kkkkkkkkkkkkkkkkkkkk given twice", json: true},
}

func manyKeys(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,"k%04d":%d`, i, i)
	}
	return b.String()[1:]
}

// Every rule of the contract is enforced, by both readers, and the operator is
// told which field to look at.
func TestInvalidReportsAreRefusedByField(t *testing.T) {
	for _, c := range invalidReports {
		var invalid *InvalidError
		if err := Scan([]byte(c.body), new(Summary)); !errors.As(err, &invalid) {
			t.Errorf("%s: got %v, want an *InvalidError", c.name, err)
			continue
		}
		if invalid.Field != c.field || !strings.Contains(invalid.Problem, c.problem) {
			t.Errorf("%s: got %q %q, want %q %q", c.name, invalid.Field, invalid.Problem, c.field, c.problem)
		}
		checkError(t, invalid)
		if _, err := Decode([]byte(c.body)); !errors.As(err, &invalid) {
			t.Errorf("%s: Decode: got %v, want an *InvalidError", c.name, err)
		} else if invalid.Field != c.field && !c.json {
			t.Errorf("%s: Decode: got %v, want field %q", c.name, err, c.field)
		}
	}
}

// What lies just inside a limit is accepted.
func TestReportsAtTheLimitsAreAccepted(t *testing.T) {
	for name, body := range map[string]string{
		"depth 32":              report(`"x":` + nested(MaxDepth-1)),
		"depth 32 in a backup":  report(`"backups":[{"x":` + nested(MaxDepth-3) + `}]`),
		"4096 guests":           guests(MaxGuests),
		"vmids":                 report(`"guests":[{"vmid":999999999},{"vmid":100}]`),
		"stream of 64":          report(`"stream":"` + strings.Repeat(`\u0073`, 64) + `"`),
		"host_id of 32+9":       `{"host_id":"` + strings.Repeat("a", 32) + `-7f3a90c1"}`,
		"largest sequence":      report(`"sequence":18446744073709551615`),
		"largest load":          report(`"host":{"load_1m":1.7976931348623157e308,"load_5m":-1.5E+3,"load_15m":1e-999}`),
		"many keys":             report(`"x":{` + manyKeys(1000) + `}`),
		"sibling keys":          report(`"x":[{"a":1},{"a":{"a":1}}],"y":{"a":1}`),
		"long fraction of time": report(`"reported_at":"2026-06-08T14:20:09.` + strings.Repeat("1", 200) + `Z"`),
		"escaped solidus":       report(`"reported_at":"2026-06-08\u005414:20:09Z","x":"\/"`),
		"empty objects":         report(`"host":{},"guests":[],"cloudflared":{},"sections":{}`),
	} {
		if err := Scan([]byte(body), new(Summary)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		agree(t, []byte(body))
	}
}

// Only a change of reality changes the guests' hash: else every report would
// rewrite every guest, or a rename would go unseen.
func TestGuestHashFollowsRealityOnly(t *testing.T) {
	sum := func(guests string) uint64 {
		t.Helper()
		var s Summary
		if err := Scan([]byte(report(`"guests":[`+guests+`]`)), &s); err != nil {
			t.Fatal(err)
		}
		return s.GuestHash
	}
	base := sum(`{"vmid":100,"name":"a","status":"running","spec":{"cores":1}}`)
	for _, same := range []string{
		`{"vmid":100,"name":"a","status":"running","spec":{"cores":1},"uptime_seconds":9,"cpu_used_ratio":0.5,"memory_used_bytes":1,"disk_used_bytes":2}`,
		`{"spec":{"cores":1.0,"disk_bytes":0},"status":"running","name":"\u0061","controller_version":"","vmid":100,"tags":[]}`,
	} {
		if sum(same) != base {
			t.Errorf("%s: the hash changed", same)
		}
	}
	seen := map[uint64]string{base: "base"}
	for _, other := range []string{
		``,
		`{"vmid":101,"name":"a","status":"running","spec":{"cores":1}}`,
		`{"vmid":100,"name":"b","status":"running","spec":{"cores":1}}`,
		`{"vmid":100,"name":"running","status":"a","spec":{"cores":1}}`,
		`{"vmid":100,"name":"a","status":"stopped","spec":{"cores":1}}`,
		`{"vmid":100,"name":"a","status":"running","spec":{"cores":2}}`,
		`{"vmid":100,"name":"a","status":"running","spec":{"cores":1,"memory_bytes":1}}`,
		`{"vmid":100,"name":"a","status":"running","spec":{"cores":1,"disk_bytes":1}}`,
		`{"vmid":100,"name":"a","status":"running","spec":{}}`,
		`{"vmid":100,"name":"a","status":"running"}`,
		`{"vmid":100,"name":"a","status":"running","kind":"lxc","spec":{"cores":1}}`,
		`{"vmid":100,"name":"a","status":"running","controller_version":"1","spec":{"cores":1}}`,
		`{"vmid":100,"name":"a","status":"running","spec":{"cores":1}},{"vmid":101}`,
	} {
		h := sum(other)
		if before, ok := seen[h]; ok {
			t.Errorf("%s hashes as %s", other, before)
		}
		seen[h] = other
	}
}

// A summary is used for one report after another: nothing of the last one, nor of
// the body, may stay in it.
func TestSummaryIsReusable(t *testing.T) {
	var s Summary
	body := bytes.Clone(goldens(t)["testdata/v1/full.json"])
	if err := Scan(body, &s); err != nil {
		t.Fatal(err)
	}
	want := show(s)
	clear(body)
	if got := show(s); got != want {
		t.Errorf("the summary changed with the body:\n%s", got)
	}
	if err := Scan([]byte(`{"host_id":"a-00000000"}`), &s); err != nil {
		t.Fatal(err)
	}
	var fresh Summary
	if err := Scan([]byte(`{"host_id":"a-00000000"}`), &fresh); err != nil {
		t.Fatal(err)
	}
	if show(s) != show(fresh) {
		t.Errorf("reused:\n%sfresh:\n%s", show(s), show(fresh))
	}
}

// hostile are documents made to cost more than they weigh, each near 4 MiB.
func hostile() map[string][]byte {
	fill := func(head, piece, tail string) []byte {
		n := (MaxBodyBytes - len(head) - len(tail)) / len(piece)
		return []byte(head + strings.Repeat(piece, n-1) + strings.TrimSuffix(piece, ",") + tail)
	}
	head := `{"host_id":"acme-7f3a90c1",`
	return map[string][]byte{
		"empty objects":   fill(head+`"x":[`, `{},`, `]}`),
		"empty backups":   fill(head+`"backups":[`, `{},`, `]}`),
		"empty guests":    fill(head+`"guests":[`, `{},`, `]}`),
		"nested arrays":   fill(head+`"x":[`, nested(30)+`,`, `]}`),
		"endless array":   fill(head+`"x":`, `[`, ``),
		"one number":      fill(head+`"x":`, `1`, `}`),
		"one load":        fill(head+`"host":{"load_1m":0.`, `1`, `}}`),
		"one uint":        fill(head+`"sequence":`, `1`, `}`),
		"one string":      fill(head+`"agent_version":"`, `x`, `"}`),
		"one escape":      fill(head+`"agent_version":"`, `\u0061`, `"}`),
		"one key":         fill(head+`"`, `x`, `":1}`),
		"one time":        fill(head+`"reported_at":"2026-06-08T14:20:09.`, `1`, `Z"}`),
		"100,000 keys":    []byte(head + `"x":{` + manyKeys(100_000) + `}}`),
		"keys everywhere": fill(head+`"x":[`, `{`+manyKeys(30)+`},`, `]}`),
		"white space":     fill(head+`"x":`, ` `, `1}`),
	}
}

// A hostile report costs its author more than the hub: time in proportion to its
// size, and no memory worth the name once the scanner is warm.
func TestHostileReportsAreCheapToScan(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector costs more than the reports")
	}
	for name, body := range hostile() {
		_ = Scan(body, new(Summary)) // warms the pool
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		start := time.Now()
		err := Scan(body, new(Summary))
		took := time.Since(start)
		runtime.ReadMemStats(&after)
		grown := after.TotalAlloc - before.TotalAlloc
		t.Logf("%-16s %8v %6d KiB  %.80v", name, took.Round(time.Microsecond), grown>>10, err)
		if grown > 2*MaxBodyBytes {
			t.Errorf("%s: %d bytes allocated for %d", name, grown, len(body))
		}
	}
}

// The way of an honest report allocates nothing: the hub's throughput rests on it.
func TestScanDoesNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("pools forget at random under the race detector")
	}
	for file, body := range goldens(t) {
		var s Summary
		if n := testing.AllocsPerRun(200, func() {
			if err := Scan(body, &s); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations, want 0", file, n)
		}
	}
}
