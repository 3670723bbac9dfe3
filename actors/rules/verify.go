package rules

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"felhom.eu/messages"
)

// maxSources bounds how many places on Proxmox Backup Servers a host has.
const maxSources = 16

// A datastore may hold the backups of many hosts, and two of them may have a guest
// 101 each. So a group is a guest's only when its whole name is the host's: server,
// datastore, namespace and owner. Proxmox VE tells none of them to a reader, but
// it tells which snapshots it wrote: the moment in a backup's volume id
// (…/ct/101/2026-06-08T02:20:07Z) is that of a snapshot. The one group of the
// guest's number whose newest snapshot is of that second is where the host's storage
// leads to, and so are the groups of its other guests in the same namespace by the
// same owner. When two groups have it, as two hosts may begin in one second, neither
// is taken: another night will tell. Settings (pbs_sources) go before what is
// learned.

// learnSources notes where the host's backups go.
func (j *judge) learnSources() {
	if j.limits.Sources != nil || !j.knows(messages.SectionPBSSnapshots) || !j.knows(messages.SectionBackups) {
		return
	}
	for i := range j.r.Backups {
		typ, id, at, ok := snapshotOf(&j.r.Backups[i])
		if !ok || j.r.Backups[i].Evidence != messages.EvidenceTask { // a listing may be of what another host wrote
			continue
		}
		var found []messages.PBSSource
		for _, g := range j.groupsOf[id] {
			if g.BackupType == typ && g.NewestAt != nil && g.NewestAt.Equal(at) {
				found = append(found, sourceOf(g))
			}
		}
		if len(found) == 1 && !slices.Contains(j.Sources, found[0]) && len(j.Sources) < maxSources {
			j.Sources = append(j.Sources, found[0])
		}
	}
}

// snapshotOf reads the snapshot's name at the end of a backup's volume id.
func snapshotOf(b *messages.Backup) (typ, id string, at time.Time, ok bool) {
	_, path, inStorage := strings.Cut(b.Volume, ":backup/")
	if !inStorage {
		path = b.Volume
	}
	parts := strings.Split(path, "/")
	if len(parts) < 3 {
		return "", "", at, false
	}
	parts = parts[len(parts)-3:]
	at, err := time.Parse(time.RFC3339, parts[2])
	return parts[0], parts[1], at, err == nil && parts[1] == strconv.FormatUint(uint64(b.VMID), 10)
}

func sourceOf(g *messages.PBSGroup) messages.PBSSource {
	return messages.PBSSource{
		Server: Clean(g.Server, maxName), Datastore: Clean(g.Datastore, maxName),
		Namespace: Clean(g.Namespace, maxName), Owner: Clean(g.Owner, maxName),
	}
}

// source is the number of the source that a group belongs to, from 1; 0: it is not
// the host's.
func (j *judge) source(g *messages.PBSGroup) uint8 {
	of := sourceOf(g)
	if j.limits.Sources == nil {
		return uint8(1 + slices.Index(j.Sources, of))
	}
	if !slices.ContainsFunc(j.limits.Sources, func(set messages.PBSSource) bool { return covers(set, of) }) {
		return 0
	}
	if i := slices.Index(j.Sources, of); i >= 0 {
		return uint8(1 + i)
	}
	if len(j.Sources) == maxSources {
		return 0
	}
	j.Sources = append(j.Sources, of)
	return uint8(len(j.Sources))
}

// covers reports whether a setting means a source.
func covers(set, s messages.PBSSource) bool {
	return (set.Server == "" || set.Server == s.Server) && (set.Datastore == "" || set.Datastore == s.Datastore) &&
		(set.Owner == "" || set.Owner == s.Owner) && (set.Namespace == "*" || set.Namespace == s.Namespace)
}

