package messages

import "encoding/json"

// LastEnd is how things ended before the agent was started, as it found out from
// what the run before had written down.
type LastEnd struct {
	// Agent is how the agent's last run ended while this boot of the machine
	// lasted; empty in the first run of a boot.
	Agent AgentEnd `json:"agent,omitempty"`
	// Machine is how the machine went down before it was booted this time.
	Machine MachineEnd `json:"machine,omitempty"`
}

// AgentEnd is how a run of an agent ended; "" is not known.
type AgentEnd string

// The ends of a run.
const (
	AgentStopped AgentEnd = "stopped" // it was asked to
	AgentKilled  AgentEnd = "killed"  // it had no time to write that down: a crash, or kill -9
)

// MachineEnd is how a machine went down; "" is not known.
type MachineEnd string

// The ends of a boot. All but the first two are of a machine that went down with
// its agent running, which a shutdown would have stopped.
const (
	MachineRebooted  MachineEnd = "reboot"
	MachineShutdown  MachineEnd = "shutdown"
	MachinePanicked  MachineEnd = "kernel_crash" // the kernel left a dump
	MachineLostPower MachineEnd = "power_loss"   // or was reset: the kernel would have left a dump, and did not
	MachineUnclean   MachineEnd = "unclean"      // one of these two: this machine keeps no dumps
)

var (
	agentEnds   = []AgentEnd{AgentStopped, AgentKilled}
	machineEnds = []MachineEnd{MachineRebooted, MachineShutdown, MachinePanicked, MachineLostPower, MachineUnclean}
)

// known is the one of words that text is, "" when it is none.
func known[T ~string](words []T, text []byte) T {
	for _, w := range words {
		if string(text) == string(w) {
			return w
		}
	}
	return ""
}

const (
	lastEndAgent = iota
	lastEndMachine
)

var lastEndShape = shapeOf([]string{lastEndAgent: "agent", lastEndMachine: "machine"})

// lastEnd reads how things ended. It came after the contract's first version: what
// the hub does not understand of it is not known, and refused nothing for.
func (p *scanner) lastEnd() (agent AgentEnd, machine MachineEnd) {
	if p.peek() != '{' {
		p.skip()
		return "", ""
	}
	o := p.object(lastEndShape)
	for p.next(&o) {
		switch {
		case p.peek() != '"':
			p.skip()
		case o.field == lastEndAgent:
			agent = known(agentEnds, p.text())
		default:
			machine = known(machineEnds, p.text())
		}
	}
	return agent, machine
}

// lastEnd is what Scan's is, decoded the obvious way.
func lastEnd(m members) *LastEnd {
	end := members{values: later[map[string]json.RawMessage](m, "last_end")}
	if end.values == nil {
		return nil
	}
	return &LastEnd{Agent: later[AgentEnd](end, "agent"), Machine: later[MachineEnd](end, "machine")}
}
