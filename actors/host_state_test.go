package actors

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"felhom.eu/messages"
)

// heard is onReport on a copy.
func heard(s messages.HostState, r *messages.Summary, now Moment) (messages.HostState, verdict, []messages.Event) {
	v, events := onReport(&s, r, now)
	return s, v, events
}

// defaultRules are those of a hub whose operator configured nothing.
var defaultRules = Rules{PollInterval: 15 * time.Minute, Stale: 30 * time.Minute, Down: time.Hour, ResumeGrace: 16 * time.Minute}

// newHost has never reported.
var newHost = messages.HostState{ID: "acme-7f3a90c1"}

// momentAt is d after the world began, on both clocks of a hub without gaps.
func momentAt(d time.Duration) Moment {
	return Moment{Wall: worldBegan.Add(d), At: messages.Listened(d), Resumed: NeverResumed}
}

// hostHeard is a host whose last contact was d after the world began.
func hostHeard(d time.Duration) messages.HostState {
	s, _, _ := heard(newHost, &messages.Summary{}, momentAt(d))
	return s
}

func incident(id messages.IncidentID) func() messages.IncidentID {
	return func() messages.IncidentID { return id }
}

func types(events []messages.Event) string {
	var words []string
	for _, e := range events {
		words = append(words, string(e.Type))
	}
	return strings.Join(words, " ")
}

// TestReportsAreOrdered protects a host's state from reports that come late,
// twice, or from an agent that is gone.
func TestReportsAreOrdered(t *testing.T) {
	type send struct {
		stream, sequence uint64
		want             verdict
	}
	tests := []struct {
		name  string
		sends []send
	}{
		{"in order", []send{{1, 1, fresh}, {1, 2, fresh}, {1, 9, fresh}}},
		{"twice", []send{{1, 5, fresh}, {1, 5, repeat}, {1, 6, fresh}, {1, 5, repeat}, {1, 6, repeat}}},
		{"newest first, the others after", []send{{1, 1, fresh}, {1, 5, fresh}, {1, 4, older}, {1, 3, older}, {1, 4, repeat}, {1, 1, repeat}}},
		{"the first of a stream comes late", []send{{1, 3, fresh}, {1, 1, older}, {1, 1, repeat}, {1, 2, older}}},
		{"63 behind is still known", []send{{1, 1, fresh}, {1, 64, fresh}, {1, 1, repeat}}},
		{"64 behind is not, but never fresh", []send{{1, 1, fresh}, {1, 65, fresh}, {1, 1, older}, {1, 1, older}, {1, 2, older}, {1, 2, repeat}}},
		{"a leap forgets all before", []send{{1, 1, fresh}, {1, 2, fresh}, {1, 1 << 62, fresh}, {1, 2, older}, {1, 1<<62 - 1, older}, {1, 1<<62 - 1, repeat}}},
		{"the last number there is", []send{{1, 1, fresh}, {1, 1<<64 - 1, fresh}, {1, 1<<64 - 1, repeat}, {1, 1, older}}},
		{"a new stream begins anew", []send{{1, 90, fresh}, {2, 1, fresh}, {2, 1, repeat}, {2, 2, fresh}}},
		{"of a stream that ended", []send{{1, 90, fresh}, {2, 1, fresh}, {1, 91, older}, {1, 90, older}, {2, 2, fresh}, {2, 1, repeat}}},
		{"of three streams that ended", []send{{1, 1, fresh}, {2, 1, fresh}, {3, 1, fresh}, {4, 1, fresh}, {1, 2, older}, {2, 2, older}, {3, 2, older}, {4, 2, fresh}}},
		{"without numbers", []send{{0, 0, fresh}, {0, 0, fresh}, {7, 0, fresh}, {0, 7, fresh}}},
		{"with numbers after some without", []send{{0, 0, fresh}, {1, 1, fresh}, {0, 0, fresh}, {1, 1, repeat}, {1, 2, fresh}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newHost
			for i, m := range tt.sends {
				before := s
				next, v, _ := heard(s, &messages.Summary{StreamHash: m.stream, Sequence: m.sequence}, momentAt(time.Duration(i+1)*time.Minute))
				if v != m.want {
					t.Errorf("report %d: got verdict %d, want %d", i, v, m.want)
				}
				if contacted := next.ContactAt != before.ContactAt; contacted != (m.want == fresh) {
					t.Errorf("report %d: contact %t", i, contacted)
				}
				if diff := cmp.Diff(before, next); m.want == repeat && diff != "" {
					t.Errorf("report %d: a repeat changed the state:\n%s", i, diff)
				}
				s = next
			}
		})
	}
}

