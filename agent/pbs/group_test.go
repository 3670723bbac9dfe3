package pbs

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"felhom.eu/agent/api2"
	"felhom.eu/agent/pbs/pbstest"
)

// listings are the snapshot listings among the requests since the last call.
func listings(s *pbstest.Server) []string {
	return slices.DeleteFunc(s.AskedAll(), func(target string) bool { return !strings.Contains(target, "/snapshots?") })
}

// later moves the clock of the collections.
func (s *Servers) later(d time.Duration) {
	before := s.now()
	s.now = func() time.Time { return before.Add(d) }
}

// Protects the figures from a snapshot list's order, which is the directory's;
// from taking "never verified" for "failed", "signed" for "encrypted", and what
// has no readable manifest for a backup.
func TestWhatSnapshotsSay(t *testing.T) {
	size := func(n uint64) *uint64 { return &n }
	state := func(s string) *struct {
		State string `json:"state"`
	} {
		return &struct {
			State string `json:"state"`
		}{s}
	}
	files := func(mode string) []fileRow {
		return []fileRow{{"root.pxar.didx", mode}, {manifest, "sign-only"}, {"client.log.blob", ""}}
	}
	k := learn(noon, sighting{mark: mark{1, 7}}, []snapshotRow{
		{Time: 300, Size: size(30), Files: files("sign-only")},
		{Time: 100, Size: size(10), Files: files("encrypt"), Verification: state("ok")},
		{Time: 600, Files: []fileRow{{"qemu-server.conf.blob", ""}}, Protected: true},
		{Time: 200, Size: size(20), Files: files("none"), Verification: state("failed"), Protected: true},
		{Time: 500, Files: []fileRow{{"root.pxar.didx", ""}, {manifest, ""}}},
		{Time: 400, Size: size(40), Files: []fileRow{{"root.pxar.didx", "encrypt"}}},
		{Time: 250, Size: size(25), Files: files("none"), Verification: state("later")},
	})
	f := k.facts
	if f.Count != 4 || f.Unfinished != 3 || f.Failed != 1 || f.Protected != 2 {
		t.Errorf("got %d good, %d unfinished, %d failed, %d protected; want 4, 3, 1, 2", f.Count, f.Unfinished, f.Failed, f.Protected)
	}
	if f.NewestAt.Unix() != 300 || f.NewestSizeBytes != 30 || f.Encrypted {
		t.Errorf("got newest %v of %d bytes, encrypted %v; want the one at 300, which is signed only", f.NewestAt, f.NewestSizeBytes, f.Encrypted)
	}
	if f.VerifiedAt.Unix() != 200 || f.VerifiedOK {
		t.Errorf("got verified %v %v, want the newest that was verified, at 200, failed", f.VerifiedAt, f.VerifiedOK)
	}
	if k.openAt.Unix() != 600 {
		t.Errorf("got open since %v, want 600", k.openAt)
	}
}

// Protects the server's disks: a group whose row is as before costs nothing, and
// one that changed costs its own listing only.
func TestOnlyChangedGroupsAreListed(t *testing.T) {
	s := cellar(t)
	all := servers(t, config(s, pbstest.Auditor))
	collect(t, all)
	s.Put("keller", pbstest.Group{Type: "vm", ID: "210", Owner: pbstest.NodeOwner, Snapshots: []pbstest.Snapshot{{At: night(1), Size: 7}}})
	collect(t, all)
	listings(s)
	for range 3 {
		all.later(15 * time.Minute)
		if collect(t, all); len(listings(s)) != 0 {
			t.Error("groups were listed that had not changed")
		}
	}
	s.Put("keller", pbstest.Group{NS: "wald", Type: "ct", ID: "110", Owner: "node@pbs!birke", Snapshots: []pbstest.Snapshot{
		{At: night(2), Size: 8192}, {At: night(0), Size: 9999}}})
	r := collect(t, all)
	if got := listings(s); len(got) != 1 || got[0] != "/admin/datastore/keller/snapshots?backup-id=110&backup-type=ct&ns=wald" {
		t.Errorf("got listings %v, want that of the group that changed, in its namespace", got)
	}
	if g := group(r, "wald", "ct", "110"); g.Count != 2 || *g.NewestAt != night(0) {
		t.Errorf("got %+v", g)
	}
}

