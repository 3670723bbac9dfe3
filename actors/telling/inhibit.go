package telling

import (
	"slices"

	"felhom.eu/messages"
)

// hold is why an alarm waits.
type hold uint8

const (
	free       hold = iota
	bySilence       // somebody works on it
	byHost          // its host is down, which says it all
	byFlapping      // it comes and goes, which was said
)

// holds says what keeps an alarm from being told now.
func (b *Book) holds(a *entry, now Now) hold {
	switch {
	case b.covered(a):
		return bySilence
	case b.inhibited(a):
		return byHost
	case b.flaps.hold(a):
		return byFlapping
	}
	return free
}

// inhibited reports whether the host that an alarm is about in part is down as a whole.
func (b *Book) inhibited(a *entry) bool {
	if a.HostID == "" || !slices.Contains(messages.RuleEvents, a.Type) && a.Type.Recovery() != messages.ControllerRecovered {
		return false
	}
	host := b.silent[a.HostID]
	return host != nil && host.Type == messages.HostDown
}
