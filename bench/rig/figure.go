package rig

import (
	"fmt"
	"io"
	"math"
	"strings"
)

// Bound is what a figure is held to.
type Bound struct {
	Want   string  `json:"want,omitempty"` // "at least", "at most", or nothing: the figure is only shown
	Floor  float64 `json:"floor"`          // a promise: broken when the median is worse
	Target float64 `json:"target"`         // what is aimed at
}

const (
	atLeast = "at least"
	atMost  = "at most"
)

// AtLeast holds figures that should be high.
func AtLeast(floor, target float64) Bound { return Bound{atLeast, floor, target} }

// AtMost holds figures that should be low.
func AtMost(floor, target float64) Bound { return Bound{atMost, floor, target} }

// Figure is something that was measured, several times where it varies.
type Figure struct {
	Name string `json:"name"`
	Unit string `json:"unit,omitempty"`
	Bound
	Measured Spread `json:"measured"`
	Runs     int    `json:"runs"`  // how often it was measured
	Holds    bool   `json:"holds"` // the floor; true when there is none
	Reached  bool   `json:"target_reached"`
}

// Figures collects what was measured.
type Figures []Figure

// Add records a figure with its measurements. One with a bound that was never
// measured does not hold.
func (fs *Figures) Add(name, unit string, b Bound, xs []float64) {
	f := Figure{Name: name, Unit: unit, Bound: b, Measured: SpreadOf(xs), Runs: len(xs)}
	f.Holds = b.Want == "" || f.Runs > 0 && b.meets(f.Measured.Median, b.Floor)
	f.Reached = b.Want != "" && f.Runs > 0 && b.meets(f.Measured.Median, b.Target)
	*fs = append(*fs, f)
}

// meets is false for what is not a number, too.
func (b Bound) meets(v, limit float64) bool {
	if b.Want == atLeast {
		return v >= limit
	}
	return v <= limit
}

// Err is nil when every floor holds, else ErrFailed with the figures' names.
func (fs Figures) Err() error {
	var broken []string
	for _, f := range fs {
		if !f.Holds {
			broken = append(broken, f.Name)
		}
	}
	if broken != nil {
		return fmt.Errorf("%d of %d figures (%s): %w", len(broken), len(fs), strings.Join(broken, "; "), ErrFailed)
	}
	return nil
}

// Print writes the figures as a table.
func (fs Figures) Print(w io.Writer) {
	t := NewTable(w, "figure", "floor", "target", "median (min–max)", "holds?")
	for _, f := range fs {
		floor, target := "–", "–"
		if f.Want != "" {
			floor, target = f.Want+" "+Spell(f.Floor), Spell(f.Target)
		}
		t.Row(f.Name, floor, target, f.found(), f.verdict())
	}
	t.Flush()
}

func (f *Figure) found() string {
	if f.Runs == 0 {
		return "not measured"
	}
	found := f.Measured.String()
	if f.Runs == 1 {
		found = Spell(f.Measured.Median)
	}
	return strings.TrimSpace(found + " " + f.Unit)
}

func (f *Figure) verdict() string {
	switch {
	case f.Want == "":
		return "–"
	case !f.Holds:
		return "NO"
	case !f.Reached:
		return "yes"
	}
	return "yes, target reached"
}

// String is the median and the ends, "12.3 (11.0–14.5)".
func (s Spread) String() string {
	return fmt.Sprintf("%s (%s–%s)", Spell(s.Median), Spell(s.Min), Spell(s.Max))
}

// Spell writes a figure with three digits that count, thousands apart.
func Spell(v float64) string {
	size := math.Abs(v)
	switch {
	case v == math.Trunc(v) && size < 1000:
		return fmt.Sprintf("%.0f", v)
	case size < 10:
		return fmt.Sprintf("%.2f", v)
	case size < 100:
		return fmt.Sprintf("%.1f", v)
	}
	s := fmt.Sprintf("%.0f", size)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	if v < 0 {
		return "-" + s
	}
	return s
}
