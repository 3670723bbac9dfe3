package storage

import (
	"fmt"
	"time"

	"felhom.eu/messages"
)

// meta is what state/ says of itself, as of its last batch.
type meta struct {
	Batch    uint64
	BatchAt  time.Time
	Ledger   messages.Ledger
	Event    uint64
	EventID  messages.EventID
	Delivery uint64
	Hosts    uint64
	Audit    uint64
}

func (e *encoder) meta(m *meta) {
	e.uint(m.Batch)
	e.time(m.BatchAt)
	e.int(int64(m.Ledger.Listened))
	e.time(m.Ledger.At)
	e.uint(m.Event)
	e.text(string(m.EventID))
	e.uint(m.Delivery)
	e.uint(m.Hosts)
	if m.Audit > 0 {
		e.uint(m.Audit)
	}
}

func (d *decoder) meta([]byte) meta {
	m := meta{
		Batch:    d.uint(),
		BatchAt:  d.time(),
		Ledger:   messages.Ledger{Listened: messages.Listened(d.int()), At: d.time()},
		Event:    d.uint(),
		EventID:  messages.EventID(d.text()),
		Delivery: d.uint(),
		Hosts:    d.uint(),
	}
	if d.more() {
		m.Audit = d.uint()
	}
	return m
}

// LossKind says what was lost.
type LossKind byte

// The kinds of losses.
const (
	LossBatches    LossKind = iota + 1 // sequence numbers of batches
	LossEvents                         // sequence numbers of events
	LossDeliveries                     // sequence numbers of deliveries
	LossHosts                          // From to To hosts were known, fewer are there
	LossMarks                          // the high-water marks are gone: a loss cannot be ruled out
)

var lossNames = [...]string{"unknown", "batches", "events", "deliveries", "hosts", "high-water marks"}

// Loss is a range of what was durable once and is not there any more. From and
// To are inclusive.
type Loss struct {
	Kind     LossKind
	From, To uint64
	FoundAt  time.Time
}

// String says it in words, such as "events 91 to 100".
func (l Loss) String() string {
	if int(l.Kind) >= len(lossNames) {
		l.Kind = 0
	}
	if l.Kind == LossMarks {
		return lossNames[LossMarks]
	}
	return fmt.Sprintf("%s %d to %d", lossNames[l.Kind], l.From, l.To)
}

func (e *encoder) loss(l *Loss) {
	e.uint(l.To)
	e.time(l.FoundAt)
}

func (d *decoder) loss(key []byte) Loss {
	if len(key) != 10 {
		d.fail(errRange)
		return Loss{}
	}
	k := decoder{b: key[2:]}
	return Loss{Kind: LossKind(key[1]), From: k.fixed(), To: d.uint(), FoundAt: d.time()}
}

// Losses lists every loss that was ever found in this store.
func (db *DB) Losses() ([]Loss, error) {
	return list(db, query{prefix: []byte{prefixLoss}}, 0, (*decoder).loss, nil)
}
