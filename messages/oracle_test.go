package messages

import (
	"encoding/json"
	"errors"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// summarize is what Scan must find in a body, taken from its decoded form the
// obvious way. The body itself says only what is absent from host.
func summarize(r Report, body []byte) Summary {
	var top map[string]json.RawMessage
	var host map[string]json.RawMessage
	_ = json.Unmarshal(body, &top)
	_ = json.Unmarshal(top["host"], &host)
	figure := func(used, total float64, field string) float32 {
		f := float32(used / total)
		if host[field] == nil || total == 0 || math.IsInf(float64(f), 0) {
			return float32(math.NaN())
		}
		return f
	}
	s := Summary{
		HostID:       r.HostID,
		AgentVersion: first64(r.AgentVersion),
		StreamHash:   obviousHash(r.Stream),
		Sequence:     r.Sequence,
		BootHash:     obviousHash(r.BootID),
		UptimeSecs:   uint32(min(r.Host.UptimeSeconds, math.MaxUint32)),
		GuestHash:    obviousGuests(r.Guests),
		Figures: Figures{
			CPUUsedRatio:    figure(r.Host.CPUUsedRatio, 1, "cpu_used_ratio"),
			MemoryUsedRatio: figure(float64(r.Host.MemoryUsedBytes), float64(r.Host.MemoryTotalBytes), "memory_used_bytes"),
			DiskUsedRatio:   figure(float64(r.Host.RootUsedBytes), float64(r.Host.RootTotalBytes), "root_used_bytes"),
			GuestTotal:      uint16(len(r.Guests)),
			Cloudflared:     first64(r.Cloudflared.Status),
		},
	}
	if top["reported_at"] != nil {
		s.ReportedAt = obviousNanos(r.ReportedAt)
	}
	if status := r.Sections["guests"].Status; status != "" && status != SectionOK {
		s.Figures.GuestsUnknown = true
	}
	for _, g := range r.Guests {
		if g.Status == "running" {
			s.Figures.GuestRunning++
		}
	}
	return s
}

func first64(s string) string {
	for len(s) > 64 {
		_, n := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-n]
	}
	return s
}

func obviousNanos(t time.Time) int64 {
	switch y := t.Year(); {
	case y < 1970 || t.Unix() == 0 && t.Nanosecond() == 0:
		return 1
	case y > 2262 || y == 2262 && t.UnixNano() < 0:
		return math.MaxInt64
	}
	return t.UnixNano()
}

func obviousHash(s string) uint64 {
	if s == "" {
		return 0
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(s))
	return max(h.Sum64(), 1)
}

func obviousGuests(guests []Guest) uint64 {
	h := hash(14695981039346656037)
	for _, g := range guests {
		values := []uint64{uint64(g.VMID), obviousHash(g.Kind), obviousHash(g.Name), obviousHash(g.Status), obviousHash(g.ControllerVersion), 0}
		if g.Spec != nil {
			values[5] = 1
			values = append(values, math.Float64bits(g.Spec.Cores), g.Spec.MemoryBytes, g.Spec.DiskBytes)
		}
		for _, v := range values {
			h.add(v)
		}
	}
	return max(uint64(h), 1)
}

// obviousGoodbye is DecodeGoodbye by encoding/json.
func obviousGoodbye(body []byte) (Goodbye, error) {
	if err := checkJSON(body); err != nil {
		return Goodbye{}, err
	}
	var d decoder
	m := d.members("", body)
	g := Goodbye{
		HostID: HostID(d.text(m, "host_id")),
		SentAt: d.instant(m, "sent_at"),
		Reason: d.text(m, "reason"),
		Stream: d.text(m, "stream"),
	}
	if m.values["back_by"] != nil {
		t := d.instant(m, "back_by")
		g.BackBy = &t
	}
	if !validHostID(string(g.HostID)) || m.values["sent_at"] == nil || len(g.Reason) > 256 || len(g.Stream) > 64 {
		return Goodbye{}, errors.New("invalid")
	}
	return g, d.err
}

// agree fails unless Scan and Decode have one verdict and one summary for body.
func agree(t *testing.T, body []byte) {
	t.Helper()
	var got Summary
	scanErr := Scan(body, &got)
	r, decodeErr := Decode(body)
	if (scanErr == nil) != (decodeErr == nil) {
		t.Fatalf("Scan: %v\nDecode: %v\n%.300q", scanErr, decodeErr, body)
	}
	if scanErr != nil {
		checkError(t, scanErr)
		checkError(t, decodeErr)
		return
	}
	if want := summarize(r, body); show(want) != show(got) {
		t.Fatalf("Scan (-want +got):\n%s%.300q", cmp.Diff(show(want), show(got)), body)
	}
	guests, err := DecodeGuests(body)
	if err != nil || !cmp.Equal([]Guest(r.Guests), guests) {
		t.Fatalf("DecodeGuests: %v, %v; Decode: %v", guests, err, r.Guests)
	}
	facts, err := DecodeFacts(body)
	if diff := cmp.Diff(onlyFacts(r), facts, cmpopts.EquateEmpty()); err != nil || diff != "" {
		t.Fatalf("DecodeFacts: %v (-want +got):\n%s", err, diff)
	}
}

