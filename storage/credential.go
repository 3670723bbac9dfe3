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

// EachKey calls fn for every key, revoked ones included, until fn fails: those
// of the hosts from one on ("" is all) up to, not including, another ("" is no
// end). They come in the order of their hosts; a customer's belong to host "".
func (db *DB) EachKey(from, until messages.HostID, fn func(messages.Key) error) error {
	q := query{prefix: []byte{prefixKey}, from: textKey(prefixKey, from)}
	return each(db, q, (*decoder).key, func(k messages.Key) error {
		if until != "" && k.HostID >= until {
			return errStop
		}
		return fn(k)
	})
}

// Keys lists the keys of a host, revoked ones included.
func (db *DB) Keys(id messages.HostID) ([]messages.Key, error) {
	return list(db, query{prefix: underKey(prefixKey, id)}, 0, (*decoder).key, nil)
}
