package storage

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/dgraph-io/badger/v4"

	"felhom.eu/messages"
)

// WriteBodies makes the reports of a batch durable: the first half of a batch.
// It may run while WriteState writes an earlier one, at most four batches
// ahead. It must be called for batches without reports too, in order: it is
// what looks at the free space. Blocks for one sync.
//
// Errors: ErrFull and ErrOrder, nothing was written; ErrTooBig; any other is an
// unknown outcome, and from then on the store refuses everything with it.
func (db *DB) WriteBodies(b *messages.Batch) error {
	db.bodiesMu.Lock()
	defer db.bodiesMu.Unlock()
	if err := db.enter(); err != nil {
		return err
	}
	defer db.leave()
	if err := db.admitBodies(b); err != nil {
		return fmt.Errorf("batch %d: %w", b.Sequence, err)
	}
	if err := db.writeBlob(b); err != nil {
		err = fmt.Errorf("write bodies of batch %d: %w", b.Sequence, err)
		if errors.Is(err, ErrTooBig) {
			return err
		}
		return db.fail(err)
	}
	db.mu.Lock()
	db.bodies = b.Sequence
	db.mu.Unlock()
	return nil
}

func (db *DB) admitBodies(b *messages.Batch) error {
	db.mu.Lock()
	state, bodies := db.meta.Batch, db.bodies
	db.mu.Unlock()
	if b.Sequence == 0 || b.Sequence < state || b.Sequence > bodies+1 || b.Sequence > state+maxBodiesAhead {
		return fmt.Errorf("%w: bodies are at %d, state is at %d", ErrOrder, bodies, state)
	}
	s, err := db.o.space(db.dir)
	if err != nil {
		return db.fail(err)
	}
	need := db.reserve
	for i := range b.Reports {
		need += uint64(len(b.Reports[i].Body))
	}
	if s.free < need {
		return fmt.Errorf("%w: %d bytes free, %d must be", ErrFull, s.free, need)
	}
	return nil
}

func (db *DB) writeBlob(b *messages.Batch) error {
	if len(b.Reports) == 0 {
		return nil
	}
	store, err := db.storeOf(b.Day())
	if err != nil {
		return err
	}
	key := blobKey(b.Sequence)
	v, err := db.packer.pack(key, b.Reports) // Badger has copied it when the update returns
	if err != nil {
		return err
	}
	if len(v) > historyLogFile {
		return fmt.Errorf("%w: %d bytes of reports, the limit is %d", ErrTooBig, len(v), historyLogFile)
	}
	txn := store.db.NewTransaction(true)
	defer txn.Discard()
	if err := txn.Set(key, v); err != nil {
		return err
	}
	return store.db.commit(txn, len(v))
}

// storeOf is the day's store, held until the day changes.
func (db *DB) storeOf(day uint32) (*dayStore, error) {
	if db.today != nil && db.today.day == day {
		return db.today, nil
	}
	s, err := db.history.acquire(day, true)
	if errors.Is(err, ErrCorrupt) {
		if err := db.history.quarantine(day); err != nil {
			return nil, err
		}
		s, err = db.history.acquire(day, true)
	}
	if err != nil {
		return nil, err
	}
	if db.today != nil {
		db.history.release(db.today)
	}
	db.today = s
	return s, nil
}

// WriteState makes the rest of a batch durable, after its bodies. Blocks for
// one sync. Writing the newest batch again changes nothing.
//
// Errors: ErrOrder and ErrTooBig, nothing was written; any other is an unknown
// outcome, and from then on the store refuses everything with it.
func (db *DB) WriteState(b *messages.Batch) error {
	db.stateMu.Lock()
	defer db.stateMu.Unlock()
	if err := db.enter(); err != nil {
		return err
	}
	defer db.leave()
	db.mu.Lock()
	m, bodies := db.meta, db.bodies
	db.mu.Unlock()
	if b.Sequence == 0 || b.Sequence > bodies || b.Sequence != m.Batch && b.Sequence != m.Batch+1 {
		return fmt.Errorf("batch %d: %w: bodies are at %d, state is at %d", b.Sequence, ErrOrder, bodies, m.Batch)
	}
	next, err := db.apply(b, m)
	if err != nil {
		err = fmt.Errorf("write state of batch %d: %w", b.Sequence, err)
		if errors.Is(err, ErrTooBig) || errors.Is(err, ErrOrder) {
			return err
		}
		return db.fail(err)
	}
	db.mu.Lock()
	db.meta = next
	db.mu.Unlock()
	return nil
}