// TestAnOlderReportLeavesTheStateAlone protects what the fleet's list shows:
// only the order may remember that it came.
func TestAnOlderReportLeavesTheStateAlone(t *testing.T) {
	newest := messages.Summary{StreamHash: 1, Sequence: 9, BootHash: 2, AgentVersion: "2", UptimeSecs: 900, Figures: messages.Figures{GuestTotal: 3}}
	s, _, _ := heard(newHost, &newest, momentAt(time.Hour))
	s, _ = expire(s, defaultRules, momentAt(3*time.Hour), incident("one"))
	late := messages.Summary{StreamHash: 1, Sequence: 5, BootHash: 1, AgentVersion: "1", UptimeSecs: 100, ReportedAt: 1, SentAt: 1}
	got, v, events := heard(s, &late, momentAt(4*time.Hour))
	if v != older || len(events) != 0 {
		t.Errorf("got verdict %d and %s", v, types(events))
	}
	got.Seen = s.Seen
	if diff := cmp.Diff(s, got); diff != "" {
		t.Errorf("state changed:\n%s", diff)
	}
}

// TestSilenceIsToldInSteps protects both thresholds to the nanosecond, and that
// each is told once, of one incident.
func TestSilenceIsToldInSteps(t *testing.T) {
	hourly := defaultRules.scaled(3600)
	tests := []struct {
		name  string
		rules Rules
		at    time.Duration // after the contact
		want  string
	}{
		{"at once", defaultRules, 0, ""},
		{"just not stale", defaultRules, 30*time.Minute - 1, ""},
		{"stale", defaultRules, 30 * time.Minute, "host_stale"},
		{"just not down", defaultRules, time.Hour - 1, "host_stale"},
		{"down, both at once", defaultRules, time.Hour, "host_stale host_down"},
		{"much later", defaultRules, 1000 * time.Hour, "host_stale host_down"},
		{"hourly, just not stale", hourly, 2*time.Hour - 1, ""},
		{"hourly, stale", hourly, 2 * time.Hour, "host_stale"},
		{"hourly, just not down", hourly, 4*time.Hour - 1, "host_stale"},
		{"hourly, down", hourly, 4 * time.Hour, "host_stale host_down"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			now := momentAt(time.Minute + tt.at)
			s, events := expire(hostHeard(time.Minute), tt.rules, now, incident("one"))
			if got := types(events); got != tt.want {
				t.Fatalf("got %q, want %q", got, tt.want)
			}
			for _, e := range events {
				if e.IncidentID != "one" || !e.Detail.LastContactAt.Equal(worldBegan.Add(time.Minute)) || e.Detail.SilenceSeconds != int64(tt.at.Seconds()) || e.CustomerID != "acme" {
					t.Errorf("%s: %+v", e.Type, e)
				}
			}
			if again, events := expire(s, tt.rules, now, incident("two")); len(events) != 0 || again != s {
				t.Errorf("told again: %s", types(events))
			}
		})
	}
}

// TestNewHostNeverAlarms protects the hours between minting and installing.
func TestNewHostNeverAlarms(t *testing.T) {
	s := newHost
	if _, armed := deadline(&s, defaultRules, NeverResumed); armed {
		t.Error("a new host has a deadline")
	}
	if _, events := expire(s, defaultRules, momentAt(1000*time.Hour), incident("one")); len(events) != 0 {
		t.Errorf("got %s", types(events))
	}
	if got, events, heard := onGoodbye(s, messages.Goodbye{Reason: "reboot"}, 0, momentAt(0)); heard || len(events) != 0 || got != s {
		t.Error("a goodbye was heard of a host that never reported")
	}
}

