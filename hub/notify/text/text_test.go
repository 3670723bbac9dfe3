package text

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	gocmp "github.com/google/go-cmp/cmp"

	"felhom.eu/messages"
)

var rewrite = flag.Bool("rewrite", false, "write the golden files anew")

var began = time.Date(2026, 6, 8, 14, 20, 0, 0, time.UTC)

const host messages.HostID = "acme-7f3a90c1"

func at(minutes int) time.Time { return began.Add(time.Duration(minutes) * time.Minute) }

func atPtr(minutes int) *time.Time { t := at(minutes); return &t }

var home = Place{"https://hub.example.com/", func(id messages.CustomerID) string {
	return map[messages.CustomerID]string{"acme": "Acme Dental", "bolt": "Bolt & Söhne"}[id]
}}

// sample is an event of a type as the hub makes it.
func sample(typ messages.EventType) messages.Event {
	e := messages.Event{
		ID: "01JX7Q0000000000000000EVNT", Type: typ, At: at(63), CustomerID: "acme", HostID: host, IncidentID: "01JX7Q0000000000000000NCDT",
		Summary: samples[typ].summary, Detail: samples[typ].detail,
	}
	switch typ {
	case messages.RouteFailing, messages.RouteRecovered, messages.RouteTest, messages.HubGap:
		e.HostID = ""
	case messages.IncidentOpened, messages.IncidentClosed:
		e.HostID = ""
	}
	if typ == messages.HubGap {
		e.CustomerID, e.IncidentID = "", ""
	}
	if strings.HasPrefix(string(typ), "route_") {
		e.RouteID = "01JX7Q00000000000000000RTE"
	}
	return e
}

var known = messages.EventDetail{
	LastContactAt: atPtr(0), SilenceSeconds: 63 * 60, GuestTotal: 14, GuestRunning: 12, Cloudflared: "active",
	Changes: []messages.Change{{What: "guest 101 (web)", From: "running", To: "stopped"}, {What: "task vzdump", To: "failed"}, {What: "kernel", From: "6.8.12-1", To: "6.8.12-4"}},
}

func ofGuest(reason string) messages.EventDetail {
	return messages.EventDetail{LastContactAt: atPtr(60), VMID: 101, Severity: messages.SeverityCritical, Reason: reason}
}

func ofSubject(subject, reason string) messages.EventDetail {
	return messages.EventDetail{LastContactAt: atPtr(60), Subject: subject, Severity: messages.SeverityWarning, Reason: reason}
}

func mass(silent, down, recovered int) messages.EventDetail {
	m := &messages.Mass{Scope: messages.Scope{Kind: messages.ScopeCustomer, ID: "acme"}, Silent: silent, Down: down, Recovered: recovered, Total: 40}
	for i := range min(silent, 12) {
		m.Hosts = append(m.Hosts, messages.HostID(fmt.Sprintf("acme-%08x", 0x7f3a90c1+i)))
	}
	return messages.EventDetail{Mass: m, DurationSeconds: 22 * 60, Severity: messages.SeverityCritical}
}