// apply writes a batch in one transaction and returns what meta is then.
func (db *DB) apply(b *messages.Batch, m meta) (meta, error) {
	w := batchWriter{db: db, batch: b, again: b.Sequence == m.Batch, meta: m, hosts: int64(m.Hosts)}
	w.txn = db.state.NewTransaction(true)
	defer w.txn.Discard()
	w.before = db.state.NewTransaction(false)
	defer w.before.Discard()
	if err := w.all(); err != nil {
		return meta{}, err
	}
	w.meta.Batch, w.meta.BatchAt, w.meta.Ledger = b.Sequence, b.At.UTC(), b.Ledger
	w.meta.Hosts = uint64(max(0, w.hosts))
	if err := w.put(metaKey, func(e *encoder) { e.meta(&w.meta) }); err != nil {
		return meta{}, err
	}
	return w.meta, db.state.commit(w.txn, w.largest)
}

// batchWriter is one batch on its way into one transaction.
type batchWriter struct {
	db      *DB
	batch   *messages.Batch
	again   bool // it is durable already
	txn     *badger.Txn
	before  *badger.Txn // the state before the batch
	enc     encoder     // holds the values until the commit
	largest int         // of the values, in bytes
	meta    meta
	hosts   int64
}

// errBatch is an ErrOrder about what is in a batch.
func errBatch(what string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrOrder, fmt.Sprintf(what, args...))
}

