package rules

import (
	"fmt"
	"slices"

	"felhom.eu/messages"
)

// hysteresis is how far below its threshold a storage recovers.
const hysteresis = 0.03

// rootSubject is the host's root file system among the storages.
const rootSubject = "root"

// storage tells of what is nearly full: the root file system, the storages, and the
// datastores of Proxmox Backup Servers.
func (j *judge) storage() {
	j.filled(rootSubject, j.r.Host.RootUsedBytes, j.r.Host.RootTotalBytes)
	var there []string
	if j.knows(messages.SectionStorageTargets) {
		for _, s := range j.r.StorageTargets {
			there = append(there, named(s.Storage).name)
			if s.Active {
				j.filled(s.Storage, s.UsedBytes, s.TotalBytes)
			}
		}
	}
	if j.knows(messages.SectionPBSDatastores) {
		for _, d := range j.r.PBSDatastores {
			name := d.Server + "/" + d.Datastore
			there = append(there, named(name).name)
			j.filled(name, d.UsedBytes, d.TotalBytes)
		}
	}
	if j.knows(messages.SectionStorageTargets) && j.knows(messages.SectionPBSDatastores) ||
		j.knows(messages.SectionStorageTargets) && j.section(messages.SectionPBSDatastores) == nil {
		j.gone(messages.RuleStorage, func(key string) bool { return key == rootSubject || slices.Contains(there, key) }, " is not there any more")
	}
}

func (j *judge) filled(name string, used, total uint64) {
	of := named(name)
	if total == 0 {
		return
	}
	percent := float64(used) / float64(total)
	words := fmt.Sprintf("%s is %d %% full", of.name, int(percent*100))
	switch {
	case slices.Contains(j.limits.ExcludedStorages, name):
		j.healthy(messages.RuleStorage, of, of.name+" is not watched any more")
	case percent >= j.limits.StorageCritical:
		j.failing(messages.RuleStorage, of, alarm{typ: messages.StorageHigh, severity: messages.SeverityCritical, words: words})
	case percent >= j.limits.StorageWarning:
		j.failing(messages.RuleStorage, of, alarm{typ: messages.StorageHigh, severity: messages.SeverityWarning, words: words})
	case percent < j.limits.StorageWarning-hysteresis:
		j.healthy(messages.RuleStorage, of, words)
	}
}
