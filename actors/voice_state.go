package actors

import (
	"encoding/binary"
	"slices"
	"time"

	"github.com/oklog/ulid/v2"

	"felhom.eu/messages"
)

// Two speakers with one key: a machine that was cloned with its agent, or one
// that was set back to a snapshot of its memory, where a stream goes on that has
// ended, or counts again what it counted before.
//
// Whatever its stream, a report that was sent after the last contact is a contact:
// the host lives. What it says becomes the host's state only when the stream in
// turn has fallen silent, so that the state of two machines does not flap. Two
// that take turns are told of, once.

const (
	// sentMargin is how much later than the last contact a report must have been
	// sent, by its agent's clock, to be no late copy: skew is kept in whole seconds.
	sentMargin = 2 * time.Second
	// bootMargin is how long before the last contact of another boot a machine must
	// have been up to be another machine: clocks are set while they start.
	bootMargin = 2 * time.Minute
	cloneTurns = 3             // so many turns are no coincidence
	cloneQuiet = 3 * time.Hour // three times the longest interval: only one speaks
	soloFactor = 1.25          // intervals for which the stream in turn must be silent to lose it
	soloLeast  = 15 * time.Minute
)

// sentLater reports whether what was sent at that instant (by the agent's clock,
// in nanoseconds of Unix time; 0: it did not say) left its agent after the host's
// last contact did. A late copy has the date it had.
func sentLater(s *messages.HostState, at int64) bool {
	last := s.ContactAt + int64(s.SkewSecs)*int64(time.Second)
	return at != 0 && s.ContactAt != 0 && at-last >= int64(sentMargin)
}

// strange reports whether a numbered report that was sent just now is not of the
// speaker that the state is of.
func strange(s *messages.HostState, r *messages.Summary, v verdict, now Moment) bool {
	switch {
	case r.StreamHash == 0 || r.Sequence == 0 || s.Stream == 0 || !sentLater(s, r.SentAt):
		return false
	case r.StreamHash == s.Stream: // made after the newest, with a number from before
		return v == repeat && r.ReportedAt > s.ReportedAt || v == older && r.Sequence < s.Sequence && s.Sequence-r.Sequence > seenWindow
	case v == older: // a stream that had ended
		return true
	}
	return wasUpMeanwhile(s, r, now)
}

// wasUpMeanwhile reports whether the machine of a new stream was up, in another
// boot, when the one that the state is of last spoke.
func wasUpMeanwhile(s *messages.HostState, r *messages.Summary, now Moment) bool {
	if !otherBoot(s, r) {
		return false
	}
	up := time.Duration(r.UptimeSecs) * time.Second
	return now.Wall.Add(-up).UnixNano() < s.ContactAt-int64(bootMargin)
}

func otherBoot(s *messages.HostState, r *messages.Summary) bool {
	return r.BootHash != 0 && s.BootHash != 0 && r.BootHash != s.BootHash
}

// onVoice is what a report means beside another speaker. It may turn a verdict:
// a stranger's report is history until it alone has spoken for long enough.
func onVoice(s *messages.HostState, r *messages.Summary, v verdict, now Moment, told *news) verdict {
	if !strange(s, r, v, now) {
		if s.Voice != nil && v != older {
			s.Voice = answered(s, now, told)
		}
		return v
	}
	next := messages.Voice{Since: now.At, HeardAt: now.At}
	if s.Voice != nil {
		next = *s.Voice
	}
	if solo := next.Alone && next.Stream == r.StreamHash && r.Sequence > next.Sequence; solo && (now.At-next.Since).Duration() >= soloTime(s) {
		return takeOver(s, r, &next)
	}
	if !next.Alone || next.Stream != r.StreamHash {
		next.Turns, next.HeardAt = next.Turns+1, now.At
	}
	if !next.Alone {
		next.Since = now.At
	}
	next.Stream, next.BootHash, next.Sequence, next.Alone = r.StreamHash, r.BootHash, r.Sequence, true
	noteTurns(s, &next, now, told)
	s.Voice = &next
	if v == fresh {
		retire(s, r.StreamHash)
	}
	if v == repeat {
		return repeat // the body is known, or lost to one that was
	}
	return older
}

// answered is the other voice when the stream in turn has spoken.
func answered(s *messages.HostState, now Moment, told *news) *messages.Voice {
	next := *s.Voice
	switch {
	case next.Alone:
		next.Turns, next.Alone, next.HeardAt = next.Turns+1, false, now.At
		noteTurns(s, &next, now, told)
	case (now.At - next.HeardAt).Duration() >= cloneQuiet:
		if next.Incident != "" {
			told.cloned(s, messages.CloneGone, next.Incident, "only one machine reports with its key now", now)
		}
		return nil
	}
	return &next
}

// noteTurns tells once of two that take turns.
func noteTurns(s *messages.HostState, x *messages.Voice, now Moment, told *news) {
	x.Turns = min(x.Turns, cloneTurns)
	if x.Turns < cloneTurns || x.Incident != "" {
		return
	}
	who := "two agents report with its key, in turn"
	if x.BootHash != s.BootHash {
		who = "two machines report with its key, in turn: was it cloned?"
	}
	x.Incident = cloneIncident(s, now)
	told.cloned(s, messages.HostCloned, x.Incident, who, now)
}

// takeOver makes the other voice the one that the host's state is of.
func takeOver(s *messages.HostState, r *messages.Summary, x *messages.Voice) verdict {
	if r.StreamHash != s.Stream {
		if i := slices.Index(s.Retired[:], r.StreamHash); i >= 0 {
			copy(s.Retired[1:i+1], s.Retired[:i])
			s.Retired[0] = s.Stream
		} else {
			retire(s, s.Stream)
		}
	}
	s.Stream, s.Sequence, s.Seen = r.StreamHash, r.Sequence, 1
	s.Voice = nil
	if x.Incident != "" { // it ends when nobody else has spoken for long enough
		x.Stream, x.Alone = 0, false
		s.Voice = x
	}
	return fresh
}

// retire notes that a stream is not the one in turn.
func retire(s *messages.HostState, stream uint64) {
	copy(s.Retired[1:], s.Retired[:])
	s.Retired[0] = stream
}

// soloTime is how long another voice must speak alone to take over.
func soloTime(s *messages.HostState) time.Duration {
	interval := time.Duration(s.IntervalSecs) * time.Second
	return time.Duration(soloFactor * float64(max(interval, soloLeast)))
}

// cloneIncident names an incident by what it is about: the rule has no chance in it.
func cloneIncident(s *messages.HostState, now Moment) messages.IncidentID {
	return incidentOf(now.Wall, string(s.ID))
}

// incidentOf is the incident of what began at an instant, by what it is about.
func incidentOf(began time.Time, about string) messages.IncidentID {
	var id ulid.ULID
	_ = id.SetTime(ulid.Timestamp(began)) // fails after the year 10889
	binary.BigEndian.PutUint64(id[8:], messages.HashText(about))
	return messages.IncidentID(id.String())
}

func (n *news) cloned(s *messages.HostState, typ messages.EventType, incident messages.IncidentID, what string, now Moment) {
	e := about(s, typ, now)
	e.IncidentID, e.Summary = incident, string(s.ID)+": "+what
	*n = append(*n, e)
}
