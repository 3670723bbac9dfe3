package lastrun

import (
	"strings"
	"time"

	"felhom.eu/agent/departure"
	"felhom.eu/messages"
)

// marker is what a run leaves behind. It is the file's content, as JSON.
type marker struct {
	BootID    string    `json:"boot_id"`
	PID       int       `json:"pid"` // for people
	StartedAt time.Time `json:"started_at"`
	// Stopped is whether the run was asked to end; Reason is why, as its goodbye
	// says it, when its machine ended too.
	Stopped bool   `json:"stopped"`
	Reason  string `json:"reason,omitempty"`
	// Machine is how the machine went down before this boot, for the later runs in it.
	Machine messages.MachineEnd `json:"machine,omitempty"`
}

// ends is how the run that left m ended, seen from a run that starts in boot.
// died tells what a machine died of that went down with its agent running.
func (m *marker) ends(boot string, died func(since time.Time) messages.MachineEnd) messages.LastEnd {
	switch {
	case m.BootID == "" || boot == "":
		return messages.LastEnd{}
	case m.BootID == boot && m.Stopped:
		return messages.LastEnd{Agent: messages.AgentStopped, Machine: m.Machine}
	case m.BootID == boot:
		return messages.LastEnd{Agent: messages.AgentKilled, Machine: m.Machine}
	case !m.Stopped:
		return messages.LastEnd{Machine: died(m.StartedAt)}
	case strings.HasPrefix(m.Reason, departure.Reboot):
		return messages.LastEnd{Machine: messages.MachineRebooted}
	case strings.HasPrefix(m.Reason, departure.Shutdown):
		return messages.LastEnd{Machine: messages.MachineShutdown}
	}
	return messages.LastEnd{} // the agent was stopped first: nobody was there
}
