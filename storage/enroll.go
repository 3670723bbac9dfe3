package storage

import "felhom.eu/messages"

func (e *encoder) enrollToken(t *messages.EnrollToken) {
	e.hash(t.Hash)
	e.text(string(t.CustomerID))
	e.text(t.NodePattern)
	e.uint(uint64(t.Uses))
	e.time(t.CreatedAt)
	e.time(t.ExpiresAt)
	e.uint(uint64(len(t.Enrolled)))
	for i := range t.Enrolled {
		x := &t.Enrolled[i]
		e.hash(x.Nonce)
		e.text(string(x.HostID))
		e.text(x.Node)
		e.time(x.At)
	}
	if t.Site != "" {
		e.text(t.Site)
	}
}

func (d *decoder) enrollToken(key []byte) messages.EnrollToken {
	t := messages.EnrollToken{
		ID:          messages.TokenID(key[1:]),
		Hash:        d.hash(),
		CustomerID:  messages.CustomerID(d.text()),
		NodePattern: d.text(),
		Uses:        int(d.upTo(messages.MaxTokenUses)),
		CreatedAt:   d.time(),
		ExpiresAt:   d.time(),
	}
	if n := d.upTo(messages.MaxTokenUses); n > 0 {
		t.Enrolled = make([]messages.Enrollment, n)
	}
	for i := range t.Enrolled {
		t.Enrolled[i] = messages.Enrollment{Nonce: d.hash(), HostID: messages.HostID(d.text()), Node: d.text(), At: d.time()}
	}
	if d.more() {
		t.Site = d.text()
	}
	return t
}

// EnrollTokens lists all enrolment tokens, the oldest first.
func (db *DB) EnrollTokens() ([]messages.EnrollToken, error) {
	return list(db, query{prefix: []byte{prefixToken}}, 0, (*decoder).enrollToken, nil)
}

func (w *batchWriter) putToken(t *messages.EnrollToken) error {
	return w.put(textKey(prefixToken, t.ID), func(e *encoder) { e.enrollToken(t) })
}

func (w *batchWriter) delToken(id *messages.TokenID) error {
	return w.unmark(textKey(prefixToken, *id))
}
