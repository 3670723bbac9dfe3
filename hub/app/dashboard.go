package app

import (
	"context"

	"felhom.eu/hub/dashboard"
	"felhom.eu/messages"
	"felhom.eu/storage"
)

var _ dashboard.Hub = (*fleet)(nil)

// EachHost implements dashboard.Hub.
func (f *fleet) EachHost(fn func(messages.Host, messages.HostState) error) error {
	return f.db.EachHost("", "", fn)
}

// Watch implements dashboard.Hub.
func (f *fleet) Watch(tell func(*messages.Batch)) (stop func()) { return f.hub.Watch(tell) }

// Listened implements dashboard.Hub.
func (f *fleet) Listened() messages.Listened { return f.hub.Now().At }

// LatestEvents implements dashboard.Hub.
func (f *fleet) LatestEvents(_ context.Context, q dashboard.EventQuery) ([]messages.Event, messages.EventID, error) {
	return f.db.LatestEvents(storage.EventFilter(q.EventFilter), q.Match, q.Before, q.Limit, q.Look)
}

// EachAlarm implements dashboard.Hub.
func (f *fleet) EachAlarm(_ context.Context, fn func(messages.Alarm) error) error {
	return f.db.EachAlarm(fn)
}