var samples = map[messages.EventType]struct {
	summary string
	detail  messages.EventDetail
}{
	messages.HostStale: {"acme-7f3a90c1 has been silent for 30 min", messages.EventDetail{LastContactAt: atPtr(33), SilenceSeconds: 1800, GuestTotal: 14, GuestRunning: 12, Cloudflared: "active"}},
	messages.HostDown:  {"acme-7f3a90c1 is down, silent for 1 h 3 min", known},
	messages.HostRecovered: {"acme-7f3a90c1 is back after 1 h 3 min: power loss or crash",
		messages.EventDetail{LastContactAt: atPtr(0), SilenceSeconds: 3780, DurationSeconds: 3780, Cause: messages.CauseCrash}},
	messages.HostRebooted:  {"acme-7f3a90c1 has rebooted", messages.EventDetail{}},
	messages.ClockSkew:     {"acme-7f3a90c1: clock is 12 min behind", messages.EventDetail{SkewSeconds: -720}},
	messages.ClockMended:   {"acme-7f3a90c1: clock is right again", messages.EventDetail{}},
	messages.AgentOutdated: {"acme-7f3a90c1: agent 1.2.0 is older than the hub", messages.EventDetail{}},
	messages.AgentUpdated:  {"acme-7f3a90c1: agent is 1.4.0 now", messages.EventDetail{}},
	messages.HostCloned:    {"acme-7f3a90c1: two machines report with its key, in turn: was it cloned?", messages.EventDetail{}},
	messages.CloneGone:     {"acme-7f3a90c1: only one machine reports with its key now", messages.EventDetail{}},
	messages.HostFlapping:  {"acme-7f3a90c1 comes and goes: 5 changes within an hour", messages.EventDetail{}},
	messages.HostSettled:   {"acme-7f3a90c1 has settled, up for 15 min", messages.EventDetail{}},

	messages.GuestStopped:         {"acme-7f3a90c1: guest 101 (web) is stopped, ran 3 d", ofGuest("stopped")},
	messages.GuestStarted:         {"acme-7f3a90c1: guest 101 (web) runs again after 2 h", ofGuest("")},
	messages.GuestMissing:         {"acme-7f3a90c1: guest 101 (web) is not listed any more", ofGuest("")},
	messages.GuestReturned:        {"acme-7f3a90c1: guest 101 (web) is listed again", ofGuest("")},
	messages.TunnelDown:           {"acme-7f3a90c1: tunnel is down: cloudflared is inactive", ofSubject("", "inactive")},
	messages.TunnelRecovered:      {"acme-7f3a90c1: tunnel is up again after 20 min", ofSubject("", "")},
	messages.StorageHigh:          {"acme-7f3a90c1: storage local-zfs is 91 % full", ofSubject("local-zfs", "")},
	messages.StorageRecovered:     {"acme-7f3a90c1: storage local-zfs is 71 % full", ofSubject("local-zfs", "")},
	messages.StorageOffline:       {"acme-7f3a90c1: storage nas is offline", ofSubject("nas", "")},
	messages.StorageOnline:        {"acme-7f3a90c1: storage nas is online", ofSubject("nas", "")},
	messages.BackupFailedEvent:    {"acme-7f3a90c1: backup of guest 101 (web) failed", ofGuest("job errors")},
	messages.BackupOverdue:        {"acme-7f3a90c1: guest 101 (web) has had no good backup for 50 h, is in no backup job", ofGuest("")},
	messages.BackupRecovered:      {"acme-7f3a90c1: guest 101 (web) is backed up again", ofGuest("")},
	messages.VerifyFailed:         {"acme-7f3a90c1: backup of guest 101 (web) failed its verification", ofGuest("")},
	messages.VerifyOverdue:        {"acme-7f3a90c1: no backup of guest 101 (web) was verified for 40 d", ofGuest("")},
	messages.VerifyRecovered:      {"acme-7f3a90c1: backup of guest 101 (web) is verified", ofGuest("")},
	messages.RestoreTestFailed:    {"acme-7f3a90c1: restore test of guest 101 (web) failed", ofGuest("no boot within 5 min")},
	messages.RestoreTestOverdue:   {"acme-7f3a90c1: guest 101 (web) was not restored for a test for 36 d", ofGuest("")},
	messages.RestoreTestRecovered: {"acme-7f3a90c1: restore test of guest 101 (web) passed", ofGuest("")},
	messages.DiskFailing:          {"acme-7f3a90c1: disk /dev/sda fails its health check", ofSubject("/dev/sda", "FAILED")},
	messages.DiskRecovered:        {"acme-7f3a90c1: disk /dev/sda is healthy again", ofSubject("/dev/sda", "")},
	messages.PoolDegraded:         {"acme-7f3a90c1: pool rpool is degraded", ofSubject("rpool", "DEGRADED")},
	messages.PoolRecovered:        {"acme-7f3a90c1: pool rpool is healthy again", ofSubject("rpool", "")},
	messages.SectionLost:          {"acme-7f3a90c1: backups unknown for a day: denied", ofSubject("backups", "denied")},
	messages.SectionKnown:         {"acme-7f3a90c1: backups known again", ofSubject("backups", "")},

	messages.ControllerStale:     {"controller home has been silent for 30 min", messages.EventDetail{LastContactAt: atPtr(33), SilenceSeconds: 1800, VMID: 101, Subject: "01JX7Q0000000000000000CTRL"}},
	messages.ControllerDown:      {"controller home is down, silent for 1 h 3 min", messages.EventDetail{LastContactAt: atPtr(0), SilenceSeconds: 3780, VMID: 101, Subject: "01JX7Q0000000000000000CTRL"}},
	messages.ControllerRecovered: {"controller home is back after 1 h 3 min", messages.EventDetail{LastContactAt: atPtr(0), DurationSeconds: 3780, VMID: 101, Subject: "01JX7Q0000000000000000CTRL"}},
	messages.DeadlineMissed:      {"nightly: no good backup of acme-7f3a90c1/101 by Mon 06:00 CEST", messages.EventDetail{LastContactAt: atPtr(-60 * 30), VMID: 101, Subject: "acme-7f3a90c1/101", Reason: "nightly"}},
	messages.DeadlineMet:         {"nightly: the good backup of acme-7f3a90c1/101 by Mon 06:00 CEST has come, late by 2 h", messages.EventDetail{VMID: 101, Subject: "acme-7f3a90c1/101", Reason: "nightly", LateSeconds: 7200}},

	messages.RouteFailing:   {"route 01JX7Q00000000000000000RTE has been failing for 15 min", messages.EventDetail{Error: "503 Service Unavailable: busy"}},
	messages.RouteRecovered: {"route 01JX7Q00000000000000000RTE delivers again", messages.EventDetail{}},
	messages.HubGap:         {"the hub was deaf for 50 min: not running", messages.EventDetail{From: atPtr(10), To: atPtr(60), DurationSeconds: 3000, Reason: "not running"}},
	messages.Drill:          {"acme-7f3a90c1 is down (drill)", messages.EventDetail{}},
	messages.DrillOver:      {"acme-7f3a90c1 is back (drill)", messages.EventDetail{}},
	messages.RouteTest:      {"a test of this route, asked for by an operator", messages.EventDetail{}},
	messages.IncidentOpened: {"12 hosts of acme fell silent within 5 min", mass(12, 3, 0)},
	messages.IncidentClosed: {"the incident of acme is over", mass(2, 2, 38)},
}

