package rig

import (
	"bytes"
	"errors"
	"math"
	"strings"
	"testing"
)

// A figure on the wrong side of its floor must fail the run, and so must one
// that was to be measured and was not.
func TestFiguresFailOnTheWrongSideOfTheirFloor(t *testing.T) {
	for _, c := range []struct {
		name           string
		bound          Bound
		xs             []float64
		holds, reached bool
	}{
		{"high enough", AtLeast(0.33, 0.45), []float64{0.30, 0.34, 0.40}, true, false},
		{"at the floor", AtLeast(0.33, 0.45), []float64{0.33}, true, false},
		{"target", AtLeast(0.33, 0.45), []float64{0.46}, true, true},
		{"one good run is no median", AtLeast(0.33, 0.45), []float64{0.9, 0.2, 0.3}, false, false},
		{"low enough", AtMost(25, 10), []float64{24}, true, false},
		{"low target", AtMost(25, 10), []float64{10}, true, true},
		{"too high", AtMost(25, 10), []float64{25.1}, false, false},
		{"none at all", AtMost(0, 0), []float64{0}, true, true},
		{"one too many", AtMost(0, 0), []float64{1}, false, false},
		{"not measured", AtMost(25, 10), nil, false, false},
		{"nonsense", AtMost(25, 10), []float64{math.NaN()}, false, false},
		{"only shown", Bound{}, []float64{7}, true, false},
		{"only shown, not measured", Bound{}, nil, true, false},
	} {
		var fs Figures
		fs.Add(c.name, "ms", c.bound, c.xs)
		if f := fs[0]; f.Holds != c.holds || f.Reached != c.reached {
			t.Errorf("%s: holds %v, target reached %v", c.name, f.Holds, f.Reached)
		}
		err := fs.Err()
		if c.holds != (err == nil) || !c.holds && (!errors.Is(err, ErrFailed) || !strings.Contains(err.Error(), c.name)) {
			t.Errorf("%s: got %v", c.name, err)
		}
	}
}

// What fails must be seen in the table.
func TestFiguresArePrinted(t *testing.T) {
	var fs Figures
	fs.Add("ratio", "", AtLeast(7, 10), []float64{8, 6.5, 12})
	fs.Add("p99", "ms", AtMost(25, 10), []float64{31.25})
	fs.Add("bytes", "B", AtMost(2, 1.3), nil)
	var b bytes.Buffer
	fs.Print(&b)
	for i, want := range []string{
		"figure  floor       target  median (min–max)  holds?",
		"ratio   at least 7  10      8 (6.50–12)       yes",
		"p99     at most 25  10      31.2 ms           NO",
		"bytes   at most 2   1.30    not measured      NO",
	} {
		if got := strings.Split(b.String(), "\n")[i]; got != want {
			t.Errorf("got  %q\nwant %q", got, want)
		}
	}
}

func TestSpellingOfFigures(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 0.333: "0.33", 7: "7", 9.996: "10.00", 12.34: "12.3", 123.4: "123", 999.9: "1,000", 25437: "25,437", 1234567: "1,234,567", -25437: "-25,437"} {
		if got := Spell(v); got != want {
			t.Errorf("%v: got %s, want %s", v, got, want)
		}
	}
}
