package app

import (
	"time"

	"felhom.eu/messages"
)

// covering is the silences that are on at an instant, found by what they are of.
type covering struct {
	of    map[messages.Scope]messages.SilenceID
	until time.Time // when the next of them begins or ends; zero: never
}

func newCovering(silences []messages.Silence, now time.Time) covering {
	c := covering{of: map[messages.Scope]messages.SilenceID{}}
	for i := range silences {
		s := &silences[i]
		if s.On(now) {
			c.of[s.Scope] = s.ID
		}
		if next := s.Change(now); !next.IsZero() && (c.until.IsZero() || next.Before(c.until)) {
			c.until = next
		}
	}
	return c
}

// by is a silence that covers an alarm, the widest first; "" when none does. An incident
// is covered by one of what it is of.
func (c covering) by(a *messages.Alarm) messages.SilenceID {
	if len(c.of) == 0 {
		return ""
	}
	customer, site := string(a.CustomerID), a.Site
	switch a.Scope.Kind {
	case messages.ScopeCustomer:
		customer = a.Scope.ID
	case messages.ScopeSite:
		site = a.Scope.ID
	}
	for _, s := range [...]messages.Scope{
		{Kind: messages.ScopeFleet},
		{Kind: messages.ScopeCustomer, ID: customer},
		{Kind: messages.ScopeSite, ID: site},
		{Kind: messages.ScopeHost, ID: string(a.HostID)},
	} {
		if id := c.of[s]; id != "" {
			return id
		}
	}
	return ""
}
