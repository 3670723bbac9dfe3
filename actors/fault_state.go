package actors

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"felhom.eu/messages"
)

// faults are the host's open ones, to be changed: a state that was written is not.
func faults(s *messages.HostState) messages.Faults {
	if s.Faults == nil {
		return messages.Faults{}
	}
	return *s.Faults
}

// keepFaults puts changed faults into the state. Nearly every host has none, and keeps
// nothing for it.
func keepFaults(s *messages.HostState, f messages.Faults) {
	s.Faults = nil
	if f != (messages.Faults{}) {
		s.Faults = &f
	}
}

// faultIncident is the one of an alarm that was raised at an instant, and of its recovery.
func faultIncident(s *messages.HostState, raisedAt int64, alarm messages.EventType) messages.IncidentID {
	return incidentOf(time.Unix(0, raisedAt), string(alarm)+" "+string(s.ID))
}

// release is what of a program's version counts between programs: from one minor
// version to the next, agents learn to tell more. The zero value is none.
type release struct{ major, minor uint64 }

// releaseOf reads a version, as 0.4.2 or v1.12.0-rc1 (semver.org); false for what is
// none, as dev.
func releaseOf(version string) (r release, ok bool) {
	parts := strings.SplitN(strings.TrimPrefix(version, "v"), ".", 3)
	if len(parts) < 3 {
		return release{}, false
	}
	major, err1 := strconv.ParseUint(parts[0], 10, 32)
	minor, err2 := strconv.ParseUint(parts[1], 10, 32)
	return release{major, minor}, err1 == nil && err2 == nil && !strings.ContainsFunc(parts[2], foreignInVersion)
}

// foreignInVersion reports whether r has no place behind a version's second dot.
func foreignInVersion(r rune) bool {
	return !strings.ContainsRune("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-+", r)
}

func (r release) before(other release) bool {
	return r.major < other.major || r.major == other.major && r.minor < other.minor
}

// noteVersion tells, once for each version, that the host's agent is older than the
// hub, and when it is not any more. before is the version of the report before.
func noteVersion(s *messages.HostState, before string, hub release, now Moment, told *news) {
	if hub == (release{}) || s.AgentVersion == "" {
		return
	}
	f := faults(s)
	open, old := f.OutdatedAt != 0, outdated(s.AgentVersion, hub)
	switch {
	case old && !open:
		f.OutdatedAt = now.Wall.UnixNano()
		told.outdated(s, f.OutdatedAt, hub, now)
	case old && s.AgentVersion != before:
		told.outdated(s, f.OutdatedAt, hub, now)
	case !old && open:
		told.updated(s, f.OutdatedAt, now)
		f.OutdatedAt = 0
	default:
		return
	}
	keepFaults(s, f)
}

func outdated(version string, hub release) bool {
	r, ok := releaseOf(version)
	return ok && r.before(hub)
}

func (n *news) outdated(s *messages.HostState, raisedAt int64, hub release, now Moment) {
	e := about(s, messages.AgentOutdated, now)
	e.IncidentID = faultIncident(s, raisedAt, messages.AgentOutdated)
	e.Summary = fmt.Sprintf("%s: agent %s is older than the hub, %d.%d", s.ID, s.AgentVersion, hub.major, hub.minor)
	*n = append(*n, e)
}

func (n *news) updated(s *messages.HostState, raisedAt int64, now Moment) {
	e := about(s, messages.AgentUpdated, now)
	e.IncidentID = faultIncident(s, raisedAt, messages.AgentOutdated)
	e.Summary = string(s.ID) + ": agent is up to date"
	*n = append(*n, e)
}