// TestGraceAfterAGap protects hosts that had no chance to report: nothing is due
// before one has passed, and the thresholds stand after that.
func TestGraceAfterAGap(t *testing.T) {
	tests := []struct {
		name        string
		resumed     time.Duration // after the contact, in listening time
		rules       Rules
		stale, down time.Duration // likewise
	}{
		{"right after the contact", 0, defaultRules, 30 * time.Minute, time.Hour},
		{"in time for both", 14 * time.Minute, defaultRules, 30 * time.Minute, time.Hour},
		{"late for stale", 20 * time.Minute, defaultRules, 36 * time.Minute, time.Hour},
		{"late for both", 50 * time.Minute, defaultRules, 66 * time.Minute, 66 * time.Minute},
		{"hourly", 110 * time.Minute, defaultRules.scaled(3600), 174 * time.Minute, 4 * time.Hour},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := hostHeard(time.Minute)
			resumed := messages.Listened(time.Minute + tt.resumed)
			for _, want := range []time.Duration{tt.stale, tt.down} {
				at, armed := deadline(&s, tt.rules, resumed)
				if got := at.Duration() - time.Minute; !armed || got != want {
					t.Fatalf("%s: next is due after %v, want %v", s.Phase, got, want)
				}
				s.Phase++
			}
		})
	}
}

// TestGoodbyeHoldsTheAlarm protects planned work from alarms, and everybody
// from a host that says it will be back next year.
func TestGoodbyeHoldsTheAlarm(t *testing.T) {
	tests := []struct {
		name   string
		back   time.Duration // by the agent's clock; 0: not said
		reason string
		due    time.Duration
		want   string
	}{
		{"no time said", 0, "shutdown", 30 * time.Minute, "acme-7f3a90c1 has been silent for 30 min"},
		{"back before it would be stale", 20 * time.Minute, "reboot", 30 * time.Minute, "acme-7f3a90c1 has been silent for 30 min: planned reboot, late by 10 min"},
		{"back later", 2 * time.Hour, "upgrade", 2 * time.Hour, "acme-7f3a90c1 has been silent for 2 h: planned upgrade, late by 0 s"},
		{"a day is the most", 9000 * time.Hour, "reboot", 24 * time.Hour, "acme-7f3a90c1 has been silent for 1 d: planned reboot, late by 0 s"},
		{"back before it went", -time.Hour, "reboot", 30 * time.Minute, "acme-7f3a90c1 has been silent for 30 min: planned reboot, late by 30 min"},
		{"no reason", 20 * time.Minute, " \n", 30 * time.Minute, "acme-7f3a90c1 has been silent for 30 min: planned shutdown, late by 10 min"},
		{"two lines", 20 * time.Minute, "disk\r\n\tswap ", 30 * time.Minute, "acme-7f3a90c1 has been silent for 30 min: planned disk swap, late by 10 min"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			sent := worldBegan.Add(-77 * time.Hour) // the agent's clock does not matter
			g := messages.Goodbye{SentAt: sent, Reason: tt.reason}
			if tt.back != 0 {
				by := sent.Add(tt.back)
				g.BackBy = &by
			}
			s, events, heard := onGoodbye(hostHeard(0), g, 0, momentAt(10*time.Minute))
			if !heard || len(events) != 0 {
				t.Fatalf("heard %t, %s", heard, types(events))
			}
			due := 10*time.Minute + tt.due
			if _, events := expire(s, defaultRules, momentAt(due-1), incident("one")); len(events) != 0 {
				t.Errorf("told before: %s", events[0].Summary)
			}
			_, events = expire(s, defaultRules, momentAt(due), incident("one"))
			if len(events) == 0 || events[0].Summary != tt.want || events[0].Detail.Planned != (tt.back != 0) {
				t.Errorf("got %+v, want %s", events, tt.want)
			}
		})
	}
}

// TestGoodbyeOfAnAgentThatIsGone protects a host that is back from the goodbye
// of its former life, arriving late.
func TestGoodbyeOfAnAgentThatIsGone(t *testing.T) {
	s := newHost
	for i, stream := range []uint64{1, 2} {
		s, _, _ = heard(s, &messages.Summary{StreamHash: stream, Sequence: 1}, momentAt(time.Duration(i)*time.Minute))
	}
	by := worldBegan.Add(5 * time.Hour)
	g := messages.Goodbye{SentAt: worldBegan, BackBy: &by}
	if got, _, heard := onGoodbye(s, g, 1, momentAt(time.Hour)); heard || got != s {
		t.Error("the goodbye of a former stream was heard")
	}
	if _, _, heard := onGoodbye(s, g, 2, momentAt(time.Hour)); !heard {
		t.Error("the goodbye of the present stream was not heard")
	}
}

