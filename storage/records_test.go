package storage

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"felhom.eu/messages"
)

func ptr[T any](v T) *T { return &v }

var (
	sampleCustomer = messages.Customer{ID: "acme", DisplayName: "Ácme Ltd", Blocked: true, CreatedAt: start}
	sampleHost     = messages.Host{ID: "acme-0000000a", CustomerID: "acme", CreatedAt: start, PollIntervalSeconds: 300, Site: "Győr",
		DesiredGeneration: 7, Desired: json.RawMessage(`{"a":1}`), DRRecord: json.RawMessage(`[]`)}
	sampleState = messages.HostState{ID: "acme-0000000a", Phase: messages.PhaseDown, SkewAlarmed: true, PhaseSince: -5,
		ContactAt: start.UnixNano(), ContactHeard: 1 << 60, ReportAt: 3, ReportedAt: 4, UptimeSecs: 1<<32 - 1, SkewSecs: -7, IntervalSecs: 3600, FactsDue: 8, FactsHash: 9,
		Stream: 1<<64 - 1, Retired: [3]uint64{1, 0, 3}, Sequence: 99, Seen: 0xff, BootHash: 5, GuestHash: 6,
		Incident: "01ARZ3NDEKTSV4RRFFQ69G5FAV", HeldUntil: -1, HeldReason: "kernel update", AgentVersion: "1.2.3",
		Figures: messages.Figures{CPUUsedRatio: 0.5, MemoryUsedRatio: 1, DiskUsedRatio: 0.25, GuestTotal: 65535, GuestRunning: 3, GuestsUnknown: true, Cloudflared: "active"},
		Last:    messages.ReportRef{Day: 20000, Batch: 1, Entry: 3},
		Voice:   &messages.Voice{Stream: 7, BootHash: 8, Sequence: 9, Alone: true, Turns: 3, Since: -1, HeardAt: 1 << 50, Incident: "01ARZ3NDEKTSV4RRFFQ69G5FAW"},
		Faults:  &messages.Faults{SkewedAt: 5, OutdatedAt: 1 << 60}}
	sampleKey = messages.Key{Hash: messages.KeyHash{1, 2, 3}, Kind: messages.KeyHost, HostID: "acme-0000000a", CustomerID: "acme",
		CreatedAt: start, Replaces: messages.KeyHash{9}, ExpiresAt: start.Add(time.Hour), RevokedAt: start.Add(2 * time.Hour)}
	sampleRoute = messages.Route{ID: "01ARZ3NDEKTSV4RRFFQ69G5FAV", CustomerID: "acme", Kind: messages.RouteWebhook, URL: "https://example.org/?token=x",
		Secret: "whsec_AAAA", Events: []messages.EventType{messages.HostDown, messages.HostRecovered}, MinSeverity: messages.SeverityWarning, CreatedAt: start, Incident: "I",
		Name: "duty", Quiet: &messages.QuietHours{From: "22:00", To: "07:00", TimeZone: "Europe/Budapest"}, MaxPerHour: 9, EscalateTo: "S", EscalateAfter: time.Hour, OnCall: true}
	sampleToken = messages.EnrollToken{ID: "01ARZ3NDEKTSV4RRFFQ69G5FAT", Hash: messages.KeyHash{7}, CustomerID: "acme", NodePattern: "pve*", Uses: 3, Site: "vienna",
		CreatedAt: start, ExpiresAt: start.Add(time.Hour),
		Enrolled: []messages.Enrollment{{Nonce: messages.KeyHash{8}, HostID: "acme-0000000a", Node: "pve1", At: start.Add(time.Minute)}}}
	sampleEvent = messages.Event{ID: messages.EventID(risingID(1)), Sequence: 1, Type: messages.HostDown, At: start, CustomerID: "acme", HostID: "acme-0000000a",
		RouteID: "R", IncidentID: "I", Summary: "acme-0000000a is down", Detail: messages.EventDetail{LastContactAt: ptr(start), SilenceSeconds: -1,
			DurationSeconds: 2, Planned: true, Reason: "r", LateSeconds: 3, SkewSeconds: -400, From: ptr(start.Add(1)), To: ptr(start.Add(2)),
			GuestTotal: 4, GuestRunning: 5, Cloudflared: "inactive", Error: "e", Cause: messages.CauseCrash, Changes: []messages.Change{{What: "kernel", From: "a", To: "b"}, {What: "task"}}, Severity: messages.SeverityCritical, VMID: 101, Subject: "local",
			Mass: &messages.Mass{Scope: messages.Scope{Kind: messages.ScopeCustomer, ID: "acme"}, Silent: 1, Down: 2, Recovered: 3, Total: 4, Hosts: []messages.HostID{"acme-0000000a"}}}}
	sampleDelivery = messages.Delivery{ID: messages.DeliveryID(risingID(1)), Sequence: 1, RouteID: "R", CustomerID: "acme", Events: []messages.EventID{"a", "b"},
		State: messages.DeliveryDead, Sealed: true, CreatedAt: start, DueAt: start.Add(time.Minute), Attempts: 3, LastAttemptAt: start.Add(time.Hour),
		LastStatus: 500, LastError: "no", SentAt: start.Add(time.Nanosecond), Reason: messages.BecauseReminder}
	sampleAlarm = messages.Alarm{ID: "01ARZ3NDEKTSV4RRFFQ69G5FAV", CustomerID: "acme", HostID: "acme-0000000a", RouteID: "R", Site: "Győr", Type: messages.HostDown,
		Severity: messages.SeverityCritical, Raised: "E", Summary: "is down", VMID: 101, Subject: "local", OpenedAt: start, ClosedAt: start.Add(1),
		Pending:      []messages.PendingEvent{{ID: "E", Type: messages.HostDown, Severity: messages.SeverityCritical}, {ID: "F", Type: messages.HostRecovered, Severity: 1}},
		PendingSince: start.Add(2), Told: []messages.EventType{messages.HostStale}, ToldAt: start.Add(3), Incident: "I", Wide: "W",
		Ack: &messages.Ack{By: "eve", Reason: "on it", At: start.Add(4)}, RemindedAt: start.Add(5), Escalated: []messages.RouteID{"r1"}, Flaps: messages.HostRecovered, Scope: messages.Scope{Kind: messages.ScopeSite, ID: "Győr"}, Members: 40}
	sampleSilence = messages.Silence{ID: "01ARZ3NDEKTSV4RRFFQ69G5FAW", Scope: messages.Scope{Kind: messages.ScopeCustomer, ID: "acme"}, Reason: "move", CreatedBy: "eve",
		CreatedAt: start, StartsAt: start.Add(1), EndsAt: start.Add(2), Schedule: "0 3 * * 0", TimeZone: "Europe/Budapest", DurationSeconds: 7200}
	sampleGuest = messages.GuestRecord{HostID: "acme-0000000a", VMID: 100, Kind: "lxc", DisplayName: "web", Status: "running",
		ControllerVersion: "2", FirstSeenAt: start, LastSeenAt: start.Add(1), APIKeyHash: &messages.KeyHash{4}, DesiredSpec: json.RawMessage(`{}`)}
	sampleReport = messages.StoredReport{ID: messages.ReportID(risingID(1)), HostID: "acme-0000000a", ReceivedAt: start, ReportedAt: start.Add(1), SentAt: start.Add(-5 * time.Second),
		Previous: messages.ReportRef{Day: 1, Batch: 2, Entry: 3}, Older: true, Figures: sampleState.Figures, Body: []byte("{}")}
)

