package storage

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/dgraph-io/badger/v4"
)

// query is a run of keys: those with a prefix, from a key on, in one direction.
type query struct {
	prefix      []byte
	from        []byte // nil: from the first, or the last when newestFirst
	newestFirst bool
}

// behind is where a list goes on after an id; nil for the empty one.
func behind[T ~string](prefix byte, after T) []byte {
	if after == "" {
		return nil
	}
	return append(textKey(prefix, after), 0)
}

// errStop ends a walk early; view hides it.
var errStop = errors.New("stop")

// view runs fn on one consistent snapshot of state/.
func (db *DB) view(fn func(*badger.Txn) error) error {
	if err := db.enter(); err != nil {
		return err
	}
	defer db.leave()
	err := db.state.View(fn)
	if errors.Is(err, errStop) {
		return nil
	}
	return err
}

func scanOptions(prefix []byte) badger.IteratorOptions {
	return badger.IteratorOptions{Prefix: prefix} // values lie beside their keys: nothing to prefetch
}

// walk calls fn for every row of q. Key and value are Badger's memory, valid
// until fn returns.
func walk(txn *badger.Txn, q query, fn func(key, value []byte) error) error {
	return walkItems(txn, q, func(item *badger.Item) error {
		return item.Value(func(v []byte) error { return fn(item.Key(), v) })
	})
}

// walkItems is walk for whoever does not need the values, or not all of them.
func walkItems(txn *badger.Txn, q query, fn func(*badger.Item) error) error {
	o := scanOptions(q.prefix)
	o.Reverse = q.newestFirst
	it := txn.NewIterator(o)
	defer it.Close()
	from := q.from
	if from == nil {
		from = q.prefix
		if q.newestFirst { // behind the longest key there is
			from = append(bytes.Clone(q.prefix), 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff)
		}
	}
	for it.Seek(from); it.Valid(); it.Next() {
		if err := fn(it.Item()); err != nil {
			return err
		}
	}
	return nil
}

// take reads a record's fields after its seal was checked.
type take[T any] func(*decoder, []byte) T

func decode[T any](key, value []byte, read take[T]) (T, error) {
	return decodeWith(&decoder{}, key, value, read)
}

// decodeWith keeps d's words from one record to the next.
func decodeWith[T any](d *decoder, key, value []byte, read take[T]) (T, error) {
	var zero T
	payload, err := unseal(key, value)
	if err != nil {
		return zero, err
	}
	d.b, d.err = payload, nil
	v := read(d, key)
	if err := d.done(); err != nil {
		return zero, corrupt(key, "%v", err)
	}
	return v, nil
}

// get reads one record in a transaction.
func get[T any](txn *badger.Txn, d *decoder, key []byte, read take[T]) (v T, err error) {
	item, err := txn.Get(key)
	if errors.Is(err, badger.ErrKeyNotFound) {
		return v, ErrNotFound
	}
	if err != nil {
		return v, fmt.Errorf("read key %q: %w", key, err)
	}
	err = item.Value(func(value []byte) error {
		v, err = decodeWith(d, key, value, read)
		return err
	})
	return v, err
}

func one[T any](db *DB, key []byte, read take[T]) (v T, err error) {
	err = db.view(func(txn *badger.Txn) error {
		v, err = get(txn, &decoder{}, key, read)
		return err
	})
	return v, err
}

// each decodes every row of q for fn.
func each[T any](db *DB, q query, read take[T], fn func(T) error) error {
	d := &decoder{words: map[string]string{}}
	return db.view(func(txn *badger.Txn) error {
		return walk(txn, q, func(key, value []byte) error {
			v, err := decodeWith(d, key, value, read)
			if err != nil {
				return err
			}
			return fn(v)
		})
	})
}

// eachBy walks an index: record gives the key that a row of it stands for. A
// row that stands for nothing is a loss.
func eachBy[T any](db *DB, q query, record func(key, value []byte) []byte, read take[T], fn func(T) error) error {
	d := &decoder{words: map[string]string{}}
	return db.view(func(txn *badger.Txn) error {
		return walk(txn, q, func(key, value []byte) error {
			if _, err := unseal(key, value); err != nil {
				return err
			}
			at := record(key, value)
			v, err := get(txn, d, at, read)
			if errors.Is(err, ErrNotFound) {
				return corrupt(at, "the index has it, the record is missing")
			}
			if err != nil {
				return err
			}
			return fn(v)
		})
	})
}

// list collects up to limit rows that match; limit 0 is no limit, and a nil
// match is all.
func list[T any](db *DB, q query, limit int, read take[T], match func(*T) bool) (vs []T, err error) {
	err = each(db, q, read, collect(&vs, limit, match))
	return vs, err
}

// listBy is list by way of an index.
func listBy[T any](db *DB, q query, limit int, record func(key, value []byte) []byte, read take[T], match func(*T) bool) (vs []T, err error) {
	err = eachBy(db, q, record, read, collect(&vs, limit, match))
	return vs, err
}

func collect[T any](vs *[]T, limit int, match func(*T) bool) func(T) error {
	return func(v T) error {
		if match == nil || match(&v) {
			*vs = append(*vs, v)
		}
		if limit > 0 && len(*vs) >= limit {
			return errStop
		}
		return nil
	}
}
