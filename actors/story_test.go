package actors

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"felhom.eu/messages"
)

var rewrite = flag.Bool("rewrite", false, "rewrite what the stories in testdata say; read the diff like code")

// TestStories protects what an operator is told, word for word. A story is a
// text file: a line that is not indented is done, one with # is a remark, and
// the indented lines below say what was seen, by the hub's clock. Commands are
// the keys of storyCommands.
func TestStories(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no stories: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := tell(t, string(want), true)
			if *rewrite {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if got != string(want) {
				t.Errorf("%s has changed; run with -rewrite and read the diff. First difference:\n%s", file, firstDifference(got, string(want)))
			}
		})
	}
}

// TestCoastingTellsTheSame protects the shortcut by which a year takes no time:
// it must tell the story that every single tick tells.
func TestCoastingTellsTheSame(t *testing.T) {
	text, err := os.ReadFile("testdata/hub_restart.txt")
	if err != nil {
		t.Fatal(err)
	}
	if quick, slow := tell(t, string(text), true), tell(t, string(text), false); quick != slow {
		t.Errorf("tick by tick it reads differently:\n%s", firstDifference(slow, quick))
	}
}

func firstDifference(got, want string) string {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range min(len(g), len(w)) {
		if g[i] != w[i] {
			return fmt.Sprintf("line %d\n got  %s\n want %s", i+1, g[i], w[i])
		}
	}
	return fmt.Sprintf("got %d lines, want %d", len(g), len(w))
}

// story is one host and its hub in a text.
type story struct {
	t    *testing.T
	hub  *modelHub
	out  strings.Builder
	skew time.Duration // of the agent's clock
	speaker
	other  speaker          // a clone, or a snapshot of the memory
	last   messages.Summary // sent last
	kept   messages.Summary // made, but not sent yet
	counts map[string]int   // what became of reports since the last summary
}

// speaker is who speaks.
type speaker struct {
	boot     uint64
	bootedAt time.Duration
	stream   uint64
	sequence uint64
}

// tell runs a story and returns it with what was seen.
func tell(t *testing.T, text string, coast bool) string {
	s := &story{t: t, hub: newModelHub(defaultRules, []int{0}), speaker: speaker{boot: 1, stream: 1}, counts: map[string]int{}}
	s.hub.coasts = coast
	s.hub.told = func(_ int, e messages.Event) { s.event(e) }
	s.hub.gap = func(g Gap) { s.seen("(deaf for %s: %s)", inWords(g.Duration()), g.Cause) }
	s.hub.died = func(fate) { s.seen("(the hub dies)") }
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "    ") {
			continue // what was seen the last time
		}
		s.out.WriteString(line)
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			s.do(line)
		}
	}
	return s.out.String()
}

// seen writes a line as of now.
func (s *story) seen(format string, args ...any) {
	at := s.hub.read().Wall.Format("2006-01-02 15:04:05")
	s.out.WriteString(strings.TrimRight(fmt.Sprintf("    %s  %s", at, fmt.Sprintf(format, args...)), " ") + "\n")
}

func (s *story) event(e messages.Event) {
	var about []string
	if e.IncidentID != "" {
		about = append(about, "incident "+string(e.IncidentID))
	}
	if e.Detail.LastContactAt != nil {
		about = append(about, "last contact "+e.Detail.LastContactAt.Format("01-02 15:04:05"))
	}
	if e.Detail.Planned {
		about = append(about, "planned")
	}
	s.seen("%-14s  %s  [%s]", e.Type, e.Summary, strings.Join(about, ", "))
}

