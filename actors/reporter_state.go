package actors

import (
	"cmp"
	"slices"
	"time"

	"felhom.eu/messages"
)

const (
	maxBacklog    = 64               // undelivered reports that are kept
	maxRetryWait  = 5 * time.Minute  // ceiling of the back-off
	maxRetryAfter = 60 * time.Minute // the longest wait a hub may ask for
)

// reporterState is the reporter's rules: which report goes next, and when. It
// knows no clock; instants and randomness are arguments.
type reporterState struct {
	backlog   []*messages.Report // by rising sequence, at most maxBacklog
	inFlight  *messages.Report   // out of the backlog, with the hub
	failures  int                // in a row
	notBefore time.Time          // the next attempt
	dropped   uint64             // reports lost to the bound
}

// add keeps r, dropping the oldest one kept when there are too many, and
// reports whether it had to.
func (s *reporterState) add(r *messages.Report) (dropped bool) {
	at, _ := slices.BinarySearchFunc(s.backlog, r.Sequence,
		func(b *messages.Report, sequence uint64) int { return cmp.Compare(b.Sequence, sequence) })
	s.backlog = slices.Insert(s.backlog, at, r)
	if len(s.backlog) <= maxBacklog {
		return false
	}
	s.backlog = slices.Delete(s.backlog, 0, 1)
	s.dropped++
	return true
}

// take picks the newest report for an attempt: it tells the hub that the host
// lives, the older ones only how it lived. ok is false while one is in flight,
// before the back-off's end, and when there is none.
func (s *reporterState) take(now time.Time) (r *messages.Report, ok bool) {
	n := len(s.backlog)
	if n == 0 || s.inFlight != nil || now.Before(s.notBefore) {
		return nil, false
	}
	s.inFlight = s.backlog[n-1]
	s.backlog = slices.Delete(s.backlog, n-1, n)
	return s.inFlight, true
}

// delivered notes that the hub has the report in flight.
func (s *reporterState) delivered() {
	s.inFlight, s.failures, s.notBefore = nil, 0, time.Time{}
}

// failed notes that the hub does not have the report in flight, and returns how
// long to wait before the next attempt: full jitter over an exponential ceiling,
// on top of what the hub asked for. random is in [0, 1). The report goes back
// unless discard says that no repeat of it can succeed.
func (s *reporterState) failed(now time.Time, discard bool, retryAfter time.Duration, random float64) time.Duration {
	r := s.inFlight
	s.inFlight = nil
	if !discard {
		s.add(r)
	}
	wait := min(retryAfter, maxRetryAfter) + time.Duration(random*float64(retryCeiling(s.failures)))
	s.failures++
	s.notBefore = now.Add(wait)
	return wait
}

// retryCeiling is 1 s after the first failure, then twice that, up to maxRetryWait.
func retryCeiling(failures int) time.Duration {
	if failures > 8 { // 1 s << 9 is beyond the ceiling
		return maxRetryWait
	}
	return min(maxRetryWait, time.Second<<failures)
}