// TestAReportEndsTheHold protects the next outage from the last one's excuse.
func TestAReportEndsTheHold(t *testing.T) {
	by := worldBegan.Add(20 * time.Hour)
	s, _, _ := onGoodbye(hostHeard(0), messages.Goodbye{SentAt: worldBegan, Reason: "reboot", BackBy: &by}, 0, momentAt(time.Minute))
	s, _, _ = heard(s, &messages.Summary{}, momentAt(time.Hour))
	_, events := expire(s, defaultRules, momentAt(90*time.Minute), incident("one"))
	if types(events) != "host_stale" || events[0].Detail.Planned || events[0].Detail.Reason != "" {
		t.Errorf("got %+v", events)
	}
}

// TestReasonIsCutBetweenCharacters protects JSON and phones from half a letter.
func TestReasonIsCutBetweenCharacters(t *testing.T) {
	for _, reason := range []string{strings.Repeat("ő", 90), "a" + strings.Repeat("漢", 90), "bad \xff byte", strings.Repeat("x", 1000)} {
		got := heldReason(reason)
		if !utf8.ValidString(got) || len(got) > maxHoldReason || len(got) == 0 {
			t.Errorf("heldReason(%.8q…) = %q", reason, got)
		}
	}
}

// TestRecoverySaysHowLong protects the length of an outage from the hub's clock
// being set while it lasts: it may come out longer, never shorter than heard.
func TestRecoverySaysHowLong(t *testing.T) {
	tests := []struct {
		name         string
		heard, step  time.Duration // listening time that passed; what the wall clock did besides
		want         time.Duration
		wantRecovery bool
	}{
		{"not silent enough", 29 * time.Minute, 0, 0, false},
		{"stale only", 40 * time.Minute, 0, 40 * time.Minute, true},
		{"down", 5 * time.Hour, 0, 5 * time.Hour, true},
		{"with the hub off for an hour", 2 * time.Hour, time.Hour, 3 * time.Hour, true},
		{"with the clock set back", 2 * time.Hour, -90 * time.Minute, 2 * time.Hour, true},
		{"with the clock set back a year", 2 * time.Hour, -8760 * time.Hour, 2 * time.Hour, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			now := momentAt(tt.heard)
			now.Wall = now.Wall.Add(tt.step)
			s, told := expire(hostHeard(0), defaultRules, now, incident("one"))
			s, _, events := heard(s, &messages.Summary{}, now)
			if s.Phase != messages.PhaseOK || s.Incident != "" {
				t.Errorf("phase %s, incident %q after contact", s.Phase, s.Incident)
			}
			if !tt.wantRecovery {
				if len(told)+len(events) > 0 {
					t.Errorf("got %s, %s", types(told), types(events))
				}
				return
			}
			if types(events) != "host_recovered" {
				t.Fatalf("got %s", types(events))
			}
			e := events[0]
			if e.Detail.DurationSeconds != int64(tt.want.Seconds()) || e.IncidentID != "one" || !e.Detail.LastContactAt.Equal(worldBegan) ||
				e.Summary != "acme-7f3a90c1 is back after "+inWords(tt.want) {
				t.Errorf("got %+v", e)
			}
		})
	}
}

