package app

import (
	"context"
	"slices"
	"sync"
	"testing"

	"felhom.eu/actors"
	"felhom.eu/messages"
	"felhom.eu/storage"
)

// tape is a store in memory that keeps its batches: Badger's own timers make a month of
// virtual time long. What is on it is put into a real store afterwards.
type tape struct {
	actors.Memory // for what is not asked of it

	mu        sync.Mutex
	batches   []*messages.Batch
	past      actors.Past
	hosts     map[messages.HostID]messages.Host
	states    map[messages.HostID]messages.HostState
	standings map[messages.HostID]messages.Standing
}

func newTape() *tape {
	return &tape{hosts: map[messages.HostID]messages.Host{}, states: map[messages.HostID]messages.HostState{}, standings: map[messages.HostID]messages.Standing{}}
}

// onto writes the tape into a store.
func (p *tape) onto(t *testing.T, dir string) {
	t.Helper()
	db := openReplayed(t, dir)
	defer db.Close()
	for _, b := range p.batches {
		if err := db.WriteBodies(b); err != nil {
			t.Fatal(err)
		}
		if err := db.WriteState(b); err != nil {
			t.Fatal(err)
		}
	}
}

func openReplayed(t *testing.T, dir string) *storage.DB {
	t.Helper()
	db, err := storage.Open(dir, storage.Options{UnsafeNoSync: true, MinFreeBytes: 1, MemTableBytes: 8 << 20})
	if err != nil {
		t.Fatal(err)
	}
	return db
}

func (p *tape) WriteBodies(*messages.Batch) error { return nil }

func (p *tape) WriteState(b *messages.Batch) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	kept := *b
	kept.Reports = slices.Clone(b.Reports)
	for i := range kept.Reports { // the memory is used again
		kept.Reports[i].Body = slices.Clone(kept.Reports[i].Body)
	}
	for i := range kept.Standings {
		kept.Standings[i].Guests, kept.Standings[i].Problems = slices.Clone(b.Standings[i].Guests), slices.Clone(b.Standings[i].Problems)
	}
	p.batches = append(p.batches, &kept)
	p.past.Batch, p.past.BatchAt, p.past.Ledger = b.Sequence, b.At, b.Ledger
	for _, e := range b.Events {
		p.past.Event, p.past.NewestID = e.Sequence, string(e.ID)
	}
	for _, d := range b.Deliveries {
		p.past.Delivery = max(p.past.Delivery, d.Sequence)
		p.past.Pending = slices.DeleteFunc(slices.Clone(p.past.Pending), func(x messages.Delivery) bool { return x.ID == d.ID })
		if d.State == messages.DeliveryPending {
			p.past.Pending = append(p.past.Pending, d)
		}
	}
	for _, h := range b.PutHosts {
		p.hosts[h.ID] = h
	}
	for _, s := range b.Hosts {
		p.states[s.ID] = s
	}
	for _, s := range kept.Standings {
		p.standings[s.HostID] = s
	}
	p.past.Customers = append(p.past.Customers, b.PutCustomers...)
	p.past.Routes = append(p.past.Routes, b.PutRoutes...)
	p.past.Rules = append(p.past.Rules, b.PutRules...)
	for _, a := range b.Alarms {
		p.past.Alarms = slices.DeleteFunc(slices.Clone(p.past.Alarms), func(x messages.Alarm) bool { return x.ID == a.ID })
		if a.Open() || len(a.Pending) > 0 {
			p.past.Alarms = append(p.past.Alarms, a)
		}
	}
	p.past.Hosts = len(p.hosts)
	return nil
}

func (p *tape) events() (es []messages.Event) {
	for _, b := range p.batches {
		es = append(es, b.Events...)
	}
	return es
}

func (p *tape) HostState(id messages.HostID) (messages.HostState, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.states[id], nil
}

func (p *tape) Host(id messages.HostID) (messages.Host, messages.HostState, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.hosts[id], p.states[id], nil
}

func (p *tape) EachHost(from, until messages.HostID, fn func(messages.Host, messages.HostState) error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for id, h := range p.hosts {
		if id < from || until != "" && id >= until {
			continue
		}
		if err := fn(h, p.states[id]); err != nil {
			return err
		}
	}
	return nil
}

func (p *tape) Standing(id messages.HostID) (messages.Standing, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.standings[id]
	s.Guests, s.Problems, s.Sections = slices.Clone(s.Guests), slices.Clone(s.Problems), slices.Clone(s.Sections)
	return s, nil
}

func (p *tape) LastBodies(messages.HostID, messages.ReportRef, int) ([][]byte, error) {
	return nil, nil
}

func (p *tape) EventsByID(ids []messages.EventID) (es []messages.Event, err error) {
	return make([]messages.Event, len(ids)), nil
}

func (p *tape) Days() ([]uint32, error)            { return nil, nil }
func (p *tape) Unrolled(uint32) ([]uint32, error)  { return nil, nil }
func (p *tape) Roll(context.Context, uint32) error { return nil }
func (p *tape) DropRollups(uint32) (int, error)    { return 0, nil }
