package storage

import "felhom.eu/messages"

// standingForm is the form of a Standing's payload; a later program reads the
// earlier ones.
const (
	standingForm = 2
	standingBare = 1 // without Storages
)

// flags of a guest in a stored Standing.
const (
	standingOnBoot = 1 << iota
	standingNoBackup
	standingNoTest
	standingUncovered
	standingBackupFailed
	standingVerifiedOK
	standingBusy // what follows: BusySince and MissingSince
	standingPBS  // what follows: Source, GroupSince and VerifiedAt
	standingDoubtful
	standingHidden
)

// maxStandingFlags is all of them.
const (
	maxStandingFlags = 2*standingHidden - 1
)

func (e *encoder) standing(s *messages.Standing) {
	e.byte(standingForm)
	e.bool(s.Tunnel.Seen)
	e.byte(s.Tunnel.Missed)
	e.uint(uint64(len(s.Guests)))
	for i := range s.Guests {
		e.guestStanding(&s.Guests[i])
	}
	e.uint(uint64(len(s.Sections)))
	for _, c := range s.Sections {
		e.text(c.Name)
		e.int(c.KnownAt)
		e.int(c.UnknownSince)
	}
	e.uint(uint64(len(s.Problems)))
	for i := range s.Problems {
		e.problem(&s.Problems[i])
	}
	e.uint(uint64(len(s.Sources)))
	for _, p := range s.Sources {
		e.text(p.Server)
		e.text(p.Datastore)
		e.text(p.Namespace)
		e.text(p.Owner)
	}
	e.uint(uint64(len(s.Storages)))
	for _, x := range s.Storages {
		e.text(x.Name)
		e.byte(x.Missed)
	}
}

func (e *encoder) guestStanding(g *messages.GuestStanding) {
	busy := g.BusySince != 0 || g.MissingSince != 0
	pbs := g.Source != 0 || g.GroupSince != 0 || g.VerifiedAt != 0
	flags := bitIf(g.OnBoot, standingOnBoot) | bitIf(g.NoBackup, standingNoBackup) | bitIf(g.NoTest, standingNoTest) |
		bitIf(g.Uncovered, standingUncovered) | bitIf(g.BackupFailed, standingBackupFailed) |
		bitIf(g.VerifiedOK, standingVerifiedOK) | bitIf(busy, standingBusy) | bitIf(pbs, standingPBS)
	e.uint(uint64(flags) | uint64(bitIf(g.Doubtful, 1))*standingDoubtful | uint64(bitIf(g.Hidden, 1))*standingHidden)
	e.uint(uint64(g.VMID))
	e.text(g.Name)
	e.int(g.FirstSeenAt)
	e.int(g.RunningSince)
	if busy {
		e.int(g.BusySince)
		e.int(g.MissingSince)
	}
	e.int(g.BackupAt)
	if pbs {
		e.byte(g.Source)
		e.int(g.GroupSince)
		e.int(g.VerifiedAt)
	}
	e.int(g.TestedAt)
	e.int(g.TestedOKAt)
	e.text(string(g.TestLevel))
}

func (e *encoder) problem(p *messages.Problem) {
	e.text(string(p.Rule))
	e.text(p.Subject)
	e.text(string(p.Incident))
	e.int(p.Since)
	e.byte(byte(p.Severity))
	e.uint(uint64(len(p.Told)))
	for _, t := range p.Told {
		e.text(string(t))
	}
}

func (d *decoder) standing(key []byte) messages.Standing {
	form := d.byte()
	if form != standingForm && form != standingBare {
		d.fail(errRange)
	}
	if d.words == nil {
		d.words = map[string]string{}
	}
	s := messages.Standing{
		HostID:   messages.HostID(key[1:]),
		Tunnel:   messages.TunnelStanding{Seen: d.bool(), Missed: d.byte()},
		Guests:   many(d, (*decoder).guestStanding),
		Sections: many(d, (*decoder).sectionStanding),
		Problems: many(d, (*decoder).problem),
		Sources:  many(d, (*decoder).pbsSource),
	}
	if form != standingBare {
		s.Storages = many(d, (*decoder).storageStanding)
	}
	return s
}

func (d *decoder) storageStanding() messages.StorageStanding {
	return messages.StorageStanding{Name: d.word(), Missed: d.byte()}
}

// many reads a count and as many of what read reads; nil when there are none.
func many[T any](d *decoder, read func(*decoder) T) []T {
	n := d.upTo(uint64(len(d.b))) // each takes a byte at least
	var ts []T
	for range n {
		if d.err != nil {
			return nil
		}
		ts = append(ts, read(d))
	}
	return ts
}

func (d *decoder) guestStanding() messages.GuestStanding {
	flags := d.upTo(maxStandingFlags)
	g := messages.GuestStanding{
		OnBoot: flags&standingOnBoot != 0, NoBackup: flags&standingNoBackup != 0, NoTest: flags&standingNoTest != 0,
		Uncovered: flags&standingUncovered != 0, BackupFailed: flags&standingBackupFailed != 0,
		VerifiedOK: flags&standingVerifiedOK != 0, Doubtful: flags&standingDoubtful != 0, Hidden: flags&standingHidden != 0,
	}
	g.VMID = messages.VMID(d.upTo(1<<32 - 1))
	g.Name = d.text()
	g.FirstSeenAt = d.int()
	g.RunningSince = d.int()
	if flags&standingBusy != 0 {
		g.BusySince, g.MissingSince = d.int(), d.int()
	}
	g.BackupAt = d.int()
	if flags&standingPBS != 0 {
		g.Source, g.GroupSince, g.VerifiedAt = d.byte(), d.int(), d.int()
	}
	g.TestedAt, g.TestedOKAt = d.int(), d.int()
	g.TestLevel = messages.RestoreLevel(d.word())
	return g
}

func (d *decoder) sectionStanding() messages.SectionStanding {
	return messages.SectionStanding{Name: d.word(), KnownAt: d.int(), UnknownSince: d.int()}
}

func (d *decoder) problem() messages.Problem {
	return messages.Problem{
		Rule: messages.Rule(d.word()), Subject: d.text(), Incident: messages.IncidentID(d.text()),
		Since: d.int(), Severity: messages.Severity(d.byte()), Told: texts[messages.EventType](d),
	}
}

func (d *decoder) pbsSource() messages.PBSSource {
	return messages.PBSSource{Server: d.text(), Datastore: d.text(), Namespace: d.text(), Owner: d.text()}
}

// Standing reads what the rules on reports remember of a host. Errors:
// ErrNotFound when they never looked at it, ErrCorrupt.
func (db *DB) Standing(id messages.HostID) (messages.Standing, error) {
	return one(db, textKey(prefixStanding, id), (*decoder).standing)
}

// Standings lists up to limit of them in the order of the hosts' ids, from the one
// behind after: of one customer's hosts, or of all when customer is empty.
func (db *DB) Standings(customer messages.CustomerID, after messages.HostID, limit int) ([]messages.Standing, error) {
	prefix := ""
	if customer != "" {
		prefix = string(customer) + "-"
	}
	q := query{prefix: textKey(prefixStanding, prefix), from: behind(prefixStanding, after)}
	if after < messages.HostID(prefix) {
		q.from = nil
	}
	return list(db, q, limit, (*decoder).standing, func(s *messages.Standing) bool {
		return customer == "" || s.HostID.Customer() == customer // acme-eu-… also begins with acme-
	})
}

func (w *batchWriter) putStanding(s *messages.Standing) error {
	return w.put(textKey(prefixStanding, s.HostID), func(e *encoder) { e.standing(s) })
}