// TestRebootIsTold protects the difference between a machine that restarted and
// an agent that did.
func TestRebootIsTold(t *testing.T) {
	tests := []struct {
		name        string
		boots, want string
	}{
		{"same boot", "11", ""},
		{"new boot", "12", "host_rebooted"},
		{"boot not told at first", "01", ""},
		{"boot not told for once", "101", ""},
		{"boot not told across a reboot", "102", "host_rebooted"},
	}
	for _, tt := range tests {
		s := newHost
		var told []messages.Event
		for _, b := range tt.boots {
			next, _, events := heard(s, &messages.Summary{BootHash: uint64(b - '0')}, momentAt(0))
			s, told = next, append(told, events...)
		}
		if got := types(told); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

// TestClockSkewIsRaisedOnce protects operators from a clock that wavers around
// the limit, and judges the clock at sending: a report from the backlog is old,
// not skewed.
func TestClockSkewIsRaisedOnce(t *testing.T) {
	const none = 1000 * time.Hour // no such instant in the report
	type report struct {
		reported, sent time.Duration // against the hub's clock
		want           string
	}
	at := func(d time.Duration, want string) report { return report{d, none, want} }
	tests := []struct {
		name    string
		reports []report
		secs    int32
	}{
		{"within", []report{at(5*time.Minute, ""), at(-5*time.Minute, "")}, -300},
		{"ahead", []report{at(6*time.Minute+time.Second, "acme-7f3a90c1: clock is 6 min ahead")}, 361},
		{"behind", []report{at(-2*time.Hour, "acme-7f3a90c1: clock is 2 h behind")}, -7200},
		{"wavers", []report{at(301*time.Second, "acme-7f3a90c1: clock is 5 min ahead"), at(4*time.Minute+time.Second, ""), at(301*time.Second, ""), at(-301*time.Second, "")}, -301},
		{"returns and comes again", []report{at(301*time.Second, "acme-7f3a90c1: clock is 5 min ahead"), at(4*time.Minute, "acme-7f3a90c1: clock is right again"), at(-301*time.Second, "acme-7f3a90c1: clock is 5 min behind")}, -301},
		{"an old report just sent", []report{{-3 * time.Hour, time.Second, ""}}, 1},
		{"a good clock now, a bad one when it reported", []report{{6 * time.Hour, -time.Second, ""}}, -1},
		{"a bad clock when sent", []report{{0, 10 * time.Minute, "acme-7f3a90c1: clock is 10 min ahead"}}, 600},
		{"not said keeps what was", []report{at(200*time.Second, ""), {none, none, ""}}, 200},
		{"a clock of 1970", []report{at(time.Unix(1, 0).Sub(worldBegan), "acme-7f3a90c1: clock is 20453 d 23 h behind")}, -1767225599},
		{"a clock of 2262", []report{at(80*8766*time.Hour, "acme-7f3a90c1: clock is 29220 d ahead")}, 1<<31 - 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newHost
			now := momentAt(time.Hour)
			against := func(d time.Duration) int64 {
				if d == none {
					return 0
				}
				return now.Wall.Add(d).UnixNano()
			}
			for i, r := range tt.reports {
				next, _, events := heard(s, &messages.Summary{ReportedAt: against(r.reported), SentAt: against(r.sent)}, now)
				var got string
				for _, e := range events {
					got += e.Summary
				}
				if got != r.want {
					t.Errorf("report %d: got %q, want %q", i, got, r.want)
				}
				s = next
			}
			if s.SkewSecs != tt.secs {
				t.Errorf("got a skew of %d s, want %d", s.SkewSecs, tt.secs)
			}
		})
	}
}

// TestAgentsClockNeverTouchesLiveness protects the switch from whatever an agent
// believes the time to be.
func TestAgentsClockNeverTouchesLiveness(t *testing.T) {
	for _, reported := range []int64{0, 1, -1, worldBegan.Add(-9 * time.Hour).UnixNano(), worldBegan.Add(9000 * time.Hour).UnixNano()} {
		s, _, _ := heard(newHost, &messages.Summary{ReportedAt: reported, SentAt: reported}, momentAt(time.Hour))
		at, armed := deadline(&s, defaultRules, NeverResumed)
		if want := messages.Listened(90 * time.Minute); !armed || at != want || s.ContactAt != worldBegan.Add(time.Hour).UnixNano() {
			t.Errorf("reported at %d: due at %v, want %v", reported, at.Duration(), want.Duration())
		}
	}
}

// TestEventsSayWhatWasKnown protects the message's last line: what ran on the
// host when it was last heard.
func TestEventsSayWhatWasKnown(t *testing.T) {
	known := messages.Figures{GuestTotal: 7, GuestRunning: 5, Cloudflared: "active"}
	s, _, _ := heard(newHost, &messages.Summary{Figures: known}, momentAt(0))
	s, told := expire(s, defaultRules, momentAt(2*time.Hour), incident("one"))
	_, _, back := heard(s, &messages.Summary{Figures: messages.Figures{GuestTotal: 1}}, momentAt(3*time.Hour))
	for _, e := range append(told, back...) {
		if e.Detail.GuestTotal != 7 || e.Detail.GuestRunning != 5 || e.Detail.Cloudflared != "active" {
			t.Errorf("%s knows %+v", e.Type, e.Detail)
		}
	}
}
