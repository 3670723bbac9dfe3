package rules

import (
	"encoding/json"
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

// TestStories protects what an operator is told of a host's guests, storages and
// backups, word for word. A story is a text file: a line that is not indented is
// done, one with # is a remark, and the indented lines below say what was told, by
// the hub's clock. Every report goes the way it goes in a hub: one that says nothing
// new is not judged unless something is due.
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
			got := tell(t, string(want))
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

func firstDifference(got, want string) string {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range min(len(g), len(w)) {
		if g[i] != w[i] {
			return fmt.Sprintf("line %d\n got  %s\n want %s", i+1, g[i], w[i])
		}
	}
	return fmt.Sprintf("got %d lines, want %d", len(g), len(w))
}

// began is a Monday.
var began = time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)

// story is one host, what it would report now, and what the hub remembers of it.
type story struct {
	t         *testing.T
	out       strings.Builder
	now       time.Time
	skew      time.Duration
	booted    time.Time
	report    messages.Report
	nightly   []nightly
	standing  messages.Standing
	settings  messages.RuleSettings
	hash      uint64
	due       time.Time
	incidents int
	reports   int
	judged    int
	hidden    bool // groups are
}

// nightly is a backup job.
type nightly struct {
	vmids []messages.VMID
	at    time.Duration // after midnight
	group *messages.PBSGroup
	fails map[messages.VMID]bool // the next time
}

func tell(t *testing.T, text string) string {
	s := &story{t: t, now: began, booted: began.Add(-30 * 24 * time.Hour)}
	s.standing.HostID = "acme-00000001"
	s.report = messages.Report{HostID: s.standing.HostID, Sections: map[string]messages.Section{}}
	s.report.Host.RootTotalBytes = 1e12
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "    ") {
			continue // what was told the last time
		}
		s.out.WriteString(line)
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			s.do(line)
		}
	}
	return s.out.String()
}

// told writes a line as of now.
func (s *story) told(format string, args ...any) {
	s.out.WriteString(strings.TrimRight("    "+s.now.Format("01-02 15:04")+"  "+fmt.Sprintf(format, args...), " ") + "\n")
}

