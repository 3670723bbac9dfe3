package rules

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"felhom.eu/messages"
)

func judgeAt(s *messages.Standing, r *messages.Report, now time.Time) ([]Finding, time.Time) {
	t, n := Resolve(nil, nil), 0
	return Judge(s, Report{Report: r, Thresholds: &t, Now: now, Incident: func() messages.IncidentID {
		n++
		return messages.IncidentID(fmt.Sprint(n))
	}})
}

// A report may open thousands of problems. Each is told once, in portions that fit
// into one write, and so is the end of each.
func TestManyProblemsAreToldInPortions(t *testing.T) {
	var s messages.Standing
	r := &messages.Report{}
	for i := range 500 {
		r.Guests = append(r.Guests, messages.Guest{VMID: messages.VMID(100 + i), Name: "g", Status: "running", OnBoot: true})
	}
	if told, _ := judgeAt(&s, r, began); len(told) != 0 {
		t.Fatalf("told %v", told)
	}
	for _, c := range []struct {
		status string
		want   messages.EventType
	}{{"stopped", messages.GuestStopped}, {"running", messages.GuestStarted}} {
		for i := range r.Guests {
			r.Guests[i].Status = c.status
		}
		seen := map[messages.VMID]bool{}
		for range 500/maxFindings + 1 {
			told, due := judgeAt(&s, r, began)
			if len(told) > maxFindings {
				t.Errorf("%d at once", len(told))
			}
			for _, f := range told {
				if f.Type != c.want || seen[f.VMID] {
					t.Errorf("told %s of %d, before: %t", f.Type, f.VMID, seen[f.VMID])
				}
				seen[f.VMID] = true
			}
			if more := len(seen) < 500; more == due.IsZero() {
				t.Errorf("%d are told, and due is %v", len(seen), due)
			}
		}
		if len(seen) != 500 {
			t.Errorf("%s: %d of 500 are told", c.status, len(seen))
		}
	}
	if len(s.Problems) != 0 {
		t.Errorf("left open: %v", s.Problems)
	}
}

// Every alarm has a recovery, every rule its row, and no problem is open twice.
func TestEveryRuleRecovers(t *testing.T) {
	for _, r := range messages.Rules {
		if recoveries[r] == "" {
			t.Errorf("rule %s does not recover", r)
		}
	}
}

// A large report of a hostile host costs no more than its size: nothing in it is
// looked for once for each of something else.
func TestHugeReportsAreJudgedQuickly(t *testing.T) {
	var s messages.Standing
	r := &messages.Report{Sections: map[string]messages.Section{}}
	for _, name := range watchedSections {
		r.Sections[name] = messages.Section{Status: messages.SectionOK}
	}
	at := began
	for i := range messages.MaxGuests {
		vmid := messages.VMID(100 + i)
		r.Guests = append(r.Guests, messages.Guest{VMID: vmid, Status: "running"})
		r.Backups = append(r.Backups, messages.Backup{VMID: vmid, LastResult: messages.BackupFailed, Volume: fmt.Sprintf("p:backup/ct/%d/%s", vmid, at.Format(time.RFC3339))})
		r.RestoreTests = append(r.RestoreTests, messages.RestoreTest{VMID: vmid, StartedAt: at})
		r.PBSSnapshots = append(r.PBSSnapshots, messages.PBSGroup{BackupType: "ct", BackupID: fmt.Sprint(vmid), NewestAt: &at, VerifiedAt: &at})
		r.StorageTargets = append(r.StorageTargets, messages.StorageTarget{Storage: fmt.Sprint(i), Active: true, TotalBytes: 100, UsedBytes: 99})
	}
	start := time.Now()
	for range 20 {
		judgeAt(&s, r, began)
	}
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("20 judgements took %v", took)
	}
}

