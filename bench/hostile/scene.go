package main

import (
	"context"
	"fmt"
	"io"
	"sort"
	"strings"
	"sync"
	"time"

	"felhom.eu/bench/load"
	"felhom.eu/bench/rig"
)

// ceiling is what the hub's RSS may grow by, in bytes.
const ceiling = 64 << 20

// scene is a hub, an honest agent, and those who do not mean well.
type scene struct {
	hub     *rig.Hub
	honest  *load.Host // reports ten times a second
	mule    *load.Host // its key is known to the attackers
	witness *load.Host // never reports: if it has a report, one was smuggled
	verbose bool

	before rig.Memory
	rows   []row
	checks rig.Checks
}

// row is an attack and what came of it.
type row struct {
	name     string
	outcome  outcome
	honest   *load.Result
	peak     int64 // bytes of RSS above the beginning
	duration time.Duration
}

// attack is one way to be hostile.
type attack struct {
	name string
	run  func(context.Context, *scene) outcome
}

// outcome is what an attack was answered with.
type outcome struct {
	sent    int
	answers map[string]int // by status, or a word for what was not an answer
	wrong   []string       // answers that should not have been given
	note    string
}

// add counts an answer.
func (o *outcome) add(answer string) {
	if o.answers == nil {
		o.answers = map[string]int{}
	}
	o.sent++
	o.answers[answer]++
}

func (o *outcome) spell() string {
	var words []string
	for answer, n := range o.answers {
		words = append(words, fmt.Sprintf("%d× %s", n, answer))
	}
	sort.Strings(words)
	return strings.TrimSpace(strings.Join(words, ", ") + " " + o.note)
}

func openScene(ctx context.Context, o options, dir string) (*scene, error) {
	h, err := rig.NewHub(o.hub, dir, rig.Settings{"LOG_LEVEL": "debug"})
	if err != nil {
		return nil, err
	}
	if _, err := h.Start(ctx); err != nil {
		return nil, err
	}
	hosts, err := rig.Fleet(ctx, &h.Admin, "acme", 3)
	if err != nil {
		h.Kill()
		return nil, err
	}
	s := &scene{hub: h, honest: hosts[0], mule: hosts[1], witness: hosts[2], verbose: o.verbose}
	if err := s.warmUp(ctx); err != nil {
		h.Kill()
		return nil, err
	}
	return s, nil
}

// warmUp brings the hub to what it is like in daily use: its pools and its
// store have seen some reports. Growth is counted from there.
func (s *scene) warmUp(ctx context.Context) error {
	if _, err := load.Run(ctx, load.Plan{Addr: s.hub.Addr, Hosts: []*load.Host{s.honest, s.mule}, Connections: 2, Rounds: 2000, For: 20 * time.Second}); err != nil {
		return err
	}
	wait(ctx, 2*time.Second)
	var err error
	s.before, err = s.hub.Memory()
	return err
}

// attack runs a while the honest agent reports, and watches the hub's memory.
func (s *scene) attack(ctx context.Context, a attack) error {
	agentCtx, stop := context.WithCancel(ctx)
	defer stop()
	var wg sync.WaitGroup
	r := row{name: a.name}
	wg.Go(func() {
		r.honest, _ = load.Run(agentCtx, load.Plan{Addr: s.hub.Addr, Hosts: []*load.Host{s.honest}, Connections: 1, Rate: 10, For: time.Hour})
	})
	wg.Go(func() { r.peak = s.watchMemory(agentCtx) })
	begin := time.Now()
	r.outcome = a.run(ctx, s)
	r.duration = time.Since(begin)
	wait(ctx, max(settle, time.Second-r.duration))
	stop()
	wg.Wait()
	s.rows = append(s.rows, r)
	select {
	case <-s.hub.Done():
		return fmt.Errorf("the hub ended; it said:\n%s", s.hub.Log.Tail(3000))
	default:
		return ctx.Err()
	}
}

func (s *scene) watchMemory(ctx context.Context) (peak int64) {
	for ctx.Err() == nil {
		if m, err := s.hub.Memory(); err == nil {
			peak = max(peak, m.RSS-s.before.RSS)
		}
		wait(ctx, 20*time.Millisecond)
	}
	return peak
}

// judge holds every row to the promises, and the whole run to its own.
func (s *scene) judge(ctx context.Context) error {
	worst := int64(0)
	for _, r := range s.rows {
		failed := r.honest.Refused() + r.honest.Errors
		s.checks.Add(failed == 0 && r.honest.Count > 0, r.name+": the honest agent is served", "%d reports, %d failed; slowest %v", r.honest.Count, failed, r.honest.Latency.Max().Round(time.Millisecond))
		s.checks.Add(len(r.outcome.wrong) == 0, r.name+": answered as it should be", "%d wrong %s", len(r.outcome.wrong), s.some(r.outcome.wrong))
		worst = max(worst, r.peak)
	}
	s.checks.Add(worst < ceiling, "the hub's RSS grows by less than "+rig.MiB(ceiling), "%s at most, from %s", rig.MiB(worst), rig.MiB(s.before.RSS))
	reports, err := s.hub.Reports(ctx, s.witness.ID)
	if err != nil {
		return fmt.Errorf("ask for the witness's reports: %w", err)
	}
	s.checks.Add(len(reports) == 0, "no smuggled request was served", "%d were", len(reports))
	leaks := 0
	for _, key := range []string{s.hub.Key, s.mule.Key.Reveal(), s.witness.Key.Reveal(), s.honest.Key.Reveal()} {
		if s.hub.Log.Contains(key) {
			leaks++
		}
	}
	s.checks.Add(leaks == 0, "no key is in the hub's log, at level debug", "%d bytes of log, %d keys in it", s.hub.Log.Len(), leaks)
	return nil
}

// some is a few of the wrong answers, or all of them when asked for.
func (s *scene) some(wrong []string) string {
	if !s.verbose && len(wrong) > 3 {
		wrong = append(wrong[:3:3], "…")
	}
	return strings.Join(wrong, "; ")
}

func (s *scene) print(w io.Writer) {
	t := rig.NewTable(w, "attack", "s", "sent", "RSS", "honest p99 ms", "max ms", "answers")
	for _, r := range s.rows {
		t.Row(r.name, fmt.Sprintf("%.1f", r.duration.Seconds()), fmt.Sprint(r.outcome.sent), "+"+rig.MiB(r.peak),
			fmt.Sprintf("%.1f", r.honest.Latency.Quantile(0.99).Seconds()*1e3), fmt.Sprintf("%.1f", r.honest.Latency.Max().Seconds()*1e3), r.outcome.spell())
	}
	t.Flush()
	fmt.Fprintln(w)
	s.checks.Print(w)
}

// wait waits for d or for the end of ctx.
func wait(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