// sentences are the commands of a story: words, with * for one argument and … for
// the rest of the line.
var sentences = []struct {
	words string
	do    func(s *story, a []string)
}{
	{"guest * named * is * …", (*story).addGuest},
	{"guest * stops", func(s *story, a []string) { s.guest(a[0]).Status = "stopped" }},
	{"guest * starts", func(s *story, a []string) { s.guest(a[0]).Status = "running" }},
	{"guest * is unknown", func(s *story, a []string) { s.guest(a[0]).Status = messages.GuestUnknown }},
	{"guest * is locked for *", func(s *story, a []string) { s.guest(a[0]).Lock = a[1] }},
	{"guest * is unlocked", func(s *story, a []string) { s.guest(a[0]).Lock = "" }},
	{"guest * vanishes", (*story).vanish},
	{"node * of the cluster has …", func(s *story, a []string) {
		m := messages.ClusterMember{Node: a[0], Online: true}
		for _, v := range strings.Fields(a[1]) {
			m.VMIDs = append(m.VMIDs, s.vmid(v))
		}
		s.report.Cluster = &messages.Cluster{Name: "wald", Quorate: true, Members: []messages.ClusterMember{{Node: "own", Online: true}, m}}
	}},
	{"task * of guest * ends *", func(s *story, a []string) {
		s.report.AuditTail = append(s.report.AuditTail, messages.AuditEntry{UPID: "U", Type: a[0], ID: a[1], User: "root@pam", Status: a[2]})
	}},
	{"root is * full", func(s *story, a []string) {
		s.report.Host.RootUsedBytes = s.percent(a[0], s.report.Host.RootTotalBytes)
	}},
	{"storage * is * full", func(s *story, a []string) { s.storage(a[0]).UsedBytes = s.percent(a[1], 1e12) }},
	{"storage * goes offline", func(s *story, a []string) { s.storage(a[0]).Active = false }},
	{"storage * is disabled", func(s *story, a []string) { s.storage(a[0]).Active, s.storage(a[0]).Enabled = false, false }},
	{"storage * is back", func(s *story, a []string) { s.storage(a[0]).Active, s.storage(a[0]).Enabled = true, true }},
	{"storage * is gone", func(s *story, a []string) {
		s.report.StorageTargets = slices.DeleteFunc(s.report.StorageTargets, func(x messages.StorageTarget) bool { return x.Storage == a[0] })
	}},
	{"datastore * is * full", (*story).datastore},
	{"tunnel is *", func(s *story, a []string) { s.report.Cloudflared.Status = a[0] }},
	{"disk * is *", (*story).disk},
	{"pool * is *", (*story).pool},
	{"* are *", func(s *story, a []string) {
		s.report.Sections[a[0]] = messages.Section{Status: messages.SectionStatus(a[1])}
	}},
	{"the agent says nothing of *", func(s *story, a []string) { delete(s.report.Sections, a[0]) }},
	{"settings …", (*story).set},

	{"every night at * back up to * …", func(s *story, a []string) {
		place := strings.Split(a[1], ":") // datastore:namespace:owner
		s.job(a[0], a[2], &messages.PBSGroup{Server: "pbs1", Datastore: place[0], Namespace: place[1], Owner: place[2]})
	}},
	{"every night at * back up …", func(s *story, a []string) { s.job(a[0], a[1], nil) }},
	{"the next backup of * fails", func(s *story, a []string) {
		for _, n := range s.nightly {
			n.fails[s.vmid(a[0])] = true
		}
	}},
	{"no job backs up *", func(s *story, a []string) {
		for i := range s.nightly {
			n := &s.nightly[i]
			n.vmids = slices.DeleteFunc(n.vmids, func(v messages.VMID) bool { return v == s.vmid(a[0]) })
		}
	}},
	{"guest * has no backup", func(s *story, a []string) { no := false; s.backup(s.vmid(a[0])).InJob = &no }},
	{"a shared storage lists a backup of *", func(s *story, a []string) {
		b, at := s.backup(s.vmid(a[0])), s.hostNow()
		b.NewestGoodAt, b.Volume, b.Evidence = &at, "nas:backup/vzdump-lxc-"+a[0]+".tar.zst", messages.EvidenceShared
	}},
	{"a shared storage lists another host's snapshot of *", func(s *story, a []string) {
		b, at, in := s.backup(s.vmid(a[0])), s.report.PBSSnapshots[0].NewestAt, true
		b.NewestGoodAt, b.Volume, b.Evidence, b.InJob = at, "pbs:backup/ct/"+a[0]+"/"+at.Format(time.RFC3339), messages.EvidenceShared, &in
	}},
	{"guest * is in a job", func(s *story, a []string) { yes := true; s.backup(s.vmid(a[0])).InJob = &yes }},
	{"groups of * may be missing", func(s *story, a []string) {
		s.report.PBSDatastores = messages.Items[messages.PBSDatastore]{{Server: "pbs1", Datastore: a[0], GroupsMissing: "denied"}}
		s.hidden = true
	}},
	{"datastore * is unmounted", func(s *story, a []string) {
		s.datastore([]string{a[0], "0%"})
		s.report.PBSDatastores[0].GroupsMissing = "datastore is not mounted"
		s.hidden = true
	}},
	{"datastore * is mounted", func(s *story, a []string) {
		s.datastore([]string{a[0], "10%"})
		s.hidden = false
	}},
	{"datastore * is not listed", func(s *story, a []string) { s.report.PBSDatastores, s.hidden = nil, true }},
	{"backup of * runs", func(s *story, a []string) { s.backup(s.vmid(a[0])).LastResult = messages.BackupRunning }},
	{"backup of * is good", func(s *story, a []string) { s.backedUp(s.vmid(a[0]), false, nil) }},
	{"backup of * fails", func(s *story, a []string) { s.backedUp(s.vmid(a[0]), true, nil) }},
	{"verification of * is good", func(s *story, a []string) { s.verify(a[0], true) }},
	{"verification of * fails", func(s *story, a []string) { s.verify(a[0], false) }},
	{"everything is verified", func(s *story, _ []string) {
		for i := range s.report.PBSSnapshots {
			g := &s.report.PBSSnapshots[i]
			g.VerifiedAt, g.VerifiedOK = g.NewestAt, true
		}
	}},
	{"another host's group * in * of second *", (*story).foreign},
	{"restore test of * passes", func(s *story, a []string) { s.test(a[0], true) }},
	{"restore test of * fails", func(s *story, a []string) { s.test(a[0], false) }},

	{"host reboots", func(s *story, _ []string) { s.booted = s.now }},
	{"agent's clock is off by *", func(s *story, a []string) { s.skew = s.span(a[0]) }},
	{"silent for *", func(s *story, a []string) { s.sleep(s.span(a[0])) }},
	{"report", func(s *story, _ []string) { s.send() }},
	{"reports for *", (*story).sendFor},
	{"protection", (*story).protection},
}