// A name from a report cannot break a line, a terminal or a length.
func TestCleanMakesTextsFit(t *testing.T) {
	for in, want := range map[string]string{
		"web":                         "web",
		"a\nb\tc":                     "a b c",
		"x\x1b[31m\u202ered\x00":      "x[31mred",
		"\xff\xfe":                    "",
		strings.Repeat("é", 30):       strings.Repeat("é", 16),
		"a" + strings.Repeat("é", 30): "a" + strings.Repeat("é", 15),
	} {
		got := Clean(in, 32)
		if got != want || !utf8.ValidString(got) {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

// Settings that cannot be are refused by field; what is not set is inherited.
func TestSettingsAreCheckedAndInherited(t *testing.T) {
	ratio, span := func(v float64) *float64 { return &v }, func(v int64) *int64 { return &v }
	for field, s := range map[string]messages.RuleSettings{
		"storage_warning_ratio":          {StorageWarningRatio: ratio(0.49)},
		"storage_critical_ratio":         {StorageCriticalRatio: ratio(math.NaN())},
		"backup_warning_seconds":         {BackupWarningSeconds: span(200 * 3600)},
		"backup_critical_seconds":        {BackupCriticalSeconds: span(1)},
		"verify_seconds":                 {VerifySeconds: span(-1)},
		"restore_test_seconds":           {RestoreTestSeconds: span(math.MaxInt64)},
		"disabled_rules":                 {DisabledRules: []messages.Rule{"nonsense"}},
		"excluded_guests":                {ExcludedGuests: []messages.VMID{99}},
		"excluded_storages, pbs_sources": {ExcludedStorages: []string{"a\nb"}},
		"pbs_sources":                    {PBSSources: []messages.PBSSource{{Namespace: "*"}}},
		"settings":                       {ExcludedGuests: make([]messages.VMID, maxListed+1)},
	} {
		var e *FieldError
		if err := Validate(&s, nil); !errors.As(err, &e) || e.Field != field {
			t.Errorf("%s: got %v", field, err)
		}
	}
	customer := messages.RuleSettings{BackupWarningSeconds: span(3600), DisabledRules: []messages.Rule{messages.RuleDisk}}
	host := messages.RuleSettings{BackupCriticalSeconds: span(7200), DisabledRules: []messages.Rule{}}
	got := Resolve(&customer, &host)
	if got.BackupWarning != time.Hour || got.BackupCritical != 2*time.Hour || len(got.Disabled) != 0 || got.StorageWarning != 0.85 {
		t.Errorf("got %+v", got)
	}
	hashes := []uint64{Resolve(nil, nil).Hash, Resolve(&customer, nil).Hash, Resolve(nil, &customer).Hash, got.Hash}
	slices.Sort(hashes)
	if len(slices.Compact(hashes)) < 3 {
		t.Errorf("settings that differ have one hash: %v", hashes)
	}
}

// What a lost standing had told is not told again when it still is, and ends with the
// incident that it began with when it is not.
func TestProblemsAreReopenedByTheirAlarms(t *testing.T) {
	opened := time.Unix(1000, 0)
	alarms := []messages.Alarm{
		{ID: "A", Type: messages.StorageHigh, Subject: "root", Severity: messages.SeverityWarning, OpenedAt: opened},
		{ID: "B", Type: messages.GuestStopped, VMID: 101, Severity: messages.SeverityCritical, OpenedAt: opened},
		{ID: "C", Type: messages.SectionLost, Subject: messages.SectionGuests, OpenedAt: opened},
		{ID: "D", Type: messages.TunnelDown, Subject: "cloudflared", OpenedAt: opened, ClosedAt: opened},
		{ID: "E", Type: messages.HostDown, OpenedAt: opened},
	}
	s := messages.Standing{HostID: "acme-00000001", Problems: Reopen(alarms)}
	if len(s.Problems) != 3 {
		t.Fatalf("got %+v", s.Problems)
	}
	r := messages.Report{Guests: []messages.Guest{{VMID: 101, Status: messages.GuestRunning}}}
	r.Host.RootTotalBytes, r.Host.RootUsedBytes = 100, 90
	told, _ := Judge(&s, Report{Report: &r, Thresholds: &defaults, Now: opened.Add(time.Hour), Incident: func() messages.IncidentID { return "new" }})
	got := map[messages.IncidentID]messages.EventType{}
	for _, f := range told {
		got[f.Incident] = f.Type
	}
	if len(told) != 2 || got["B"] != messages.GuestStarted || got["C"] != messages.SectionKnown || len(s.Problems) != 1 || s.Problems[0].Incident != "A" {
		t.Errorf("told %+v, left %+v", told, s.Problems)
	}
}
