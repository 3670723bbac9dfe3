package storage

import "felhom.eu/messages"

func (e *encoder) key(k *messages.Key) {
	e.byte(byte(k.Kind))
	e.text(string(k.CustomerID))
	e.time(k.CreatedAt)
	e.hash(k.Replaces)
	e.time(k.ExpiresAt)
	e.time(k.RevokedAt)
}

func (d *decoder) key(key []byte) messages.Key {
	k := messages.Key{
		Kind:       messages.KeyKind(d.byte()),
		CustomerID: messages.CustomerID(d.word()),
		CreatedAt:  d.time(),
		Replaces:   d.hash(),
		ExpiresAt:  d.time(),
		RevokedAt:  d.time(),
	}
	owner := len(key) - len(k.Hash) - 1
	if owner < 1 || key[owner] != 0 {
		d.fail(errRange)
		return messages.Key{}
	}
	k.HostID = messages.HostID(key[1:owner])
	copy(k.Hash[:], key[owner+1:])
	return k
}

// EachKey calls fn for every key, revoked ones included, until fn fails. Keys
// of one host come together; otherwise the order says nothing.
func (db *DB) EachKey(fn func(messages.Key) error) error {
	return each(db, query{prefix: []byte{prefixKey}}, (*decoder).key, fn)
}

// Keys lists the keys of a host, revoked ones included.
func (db *DB) Keys(id messages.HostID) ([]messages.Key, error) {
	return list(db, query{prefix: underKey(prefixKey, id)}, 0, (*decoder).key, nil)
}