// deliver makes a delivery of events for a reason: a reminder comes eight hours later.
func deliver(reason messages.DeliveryReason, events []messages.Event) messages.Delivery {
	d := messages.Delivery{ID: "01JX7Q00000000000000000DLV", CustomerID: "acme", CreatedAt: at(63), Reason: reason}
	for i := range events {
		d.Events = append(d.Events, events[i].ID)
	}
	if reason != messages.BecauseNews && reason != messages.BecauseDrill {
		d.CreatedAt = at(8 * 60)
	}
	return d
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *rewrite {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got; -rewrite writes it anew):\n%s", name, diff)
	}
}

func show(m Message) string { return "Subject: " + m.Subject + "\n\n" + m.Text() }

// Nobody is woken by a message that says nothing: every type of event has a text,
// for every reason.
func TestEveryTypeHasAText(t *testing.T) {
	all := append(slices.Clone(messages.EventTypes), messages.RouteTest)
	if len(all) < 40 || len(all) != len(phrases) {
		t.Errorf("the language has %d types of events, %d have phrases", len(all), len(phrases))
	}
	for _, typ := range all {
		if phrases[typ].state == "" || phrases[typ].many == "" {
			t.Errorf("%s has no phrase", typ)
		}
		if samples[typ].summary == "" {
			t.Errorf("%s has no sample", typ)
		}
		var b strings.Builder
		for _, reason := range []messages.DeliveryReason{messages.BecauseNews, messages.BecauseReminder, messages.BecauseEscalation, messages.BecauseUnsilenced, messages.BecauseDrill} {
			events := []messages.Event{sample(typ)}
			d := deliver(reason, events)
			m := Of(&d, events, home)
			fmt.Fprintf(&b, "=== %s\n%s\n", cmp.Or(string(reason), "news"), show(m))
			bounded(t, m)
		}
		golden(t, filepath.Join("types", string(typ)+".txt"), b.String())
	}
}

