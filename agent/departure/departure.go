// Package departure tells why an agent is being stopped: for itself, or because
// its machine reboots or is switched off. That is what its goodbye says, and what
// lets the hub tell a planned reboot from a crash.
package departure

import (
	"bytes"
	"context"
	"os/exec"
	"strings"
	"time"
)

// The reasons, as goodbyes begin with them; the hub knows these words.
const (
	Reboot   = "reboot"
	Shutdown = "shutdown"
)

const (
	listTimeout = 2 * time.Second // systemd stops an agent that takes long
	// rebootTime is when a machine that reboots is to be back: firmware of servers
	// takes minutes to look at its memory.
	rebootTime = 15 * time.Minute
)

// Systemd asks systemd which jobs are under way. Its zero value is ready for use.
type Systemd struct {
	// Run runs a command and returns its standard output; nil runs it. It must
	// end with ctx.
	Run func(ctx context.Context, name string, args ...string) ([]byte, error)
}

// Why returns within 3 s the reason and how soon the machine is to be back (0: that
// is not known). The reason is "" when the machine stays up, or systemd does not say.
func (s Systemd) Why(ctx context.Context) (reason string, backIn time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	run := s.Run
	if run == nil {
		run = runCommand
	}
	jobs, err := run(ctx, "systemctl", "list-jobs", "--no-legend", "--plain", "--no-pager")
	if err != nil {
		return "", 0
	}
	return read(jobs)
}

func runCommand(ctx context.Context, name string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.WaitDelay = time.Second // a child that keeps the pipe must not keep us
	return cmd.Output()
}

// read looks for the targets that end a system's life (systemd.special(7)); each
// line is a job: its number, unit, type and state.
func read(jobs []byte) (reason string, backIn time.Duration) {
	for line := range bytes.Lines(jobs) {
		job := strings.Fields(string(line))
		if len(job) < 3 || job[2] != "start" {
			continue
		}
		switch job[1] {
		case "reboot.target", "kexec.target", "soft-reboot.target":
			return Reboot, rebootTime
		case "poweroff.target", "halt.target":
			return Shutdown, 0
		}
	}
	return "", 0
}