var (
	sampleStanding = messages.Standing{
		HostID: "acme-0000000a", Tunnel: messages.TunnelStanding{Seen: true, Missed: 1},
		Guests: []messages.GuestStanding{{
			VMID: 101, Name: "wéb", FirstSeenAt: 1, RunningSince: 2, BusySince: 3, MissingSince: 4, OnBoot: true, NoBackup: true,
			NoTest: true, Uncovered: true, BackupAt: 5, BackupFailed: true, Doubtful: true, Hidden: true, Source: 1, GroupSince: 6, VerifiedAt: 7, VerifiedOK: true,
			TestedAt: 8, TestedOKAt: 9, TestLevel: messages.RestoreBooted,
		}},
		Sections: []messages.SectionStanding{{Name: "backups", KnownAt: 1, UnknownSince: 2}},
		Problems: []messages.Problem{{Rule: messages.RuleBackup, Subject: "101", Incident: "I", Since: 3,
			Severity: messages.SeverityCritical, Told: []messages.EventType{messages.BackupOverdue}}},
		Sources:  []messages.PBSSource{{Server: "pbs", Datastore: "main", Namespace: "acme", Owner: "a@pbs!x"}},
		Storages: []messages.StorageStanding{{Name: "nas", Missed: 1}},
	}
	sampleRules = messages.RuleSettings{
		HostID: "acme-0000000a", StorageWarningRatio: ptr(0.8), StorageCriticalRatio: ptr(0.9), BackupWarningSeconds: ptr(int64(1)),
		BackupCriticalSeconds: ptr(int64(2)), VerifySeconds: ptr(int64(3)), RestoreTestSeconds: ptr(int64(4)),
		DisabledRules: []messages.Rule{messages.RuleDisk}, ExcludedGuests: []messages.VMID{100}, ExcludedStorages: []string{},
		PBSSources: []messages.PBSSource{{Owner: "a@pbs"}},
	}
)

