package pbs

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"felhom.eu/agent/api2"
	"felhom.eu/agent/pbs/pbstest"
	"felhom.eu/messages"
)

// noon is when the tests' collections are made; backups are at night.
var noon = time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC)

func night(days int) time.Time { return noon.Add(-10*time.Hour).AddDate(0, 0, -days) }

func at(t time.Time) *time.Time { return &t }

// cellar starts a server with three datastores: keller with groups in three
// namespaces, leer with none, and usb, which is away.
func cellar(t testing.TB) *pbstest.Server {
	t.Helper()
	s := pbstest.Start(t)
	s.AddStore("keller", "wald", "wald/alt")
	s.AddStore("leer").FullDate = night(0).Unix() // in the past
	usb := s.AddStore("usb")
	usb.Error, usb.Maintenance = "offline maintenance mode: swapped", "type=offline,message=swapped"
	s.Change("keller", func(st *pbstest.Store) { st.FullDate = night(-30).Unix() })
	s.Put("keller", pbstest.Group{Type: "ct", ID: "110", Owner: pbstest.NodeOwner, Comment: "wiki", Snapshots: []pbstest.Snapshot{
		{At: night(0), Size: 6121344672, Verify: "ok"},
		{At: night(1), Size: 6119001700, Verify: "failed", Protected: true, Encrypted: true},
	}})
	s.Put("keller", pbstest.Group{Type: "vm", ID: "210", Owner: pbstest.NodeOwner, Snapshots: []pbstest.Snapshot{
		{At: night(1), Size: 137438954012},
		{At: night(0), Unfinished: true}, // what the server calls the last backup
	}})
	s.Put("keller", pbstest.Group{Type: "host", ID: "laptop-mira", Owner: "mira@pbs", Snapshots: []pbstest.Snapshot{
		{At: night(28), Size: 4096, Signed: true},
	}})
	s.Put("keller", pbstest.Group{NS: "wald", Type: "ct", ID: "110", Owner: "node@pbs!birke", Snapshots: []pbstest.Snapshot{
		{At: night(2), Size: 8192, Verify: "ok", Encrypted: true},
	}})
	s.SetVerifyJobs(
		pbstest.VerifyJob{ID: "v-1", Store: "keller", Schedule: "daily", LastState: "OK", LastEnd: night(0).Unix(), NextRun: night(-1).Unix()},
		pbstest.VerifyJob{ID: "v-2", Store: "keller", NS: "wald"},
	)
	return s
}

func config(s *pbstest.Server, token string) Config {
	return Config{Name: "attic", URL: s.URL, TokenID: token, Token: pbstest.Secret, CAFile: s.CAFile()}
}

// servers are configured ones that look at noon.
func servers(t *testing.T, configs ...Config) *Servers {
	t.Helper()
	all, err := New(configs)
	if err != nil {
		t.Fatal(err)
	}
	all.now = func() time.Time { return noon }
	for _, s := range all.all {
		t.Cleanup(s.HTTP.CloseIdleConnections)
	}
	return all
}

func collect(t *testing.T, all *Servers) *messages.Report {
	t.Helper()
	r := &messages.Report{}
	all.Add(t.Context(), r)
	return r
}

// group is the report's entry of a group in keller; nil without one.
func group(r *messages.Report, ns, kind, id string) *messages.PBSGroup {
	i := slices.IndexFunc(r.PBSSnapshots, func(g messages.PBSGroup) bool {
		return g.Datastore == "keller" && g.Namespace == ns && g.BackupType == kind && g.BackupID == id
	})
	if i < 0 {
		return nil
	}
	return &r.PBSSnapshots[i]
}

func datastore(t *testing.T, r *messages.Report, name string) messages.PBSDatastore {
	t.Helper()
	for _, d := range r.PBSDatastores {
		if d.Datastore == name {
			return d
		}
	}
	t.Fatalf("no datastore %s in %+v", name, r.PBSDatastores)
	return messages.PBSDatastore{}
}

// wantSection checks a section's status and what its detail has in it.
func wantSection(t *testing.T, r *messages.Report, name string, status messages.SectionStatus, texts ...string) {
	t.Helper()
	got := r.Sections[name]
	if got.Status != status {
		t.Errorf("%s: got %+v, want %s", name, got, status)
	}
	for _, text := range texts {
		if !strings.Contains(got.Detail, text) {
			t.Errorf("%s: got detail %q, want %q in it", name, got.Detail, text)
		}
	}
	if len(texts) == 0 && got.Detail != "" {
		t.Errorf("%s: got detail %q, want none", name, got.Detail)
	}
}

