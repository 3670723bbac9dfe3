package rules

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"felhom.eu/messages"
)

// Thresholds are the settings in effect for a host.
type Thresholds struct {
	StorageWarning, StorageCritical float64       // ratios
	BackupWarning, BackupCritical   time.Duration // age of a guest's newest good backup
	Verify                          time.Duration // age of its newest good verification
	RestoreTest                     time.Duration // age of its newest good restore test
	Disabled                        []messages.Rule
	ExcludedGuests                  []messages.VMID
	ExcludedStorages                []string
	Sources                         []messages.PBSSource // nil: learned
	// Hash differs when anything of it does, and when the rules themselves change.
	Hash uint64
}

// generation is raised when a rule changes its mind: every host is then looked at
// again with its next report.
const generation = 2

var defaults = Thresholds{
	StorageWarning: 0.85, StorageCritical: 0.95,
	BackupWarning: 30 * time.Hour, BackupCritical: 50 * time.Hour,
	Verify: 35 * 24 * time.Hour, RestoreTest: 35 * 24 * time.Hour,
	Hash: generation,
}

// Resolve lays the settings of a customer and then of a host over the defaults;
// either may be nil.
func Resolve(customer, host *messages.RuleSettings) Thresholds {
	t := defaults
	for _, s := range []*messages.RuleSettings{customer, host} {
		if s != nil {
			t.apply(s)
		}
	}
	return t
}

func (t *Thresholds) apply(s *messages.RuleSettings) {
	override(&t.StorageWarning, s.StorageWarningRatio)
	override(&t.StorageCritical, s.StorageCriticalRatio)
	overrideSpan(&t.BackupWarning, s.BackupWarningSeconds)
	overrideSpan(&t.BackupCritical, s.BackupCriticalSeconds)
	overrideSpan(&t.Verify, s.VerifySeconds)
	overrideSpan(&t.RestoreTest, s.RestoreTestSeconds)
	overrideList(&t.Disabled, s.DisabledRules)
	overrideList(&t.ExcludedGuests, s.ExcludedGuests)
	overrideList(&t.ExcludedStorages, s.ExcludedStorages)
	overrideList(&t.Sources, s.PBSSources)
	// Settings of a host whose customer has others are other settings.
	if text, err := json.Marshal(s); err == nil {
		t.Hash = t.Hash*31 + messages.HashText(text)
	}
}

func override(to *float64, from *float64) {
	if from != nil {
		*to = *from
	}
}

func overrideSpan(to *time.Duration, seconds *int64) {
	if seconds != nil {
		*to = time.Duration(*seconds) * time.Second
	}
}

func overrideList[T any](to *[]T, from []T) {
	if from != nil {
		*to = from
	}
}

// Settings are the thresholds as an operator would set all of them.
func (t *Thresholds) Settings() messages.RuleSettings {
	seconds := func(d time.Duration) *int64 { s := int64(d / time.Second); return &s }
	warning, critical := t.StorageWarning, t.StorageCritical
	s := messages.RuleSettings{
		StorageWarningRatio: &warning, StorageCriticalRatio: &critical,
		BackupWarningSeconds: seconds(t.BackupWarning), BackupCriticalSeconds: seconds(t.BackupCritical),
		VerifySeconds: seconds(t.Verify), RestoreTestSeconds: seconds(t.RestoreTest),
		DisabledRules: t.Disabled, ExcludedGuests: t.ExcludedGuests, ExcludedStorages: t.ExcludedStorages, PBSSources: t.Sources,
	}
	if s.DisabledRules == nil {
		s.DisabledRules = []messages.Rule{}
	}
	if s.ExcludedGuests == nil {
		s.ExcludedGuests = []messages.VMID{}
	}
	if s.ExcludedStorages == nil {
		s.ExcludedStorages = []string{}
	}
	return s
}

func (t *Thresholds) off(r messages.Rule) bool { return slices.Contains(t.Disabled, r) }

