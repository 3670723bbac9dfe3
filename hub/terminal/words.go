package terminal

import (
	"fmt"
	"math"
	"time"
)

const day = 24 * time.Hour

// InWords is a duration as people say it, of at most two units: "12 s",
// "3 min", "5 h 12 min", "3 d 4 h".
func InWords(d time.Duration) string {
	switch d = d.Abs(); {
	case d < time.Minute:
		return fmt.Sprintf("%d s", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%d min", d/time.Minute)
	case d < 2*day:
		return two(d/time.Hour, "h", d%time.Hour/time.Minute, "min")
	}
	return two(d/day, "d", d%day/time.Hour, "h")
}

func two(n time.Duration, unit string, rest time.Duration, restUnit string) string {
	if rest == 0 {
		return fmt.Sprintf("%d %s", n, unit)
	}
	return fmt.Sprintf("%d %s %d %s", n, unit, rest, restUnit)
}

// Ago is an instant as people say it: "3 min ago". Clocks differ a little, so
// what is at most a minute ahead is "now".
func Ago(t *time.Time, now time.Time) string {
	if t == nil || t.IsZero() {
		return "never"
	}
	switch d := now.Sub(*t); {
	case d < -time.Minute:
		return "in " + InWords(d)
	case d < time.Second:
		return "now"
	default:
		return InWords(d) + " ago"
	}
}

// Percent is "42 %", or "-" when the host did not say.
func Percent(p *float64) string {
	if p == nil || math.IsNaN(*p) {
		return "-"
	}
	return fmt.Sprintf("%.0f %%", *p)
}

var byteUnits = [...]string{"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"}

// Size is a count of bytes in the largest unit that leaves at least one.
func Size(n uint64) string {
	f, i := float64(n), 0
	for f >= 1024 && i < len(byteUnits)-1 {
		f, i = f/1024, i+1
	}
	if i == 0 {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f %s", f, byteUnits[i])
}

// OrDash stands for what was not said.
func OrDash[T ~string](s T) string {
	if s == "" {
		return "-"
	}
	return string(s)
}
