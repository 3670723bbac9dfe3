package storage

import (
	"bytes"

	"felhom.eu/messages"
)

func (e *encoder) controller(s *messages.ControllerState) {
	e.text(string(s.GuestID))
	e.text(s.Version)
	e.byte(byte(s.Phase))
	e.int(s.PhaseSince)
	e.int(s.FirstSeenAt)
	e.int(s.ContactAt)
	e.int(int64(s.ContactHeard))
	e.uint(uint64(s.IntervalSecs))
	e.text(string(s.Incident))
	e.ref(s.Last)
}

func (d *decoder) controller(key []byte) messages.ControllerState {
	customer, id, ok := bytes.Cut(key[1:], []byte{0})
	if !ok {
		d.fail(errRange)
	}
	s := messages.ControllerState{
		ControllerName: messages.ControllerName{CustomerID: messages.CustomerID(customer), ID: messages.ControllerID(id)},
		GuestID:        messages.GuestID(d.text()),
		Version:        d.word(),
		Phase:          messages.Phase(d.byte()),
		PhaseSince:     d.int(),
		FirstSeenAt:    d.int(),
		ContactAt:      d.int(),
		ContactHeard:   messages.Listened(d.int()),
		IntervalSecs:   uint32(d.upTo(1<<32 - 1)),
		Incident:       messages.IncidentID(d.text()),
		Last:           d.ref(),
	}
	if s.Phase > messages.PhaseDown {
		d.fail(errRange)
	}
	return s
}

// Controller reads what is known of a controller. Errors: ErrNotFound, ErrCorrupt.
func (db *DB) Controller(name messages.ControllerName) (messages.ControllerState, error) {
	return one(db, controllerKey(name), (*decoder).controller)
}

// Controllers lists up to limit of a customer's controllers in the order of their
// ids, from the one behind after; limit 0 is no limit.
func (db *DB) Controllers(customer messages.CustomerID, after messages.ControllerID, limit int) ([]messages.ControllerState, error) {
	q := query{prefix: underKey(prefixController, customer)}
	if after != "" {
		q.from = append(controllerKey(messages.ControllerName{CustomerID: customer, ID: after}), 0)
	}
	return list(db, q, limit, (*decoder).controller, nil)
}

// EachController calls fn for every controller, until fn fails.
func (db *DB) EachController(fn func(messages.ControllerState) error) error {
	return each(db, query{prefix: []byte{prefixController}}, (*decoder).controller, fn)
}

// ControllerReports lists a controller's reports as Reports does a host's.
func (db *DB) ControllerReports(name messages.ControllerName, from messages.ReportRef, limit int) ([]ReportRow, messages.ReportRef, error) {
	s, err := db.Controller(name)
	if err != nil {
		return nil, messages.ReportRef{}, err
	}
	return db.reports(name.String(), s.Last, from, limit)
}

// ControllerReport is one report's body as it was received. Errors: ErrNotFound,
// ErrCorrupt.
func (db *DB) ControllerReport(name messages.ControllerName, report messages.ReportID) ([]byte, error) {
	s, err := db.Controller(name)
	if err != nil {
		return nil, err
	}
	return db.report(name.String(), s.Last, report)
}

// controllerState writes what is known of a controller, whose newest body must be
// durable.
func (w *batchWriter) controllerState(s *messages.ControllerState) error {
	b := w.batch
	switch at := s.Last; {
	case at.Batch > b.Sequence:
		return errBatch("controller %s points to the later batch %d", s.ControllerName, at.Batch)
	case at.Batch == b.Sequence && (at.Day != b.Day() || int(at.Entry) >= len(b.Reports) || b.Reports[at.Entry].Controller != s.ControllerName):
		return errBatch("controller %s points to entry %d of day %d, which is not its report", s.ControllerName, at.Entry, at.Day)
	}
	return w.put(controllerKey(s.ControllerName), func(e *encoder) { e.controller(s) })
}

func (w *batchWriter) delController(n *messages.ControllerName) error {
	return w.unmark(controllerKey(*n))
}
