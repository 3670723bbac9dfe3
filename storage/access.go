package storage

import (
	"encoding/json"

	"felhom.eu/messages"
)

func (e *encoder) user(u *messages.User) {
	e.text(string(u.Role))
	e.text(string(u.CustomerID))
	e.text(u.Password.Reveal())
	e.time(u.CreatedAt)
	e.time(u.ChangedAt)
}

func (d *decoder) user(key []byte) messages.User {
	return messages.User{
		Name:       messages.UserName(key[1:]),
		Role:       messages.Role(d.word()),
		CustomerID: messages.CustomerID(d.text()),
		Password:   messages.Secret(d.text()),
		CreatedAt:  d.time(),
		ChangedAt:  d.time(),
	}
}

// Users lists all users by name, the hashes of their passwords included.
func (db *DB) Users() ([]messages.User, error) {
	return list(db, query{prefix: []byte{prefixUser}}, 0, (*decoder).user, nil)
}

func (w *batchWriter) putUser(u *messages.User) error {
	return w.put(textKey(prefixUser, u.Name), func(e *encoder) { e.user(u) })
}

func (w *batchWriter) delUser(name *messages.UserName) error {
	return w.unmark(textKey(prefixUser, *name))
}

func (e *encoder) session(s *messages.Session) {
	e.text(string(s.User))
	e.time(s.CreatedAt)
	e.time(s.SeenAt)
	e.text(s.Address)
	e.text(s.Agent)
}

func (d *decoder) session(key []byte) messages.Session {
	s := messages.Session{
		User:      messages.UserName(d.text()),
		CreatedAt: d.time(),
		SeenAt:    d.time(),
		Address:   d.text(),
		Agent:     d.text(),
	}
	if len(key) != 1+len(s.Hash) {
		d.fail(errRange)
		return messages.Session{}
	}
	copy(s.Hash[:], key[1:])
	return s
}

// Sessions lists all sessions, those that are over included.
func (db *DB) Sessions() ([]messages.Session, error) {
	return list(db, query{prefix: []byte{prefixSession}}, 0, (*decoder).session, nil)
}

func sessionKey(h *messages.KeyHash) []byte { return append([]byte{prefixSession}, h[:]...) }

func (w *batchWriter) putSession(s *messages.Session) error {
	return w.put(sessionKey(&s.Hash), func(e *encoder) { e.session(s) })
}

func (w *batchWriter) delSession(h *messages.KeyHash) error { return w.unmark(sessionKey(h)) }

// audit is kept in its wire form, whose fields are added and never renamed.
func (e *encoder) audit(v *messages.AuditRecord) {
	b, err := json.Marshal(v)
	if err != nil { // an instant that is none; nobody makes one
		b = []byte("{}")
	}
	e.bytes(b)
}

func (d *decoder) audit([]byte) (v messages.AuditRecord) {
	if err := json.Unmarshal(d.take(d.uint()), &v); err != nil {
		d.fail(errRange)
		return messages.AuditRecord{}
	}
	return v
}

// Audit lists up to limit records of the audit log, oldest first, from the one
// behind the sequence after.
func (db *DB) Audit(after uint64, limit int) ([]messages.AuditRecord, error) {
	q := query{prefix: []byte{prefixAudit}, from: sequenceKey(prefixAudit, after+1)}
	return list(db, q, limit, (*decoder).audit, nil)
}

// LatestAudit lists up to limit records of the audit log, newest first, from the
// one before the sequence before; 0 is behind the newest.
func (db *DB) LatestAudit(before uint64, limit int) ([]messages.AuditRecord, error) {
	q := query{prefix: []byte{prefixAudit}, newestFirst: true}
	if before > 0 {
		q.from = sequenceKey(prefixAudit, before-1)
	}
	return list(db, q, limit, (*decoder).audit, nil)
}

// audits numbers the records of a batch behind those that are there; a batch that
// is written again brings the ones it brought.
func (w *batchWriter) audits(vs []messages.AuditRecord) error {
	if w.again {
		w.meta.Audit -= min(w.meta.Audit, uint64(len(vs)))
	}
	for i := range vs {
		w.meta.Audit++
		v := vs[i]
		v.Sequence = w.meta.Audit
		if err := w.put(sequenceKey(prefixAudit, v.Sequence), func(e *encoder) { e.audit(&v) }); err != nil {
			return err
		}
	}
	return nil
}