// Protects from a backup that runs for ever: when it finishes, neither the count
// nor the time of the last backup changes.
func TestTheEndOfABackupIsNoticed(t *testing.T) {
	s := cellar(t)
	all := servers(t, config(s, pbstest.Auditor))
	if g := group(collect(t, all), "", "vm", "210"); g.Unfinished != 1 || *g.NewestAt != night(1) {
		t.Fatalf("got %+v, want one that runs, and the one before it", g)
	}
	before, _, _ := all.all[0].groupsOf(t.Context(), "keller", "")
	s.Put("keller", pbstest.Group{Type: "vm", ID: "210", Owner: pbstest.NodeOwner, Snapshots: []pbstest.Snapshot{
		{At: night(1), Size: 137438954012}, {At: night(0), Size: 7}}})
	if after, _, _ := all.all[0].groupsOf(t.Context(), "keller", ""); !slices.Equal(before, after) {
		t.Fatalf("the list of groups changed: %+v, %+v", before, after)
	}
	if g := group(collect(t, all), "", "vm", "210"); g.Unfinished != 0 || *g.NewestAt != night(0) {
		t.Errorf("got %+v, want it finished", g)
	}
	s.Put("keller", pbstest.Group{Type: "vm", ID: "211", Owner: pbstest.NodeOwner, Snapshots: []pbstest.Snapshot{{At: night(3), Unfinished: true}}})
	collect(t, all)
	listings(s)
	if collect(t, all); len(listings(s)) != 0 {
		t.Error("a snapshot that broke off days ago is looked at each time")
	}
}

// Protects from a verification that is never heard of: it changes nothing in the
// list of groups. The end of a job that reaches the group tells.
func TestAVerificationIsNoticed(t *testing.T) {
	s := cellar(t)
	all := servers(t, config(s, pbstest.Auditor))
	collect(t, all)
	s.Put("keller", pbstest.Group{NS: "wald", Type: "ct", ID: "110", Owner: "node@pbs!birke", Snapshots: []pbstest.Snapshot{{At: night(2), Size: 8192, Verify: "failed"}}})
	collect(t, all)
	listings(s)
	s.SetVerifyJobs(pbstest.VerifyJob{ID: "v-2", Store: "keller", NS: "wald", LastState: "verification failed - please check the log for details", LastEnd: noon.Unix()},
		pbstest.VerifyJob{ID: "v-1", Store: "keller", LastEnd: night(0).Unix()}, pbstest.VerifyJob{ID: "v-3", Store: "leer", LastEnd: noon.Unix()})
	r := collect(t, all)
	if g := group(r, "wald", "ct", "110"); g.VerifiedOK || g.Failed != 1 {
		t.Errorf("got %+v, want failed", g)
	}
	for _, l := range listings(s) {
		if !strings.Contains(l, "ns=wald") && !strings.Contains(l, "backup-id=210") {
			t.Errorf("listed %s, which the job does not reach", l)
		}
	}
}

// Protects from what no list tells, a verification by hand: every group is
// looked at now and then, but not all at once.
func TestEveryGroupIsRefreshed(t *testing.T) {
	s := pbstest.Start(t)
	s.AddStore("keller")
	const groups = 40
	for i := range groups {
		s.Put("keller", pbstest.Group{Type: "ct", ID: fmt.Sprint(100 + i), Owner: "o@pbs", Snapshots: []pbstest.Snapshot{{At: night(0), Size: 1}}})
	}
	all := servers(t, config(s, pbstest.Auditor))
	collect(t, all)
	all.later(refreshPeriod - time.Minute)
	listings(s)
	if collect(t, all); len(listings(s)) != 0 {
		t.Error("refreshed too early")
	}
	all.later(time.Minute)
	refreshed := map[string]bool{}
	for cycle := range 2 * refreshShare {
		collect(t, all)
		got := listings(s)
		if len(got) > groups/refreshShare+1 {
			t.Errorf("cycle %d refreshed %d of %d groups at once", cycle, len(got), groups)
		}
		for _, l := range got {
			if refreshed[l] {
				t.Errorf("%s was refreshed twice", l)
			}
			refreshed[l] = true
		}
	}
	if len(refreshed) != groups {
		t.Errorf("refreshed %d groups, want %d", len(refreshed), groups)
	}
}

// Protects a report from a large server, and the server from the first report:
// the groups are read in portions, and until all are, the section is no "ok".
func TestAColdStartIsBounded(t *testing.T) {
	s := pbstest.Start(t)
	s.AddStore("keller")
	for i := range maxListings + 10 {
		s.Put("keller", pbstest.Group{Type: "ct", ID: fmt.Sprint(100 + i), Owner: "o@pbs", Snapshots: []pbstest.Snapshot{{At: night(0), Size: 1}}})
	}
	all := servers(t, config(s, pbstest.Auditor))
	r := collect(t, all)
	wantSection(t, r, snapshotsSection, failed, "10 of its groups not read yet")
	if len(r.PBSSnapshots) != maxListings || datastore(t, r, "keller").GroupsMissing == "" {
		t.Errorf("got %d groups, %+v", len(r.PBSSnapshots), r.PBSDatastores)
	}
	r = collect(t, all)
	if wantSection(t, r, snapshotsSection, ok); len(r.PBSSnapshots) != maxListings+10 {
		t.Errorf("got %d groups", len(r.PBSSnapshots))
	}
}

