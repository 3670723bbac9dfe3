package pbs

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"felhom.eu/agent/api2"
	"felhom.eu/messages"
)

// view is what one collection saw of a server.
type view struct {
	server   *server
	perms    permissions // nil when they are unknown
	stores   []*store
	groups   []messages.PBSGroup
	troubles []trouble

	mu     sync.Mutex // guards troubles and what follows
	seen   []sighting
	listed map[place]bool // whose groups were listed
	owned  []trouble      // where the token is shown its own groups only
	gone   error          // the server does not answer: more questions are in vain
}

// store is a datastore of it.
type store struct {
	messages.PBSDatastore
	closed     bool // there is no use in asking for its groups
	namespaces []string
}

func (v *view) note(t trouble) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.troubles = append(v.troubles, t)
	switch api2.KindOf(t.err) {
	case api2.KindUnreachable, api2.KindTimeout, api2.KindAuth:
		if t.err != nil && v.gone == nil {
			v.gone = t.err
		}
	}
}

// noteRows tells of rows that could not be read: what is in them is unknown.
func (v *view) noteRows(section, store string, bad []error) {
	if len(bad) > 0 {
		v.note(refused(section, store, "", bad[0]))
	}
}

// each calls f for all indexes below n, inWork at a time, until the server is
// gone. It reports how many were called.
func (v *view) each(n int, f func(i int)) (called int) {
	var wg sync.WaitGroup
	for range inWork {
		wg.Go(func() {
			for {
				v.mu.Lock()
				i := called
				if v.gone != nil || i == n {
					v.mu.Unlock()
					return
				}
				called++
				v.mu.Unlock()
				f(i)
			}
		})
	}
	wg.Wait()
	return called
}

// look reads the server.
func (s *server) look(ctx context.Context, now time.Time) *view {
	v := &view{server: s, listed: map[place]bool{}}
	list, bad, err := s.stores(ctx)
	if err != nil {
		v.note(refused("", "", "/datastore", err))
		return v
	}
	v.noteRows("", "", bad)
	if v.perms, err = s.permissions(ctx); err != nil {
		v.vouchless(len(list), err)
	} else {
		v.vouch(list)
	}
	v.readStores(ctx, now, list)
	verified := v.readVerifyJobs(ctx)
	v.readNamespaces(ctx)
	v.readGroups(ctx, verified)
	v.readSnapshots(ctx, now)
	return v
}

// vouchless says what lists are worth when the token's rights are unknown.
func (v *view) vouchless(stores int, err error) {
	t := refused("", "", "", err)
	if stores > 0 && v.gone == nil && api2.KindOf(err) != api2.KindAuth {
		t.status = messages.SectionOK
	}
	t.text = "permissions unknown: " + t.text
	v.note(t)
}

// vouch asks whether the token would have been shown every datastore. Without
// the right to, the server leaves it out and refuses nothing.
func (v *view) vouch(list []storeRow) {
	shown := func(name string) bool {
		return slices.ContainsFunc(list, func(r storeRow) bool { return string(r.Store) == name })
	}
	for _, name := range v.server.datastores {
		path := aclPath(name, "")
		switch {
		case shown(name):
		case v.perms.has(path, audit):
			v.note(trouble{status: messages.SectionFailed, store: name, text: "there is none of that name"})
		default:
			v.note(denied("", name, path, "token lacks "+audit+" on "+path+", or there is none of that name"))
		}
	}
	switch {
	case v.perms.all(audit) || len(v.server.datastores) > 0:
	case len(list) == 0:
		v.note(denied("", "", "/datastore", "token lacks "+audit+" on /datastore: it is shown no datastore, which does not mean that there is none"))
	default:
		v.note(trouble{status: messages.SectionOK, path: "/datastore",
			text: "token lacks " + audit + " on /datastore as a whole: datastores it may not see are missing"})
	}
}

// readStores makes an entry for each datastore that is wanted, in their order.
func (v *view) readStores(ctx context.Context, now time.Time, list []storeRow) {
	usage, bad, err := v.server.usage(ctx)
	if err != nil {
		v.note(refused(messages.SectionPBSDatastores, "", "/datastore", err))
	}
	v.noteRows(messages.SectionPBSDatastores, "", bad)
	figures := map[string]usageRow{}
	for _, u := range usage {
		figures[u.Store] = u
	}
	slices.SortFunc(list, func(a, b storeRow) int { return cmp.Compare(a.Store, b.Store) })
	for _, row := range list {
		name := string(row.Store)
		if !v.server.wanted(name) {
			continue
		}
		st := &store{PBSDatastore: messages.PBSDatastore{Server: v.server.name, Datastore: name,
			Maintenance: api2.OneLine(row.Maintenance)}}
		v.stores = append(v.stores, st)
		if err == nil {
			v.measure(st, figures[name], now)
		}
	}
}

// measure fills in the datastore's figures, or why there are none.
func (v *view) measure(st *store, u usageRow, now time.Time) {
	switch {
	case u.Error != "":
		st.closed, st.Error = true, api2.OneLine(u.Error)
		st.GroupsMissing = st.Error
		v.note(trouble{section: messages.SectionPBSSnapshots, status: messages.SectionFailed, store: st.Datastore, text: st.Error})
	case u.Total == nil || *u.Total == 0: // zeros in /admin/datastore/{store}/status
		path := aclPath(st.Datastore, "")
		t := denied(messages.SectionPBSDatastores, st.Datastore, path, "no figures: token lacks "+audit+" on "+path)
		if v.perms.has(path, audit) || v.perms.has(path, backup) {
			t.status, t.path, t.text = messages.SectionFailed, "", "the server gives no figures"
		}
		st.Error = t.text
		v.note(t)
	default:
		st.TotalBytes, st.UsedBytes, st.AvailableBytes = *u.Total, u.Used, u.Avail
		if full := seconds(u.FullDate).instant(); full != nil && full.After(now) { // 0 and the past are no estimate
			st.FullAt = full
		}
	}
}

// readVerifyJobs adds the jobs to their datastores, and tells when the newest
// run that reaches a namespace ended.
func (v *view) readVerifyJobs(ctx context.Context) (verified func(store, ns string) int64) {
	var jobs []verifyRow
	if v.gone == nil {
		list, bad, err := v.server.verifyJobs(ctx)
		if err != nil {
			v.note(refused(messages.SectionPBSDatastores, "", "/datastore", err))
		}
		v.noteRows(messages.SectionPBSDatastores, "", bad)
		jobs = list
	}
	slices.SortFunc(jobs, func(a, b verifyRow) int { return strings.Compare(a.ID, b.ID) })
	for _, st := range v.stores {
		for _, j := range jobs {
			if j.Store == st.Datastore {
				st.VerifyJobs = append(st.VerifyJobs, j.report())
			}
		}
	}
	return func(store, ns string) (end int64) {
		for _, j := range jobs {
			if j.Store == store && within(ns, j.NS) {
				end = max(end, j.LastEnd)
			}
		}
		return end
	}
}

func (j verifyRow) report() messages.PBSVerifyJob {
	return messages.PBSVerifyJob{ID: j.ID, Namespace: j.NS, Schedule: j.Schedule,
		LastAt: seconds(j.LastEnd).instant(), LastState: api2.OneLine(j.LastState), NextRunAt: seconds(j.NextRun).instant()}
}
