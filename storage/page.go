package storage

import (
	"bytes"

	"github.com/dgraph-io/badger/v4"
)

// maxLooked is how many rows a page looks at: what is searched for may be rare, and
// whoever asks goes on behind a page that found little. So many take 40 to 70 ms.
const maxLooked = 20_000

// search is a page of the rows of a run that look takes.
type search[T any] struct {
	prefix      []byte
	behind      []byte // the key of a row to go on behind; nil: from the first
	newestFirst bool
	limit       int
	look        func(txn *badger.Txn, key, value []byte) (v T, ok bool, err error)
}

// page collects up to limit rows. next is the key to go on behind; nil when there is
// nothing more.
func (s *search[T]) page(db *DB) (vs []T, next []byte, err error) {
	q := query{prefix: s.prefix, newestFirst: s.newestFirst, from: s.behind}
	if s.behind != nil && !s.newestFirst {
		q.from = append(bytes.Clone(s.behind), 0)
	}
	looked, last := 0, []byte(nil)
	err = db.view(func(txn *badger.Txn) error {
		return walk(txn, q, func(key, value []byte) error {
			if bytes.Equal(key, s.behind) {
				return nil
			}
			if looked == maxLooked {
				next = last
				return errStop
			}
			looked++
			v, ok, err := s.look(txn, key, value)
			if err != nil {
				return err
			}
			if ok && len(vs) == s.limit {
				next = last
				return errStop
			}
			if ok {
				vs = append(vs, v)
			}
			last = append(last[:0], key...)
			return nil
		})
	})
	return vs, next, err
}
