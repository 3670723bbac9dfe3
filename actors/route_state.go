package actors

import (
	"math"
	"slices"
	"time"

	"felhom.eu/messages"
)

// The rules of one route: which delivery is next, when, and what an answer
// makes of it. Pure: now and the dice come in as arguments. Waits are measured
// on the monotonic clock, so a step of the wall clock neither holds a message
// back nor gives one up.

const (
	firstRetry   = time.Second
	longestRetry = 10 * time.Minute
	giveUpAfter  = 72 * time.Hour   // from the moment a delivery was due,
	giveUpTries  = 100              // and not before so many tries, whatever the wall clock says
	failingAfter = 15 * time.Minute // of failures: route_failing
	longestWait  = time.Hour        // the most of a Retry-After that is honoured
)

// routeState is a route's queue, in order of sequence. Only its head is ever tried.
type routeState struct {
	queue     []messages.Delivery
	perHour   int           // the most messages; 0: no limit
	spent     float64       // of them, as of then: one is given back every 1/perHour of an hour
	spentAt   time.Duration // monotonic
	held      bool          // the head is under way: nothing goes before it
	notBefore time.Duration // of the next try, after a failure; monotonic
	tries     int           // of the head since it became head, or since a start
	failing   bool          // the last answer was bad,
	since     time.Duration // and so were all since then; monotonic
}

// put adds a delivery, or brings one up to date; added tells which.
func (s *routeState) put(d messages.Delivery) (added bool) {
	i, known := slices.BinarySearchFunc(s.queue, d.Sequence, func(q messages.Delivery, seq uint64) int {
		return int(int64(q.Sequence) - int64(seq))
	})
	if known {
		s.queue[i] = d
		return false
	}
	if i == 0 && s.held {
		i = 1 // an old one that is to be delivered again, or that waited for the end of quiet hours
	}
	s.queue = slices.Insert(s.queue, i, d)
	return true
}

// wait is how long until the head may be tried, never below zero; ok is false
// when there is none.
func (s *routeState) wait(now Instant) (d time.Duration, ok bool) {
	if len(s.queue) == 0 {
		return 0, false
	}
	return max(s.notBefore-now.Mono, s.overLimit(now), 0), true
}

// overLimit is how long the route has to wait to keep to its messages an hour.
func (s *routeState) overLimit(now Instant) time.Duration {
	if s.perHour <= 0 || s.tries > 0 { // a try that failed has paid for the next
		return 0
	}
	over := s.owed(now) - float64(s.perHour-1)
	return time.Duration(math.Ceil(over * float64(time.Hour) / float64(s.perHour)))
}

// owed is how many messages of the last hour's count.
func (s *routeState) owed(now Instant) float64 {
	return max(s.spent-(now.Mono-s.spentAt).Hours()*float64(s.perHour), 0)
}

// pay counts a message that is tried for the first time.
func (s *routeState) pay(now Instant) {
	if s.perHour > 0 && s.tries == 0 {
		s.spent, s.spentAt = s.owed(now)+1, now.Mono
	}
}

// outcome is the head as an answer leaves it. The caller makes it durable, then
// calls keep. dice is uniform in [0, 1).
func (s *routeState) outcome(a Answer, now Instant, dice float64) messages.Delivery {
	d := s.queue[0]
	d.Attempts++
	d.LastAttemptAt, d.LastStatus, d.LastError = now.Wall.UTC(), a.Status, ""
	s.pay(now)
	s.tries++
	if a.OK {
		d.State, d.SentAt = messages.DeliverySent, now.Wall.UTC()
		s.failing = false
		return d
	}
	d.LastError = a.Text
	if !s.failing {
		s.failing, s.since = true, now.Mono
	}
	if a.Permanent || outdatedDrill(&d, now.Wall) || now.Wall.Sub(d.DueAt) >= giveUpAfter && d.Attempts >= giveUpTries {
		d.State = messages.DeliveryDead
		return d
	}
	s.notBefore = now.Mono + retryDelay(s.tries, a.RetryAfter, dice)
	return d
}

// failedFor is how long the route has failed without a good answer.
func (s *routeState) failedFor(now Instant) time.Duration {
	if !s.failing {
		return 0
	}
	return now.Mono - s.since
}

// keep makes what is durable the head, and takes off one that is done with.
func (s *routeState) keep(d messages.Delivery) {
	if d.State == messages.DeliveryPending {
		s.queue[0] = d
		return
	}
	s.queue = slices.Delete(s.queue, 0, 1)
	s.tries, s.notBefore = 0, 0
}

// retryDelay doubles from a second to ten minutes, less up to half of it by the
// dice, and is no shorter than what the far end asked for.
func retryDelay(tries int, asked time.Duration, dice float64) time.Duration {
	d := longestRetry
	if tries < 11 { // 2^10 s is more than ten minutes
		d = min(longestRetry, firstRetry<<(tries-1))
	}
	d -= time.Duration(dice * float64(d) / 2)
	return max(d, min(asked, longestWait))
}
