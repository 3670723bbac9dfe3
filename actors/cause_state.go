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
	case s.HeldReason == "":
		return messages.CauseCrash
	case strings.HasPrefix(s.HeldReason, reasonShutdown):
		return messages.CauseShutdown
	}
	return messages.CauseReboot
}

// because adds the cause to a recovery that was told.
func (n news) because(c messages.Cause) {
	for i := range n {
		if e := &n[i]; e.Type == messages.HostRecovered && c != "" {
			e.Detail.Cause = c
			e.Summary += ": " + causeWords[c]
		}
	}
}
