package actors

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"felhom.eu/messages"
)

// The rules of one host: pure functions of its state, what arrived and now.
// They return the next state and the events that go with it; nothing counts
// before both are durable, in one write.

const (
	maxHold       = 24 * time.Hour  // a goodbye holds alarms at most so long
	skewAlarm     = 5 * time.Minute // clock_skew above this
	skewReturn    = 4 * time.Minute // and it may be raised again below this
	seenWindow    = 64              // sequences behind the newest whose repeats are known
	maxHoldReason = 64              // bytes of a goodbye's reason that the state keeps
)

// verdict is what a report means for its host.
type verdict uint8

const (
	fresh  verdict = iota // newer than all before: a contact, moves the state
	older                 // overtaken by a newer one: history only
	repeat                // stored before: acknowledged, not stored again
)

// classify orders a report among those of its host by stream and sequence.
// Reports without a sequence are always fresh.
func classify(s *messages.HostState, r *messages.Summary) verdict {
	switch {
	case r.StreamHash == 0 || r.Sequence == 0:
		return fresh
	case r.StreamHash != s.Stream:
		if slices.Contains(s.Retired[:], r.StreamHash) {
			return older
		}
		return fresh
	case r.Sequence > s.Sequence:
		return fresh
	}
	behind := s.Sequence - r.Sequence
	if behind < seenWindow && s.Seen&(1<<behind) != 0 {
		return repeat
	}
	return older
}

// number notes that the report's place in the order is taken.
func number(s *messages.HostState, r *messages.Summary) {
	switch {
	case r.StreamHash == 0 || r.Sequence == 0:
	case r.StreamHash != s.Stream:
		if slices.Contains(s.Retired[:], r.StreamHash) {
			return
		}
		if s.Stream != 0 {
			retire(s, s.Stream)
		}
		s.Stream, s.Sequence, s.Seen = r.StreamHash, r.Sequence, 1
	case r.Sequence > s.Sequence:
		s.Seen = s.Seen<<(r.Sequence-s.Sequence) | 1 // a shift of 64 or more leaves only the 1
		s.Sequence = r.Sequence
	case s.Sequence-r.Sequence < seenWindow:
		s.Seen |= 1 << (s.Sequence - r.Sequence)
	}
}

// onReport is what a report does to its host's state. The state is changed in
// place: a host hands in the copy that it means to write. One that is not fresh
// may be a contact all the same: see voice_state.go.
func onReport(s *messages.HostState, r *messages.Summary, now Moment) (verdict, []messages.Event) {
	var told news
	v := onVoice(s, r, classify(s, r), now, &told)
	var cause messages.Cause
	if s.Phase >= messages.PhaseStale {
		cause = causeOf(s, r, now)
	}
	number(s, r)
	if v != fresh {
		if sentLater(s, r.SentAt) { // what it says is old, but it was said now
			contact(s, now, &told)
			told.because(cause, r)
			noteSkew(s, r, now, &told)
		}
		return v, told
	}
	if otherBoot(s, r) && !wasUpMeanwhile(s, r, now) {
		told.rebooted(s, r, now)
	}
	contact(s, now, &told)
	told.because(cause, r)
	s.ReportAt, s.ReportedAt = now.Wall.UnixNano(), r.ReportedAt
	s.AgentVersion, s.UptimeSecs, s.Figures = r.AgentVersion, r.UptimeSecs, r.Figures
	if r.BootHash != 0 {
		s.BootHash = r.BootHash
	}
	noteSkew(s, r, now, &told)
	return v, told
}

// onGoodbye is what a planned shutdown does. It is a contact, and holds the
// alarms until the host said to be back, by its own clock's difference. One
// from a new host, or a late one of an older stream, is not heard.
func onGoodbye(s messages.HostState, g messages.Goodbye, stream uint64, now Moment) (_ messages.HostState, told news, heard bool) {
	if s.Phase == messages.PhaseNew || stream != 0 && slices.Contains(s.Retired[:], stream) && !sentLater(&s, g.SentAt.UnixNano()) {
		return s, nil, false
	}
	contact(&s, now, &told)
	s.SkewSecs = skewSeconds(g.SentAt.Sub(now.Wall))
	s.HeldReason = heldReason(g.Reason)
	if g.BackBy != nil {
		s.HeldUntil = now.At.Add(min(max(g.BackBy.Sub(g.SentAt), 0), maxHold))
	}
	return s, told, true
}