// group is the guest's group with the newest snapshot, when the report vouches for
// groups and one is the guest's.
func (j *judge) group(s *messages.GuestStanding) (newest *messages.PBSGroup) {
	if !j.knows(messages.SectionPBSSnapshots) {
		return nil
	}
	for _, g := range j.groupsOf[ofGuest(s.VMID).key()] {
		if n := j.source(g); n != 0 && (newest == nil || unix(g.NewestAt) > unix(newest.NewestAt)) {
			newest = g
			s.Source = n
		}
	}
	return newest
}

// groupKnown reports whether it can be seen now what a guest's group is, or that it
// has none any more.
func (j *judge) groupKnown(s *messages.GuestStanding) bool {
	return s.Source != 0 && j.knows(messages.SectionPBSSnapshots) && (j.group(s) != nil || j.listsGroups(s))
}

// listsGroups reports whether a guest's group would be listed if there were one: on the
// datastore where it was, else on any.
func (j *judge) listsGroups(s *messages.GuestStanding) bool {
	if s.Source == 0 || int(s.Source) > len(j.Sources) {
		return !slices.ContainsFunc(j.r.PBSDatastores, func(d messages.PBSDatastore) bool { return d.GroupsMissing != "" })
	}
	of := j.Sources[s.Source-1]
	return j.listsAll(of.Server, of.Datastore)
}

// listsAll reports whether a datastore lists all its groups. One that is not mounted
// does not, and one that is not listed is one that the token may not see any more;
// only an agent that says nothing of datastores vouches for them all.
func (j *judge) listsAll(server, datastore string) bool {
	for i := range j.r.PBSDatastores {
		d := &j.r.PBSDatastores[i]
		if Clean(d.Server, maxName) == server && Clean(d.Datastore, maxName) == datastore {
			return d.GroupsMissing == ""
		}
	}
	return j.r.Sections[messages.SectionPBSDatastores].Status == ""
}

// verifications tells of guests on Proxmox Backup Servers whose newest verification
// failed, and of those of which none good is new enough.
func (j *judge) verifications() {
	for i := range j.Guests {
		s := &j.Guests[i]
		if s.MissingSince != 0 || j.limits.leavesOut(s.VMID) {
			continue
		}
		g := j.group(s)
		s.Hidden = g == nil && !j.listsGroups(s)
		if g == nil {
			if j.groupKnown(s) { // it was removed, or is another's
				s.Source, s.GroupSince, s.VerifiedAt, s.VerifiedOK = 0, 0, 0, false
				j.healthy(messages.RuleVerify, ofGuest(s.VMID), title(s)+" has no such group any more")
			}
			continue
		}
		if s.GroupSince == 0 {
			s.GroupSince = j.now
		}
		if g.VerifiedAt != nil {
			s.VerifiedAt, s.VerifiedOK = unix(g.VerifiedAt), g.VerifiedOK
		}
		if s.NoBackup {
			j.healthy(messages.RuleVerify, ofGuest(s.VMID), title(s)+" is tagged "+TagNoBackup)
			continue
		}
		j.verified(s)
	}
}

func (j *judge) verified(s *messages.GuestStanding) {
	of := ofGuest(s.VMID)
	if s.VerifiedAt != 0 && !s.VerifiedOK {
		j.failing(messages.RuleVerify, of, alarm{typ: messages.VerifyFailed, severity: messages.SeverityCritical,
			words: "backup of " + title(s) + " failed its verification"})
		return
	}
	since := s.VerifiedAt
	if since == 0 {
		since = s.GroupSince
	}
	age := time.Duration(j.dated-since) * time.Second
	if age >= j.limits.Verify {
		j.failing(messages.RuleVerify, of, alarm{typ: messages.VerifyOverdue, severity: messages.SeverityWarning,
			words: "no backup of " + title(s) + " was verified for " + span(seconds(age))})
		return
	}
	j.wait(seconds(j.limits.Verify - age))
	if s.VerifiedAt != 0 {
		j.healthy(messages.RuleVerify, of, "backup of "+title(s)+" is verified")
	}
}
