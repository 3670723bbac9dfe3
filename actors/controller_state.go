package actors

import (
	"fmt"
	"time"

	"felhom.eu/messages"
)

// The rules of one controller: the switch of hosts (due), and little else. A
// controller numbers nothing, so that every report of it is a contact.

// onController is what a report does to its controller's state.
func onController(s messages.ControllerState, r *messages.ControllerReport, now Moment) (_ messages.ControllerState, told news) {
	if s.Phase == messages.PhaseStale || s.Phase == messages.PhaseDown {
		told.controllerBack(&s, now)
	}
	at := now.Wall.UnixNano()
	if s.Phase == messages.PhaseNew {
		s.FirstSeenAt = at
	}
	if s.Phase != messages.PhaseOK {
		s.Phase, s.PhaseSince = messages.PhaseOK, at
	}
	s.ContactAt, s.ContactHeard, s.Incident = at, now.At, ""
	s.GuestID, s.Version, s.IntervalSecs = r.GuestID, r.Version, r.IntervalSeconds
	return s, told
}

// expireController is what silence does: every transition that is due by now.
func expireController(s messages.ControllerState, r Rules, now Moment, newIncident func() messages.IncidentID) (_ messages.ControllerState, told news) {
	for {
		at, armed := due(s.Phase, s.ContactHeard, 0, r, now.Resumed)
		if !armed || now.At < at {
			return s, told
		}
		typ := messages.ControllerDown
		s.Phase++
		if s.Phase == messages.PhaseStale {
			typ, s.Incident = messages.ControllerStale, newIncident()
		}
		s.PhaseSince = now.Wall.UnixNano()
		told.controllerSilent(&s, typ, now)
	}
}

func (n *news) controllerSilent(s *messages.ControllerState, typ messages.EventType, now Moment) {
	silence := (now.At - s.ContactHeard).Duration()
	e := aboutController(s, typ, now)
	e.Detail.SilenceSeconds = int64(silence.Seconds())
	words := "has been silent for "
	if typ == messages.ControllerDown {
		words = "is down, silent for "
	}
	e.Summary = fmt.Sprintf("controller %s %s%s", s.ControllerName, words, inWords(silence))
	*n = append(*n, e)
}

func (n *news) controllerBack(s *messages.ControllerState, now Moment) {
	silence := (now.At - s.ContactHeard).Duration()
	out := max(now.Wall.Sub(time.Unix(0, s.ContactAt)), silence) // as for a host
	e := aboutController(s, messages.ControllerRecovered, now)
	e.Detail.SilenceSeconds, e.Detail.DurationSeconds = int64(silence.Seconds()), int64(out.Seconds())
	e.Summary = fmt.Sprintf("controller %s is back after %s", s.ControllerName, inWords(out))
	*n = append(*n, e)
}

// aboutController starts an event; it is also one of the host whose guest the
// controller runs in.
func aboutController(s *messages.ControllerState, typ messages.EventType, now Moment) messages.Event {
	e := messages.Event{Type: typ, At: now.Wall.UTC(), CustomerID: s.CustomerID, IncidentID: s.Incident}
	e.HostID, e.Detail.VMID = s.GuestID.Split()
	e.Detail.Subject = string(s.ID)
	last := s.ContactTime()
	e.Detail.LastContactAt = &last
	return e
}