var (
	sampleMonth  = messages.MonthStart{Month: messages.MonthOf(start), Heard: 7, At: start}
	sampleOutage = messages.Outage{HostID: "acme-0000000a", From: 3, To: 9, FromAt: start, ToAt: start.Add(6), Planned: true}
)

// What availability follows from comes back whole, in order, and goes with its host.
func TestOutagesComeBackWhole(t *testing.T) {
	filled(t, "MonthStart", reflect.ValueOf(sampleMonth))
	filled(t, "Outage", reflect.ValueOf(sampleOutage))
	db := openTest(t, t.TempDir())
	f := newFleet(0)
	first := messages.Outage{HostID: sampleOutage.HostID, From: 3, To: 3, FromAt: start, ToAt: start} // the outage began with the first contact
	other := messages.Outage{HostID: "acme-eu-0000000a", From: 1, To: 1, FromAt: start, ToAt: start}
	later := messages.MonthStart{Month: sampleMonth.Month + 1, Heard: 8, At: start.AddDate(0, 1, 0)}
	b := f.empty()
	b.PutHosts = []messages.Host{{ID: first.HostID, CustomerID: "acme", CreatedAt: start}}
	b.Months = []messages.MonthStart{later, sampleMonth}
	b.Outages = []messages.Outage{sampleOutage, first, other}
	write(t, db, b)
	want := []messages.Outage{first, sampleOutage}
	if ms, err := db.Months(); err != nil || !cmp.Equal(ms, []messages.MonthStart{sampleMonth, later}) {
		t.Errorf("months: %v, %v", ms, err)
	}
	if os, err := db.Outages(first.HostID); err != nil || !cmp.Equal(os, want) {
		t.Errorf("outages: %v, %v", os, err)
	}
	if all, err := db.OutagesOf("acme"); err != nil || len(all) != 1 || !cmp.Equal(all[first.HostID], want) {
		t.Errorf("outages of acme: %v, %v", all, err)
	}
	b = f.empty()
	b.DelHosts = []messages.HostID{first.HostID}
	write(t, db, b)
	if os, err := db.Outages(first.HostID); err != nil || len(os) != 0 {
		t.Errorf("left behind: %v, %v", os, err)
	}
}

// What the rules on reports remember, and what they are told to, comes back whole
// and goes with its host and customer.
func TestStandingsAndRulesComeBackWhole(t *testing.T) {
	filled(t, "Standing", reflect.ValueOf(sampleStanding))
	filled(t, "GuestStanding", reflect.ValueOf(sampleStanding.Guests[0]))
	filled(t, "Problem", reflect.ValueOf(sampleStanding.Problems[0]))
	db := openTest(t, t.TempDir())
	f := newFleet(0)
	b := f.empty()
	other := messages.Standing{HostID: "acme-eu-0000000a"}
	ofCustomer := messages.RuleSettings{CustomerID: "acme", VerifySeconds: ptr(int64(7))}
	b.Standings = []messages.Standing{sampleStanding, other}
	b.PutRules = []messages.RuleSettings{sampleRules, ofCustomer}
	write(t, db, b)
	rules := func() (all []messages.RuleSettings) {
		if err := db.EachRules(func(s messages.RuleSettings) error { all = append(all, s); return nil }); err != nil {
			t.Fatal(err)
		}
		return all
	}
	s, err := db.Standing(sampleStanding.HostID)
	if diff := cmp.Diff(sampleStanding, s); err != nil || diff != "" {
		t.Errorf("standing: %v\n%s", err, diff)
	}
	if ss, err := db.Standings("acme", "", 0); err != nil || len(ss) != 1 {
		t.Errorf("standings of acme: %v, %v", ss, err)
	}
	if ss, err := db.Standings("", "acme-0000000a", 0); err != nil || len(ss) != 1 || ss[0].HostID != other.HostID {
		t.Errorf("standings behind the first: %v, %v", ss, err)
	}
	if diff := cmp.Diff([]messages.RuleSettings{ofCustomer, sampleRules}, rules()); diff != "" {
		t.Errorf("rules:\n%s", diff)
	}
	b = f.empty()
	b.PutRules = []messages.RuleSettings{{CustomerID: "acme"}}
	b.DelHosts = []messages.HostID{sampleStanding.HostID}
	write(t, db, b)
	if _, err := db.Standing(sampleStanding.HostID); !errors.Is(err, ErrNotFound) || len(rules()) != 0 {
		t.Errorf("they are left behind: %v, %v", err, rules())
	}
}

