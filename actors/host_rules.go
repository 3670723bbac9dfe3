package actors

import (
	"errors"
	"strings"
	"time"

	"felhom.eu/actors/rules"
	"felhom.eu/messages"
)

// What the rules on reports remember of a host is in the store, not in its actor:
// nearly every report says what the one before it said. A hash of what rules look at
// tells, and an instant from which on they have something to say without news; only
// then the host's standing is read, judged and written together with the report.

// What a host is told of its standing.
type (
	// rejudge: its settings have changed.
	rejudge struct{}
	// studied is a write whose report is to be judged, with the host's standing.
	studied struct {
		write    *hostWrite
		now      Moment
		facts    uint64 // what HostState.FactsHash becomes
		body     []byte
		standing messages.Standing
		err      error
	}
)

// answer implements answerer: it refuses what was to be written, and all that waits
// for it.
func (s *studied) answer(err error) {
	if s.write.asked != nil {
		s.write.asked.answer(err)
	}
	for _, m := range s.write.waiting {
		refuse(m)
	}
}

// factsHash is what HostState keeps of a report's: the settings are a part of it.
func factsHash(sum *messages.Summary, t *rules.Thresholds) uint64 {
	return max(sum.FactsHash^t.Hash, 1)
}

// remarkable reports whether a report says something new to the rules, or time has.
func remarkable(s *messages.HostState, sum *messages.Summary, t *rules.Thresholds, now Moment) bool {
	if sum.FactsHash == 0 {
		return false
	}
	return factsHash(sum, t) != s.FactsHash || s.FactsDue != 0 && now.Wall.Unix() >= int64(s.FactsDue)
}

// study reads the host's standing for a write on its way. A host that was never
// judged has none.
func (h *Host) study(w *hostWrite, s *studied) {
	s.write = w
	s.standing.HostID = h.state.ID
	if h.state.FactsHash == 0 {
		h.judge(s)
		return
	}
	h.writing = w
	go func() {
		s.standing, s.err = h.hub.standing(h.state.ID)
		if s.err == nil && s.body == nil {
			s.body, s.err = h.hub.store.Body(h.state.Last)
		}
		h.hub.engine.Send(&h.entry.pid, s)
	}()
}

// standing reads a host's. One that is damaged is told of: the rules begin anew with
// what its alarms and the next report say.
func (h *Hub) standing(id messages.HostID) (messages.Standing, error) {
	s, err := h.store.Standing(id)
	if errors.Is(err, ErrDamaged) {
		h.stats.Damaged.Add(1)
		h.log.Error().Err(err).Str("host", string(id)).Msg("what the rules remember of the host is damaged; they begin anew")
		err = nil
	}
	s.HostID = id
	return s, err
}

// studied goes on with a write whose standing has come.
func (h *Host) studied(s *studied) {
	if h.writing != s.write {
		return
	}
	h.writing = nil
	switch {
	case h.lost:
		s.answer(ErrUnavailable)
		h.load()
	case s.err != nil && s.write.asked == nil: // the next report is looked at instead
		h.hub.log.Error().Err(s.err).Str("host", string(h.state.ID)).Msg("host not judged")
		h.resume(s.write.waiting)
	case s.err != nil:
		h.hub.log.Error().Err(s.err).Str("host", string(h.state.ID)).Msg("report not judged")
		h.commit(s.write)
	default:
		h.judge(s)
	}
}

// resume turns to what came while a write was prepared that came to nothing.
func (h *Host) resume(waiting []any) {
	h.arm()
	for _, m := range waiting {
		h.take(m)
	}
}

// judge adds to a write what the rules make of its report.
func (h *Host) judge(s *studied) {
	w := s.write
	told := news(w.events)
	if err := told.judged(&w.next, &s.standing, s.body, s.facts, h.hub.book.of(h.state.ID), s.now, newIncident); err != nil {
		h.hub.log.Error().Err(err).Str("host", string(h.state.ID)).Msg("report not decoded")
	} else {
		w.events, w.standing = told, &s.standing
	}
	h.commit(w)
}

// judged is what the rules make of a report, in the host's state, its standing and what
// is told. An error is a bug, as Scan took the same body, and changes nothing.
func (n *news) judged(s *messages.HostState, standing *messages.Standing, body []byte, facts uint64, t *rules.Thresholds, now Moment, incident func() messages.IncidentID) error {
	report, err := messages.DecodeFacts(body)
	if err != nil {
		return err
	}
	findings, due := rules.Judge(standing, rules.Report{
		Report: &report, Thresholds: t, Incident: incident, Now: now.Wall, Skew: time.Duration(s.SkewSecs) * time.Second,
	})
	for i := range findings {
		n.found(s, &findings[i], now)
	}
	s.FactsHash, s.FactsDue = facts, 0
	if !due.IsZero() {
		s.FactsDue = uint32(due.Unix())
	}
	return nil
}

// rejudge looks at the newest report again, as its settings have changed. A host
// that is silent is looked at when it returns.
func (h *Host) rejudge() {
	if h.state.Phase != messages.PhaseOK || h.state.FactsHash == 0 || h.state.Last.IsZero() {
		return
	}
	now := h.hub.clock.Now()
	// The hash of the newest report is not kept apart from its settings': 1 is no
	// report's, so that the next one is looked at in any case.
	h.study(&hostWrite{next: h.state, quiet: true}, &studied{now: now, facts: 1})
}

func (n *news) found(s *messages.HostState, f *rules.Finding, now Moment) {
	e := about(s, f.Type, now)
	e.IncidentID = f.Incident
	e.Detail.Severity, e.Detail.VMID, e.Detail.Subject = f.Severity, f.VMID, f.Subject
	e.Detail.DurationSeconds, e.Detail.Reason = int64(f.Duration.Seconds()), f.Reason
	words := f.Words
	if f.Duration > 0 {
		words += " after " + inWords(f.Duration)
	}
	e.Summary = strings.TrimSpace(string(s.ID) + ": " + words)
	*n = append(*n, e)
}