func (t *Thresholds) leavesOut(vmid messages.VMID) bool {
	return slices.Contains(t.ExcludedGuests, vmid)
}

// Bounds of settings. No threshold of fullness is lower than what a report's
// summary can see.
const (
	minRatio  = 0.50
	minSpan   = int64(time.Hour / time.Second)
	maxSpan   = int64(10 * 365 * 24 * time.Hour / time.Second)
	maxListed = 1000
	maxName   = 200 // bytes
)

// FieldError is a setting that cannot be.
type FieldError struct{ Field, Problem string }

// Error names the field and what it wants.
func (e *FieldError) Error() string { return e.Field + ": " + e.Problem }

// Validate checks settings by themselves, and together with those that they lie
// over (customer is nil for a customer's own). The error is a *FieldError.
func Validate(s, customer *messages.RuleSettings) error {
	for name, r := range map[string]*float64{"storage_warning_ratio": s.StorageWarningRatio, "storage_critical_ratio": s.StorageCriticalRatio} {
		if r != nil && !wholePercent(*r) {
			return &FieldError{name, "want 0.50 to 1.00, in whole hundredths"}
		}
	}
	for name, v := range map[string]*int64{
		"backup_warning_seconds": s.BackupWarningSeconds, "backup_critical_seconds": s.BackupCriticalSeconds,
		"verify_seconds": s.VerifySeconds, "restore_test_seconds": s.RestoreTestSeconds,
	} {
		if v != nil && (*v < minSpan || *v > maxSpan) {
			return &FieldError{name, fmt.Sprintf("want %d (an hour) to %d (ten years)", minSpan, maxSpan)}
		}
	}
	if err := validateLists(s); err != nil {
		return err
	}
	t := Resolve(customer, s)
	switch {
	case t.StorageWarning > t.StorageCritical:
		return &FieldError{"storage_warning_ratio", fmt.Sprintf("%.2f is above storage_critical_ratio, %.2f", t.StorageWarning, t.StorageCritical)}
	case t.BackupWarning > t.BackupCritical:
		return &FieldError{"backup_warning_seconds", fmt.Sprintf("%.0f is above backup_critical_seconds, %.0f", t.BackupWarning.Seconds(), t.BackupCritical.Seconds())}
	}
	return nil
}

// wholePercent holds a threshold to what a summary can see.
func wholePercent(r float64) bool {
	p := r * 100
	return r >= minRatio && r <= 1 && math.Abs(p-math.Round(p)) < 1e-6
}

func validateLists(s *messages.RuleSettings) error {
	if len(s.DisabledRules) > maxListed || len(s.ExcludedGuests) > maxListed || len(s.ExcludedStorages) > maxListed || len(s.PBSSources) > maxSources {
		return &FieldError{"settings", "a list is too long"}
	}
	for _, r := range s.DisabledRules {
		if !slices.Contains(messages.Rules, r) {
			return &FieldError{"disabled_rules", fmt.Sprintf("%.20q: want %s", r, joined(messages.Rules))}
		}
	}
	for _, v := range s.ExcludedGuests {
		if v < messages.MinVMID || v > messages.MaxVMID {
			return &FieldError{"excluded_guests", fmt.Sprintf("%d: want %d to %d", v, messages.MinVMID, messages.MaxVMID)}
		}
	}
	names := slices.Clone(s.ExcludedStorages)
	for _, p := range s.PBSSources {
		if p.Owner == "" && p.Server == "" && p.Datastore == "" {
			return &FieldError{"pbs_sources", "each needs a server, a datastore or an owner"}
		}
		names = append(names, p.Server, p.Datastore, p.Namespace, p.Owner)
	}
	for _, n := range names {
		if n != Clean(n, maxName) {
			return &FieldError{"excluded_storages, pbs_sources", "want at most 200 bytes of printable text"}
		}
	}
	return nil
}

func joined(rules []messages.Rule) string {
	words := make([]string, len(rules))
	for i, r := range rules {
		words[i] = string(r)
	}
	return strings.Join(words, ", ")
}
