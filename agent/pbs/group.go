package pbs

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"felhom.eu/agent/api2"
	"felhom.eu/messages"
)

const (
	refreshPeriod = 6 * time.Hour  // after which a group is listed again although nothing says that it changed
	refreshShare  = 8              // of all groups, one in so many is refreshed at once, so that not all are
	maxListings   = 200            // groups whose snapshots are listed in one collection
	openPeriod    = 24 * time.Hour // an unfinished snapshot is a running backup; an older one is broken
	manifest      = "index.json.blob"
)

type (
	// place is a namespace of a datastore.
	place struct{ store, ns string }
	// groupKey names a group on its server.
	groupKey struct {
		place
		kind, id string
	}
)

func (k groupKey) compare(o groupKey) int {
	return cmp.Or(strings.Compare(k.store, o.store), strings.Compare(k.ns, o.ns),
		strings.Compare(k.kind, o.kind), strings.Compare(k.id, o.id))
}

// sighting is a group as the list of groups shows it.
type sighting struct {
	key      groupKey
	row      groupRow
	mark     mark
	verified int64 // end of the newest run of a verify job that reaches the group
}

// mark changes when snapshots come or go. It does not when a backup finishes:
// both figures count the unfinished one from its start (proxmox-backup,
// api2/admin/datastore.rs, list_groups). Nor does it when one is verified.
type mark struct {
	last  int64
	count uint64
}

// known is what the last listing of a group's snapshots said.
type known struct {
	mark     mark
	verified int64
	readAt   time.Time
	openAt   time.Time // of the newest unfinished snapshot; zero without one
	facts    messages.PBSGroup
}

// due picks the groups whose snapshots are to be listed now: those unknown or
// changed, those in which a backup runs, those that a verify job went through, and
// the oldest of those not looked at for refreshPeriod. They are bounded; the rest
// is left for the next time.
func due(now time.Time, seen []sighting, remembered map[groupKey]known) []sighting {
	var changed, verified, old []sighting
	for _, g := range seen {
		k, ok := remembered[g.key]
		switch {
		case !ok || k.mark != g.mark || now.Sub(k.openAt) < openPeriod:
			changed = append(changed, g)
		case k.verified != g.verified:
			verified = append(verified, g)
		case now.Sub(k.readAt) >= refreshPeriod:
			old = append(old, g)
		}
	}
	for _, list := range [][]sighting{changed, verified, old} {
		slices.SortStableFunc(list, func(a, b sighting) int {
			return remembered[a.key].readAt.Compare(remembered[b.key].readAt)
		})
	}
	old = old[:min(len(old), len(seen)/refreshShare+1)]
	list := slices.Concat(changed, verified, old)
	return list[:min(len(list), maxListings)]
}

// learn makes of a group's snapshots what is remembered of it.
func learn(now time.Time, g sighting, snapshots []snapshotRow) known {
	k := known{mark: g.mark, verified: g.verified, readAt: now}
	slices.SortFunc(snapshots, func(a, b snapshotRow) int { return cmp.Compare(b.Time, a.Time) }) // newest first
	for _, s := range snapshots {
		k.add(s)
	}
	return k
}

// add counts one snapshot; the newer ones were added before it.
func (k *known) add(s snapshotRow) {
	at := time.Unix(int64(s.Time), 0).UTC()
	f := &k.facts
	if s.Protected {
		f.Protected++
	}
	if !s.finished() {
		f.Unfinished++
		if k.openAt.IsZero() {
			k.openAt = at
		}
		return
	}
	f.Count++
	if f.NewestAt == nil {
		f.NewestAt, f.NewestSizeBytes, f.Encrypted = &at, *s.Size, s.encrypted()
	}
	state := ""
	if s.Verification != nil {
		state = s.Verification.State
	}
	if state == "failed" {
		f.Failed++
	}
	if f.VerifiedAt == nil && (state == "ok" || state == "failed") {
		f.VerifiedAt, f.VerifiedOK = &at, state == "ok"
	}
}

// finished reports whether the snapshot has a manifest that the server could
// read. Without, its backup runs or broke off, and nothing can be restored.
func (s *snapshotRow) finished() bool {
	return s.Size != nil && slices.ContainsFunc(s.Files, func(f fileRow) bool { return f.Name == manifest })
}

// encrypted looks at the files: a snapshot that is only signed has a key's
// fingerprint, too.
func (s *snapshotRow) encrypted() bool {
	return slices.ContainsFunc(s.Files, func(f fileRow) bool { return f.CryptMode == "encrypt" })
}

// report is the group as reports show it.
func (k known) report(server string, g sighting) messages.PBSGroup {
	r := k.facts
	r.Server, r.Datastore, r.Namespace = server, g.key.store, g.key.ns
	r.BackupType, r.BackupID = g.key.kind, g.key.id
	r.Owner, r.Comment = api2.OneLine(g.row.Owner), api2.OneLine(g.row.Comment)
	return r
}
