package storage

import (
	"encoding/binary"

	"felhom.eu/messages"
)

func monthKey(m messages.Month) []byte {
	return binary.BigEndian.AppendUint32([]byte{prefixMonth}, uint32(m))
}

func (e *encoder) monthStart(s *messages.MonthStart) {
	e.int(int64(s.Heard))
	e.time(s.At)
}

func (d *decoder) monthStart(key []byte) messages.MonthStart {
	if len(key) != 5 {
		d.fail(errRange)
		return messages.MonthStart{}
	}
	return messages.MonthStart{Month: messages.Month(binary.BigEndian.Uint32(key[1:])), Heard: messages.Listened(d.int()), At: d.time()}
}

// outageKey ends in the outage's end: that of a host's first contact is before that of
// an outage which began with it.
func outageKey(o *messages.Outage) []byte {
	return binary.BigEndian.AppendUint64(underKey(prefixOutage, o.HostID), uint64(o.To))
}

func (e *encoder) outage(o *messages.Outage) {
	e.int(int64(o.From))
	e.time(o.FromAt)
	e.time(o.ToAt)
	e.bool(o.Planned)
}

func (d *decoder) outage(key []byte) messages.Outage {
	host := len(key) - 9
	if host < 1 || key[host] != 0 {
		d.fail(errRange)
		return messages.Outage{}
	}
	return messages.Outage{
		HostID: messages.HostID(key[1:host]), To: messages.Listened(binary.BigEndian.Uint64(key[host+1:])),
		From: messages.Listened(d.int()), FromAt: d.time(), ToAt: d.time(), Planned: d.bool(),
	}
}

// Months lists where the months began, in order.
func (db *DB) Months() ([]messages.MonthStart, error) {
	return list(db, query{prefix: []byte{prefixMonth}}, 0, (*decoder).monthStart, nil)
}

// Outages lists a host's outages in order, its first contact before them. A host from
// before outages were noted has none for that.
func (db *DB) Outages(id messages.HostID) ([]messages.Outage, error) {
	return list(db, query{prefix: underKey(prefixOutage, id)}, 0, (*decoder).outage, nil)
}

// OutagesOf are those of all hosts of a customer.
func (db *DB) OutagesOf(id messages.CustomerID) (map[messages.HostID][]messages.Outage, error) {
	all := map[messages.HostID][]messages.Outage{}
	err := each(db, query{prefix: textKey(prefixOutage, string(id)+"-")}, (*decoder).outage, func(o messages.Outage) error {
		if o.HostID.Customer() == id { // acme-eu-… also begins with acme-
			all[o.HostID] = append(all[o.HostID], o)
		}
		return nil
	})
	return all, err
}

func (w *batchWriter) putMonth(s *messages.MonthStart) error {
	return w.put(monthKey(s.Month), func(e *encoder) { e.monthStart(s) })
}

func (w *batchWriter) putOutage(o *messages.Outage) error {
	return w.put(outageKey(o), func(e *encoder) { e.outage(o) })
}