// heldReason is what the state keeps of a goodbye's reason: one line, whole
// characters, and a word even for an agent that gave none.
func heldReason(reason string) string {
	reason = strings.Join(strings.Fields(reason), " ")
	if reason == "" {
		return "shutdown"
	}
	return strings.ToValidUTF8(reason[:min(len(reason), maxHoldReason)], "")
}

// news are the events that a rule tells. They are large and rare: what makes one
// is a function of its own, so that the stack of a report, which tells none, is small
// enough never to be grown.
type news []messages.Event

// contact resets the switch, and says so when it had fired.
func contact(s *messages.HostState, now Moment, told *news) {
	if s.Phase == messages.PhaseStale || s.Phase == messages.PhaseDown {
		told.recovered(s, now)
	}
	if s.Phase != messages.PhaseOK {
		s.Phase, s.PhaseSince = messages.PhaseOK, now.Wall.UnixNano()
	}
	s.ContactAt, s.ContactHeard = now.Wall.UnixNano(), now.At
	s.Incident, s.HeldUntil, s.HeldReason = "", 0, ""
}

// expire is what silence does: every transition that is due by now, in order.
// newIncident names the incident of a host that just fell silent.
func expire(s messages.HostState, r Rules, now Moment, newIncident func() messages.IncidentID) (messages.HostState, []messages.Event) {
	var told news
	for {
		at, armed := deadline(&s, r, now.Resumed)
		if !armed || now.At < at {
			return s, told
		}
		typ := messages.HostDown
		s.Phase++
		if s.Phase == messages.PhaseStale {
			typ, s.Incident = messages.HostStale, newIncident()
		}
		s.PhaseSince = now.Wall.UnixNano()
		told.silent(&s, typ, now)
	}
}

// deadline is when in listening time the host's next transition is due; armed
// is false when there is none. Nothing is due before a goodbye's hold has ended
// and the host has had its grace since the hub's last gap.
func deadline(s *messages.HostState, r Rules, resumed messages.Listened) (at messages.Listened, armed bool) {
	return due(s.Phase, s.ContactHeard, s.HeldUntil, r, resumed)
}

// due is the switch itself, of hosts and of controllers alike.
func due(p messages.Phase, heard, held messages.Listened, r Rules, resumed messages.Listened) (at messages.Listened, armed bool) {
	switch p {
	case messages.PhaseOK:
		at = heard.Add(r.Stale)
	case messages.PhaseStale:
		at = heard.Add(r.Down)
	default:
		return 0, false
	}
	return max(at, held, resumed.Add(r.ResumeGrace)), true
}

func (n *news) silent(s *messages.HostState, typ messages.EventType, now Moment) {
	silence := (now.At - s.ContactHeard).Duration()
	e := about(s, typ, now)
	e.Detail.SilenceSeconds = int64(silence.Seconds())
	words := "has been silent for " + inWords(silence)
	if typ == messages.HostDown {
		words = "is down, silent for " + inWords(silence)
	}
	if s.HeldUntil != 0 {
		late := (now.At - s.HeldUntil).Duration()
		e.Detail.Planned, e.Detail.LateSeconds = true, int64(late.Seconds())
		words += fmt.Sprintf(": planned %s, late by %s", s.HeldReason, inWords(late))
	}
	e.Detail.Reason = s.HeldReason
	e.Summary = string(s.ID) + " " + words
	*n = append(*n, e)
}

