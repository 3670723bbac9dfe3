package rules

import (
	"slices"
	"strings"

	"felhom.eu/messages"
)

// unknownFor is how long a collection that was known may be unknown.
const unknownFor = 24 * 3600

// watchedSections are the collections that a rule needs.
var watchedSections = []string{
	messages.SectionGuests, messages.SectionStorageTargets, messages.SectionBackups, messages.SectionPBSSnapshots,
	messages.SectionPBSDatastores, messages.SectionRestoreTests, messages.SectionDisks, messages.SectionZFSPools,
}

// knows reports whether a report vouches for a collection. An agent that says
// nothing of it vouches for what it lists, and for the guests, which every agent
// lists.
func knows(r *messages.Report, section string) bool {
	switch r.Sections[section].Status {
	case messages.SectionOK:
		return true
	case "":
		return section == messages.SectionGuests || count(r, section) > 0
	}
	return false
}

func count(r *messages.Report, section string) int {
	switch section {
	case messages.SectionStorageTargets:
		return len(r.StorageTargets)
	case messages.SectionBackups:
		return len(r.Backups)
	case messages.SectionPBSSnapshots:
		return len(r.PBSSnapshots)
	case messages.SectionPBSDatastores:
		return len(r.PBSDatastores)
	case messages.SectionRestoreTests:
		return len(r.RestoreTests)
	case messages.SectionDisks:
		return len(r.Disks)
	case messages.SectionZFSPools:
		return len(r.ZFSPools)
	}
	return 0
}

func (j *judge) knows(section string) bool { return knows(j.r, section) }

// sections notes since when each collection is unknown, and tells of one that was
// known and stays so.
func (j *judge) sections() {
	for _, name := range watchedSections {
		if j.knows(name) {
			j.seen(name)
		} else {
			j.unseen(name, why(j.r.Sections[name].Status), j.r.Sections[name].Detail)
		}
	}
	if j.knows(messages.SectionPBSSnapshots) {
		j.datastores()
	}
}

// ofDatastore begins the names of the groups of one datastore, among the sections.
const (
	ofDatastore   = messages.SectionPBSSnapshots + " of "
	maxDatastores = 64 // that are remembered
)

// datastores are sections of their own: one that is not mounted lists no groups, in a
// collection that was read well otherwise.
func (j *judge) datastores() {
	listed := map[string]bool{}
	for i := range j.r.PBSDatastores {
		d := &j.r.PBSDatastores[i]
		name := named(ofDatastore + d.Server + "/" + d.Datastore).name
		listed[name] = true
		switch {
		case d.GroupsMissing != "":
			j.unseen(name, "reading failed", d.GroupsMissing)
		case j.section(name) != nil || len(j.Sections) < len(watchedSections)+maxDatastores:
			j.seen(name)
		}
	}
	for _, s := range slices.Clone(j.Sections) {
		if !strings.HasPrefix(s.Name, ofDatastore) || listed[s.Name] || j.r.Sections[messages.SectionPBSDatastores].Status == "" {
			continue
		}
		if s.UnknownSince != 0 && j.now-s.UnknownSince >= forgotten {
			j.healthy(messages.RuleSection, named(s.Name), s.Name+" is not waited for any longer")
			j.Sections = slices.DeleteFunc(j.Sections, func(x messages.SectionStanding) bool { return x.Name == s.Name })
			continue
		}
		j.unseen(s.Name, "the datastore is not listed any more", "")
		if s.UnknownSince != 0 {
			j.wait(s.UnknownSince + forgotten - j.now)
		}
	}
}

func (j *judge) seen(name string) {
	if s := j.section(name); s != nil {
		s.UnknownSince = 0
	} else {
		j.Sections = append(j.Sections, messages.SectionStanding{Name: name, KnownAt: j.now})
	}
	j.healthy(messages.RuleSection, named(name), name+" can be read again")
}

func (j *judge) unseen(name, why, detail string) {
	s := j.section(name)
	if s == nil { // never known: not missed
		return
	}
	if s.UnknownSince == 0 {
		s.UnknownSince = j.now
	}
	if left := s.UnknownSince + unknownFor - j.now; left > 0 {
		j.wait(left)
		return
	}
	j.failing(messages.RuleSection, named(name), alarm{
		typ: messages.SectionLost, severity: messages.SeverityWarning, reason: detail,
		words: name + " unknown for a day: " + why,
	})
}

func why(s messages.SectionStatus) string {
	switch s {
	case messages.SectionDenied:
		return "access denied"
	case messages.SectionFailed:
		return "reading failed"
	case messages.SectionNotConfigured:
		return "not configured any more"
	}
	return "the agent does not say"
}

func (j *judge) section(name string) *messages.SectionStanding {
	return sectionOf(j.Standing, name)
}

func sectionOf(s *messages.Standing, name string) *messages.SectionStanding {
	i := slices.IndexFunc(s.Sections, func(s messages.SectionStanding) bool { return s.Name == name })
	if i < 0 {
		return nil
	}
	return &s.Sections[i]
}
