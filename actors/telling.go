package actors

import (
	"felhom.eu/actors/telling"
	"felhom.eu/messages"
)

// openBook is the book of alarms as the last run left it.
func (h *Hub) openBook(cfg Config) *telling.Book {
	past := &cfg.Past
	var unsealed []messages.Delivery
	for _, d := range past.Pending {
		if !d.Sealed {
			unsealed = append(unsealed, d)
		}
	}
	now := cfg.Read()
	return telling.New(cfg.GroupWait, census{h}, past.Routes, past.Silences, past.Alarms, unsealed, telling.Now{Wall: now.Wall, Mono: now.Mono})
}

// census counts hosts for the book.
type census struct{ hub *Hub }

// Hosts implements telling.Census. While a hub raises its hosts, those that are not up
// yet are not counted.
func (c census) Hosts(s messages.Scope) int {
	switch s.Kind {
	case messages.ScopeCustomer:
		if known, ok := c.hub.customers.Load(messages.CustomerID(s.ID)); ok {
			return int(known.(*customerEntry).reporting.Load())
		}
		return 0
	case messages.ScopeSite:
		return c.hub.sites.count(s.ID)
	}
	n := c.hub.stats.Hosts()
	return n[messages.PhaseOK] + n[messages.PhaseStale] + n[messages.PhaseDown]
}

// Site implements telling.Census.
func (c census) Site(id messages.HostID) string { return c.hub.sites.of(id) }