// Protects from old truth: a group that changed and cannot be looked at is left
// out, not told as it was.
func TestWhatChangedAndCannotBeReadIsLeftOut(t *testing.T) {
	s := cellar(t)
	s.RemoveStore("usb")
	all := servers(t, config(s, pbstest.Auditor))
	collect(t, all)
	s.Put("keller", pbstest.Group{Type: "ct", ID: "110", Owner: pbstest.NodeOwner, Snapshots: []pbstest.Snapshot{{At: night(0), Size: 1}}})
	s.Break("/admin/datastore/keller/snapshots", pbstest.Refuse(400, "unable to read"))
	r := collect(t, all)
	if wantSection(t, r, snapshotsSection, failed, "400 unable to read", "1 of its groups not read yet"); group(r, "", "ct", "110") != nil || group(r, "wald", "ct", "110") == nil {
		t.Errorf("got %+v", r.PBSSnapshots)
	}
}

// Protects the server that comes back from being read anew, and the memory from
// groups that are no longer.
func TestMemoryOutlivesAnOutageAndForgetsWhatIsGone(t *testing.T) {
	s := cellar(t)
	s.Put("keller", pbstest.Group{Type: "vm", ID: "210", Owner: pbstest.NodeOwner, Snapshots: []pbstest.Snapshot{{At: night(1), Size: 7}}})
	all := servers(t, config(s, pbstest.Auditor))
	collect(t, all)
	for pattern, fault := range map[string]pbstest.Fault{
		"/admin/datastore": pbstest.Refuse(400, "no"), "/admin/datastore/keller/namespace": pbstest.Refuse(400, "no"),
		"/admin/datastore/keller/groups": pbstest.Refuse(400, "no"), "/access/*": pbstest.Garbage,
	} {
		s.Break(pattern, fault)
		collect(t, all)
		s.Mend()
		listings(s)
		if r := collect(t, all); len(r.PBSSnapshots) != 4 || len(listings(s)) != 0 {
			t.Errorf("after the failure of %s: got %d groups, read anew", pattern, len(r.PBSSnapshots))
		}
	}
	s.Change("keller", func(st *pbstest.Store) { st.Error = "datastore 'keller' is not mounted" })
	collect(t, all)
	s.Change("keller", func(st *pbstest.Store) { st.Error = "" })
	listings(s)
	if r := collect(t, all); len(r.PBSSnapshots) != 4 || len(listings(s)) != 0 {
		t.Error("after it was away: read anew")
	}
	s.RemoveGroup("keller", "", "ct", "110")
	if r := collect(t, all); len(r.PBSSnapshots) != 3 || len(all.all[0].known) != 3 {
		t.Errorf("got %d groups, %d in memory, want 3", len(r.PBSSnapshots), len(all.all[0].known))
	}
	s.RemoveStore("keller")
	if collect(t, all); len(all.all[0].known) != 0 {
		t.Errorf("%d groups of a removed datastore in memory", len(all.all[0].known))
	}
}

// Protects the figures of a fleet's ordinary server: after the first collection,
// what one costs. 3 datastores with 5 namespaces beside the roots, 60 groups of
// 50 snapshots, one cycle every 15 minutes for half a day, with a night of backups.
func TestRequestsPerCycle(t *testing.T) {
	s := pbstest.Start(t)
	stores := map[string][]string{"a": {"x", "y"}, "b": {"x", "x/z"}, "c": {"x"}}
	night0 := func(i, days int) time.Time { return night(days).Add(time.Duration(i) * time.Minute) }
	n := 0
	put := func(days int) {
		n = 0
		for _, store := range slices.Sorted(maps.Keys(stores)) {
			for _, ns := range append(stores[store], "") {
				for k := range 60/8 + 1 {
					if n++; n > 60 {
						continue
					}
					g := pbstest.Group{NS: ns, Type: "ct", ID: fmt.Sprint(100 + k), Owner: "o@pbs"}
					for d := range 50 {
						g.Snapshots = append(g.Snapshots, pbstest.Snapshot{At: night0(k, days+d), Size: 1 << 30, Verify: "ok"})
					}
					s.Put(store, g)
				}
			}
		}
	}
	for store, namespaces := range stores {
		s.AddStore(store, namespaces...)
	}
	put(0)
	all := servers(t, config(s, pbstest.Auditor))
	collect(t, all)
	cold := len(s.AskedAll())
	var cycles []int
	for i := range 48 {
		all.later(15 * time.Minute)
		if i == 20 {
			put(-1)
		}
		r := collect(t, all)
		if wantSection(t, r, snapshotsSection, ok); len(r.PBSSnapshots) != 60 {
			t.Fatalf("got %d groups", len(r.PBSSnapshots))
		}
		cycles = append(cycles, len(s.AskedAll()))
	}
	slices.Sort(cycles)
	median, most := cycles[len(cycles)/2], cycles[len(cycles)-1]
	t.Logf("cold %d requests; warm: least %d, median %d, 90 %% %d, most %d", cold, cycles[0], median, cycles[len(cycles)*9/10], most)
	if cycles[0] > 16 || median > 25 || most > 16+60 {
		t.Errorf("least %d, median %d, most %d requests a cycle; want at most 16, 25, 76", cycles[0], median, most)
	}
}

