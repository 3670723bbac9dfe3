package mutation

import (
	"crypto/sha256"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// Target is one reader and what must hold of it.
type Target struct {
	// Seeds are inputs that the reader takes, and some that it does not.
	Seeds [][]byte
	// Words are put into inputs, beside those of JSON if a seed is JSON.
	Words []string
	// Cost divides the number of inputs that are checked, where that is too slow
	// for all of them; 0 is 1.
	Cost int
	// Quick checks the inputs that Cost keeps from Check: the reader without
	// what it is compared with. Nil: they are not made at all.
	Quick func(t testing.TB, input []byte) (taken bool)
	// Check fails t when a promise is broken, and tells whether the reader took
	// the input. It is called from several goroutines and keeps nothing of it.
	Check func(t testing.TB, input []byte) (taken bool)
}

const (
	quickInputs = 20_000          // of a target in every test
	shortInputs = 2_000           // with -short
	maxTook     = 5 * time.Second // of one input, on a machine with better things to do
	hangs       = time.Minute     // an input that takes so long never ends
	maxHeap     = 1 << 30         // bytes, of the whole test
	// Nothing of an input lives on: a collection for every few megabytes would
	// cost a third of the time.
	fewCollections = 256 << 20 // bytes of heap

	chunk  = 500              // inputs that a goroutine takes at a time
	tooFew = 100_000          // inputs of which a thousandth must be taken
	corpus = "testdata/fuzz/" // where go test looks for what was found
)

var (
	flagInputs = flag.Uint64("inputs", 0, "inputs that Run makes for each target; 0: as many as are quick")
	flagInput  = flag.Uint64("input", 0, "make this one input of Run again; its number is in the failure")
)

// Fuzz gives a target to Go's fuzzer.
func Fuzz(f *testing.F, x Target) {
	for _, s := range x.Seeds {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, input []byte) { x.Check(t, input) })
}

// Run holds each target against what was found before and the inputs 1…n on every
// processor, one target after the other. Its name is that of its fuzz function without "Fuzz". A
// thousandth of the inputs has to be taken: rubbish that is refused at the first
// byte shows little.
func Run(t *testing.T, targets map[string]Target) {
	n := *flagInputs
	switch {
	case n > 0:
	case testing.Short():
		n = shortInputs
	default:
		n = quickInputs
	}
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(fewCollections))
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	for _, name := range slices.Sorted(maps.Keys(targets)) {
		x := targets[name]
		t.Run(name, func(t *testing.T) {
			for _, input := range kept(t, "Fuzz"+name) {
				x.Check(t, input)
			}
			r := &run{name: name, target: x, every: uint64(max(1, x.Cost)), maker: newMaker(x.Seeds, x.Words)}
			if *flagInput > 0 {
				r.one(t, *flagInput, r.maker.worker())
				return
			}
			if x.Quick == nil {
				r.every = 1
				r.all(t, max(1, n/uint64(max(1, x.Cost))))
				return
			}
			r.all(t, n)
		})
	}
}

type run struct {
	name        string
	target      Target
	every       uint64 // so many inputs are one for Check, the others for Quick
	maker       maker
	next, taken atomic.Uint64
	failed      atomic.Bool
}

func (r *run) all(t *testing.T, n uint64) {
	began := time.Now()
	t.Run("all", func(t *testing.T) {
		for range runtime.GOMAXPROCS(0) {
			t.Run("", func(t *testing.T) {
				t.Parallel()
				r.work(t, n)
			})
		}
	})
	took := time.Since(began).Seconds()
	taken := r.taken.Load()
	compared := ""
	if r.every > 1 {
		compared = fmt.Sprintf(", one in %d compared", r.every)
	}
	t.Logf("%-12s %9d inputs in %5.1f s, %7.0f a second, %4.1f %% taken%s", r.name, n, took, float64(n)/took, 100*float64(taken)/float64(n), compared)
	if n >= tooFew && taken < n/1000 {
		t.Errorf("%s took %d of %d inputs: the rubbish is too wild", r.name, taken, n)
	}
}

func (r *run) work(t *testing.T, n uint64) {
	w := r.maker.worker()
	heap := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	for !r.failed.Load() {
		first := r.next.Add(chunk) - chunk + 1
		if first > n {
			return
		}
		for i := first; i < min(first+chunk, n+1) && !r.failed.Load(); i++ {
			r.one(t, i, w)
		}
		if metrics.Read(heap); heap[0].Value.Uint64() > maxHeap {
			t.Errorf("%s: %d bytes on the heap after input %d", r.name, heap[0].Value.Uint64(), first)
			r.failed.Store(true)
		}
	}
}

// one makes an input and checks it.
func (r *run) one(t *testing.T, i uint64, w *worker) {
	input := w.input(i)
	began := time.Now()
	defer time.AfterFunc(hangs, func() {
		panic(fmt.Sprintf("input %d of %s has taken %v, kept as %s:\n%.2000q", i, r.name, hangs, keep("Fuzz"+r.name, input), input))
	}).Stop()
	defer func() {
		if v := recover(); v != nil {
			t.Errorf("panic: %v\n%s", v, debug.Stack())
		}
		if took := time.Since(began); took > maxTook {
			t.Errorf("took %v", took)
		}
		if t.Failed() { // also on the way out of t.Fatal
			r.failed.Store(true)
			t.Errorf("again: go test -run '^%s$' -args -input=%d\nkept as %s:\n%.2000q", t.Name(), i, keep("Fuzz"+r.name, input), input)
		}
	}()
	check := r.target.Check
	if i%r.every != 0 {
		check = r.target.Quick
	}
	if check(t, input) {
		r.taken.Add(1)
	}
	if time.Since(began) > maxTook { // was it the input, or a machine that stalled?
		began = time.Now()
		check(t, input)
	}
}

const corpusHead = "go test fuzz v1\n"

// kept are the inputs that keep and Go's fuzzer once wrote.
func kept(t *testing.T, target string) (inputs [][]byte) {
	files, err := filepath.Glob(filepath.Join(corpus, target, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		quoted, found := strings.CutPrefix(strings.TrimSpace(string(b)), corpusHead+"[]byte(")
		text, err := strconv.Unquote(strings.TrimSuffix(quoted, ")"))
		if !found || err != nil {
			t.Fatalf("%s is no input of a fuzzer: %v", file, err)
		}
		inputs = append(inputs, []byte(text))
	}
	return inputs
}

// keep writes an input where go test will find it, and returns where.
func keep(target string, input []byte) string {
	path := filepath.Join(corpus, target, fmt.Sprintf("%.8x", sha256.Sum256(input)))
	err := os.MkdirAll(filepath.Dir(path), 0o750)
	if err == nil {
		err = os.WriteFile(path, fmt.Appendf(nil, corpusHead+"[]byte(%q)\n", input), 0o600)
	}
	if err != nil {
		return err.Error()
	}
	return path
}