const (
	snapshotsSection  = messages.SectionPBSSnapshots
	datastoresSection = messages.SectionPBSDatastores
	ok                = messages.SectionOK
	denial            = messages.SectionDenied
	failed            = messages.SectionFailed
)

// Protects the reading of every field. The newest snapshot of vm/210 has not
// finished: the newest backup is the one before it, and it was never verified.
// ct/110 was backed up by two hosts: a namespace and an owner apart.
func TestEverythingIsRead(t *testing.T) {
	for _, token := range []string{pbstest.Auditor, pbstest.DatastoreAuditor} {
		for _, pbs4 := range []bool{false, true} {
			s := cellar(t)
			s.Turn(func(k *pbstest.Knobs) { k.PBS4 = pbs4 })
			r := collect(t, servers(t, config(s, token)))
			groups := messages.Items[messages.PBSGroup]{
				{Server: "attic", Datastore: "keller", BackupType: "ct", BackupID: "110", Owner: "node@pbs!kiefer", Comment: "wiki", Count: 2,
					NewestAt: at(night(0)), NewestSizeBytes: 6121344672, VerifiedAt: at(night(0)), VerifiedOK: true, Failed: 1, Protected: 1},
				{Server: "attic", Datastore: "keller", BackupType: "host", BackupID: "laptop-mira", Owner: "mira@pbs", Count: 1,
					NewestAt: at(night(28)), NewestSizeBytes: 4096},
				{Server: "attic", Datastore: "keller", BackupType: "vm", BackupID: "210", Owner: "node@pbs!kiefer", Count: 1, Unfinished: 1,
					NewestAt: at(night(1)), NewestSizeBytes: 137438954012},
				{Server: "attic", Datastore: "keller", Namespace: "wald", BackupType: "ct", BackupID: "110", Owner: "node@pbs!birke", Count: 1,
					NewestAt: at(night(2)), NewestSizeBytes: 8192, VerifiedAt: at(night(2)), VerifiedOK: true, Encrypted: true},
			}
			if diff := cmp.Diff(groups, r.PBSSnapshots); diff != "" {
				t.Errorf("%s: groups (-want +got):\n%s", token, diff)
			}
			stores := messages.Items[messages.PBSDatastore]{
				{Server: "attic", Datastore: "keller", TotalBytes: 1 << 40, UsedBytes: 1 << 39, AvailableBytes: 1 << 39, FullAt: at(night(-30)),
					VerifyJobs: []messages.PBSVerifyJob{
						{ID: "v-1", Schedule: "daily", LastAt: at(night(0)), LastState: "OK", NextRunAt: at(night(-1))},
						{ID: "v-2", Namespace: "wald"},
					}},
				{Server: "attic", Datastore: "leer", TotalBytes: 1 << 40, UsedBytes: 1 << 39, AvailableBytes: 1 << 39},
				{Server: "attic", Datastore: "usb", Maintenance: "type=offline,message=swapped", Error: "offline maintenance mode: swapped",
					GroupsMissing: "offline maintenance mode: swapped"},
			}
			if diff := cmp.Diff(stores, r.PBSDatastores); diff != "" {
				t.Errorf("%s: datastores (-want +got):\n%s", token, diff)
			}
			wantSection(t, r, snapshotsSection, failed, "attic: datastore usb: offline maintenance mode: swapped")
			wantSection(t, r, datastoresSection, ok)
		}
	}
}

