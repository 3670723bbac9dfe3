package storage

import (
	"time"

	"felhom.eu/messages"
)

// detail flags: which fields of an EventDetail follow.
const (
	detailContact = 1 << iota
	detailFrom
	detailTo
	detailPlanned
	detailSubject // VMID, Subject and Severity are at the end
	detailCause   // Cause is behind them
	detailChanges // and Changes behind that
	detailMass    // and Mass behind that
)

func (e *encoder) event(v *messages.Event) {
	e.uint(v.Sequence)
	e.text(string(v.Type))
	e.time(v.At)
	e.text(string(v.CustomerID))
	e.text(string(v.HostID))
	e.text(string(v.RouteID))
	e.text(string(v.IncidentID))
	e.text(v.Summary)
	e.detail(&v.Detail)
}

func (e *encoder) detail(v *messages.EventDetail) {
	e.byte(bitIf(v.LastContactAt != nil, detailContact) | bitIf(v.From != nil, detailFrom) |
		bitIf(v.To != nil, detailTo) | bitIf(v.Planned, detailPlanned) | bitIf(v.OfRule(), detailSubject) |
		bitIf(v.Cause != "", detailCause) | bitIf(len(v.Changes) > 0, detailChanges) | bitIf(v.Mass != nil, detailMass))
	for _, t := range []*time.Time{v.LastContactAt, v.From, v.To} {
		if t != nil {
			e.time(*t)
		}
	}
	e.int(v.SilenceSeconds)
	e.int(v.DurationSeconds)
	e.text(v.Reason)
	e.int(v.LateSeconds)
	e.int(v.SkewSeconds)
	e.int(int64(v.GuestTotal))
	e.int(int64(v.GuestRunning))
	e.text(v.Cloudflared)
	e.text(v.Error)
	if v.OfRule() {
		e.uint(uint64(v.VMID))
		e.text(v.Subject)
		e.byte(byte(v.Severity))
	}
	if v.Cause != "" {
		e.text(string(v.Cause))
	}
	if len(v.Changes) > 0 {
		e.changes(v.Changes)
	}
	if v.Mass != nil {
		e.mass(v.Mass)
	}
}

func (e *encoder) mass(m *messages.Mass) {
	e.scope(m.Scope)
	for _, n := range []int{m.Silent, m.Down, m.Recovered, m.Total} {
		e.uint(uint64(n))
	}
	e.uint(uint64(len(m.Hosts)))
	for _, id := range m.Hosts {
		e.text(string(id))
	}
}

func (d *decoder) mass() *messages.Mass {
	m := &messages.Mass{
		Scope: d.scope(), Silent: int(d.uint()), Down: int(d.uint()), Recovered: int(d.uint()), Total: int(d.uint()),
		Hosts: texts[messages.HostID](d),
	}
	if m.Hosts == nil {
		m.Hosts = []messages.HostID{} // on the wire nobody is [], not null
	}
	return m
}

func (e *encoder) changes(cs []messages.Change) {
	e.uint(uint64(len(cs)))
	for _, c := range cs {
		e.text(c.What)
		e.text(c.From)
		e.text(c.To)
	}
}

func (d *decoder) changes() (cs []messages.Change) {
	for n := d.uint(); n > 0 && d.err == nil; n-- {
		cs = append(cs, messages.Change{What: d.text(), From: d.text(), To: d.text()})
	}
	return cs
}

func (d *decoder) event(key []byte) messages.Event {
	return messages.Event{
		ID:         messages.EventID(key[1:]),
		Sequence:   d.uint(),
		Type:       messages.EventType(d.word()),
		At:         d.time(),
		CustomerID: messages.CustomerID(d.word()),
		HostID:     messages.HostID(d.text()),
		RouteID:    messages.RouteID(d.word()),
		IncidentID: messages.IncidentID(d.text()),
		Summary:    d.text(),
		Detail:     d.detail(),
	}
}

func (d *decoder) detail() messages.EventDetail {
	flags := d.byte()
	v := messages.EventDetail{
		LastContactAt:   d.timeIf(flags&detailContact != 0),
		From:            d.timeIf(flags&detailFrom != 0),
		To:              d.timeIf(flags&detailTo != 0),
		Planned:         flags&detailPlanned != 0,
		SilenceSeconds:  d.int(),
		DurationSeconds: d.int(),
		Reason:          d.text(),
		LateSeconds:     d.int(),
		SkewSeconds:     d.int(),
		GuestTotal:      int(d.int()),
		GuestRunning:    int(d.int()),
		Cloudflared:     d.word(),
		Error:           d.text(),
	}
	if flags&detailSubject != 0 {
		v.VMID = messages.VMID(d.upTo(messages.MaxVMID))
		v.Subject = d.text()
		v.Severity = messages.Severity(d.byte())
	}
	if flags&detailCause != 0 {
		v.Cause = messages.Cause(d.word())
	}
	if flags&detailChanges != 0 {
		v.Changes = d.changes()
	}
	if flags&detailMass != 0 {
		v.Mass = d.mass()
	}
	return v
}