// What hubs wrote of a host before they remembered its storages is still read.
func TestStandingsOfTheFirstFormAreRead(t *testing.T) {
	key, want := textKey(prefixStanding, sampleStanding.HostID), sampleStanding
	want.Storages = nil
	first := new(encoder).seal(key, func(e *encoder) {
		at := len(e.b)
		e.standing(&want)
		e.b[at] = standingBare
		e.b = e.b[:len(e.b)-1] // the number of storages
	})
	got, err := decodeWith(&decoder{}, key, first, (*decoder).standing)
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
}

// filled makes sure that a sample leaves no field out: a codec that forgets one
// would pass.
func filled(t *testing.T, name string, v reflect.Value) {
	t.Helper()
	if v.IsZero() {
		t.Errorf("the sample leaves %s out", name)
	}
	switch {
	case v.Kind() == reflect.Pointer:
		filled(t, name, v.Elem())
	case v.Kind() == reflect.Struct && v.Type() != reflect.TypeFor[time.Time]():
		for i := range v.NumField() {
			filled(t, name+"."+v.Type().Field(i).Name, v.Field(i))
		}
	}
}

// Every field of every record comes back as it was written.
func TestRecordsComeBackWhole(t *testing.T) {
	either := sampleReport // is a host's; a controller's is written in the same place: TestControllersComeBackWhole
	either.Controller = messages.ControllerName{CustomerID: "acme", ID: "web"}
	for _, v := range []any{sampleCustomer, sampleHost, sampleState, sampleKey, sampleRoute, sampleToken, sampleEvent, sampleDelivery, sampleAlarm, sampleSilence, sampleGuest, either} {
		filled(t, reflect.TypeOf(v).Name(), reflect.ValueOf(v))
	}
	db := openTest(t, t.TempDir())
	f := newFleet(0)
	write(t, db, f.empty())
	b := f.empty()
	b.PutCustomers = []messages.Customer{sampleCustomer}
	b.PutHosts = []messages.Host{sampleHost}
	b.PutKeys = []messages.Key{sampleKey}
	b.PutRoutes = []messages.Route{sampleRoute}
	b.PutTokens = []messages.EnrollToken{sampleToken}
	b.Alarms = []messages.Alarm{sampleAlarm}
	b.PutSilences = []messages.Silence{sampleSilence}
	b.Hosts = []messages.HostState{sampleState}
	b.Events = []messages.Event{sampleEvent}
	b.Deliveries = []messages.Delivery{sampleDelivery}
	write(t, db, b)
	same := func(what string, got any, err error, want any) {
		t.Helper()
		if diff := cmp.Diff(want, got, cmpopts.EquateNaNs()); err != nil || diff != "" {
			t.Errorf("%s: %v\n%s", what, err, diff)
		}
	}
	c, err := db.Customer("acme")
	same("customer", c, err, sampleCustomer)
	h, err := db.Host(sampleHost.ID)
	same("host", h, err, sampleHost)
	s, err := db.HostState(sampleHost.ID)
	same("state", s, err, sampleState)
	ks, err := db.Keys(sampleHost.ID)
	same("keys", ks, err, []messages.Key{sampleKey})
	rs, err := db.Routes()
	same("routes", rs, err, []messages.Route{sampleRoute})
	ts, err := db.EnrollTokens()
	same("tokens", ts, err, []messages.EnrollToken{sampleToken})
	ss, err := db.Silences()
	same("silences", ss, err, []messages.Silence{sampleSilence})
	err = db.EachAlarm(func(a messages.Alarm) error { same("alarm", a, nil, sampleAlarm); return nil })
	same("alarms", nil, err, nil)
	e, err := db.Event(sampleEvent.ID)
	same("event", e, err, sampleEvent)
	d, err := db.Delivery(sampleDelivery.ID)
	same("delivery", d, err, sampleDelivery)
	setGuest(t, db, &sampleGuest)
	gs, err := db.Guests(sampleGuest.HostID)
	same("guests", gs, err, []messages.GuestRecord{sampleGuest})
	v, err := new(packer).pack(blobKey(1), []messages.StoredReport{sampleReport})
	if err != nil {
		t.Fatal(err)
	}
	bl, err := openBlob(blobKey(1), v)
	if err != nil {
		t.Fatal(err)
	}
	r, _, err := bl.head(0)
	r.Body, _ = bl.body(0)
	same("report", r, err, sampleReport)
}