func (s *story) do(line string) {
	words := strings.Fields(line)
	for _, c := range sentences {
		if args, ok := match(strings.Fields(c.words), words); ok {
			c.do(s, args)
			return
		}
	}
	s.t.Fatalf("no such command: %s", line)
}

func match(pattern, words []string) (args []string, ok bool) {
	for i, p := range pattern {
		switch {
		case p == "…":
			return append(args, strings.Join(words[i:], " ")), true
		case i >= len(words):
			return nil, false
		case p == "*":
			args = append(args, words[i])
		case p != words[i]:
			return nil, false
		}
	}
	return args, len(pattern) == len(words)
}

func (s *story) number(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil {
		s.t.Fatal(err)
	}
	return n
}

func (s *story) vmid(text string) messages.VMID { return messages.VMID(s.number(text)) }

func (s *story) percent(text string, total uint64) uint64 {
	return total / 1000 * uint64(s.number(strings.TrimSuffix(text, "%"))*10)
}

// span reads a duration; 3d is three days.
func (s *story) span(text string) time.Duration {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		return time.Duration(s.number(days)) * 24 * time.Hour
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		s.t.Fatal(err)
	}
	return d
}

func (s *story) addGuest(a []string) {
	g := messages.Guest{VMID: s.vmid(a[0]), Kind: "lxc", Name: a[1], Status: a[2], UptimeSeconds: 3600}
	for _, word := range strings.Fields(a[3]) {
		if word == "onboot" {
			g.OnBoot = true
		} else {
			g.Tags = append(g.Tags, word)
		}
	}
	s.report.Guests = append(slices.DeleteFunc(s.report.Guests, func(x messages.Guest) bool { return x.VMID == g.VMID }), g)
}

func (s *story) guest(vmid string) *messages.Guest {
	i := slices.IndexFunc(s.report.Guests, func(g messages.Guest) bool { return g.VMID == s.vmid(vmid) })
	if i < 0 {
		s.t.Fatalf("no guest %s", vmid)
	}
	return &s.report.Guests[i]
}

func (s *story) vanish(a []string) {
	s.report.Guests = slices.DeleteFunc(s.report.Guests, func(g messages.Guest) bool { return g.VMID == s.vmid(a[0]) })
}

func (s *story) storage(name string) *messages.StorageTarget {
	i := slices.IndexFunc(s.report.StorageTargets, func(x messages.StorageTarget) bool { return x.Storage == name })
	if i < 0 {
		s.report.StorageTargets = append(s.report.StorageTargets, messages.StorageTarget{Storage: name, Enabled: true, Active: true, TotalBytes: 1e12})
		i = len(s.report.StorageTargets) - 1
	}
	return &s.report.StorageTargets[i]
}

