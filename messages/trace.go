package messages

import "time"

// TraceKind says what a trace is of.
type TraceKind uint8

// The kinds of traces.
const (
	TraceClock   TraceKind = iota + 1 // the hub's two clocks no longer run as they did
	TraceGoodbye                      // a host said goodbye
	TraceRepeat                       // a report that was stored before was a contact all the same
)

// Trace is what moved a host, or time, and is in no report: with the reports it is all
// that the rules were given, so that they can be run through it again. It goes with the
// reports of its day.
type Trace struct {
	Kind TraceKind
	At   time.Time // the hub's clock

	// Of TraceClock: At is so far in listening time. It runs on beside the wall clock from
	// there, until the next one.
	Listened Listened
	Resumed  Listened // where the hub last came back from a gap

	HostID  HostID
	Goodbye Goodbye // of TraceGoodbye, without its HostID
	Report  Summary // of TraceRepeat: what orders reports and tells speakers apart
}
