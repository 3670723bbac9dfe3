package actors

import (
	"time"

	"felhom.eu/messages"
)

// The rule by which the two clocks are remembered. Between two traces of them listening
// time runs beside the wall clock: where it stood still, or the wall clock was set, the
// next batch says where they are then. A day that is dropped takes its traces with it,
// so that every day has one of its own.

// traceSlack is how far the clocks may part before that is worth a trace.
const traceSlack = time.Second

// traceClocks is a trace of now, and whether it says what last does not.
func traceClocks(last messages.Trace, now Moment) (t messages.Trace, parted bool) {
	t = messages.Trace{Kind: messages.TraceClock, At: now.Wall, Listened: now.At, Resumed: now.Resumed}
	off := now.Wall.Sub(last.At) - (now.At - last.Listened).Duration()
	return t, last.Kind == 0 || off.Abs() > traceSlack || now.Resumed != last.Resumed || dayOf(now.Wall) != dayOf(last.At)
}
