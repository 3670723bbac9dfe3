package storage

import (
	"time"

	"felhom.eu/messages"
)

func (e *encoder) alarm(a *messages.Alarm) {
	e.text(string(a.CustomerID))
	e.text(string(a.HostID))
	e.text(string(a.RouteID))
	e.text(a.Site)
	e.text(string(a.Type))
	e.byte(byte(a.Severity))
	e.text(string(a.Raised))
	e.text(a.Summary)
	e.uint(uint64(a.VMID))
	e.text(a.Subject)
	e.time(a.OpenedAt)
	e.time(a.ClosedAt)
	e.uint(uint64(len(a.Pending)))
	for _, p := range a.Pending {
		e.text(string(p.ID))
		e.text(string(p.Type))
		e.byte(byte(p.Severity))
	}
	e.time(a.PendingSince)
	putTexts(e, a.Told)
	e.time(a.ToldAt)
	e.text(string(a.Incident))
	e.text(string(a.Wide))
	e.bool(a.Ack != nil)
	if a.Ack != nil {
		e.text(a.Ack.By)
		e.text(a.Ack.Reason)
		e.time(a.Ack.At)
	}
	e.time(a.RemindedAt)
	putTexts(e, a.Escalated)
	e.scope(a.Scope)
	e.uint(uint64(a.Members))
	e.text(string(a.Flaps))
}

func (d *decoder) alarm(key []byte) messages.Alarm {
	a := messages.Alarm{
		ID:         messages.IncidentID(key[1:]),
		CustomerID: messages.CustomerID(d.word()),
		HostID:     messages.HostID(d.text()),
		RouteID:    messages.RouteID(d.word()),
		Site:       d.word(),
		Type:       messages.EventType(d.word()),
		Severity:   messages.Severity(d.byte()),
		Raised:     messages.EventID(d.text()),
		Summary:    d.text(),
		VMID:       messages.VMID(d.upTo(messages.MaxVMID)),
		Subject:    d.text(),
		OpenedAt:   d.time(),
		ClosedAt:   d.time(),
	}
	for n := d.upTo(uint64(len(d.b))); n > 0 && d.err == nil; n-- {
		a.Pending = append(a.Pending, messages.PendingEvent{
			ID: messages.EventID(d.text()), Type: messages.EventType(d.word()), Severity: messages.Severity(d.byte()),
		})
	}
	a.PendingSince, a.Told, a.ToldAt = d.time(), texts[messages.EventType](d), d.time()
	a.Incident, a.Wide = messages.IncidentID(d.text()), messages.IncidentID(d.text())
	if d.bool() {
		a.Ack = &messages.Ack{By: d.text(), Reason: d.text(), At: d.time()}
	}
	a.RemindedAt, a.Escalated = d.time(), texts[messages.RouteID](d)
	a.Scope, a.Members, a.Flaps = d.scope(), int(d.uint()), messages.EventType(d.word())
	return a
}

func (e *encoder) scope(s messages.Scope) {
	e.text(string(s.Kind))
	e.text(s.ID)
}

func (d *decoder) scope() messages.Scope {
	return messages.Scope{Kind: messages.ScopeKind(d.word()), ID: d.text()}
}

// EachAlarm calls fn for every alarm in the order of their ids, until fn fails.
func (db *DB) EachAlarm(fn func(messages.Alarm) error) error {
	return each(db, query{prefix: []byte{prefixAlarm}}, (*decoder).alarm, fn)
}

// putAlarm also forgets: an alarm that has ended and that nobody is to hear more of.
func (w *batchWriter) putAlarm(a *messages.Alarm) error {
	if a.ID == "" {
		return errBatch("an alarm without id")
	}
	if !a.Open() && len(a.Pending) == 0 {
		return w.unmark(textKey(prefixAlarm, a.ID))
	}
	return w.put(textKey(prefixAlarm, a.ID), func(e *encoder) { e.alarm(a) })
}

func (e *encoder) silence(s *messages.Silence) {
	e.scope(s.Scope)
	e.text(s.Reason)
	e.text(s.CreatedBy)
	e.time(s.CreatedAt)
	e.time(s.StartsAt)
	e.time(s.EndsAt)
	e.text(s.Schedule)
	e.text(s.TimeZone)
	e.int(s.DurationSeconds)
}

func (d *decoder) silence(key []byte) messages.Silence {
	return messages.Silence{
		ID:              messages.SilenceID(key[1:]),
		Scope:           d.scope(),
		Reason:          d.text(),
		CreatedBy:       d.text(),
		CreatedAt:       d.time(),
		StartsAt:        d.time(),
		EndsAt:          d.time(),
		Schedule:        d.text(),
		TimeZone:        d.word(),
		DurationSeconds: d.int(),
	}
}

// Silences lists all silences, the oldest first.
func (db *DB) Silences() ([]messages.Silence, error) {
	return list(db, query{prefix: []byte{prefixSilence}}, 0, (*decoder).silence, nil)
}

func (w *batchWriter) putSilence(s *messages.Silence) error {
	return w.put(textKey(prefixSilence, s.ID), func(e *encoder) { e.silence(s) })
}

func (w *batchWriter) delSilence(id *messages.SilenceID) error {
	return w.unmark(textKey(prefixSilence, *id))
}

func (e *encoder) quiet(q *messages.QuietHours) {
	e.bool(q != nil)
	if q != nil {
		e.text(q.From)
		e.text(q.To)
		e.text(q.TimeZone)
	}
}

func (d *decoder) quiet() *messages.QuietHours {
	if !d.bool() {
		return nil
	}
	return &messages.QuietHours{From: d.text(), To: d.text(), TimeZone: d.word()}
}

// routeMore is what routes have since they can keep quiet and escalate.
func (e *encoder) routeMore(r *messages.Route) {
	e.text(r.Name)
	e.quiet(r.Quiet)
	e.uint(uint64(r.MaxPerHour))
	e.text(string(r.EscalateTo))
	e.int(int64(r.EscalateAfter))
	e.bool(r.OnCall)
}

func (d *decoder) routeMore(r *messages.Route) {
	r.Name, r.Quiet, r.MaxPerHour = d.text(), d.quiet(), int(d.uint())
	r.EscalateTo, r.EscalateAfter, r.OnCall = messages.RouteID(d.text()), time.Duration(d.int()), d.bool()
}
