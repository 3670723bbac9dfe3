package actors

import (
	"fmt"
	"math"
	"time"

	"felhom.eu/messages"
)

// Moment is now, on the hub's two clocks. Rules take it as an argument.
type Moment struct {
	Wall time.Time         // for people and for ids
	At   messages.Listened // for the switch
	// Resumed is where in listening time the hub last came back from a gap;
	// NeverResumed when it has not.
	Resumed messages.Listened
}

// NeverResumed is the Resumed of a hub that has had no gap.
const NeverResumed messages.Listened = math.MinInt64 / 2

// Rules are the thresholds of the dead-man's switch, in listening time.
type Rules struct {
	PollInterval time.Duration // the hub's; a longer one of a host scales the others
	Stale        time.Duration
	Down         time.Duration
	ResumeGrace  time.Duration // what every host gets after a gap
}

// scaled are the rules for a host that reports every own seconds; 0 is the hub's interval.
func (r Rules) scaled(own int) Rules {
	interval := time.Duration(own) * time.Second
	if interval <= r.PollInterval || r.PollInterval <= 0 {
		return r
	}
	factor := float64(interval) / float64(r.PollInterval)
	stretch := func(d time.Duration) time.Duration { return time.Duration(float64(d) * factor) }
	return Rules{PollInterval: interval, Stale: stretch(r.Stale), Down: stretch(r.Down), ResumeGrace: stretch(r.ResumeGrace)}
}

// inWords says a duration the way people do: its two largest units.
func inWords(d time.Duration) string {
	if d < time.Minute {
		return fmt.Sprintf("%d s", int(max(d, 0).Seconds()))
	}
	units := [...]struct {
		size time.Duration
		name string
	}{{24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "min"}}
	var words string
	for i, u := range units {
		n := d / u.size
		if n == 0 {
			continue
		}
		words = fmt.Sprintf("%d %s", n, u.name)
		if i+1 < len(units) {
			if m := d % u.size / units[i+1].size; m > 0 {
				words += fmt.Sprintf(" %d %s", m, units[i+1].name)
			}
		}
		break
	}
	return words
}
