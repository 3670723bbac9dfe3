package rules

import (
	"slices"

	"felhom.eu/messages"
)

const (
	missesOfStorage = 2   // reports in a row make a storage offline: an NFS server may be slow once
	maxStorages     = 256 // that are remembered
)

// offline tells of storages that were active and are not, two reports in a row. One
// that was never active is not missed: another node's, or not set up yet.
func (j *judge) offline() {
	if !j.knows(messages.SectionStorageTargets) {
		return
	}
	listed := map[string]bool{}
	for i := range j.r.StorageTargets {
		s := &j.r.StorageTargets[i]
		of := named(s.Storage)
		listed[of.name] = true
		switch {
		case slices.Contains(j.limits.ExcludedStorages, s.Storage):
			j.healthy(messages.RuleOffline, of, of.name+" is not watched any more")
		case s.Active:
			j.online(of)
		default:
			j.missed(of, s.Enabled)
		}
	}
	j.Storages = slices.DeleteFunc(j.Storages, func(x messages.StorageStanding) bool { return !listed[x.Name] })
	j.gone(messages.RuleOffline, func(key string) bool { return listed[key] }, " is not there any more")
}

func (j *judge) online(of subject) {
	switch s := j.storageOf(of); {
	case s != nil:
		s.Missed = 0
	case len(j.Storages) < maxStorages:
		j.Storages = append(j.Storages, messages.StorageStanding{Name: of.name})
	}
	j.healthy(messages.RuleOffline, of, of.name+" is active again")
}

func (j *judge) missed(of subject, enabled bool) {
	s := j.storageOf(of)
	if s == nil {
		return
	}
	s.Missed = min(s.Missed+1, missesOfStorage)
	switch {
	case s.Missed < missesOfStorage:
		j.wait(0)
	case enabled:
		j.failing(messages.RuleOffline, of, alarm{typ: messages.StorageOffline, severity: messages.SeverityCritical, words: of.name + " is offline"})
	default: // somebody did that
		j.failing(messages.RuleOffline, of, alarm{typ: messages.StorageOffline, severity: messages.SeverityWarning, words: of.name + " is disabled"})
	}
}

func (j *judge) storageOf(of subject) *messages.StorageStanding {
	i := slices.IndexFunc(j.Storages, func(s messages.StorageStanding) bool { return s.Name == of.name })
	if i < 0 {
		return nil
	}
	return &j.Storages[i]
}