// What is not there is ErrNotFound, and only that.
func TestWhatWasNeverWrittenIsNotFound(t *testing.T) {
	db := openTest(t, t.TempDir())
	_, e1 := db.Customer("x")
	_, e2 := db.Host("x-00000000")
	_, e3 := db.HostState("x-00000000")
	_, e4 := db.Event("x")
	_, e5 := db.Delivery("x")
	_, _, e6 := db.Reports("x-00000000", messages.ReportRef{}, 1)
	_, e7 := db.Report("x-00000000", "x")
	_, e8 := db.Deliveries(DeliveryFilter{}, "x", 1)
	for i, err := range []error{e1, e2, e3, e4, e5, e6, e7, e8} {
		if !errors.Is(err, ErrNotFound) {
			t.Errorf("question %d: %v", i+1, err)
		}
	}
}

// Guests: reality follows the reports, intent and the first sight stay, who is
// gone is dated once, and who returns is present again.
func TestGuestsFollowReportsAndKeepIntent(t *testing.T) {
	db := openTest(t, t.TempDir())
	f := newFleet(1)
	write(t, db, f.mint())
	id := f.hosts[0]
	see := func(at int, guests ...messages.Guest) {
		b := f.empty()
		b.Guests = []messages.GuestsSeen{{HostID: id, At: start.Add(time.Duration(at) * time.Hour), Guests: guests}}
		write(t, db, b)
	}
	see(0, messages.Guest{VMID: 100, Kind: "lxc", Name: "web", Status: "running"}, messages.Guest{VMID: 101, Name: "db", Status: "stopped"})
	intent := messages.GuestRecord{HostID: id, VMID: 100, DisplayName: "web", Status: "running", FirstSeenAt: start,
		APIKeyHash: &messages.KeyHash{7}, DesiredSpec: json.RawMessage(`{"cores":2}`)}
	setGuest(t, db, &intent)
	see(1, messages.Guest{VMID: 100, Name: "web2", Status: "stopped", ControllerVersion: "3"})
	see(2, messages.Guest{VMID: 100, Name: "web2", Status: "stopped", ControllerVersion: "3"})
	got, err := db.Guests(id)
	want := []messages.GuestRecord{
		{HostID: id, VMID: 100, DisplayName: "web2", Status: "stopped", ControllerVersion: "3", FirstSeenAt: start,
			APIKeyHash: &messages.KeyHash{7}, DesiredSpec: json.RawMessage(`{"cores":2}`)},
		{HostID: id, VMID: 101, DisplayName: "db", Status: "stopped", FirstSeenAt: start, LastSeenAt: start.Add(time.Hour)},
	}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("guests: %v\n%s", err, diff)
	}
	see(3, messages.Guest{VMID: 101, Name: "db", Status: "running"})
	got, err = db.Guests(id)
	if err != nil || !got[1].LastSeenAt.IsZero() || got[0].LastSeenAt != start.Add(3*time.Hour) {
		t.Errorf("guests after the return: %+v, %v", got, err)
	}
}

