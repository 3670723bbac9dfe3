package actors

import (
	"time"

	"felhom.eu/messages"
)

// What the hub may ask for as the time between two reports.
const (
	minReportInterval = 60 * time.Second
	maxReportInterval = 3600 * time.Second
)

// reportJitter spreads reports: each comes up to this part of the interval
// early or late, so that agents started together do not stay together.
const reportJitter = 0.05

// collectorState is the collector's rules: when to collect, and how a report
// is numbered. It knows no clock; instants are arguments.
type collectorState struct {
	interval time.Duration
	stamp    reportStamp
	busy     bool      // a collection is under way
	tickedAt time.Time // the last tick
}

// reportStamp is what the collector itself puts on a report.
type reportStamp struct {
	hostID   messages.HostID
	version  string
	stream   string
	bootID   string
	lastEnd  *messages.LastEnd
	sequence uint64 // of the last report
}

// tick notes a tick and reports whether to collect now: not while the
// collection before is still under way.
func (s *collectorState) tick(now time.Time) bool {
	s.tickedAt = now
	if s.busy {
		return false
	}
	s.busy = true
	return true
}

// wait is how long from now until the next tick. random is in [0, 1).
func (s *collectorState) wait(now time.Time, random float64) time.Duration {
	spread := 1 + reportJitter*(2*random-1)
	next := s.tickedAt.Add(time.Duration(float64(s.interval) * spread))
	return max(0, next.Sub(now))
}

// adopt takes over the interval that the hub asks for, within bounds, and
// reports whether that changed anything. 0 and less is no wish.
func (s *collectorState) adopt(seconds int) bool {
	if seconds <= 0 {
		return false
	}
	limit := int(maxReportInterval / time.Second)
	d := max(time.Duration(min(seconds, limit))*time.Second, minReportInterval)
	changed := d != s.interval
	s.interval = d
	return changed
}

// put numbers r and fills what only the collector knows. A source that knows
// its own clock, boot or end (a simulated one) has filled those itself.
func (s *reportStamp) put(r *messages.Report, now time.Time) {
	s.sequence++
	r.HostID, r.AgentVersion = s.hostID, s.version
	r.Stream, r.Sequence = s.stream, s.sequence
	if r.BootID == "" {
		r.BootID = s.bootID
	}
	if r.LastEnd == nil {
		r.LastEnd = s.lastEnd
	}
	if r.ReportedAt.IsZero() {
		r.ReportedAt = now.UTC()
	}
}
