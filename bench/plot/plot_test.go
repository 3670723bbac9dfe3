package plot

import (
	"bytes"
	"encoding/xml"
	"io"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Every value must lie within its axis, and the ends must be ticks, or a chart
// hides what it was drawn for.
func TestTicksSpanTheValues(t *testing.T) {
	for _, c := range []struct {
		log    bool
		values []float64
		ticks  []float64
	}{
		{false, []float64{0, 3, 10}, []float64{0, 2, 4, 6, 8, 10}},
		{false, []float64{250_000}, []float64{0, 50_000, 100_000, 150_000, 200_000, 250_000}},
		{false, []float64{61}, []float64{0, 20, 40, 60, 80}},
		{true, []float64{0.7, 30}, []float64{0.5, 1, 2, 5, 10, 20, 50}},
		{true, []float64{1}, []float64{1, 2}},
		{true, []float64{0.01, 5000}, []float64{0.01, 0.1, 1, 10, 100, 1000}},
	} {
		s, err := newScale(c.log, c.values, 0, 100)
		if err != nil {
			t.Errorf("%v: %v", c.values, err)
			continue
		}
		got := s.ticks()
		if !slices.EqualFunc(got, c.ticks, func(a, b float64) bool { return math.Abs(a-b) <= 1e-9*b }) {
			t.Errorf("%v: ticks %v, want %v", c.values, got, c.ticks)
		}
		for _, v := range c.values {
			if at := s.at(v); at < -1e-6 || at > 100+1e-6 {
				t.Errorf("%v: %v is drawn at %v", c.values, v, at)
			}
		}
	}
}

// Equal factors are equal distances on one kind of axis, equal differences on
// the other.
func TestScales(t *testing.T) {
	log, _ := newScale(true, []float64{1, 100}, 300, 100)
	linear, _ := newScale(false, []float64{100}, 0, 200)
	for _, c := range []struct{ got, want float64 }{
		{log.at(1), 300}, {log.at(10), 200}, {log.at(100), 100},
		{linear.at(0), 0}, {linear.at(25), 50}, {linear.at(100), 200},
	} {
		if math.Abs(c.got-c.want) > 1e-6 {
			t.Errorf("got %v, want %v", c.got, c.want)
		}
	}
}

func chart() Chart {
	return Chart{
		Title: "a < b & c", X: Axis{Label: "reports/s"}, Y: Axis{Label: "ms", Log: true},
		Series: []Series{
			{Name: "p50", Color: "#123456", Points: []Point{{X: 10, Y: 1}, {X: 20, Y: 10}, {X: 40, Y: 100, Low: 50, High: 200}}},
			{Name: `"p99"`, Color: "#654321", Dashed: true, Points: []Point{{X: 10, Y: 2}}},
		},
	}
}

// The picture must be well-formed whatever names say, and hold every point, in
// order: right is more, and so is up.
func TestDrawnPointsAreWhereTheyBelong(t *testing.T) {
	var b bytes.Buffer
	c := chart()
	if err := c.Draw(&b); err != nil {
		t.Fatal(err)
	}
	for d := xml.NewDecoder(&b); ; {
		_, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	b.Reset()
	if err := c.Draw(&b); err != nil {
		t.Fatal(err)
	}
	dots := regexp.MustCompile(`<circle cx="([\d.]+)" cy="([\d.]+)"`).FindAllStringSubmatch(b.String(), -1)
	if len(dots) != 4 {
		t.Fatalf("%d points drawn, want 4", len(dots))
	}
	for i := 1; i < 3; i++ {
		if number(t, dots[i][1]) <= number(t, dots[i-1][1]) || number(t, dots[i][2]) >= number(t, dots[i-1][2]) {
			t.Errorf("point %d is at %v, after %v", i, dots[i][1:], dots[i-1][1:])
		}
	}
	for _, want := range []string{"a &lt; b &amp; c", ">p50<", "&#34;p99&#34;", ">reports/s<", ">ms<", `stroke-opacity="0.45"`, "stroke-dasharray"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %s in the picture", want)
		}
	}
}

func number(t *testing.T, s string) float64 {
	v, err := strconv.ParseFloat(s, 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// A chart of nothing, or of what its axis cannot show, is an error and no file.
func TestChartsThatCannotBeDrawn(t *testing.T) {
	for name, spoil := range map[string]func(*Chart){
		"no series":          func(c *Chart) { c.Series = nil },
		"no points":          func(c *Chart) { c.Series = []Series{{Name: "p50"}} },
		"0 on a log axis":    func(c *Chart) { c.Series[0].Points[0].Y = 0 },
		"not a number":       func(c *Chart) { c.Series[0].Points[0].Y = math.NaN() },
		"negative":           func(c *Chart) { c.Series[0].Points[0].X = -1 },
		"whisker down to 0":  func(c *Chart) { c.Series[0].Points[2].Low = 0 },
		"all at 0, linearly": func(c *Chart) { c.Y.Log = false; c.Series = []Series{{Points: []Point{{X: 1}}}} },
	} {
		c := chart()
		spoil(&c)
		if err := c.Draw(io.Discard); err == nil {
			t.Errorf("%s: drawn", name)
		}
	}
}

func TestSpellingOfTicks(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 0.05: "0.05", 0.30000000000000004: "0.3", 20: "20", 1000: "1,000", 250_000: "250,000", 1e6: "1,000,000"} {
		if got := spell(v); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
