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
		end            messages.LastEnd
		uptime         time.Duration
		want           messages.Cause
		wantInASummary string
	}{
		{"the same agent", "", 1, 1, messages.LastEnd{}, 5 * time.Hour, messages.CauseNetwork, "acme-7f3a90c1 is back after 2 h: network, the host was up all the time"},
		{"another agent", "", 1, 2, messages.LastEnd{}, 5 * time.Hour, messages.CauseAgent, ""},
		{"an agent that was stopped", "agent stops", 1, 2, messages.LastEnd{}, 5 * time.Hour, messages.CauseAgent, ""},
		{"a reboot", "reboot", 2, 2, messages.LastEnd{}, time.Minute, messages.CauseReboot, ""},
		{"a reboot for a reason of its own", "kernel update", 2, 2, messages.LastEnd{}, time.Minute, messages.CauseReboot, ""},
		{"a shutdown", "shutdown", 2, 2, messages.LastEnd{}, time.Minute, messages.CauseShutdown, ""},
		{"no goodbye", "", 2, 2, messages.LastEnd{}, time.Minute, messages.CauseCrash, "acme-7f3a90c1 is back after 2 h: power loss or crash"},
		{"no boot id", "", 0, 2, messages.LastEnd{}, 0, "", "acme-7f3a90c1 is back after 2 h"},
		{"kill -9", "", 1, 2, messages.LastEnd{Agent: messages.AgentKilled}, 5 * time.Hour, messages.CauseAgent, "acme-7f3a90c1 is back after 2 h: agent was killed or crashed, the host up all the time"},
		{"power lost", "", 2, 2, messages.LastEnd{Machine: messages.MachineLostPower}, time.Minute, messages.CausePowerLoss, "acme-7f3a90c1 is back after 2 h: power loss or reset"},
		{"a kernel that died", "", 2, 2, messages.LastEnd{Machine: messages.MachinePanicked}, time.Minute, messages.CauseKernelCrash, "acme-7f3a90c1 is back after 2 h: kernel crash"},
		{"one of these two", "", 2, 2, messages.LastEnd{Machine: messages.MachineUnclean}, time.Minute, messages.CauseCrash, ""},
		{"a reboot whose goodbye was lost", "", 2, 2, messages.LastEnd{Machine: messages.MachineRebooted}, time.Minute, messages.CauseReboot, ""},
		{"a shutdown whose goodbye was lost", "", 2, 2, messages.LastEnd{Machine: messages.MachineShutdown}, time.Minute, messages.CauseShutdown, ""},
		{"power lost, and the agent killed later", "", 2, 2, messages.LastEnd{Agent: messages.AgentKilled, Machine: messages.MachineLostPower}, time.Minute, messages.CausePowerLoss, ""},
		{"power lost long ago", "", 1, 1, messages.LastEnd{Machine: messages.MachineLostPower}, 5 * time.Hour, messages.CauseNetwork, ""},
		{"a machine that was up meanwhile", "", 2, 2, messages.LastEnd{}, 5 * time.Hour, "", ""},
	}
	for _, tt := range tests {
		s, _, _ := heard(newHost, &messages.Summary{StreamHash: 1, Sequence: 7, BootHash: 1}, momentAt(0))
		if tt.goodbye != "" {
			s, _, _ = onGoodbye(s, messages.Goodbye{SentAt: worldBegan, Reason: tt.goodbye}, 1, momentAt(0))
		}
		s, _ = expire(s, defaultRules, momentAt(2*time.Hour), incident("one"))
		_, _, events := heard(s, &messages.Summary{StreamHash: tt.stream, Sequence: 8, BootHash: tt.boot, AgentEnd: tt.end.Agent, MachineEnd: tt.end.Machine, UptimeSecs: uint32(tt.uptime.Seconds())}, momentAt(2*time.Hour))
		e := events[len(events)-1]
		if e.Type != messages.HostRecovered || e.Detail.Cause != tt.want || tt.wantInASummary != "" && e.Summary != tt.wantInASummary {
			t.Errorf("%s: got %s, cause %q: %s", tt.name, e.Type, e.Detail.Cause, e.Summary)
		}
	}
}

// TestRebootSaysWhy protects a crash that is over before the host counts as silent
// from going unseen.
func TestRebootSaysWhy(t *testing.T) {
	for end, want := range map[messages.MachineEnd]string{
		"":                        "acme-7f3a90c1 has rebooted",
		messages.MachineRebooted:  "acme-7f3a90c1 has rebooted",
		messages.MachineLostPower: "acme-7f3a90c1 has rebooted: power loss or reset",
		messages.MachinePanicked:  "acme-7f3a90c1 has rebooted: kernel crash",
	} {
		s, _, _ := heard(newHost, &messages.Summary{StreamHash: 1, Sequence: 7, BootHash: 1}, momentAt(0))
		_, _, events := heard(s, &messages.Summary{StreamHash: 2, Sequence: 1, BootHash: 2, UptimeSecs: 60, MachineEnd: end}, momentAt(5*time.Minute))
		if len(events) != 1 || events[0].Type != messages.HostRebooted || events[0].Summary != want || events[0].Detail.Cause != causeOfMachine[end] {
			t.Errorf("%q: got %+v", end, events)
		}
	}
}