// Protects from the worst misreading: a token that may see nothing is told of
// no datastores and no groups, and "no backups" is reported.
func TestMissingRightsAreNotNoBackups(t *testing.T) {
	for _, c := range []struct {
		token             string
		snapshots, stores messages.SectionStatus
		groups            int
		details           []string // of pbs_snapshots
	}{
		{pbstest.Auditor, ok, ok, 4, nil},
		{pbstest.Bare, denial, denial, 0, []string{"token lacks Datastore.Audit on /datastore"}},
		{pbstest.NotBelow, denial, denial, 0, []string{"token lacks Datastore.Audit on /datastore"}},
		{pbstest.OneStore, ok, ok, 4, []string{"on /datastore as a whole: datastores it may not see are missing"}},
		{pbstest.OneNamespace, ok, denial, 1, []string{"on /datastore as a whole"}},
		{pbstest.NodeOwner, ok, ok, 2, []string{"token lacks Datastore.Audit on /datastore/keller: it is shown its own groups only"}},
		{pbstest.Stranger, denial, ok, 0, []string{"token lacks Datastore.Audit on /datastore/keller: it is shown its own groups only"}},
		{"felhom@pbs!unknown", denial, denial, 0, []string{"auth: 401 authentication failed"}},
	} {
		t.Run(c.token, func(t *testing.T) {
			s := cellar(t)
			s.RemoveStore("usb")
			r := collect(t, servers(t, config(s, c.token)))
			wantSection(t, r, snapshotsSection, c.snapshots, c.details...)
			if got := r.Sections[datastoresSection].Status; got != c.stores {
				t.Errorf("pbs_datastores: got %+v, want %s", r.Sections[datastoresSection], c.stores)
			}
			if len(r.PBSSnapshots) != c.groups {
				t.Errorf("got %d groups, want %d: %+v", len(r.PBSSnapshots), c.groups, r.PBSSnapshots)
			}
		})
	}
}

// Protects a token of one namespace from reporting a datastore of 0 bytes, which
// is what the server shows it.
func TestNoFiguresAreNotZeroBytes(t *testing.T) {
	s := cellar(t)
	r := collect(t, servers(t, config(s, pbstest.OneNamespace)))
	if d := datastore(t, r, "keller"); d.TotalBytes != 0 || !strings.Contains(d.Error, "token lacks Datastore.Audit on /datastore/keller") {
		t.Errorf("got %+v, want an error instead of figures", d)
	}
}

// Protects an empty server from being taken for a denied one.
func TestNothingThereIsOK(t *testing.T) {
	r := collect(t, servers(t, config(pbstest.Start(t), pbstest.DatastoreAuditor)))
	wantSection(t, r, snapshotsSection, ok)
	wantSection(t, r, datastoresSection, ok)
	r = collect(t, servers(t))
	wantSection(t, r, snapshotsSection, messages.SectionNotConfigured)
	wantSection(t, r, datastoresSection, messages.SectionNotConfigured)
}

// Protects what is known of one server from the failure of another, and says
// which one failed.
func TestOneServerDownSpoilsTheSectionsOnly(t *testing.T) {
	good, down, powerless := cellar(t), cellar(t), cellar(t)
	good.RemoveStore("usb")
	down.Break(pbstest.Everywhere, pbstest.Garbage)
	second, third := config(down, pbstest.Auditor), config(powerless, pbstest.Bare)
	second.Name, third.Name = "barn", "shed"
	r := collect(t, servers(t, second, config(good, pbstest.Auditor), third))
	if len(r.PBSSnapshots) != 4 || len(r.PBSDatastores) != 2 {
		t.Errorf("got %d groups of %d datastores, want the good server's 4 of 2", len(r.PBSSnapshots), len(r.PBSDatastores))
	}
	wantSection(t, r, snapshotsSection, failed, "barn: GET /admin/datastore: unreachable", "; shed: token lacks")
	wantSection(t, r, datastoresSection, failed, "barn: GET /admin/datastore: unreachable", "; shed: token lacks")
	if n := down.Asked("/*") + down.Asked("/*/*"); n != 1 {
		t.Errorf("the server that is down was asked %d times, want 1", n)
	}
}