// storyCommands are the sentences of a story: its words, with * for one
// argument and … for the rest of the line.
var storyCommands = []struct {
	words string
	do    func(s *story, args []string)
}{
	{"host reports every *", func(s *story, a []string) { s.hub.own[0] = int(s.span(a[0]).Seconds()) }},

	{"hub starts", func(s *story, _ []string) { s.hub.start() }},
	{"hub stops", func(s *story, _ []string) { s.hub.stop() }},
	{"hub is killed", func(s *story, _ []string) { s.hub.crash() }},
	{"hub off for *", func(s *story, a []string) { s.hub.stop(); s.pass(a[0]); s.hub.start() }},
	{"hub killed for *", func(s *story, a []string) { s.hub.crash(); s.pass(a[0]); s.hub.start() }},
	{"kill before the next write", func(s *story, _ []string) { s.next(fateKilledBefore) }},
	{"kill after the next write", func(s *story, _ []string) { s.next(fateKilledAfter) }},
	{"customer is blocked", func(s *story, _ []string) { s.hub.block(true) }},
	{"block is lifted", func(s *story, _ []string) { s.hub.block(false) }},

	{"store is full", func(s *story, _ []string) { s.hub.close("the store is full") }},
	{"store has room", func(s *story, _ []string) { s.hub.open() }},
	{"store full for *", func(s *story, a []string) { s.hub.close("the store is full"); s.pass(a[0]); s.hub.open() }},

	{"clock *", func(s *story, a []string) { s.hub.wall += s.span(a[0]); s.seen("(so the hub's clock says)") }},
	{"suspend *", func(s *story, a []string) { s.nap(suspended, a[0]) }},
	{"pause *", func(s *story, a []string) { s.nap(paused, a[0]) }},
	{"starve *", func(s *story, a []string) { s.nap(starved, a[0]) }},

	{"silent *", func(s *story, a []string) { s.pass(a[0]) }},
	{"report", func(s *story, _ []string) { s.report(s.make()) }},
	{"every * report for *", (*story).reports},
	{"duplicate", func(s *story, _ []string) { s.report(s.last) }},
	{"keep a report back", func(s *story, _ []string) { s.kept = s.make() }},
	{"the kept report", func(s *story, _ []string) { s.report(s.kept) }},
	{"agent restarts", func(s *story, _ []string) { s.restart() }},
	{"reboot", func(s *story, _ []string) { s.reboot() }},
	{"reboot in *", func(s *story, a []string) { s.pass(a[0]); s.reboot() }},
	{"snapshot", func(s *story, _ []string) { s.other = s.speaker }},
	{"set back", func(s *story, _ []string) { s.speaker = s.other }},
	{"another machine boots", func(s *story, _ []string) { s.other = speaker{boot: 99, stream: 99, bootedAt: s.hub.real} }},
	{"another machine reports", func(s *story, _ []string) { s.swap(); s.report(s.make()); s.swap() }},
	{"both report every * for *", (*story).both},
	{"agent clock *", func(s *story, a []string) { s.skew += s.span(a[0]) }},
	{"goodbye * back in *", func(s *story, a []string) { s.goodbye(a[0], s.span(a[1])) }},
	{"goodbye *", func(s *story, a []string) { s.goodbye(a[0], 0) }},

	{"show", (*story).show},
	{"availability", (*story).availability},
}

func (s *story) do(line string) {
	words := strings.Fields(line)
	for _, c := range storyCommands {
		if args, ok := match(strings.Fields(c.words), words); ok {
			c.do(s, args)
			s.summary()
			return
		}
	}
	s.t.Fatalf("no such command: %s", line)
}

func match(pattern, words []string) (args []string, ok bool) {
	if len(pattern) != len(words) {
		return nil, false
	}
	for i, p := range pattern {
		switch {
		case p == "*":
			args = append(args, words[i])
		case p != words[i]:
			return nil, false
		}
	}
	return args, true
}

// span reads a duration; 3d is three days.
func (s *story) span(text string) time.Duration {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.Atoi(days)
		if err != nil {
			s.t.Fatal(err)
		}
		return time.Duration(n) * 24 * time.Hour
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		s.t.Fatal(err)
	}
	return d
}

// pass lets time pass, also over a hub that dies in it.
func (s *story) pass(text string) { s.passTo(s.hub.real + s.span(text)) }

func (s *story) passTo(real time.Duration) {
	for s.hub.real < real {
		s.hub.runTo(real)
	}
}

