package storage

import (
	"encoding/binary"
	"time"

	"felhom.eu/messages"
)

func (e *encoder) guest(g *messages.GuestRecord) {
	e.text(g.Kind)
	e.text(g.DisplayName)
	e.text(g.Status)
	e.text(g.ControllerVersion)
	e.time(g.FirstSeenAt)
	e.time(g.LastSeenAt)
	e.bool(g.APIKeyHash != nil)
	if g.APIKeyHash != nil {
		e.hash(*g.APIKeyHash)
	}
	e.bytes(g.DesiredSpec)
}

func (d *decoder) guest(key []byte) messages.GuestRecord {
	g := messages.GuestRecord{
		Kind:              d.word(),
		DisplayName:       d.text(),
		Status:            d.word(),
		ControllerVersion: d.word(),
		FirstSeenAt:       d.time(),
		LastSeenAt:        d.time(),
	}
	if d.bool() {
		h := d.hash()
		g.APIKeyHash = &h
	}
	g.DesiredSpec = d.bytes()
	owner := len(key) - 5
	if owner < 1 || key[owner] != 0 {
		d.fail(errRange)
		return messages.GuestRecord{}
	}
	g.HostID = messages.HostID(key[1:owner])
	g.VMID = messages.VMID(binary.BigEndian.Uint32(key[owner+1:]))
	return g
}

// Guests lists the guests of a host in the order of their vmids, those that
// are gone included.
func (db *DB) Guests(id messages.HostID) ([]messages.GuestRecord, error) {
	return list(db, query{prefix: underKey(prefixGuest, id)}, 0, (*decoder).guest, nil)
}

// guestRows are a host's guests while a batch is merged into them. A nil row
// cannot be read: it is left as it is.
type guestRows map[messages.VMID]*messages.GuestRecord

// mergeGuests merges the newest guests of hosts into their rows: reality is
// replaced, intent and the first sight are kept.
func (w *batchWriter) mergeGuests(seen []messages.GuestsSeen) error {
	hosts := map[messages.HostID]guestRows{}
	for i := range seen {
		s := &seen[i]
		rows := hosts[s.HostID]
		if rows == nil {
			var err error
			if rows, err = w.guestRows(s.HostID); err != nil {
				return err
			}
			hosts[s.HostID] = rows
		}
		rows.merge(s)
	}
	for id, rows := range hosts {
		for vmid, g := range rows {
			if g == nil {
				continue
			}
			if err := w.put(guestKey(id, vmid), func(e *encoder) { e.guest(g) }); err != nil {
				return err
			}
		}
	}
	return nil
}

// guestRows reads a host's guests as they were before the batch. One that
// cannot be read is told to the log: it must not stop a fleet.
func (w *batchWriter) guestRows(id messages.HostID) (guestRows, error) {
	rows := guestRows{}
	err := walk(w.before, query{prefix: underKey(prefixGuest, id)}, func(key, value []byte) error {
		vmid := messages.VMID(binary.BigEndian.Uint32(key[len(key)-4:]))
		g, err := decode(key, value, (*decoder).guest)
		if err != nil {
			w.db.log.Errorf("merge guest %s: %v", id.Guest(vmid), err)
			rows[vmid] = nil
			return nil
		}
		rows[vmid] = &g
		return nil
	})
	return rows, err
}

// merge applies one report's guests: those in it are present, the others gone.
func (rows guestRows) merge(seen *messages.GuestsSeen) {
	present := map[messages.VMID]bool{}
	for i := range seen.Guests {
		g := &seen.Guests[i]
		present[g.VMID] = true
		row, known := rows[g.VMID]
		if !known {
			row = &messages.GuestRecord{HostID: seen.HostID, VMID: g.VMID, FirstSeenAt: seen.At}
			rows[g.VMID] = row
		}
		if row == nil {
			continue
		}
		row.Kind, row.DisplayName, row.Status = g.Kind, g.Name, g.Status
		row.ControllerVersion = g.ControllerVersion
		row.LastSeenAt = time.Time{}
	}
	for vmid, row := range rows {
		if row != nil && !present[vmid] && row.LastSeenAt.IsZero() {
			row.LastSeenAt = seen.At
		}
	}
}
