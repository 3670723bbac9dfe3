package storage

import (
	"bytes"
	"encoding/binary"
	"time"

	"github.com/dgraph-io/badger/v4"

	"felhom.eu/messages"
)

// tracesKey is what the keys of a day's traces begin with.
func tracesKey(day uint32) []byte { return binary.BigEndian.AppendUint32([]byte{prefixTrace}, day) }

// traceKey is where the i-th trace of a batch is.
func traceKey(day uint32, batch uint64, i int) []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint64(tracesKey(day), batch), uint32(i))
}

func (e *encoder) trace(t *messages.Trace) {
	e.byte(byte(t.Kind))
	e.time(t.At)
	switch t.Kind {
	case messages.TraceClock:
		e.int(int64(t.Listened))
		e.int(int64(t.Resumed))
	case messages.TraceGoodbye:
		e.text(string(t.HostID))
		e.time(t.Goodbye.SentAt)
		e.text(t.Goodbye.Reason)
		e.bool(t.Goodbye.BackBy != nil)
		if t.Goodbye.BackBy != nil {
			e.time(*t.Goodbye.BackBy)
		}
		e.text(t.Goodbye.Stream)
	case messages.TraceRepeat:
		r := &t.Report
		e.text(string(t.HostID))
		e.fixed(r.StreamHash)
		e.uint(r.Sequence)
		e.fixed(r.BootHash)
		e.int(r.ReportedAt)
		e.int(r.SentAt)
		e.uint(uint64(r.UptimeSecs))
		e.text(string(r.AgentEnd))
		e.text(string(r.MachineEnd))
	}
}

func (d *decoder) trace([]byte) messages.Trace {
	t := messages.Trace{Kind: messages.TraceKind(d.byte()), At: d.time()}
	switch t.Kind {
	case messages.TraceClock:
		t.Listened, t.Resumed = messages.Listened(d.int()), messages.Listened(d.int())
	case messages.TraceGoodbye:
		t.HostID = messages.HostID(d.text())
		t.Goodbye = messages.Goodbye{SentAt: d.time(), Reason: d.text()}
		t.Goodbye.BackBy = d.timeIf(d.bool())
		t.Goodbye.Stream = d.text()
	case messages.TraceRepeat:
		t.HostID = messages.HostID(d.text())
		t.Report = messages.Summary{
			HostID: t.HostID, StreamHash: d.fixed(), Sequence: d.uint(), BootHash: d.fixed(), ReportedAt: d.int(), SentAt: d.int(),
			UptimeSecs: uint32(d.upTo(1<<32 - 1)), AgentEnd: messages.AgentEnd(d.text()), MachineEnd: messages.MachineEnd(d.text()),
		}
	default:
		d.fail(errRange)
	}
	return t
}

// EachTrace calls fn for every trace with its batch, in the order of batches, until fn
// fails.
func (db *DB) EachTrace(fn func(batch uint64, t messages.Trace) error) error {
	return db.view(func(txn *badger.Txn) error {
		return walk(txn, query{prefix: []byte{prefixTrace}}, func(key, value []byte) error {
			t, err := decode(key, value, (*decoder).trace)
			if err != nil {
				return err
			}
			if len(key) != len(traceKey(0, 0, 0)) {
				return corrupt(key, "a trace's key of %d bytes", len(key))
			}
			return fn(binary.BigEndian.Uint64(key[5:]), t)
		})
	})
}

func (w *batchWriter) traces(ts []messages.Trace) error {
	for i := range ts {
		if err := w.put(traceKey(w.batch.Day(), w.batch.Sequence, i), func(e *encoder) { e.trace(&ts[i]) }); err != nil {
			return err
		}
	}
	return nil
}

// EachReport calls fn for every stored report of the days from one instant to another
// that wanted wants by its head, in the order of batches, until fn fails. The body is
// the caller's for the call. What is damaged is passed over and counted; a day that is
// being read cannot be dropped.
func (db *DB) EachReport(from, to time.Time, wanted func(*messages.StoredReport) bool, fn func(batch uint64, r messages.StoredReport) error) (damaged int, err error) {
	if err := db.enter(); err != nil {
		return 0, err
	}
	defer db.leave()
	days, err := db.history.list()
	if err != nil {
		return 0, err
	}
	for _, day := range days {
		if int64(day) < from.Unix()/86400 || int64(day) > to.Unix()/86400 {
			continue
		}
		n, err := db.reportsOf(day, wanted, fn)
		damaged += n
		if err != nil {
			return damaged, err
		}
	}
	return damaged, nil
}

func (db *DB) reportsOf(day uint32, wanted func(*messages.StoredReport) bool, fn func(uint64, messages.StoredReport) error) (damaged int, err error) {
	s, err := db.history.acquire(day, false)
	if err != nil { // dropped just now, or damaged as a whole
		return 1, nil
	}
	defer db.history.release(s)
	return damaged, s.each(func(key, value []byte) error {
		b, err := openBlob(bytes.Clone(key), value)
		if err != nil {
			damaged++
			return nil
		}
		for i := range b.count {
			r, _, err := b.head(i)
			if err == nil && !wanted(&r) {
				continue
			}
			if err == nil {
				r.Body, err = b.body(i)
			}
			if err != nil {
				damaged++
				continue
			}
			if err := fn(binary.BigEndian.Uint64(key), r); err != nil {
				return err
			}
		}
		return nil
	})
}
