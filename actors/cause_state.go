package actors

import (
	"strings"

	"felhom.eu/messages"
)

// reasonShutdown is what an agent's goodbye begins with when its machine is to stay off.
const reasonShutdown = "shutdown"

var causeWords = map[messages.Cause]string{
	messages.CauseNetwork:  "network, the host was up all the time",
	messages.CauseAgent:    "agent was off, the host up all the time",
	messages.CauseReboot:   "reboot",
	messages.CauseShutdown: "shutdown",
	messages.CauseCrash:    "power loss or crash",

	messages.CauseKernelCrash: "kernel crash",
	messages.CausePowerLoss:   "power loss or reset",
}

// causeOfMachine is what an agent's word on the end before means.
var causeOfMachine = map[messages.MachineEnd]messages.Cause{
	messages.MachineRebooted:  messages.CauseReboot,
	messages.MachineShutdown:  messages.CauseShutdown,
	messages.MachinePanicked:  messages.CauseKernelCrash,
	messages.MachineLostPower: messages.CausePowerLoss,
	messages.MachineUnclean:   messages.CauseCrash,
}

// causeOf is why a host was silent, as far as its first report after that tells:
// "" is not known. What was said at the end, if anything, is still in the state.
func causeOf(s *messages.HostState, r *messages.Summary, now Moment) messages.Cause {
	switch {
	case s.BootHash == 0 || r.BootHash == 0:
		return ""
	case !otherBoot(s, r) && r.StreamHash != s.Stream:
		return messages.CauseAgent
	case !otherBoot(s, r):
		return messages.CauseNetwork
	case wasUpMeanwhile(s, r, now): // another machine
		return ""
	case r.MachineEnd != "":
		return causeOfMachine[r.MachineEnd]
	case s.HeldReason == "":
		return messages.CauseCrash
	case strings.HasPrefix(s.HeldReason, reasonShutdown):
		return messages.CauseShutdown
	}
	return messages.CauseReboot
}

// wordsOf is the cause for people. An agent that was off may say more of it.
func wordsOf(c messages.Cause, r *messages.Summary) string {
	if c == messages.CauseAgent && r.AgentEnd == messages.AgentKilled {
		return "agent was killed or crashed, the host up all the time"
	}
	return causeWords[c]
}

// because adds the cause to a recovery that was told.
func (n news) because(c messages.Cause, r *messages.Summary) {
	for i := range n {
		if e := &n[i]; e.Type == messages.HostRecovered && c != "" {
			explain(e, c, r)
		}
	}
}

func explain(e *messages.Event, c messages.Cause, r *messages.Summary) {
	e.Detail.Cause = c
	e.Summary += ": " + wordsOf(c, r)
}
