package rules

import (
	"fmt"
	"slices"
	"strings"

	"felhom.eu/messages"
)

// wornRatio is how used up a disk may be.
const wornRatio = 0.90

// disks tells of one whose own health check fails, or that is nearly used up.
func (j *judge) disks() {
	if !j.knows(messages.SectionDisks) {
		return
	}
	var there []string
	for _, d := range j.r.Disks {
		of, label := named(diskName(&d)), Clean(d.Device, maxTitle)
		there = append(there, of.name)
		health := strings.ToUpper(d.Health)
		switch {
		case strings.HasPrefix(health, "FAIL"):
			j.failing(messages.RuleDisk, of, alarm{typ: messages.DiskFailing, severity: messages.SeverityCritical,
				words: "disk " + label + " fails its health check", reason: d.Health})
		case d.WearRatio != nil && *d.WearRatio >= wornRatio:
			j.failing(messages.RuleDisk, of, alarm{typ: messages.DiskFailing, severity: messages.SeverityWarning,
				words: fmt.Sprintf("disk %s is %d %% used up", label, int(*d.WearRatio*100))})
		case health == "PASSED" || health == "OK":
			j.healthy(messages.RuleDisk, of, "disk "+label+" passes its health check")
		}
	}
	j.gone(messages.RuleDisk, func(key string) bool { return slices.Contains(there, key) }, " is not there any more")
}

// diskName is what stays the same when disks are found in another order.
func diskName(d *messages.Disk) string {
	if d.Serial == "" || strings.EqualFold(d.Serial, "unknown") {
		return d.Device
	}
	return d.Serial
}

// pools tells of a ZFS pool that is not whole.
func (j *judge) pools() {
	if !j.knows(messages.SectionZFSPools) {
		return
	}
	var there []string
	for _, p := range j.r.ZFSPools {
		of := named(p.Name)
		there = append(there, of.name)
		switch p.Health {
		case "":
		case "ONLINE":
			j.healthy(messages.RulePool, of, "pool "+of.name+" is online")
		default:
			j.failing(messages.RulePool, of, alarm{typ: messages.PoolDegraded, severity: messages.SeverityCritical,
				words: "pool " + of.name + " is " + strings.ToLower(Clean(p.Health, maxTitle)), reason: p.Health})
		}
	}
	j.gone(messages.RulePool, func(key string) bool { return slices.Contains(there, key) }, " is not there any more")
}
