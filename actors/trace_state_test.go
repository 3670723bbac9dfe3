package actors

import (
	"testing"
	"time"

	"felhom.eu/messages"
)

// The clocks are traced when they part, when the hub was deaf, and once a day; not with
// every batch.
func TestClocksAreTracedWhereTheyPart(t *testing.T) {
	noon := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	last := messages.Trace{Kind: messages.TraceClock, At: noon, Listened: 1000, Resumed: NeverResumed}
	cases := []struct {
		name      string
		last      messages.Trace
		wall      time.Duration
		heard     time.Duration
		resumed   messages.Listened
		wantTrace bool
	}{
		{"the first", messages.Trace{}, time.Hour, time.Hour, NeverResumed, true},
		{"side by side", last, time.Hour, time.Hour, NeverResumed, false},
		{"a little apart", last, time.Hour, time.Hour - 900*time.Millisecond, NeverResumed, false},
		{"deaf for a while", last, time.Hour, time.Hour - 2*time.Second, NeverResumed, true},
		{"the wall clock went back", last, -time.Hour, time.Minute, NeverResumed, true},
		{"back from a gap", last, time.Hour, time.Hour, 1500, true},
		{"another day", last, 13 * time.Hour, 13 * time.Hour, NeverResumed, true},
	}
	for _, c := range cases {
		now := Moment{Wall: noon.Add(c.wall), At: messages.Listened(1000).Add(c.heard), Resumed: c.resumed}
		got, parted := traceClocks(c.last, now)
		if parted != c.wantTrace || got.At != now.Wall || got.Listened != now.At || got.Resumed != now.Resumed {
			t.Errorf("%s: traced %t, %+v", c.name, parted, got)
		}
	}
}