func (s *story) datastore(a []string) {
	s.report.PBSDatastores = messages.Items[messages.PBSDatastore]{{Server: "pbs1", Datastore: a[0], TotalBytes: 1e12, UsedBytes: s.percent(a[1], 1e12)}}
}

func (s *story) disk(a []string) {
	s.report.Disks = messages.Items[messages.Disk]{{Device: "/dev/" + a[0], Serial: "S-" + a[0], Health: a[1]}}
}

func (s *story) pool(a []string) {
	s.report.ZFSPools = messages.Items[messages.ZFSPool]{{Name: a[0], Health: a[1]}}
}

func (s *story) set(a []string) {
	var set messages.RuleSettings
	if err := json.Unmarshal([]byte(a[0]), &set); err != nil {
		s.t.Fatal(err)
	}
	if err := Validate(&set, nil); err != nil {
		s.told("(refused: %v)", err)
		return
	}
	s.settings = set
}

func (s *story) job(at, vmids string, group *messages.PBSGroup) {
	clock, err := time.Parse("15:04", at)
	if err != nil {
		s.t.Fatal(err)
	}
	n := nightly{at: clock.Sub(clock.Truncate(24 * time.Hour)), group: group, fails: map[messages.VMID]bool{}}
	for _, v := range strings.Fields(vmids) {
		n.vmids = append(n.vmids, s.vmid(v))
	}
	s.nightly = append(s.nightly, n)
}

func (s *story) backup(vmid messages.VMID) *messages.Backup {
	i := slices.IndexFunc(s.report.Backups, func(b messages.Backup) bool { return b.VMID == vmid })
	if i < 0 {
		s.report.Backups = append(s.report.Backups, messages.Backup{VMID: vmid})
		i = len(s.report.Backups) - 1
	}
	return &s.report.Backups[i]
}

// hostNow is the time by the host's clock.
func (s *story) hostNow() time.Time { return s.now.Add(s.skew) }

func (s *story) backedUp(vmid messages.VMID, failed bool, to *messages.PBSGroup) {
	b, at := s.backup(vmid), s.hostNow()
	b.LastAt, b.LastResult, b.LastError = &at, messages.BackupOK, ""
	if failed {
		b.LastResult, b.LastError = messages.BackupFailed, "no space left on device"
		return
	}
	b.NewestGoodAt, b.Evidence = &at, messages.EvidenceTask
	if to == nil {
		b.Volume = fmt.Sprintf("local:backup/vzdump-lxc-%d.tar.zst", vmid)
		return
	}
	b.Volume = fmt.Sprintf("pbs:backup/ct/%d/%s", vmid, at.Format(time.RFC3339))
	s.group(*to, vmid).NewestAt = &at
}

func (s *story) group(place messages.PBSGroup, vmid messages.VMID) *messages.PBSGroup {
	place.BackupType, place.BackupID = "ct", strconv.Itoa(int(vmid))
	i := slices.IndexFunc(s.report.PBSSnapshots, func(g messages.PBSGroup) bool {
		return sourceOf(&g) == sourceOf(&place) && g.BackupID == place.BackupID
	})
	if i < 0 {
		s.report.PBSSnapshots = append(s.report.PBSSnapshots, place)
		i = len(s.report.PBSSnapshots) - 1
	}
	return &s.report.PBSSnapshots[i]
}

// foreign is what another host left in a datastore that both use: its newest
// snapshot is days old, and its verification failed.
func (s *story) foreign(a []string) {
	place := strings.Split(a[1], ":")
	at := s.hostNow().Truncate(24 * time.Hour).Add(s.span(a[2]))
	g := s.group(messages.PBSGroup{Server: "pbs1", Datastore: place[0], Namespace: place[1], Owner: place[2]}, s.vmid(a[0]))
	g.NewestAt, g.VerifiedAt, g.VerifiedOK = &at, &at, false
}