func bounded(t *testing.T, m Message) {
	t.Helper()
	if n := utf8.RuneCountInString(m.Subject); n > maxSubject || n == 0 {
		t.Errorf("subject of %d characters: %q", n, m.Subject)
	}
	for _, line := range append(m.Lines(), m.Subject) {
		if utf8.RuneCountInString(line) > 2*maxHead+maxNames*maxName || strings.ContainsFunc(line, unicode.IsControl) || !utf8.ValidString(line) {
			t.Errorf("a line is not one, or too long: %.300q", line)
		}
	}
}

// foldings are deliveries in which events are told together.
func foldings() map[string][]messages.Event {
	next := 0
	event := func(typ messages.EventType, minutes int, change func(*messages.Event)) messages.Event {
		e := sample(typ)
		next++
		e.ID, e.At = messages.EventID(fmt.Sprintf("01JX7Q%020d", next)), at(minutes)
		if change != nil {
			change(&e)
		}
		return e
	}
	of := func(id int) func(*messages.Event) {
		return func(e *messages.Event) {
			e.HostID, e.IncidentID = messages.HostID(fmt.Sprintf("acme-%08x", id)), messages.IncidentID(fmt.Sprintf("01JX7QINCIDENT%012d", id))
			e.Summary = strings.ReplaceAll(e.Summary, string(host), string(e.HostID))
		}
	}
	var guests, fleet, storm, closed []messages.Event
	for i := range 22 {
		guests = append(guests, event(messages.GuestStopped, 63, func(e *messages.Event) {
			e.IncidentID, e.Detail.VMID = messages.IncidentID(fmt.Sprintf("01JX7QINCIDENT%012d", i)), messages.VMID(100+i)
			e.Summary = fmt.Sprintf("acme-7f3a90c1: guest %d (vm-%02d) is stopped, ran 3 d", 100+i, i)
		}))
		storm = append(storm, event(messages.HostStale, 60+i, of(0x7f3a90c1+i)))
		fleet = append(fleet, event(messages.HostDown, 60, of(0x1000+i%6)))
	}
	storm = append(storm, event(messages.IncidentOpened, 64, nil), event(messages.StorageHigh, 64, of(9)))
	for i := range 38 {
		closed = append(closed, event(messages.HostRecovered, 80, of(0x7f3a90c3+i)))
	}
	closed = append(closed, event(messages.IncidentClosed, 85, nil))
	return map[string][]messages.Event{
		"alarm_and_recovery":  {event(messages.HostStale, 30, nil), event(messages.HostDown, 60, nil), event(messages.HostRecovered, 63, nil), event(messages.HostRebooted, 63, nil)},
		"stale_then_down":     {event(messages.HostStale, 30, nil), event(messages.HostDown, 60, nil)},
		"guests_of_one_host":  guests,
		"hosts_of_a_customer": fleet[:6],
		"incident_opened":     storm,
		"incident_closed":     closed,
		"all_back": {event(messages.IncidentClosed, 85, func(e *messages.Event) {
			e.Detail = mass(0, 0, 40)
		})},
		"several": {
			event(messages.StorageHigh, 61, func(e *messages.Event) { e.IncidentID = "01JX7QINCIDENT000000000001" }),
			event(messages.HostRecovered, 62, func(e *messages.Event) { e.HostID, e.CustomerID, e.IncidentID = "bolt-00000001", "bolt", "" }),
			event(messages.HostDown, 63, func(e *messages.Event) { e.IncidentID = "01JX7QINCIDENT000000000003" }),
			event(messages.TunnelDown, 63, func(e *messages.Event) { e.IncidentID = "01JX7QINCIDENT000000000004" }),
		},
		"planned": {event(messages.HostStale, 63, func(e *messages.Event) {
			e.Summary = "acme-7f3a90c1 has been silent for 45 min: planned reboot, late by 15 min"
			e.Detail.Planned, e.Detail.Reason, e.Detail.LateSeconds = true, "reboot", 900
		})},
		"nothing_left": nil,
	}
}