// Protects from reading a fault as "none": whatever is broken, the section says
// so, what is not broken is there, and the next collection has all.
func TestFaultsFailWhatTheySpoil(t *testing.T) {
	faults := map[string]pbstest.Fault{
		"truncate": pbstest.Truncate, "hang up": pbstest.HangUp, "garbage": pbstest.Garbage, "redirect": pbstest.Redirect("https://127.0.0.1:1"),
		"echo": pbstest.Echo, "text": pbstest.Refuse(400, "unable to open chunk store"), "404": pbstest.Refuse(404, "Path not found."),
		"null": pbstest.Body(`{"data":null}`), "row": pbstest.Body(`{"data":[{"store":"../keller","ns":"a//b","backup-type":7,"id":[],"files":7}]}`),
	}
	paths := map[string]struct{ snapshots, stores messages.SectionStatus }{
		"/admin/datastore":          {failed, failed},
		"/status/datastore-usage":   {ok, failed},
		"/admin/verify":             {ok, failed},
		"/admin/datastore/keller/*": {failed, ok},
		"/admin/datastore/*/groups": {failed, ok},
	}
	for pattern, want := range paths {
		for name, fault := range faults {
			t.Run(pattern+" "+name, func(t *testing.T) {
				s := cellar(t)
				s.RemoveStore("usb")
				all := servers(t, config(s, pbstest.Auditor))
				s.Break(pattern, fault)
				r := collect(t, all)
				gone := name == "garbage" && want.snapshots == ok // no more questions after it
				if got := r.Sections[snapshotsSection].Status; got != want.snapshots && !(gone && got == failed) {
					t.Errorf("snapshots: got %+v, want %s", r.Sections[snapshotsSection], want.snapshots)
				}
				if got := r.Sections[datastoresSection].Status; got != want.stores {
					t.Errorf("datastores: got %+v, want %s", r.Sections[datastoresSection], want.stores)
				}
				if want.snapshots == ok && !gone && len(r.PBSSnapshots) != 4 || want.stores == ok && len(r.PBSDatastores) != 2 {
					t.Errorf("got %d groups, %d datastores", len(r.PBSSnapshots), len(r.PBSDatastores))
				}
				s.Mend()
				r = collect(t, all)
				if wantSection(t, r, snapshotsSection, ok); len(r.PBSSnapshots) != 4 {
					t.Errorf("mended: got %d groups", len(r.PBSSnapshots))
				}
			})
		}
	}
}

// Protects a report from a server that stalls: its questions end in time, and
// the rest is not asked.
func TestAStalledServerIsGivenUp(t *testing.T) {
	s := cellar(t)
	all := servers(t, config(s, pbstest.Auditor))
	all.all[0].slow = 50 * time.Millisecond
	s.Break("/admin/datastore/*/groups", pbstest.Stall)
	r := collect(t, all)
	wantSection(t, r, snapshotsSection, failed, "timeout: no answer in time")
	if n := s.Asked("/admin/datastore/*/groups"); n > 2 {
		t.Errorf("asked a stalled server %d times, want those in flight", n)
	}
	if d := datastore(t, r, "keller"); d.GroupsMissing == "" || d.TotalBytes == 0 {
		t.Errorf("got %+v, want figures, and groups missing", d)
	}
}

// Protects a token whose rights are taken away while the agent runs: unknown,
// never "0 backups", although the groups are still remembered.
func TestARightLostIsDenied(t *testing.T) {
	s := cellar(t)
	s.RemoveStore("usb")
	all := servers(t, config(s, pbstest.DatastoreAuditor))
	collect(t, all)
	s.Grant(pbstest.DatastoreAuditor, nil)
	r := collect(t, all)
	wantSection(t, r, snapshotsSection, denial, "token lacks Datastore.Audit on /datastore")
	if len(r.PBSSnapshots) != 0 {
		t.Errorf("got %d groups from memory", len(r.PBSSnapshots))
	}
	s.Grant(pbstest.DatastoreAuditor, map[string][]string{"/datastore": {"Datastore.Audit"}, "/datastore/keller/wald": {}})
	r = collect(t, all)
	if wantSection(t, r, snapshotsSection, ok); group(r, "wald", "ct", "110") != nil || group(r, "", "ct", "110") == nil {
		t.Errorf("got %+v", r.PBSSnapshots)
	}
}

// Protects an empty list from being believed when nobody vouches for it.
func TestUnknownPermissionsVouchForNothing(t *testing.T) {
	s := cellar(t)
	s.RemoveStore("usb")
	s.Break("/access/permissions", pbstest.Refuse(400, "no"))
	wantSection(t, collect(t, servers(t, config(s, pbstest.Bare))), snapshotsSection, failed, "permissions unknown")
	r := collect(t, servers(t, config(s, pbstest.Auditor)))
	if wantSection(t, r, snapshotsSection, ok, "permissions unknown"); len(r.PBSSnapshots) != 4 {
		t.Errorf("got %d groups, want 4", len(r.PBSSnapshots))
	}
}