func (s *story) verify(vmid string, ok bool) {
	for i := range s.report.PBSSnapshots {
		if g := &s.report.PBSSnapshots[i]; g.BackupID == vmid && g.Owner == s.nightly[0].group.Owner {
			g.VerifiedAt, g.VerifiedOK = g.NewestAt, ok
		}
	}
}

func (s *story) test(vmid string, ok bool) {
	s.report.RestoreTests = append(s.report.RestoreTests, messages.RestoreTest{
		VMID: s.vmid(vmid), Level: messages.RestoreBooted, OK: ok, StartedAt: s.hostNow(), Detail: map[bool]string{false: "it did not boot"}[ok],
	})
}

// sleep lets time pass; jobs run meanwhile.
func (s *story) sleep(d time.Duration) {
	for end := s.now.Add(d); s.now.Before(end); {
		next := end
		for _, n := range s.nightly {
			at := s.now.Truncate(24 * time.Hour).Add(n.at)
			if !at.After(s.now) {
				at = at.Add(24 * time.Hour)
			}
			if at.Before(next) {
				next = at
			}
		}
		s.now = next
		for _, n := range s.nightly {
			if s.now.Equal(s.now.Truncate(24 * time.Hour).Add(n.at)) {
				for _, v := range n.vmids {
					s.backedUp(v, n.fails[v], n.group)
					delete(n.fails, v)
				}
			}
		}
	}
}

func (s *story) sendFor(a []string) {
	s.reports, s.judged = 0, 0
	for range int(s.span(a[0]) / (15 * time.Minute)) {
		s.sleep(15 * time.Minute)
		s.send()
	}
	s.told("%d reports, %d read in full", s.reports, s.judged)
}

// send reports as a hub hears it.
func (s *story) send() {
	s.report.Host.UptimeSeconds = uint64(s.now.Sub(s.booted).Seconds()) + 1
	report := s.report
	if s.hidden {
		report.PBSSnapshots = nil
	}
	body, err := json.Marshal(report)
	if err != nil {
		s.t.Fatal(err)
	}
	var sum messages.Summary
	if err := messages.Scan(body, &sum); err != nil {
		s.t.Fatal(err)
	}
	limits := Resolve(nil, &s.settings)
	s.reports++
	if hash := sum.FactsHash ^ limits.Hash; hash != s.hash || !s.due.IsZero() && !s.now.Before(s.due) {
		s.hash = hash
		s.judge(body, &limits)
	}
}

func (s *story) judge(body []byte, limits *Thresholds) {
	s.judged++
	facts, err := messages.DecodeFacts(body)
	if err != nil {
		s.t.Fatal(err)
	}
	var findings []Finding
	findings, s.due = Judge(&s.standing, Report{Report: &facts, Thresholds: limits, Now: s.now, Skew: s.skew, Incident: func() messages.IncidentID {
		s.incidents++
		return messages.IncidentID(fmt.Sprintf("#%d", s.incidents))
	}})
	for _, f := range findings {
		about := string(f.Incident) + ", " + f.Severity.String()
		if f.Duration != 0 {
			about += ", after " + span(int64(f.Duration.Seconds()))
		}
		if f.Reason != "" {
			about += ": " + f.Reason
		}
		s.told("%-22s %s  [%s]", f.Type, f.Words, about)
	}
}

func (s *story) protection([]string) {
	limits := Resolve(nil, &s.settings)
	for _, p := range Chain(&s.standing, &limits, s.now) {
		link := func(l messages.ProtectionLink) string {
			if l.AgeSeconds == nil {
				return string(l.State)
			}
			return fmt.Sprintf("%s (%s)", l.State, span(*l.AgeSeconds))
		}
		source := ""
		if p.Source != nil {
			source = fmt.Sprintf("  in %s/%s:%s as %s", p.Source.Server, p.Source.Datastore, p.Source.Namespace, p.Source.Owner)
		}
		s.told("%d %-6s %-12s backup %s, verified %s, restore test %s%s", p.VMID, p.Name, p.State, link(p.Backup), link(p.Verify), link(p.RestoreTest), source)
	}
}
