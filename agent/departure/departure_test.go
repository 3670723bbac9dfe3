package departure

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"
)

// TestWhy protects the difference between an update of the agent, a reboot and a
// machine that is switched off. The answers have the form of systemd 252 and 257.
func TestWhy(t *testing.T) {
	tests := []struct {
		name, jobs string
		err        error
		want       string
		back       time.Duration
	}{
		{"a reboot", "1203 felhom-agent.service stop  running\n1180 reboot.target start waiting\n1181 systemd-reboot.service start waiting\n", nil, Reboot, 15 * time.Minute},
		{"a reboot into another kernel", " 80 kexec.target start waiting\n", nil, Reboot, 15 * time.Minute},
		{"of user space alone", " 80 soft-reboot.target start waiting\n", nil, Reboot, 15 * time.Minute},
		{"switched off", "1180 poweroff.target  start waiting\n", nil, Shutdown, 0},
		{"halted", "1180 halt.target start waiting\n", nil, Shutdown, 0},
		{"the agent alone", "310 felhom-agent.service restart waiting\n", nil, "", 0},
		{"a reboot that was called off", "1180 reboot.target stop waiting\n", nil, "", 0},
		{"a unit of a like name", "1180 my-reboot.target start waiting\n", nil, "", 0},
		{"no jobs", "No jobs running.\n", nil, "", 0},
		{"no systemd", "", errors.New("exec: \"systemctl\": executable file not found in $PATH"), "", 0},
	}
	for _, tt := range tests {
		s := Systemd{Run: func(_ context.Context, name string, args ...string) ([]byte, error) {
			if name != "systemctl" || !slices.Contains(args, "list-jobs") {
				t.Errorf("ran %s %v", name, args)
			}
			return []byte(tt.jobs), tt.err
		}}
		if got, back := s.Why(t.Context()); got != tt.want || back != tt.back {
			t.Errorf("%s: got %q, back in %v", tt.name, got, back)
		}
	}
}