// What belongs together is told in one line, as text and as mail.
func TestFoldings(t *testing.T) {
	for name, events := range foldings() {
		d := deliver(messages.BecauseNews, events)
		m := Of(&d, events, home)
		bounded(t, m)
		golden(t, filepath.Join("folded", name+".txt"), show(m))
		golden(t, filepath.Join("folded", name+".html"), m.HTML())
	}
}

// Every try of a delivery says the same, and asking does not change the events.
func TestSameDeliverySameText(t *testing.T) {
	for name, events := range foldings() {
		before := fmt.Sprintf("%+v", events)
		d := deliver(messages.BecauseReminder, events)
		first := Of(&d, events, home)
		for range 5 {
			again := Of(&d, events, home)
			if again.Text() != first.Text() || again.HTML() != first.HTML() || again.Subject != first.Subject {
				t.Fatalf("%s: told otherwise the second time", name)
			}
		}
		if fmt.Sprintf("%+v", events) != before {
			t.Errorf("%s: its events were changed", name)
		}
	}
}

// A message of very many events stays short.
func TestManyEventsFitAMessage(t *testing.T) {
	var events []messages.Event
	for i := range 500 {
		e := sample(messages.ClockSkew)
		e.CustomerID = messages.CustomerID(fmt.Sprintf("c%d", i))
		e.HostID = messages.HostID(fmt.Sprintf("c%d-00000001", i))
		e.IncidentID = ""
		e.ID = messages.EventID(fmt.Sprint(i))
		events = append(events, e)
	}
	d := deliver(messages.BecauseNews, events)
	m := Of(&d, events, home)
	if last := m.Items[len(m.Items)-1].Head; last != "and 480 more" || len(m.Text()) > 3000 {
		t.Errorf("%d bytes, the last line %q", len(m.Text()), last)
	}
}

// Hostile are names that a stranger may give a guest.
var hostile = []string{
	"<script>alert(1)</script>", "@everyone", "[x](javascript:alert(1))", "\x1b[31mred\x1b[0m", "a\u202egnp.exe", "one\r\ntwo\nBcc: x@example.com",
	strings.Repeat("long ", 2000), "\xff\xfe", "*b* _i_ ~s~ `c` ||s|| # h", "&amp; \"q\" 'a'", "a\u200bb\u2028c", "",
}

// No name breaks out of its line, turns the direction of reading, or fills the message.
func TestHostileNames(t *testing.T) {
	var b strings.Builder
	for _, name := range hostile {
		e := sample(messages.GuestStopped)
		e.Summary = "acme-7f3a90c1: guest 101 (" + name + ") is stopped, ran 3 d"
		e.Detail.Reason = name
		down := sample(messages.HostDown)
		down.IncidentID, down.Detail.Cloudflared, down.Detail.Changes = "other", name, []messages.Change{{What: name, From: name, To: name}}
		events := []messages.Event{e, down}
		d := deliver(messages.BecauseNews, events)
		m := Of(&d, events, Place{"https://hub.example.com", func(messages.CustomerID) string { return name }})
		bounded(t, m)
		html := m.HTML()
		if strings.Contains(html, "<script") || strings.Contains(html, "href=\"javascript") || len(html) > 10_000 {
			t.Errorf("%.40q: %d bytes of HTML: %s", name, len(html), html)
		}
		fmt.Fprintf(&b, "=== %.40q\n%s\n", name, show(m))
	}
	golden(t, "hostile.txt", b.String())
}