// Protects from the trap of the header: Proxmox VE's "=" is refused.
func TestTheFakeIsAsStrict(t *testing.T) {
	s := cellar(t)
	one := servers(t, config(s, pbstest.Auditor)).all[0]
	good := "PBSAPIToken=" + pbstest.Auditor + ":" + pbstest.Secret
	for _, c := range []struct {
		method, target, token string
		status                int
		body                  string
	}{
		{"GET", "/version", good, 200, `"version":"4.1"`},
		{"GET", "/version", strings.Replace(good, "=", " ", 1), 200, ""},
		{"GET", "/version", strings.Replace(good, ":", "=", 1), 401, "authentication failed"},
		{"GET", "/version", strings.Replace(good, "PBS", "PVE", 1), 401, "authentication failed"},
		{"GET", "/version", "", 401, "authentication failed"},
		{"POST", "/admin/datastore", good, 404, "not found"},
		{"GET", "/nosuch", good, 404, "Path '/api2/json/nosuch' not found."},
		{"GET", "/admin/datastore?store=keller", good, 400, "parameter verification failed"},
		{"GET", "/admin/datastore/keller/groups?ns=weg", good, 400, "no such namespace 'weg'"},
		{"GET", "/admin/datastore/weg/groups", good, 400, "no such datastore 'weg'"},
		{"GET", "/admin/datastore/usb/groups", good, 400, "offline maintenance mode: swapped"},
		{"GET", "/admin/datastore/keller/groups", "PBSAPIToken=" + pbstest.OneNamespace + ":" + pbstest.Secret, 403,
			"permission check failed - missing Datastore.Audit|Datastore.Backup on /datastore/keller"},
		{"GET", "/admin/datastore/keller/namespace", "PBSAPIToken=" + pbstest.Bare + ":" + pbstest.Secret, 403, "permission check failed"},
		{"GET", "/admin/datastore/keller/namespace", "PBSAPIToken=" + pbstest.OneNamespace + ":" + pbstest.Secret, 200, `{"ns":"wald/alt"}`},
		{"GET", "/admin/datastore/keller/snapshots?backup-type=ct&backup-id=9", good, 200, `{"data":[]}`},
		{"GET", "/access/permissions", "PBSAPIToken=" + pbstest.Bare + ":" + pbstest.Secret, 200, `{"data":{}}`},
	} {
		req, err := http.NewRequestWithContext(t.Context(), c.method, s.URL+"/api2/json"+c.target, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", c.token)
		resp, err := one.HTTP.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body := make([]byte, 1<<10)
		n, _ := resp.Body.Read(body)
		resp.Body.Close()
		if resp.StatusCode != c.status || !strings.Contains(string(body[:n]), c.body) || !strings.Contains(resp.Header.Get("Content-Type"), "json") {
			t.Errorf("%s %s: got %s %q", c.method, c.target, resp.Status, body[:n])
		}
	}
	// The fold of list_groups: an unfinished snapshot may be the last backup, or hide it.
	s.Put("keller", pbstest.Group{Type: "vm", ID: "1", Owner: "o@pbs", Snapshots: []pbstest.Snapshot{{At: night(3), Size: 1}, {At: night(0), Unfinished: true}, {At: night(2), Size: 1}}})
	list, _, err := one.groupsOf(t.Context(), "keller", "")
	if err != nil || list[len(list)-1].Last != night(2).Unix() {
		t.Errorf("got %+v, %v", list, err)
	}
}

// Protects from a list of troubles that says nothing of a refusal's kind.
func TestRefusalsArePlainText(t *testing.T) {
	s := cellar(t)
	s.Break("/version", pbstest.Refuse(403, "permission check failed - missing Sys.Audit on /x"))
	_, err := servers(t, config(s, pbstest.Auditor)).all[0].version(t.Context())
	if api2.KindOf(err) != api2.KindForbidden || !strings.HasSuffix(err.Error(), "403 permission check failed - missing Sys.Audit on /x") {
		t.Errorf("got %v", err)
	}
	s.Break("/version", pbstest.Refuse(502, ""))
	if _, err = servers(t, config(s, pbstest.Auditor)).all[0].version(t.Context()); !strings.HasSuffix(err.Error(), "502 Bad Gateway") {
		t.Errorf("got %v", err)
	}
}
