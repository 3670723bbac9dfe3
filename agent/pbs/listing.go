package pbs

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"felhom.eu/agent/api2"
	"felhom.eu/messages"
)

func (v *view) readNamespaces(ctx context.Context) {
	v.forStores(func(st *store) {
		list, bad, err := v.server.namespacesOf(ctx, st.Datastore)
		if err != nil {
			v.missing(st, refused(messages.SectionPBSSnapshots, st.Datastore, aclPath(st.Datastore, ""), err))
			return
		}
		v.missingRows(st, bad)
		for _, n := range list {
			if v.server.covers(string(n.NS)) {
				st.namespaces = append(st.namespaces, string(n.NS))
			}
		}
		slices.Sort(st.namespaces)
	})
}

// forStores calls f for the datastores that can be asked, until the server is
// gone; the groups of the rest are missing.
func (v *view) forStores(f func(*store)) {
	open := slices.DeleteFunc(slices.Clone(v.stores), func(st *store) bool { return st.closed })
	called := v.each(len(open), func(i int) { f(open[i]) })
	for _, st := range open[called:] {
		if st.GroupsMissing == "" {
			v.missing(st, trouble{section: messages.SectionPBSSnapshots, status: messages.SectionFailed, store: st.Datastore, text: "not asked, as the server stopped answering"})
		}
	}
}

// missing notes that groups of a datastore are not in the report.
func (v *view) missing(st *store, t trouble) {
	v.note(t)
	v.mu.Lock()
	defer v.mu.Unlock()
	st.GroupsMissing = cmp.Or(st.GroupsMissing, api2.OneLine(t.text))
}

// missingRows notes rows that could not be read: what is in them is unknown.
func (v *view) missingRows(st *store, bad []error) {
	if len(bad) > 0 {
		v.missing(st, refused(messages.SectionPBSSnapshots, st.Datastore, "", bad[0]))
	}
}

// readGroups lists the groups of every namespace.
func (v *view) readGroups(ctx context.Context, verified func(store, ns string) int64) {
	v.forStores(func(st *store) {
		for _, ns := range st.namespaces {
			path := aclPath(st.Datastore, ns)
			list, bad, err := v.server.groupsOf(ctx, st.Datastore, ns)
			if err != nil {
				v.missing(st, refused(messages.SectionPBSSnapshots, st.Datastore, path, err))
				if v.isGone() {
					return
				}
				continue
			}
			v.missingRows(st, bad)
			if v.perms != nil && !v.perms.has(path, audit) {
				v.ownOnly(st, path)
			}
			v.see(st.Datastore, ns, list, verified(st.Datastore, ns))
		}
	})
}

// ownOnly notes that the token may back up and not look: it is shown the groups
// that it owns.
func (v *view) ownOnly(st *store, path string) {
	text := "token lacks " + audit + " on " + path + ": it is shown its own groups only"
	v.mu.Lock()
	defer v.mu.Unlock()
	if st.GroupsMissing == "" {
		st.GroupsMissing = text
		v.owned = append(v.owned, denied(messages.SectionPBSSnapshots, st.Datastore, path, text))
	}
}

// judgeOwned says what it is worth to be shown one's own groups only: all there
// is to say of a host that makes its backups with this token, and nothing when
// the token owns none.
func (v *view) judgeOwned() {
	for _, t := range v.owned {
		if len(v.seen) > 0 {
			t.status = messages.SectionOK
		}
		v.note(t)
	}
}

func (v *view) isGone() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.gone != nil
}

func (v *view) see(store, ns string, list []groupRow, verified int64) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.listed[place{store, ns}] = true
	for _, row := range list {
		v.seen = append(v.seen, sighting{
			key:      groupKey{place{store, ns}, string(row.Type), string(row.ID)},
			row:      row,
			mark:     mark{row.Last, row.Count},
			verified: verified,
		})
	}
}

// readSnapshots lists the snapshots of the groups that are due, and reports
// every group that is known well enough.
func (v *view) readSnapshots(ctx context.Context, now time.Time) {
	v.judgeOwned()
	slices.SortFunc(v.seen, func(a, b sighting) int { return a.key.compare(b.key) })
	list := due(now, v.seen, v.server.known)
	learned := make([]known, len(list))
	v.each(len(list), func(i int) {
		g := list[i]
		snapshots, err := v.server.snapshotsOf(ctx, g.key)
		if err != nil {
			v.note(refused(messages.SectionPBSSnapshots, g.key.store, aclPath(g.key.store, g.key.ns), err))
			return
		}
		learned[i] = learn(now, g, snapshots)
	})
	v.forget()
	for i, g := range list {
		if k := learned[i]; k.facts.Count+k.facts.Unfinished > 0 {
			v.server.known[g.key] = k
		}
	}
	v.report()
}

// forget drops what is remembered of groups that are no longer. Those of a
// datastore or namespace that could not be asked are kept for its return.
func (v *view) forget() {
	there := make(map[groupKey]bool, len(v.seen))
	for _, g := range v.seen {
		there[g.key] = true
	}
	maps.DeleteFunc(v.server.known, func(k groupKey, _ known) bool { return !there[k] && v.gave(k.place) })
}

// gave reports whether the server said which groups there are at p, if only by
// no longer having it.
func (v *view) gave(p place) bool {
	i := slices.IndexFunc(v.stores, func(st *store) bool { return st.Datastore == p.store })
	if i < 0 || v.listed[p] {
		return true
	}
	st := v.stores[i]
	return st.namespaces != nil && !slices.Contains(st.namespaces, p.ns)
}

// report makes the groups' entries. A group that changed and could not be looked
// at since is left out: what was known of it is no longer true.
func (v *view) report() {
	unread := map[string]int{}
	for _, g := range v.seen {
		if k, ok := v.server.known[g.key]; ok && k.mark == g.mark {
			v.groups = append(v.groups, k.report(v.server.name, g))
		} else {
			unread[g.key.store]++
		}
	}
	for _, st := range v.stores {
		if n := unread[st.Datastore]; n > 0 {
			v.missing(st, trouble{section: messages.SectionPBSSnapshots, status: messages.SectionFailed, store: st.Datastore, later: true,
				text: fmt.Sprintf("%d of its groups not read yet", n)})
		}
	}
}