// all applies the commands, what is new before what changes before what goes.
func (w *batchWriter) all() error {
	b := w.batch
	for _, step := range []func() error{
		func() error { return every(b.PutCustomers, w.putCustomer) },
		func() error { return every(b.PutHosts, w.putHost) },
		func() error { return every(b.PutKeys, w.putKey) },
		func() error { return every(b.PutRoutes, w.putRoute) },
		func() error { return every(b.PutRules, w.putRules) },
		func() error { return every(b.PutTokens, w.putToken) },
		func() error { return every(b.PutUsers, w.putUser) },
		func() error { return every(b.PutSessions, w.putSession) },
		func() error { return w.audits(b.Audit) },
		func() error { return every(b.Hosts, w.hostState) },
		func() error { return every(b.Controllers, w.controllerState) },
		func() error { return w.mergeGuests(b.Guests) },
		func() error { return every(b.Standings, w.putStanding) },
		func() error { return every(b.Months, w.putMonth) },
		func() error { return every(b.Outages, w.putOutage) },
		func() error { return every(b.Events, w.nextEvent) },
		func() error { return w.deliveries(b.Deliveries) },
		func() error { return every(b.Alarms, w.putAlarm) },
		func() error { return w.traces(b.Traces) },
		func() error { return every(b.PutSilences, w.putSilence) },
		func() error { return every(b.DelRoutes, w.delRoute) },
		func() error { return every(b.DelTokens, w.delToken) },
		func() error { return every(b.DelSilences, w.delSilence) },
		func() error { return every(b.PutDeadlines, w.putDeadline) },
		func() error { return every(b.DelDeadlines, w.delDeadline) },
		func() error { return every(b.DelControllers, w.delController) },
		func() error { return every(b.DelUsers, w.delUser) },
		func() error { return every(b.DelSessions, w.delSession) },
		func() error { return every(b.DelHosts, w.delHost) },
		func() error { return every(b.DelCustomers, w.delCustomer) },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func every[T any](vs []T, fn func(*T) error) error {
	for i := range vs {
		if err := fn(&vs[i]); err != nil {
			return err
		}
	}
	return nil
}

func (w *batchWriter) putCustomer(c *messages.Customer) error {
	return w.put(textKey(prefixCustomer, c.ID), func(e *encoder) { e.customer(c) })
}

func (w *batchWriter) putRoute(r *messages.Route) error {
	return w.put(textKey(prefixRoute, r.ID), func(e *encoder) { e.route(r) })
}

func (w *batchWriter) delCustomer(id *messages.CustomerID) error {
	return errors.Join(w.unmark(textKey(prefixCustomer, *id)), w.unmark(rulesKey(*id, "")),
		w.drop(underKey(prefixController, *id)), w.drop(underKey(prefixDeadline, *id)), w.revokeKeys("", *id))
}

func (w *batchWriter) delRoute(id *messages.RouteID) error {
	return w.unmark(textKey(prefixRoute, *id))
}

// hostState writes a host's reality, whose newest body must be durable.
func (w *batchWriter) hostState(s *messages.HostState) error {
	b := w.batch
	switch at := s.Last; {
	case at.Batch > b.Sequence:
		return errBatch("host %s points to the later batch %d", s.ID, at.Batch)
	case at.Batch == b.Sequence && (at.Day != b.Day() || int(at.Entry) >= len(b.Reports) || b.Reports[at.Entry].HostID != s.ID):
		return errBatch("host %s points to entry %d of day %d, which is not its report", s.ID, at.Entry, at.Day)
	}
	return w.putState(s)
}

// nextEvent holds events to their order: each has the next sequence and a
// greater id. A batch that is written again brings the ones it brought.
func (w *batchWriter) nextEvent(v *messages.Event) error {
	m := &w.meta
	if !w.again && (v.Sequence != m.Event+1 || v.ID <= m.EventID) || w.again && v.Sequence > m.Event {
		return errBatch("event %s with sequence %d after %s with %d", v.ID, v.Sequence, m.EventID, m.Event)
	}
	if !w.again {
		m.Event, m.EventID = v.Sequence, v.ID
	}
	return w.event(v)
}

// deliveries may come in any order, but the new ones have the next sequences.
func (w *batchWriter) deliveries(vs []messages.Delivery) error {
	last, fresh := w.meta.Delivery, map[uint64]bool{}
	for i := range vs {
		if n := vs[i].Sequence; n > w.meta.Delivery {
			fresh[n] = true
			last = max(last, n)
		}
	}
	if uint64(len(fresh)) != last-w.meta.Delivery || w.again && len(fresh) > 0 {
		return errBatch("%d new deliveries up to %d after %d", len(fresh), last, w.meta.Delivery)
	}
	w.meta.Delivery = last
	return every(vs, w.delivery)
}

func (w *batchWriter) put(key []byte, fill func(*encoder)) error {
	v := w.enc.seal(key, fill)
	w.largest = max(w.largest, len(v))
	return w.written(key, w.txn.Set(key, v))
}

// mark writes a row that says all by being there.
func (w *batchWriter) mark(key []byte) error { return w.put(key, func(*encoder) {}) }

func (w *batchWriter) unmark(key []byte) error { return w.written(key, w.txn.Delete(key)) }

func (w *batchWriter) written(key []byte, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, badger.ErrTxnTooBig):
		return fmt.Errorf("%w: a transaction takes %d rows and %d bytes", ErrTooBig,
			w.db.state.MaxBatchCount(), w.db.state.MaxBatchSize())
	}
	return fmt.Errorf("write key %q: %w", key, err)
}

// drop deletes all rows with a prefix.
func (w *batchWriter) drop(prefix []byte) error {
	var keys [][]byte
	err := w.rows(prefix, func(key, _ []byte) error {
		keys = append(keys, bytes.Clone(key))
		return nil
	})
	if err != nil {
		return err
	}
	for _, key := range keys {
		if err := w.unmark(key); err != nil {
			return err
		}
	}
	return nil
}

// missing reports whether there is no row, what the batch wrote included.
func (w *batchWriter) missing(key []byte) (bool, error) {
	_, err := w.txn.Get(key)
	if errors.Is(err, badger.ErrKeyNotFound) {
		return true, nil
	}
	return false, err
}

// rows walks rows as the batch left them so far.
func (w *batchWriter) rows(prefix []byte, fn func(key, value []byte) error) error {
	return walk(w.txn, query{prefix: prefix}, fn)
}