// One guest whose row is damaged is passed by; the others are written.
func TestOneDamagedGuestDoesNotStopTheRest(t *testing.T) {
	db := openTest(t, t.TempDir())
	f := newFleet(1)
	write(t, db, f.mint())
	raw(t, db, guestKey(f.hosts[0], 100), []byte("rubbish"))
	b := f.empty()
	b.Guests = []messages.GuestsSeen{{HostID: f.hosts[0], At: start, Guests: []messages.Guest{{VMID: 100}, {VMID: 101, Name: "ok"}}}}
	write(t, db, b)
	g, err := one(db, guestKey(f.hosts[0], 101), (*decoder).guest)
	if err != nil || g.DisplayName != "ok" {
		t.Errorf("the sound guest: %+v, %v", g, err)
	}
	if _, err := db.Guests(f.hosts[0]); !errors.Is(err, ErrCorrupt) {
		t.Errorf("the damaged guest: %v", err)
	}
}

// A deleted host leaves with its state and guests; its keys stay, revoked, even
// one that cannot be read, and a neighbour whose id begins alike is untouched.
func TestDeletedHostLeavesRevokedKeys(t *testing.T) {
	db := openTest(t, t.TempDir())
	f := newFleet(2)
	b := f.mint()
	b.PutHosts[1].ID, f.hosts[1] = "acme-000000010", "acme-000000010"
	b.PutKeys[1].HostID = f.hosts[1]
	b.Guests = []messages.GuestsSeen{{HostID: f.hosts[0], At: start, Guests: []messages.Guest{{VMID: 100}}}, {HostID: f.hosts[1], At: start, Guests: []messages.Guest{{VMID: 100}}}}
	write(t, db, b)
	second := messages.Key{Hash: messages.KeyHash{8}, HostID: f.hosts[0]}
	raw(t, db, keyKey(&second), []byte("rubbish"))
	b = f.empty()
	b.DelHosts = f.hosts[:1]
	write(t, db, b)
	if _, err := db.Host(f.hosts[0]); !errors.Is(err, ErrNotFound) {
		t.Errorf("host: %v", err)
	}
	if _, err := db.HostState(f.hosts[0]); !errors.Is(err, ErrNotFound) {
		t.Errorf("state: %v", err)
	}
	if gs, err := db.Guests(f.hosts[0]); err != nil || len(gs) > 0 {
		t.Errorf("guests: %v, %v", gs, err)
	}
	ks, err := db.Keys(f.hosts[0])
	if err != nil || len(ks) != 2 || ks[0].RevokedAt != b.At || ks[1].RevokedAt != b.At {
		t.Errorf("keys: %+v, %v", ks, err)
	}
	ks, err = db.Keys(f.hosts[1])
	if err != nil || len(ks) != 1 || !ks[0].RevokedAt.IsZero() {
		t.Errorf("the neighbour's keys: %+v, %v", ks, err)
	}
	if gs, err := db.Guests(f.hosts[1]); err != nil || len(gs) != 1 || db.meta.Hosts != 1 {
		t.Errorf("the neighbour's guests: %v, %v; %d hosts", gs, err, db.meta.Hosts)
	}
}

// Hosts page in the order of ids, by customer and phase; a customer whose name
// begins with another's is not mixed in.
func TestHostsPageByCustomerAndPhase(t *testing.T) {
	db := openTest(t, t.TempDir())
	f := newFleet(0)
	b := f.empty()
	for _, id := range []messages.HostID{"a-00000001", "a-00000002", "a-b-00000001", "a-b-00000002", "b-00000001"} {
		b.PutHosts = append(b.PutHosts, messages.Host{ID: id, CustomerID: id.Customer()})
	}
	b.Hosts = []messages.HostState{{ID: "a-00000002", Phase: messages.PhaseDown}, {ID: "orphan-00000001"}}
	write(t, db, b)
	for _, c := range []struct {
		f     HostFilter
		after messages.HostID
		limit int
		want  string
	}{
		{HostFilter{}, "", 0, "[a-00000001 a-00000002 a-b-00000001 a-b-00000002 b-00000001]"},
		{HostFilter{}, "a-00000002", 2, "[a-b-00000001 a-b-00000002]"},
		{HostFilter{CustomerID: "a"}, "", 0, "[a-00000001 a-00000002]"},
		{HostFilter{CustomerID: "a"}, "a-00000001", 1, "[a-00000002]"},
		{HostFilter{CustomerID: "a-b"}, "", 1, "[a-b-00000001]"},
		{HostFilter{CustomerID: "a"}, "b-00000001", 0, "[]"},
		{HostFilter{CustomerID: "b"}, "a-00000001", 0, "[b-00000001]"},
		{HostFilter{Phase: ptr(messages.PhaseDown)}, "", 0, "[a-00000002]"},
		{HostFilter{}, "z", 0, "[]"},
	} {
		rows, err := db.Hosts(c.f, c.after, c.limit)
		ids := []messages.HostID{}
		for _, r := range rows {
			ids = append(ids, r.Host.ID)
		}
		if got := fmt.Sprint(ids); err != nil || got != c.want {
			t.Errorf("%+v after %q limit %d: %s, %v; want %s", c.f, c.after, c.limit, got, err, c.want)
		}
	}
	for _, c := range []struct {
		from, until messages.HostID
		want        string
	}{
		{"", "", "[a-00000001 a-00000002 a-b-00000001 a-b-00000002 b-00000001]"},
		{"", "a-00000002", "[a-00000001]"},
		{"a-00000002", "a-b-00000001", "[a-00000002]"},
		{"a-b-00000001", "", "[a-b-00000001 a-b-00000002 b-00000001]"},
		{"b", "b", "[]"},
	} {
		ids := []messages.HostID{}
		err := db.EachHost(c.from, c.until, func(h messages.Host, s messages.HostState) error {
			ids = append(ids, s.ID)
			return nil
		})
		if got := fmt.Sprint(ids); err != nil || got != c.want {
			t.Errorf("from %q until %q: %s, %v; want %s", c.from, c.until, got, err, c.want)
		}
	}
}