// Protects the operator's choice, and tells when it names what is not there.
func TestOnlyWhatIsNamedIsRead(t *testing.T) {
	s := cellar(t)
	cfg := config(s, pbstest.Auditor)
	cfg.Datastores, cfg.Namespaces = []string{"keller", "weg"}, []string{"wald"}
	r := collect(t, servers(t, cfg))
	wantSection(t, r, snapshotsSection, failed, "datastore weg: there is none of that name")
	if len(r.PBSSnapshots) != 1 || len(r.PBSDatastores) != 1 {
		t.Errorf("got %+v of %+v", r.PBSSnapshots, r.PBSDatastores)
	}
	if n := s.Asked("/admin/datastore/usb/*") + s.Asked("/admin/datastore/leer/*"); n != 0 {
		t.Errorf("asked %d times for what is not named", n)
	}
	for ns, in := range map[string]bool{"wald": true, "wald/alt": true, "waldweg": false, "": false} {
		if within(ns, "wald") != in || !within(ns, "") {
			t.Errorf("namespace %q within wald: want %v", ns, in)
		}
	}
	cfg = config(s, pbstest.OneStore)
	cfg.Datastores = []string{"leer"}
	wantSection(t, collect(t, servers(t, cfg)), snapshotsSection, denial, "datastore leer: token lacks Datastore.Audit on /datastore/leer")
}

// Protects the hub's decoder from what it refuses, and the report's readers from
// names that are none.
func TestReportIsOneTheHubTakes(t *testing.T) {
	s := cellar(t)
	s.Put("keller", pbstest.Group{Type: "ct", ID: "../../x;reboot", Owner: "node@pbs!kiefer", Snapshots: []pbstest.Snapshot{{At: night(0)}}})
	s.Put("keller", pbstest.Group{Type: "ct", ID: "111", Owner: "a\nb", Comment: "\x1b[31m" + strings.Repeat("x", 1000), Snapshots: []pbstest.Snapshot{{At: night(0)}}})
	r := collect(t, servers(t, config(s, pbstest.Auditor)))
	if g := group(r, "", "ct", "111"); g == nil || g.Owner != "a b" || len(g.Comment) > 500 || strings.Contains(g.Comment, "\x1b") {
		t.Errorf("got %+v, want one short clean line each", g)
	}
	wantSection(t, r, snapshotsSection, failed, "is no name")
	for _, g := range r.PBSSnapshots {
		if strings.Contains(g.BackupID, "/") {
			t.Errorf("got %+v", g)
		}
	}
	r.HostID, r.ReportedAt, r.AgentVersion = "acme-7f3a90c1", noon, "dev"
	r.Host.Node = "pve1"
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	if back, err := messages.Decode(b); err != nil || len(back.PBSSnapshots) != len(r.PBSSnapshots) || len(back.PBSDatastores) != 3 {
		t.Errorf("got %v", err)
	}
}

// Protects the whole report: a straight line through a datastore that hardly grows
// is full in years that JSON does not know, and such a time cannot be encoded.
func TestTimesBeyondJSONCostNoReport(t *testing.T) {
	s := cellar(t)
	const beyond = 1 << 50
	s.Change("leer", func(st *pbstest.Store) { st.FullDate = beyond })
	s.SetVerifyJobs(pbstest.VerifyJob{ID: "v-1", Store: "leer", LastEnd: beyond, NextRun: beyond})
	s.Put("keller", pbstest.Group{Type: "ct", ID: "110", Owner: "o@pbs", Snapshots: []pbstest.Snapshot{{At: time.Unix(beyond, 0), Size: 1}}})
	r := collect(t, servers(t, config(s, pbstest.Auditor)))
	if d := datastore(t, r, "leer"); d.FullAt != nil || d.VerifyJobs[0].LastAt != nil || d.VerifyJobs[0].NextRunAt != nil {
		t.Errorf("got %+v", d)
	}
	wantSection(t, r, snapshotsSection, failed, "is no time of a backup")
	s.Break("/admin/datastore/keller/snapshots", pbstest.Body(`{"data":[{}]}`))
	wantSection(t, collect(t, servers(t, config(s, pbstest.Auditor))), snapshotsSection, failed, "a snapshot has no backup-time")
	if _, err := json.Marshal(r); err != nil {
		t.Error(err)
	}
}

// Protects the hub from a report that it would refuse as too large.
func TestMoreGroupsThanAReportHolds(t *testing.T) {
	s := cellar(t)
	all := servers(t, config(s, pbstest.Auditor))
	for i := range maxGroups + 1 {
		id := fmt.Sprint(100 + i)
		s.Put("leer", pbstest.Group{Type: "vm", ID: id, Owner: "o@pbs", Snapshots: []pbstest.Snapshot{{At: night(0), Size: 1}}})
		all.all[0].known[groupKey{place{"leer", ""}, "vm", id}] = known{mark: mark{night(0).Unix(), 1}, readAt: noon}
	}
	r := collect(t, all)
	if wantSection(t, r, snapshotsSection, failed, "a report holds 4096"); len(r.PBSSnapshots) != 0 {
		t.Errorf("got %d groups", len(r.PBSSnapshots))
	}
}

