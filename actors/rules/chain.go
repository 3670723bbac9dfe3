package rules

import (
	"fmt"
	"time"

	"felhom.eu/messages"
)

// Chain is the protection of every guest that a standing remembers, in the order of
// their vmids, as of now: what the reports proved, and how old each proof is.
func Chain(s *messages.Standing, t *Thresholds, now time.Time) []messages.Protection {
	chains := make([]messages.Protection, 0, len(s.Guests))
	c := chain{Standing: s, limits: t, now: now}
	for i := range s.Guests {
		chains = append(chains, c.of(&s.Guests[i]))
	}
	return chains
}

type chain struct {
	*messages.Standing
	limits *Thresholds
	now    time.Time
}

func (c *chain) of(g *messages.GuestStanding) messages.Protection {
	p := messages.Protection{
		HostID: c.HostID, CustomerID: c.HostID.Customer(), VMID: g.VMID, Name: g.Name,
		Backup: c.backup(g), Verify: c.verify(g), RestoreTest: c.restoreTest(g), Missing: g.MissingSince != 0,
	}
	if n := int(g.Source); n > 0 && n <= len(c.Sources) {
		source := c.Sources[n-1]
		p.Source = &source
	}
	p.State = stateOf(&p)
	return p
}

// stateOf is the chain's state: that of a guest without a backup, then of one of
// which that is not known, then of the weakest link.
func stateOf(p *messages.Protection) messages.ProtectionState {
	switch p.Backup.State {
	case messages.LinkMissing, messages.LinkOverdue, messages.LinkExcluded:
		return messages.Unprotected
	case messages.LinkUnknown:
		return messages.ProtectionUnknown
	case messages.LinkLate, messages.LinkFailed:
		return messages.Attention
	}
	links := [...]messages.LinkState{p.Verify.State, p.RestoreTest.State}
	for _, l := range links {
		switch l {
		case messages.LinkMissing, messages.LinkOverdue, messages.LinkFailed:
			return messages.Attention
		}
	}
	switch {
	case p.RestoreTest.State == messages.LinkNone,
		p.RestoreTest.State == messages.LinkExcluded && p.Verify.State == messages.LinkNone:
		return messages.Attention // a copy of which nobody knows that it is good
	case p.Verify.State == messages.LinkUnknown || p.RestoreTest.State == messages.LinkUnknown:
		return messages.ProtectionUnknown
	}
	return messages.Protected
}

// known reports whether the newest report vouched for a collection, and ever
// whether one did.
func (c *chain) known(section string) (now, ever bool) {
	s := sectionOf(c.Standing, section)
	return s != nil && s.UnknownSince == 0, s != nil
}

// groupKnown reports whether the newest report told of the guest's group.
func (c *chain) groupKnown(g *messages.GuestStanding) bool {
	known, _ := c.known(messages.SectionPBSSnapshots)
	return known && g.Source != 0 && !g.Hidden
}

// link is a link with the age of its proof.
func (c *chain) link(state messages.LinkState, at int64, detail string) messages.ProtectionLink {
	l := messages.ProtectionLink{State: state, Detail: detail}
	if at != 0 {
		when := time.Unix(at, 0).UTC()
		age := int64(max(c.now.Sub(when), 0) / time.Second)
		l.At, l.AgeSeconds = &when, &age
	}
	return l
}

func (c *chain) age(at int64) time.Duration { return c.now.Sub(time.Unix(at, 0)) }

func (c *chain) backup(g *messages.GuestStanding) messages.ProtectionLink {
	tasks, _ := c.known(messages.SectionBackups)
	group := c.groupKnown(g)
	switch {
	case c.limits.leavesOut(g.VMID):
		return c.link(messages.LinkExcluded, g.BackupAt, "excluded by a setting")
	case g.NoBackup:
		return c.link(messages.LinkExcluded, g.BackupAt, "tagged "+TagNoBackup)
	case !tasks && !group:
		return c.link(messages.LinkUnknown, g.BackupAt, "the newest report does not vouch for backups")
	case g.Doubtful && !group:
		return c.link(messages.LinkUnknown, g.BackupAt, "only a storage that others write to lists one, and the jobs cannot be read")
	case g.BackupAt == 0 && g.Uncovered:
		return c.link(messages.LinkMissing, 0, "in no backup job")
	case g.BackupAt == 0:
		return c.link(messages.LinkMissing, 0, "")
	case c.age(g.BackupAt) >= c.limits.BackupCritical:
		return c.link(messages.LinkOverdue, g.BackupAt, "")
	case g.BackupFailed:
		return c.link(messages.LinkFailed, g.BackupAt, "the last backup failed")
	case c.age(g.BackupAt) >= c.limits.BackupWarning:
		return c.link(messages.LinkLate, g.BackupAt, "")
	}
	return c.link(messages.LinkOK, g.BackupAt, "")
}

func (c *chain) verify(g *messages.GuestStanding) messages.ProtectionLink {
	switch {
	case g.Source == 0:
		return c.link(messages.LinkNone, 0, "no group on a Proxmox Backup Server is known to be this guest's")
	case !c.groupKnown(g):
		return c.link(messages.LinkUnknown, g.VerifiedAt, "the newest report does not vouch for it")
	case g.VerifiedAt == 0:
		return c.link(messages.LinkMissing, 0, "never verified")
	case !g.VerifiedOK:
		return c.link(messages.LinkFailed, g.VerifiedAt, "the newest verification failed")
	case c.age(g.VerifiedAt) >= c.limits.Verify:
		return c.link(messages.LinkOverdue, g.VerifiedAt, "")
	}
	return c.link(messages.LinkOK, g.VerifiedAt, "")
}

func (c *chain) restoreTest(g *messages.GuestStanding) messages.ProtectionLink {
	known, ever := c.known(messages.SectionRestoreTests)
	switch {
	case g.NoTest:
		return c.link(messages.LinkExcluded, g.TestedOKAt, "tagged "+TagNoRestoreTest)
	case !ever:
		return c.link(messages.LinkNone, 0, "no restore tests are reported")
	case !known:
		return c.link(messages.LinkUnknown, g.TestedOKAt, "the newest report does not vouch for it")
	case g.TestedAt > g.TestedOKAt:
		return c.link(messages.LinkFailed, g.TestedAt, "the newest restore test failed")
	case g.TestedOKAt == 0:
		return c.link(messages.LinkMissing, 0, "never tested")
	case c.age(g.TestedOKAt) >= c.limits.RestoreTest:
		return c.link(messages.LinkOverdue, g.TestedOKAt, fmt.Sprint(g.TestLevel))
	}
	return c.link(messages.LinkOK, g.TestedOKAt, string(g.TestLevel))
}
