package messages

import (
	"encoding/json"
	"errors"
	"hash/fnv"
	"math"
	"reflect"
	"slices"
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
	if r.LastEnd != nil {
		s.AgentEnd, s.MachineEnd = wordOf(r.LastEnd.Agent, "stopped killed"), wordOf(r.LastEnd.Machine, "reboot shutdown kernel_crash power_loss unclean")
	}
	for _, g := range r.Guests {
		if g.Status == "running" {
			s.Figures.GuestRunning++
		}
	}
	return s
}

// wordOf is w when it is one of those that are known.
func wordOf[T ~string](w T, known string) T {
	if slices.Contains(strings.Fields(known), string(w)) {
		return w
	}
	return ""
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
// taken is that verdict.
func agree(t testing.TB, body []byte) (taken bool) {
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
		return false
	}
	if want := summarize(r, body); want != got && show(want) != show(got) {
		t.Fatalf("Scan (-want +got):\n%s%.300q", cmp.Diff(show(want), show(got)), body)
	}
	guests, err := DecodeGuests(body)
	if err != nil || !reflect.DeepEqual([]Guest(r.Guests), guests) {
		t.Fatalf("DecodeGuests: %v, %v; Decode: %v", guests, err, r.Guests)
	}
	facts, err := DecodeFacts(body)
	if want := onlyFacts(r); err != nil || !reflect.DeepEqual(want, facts) && !cmp.Equal(want, facts, cmpopts.EquateEmpty()) {
		t.Fatalf("DecodeFacts: %v (-want +got):\n%s", err, cmp.Diff(want, facts, cmpopts.EquateEmpty()))
	}
	return true
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
		PBSDatastores: r.PBSDatastores, Disks: r.Disks, ZFSPools: r.ZFSPools, Cluster: r.Cluster, Sections: r.Sections,
	}
}

// checkError holds an error to what an answer may say.
func checkError(t testing.TB, err error) {
	t.Helper()
	var invalid *InvalidError
	if !errors.As(err, &invalid) || invalid.Problem == "" {
		t.Fatalf("got %#v, want an *InvalidError", err)
	}
	if s := err.Error(); len(s) > 400 || !utf8.ValidString(s) || strings.ContainsAny(s, "\r\n\x00\x1b") {
		t.Fatalf("unfit to answer with: %q", s)
	}
}

// agreeOnGoodbye is agree for goodbyes.
func agreeOnGoodbye(t testing.TB, body []byte) (taken bool) {
	t.Helper()
	got, err := DecodeGoodbye(body)
	want, wantErr := obviousGoodbye(body)
	if (err == nil) != (wantErr == nil) {
		t.Fatalf("DecodeGoodbye: %v\nobvious: %v\n%.300q", err, wantErr, body)
	}
	if err != nil {
		checkError(t, err)
		return false
	}
	if !reflect.DeepEqual(want, got) {
		diff := cmp.Diff(want, got)
		t.Fatalf("DecodeGoodbye (-want +got):\n%s%.300q", diff, body)
	}
	return true
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