func (n *news) recovered(s *messages.HostState, now Moment) {
	// A clock that stepped back must not make an outage shorter than the
	// silence the hub listened to.
	silence := (now.At - s.ContactHeard).Duration()
	out := max(now.Wall.Sub(time.Unix(0, s.ContactAt)), silence)
	e := about(s, messages.HostRecovered, now)
	e.Detail.SilenceSeconds, e.Detail.DurationSeconds = int64(silence.Seconds()), int64(out.Seconds())
	e.Detail.Planned, e.Detail.Reason = s.HeldUntil != 0, s.HeldReason
	e.Summary = fmt.Sprintf("%s is back after %s", s.ID, inWords(out))
	*n = append(*n, e)
}

func (n *news) rebooted(s *messages.HostState, r *messages.Summary, now Moment) {
	e := about(s, messages.HostRebooted, now)
	e.IncidentID = ""
	e.Detail.Planned, e.Detail.Reason = s.HeldUntil != 0, s.HeldReason
	e.Summary = string(s.ID) + " has rebooted"
	if c := causeOfMachine[r.MachineEnd]; c == messages.CauseReboot {
		e.Detail.Cause = c
	} else if c != "" {
		explain(&e, c, r)
	}
	*n = append(*n, e)
}

// noteSkew keeps the skew of the newest contact and tells of it once when it
// grows past the limit. The request's Date header tells the agent's clock at
// sending; reported_at of a report that waited in a backlog would not.
func noteSkew(s *messages.HostState, r *messages.Summary, now Moment, told *news) {
	sent := r.SentAt
	if sent == 0 {
		sent = r.ReportedAt
	}
	if sent == 0 {
		return
	}
	skew := time.Unix(0, sent).Sub(now.Wall)
	s.SkewSecs = skewSeconds(skew)
	was := s.SkewAlarmed
	s.SkewAlarmed = skew.Abs() > skewAlarm || was && skew.Abs() > skewReturn
	switch {
	case !was && s.SkewAlarmed:
		told.skewed(s, skew, now)
	case was && !s.SkewAlarmed:
		told.unskewed(s, now)
	}
}

func skewSeconds(skew time.Duration) int32 {
	return int32(min(max(skew.Seconds(), math.MinInt32), math.MaxInt32))
}

func (n *news) skewed(s *messages.HostState, skew time.Duration, now Moment) {
	f := faults(s)
	f.SkewedAt = now.Wall.UnixNano()
	keepFaults(s, f)
	e := about(s, messages.ClockSkew, now)
	e.IncidentID = faultIncident(s, f.SkewedAt, messages.ClockSkew)
	e.Detail.SkewSeconds = int64(s.SkewSecs)
	direction := "ahead"
	if skew < 0 {
		direction = "behind"
	}
	e.Summary = fmt.Sprintf("%s: clock is %s %s", s.ID, inWords(skew.Abs()), direction)
	*n = append(*n, e)
}

func (n *news) unskewed(s *messages.HostState, now Moment) {
	e := about(s, messages.ClockMended, now)
	e.Detail.SkewSeconds = int64(s.SkewSecs)
	e.Summary = string(s.ID) + ": clock is right again"
	f := faults(s)
	if f.SkewedAt != 0 { // else it was raised by a hub that did not note it
		e.IncidentID = faultIncident(s, f.SkewedAt, messages.ClockSkew)
	}
	f.SkewedAt = 0
	keepFaults(s, f)
	*n = append(*n, e)
}

// about starts an event of a host with what the hub last knew of it.
func about(s *messages.HostState, typ messages.EventType, now Moment) messages.Event {
	e := messages.Event{
		Type: typ, At: now.Wall.UTC(), CustomerID: s.ID.Customer(), HostID: s.ID, IncidentID: s.Incident,
		Detail: messages.EventDetail{
			GuestTotal:   int(s.Figures.GuestTotal),
			GuestRunning: int(s.Figures.GuestRunning),
			Cloudflared:  s.Figures.Cloudflared,
		},
	}
	if s.ContactAt != 0 {
		last := time.Unix(0, s.ContactAt).UTC()
		e.Detail.LastContactAt = &last
	}
	return e
}