// Protects the server's backups from its watcher: two questions at once.
func TestTwoInFlightAtMost(t *testing.T) {
	s := cellar(t)
	s.Turn(func(k *pbstest.Knobs) { k.Latency = 2 * time.Millisecond })
	collect(t, servers(t, config(s, pbstest.Auditor)))
	if got := s.MaxInFlight(); got != 2 {
		t.Errorf("%d requests in flight, want 2", got)
	}
}

// Protects the token: it is in nothing that is said, and goes to no server that
// did not prove itself.
func TestSecretIsNeverSeen(t *testing.T) {
	var said strings.Builder
	s := cellar(t)
	for _, token := range []string{pbstest.Auditor, "felhom@pbs!unknown"} {
		for _, fault := range []pbstest.Fault{nil, pbstest.Echo, pbstest.Garbage, pbstest.Refuse(403, pbstest.Secret), pbstest.Body(pbstest.Secret)} {
			for _, pattern := range []string{"/version", "/admin/*/*/*"} {
				s.Mend()
				if fault != nil {
					s.Break(pattern, fault)
				}
				all := servers(t, config(s, token))
				fmt.Fprintf(&said, "%+v %+v %+v\n", collect(t, all), all.Describe(t.Context()), all.all[0])
			}
		}
	}
	if strings.Contains(said.String(), pbstest.Secret) {
		t.Error("the secret is in what is said")
	}
}

// Protects from a renewed certificate that looks like an outage, and from one
// that nothing vouches for.
func TestCertificates(t *testing.T) {
	s, other := cellar(t), cellar(t)
	s.RemoveStore("usb")
	pinned := Config{Name: "attic", URL: s.URL, TokenID: pbstest.Auditor, Token: pbstest.Secret, Fingerprint: s.Fingerprint()}
	wantSection(t, collect(t, servers(t, pinned)), snapshotsSection, ok)
	pinned.Fingerprint = strings.Repeat("ab", 32)
	wantSection(t, collect(t, servers(t, pinned)), snapshotsSection, failed, "it was renewed, or this is another machine")
	pinned.Fingerprint = ""
	wantSection(t, collect(t, servers(t, pinned)), snapshotsSection, failed, "certificate not trusted")
	if other.Asked("/*/*") != 0 {
		t.Error("asked another server")
	}
}

// Protects from a configuration that cannot work; the errors show no secret.
func TestConfigurationIsChecked(t *testing.T) {
	good := Config{Name: "attic", TokenID: "felhom@pbs!agent", Token: pbstest.Secret}
	all, err := New([]Config{good})
	if err != nil || all.all[0].Base != DefaultURL {
		t.Fatalf("got %v", err)
	}
	if got := all.all[0].Header.Reveal(); got != "PBSAPIToken=felhom@pbs!agent:5c0ffee5-dead-4bad-8bad-ca11ab1e5ec7" {
		t.Errorf("got header %q, want a colon before the secret", got)
	}
	for want, change := range map[string]func(*Config){
		"attic: url":         func(c *Config) { c.URL = "http://localhost:8007" },
		"attic: token id":    func(c *Config) { c.TokenID = "felhom@pbs" },
		"attic: token: want": func(c *Config) { c.Token = pbstest.Secret + " " },
		"attic: token: want the secret that the server showed once, without blanks and %": func(c *Config) { c.Token = pbstest.Secret + "%41" },
		"attic: fingerprint": func(c *Config) { c.Fingerprint = "AB:CD" },
	} {
		cfg := good
		change(&cfg)
		_, err := New([]Config{cfg})
		if err == nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), pbstest.Secret) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// Protects from a token that is refused being tried for each question: every try
// costs 3 s.
func TestRefusedTokenIsNotHammered(t *testing.T) {
	s := cellar(t)
	all := servers(t, config(s, "felhom@pbs!unknown"))
	for range 3 {
		wantSection(t, collect(t, all), snapshotsSection, denial, "401 authentication failed")
	}
	if n := len(s.AskedAll()); n != 1 {
		t.Errorf("asked %d times, want 1", n)
	}
	all.all[0].Now = func() time.Time { return time.Now().Add(api2.AuthBackOff) }
	collect(t, all)
	if n := len(s.AskedAll()); n != 1 {
		t.Errorf("asked %d times after the pause, want 1", n)
	}
}
