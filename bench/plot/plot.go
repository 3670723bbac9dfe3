// Package plot draws line charts as SVG, for the figures of the benches: a few
// series, axes with units, a legend. It is not for anything else; what is
// drawn is exactly what is in Points, nothing is smoothed.
package plot

import (
	"bytes"
	"errors"
	"fmt"
	"html"
	"io"
	"math"
	"os"
)

// Chart is one picture.
type Chart struct {
	Title, Note string // Note is small print below the title: what was measured, and where
	X, Y        Axis
	Series      []Series
}

// Axis is how a chart's values are spread.
type Axis struct {
	Label string // with the unit
	Log   bool   // powers of ten at equal distances; all values must be above 0. Otherwise the axis begins at 0
}

// Series is one line.
type Series struct {
	Name   string
	Color  string // of CSS
	Dashed bool
	Points []Point // in the order of X
}

// Point is one measurement: a median and, where they differ from it, the ends
// between which it was found.
type Point struct{ X, Y, Low, High float64 }

// The picture, in pixels: the frame within the margins, the legend to its right.
const (
	width, height            = 900, 480
	left, right, top, bottom = 80, 230, 64, 60
	textColor, gridColor     = "#333333", "#e4e4e4"
)

// WriteFile draws c into the file at path.
func (c *Chart) WriteFile(path string) error {
	var b bytes.Buffer
	if err := c.Draw(&b); err != nil {
		return fmt.Errorf("draw %s: %w", path, err)
	}
	return os.WriteFile(path, b.Bytes(), 0o644)
}

// Draw writes c as SVG. Errors: nothing to draw, a value that an axis cannot
// show, and those of w.
func (c *Chart) Draw(w io.Writer) error {
	x, y, err := c.scales()
	if err != nil {
		return err
	}
	p := picture{}
	p.add(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" font-family="sans-serif" font-size="13" fill="%s">`,
		width, height, width, height, textColor)
	p.add(`<rect width="100%%" height="100%%" fill="#ffffff"/>`)
	p.text(left, 26, `font-size="17" font-weight="bold"`, c.Title)
	p.text(left, 46, `font-size="12" fill="#666666"`, c.Note)
	p.axes(c, x, y)
	for i := range c.Series {
		p.line(&c.Series[i], x, y)
		p.key(&c.Series[i], top+12+22*i)
	}
	p.add(`</svg>`)
	_, err = w.Write(p.Bytes())
	return err
}

// scales spreads both axes over all values.
func (c *Chart) scales() (x, y scale, err error) {
	var xs, ys []float64
	for _, s := range c.Series {
		for _, p := range s.Points {
			xs = append(xs, p.X)
			ys = append(ys, p.Y)
			if p.whisker() {
				ys = append(ys, p.Low, p.High)
			}
		}
	}
	if len(xs) == 0 {
		return x, y, errors.New("no points")
	}
	if x, err = newScale(c.X.Log, xs, left, width-right); err != nil {
		return x, y, fmt.Errorf("%s: %w", c.X.Label, err)
	}
	if y, err = newScale(c.Y.Log, ys, height-bottom, top); err != nil {
		return x, y, fmt.Errorf("%s: %w", c.Y.Label, err)
	}
	return x, y, nil
}

func (p Point) whisker() bool { return p.High > p.Low }

// picture is SVG as it grows.
type picture struct{ bytes.Buffer }

func (p *picture) add(format string, args ...any) { fmt.Fprintf(p, format+"\n", args...) }

// text places s, which may be anything, with its left end at x.
func (p *picture) text(x, y float64, attributes, s string) {
	p.add(`<text x="%.1f" y="%.1f" %s>%s</text>`, x, y, attributes, html.EscapeString(s))
}

func (p *picture) axes(c *Chart, x, y scale) {
	for _, v := range y.ticks() {
		at := y.at(v)
		p.add(`<line x1="%d" y1="%.1f" x2="%d" y2="%.1f" stroke="%s"/>`, left, at, width-right, at, gridColor)
		p.text(left-8, at+4, `text-anchor="end"`, spell(v))
	}
	for _, v := range x.ticks() {
		at := x.at(v)
		p.add(`<line x1="%.1f" y1="%d" x2="%.1f" y2="%d" stroke="%s"/>`, at, top, at, height-bottom, gridColor)
		p.text(at, height-bottom+20, `text-anchor="middle"`, spell(v))
	}
	p.add(`<path d="M%d %d V%d H%d" fill="none" stroke="%s"/>`, left, top, height-bottom, width-right, textColor)
	p.text((left+width-right)/2, height-14, `text-anchor="middle"`, c.X.Label)
	middle := (top + height - bottom) / 2
	p.text(20, float64(middle), fmt.Sprintf(`text-anchor="middle" transform="rotate(-90 20 %d)"`, middle), c.Y.Label)
}

// line draws s with a dot for each point, and a whisker where runs differed.
func (p *picture) line(s *Series, x, y scale) {
	var path bytes.Buffer
	for i, q := range s.Points {
		fmt.Fprintf(&path, "%c%.1f %.1f", "ML"[min(i, 1)], x.at(q.X), y.at(q.Y))
	}
	p.add(`<path d="%s" fill="none" stroke="%s" stroke-width="2"%s/>`, path.String(), html.EscapeString(s.Color), s.dashes())
	for _, q := range s.Points {
		if q.whisker() {
			p.add(`<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="%s" stroke-opacity="0.45" stroke-width="5"/>`,
				x.at(q.X), y.at(q.Low), x.at(q.X), y.at(q.High), html.EscapeString(s.Color))
		}
		p.add(`<circle cx="%.1f" cy="%.1f" r="3.2" fill="%s"/>`, x.at(q.X), y.at(q.Y), html.EscapeString(s.Color))
	}
}

// key is s's line of the legend.
func (p *picture) key(s *Series, y int) {
	const from = width - right + 16
	p.add(`<line x1="%d" y1="%d" x2="%d" y2="%d" stroke="%s" stroke-width="2"%s/>`, from, y, from+28, y, html.EscapeString(s.Color), s.dashes())
	p.text(from+36, float64(y)+4, "", s.Name)
}

func (s *Series) dashes() string {
	if s.Dashed {
		return ` stroke-dasharray="6 4"`
	}
	return ""
}

// spell writes a tick's value: at most three digits behind the point,
// thousands apart.
func spell(v float64) string {
	if v < 1000 {
		return fmt.Sprint(math.Round(v*1000) / 1000)
	}
	s := fmt.Sprintf("%.0f", v)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
