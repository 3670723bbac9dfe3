package plot

import (
	"errors"
	"fmt"
	"math"
)

// scale places values between two pixels.
type scale struct {
	low, high float64 // the values at the ends; both are ticks
	step      float64 // between ticks of a linear axis
	log       bool
	from, to  float64 // pixels
}

// wantTicks is about how many ticks an axis has.
const wantTicks = 6

// newScale covers all values, up to the next tick.
func newScale(log bool, values []float64, from, to float64) (scale, error) {
	s := scale{log: log, from: from, to: to}
	least, most := values[0], values[0]
	for _, v := range values {
		if math.IsNaN(v) || math.IsInf(v, 0) || v < 0 || log && v == 0 {
			return s, fmt.Errorf("cannot show %v", v)
		}
		least, most = min(least, v), max(most, v)
	}
	if log {
		s.low, s.high = below(least), above(most)
		if s.low == s.high {
			s.high = above(most * 1.01)
		}
		return s, nil
	}
	if most == 0 {
		return s, errors.New("all values are 0")
	}
	s.step = above(most / wantTicks)
	s.high = math.Ceil(most/s.step-1e-9) * s.step
	return s, nil
}

// below and above are the nearest 1, 2 or 5 times a power of ten.
func below(v float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(v)+1e-9))
	for _, m := range []float64{5, 2} {
		if m*power <= v*(1+1e-9) {
			return m * power
		}
	}
	return power
}

func above(v float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(v)+1e-9))
	for _, m := range []float64{1, 2, 5} {
		if m*power >= v*(1-1e-9) {
			return m * power
		}
	}
	return 10 * power
}

// at is the pixel of v.
func (s scale) at(v float64) float64 {
	share := (v - s.low) / (s.high - s.low)
	if s.log {
		share = math.Log(v/s.low) / math.Log(s.high/s.low)
	}
	return s.from + share*(s.to-s.from)
}

// ticks are the values to mark: 1, 2, 5 of each power of ten on a logarithmic
// axis, only the powers when it spans many.
func (s scale) ticks() (ts []float64) {
	if !s.log {
		for i := 0.0; i*s.step <= s.high*(1+1e-9); i++ {
			ts = append(ts, i*s.step)
		}
		return ts
	}
	for v := s.low; v <= s.high*(1+1e-9); v = above(v * 1.1) {
		power := math.Pow(10, math.Round(math.Log10(v)))
		if s.high/s.low <= 1e5 || math.Abs(v/power-1) < 1e-9 {
			ts = append(ts, v)
		}
	}
	return ts
}
