package telling

import (
	"slices"
	"time"

	"felhom.eu/messages"
)

// Forget drops the alarms of hosts, customers, routes, controllers and deadlines that a
// batch removes: nobody is to hear more of them. They count no more for the incidents
// that they are in.
func (b *Book) Forget(batch *messages.Batch, now Now) {
	hosts := make(map[messages.HostID]bool, len(batch.DelHosts))
	for _, id := range batch.DelHosts {
		hosts[id] = true
	}
	for _, a := range b.alarms {
		gone := hosts[a.HostID] || a.CustomerID != "" && slices.Contains(batch.DelCustomers, a.CustomerID) ||
			a.RouteID != "" && slices.Contains(batch.DelRoutes, a.RouteID) ||
			a.Type.Recovery() == messages.ControllerRecovered && slices.ContainsFunc(batch.DelControllers, a.isOf) ||
			slices.ContainsFunc(batch.DelDeadlines, func(d messages.Deadline) bool { return d.Incident == a.ID })
		if gone && a.mass == nil {
			b.drop(a, now)
		}
	}
}

// isOf reports whether an alarm of a controller is that one's.
func (a *entry) isOf(c messages.ControllerName) bool {
	return a.CustomerID == c.CustomerID && a.Subject == string(c.ID)
}

func (b *Book) drop(a *entry, now Now) {
	b.touch(a)
	if ofSilence(a) && a.Open() {
		for _, m := range b.of(a) {
			m.alarm.Members--
			b.touch(m.alarm)
		}
		b.returned(a, now)
	}
	delete(b.flaps.flapping, flapOf(a))
	a.ClosedAt = now.Wall.UTC()
	a.Pending, a.PendingSince = nil, time.Time{}
	b.settle(a)
}
