package actors

import (
	"flag"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var (
	flagSeeds = flag.Int("seeds", 0, "fleets that TestSimulatedFleets lives through; 0: as many as are quick")
	flagSeed  = flag.Uint64("seed", 0, "replay this one fleet of TestSimulatedFleets and tell the story of -host")
	flagStore = flag.Uint64("store", 50, "every how many-th fleet's hub writes to the real store and is read back from it; 0: none")
	flagHost  = flag.Int("host", -1, "the host whose story a replay tells; without one, the first that was wronged")
)

// TestSimulatedFleets protects the promise that no restart, kill, full disk,
// clock step, suspend or duplicate makes the switch lie or the outbox lose, twist
// or repeat a word: 40 hosts and 5 routes live through 48 hours of trouble a seed,
// and an oracle that knows the truth compares.
func TestSimulatedFleets(t *testing.T) {
	skipRaced(t)
	if *flagSeed != 0 {
		replay(t, *flagSeed, *flagHost)
		return
	}
	seeds := *flagSeeds
	switch {
	case seeds > 0:
	case testing.Short():
		seeds = 10
	default:
		seeds = 40
	}
	began := time.Now()
	total, failed := simulate(t, uint64(seeds))
	took := time.Since(began)
	t.Logf("%d fleets in %v (%.0f a second): %+v", seeds, took.Round(time.Millisecond), float64(seeds)/took.Seconds(), total)
	for i, seed := range failed {
		if i == 3 {
			t.Fatalf("and %d seeds more", len(failed)-i)
		}
		replay(t, seed, *flagHost)
	}
}

// skipRaced leaves the model alone: a world has one goroutine, in which the race
// detector finds nothing and ten times the work.
func skipRaced(t *testing.T) {
	if raced {
		t.Skip("a world has one goroutine")
	}
}

// simulate runs the seeds 1…n on every processor.
func simulate(t *testing.T, n uint64) (total tally, failed []uint64) {
	var next atomic.Uint64
	var mu sync.Mutex
	var all sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		all.Go(func() {
			for seed := next.Add(1); seed <= n; seed = next.Add(1) {
				o := worldOf(t, seed, -1).run()
				mu.Lock()
				total.add(o.tally)
				if len(o.problems) > 0 {
					failed = append(failed, seed)
				}
				mu.Unlock()
			}
		})
	}
	all.Wait()
	return total, failed
}

// worldOf is a seed's world; a share of the seeds lives on the real store.
func worldOf(t *testing.T, seed uint64, logged int) *world {
	w := newWorld(seed, faithful, logged)
	if *flagStore > 0 && seed%*flagStore == 0 {
		w.onStore(t.TempDir())
	}
	return w
}

// replay runs one seed again and tells what went wrong, and the host's story.
func replay(t *testing.T, seed uint64, host int) {
	problems := worldOf(t, seed, -1).run().problems
	if host < 0 && len(problems) > 0 {
		host = problems[0].host
	}
	w := worldOf(t, seed, max(host, 0))
	for _, p := range problems[:min(5, len(problems))] {
		t.Errorf("seed %d, host %d: %s: %s", seed, p.host, p.kind, p.text)
	}
	w.run()
	t.Logf("again: task simulate SEED=%d HOST=%d\n%s", seed, max(host, 0), strings.Join(w.log, "\n"))
}

// TestOracleCatchesLies protects the simulation itself: a switch that is wrong
// in any of the ways known from other monitors must be caught within a few
// fleets, else its silence about the right one means nothing.
func TestOracleCatchesLies(t *testing.T) {
	skipRaced(t)
	const within = 25
	for m := faithful + 1; m < mutants; m++ {
		t.Run(strings.ReplaceAll(m.String(), " ", "_"), func(t *testing.T) {
			for seed := uint64(1); seed <= within; seed++ {
				if problems := newWorld(seed, m, -1).run().problems; len(problems) > 0 {
					t.Logf("caught by seed %d: %s: %s (%d problems)", seed, problems[0].kind, problems[0].text, len(problems))
					return
				}
			}
			t.Errorf("not caught within %d fleets", within)
		})
	}
}

// TestSimulationReplaysExactly protects -seed: a failure that does not come
// again cannot be understood.
func TestSimulationReplaysExactly(t *testing.T) {
	skipRaced(t)
	seed := rand.Uint64()
	a, b := newWorld(seed, faithful, 3), newWorld(seed, faithful, 3)
	a.run()
	b.run()
	if got, want := strings.Join(b.log, "\n"), strings.Join(a.log, "\n"); got != want {
		t.Errorf("seed %d: two runs differ", seed)
	}
}
