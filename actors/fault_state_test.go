package actors

import (
	"testing"
	"time"

	"felhom.eu/messages"
)

// TestVersionsAreReadAsSemver protects a fleet from being called outdated for a patch
// or for a word, and events from a stranger's text.
func TestVersionsAreReadAsSemver(t *testing.T) {
	for _, tt := range []struct {
		agent, hub string
		outdated   bool
	}{
		{"0.3.9", "0.4.0", true},
		{"0.4.0", "0.4.7", false},
		{"0.4.0", "0.4.0-rc1", false},
		{"0.9.0", "0.10.0", true},
		{"0.10.0", "0.9.0", false},
		{"1.9.0", "2.0.0", true},
		{"v0.3.0", "v0.4.0", true},
		{"0.3.0-12-gabcdef0+dirty", "0.4.0", true},
		{"dev", "0.4.0", false},
		{"0.3.0", "dev", false},
		{"0.3", "0.4.0", false},
		{"", "0.4.0", false},
		{"0.3.0 <script>", "0.4.0", false},
		{"-1.3.0", "0.4.0", false},
	} {
		hub, _ := releaseOf(tt.hub)
		if got := outdated(tt.agent, hub); got != tt.outdated {
			t.Errorf("agent %q of hub %q: got %t", tt.agent, tt.hub, got)
		}
	}
}

// TestOutdatedAgentIsToldOnceAVersion protects an operator from hearing with every
// report what is to be done some day, and pairs its end with it.
func TestOutdatedAgentIsToldOnceAVersion(t *testing.T) {
	s := newHost
	var incident messages.IncidentID
	for i, step := range []struct{ agent, hub, want string }{
		{"0.3.0", "0.4.0", "agent_outdated"},
		{"0.3.0", "0.4.0", ""},
		{"0.3.0", "0.5.0", ""}, // the hub was updated again: nothing new about the agent
		{"0.4.0", "0.5.0", "agent_outdated"},
		{"0.4.0", "0.5.0", ""},
		{"0.4.0", "dev", ""},
		{"", "0.5.0", ""},
		{"0.5.1", "0.5.0", "agent_updated"},
		{"0.5.1", "0.5.0", ""},
		{"0.5.1", "0.6.0", "agent_outdated"},
		{"dev", "0.6.0", "agent_updated"},
	} {
		var told news
		before, hub := s.AgentVersion, release{}
		if step.hub != "dev" {
			hub, _ = releaseOf(step.hub)
		}
		s.AgentVersion = step.agent
		written := s.Faults
		var copied messages.Faults
		if written != nil {
			copied = *written
		}
		noteVersion(&s, before, hub, momentAt(time.Duration(i)*time.Hour), &told)
		if types(told) != step.want {
			t.Fatalf("step %d: got %q, want %q", i, types(told), step.want)
		}
		if written != nil && *written != copied {
			t.Errorf("step %d: what was written was changed", i)
		}
		for _, e := range told {
			switch {
			case e.Type == messages.AgentOutdated && e.IncidentID == "", e.Type == messages.AgentUpdated && e.IncidentID != incident:
				t.Errorf("step %d: %s has incident %q, raised with %q", i, e.Type, e.IncidentID, incident)
			}
			incident = e.IncidentID
		}
	}
	if s.Faults != nil {
		t.Errorf("a host without faults keeps %+v", s.Faults)
	}
}