// A host without its state is a loss, not a host that was never heard.
func TestMissingStateIsCorrupt(t *testing.T) {
	db := openTest(t, t.TempDir())
	f := newFleet(2)
	write(t, db, f.mint())
	raw(t, db, textKey(prefixState, f.hosts[1]), nil)
	err := db.EachHost("", "", func(messages.Host, messages.HostState) error { return nil })
	if !errors.Is(err, ErrCorrupt) {
		t.Errorf("each host: %v", err)
	}
}

// Events page oldest first, by host, customer and type.
func TestEventsPageByFilter(t *testing.T) {
	db := openTest(t, t.TempDir())
	f := newFleet(0)
	b := f.empty()
	for i := range 12 {
		e := messages.Event{ID: messages.EventID(risingID(uint64(i + 1))), Sequence: uint64(i + 1), Type: messages.HostStale, At: start}
		if i%2 == 0 {
			e.CustomerID, e.HostID = "a", "a-00000001"
		}
		if i%4 == 0 {
			e.HostID = "a-00000002"
		}
		if i%3 == 0 {
			e.Type = messages.HostDown
		}
		b.Events = append(b.Events, e)
	}
	write(t, db, b)
	for _, c := range []struct {
		f     EventFilter
		after uint64
		limit int
		want  string
	}{
		{EventFilter{}, 0, 3, "[1 2 3]"},
		{EventFilter{}, 10, 0, "[11 12]"},
		{EventFilter{}, 12, 0, "[]"},
		{EventFilter{CustomerID: "a"}, 0, 0, "[1 3 5 7 9 11]"},
		{EventFilter{CustomerID: "a"}, 5, 2, "[7 9]"},
		{EventFilter{HostID: "a-00000002"}, 0, 0, "[1 5 9]"},
		{EventFilter{HostID: "a-00000002"}, 1, 1, "[5]"},
		{EventFilter{HostID: "a-00000002", Type: messages.HostDown}, 0, 0, "[1]"},
		{EventFilter{HostID: "a-00000002", CustomerID: "b"}, 0, 0, "[]"},
		{EventFilter{Type: messages.HostDown}, 1, 2, "[4 7]"},
	} {
		after := messages.EventID("")
		if c.after > 0 {
			after = messages.EventID(risingID(c.after))
		}
		es, err := db.Events(c.f, after, c.limit)
		got := []uint64{}
		for _, e := range es {
			got = append(got, e.Sequence)
		}
		if fmt.Sprint(got) != c.want || err != nil {
			t.Errorf("%+v after %d limit %d: %v, %v; want %s", c.f, c.after, c.limit, got, err, c.want)
		}
	}
}

