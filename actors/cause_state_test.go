package actors

import (
	"testing"
	"time"

	"felhom.eu/messages"
)

// TestRecoverySaysWhy protects an operator from looking for a power cut where a
// cable was loose.
func TestRecoverySaysWhy(t *testing.T) {
	tests := []struct {
		name           string
		goodbye        string
		boot, stream   uint64 // before it was boot 1, stream 1
		uptime         time.Duration
		want           messages.Cause
		wantInASummary string
	}{
		{"the same agent", "", 1, 1, 5 * time.Hour, messages.CauseNetwork, "acme-7f3a90c1 is back after 2 h: network, the host was up all the time"},
		{"another agent", "", 1, 2, 5 * time.Hour, messages.CauseAgent, ""},
		{"an agent that was stopped", "agent stops", 1, 2, 5 * time.Hour, messages.CauseAgent, ""},
		{"a reboot", "reboot", 2, 2, time.Minute, messages.CauseReboot, ""},
		{"a reboot for a reason of its own", "kernel update", 2, 2, time.Minute, messages.CauseReboot, ""},
		{"a shutdown", "shutdown", 2, 2, time.Minute, messages.CauseShutdown, ""},
		{"no goodbye", "", 2, 2, time.Minute, messages.CauseCrash, "acme-7f3a90c1 is back after 2 h: power loss or crash"},
		{"no boot id", "", 0, 2, 0, "", "acme-7f3a90c1 is back after 2 h"},
		{"a machine that was up meanwhile", "", 2, 2, 5 * time.Hour, "", ""},
	}
	for _, tt := range tests {
		s, _, _ := heard(newHost, &messages.Summary{StreamHash: 1, Sequence: 7, BootHash: 1}, momentAt(0))
		if tt.goodbye != "" {
			s, _, _ = onGoodbye(s, messages.Goodbye{SentAt: worldBegan, Reason: tt.goodbye}, 1, momentAt(0))
		}
		s, _ = expire(s, defaultRules, momentAt(2*time.Hour), incident("one"))
		_, _, events := heard(s, &messages.Summary{StreamHash: tt.stream, Sequence: 8, BootHash: tt.boot, UptimeSecs: uint32(tt.uptime.Seconds())}, momentAt(2*time.Hour))
		e := events[len(events)-1]
		if e.Type != messages.HostRecovered || e.Detail.Cause != tt.want || tt.wantInASummary != "" && e.Summary != tt.wantInASummary {
			t.Errorf("%s: got %s, cause %q: %s", tt.name, e.Type, e.Detail.Cause, e.Summary)
		}
	}
}
