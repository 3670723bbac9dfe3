package rig

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"text/tabwriter"
)

// Spread is the middle and the ends of some measurements.
type Spread struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

// SpreadOf sorts a copy of xs. Of an even number it takes the mean of the
// middle two; of none it is zero.
func SpreadOf(xs []float64) Spread {
	if len(xs) == 0 {
		return Spread{}
	}
	s := slices.Sorted(slices.Values(xs))
	mid := s[len(s)/2]
	if len(s)%2 == 0 {
		mid = (mid + s[len(s)/2-1]) / 2
	}
	return Spread{Median: mid, Min: s[0], Max: s[len(s)-1]}
}

// Ratios divides a by b, pair by pair: both measured in the same round, so that
// a machine whose speed drifts spoils neither. A pair without a divisor is none.
func Ratios(a, b []float64) (rs []float64) {
	for i := range min(len(a), len(b)) {
		if b[i] != 0 {
			rs = append(rs, a[i]/b[i])
		}
	}
	return rs
}

// Check is one promise and how it fared.
type Check struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail"` // figures on success, what was found on failure
}

// Checks collects promises.
type Checks []Check

// Add records a promise; detail is formatted with args.
func (c *Checks) Add(ok bool, name, detail string, args ...any) {
	*c = append(*c, Check{Name: name, OK: ok, Detail: fmt.Sprintf(detail, args...)})
}

// Err is nil when every promise held, else ErrFailed with their number.
func (c Checks) Err() error {
	failed := 0
	for _, check := range c {
		if !check.OK {
			failed++
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d: %w", failed, len(c), ErrFailed)
	}
	return nil
}

// Print writes the promises as a table.
func (c Checks) Print(w io.Writer) {
	t := NewTable(w, "", "promise", "found")
	for _, check := range c {
		t.Row(map[bool]string{true: "ok", false: "FAIL"}[check.OK], check.Name, check.Detail)
	}
	t.Flush()
}

// Table prints aligned columns.
type Table struct{ w *tabwriter.Writer }

// NewTable begins a table with a head.
func NewTable(w io.Writer, head ...string) *Table {
	t := &Table{tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)}
	t.Row(head...)
	return t
}

// Row adds a line.
func (t *Table) Row(cells ...string) {
	for i, c := range cells {
		fmt.Fprint(t.w, c)
		if i < len(cells)-1 {
			fmt.Fprint(t.w, "\t")
		}
	}
	fmt.Fprintln(t.w)
}

// Flush prints what was added.
func (t *Table) Flush() { t.w.Flush() }

// WriteJSON writes v to the file at path, indented; no path, no file.
func WriteJSON(path string, v any) error {
	if path == "" {
		return nil
	}
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return os.WriteFile(path, append(b, '\n'), 0o644)
}

// MiB spells a number of bytes.
func MiB(bytes int64) string { return fmt.Sprintf("%.1f MiB", float64(bytes)/(1<<20)) }
