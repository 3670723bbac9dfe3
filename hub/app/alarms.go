package app

import (
	"context"
	"time"

	"felhom.eu/actors"
	"felhom.eu/hub/api"
	"felhom.eu/messages"
	"felhom.eu/storage"
)

// namesOfIncident is how many of an incident's hosts a list names.
const namesOfIncident = 10

// Alarms implements api.Fleet.
func (f *fleet) Alarms(_ context.Context, filter api.AlarmFilter, before messages.IncidentID, limit int) ([]messages.AlarmView, messages.IncidentID, error) {
	covers, err := f.covering()
	if err != nil {
		return nil, "", err
	}
	rows, next, err := f.db.Alarms(storage.AlarmFilter{CustomerID: filter.CustomerID, HostID: filter.HostID, Match: func(a *messages.Alarm) bool {
		return a.Type.Recovery() != "" && !folded(a, &filter) && (filter.Severity == nil || *filter.Severity == a.Severity) &&
			inState(a.View(covers.by(a)).State, filter.State)
	}}, before, limit)
	if err != nil {
		return nil, "", translate(err)
	}
	views := make([]messages.AlarmView, len(rows))
	for i := range rows {
		views[i] = f.viewAlarm(&rows[i], covers)
	}
	return views, next, nil
}

// folded reports whether an alarm is shown by its incident alone. A customer has no part
// in what is shown of several, and who asks for a host wants to see its alarms.
func folded(a *messages.Alarm, f *api.AlarmFilter) bool {
	if f.HostID != "" || f.CustomerID != "" && a.Incident == "" {
		return false
	}
	return a.Parent() != ""
}

// inState: without a state everything is that is still wrong.
func inState(is, want messages.AlarmState) bool {
	switch want {
	case "":
		return is != messages.AlarmClosed
	case api.AlarmsAll:
		return true
	}
	return is == want
}

func (f *fleet) covering() (covering, error) {
	silences, err := f.db.Silences()
	return newCovering(silences, time.Now()), err
}

// viewAlarm names the hosts of an incident as its event does; one that is not told yet,
// or pruned, names none.
func (f *fleet) viewAlarm(a *messages.Alarm, covers covering) messages.AlarmView {
	v := a.View(covers.by(a))
	if a.Type == messages.IncidentOpened && a.Raised != "" {
		if e, err := f.db.Event(a.Raised); err == nil && e.Detail.Mass != nil {
			v.Hosts = e.Detail.Mass.Hosts[:min(len(e.Detail.Mass.Hosts), namesOfIncident)]
		}
	}
	return v
}

// Alarm implements api.Fleet.
func (f *fleet) Alarm(_ context.Context, id messages.IncidentID) (messages.AlarmView, error) {
	covers, err := f.covering()
	if err != nil {
		return messages.AlarmView{}, err
	}
	a, err := f.db.Alarm(id)
	if err != nil {
		return messages.AlarmView{}, translate(err)
	}
	return f.viewAlarm(&a, covers), nil
}

// Members implements api.Fleet.
func (f *fleet) Members(_ context.Context, id, before messages.IncidentID, limit int) ([]messages.AlarmView, messages.IncidentID, error) {
	covers, err := f.covering()
	if err != nil {
		return nil, "", err
	}
	rows, next, err := f.db.Alarms(storage.AlarmFilter{Match: func(a *messages.Alarm) bool {
		return a.Incident == id || a.Wide == id
	}}, before, limit)
	views := make([]messages.AlarmView, len(rows))
	for i := range rows {
		views[i] = f.viewAlarm(&rows[i], covers)
	}
	return views, next, translate(err)
}

// Acknowledge implements api.Fleet.
func (f *fleet) Acknowledge(ctx context.Context, ids []messages.IncidentID, ack *messages.Ack) error {
	defer f.needs.forget()
	return translate(f.hub.Order(ctx, actors.AckAlarms{IDs: ids, Ack: ack}))
}

// Attention implements api.Fleet.
func (f *fleet) Attention(context.Context) (messages.NeedsAttention, error) {
	return f.needs.get(f.hub.Stats().Events.Load, f.survey)
}

// survey looks at every alarm.
func (f *fleet) survey(now time.Time) (survey, error) {
	silences, err := f.db.Silences()
	if err != nil {
		return survey{}, err
	}
	covers := newCovering(silences, now)
	t := newTriage(covers, now)
	err = f.db.EachAlarm(func(a messages.Alarm) error {
		t.add(&a)
		return nil
	})
	return survey{NeedsAttention: t.done(), until: covers.until}, err
}
