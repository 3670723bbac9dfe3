package terminal

import "testing"

// A line has a cell for each value, or for several; what is unknown is seen as that.
func TestSpark(t *testing.T) {
	at := func(v float64) *float64 { return &v }
	for _, c := range []struct {
		values []*float64
		top    float64
		width  int
		want   string
	}{
		{nil, 1, 10, ""},
		{[]*float64{at(0), at(0.5), nil, at(1), at(9)}, 1, 10, "▁▅·██"},
		{[]*float64{at(0), at(1), nil, at(1), nil, nil}, 1, 3, "▅█·"},
		{[]*float64{at(0), at(-1)}, 0, 2, "▁▁"},
		{[]*float64{at(-1)}, 1, 0, ""},
	} {
		if got := Spark(c.values, c.top, c.width); got != c.want {
			t.Errorf("Spark(%d values, %v, %d) = %q, want %q", len(c.values), c.top, c.width, got, c.want)
		}
	}
}