// Deliveries page newest first by state, follow their state from one index to
// the next, and only pending ones are read at a start.
func TestDeliveriesFollowTheirState(t *testing.T) {
	db := openTest(t, t.TempDir())
	f := newFleet(0)
	b := f.empty()
	for i := range uint64(6) {
		b.Deliveries = append(b.Deliveries, messages.Delivery{ID: messages.DeliveryID(risingID(100 - i)), Sequence: i + 1, State: messages.DeliveryPending})
	}
	write(t, db, b)
	sent, dead, retried := b.Deliveries[0], b.Deliveries[1], b.Deliveries[2]
	sent.State, dead.State, retried.State = messages.DeliverySent, messages.DeliveryDead, messages.DeliveryDead
	b = f.empty()
	b.Deliveries = []messages.Delivery{sent, dead, retried}
	write(t, db, b)
	retried.State = messages.DeliveryPending
	b = f.empty()
	b.Deliveries = []messages.Delivery{retried}
	write(t, db, b)
	raw(t, db, sequenceKey(prefixPending, 1), (&encoder{}).seal(sequenceKey(prefixPending, 1), func(*encoder) {})) // a delete that came back
	var pending []uint64
	if err := db.EachPendingDelivery(func(d messages.Delivery) error { pending = append(pending, d.Sequence); return nil }); err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(pending) != "[3 4 5 6]" {
		t.Errorf("pending %v", pending)
	}
	for _, c := range []struct {
		state  messages.DeliveryState
		before uint64
		limit  int
		want   string
	}{
		{"", 0, 2, "[6 5]"},
		{"", 2, 0, "[1]"},
		{"", 1, 0, "[]"},
		{messages.DeliveryPending, 0, 0, "[6 5 4 3]"},
		{messages.DeliveryPending, 5, 1, "[4]"},
		{messages.DeliverySent, 0, 0, "[1]"},
		{messages.DeliveryDead, 0, 0, "[2]"},
	} {
		before := messages.DeliveryID("")
		if c.before > 0 {
			before = messages.DeliveryID(risingID(101 - c.before))
		}
		ds, err := db.Deliveries(DeliveryFilter{State: c.state}, before, c.limit)
		got := []uint64{}
		for _, d := range ds {
			got = append(got, d.Sequence)
		}
		if fmt.Sprint(got) != c.want || err != nil {
			t.Errorf("%s before %d limit %d: %v, %v; want %s", c.state, c.before, c.limit, got, err, c.want)
		}
	}
}

// Customers and routes come and go.
func TestCustomersAndRoutesAreRemoved(t *testing.T) {
	db := openTest(t, t.TempDir())
	f := newFleet(0)
	b := f.empty()
	b.PutCustomers = []messages.Customer{{ID: "a"}, {ID: "b"}, {ID: "c"}}
	b.PutRoutes = []messages.Route{{ID: "R1"}, {ID: "R2"}}
	write(t, db, b)
	b = f.empty()
	b.DelCustomers, b.DelRoutes = []messages.CustomerID{"b"}, []messages.RouteID{"R1"}
	write(t, db, b)
	cs, err := db.Customers("", 1)
	if err != nil || len(cs) != 1 || cs[0].ID != "a" {
		t.Errorf("first page %v, %v", cs, err)
	}
	if cs, err = db.Customers("a", 5); err != nil || len(cs) != 1 || cs[0].ID != "c" {
		t.Errorf("second page %v, %v", cs, err)
	}
	if rs, err := db.Routes(); err != nil || len(rs) != 1 || rs[0].ID != "R2" {
		t.Errorf("routes %v, %v", rs, err)
	}
}

// An alarm is kept while it is open or has something to be told, and goes then.
func TestAlarmsAreForgottenWhenTheyEndedAndWereTold(t *testing.T) {
	db := openTest(t, t.TempDir())
	f := newFleet(0)
	count := func(a messages.Alarm) (n int) {
		b := f.empty()
		b.Alarms = []messages.Alarm{a}
		write(t, db, b)
		if err := db.EachAlarm(func(messages.Alarm) error { n++; return nil }); err != nil {
			t.Fatal(err)
		}
		return n
	}
	a := sampleAlarm
	if n := count(a); n != 1 {
		t.Errorf("ended, and not told: %d, want 1", n)
	}
	if a.Pending = nil; count(a) != 0 {
		t.Error("ended and told: it is still there")
	}
	if a.ClosedAt = (time.Time{}); count(a) != 1 {
		t.Error("open and told: it is gone")
	}
	if a.Type = messages.HostRebooted; count(a) != 0 {
		t.Error("what nothing ends, and told: it is still there")
	}
}