// onlyFacts is what DecodeFacts gives of a report.
func onlyFacts(r Report) Report {
	return Report{
		HostID: r.HostID,
		Host: Node{
			UptimeSeconds: r.Host.UptimeSeconds, RootTotalBytes: r.Host.RootTotalBytes, RootUsedBytes: r.Host.RootUsedBytes,
		},
		Guests: r.Guests, Cloudflared: Tunnel{Status: first64(r.Cloudflared.Status)}, StorageTargets: r.StorageTargets, Backups: r.Backups,
		RestoreTests: r.RestoreTests, PBSSnapshots: r.PBSSnapshots, AuditTail: r.AuditTail,
		PBSDatastores: r.PBSDatastores, Disks: r.Disks, ZFSPools: r.ZFSPools, Sections: r.Sections,
	}
}

// checkError holds an error to what an answer may say.
func checkError(t *testing.T, err error) {
	t.Helper()
	var invalid *InvalidError
	if !errors.As(err, &invalid) || invalid.Problem == "" {
		t.Fatalf("got %#v, want an *InvalidError", err)
	}
	if s := err.Error(); len(s) > 400 || !utf8.ValidString(s) || strings.ContainsAny(s, "\r\n\x00\x1b") {
		t.Fatalf("unfit to answer with: %q", s)
	}
}

// Two readers of one contract, written apart, never differ.
func FuzzScan(f *testing.F) {
	for _, body := range goldens(f) {
		f.Add(body)
	}
	for _, c := range invalidReports {
		if len(c.body) < 4096 {
			f.Add([]byte(c.body))
		}
	}
	f.Fuzz(func(t *testing.T, body []byte) { agree(t, body) })
}

// As FuzzScan, for goodbyes.
func FuzzGoodbye(f *testing.F) {
	for _, body := range goodbyes {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) { agreeOnGoodbye(t, body) })
}

func agreeOnGoodbye(t *testing.T, body []byte) {
	t.Helper()
	got, err := DecodeGoodbye(body)
	want, wantErr := obviousGoodbye(body)
	if (err == nil) != (wantErr == nil) {
		t.Fatalf("DecodeGoodbye: %v\nobvious: %v\n%.300q", err, wantErr, body)
	}
	if err != nil {
		checkError(t, err)
		return
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("DecodeGoodbye (-want +got):\n%s%.300q", diff, body)
	}
}

// Small damage to good reports finds what a fuzzer without coverage would: runs
// in every test, from fixed seeds.
func TestScanAgreesWithDecodeOnDamagedReports(t *testing.T) {
	rounds := 50_000
	if testing.Short() || raceEnabled {
		rounds = 6_000
	}
	docs := [][]byte{}
	for _, file := range []string{"example", "minimal", "old_agent", "unknown_fields", "hostile_names", "reordered"} {
		docs = append(docs, goldens(t)["testdata/v1/"+file+".json"])
	}
	random := rand.New(rand.NewPCG(1, 2))
	accepted := 0
	for range rounds {
		body := damage(random, docs)
		agree(t, body)
		if Scan(body, new(Summary)) == nil {
			accepted++
		}
	}
	if accepted < rounds/50 || accepted > rounds*9/10 {
		t.Errorf("%d of %d damaged reports were accepted: the damage is too large or too small", accepted, rounds)
	}
}

var splinters = []string{`"`, `\`, `{`, `}`, `[`, `]`, `,`, `:`, `0`, `-`, `1`, `.5`, `e9`, `null`, `true`, `{}`, `[]`, `""`, ` `,
	`\ud800`, `\ude00`, `\u0061`, "\xc3", "\xff", "\x00", "é", `18446744073709551616`, `"vmid":101,`, `"host_id":"a-00000000",`,
	`"x":1,`, `"status":"running",`, `"spec":null,`, `"guests":[],`, `"reported_at":"1969-12-31T23:59:59.5+23:59",`}

// damage changes a few places of one of docs.
func damage(random *rand.Rand, docs [][]byte) []byte {
	b := append([]byte(nil), docs[random.IntN(len(docs))]...)
	for range 1 + random.IntN(3) {
		i := random.IntN(len(b) + 1)
		j := min(len(b), i+random.IntN(4))
		splinter := splinters[random.IntN(len(splinters))]
		switch random.IntN(5) {
		case 0:
			b = append(b[:i:i], b[j:]...)
		case 1:
			b = append(b[:i:i], append([]byte(splinter), b[i:]...)...)
		case 2:
			b = append(b[:i:i], append([]byte(splinter), b[j:]...)...)
		case 3: // a piece of another place
			other := docs[random.IntN(len(docs))]
			k := random.IntN(len(other))
			b = append(b[:i:i], append(append([]byte(nil), other[k:min(len(other), k+random.IntN(40))]...), b[i:]...)...)
		case 4:
			if i < len(b) {
				b[i] ^= 1 << random.IntN(8)
			}
		}
	}
	return b
}

// What an agent marshals is what the hub reads, and an empty report has no null.
func TestReportSurvivesTheWire(t *testing.T) {
	var full Report
	if err := json.Unmarshal(goldens(t)["testdata/v1/full.json"], &full); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]Report{"empty": {HostID: "acme-00000000"}, "full": full} {
		body, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(body), ":[]"); name == "empty" && (n != 6 || strings.Contains(string(body), "null")) {
			t.Errorf("empty report: %d collections are [], want 6: %s", n, body)
		}
		if err := Scan(body, new(Summary)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		got, err := Decode(body)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s (-sent +read):\n%s", name, diff)
		}
	}
}