func (s *story) nap(n nap, text string) {
	s.hub.sleep()
	s.pass(text)
	s.hub.wake(n, s.span(text))
	s.pass("2s") // until the ledger has noticed
}

func (s *story) next(f fate) {
	s.hub.fate = func(int) fate {
		s.hub.fate = func(int) fate { return fateWritten }
		return f
	}
}

func (s *story) make() messages.Summary {
	s.sequence++
	now := worldBegan.Add(s.hub.real + s.skew).UnixNano()
	return messages.Summary{StreamHash: s.stream, Sequence: s.sequence, BootHash: s.boot,
		UptimeSecs: uint32((s.hub.real - s.bootedAt).Seconds()), ReportedAt: now, SentAt: now}
}

func (s *story) swap() { s.speaker, s.other = s.other, s.speaker }

func (s *story) reboot() {
	s.boot, s.bootedAt = s.boot+1, s.hub.real
	s.restart()
}

// both lets the other machine report in the middle between two reports.
func (s *story) both(args []string) {
	every, end := s.span(args[0]), s.hub.real+s.span(args[1])
	for s.hub.real < end {
		s.passTo(s.hub.real + every/2)
		s.swap()
		s.report(s.make())
		s.swap()
		s.passTo(s.hub.real + every/2)
		s.report(s.make())
	}
}

func (s *story) report(r messages.Summary) {
	s.last = r
	durable, acked, v := s.hub.report(0, r)
	switch {
	case !durable:
		s.counts["not taken"]++
	case !acked:
		s.counts["on disk, but not answered"]++
	default:
		s.counts[[...]string{"taken", "older: history only", "known: answered again"}[v]+s.told()]++
	}
}

// told is what an answer says besides.
func (s *story) told() string {
	if s.hub.acme.Blocked {
		return toldBlocked
	}
	return ""
}

const toldBlocked = ", and told that its customer is blocked"

func (s *story) reports(args []string) {
	every, end := s.span(args[0]), s.hub.real+s.span(args[1])
	for at := s.hub.real + every; at <= end; at += every {
		s.passTo(at)
		s.report(s.make())
	}
	s.passTo(end)
}

func (s *story) restart() {
	s.stream++
	s.sequence = 0
	s.report(s.make())
}

func (s *story) goodbye(reason string, back time.Duration) {
	sent := worldBegan.Add(s.hub.real + s.skew)
	g := messages.Goodbye{SentAt: sent, Reason: reason}
	if back > 0 {
		by := sent.Add(back)
		g.BackBy = &by
	}
	if durable, heard := s.hub.goodbye(0, g, s.stream); !durable || !heard {
		s.seen("(the goodbye is not taken)")
	}
}

func (s *story) show(_ []string) {
	now, h := s.hub.now(), &s.hub.states[0]
	s.seen("%s since %s, silence %s", h.Phase, time.Unix(0, h.PhaseSince).UTC().Format("01-02 15:04:05"), inWords((now.At - h.ContactHeard).Duration()))
}

func (s *story) availability(_ []string) {
	life := Life{&s.hub.states[0], s.hub.downs[0]}
	for _, a := range AvailabilityOf(s.hub.months, s.hub.now(), 12, slices.Values([]Life{life})) {
		ratio, known := a.Ratio()
		if !known {
			s.seen("%s  nothing was listened to", a.Month)
			continue
		}
		s.seen("%s  %.3f %%  outages %d: down for %s of %s, planned %s", a.Month, 100*ratio, a.Outages,
			inWords(a.Down), inWords(a.Listened), inWords(a.Planned))
	}
}

// summary says what became of the reports of one command.
func (s *story) summary() {
	for _, what := range []string{"taken", "taken" + toldBlocked, "not taken", "on disk, but not answered",
		"older: history only", "older: history only" + toldBlocked, "known: answered again", "known: answered again" + toldBlocked} {
		n := s.counts[what]
		delete(s.counts, what)
		switch {
		case n == 1:
			s.seen("report %s", what)
		case n > 1:
			s.seen("%d reports %s", n, what)
		}
	}
}
