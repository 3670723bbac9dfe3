package mutation

import (
	"bytes"
	"encoding/json"
	"testing"
)

var seeds = [][]byte{[]byte(`{"a":[1,"two",{"three":null}],"b":{"c":-4.5e6}}`), []byte(`[]`), []byte("\x00\x01no json\xff")}

// A failure names a number, and the number is the input.
func TestInputIsItsNumber(t *testing.T) {
	m, other := newMaker(seeds, nil), newMaker(seeds, nil)
	a, b := m.worker(), other.worker()
	for i := uint64(1); i < 1000; i++ {
		b.input(1001 - i) // what was made before does not matter
		if x, y := a.input(i), b.input(i); !bytes.Equal(x, y) {
			t.Fatalf("input %d is %q and %q", i, x, y)
		}
	}
}

// Mistakes that readers make are met within a few thousand inputs; a reader of
// JSON meets what is JSON and what is none.
func TestMistakesAreMet(t *testing.T) {
	m := newMaker(seeds, []string{"word"})
	w := m.worker()
	met := map[string]int{}
	for i := uint64(1); i < 20_000; i++ {
		in := w.input(i)
		var v any
		if json.Unmarshal(in, &v) == nil {
			met["JSON"]++
		}
		for name, yes := range map[string]bool{
			"empty": len(in) == 0, "a word": bytes.Contains(in, []byte("word")), "a key twice": bytes.Count(in, []byte(`"a":`)) == 2,
			"the depth's limit": bytes.Contains(in, bytes.Repeat([]byte("["), 32)), "half a surrogate": bytes.Contains(in, []byte(`\ud800`)),
			"a key gone": bytes.HasPrefix(in, []byte(`{"b"`)), "an overflow": bytes.Contains(in, []byte(`18446744073709551616`)),
		} {
			if yes {
				met[name]++
			}
		}
	}
	for _, name := range []string{"JSON", "empty", "a word", "a key twice", "the depth's limit", "half a surrogate", "a key gone", "an overflow"} {
		if met[name] == 0 {
			t.Errorf("never met: %s", name)
		}
	}
	t.Log(met)
}