func (d *decoder) timeIf(there bool) *time.Time {
	if !there {
		return nil
	}
	t := d.time()
	return &t
}

// EventFilter narrows a list of events; zero fields match all.
type EventFilter struct {
	CustomerID messages.CustomerID
	HostID     messages.HostID
	Type       messages.EventType
	IncidentID messages.IncidentID
	Text       string // in the summary, the host or the customer; case does not count
}

func (f *EventFilter) match(v *messages.Event) bool {
	return (f.CustomerID == "" || f.CustomerID == v.CustomerID) &&
		(f.HostID == "" || f.HostID == v.HostID) &&
		(f.Type == "" || f.Type == v.Type) &&
		(f.IncidentID == "" || f.IncidentID == v.IncidentID) && says(v, f.Text)
}

// index is the narrowest run of keys that holds every event of the filter; the
// event's id follows the prefix.
func (f *EventFilter) index() []byte {
	switch {
	case f.HostID != "":
		return underKey(prefixByHost, f.HostID)
	case f.CustomerID != "":
		return underKey(prefixByOwner, f.CustomerID)
	}
	return []byte{prefixEvent}
}

// Event reads one event. Errors: ErrNotFound, ErrCorrupt.
func (db *DB) Event(id messages.EventID) (messages.Event, error) {
	return one(db, textKey(prefixEvent, id), (*decoder).event)
}

// Events lists up to limit events that match f, oldest first, from the one
// behind after. The events of a host or a customer are found by an index; a
// filter by type alone looks at every event.
func (db *DB) Events(f EventFilter, after messages.EventID, limit int) ([]messages.Event, error) {
	index := f.index()
	q := query{prefix: index}
	if after != "" {
		q.from = append(append(index[:len(index):len(index)], after...), 0)
	}
	if index[0] == prefixEvent {
		return list(db, q, limit, (*decoder).event, f.match)
	}
	return listBy(db, q, limit, func(key, _ []byte) []byte {
		return textKey(prefixEvent, messages.EventID(key[len(index):]))
	}, (*decoder).event, f.match)
}

// LatestEvents lists up to limit events that match f, newest first, from the one
// before; "" is from the newest. What match, unless it is nil, says no to is passed by,
// at most look events are looked at, and last is the oldest of them: "" when there
// are no older ones.
func (db *DB) LatestEvents(f EventFilter, match func(*messages.Event) bool, before messages.EventID, limit, look int) (es []messages.Event, last messages.EventID, err error) {
	index := f.index()
	q := query{prefix: index, newestFirst: true}
	if before != "" {
		q.from = append(index[:len(index):len(index)], before...)
	}
	seen := 0
	take := func(v messages.Event) error {
		if v.ID >= before && before != "" { // a backward seek begins at the key itself
			return nil
		}
		last = v.ID
		if f.match(&v) && (match == nil || match(&v)) {
			es = append(es, v)
		}
		if seen++; len(es) >= limit || seen >= look {
			return errStop
		}
		return nil
	}
	if index[0] == prefixEvent {
		err = each(db, q, (*decoder).event, take)
	} else {
		err = eachBy(db, q, func(key, _ []byte) []byte {
			return textKey(prefixEvent, messages.EventID(key[len(index):]))
		}, (*decoder).event, take)
	}
	if len(es) < limit && seen < look {
		last = ""
	}
	return es, last, err
}

func (w *batchWriter) event(v *messages.Event) error {
	if v.ID == "" {
		return errBatch("an event without id")
	}
	if err := w.put(textKey(prefixEvent, v.ID), func(e *encoder) { e.event(v) }); err != nil {
		return err
	}
	if v.HostID != "" {
		if err := w.mark(append(underKey(prefixByHost, v.HostID), v.ID...)); err != nil {
			return err
		}
	}
	if v.CustomerID != "" {
		return w.mark(append(underKey(prefixByOwner, v.CustomerID), v.ID...))
	}
	return nil
}
