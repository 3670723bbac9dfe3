package terminal

import (
	"testing"
	"time"
)

// Durations are what an operator reads first on a bad day: no unit may be
// skipped or rounded up.
func TestDurationsInWords(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0:                               "0 s",
		59*time.Second + 999e6:          "59 s",
		time.Minute:                     "1 min",
		59*time.Minute + 59*time.Second: "59 min",
		time.Hour:                       "1 h",
		5*time.Hour + 12*time.Minute:    "5 h 12 min",
		47*time.Hour + 59*time.Minute:   "47 h 59 min",
		2 * day:                         "2 d",
		3*day + 4*time.Hour:             "3 d 4 h",
		-time.Minute:                    "1 min",
	} {
		if got := InWords(d); got != want {
			t.Errorf("inWords(%v) = %q, want %q", d, got, want)
		}
	}
}

// What never happened is not "56 years ago", and a clock a little ahead is not
// the future.
func TestInstantsInWords(t *testing.T) {
	now := time.Date(2026, 6, 8, 14, 0, 0, 0, time.UTC)
	at := func(d time.Duration) *time.Time { x := now.Add(d); return &x }
	for _, c := range []struct {
		t    *time.Time
		want string
	}{
		{nil, "never"},
		{new(time.Time), "never"},
		{at(0), "now"},
		{at(30 * time.Second), "now"},
		{at(-190 * time.Second), "3 min ago"},
		{at(2 * time.Hour), "in 2 h"},
	} {
		if got := Ago(c.t, now); got != c.want {
			t.Errorf("ago(%v) = %q, want %q", c.t, got, c.want)
		}
	}
}

// Sizes keep one decimal and never lie about the unit.
func TestSizes(t *testing.T) {
	for n, want := range map[uint64]string{
		0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 21474836480: "20.0 GiB", 1 << 63: "8.0 EiB",
	} {
		if got := Size(n); got != want {
			t.Errorf("size(%d) = %q, want %q", n, got, want)
		}
	}
}
