package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"
)

// What a batch is to the hub's storage: the bodies in one value of the day's
// store, then a row for each host and one for itself in the store of states.
const (
	stateBytes = 123 // of a host's row, as the bench's hosts have them
	metaBytes  = 37
)

type stores struct{ history, state *badger.DB }

// Close implements io.Closer.
func (s stores) Close() error { return errors.Join(s.history.Close(), s.state.Close()) }

// openBadger opens both stores with the hub's options, which are in
// storage/db.go; only the advice on its mappings is left out.
func openBadger(dir string) (commit, io.Closer, error) {
	history, err := badger.Open(common(filepath.Join(dir, "history")).
		WithMemTableSize(8 << 20).WithValueThreshold(512).WithValueLogFileSize(64 << 20).WithNumMemtables(2))
	if err != nil {
		return nil, nil, err
	}
	state, err := badger.Open(common(filepath.Join(dir, "state")).
		WithMemTableSize(64 << 20).WithValueThreshold(1 << 20).WithValueLogFileSize(16 << 20).WithNumMemtables(3))
	if err != nil {
		return nil, nil, errors.Join(err, history.Close())
	}
	w := batchWriter{stores: stores{history, state}}
	return w.commit, w.stores, nil
}

func common(dir string) badger.Options {
	return badger.DefaultOptions(dir).WithLogger(nil).WithSyncWrites(true).WithDetectConflicts(false).
		WithCompression(options.None).WithBlockCacheSize(0).WithNumCompactors(2).WithMetricsEnabled(false)
}

// batchWriter counts what it wrote.
type batchWriter struct {
	stores
	batches, reports uint64
	blob             []byte
}

func (w *batchWriter) commit(bodies [][]byte) error {
	w.batches++
	w.blob = w.blob[:0]
	for _, b := range bodies {
		w.blob = append(w.blob, b...)
	}
	if err := w.history.Update(func(txn *badger.Txn) error {
		return txn.Set(binary.BigEndian.AppendUint64([]byte{'b'}, w.batches), w.blob)
	}); err != nil {
		return fmt.Errorf("bodies: %w", err)
	}
	return w.state.Update(func(txn *badger.Txn) error {
		for range bodies {
			if err := txn.Set(fmt.Appendf(nil, "sbench-%08x", w.reports%ready), make([]byte, stateBytes)); err != nil {
				return err
			}
			w.reports++
		}
		return txn.Set([]byte{'m'}, make([]byte, metaBytes))
	})
}
