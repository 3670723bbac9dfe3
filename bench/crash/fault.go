package main

import (
	"context"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"felhom.eu/bench/rig"
)

// fault is one way to break a hub, and what it is held to afterwards.
type fault struct {
	name        string
	short, full int // rounds
	strike      func(context.Context, *scene) error
}

// faults are all there are; those that take longest begin first.
var faults = []fault{
	{"kill", 50, 500, kill},
	{"disk-full", 3, 25, diskFull},
	{"power", 10, 100, powerCut},
	{"corruption", 60, 300, corruption},
	{"failed-write", 12, 0, failedWrite}, // 0: every write there is
	{"off", 1, 3, outage},
	{"clock", 6, 12, clockSteps},
	{"suspend", 1, 3, suspend},
	{"descriptors", 1, 3, descriptors},
	{"backup-flip", 40, 400, backupFlip},
	{"two-hubs", 1, 1, twoHubs},
}

// scene is where one fault strikes.
type scene struct {
	row
	builds *builds
	hub    string     // the program under test
	dir    string     // of this fault alone
	random *rand.Rand // of this fault alone
}

// row is how the hub fared under one fault.
type row struct {
	Fault        string     `json:"fault"`
	Rounds       int        `json:"rounds"`       // wanted, then carried out
	Acknowledged int        `json:"acknowledged"` // reports answered 200
	Lost         int        `json:"lost"`         // of them
	Silent       int        `json:"silent"`       // what was wrong or missing and nobody said so
	Seen         string     `json:"seen"`         // what the faults came to
	Skipped      string     `json:"skipped,omitempty"`
	Checks       rig.Checks `json:"checks"`
	Seconds      float64    `json:"seconds"`
}

// skip says why a fault cannot be tried here.
func (r *row) skip(why string, args ...any) { r.Skipped, r.Rounds = fmt.Sprintf(why, args...), 0 }

// failed reports whether a promise was broken.
func (r *row) failed() bool { return r.Checks.Err() != nil || r.Lost+r.Silent > 0 }

func (r *row) verdict() string {
	switch {
	case r.failed():
		return "FAIL"
	case r.Skipped != "":
		return "SKIPPED: " + r.Skipped
	}
	return "ok"
}

type rows []row

// print writes the table, and each broken promise; ok is whether there is none.
func (rs rows) print(w io.Writer) (ok bool) {
	fmt.Fprintln(w)
	t := rig.NewTable(w, "fault", "rounds", "acknowledged", "lost", "silent", "seconds", "verdict", "seen")
	ok = true
	for i := range rs {
		r := &rs[i]
		t.Row(r.Fault, fmt.Sprint(r.Rounds), fmt.Sprint(r.Acknowledged), fmt.Sprint(r.Lost), fmt.Sprint(r.Silent),
			fmt.Sprintf("%.0f", r.Seconds), r.verdict(), r.Seen)
		ok = ok && !r.failed()
	}
	t.Flush()
	for i := range rs {
		for _, c := range rs[i].Checks {
			if !c.OK {
				fmt.Fprintf(w, "FAIL %s: %s: %.8000s\n", rs[i].Fault, c.Name, c.Detail)
			}
		}
	}
	return ok
}

// choose is the faults that the command line asks for, with their rounds.
func choose(o options) ([]fault, error) {
	names := strings.Split(o.only, ",")
	var chosen []fault
	for _, f := range faults {
		if o.only != "" && !slices.Contains(names, f.name) {
			continue
		}
		names = slices.DeleteFunc(names, func(n string) bool { return n == f.name })
		if o.short {
			f.full = f.short
		}
		if o.rounds > 0 {
			f.full = o.rounds
		}
		chosen = append(chosen, f)
	}
	if o.only != "" && len(names) > 0 {
		return nil, fmt.Errorf("no fault is called %q; there are: %s", strings.Join(names, ","), faultNames())
	}
	return chosen, nil
}

func faultNames() string {
	var names []string
	for _, f := range faults {
		names = append(names, f.name)
	}
	return strings.Join(names, ", ")
}

// atOnce faults strike at the same time, each a hub of its own: most of them
// wait most of the time.
const atOnce = 4

// strikeAll strikes with every fault. An error of one ends none of the others.
func strikeAll(ctx context.Context, o options, b *builds, dir string, chosen []fault) (rows, error) {
	hub, err := b.plain(ctx)
	if err != nil {
		return nil, err
	}
	fmt.Printf("seed %d\n", o.seed)
	all := make(rows, len(chosen))
	next := make(chan int)
	var wg sync.WaitGroup
	for range min(atOnce, len(chosen)) {
		wg.Go(func() {
			for i := range next {
				s := newScene(chosen[i], o.seed, dir)
				s.builds, s.hub = b, hub
				s.strike(ctx, chosen[i])
				all[i] = s.row
			}
		})
	}
	for i := range chosen {
		next <- i
	}
	close(next)
	wg.Wait()
	return all, ctx.Err()
}

// newScene makes everything random in it follow from the seed and the fault's
// name, so that a fault can be repeated alone.
func newScene(f fault, seed uint64, dir string) *scene {
	h := fnv.New64a()
	io.WriteString(h, f.name)
	return &scene{
		row: row{Fault: f.name, Rounds: f.full}, dir: filepath.Join(dir, f.name),
		random: rand.New(rand.NewPCG(seed, h.Sum64())),
	}
}

func (s *scene) strike(ctx context.Context, f fault) {
	begin := time.Now()
	err := os.MkdirAll(s.dir, 0o700)
	if err == nil {
		err = f.strike(ctx, s)
	}
	if err != nil {
		s.Checks.Add(false, "the fault could be tried to its end", "%v", err)
	}
	s.Seconds = time.Since(begin).Seconds()
	fmt.Printf("%s: %s, %.0f s\n", s.Fault, s.verdict(), s.Seconds)
}

// between is a random duration from low to high.
func (s *scene) between(low, high time.Duration) time.Duration {
	return low + time.Duration(s.random.Int64N(int64(high-low)+1))
}
