package actors

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"felhom.eu/messages"
	"felhom.eu/storage"
)

// simStore puts a model's writes into the real store, and at every start reads
// them back: what the store gives must be what the model knows to be durable, and
// is what the model goes on with. A kill leaves the files as they are at that
// instant. A nil simStore keeps nothing: a model's own memory is its disk then.
//
// It draws no chance, so a seed's story is the same with and without it.
type simStore struct {
	hub   *modelHub
	blame func(format string, args ...any)
	root  string // of the lives' directories
	life  int    // of the process; each that was killed left a copy to the next
	db    *storage.DB

	sequence uint64
	reports  map[messages.HostID][]string // the bodies that are durable, oldest first
	events   []messages.Event             // that are durable
	spoil    func(*messages.Batch)        // what goes wrong on the way to the store, in a test of the comparison
}

func newSimStore(h *modelHub, root string, blame func(string, ...any)) *simStore {
	s := &simStore{hub: h, root: root, blame: blame, reports: map[messages.HostID][]string{}}
	s.open()
	b := messages.Batch{PutCustomers: []messages.Customer{h.acme, {ID: "umbra"}}, PutRoutes: h.post.routes}
	for i := range h.states {
		b.PutHosts = append(b.PutHosts, messages.Host{ID: h.states[i].ID, CustomerID: "acme", PollIntervalSeconds: h.own[i]})
	}
	b.Hosts = h.states
	s.write(b)
	s.close()
	return s
}

func (s *simStore) dir() string { return filepath.Join(s.root, fmt.Sprintf("life%d", s.life)) }

// must blames what the store does not do; after that it is left alone.
func (s *simStore) must(what string, err error) bool {
	if err != nil {
		s.blame("%s: %v", what, err)
		s.close()
	}
	return err == nil
}

func (s *simStore) open() {
	db, err := storage.Open(s.dir(), storage.Options{UnsafeNoSync: true, MinFreeBytes: 1, MemTableBytes: 8 << 20})
	if err == nil {
		s.db = db
	}
	s.must("open", err)
}

func (s *simStore) close() {
	if s != nil && s.db != nil {
		db := s.db
		s.db = nil
		s.must("close", db.Close())
	}
}

// kill leaves what the files hold, without the store's own goodbye to them.
func (s *simStore) kill() {
	if s == nil || s.db == nil {
		return
	}
	before := s.dir()
	s.life++
	out, err := exec.Command("cp", "-r", before, s.dir()).CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%w: %s", err, out)
	}
	if s.must("copy the files", err) {
		s.close()
		s.must("remove the old life", os.RemoveAll(before))
	}
}

// next is the batch that a write becomes.
func (s *simStore) next(b messages.Batch) *messages.Batch {
	b.Sequence, b.At, b.Ledger = s.sequence+1, s.hub.read().Wall, s.hub.ledger
	for i := range b.Reports {
		b.Reports[i].ID = messages.ReportID(fmt.Sprintf("R%010d", b.Sequence))
	}
	return &b
}

// write makes a batch durable, both halves.
func (s *simStore) write(b messages.Batch) {
	if s == nil || s.db == nil {
		return
	}
	next := s.next(b)
	s.events = append(s.events, next.Events...)
	for _, r := range next.Reports {
		s.reports[r.HostID] = append(s.reports[r.HostID], string(r.Body))
	}
	for _, id := range next.DelHosts {
		delete(s.reports, id)
	}
	if s.spoil != nil {
		s.spoil(next)
	}
	if !s.must("write bodies", s.db.WriteBodies(next)) || !s.must("write state", s.db.WriteState(next)) {
		return
	}
	s.sequence++
}

// tear is a kill between the halves, of every other batch: the bodies are there.
func (s *simStore) tear(b messages.Batch) {
	if s == nil || s.db == nil || s.sequence%2 == 0 {
		return
	}
	s.must("write bodies", s.db.WriteBodies(s.next(b)))
}

// report is what the writer makes of a report; nil without a store.
func (s *simStore) report(last messages.ReportRef, id messages.HostID, r *messages.Summary, v verdict) *messages.StoredReport {
	if s == nil {
		return nil
	}
	return &messages.StoredReport{HostID: id, ReceivedAt: s.hub.read().Wall, ReportedAt: time.Unix(0, r.ReportedAt), Previous: last,
		Older: v == older, Body: fmt.Appendf(nil, "%s %x %d", id, r.StreamHash, r.Sequence)}
}

// place is where the next batch's report will lie.
func (s *simStore) place() messages.ReportRef {
	b := messages.Batch{Sequence: s.sequence + 1, At: s.hub.read().Wall}
	return messages.ReportRef{Day: b.Day(), Batch: b.Sequence}
}

// reopen is a process's start: the model goes on with what the store has.
func (s *simStore) reopen() {
	if s == nil {
		return
	}
	if s.open(); s.db != nil {
		s.compare()
	}
}

// compare holds what the store has against what is durable, and puts the former
// in the latter's place.
func (s *simStore) compare() {
	h, p := s.hub, s.hub.post
	was := s.db.Recovery()
	s.same("losses", was.Lost, []storage.Loss(nil))
	s.same("batch", was.BatchSequence, s.sequence)
	s.same("ledger", was.Ledger, h.ledger)
	h.ledger = was.Ledger
	numbers := mark{event: was.EventSequence, delivery: was.DeliverySequence}
	s.same("numbers", numbers, p.numbers)
	p.numbers = numbers

	acme, err := s.db.Customer(h.acme.ID)
	s.must("read the customer", err)
	s.same("customer", acme, h.acme)
	h.acme = acme

	states := map[messages.HostID]messages.HostState{}
	s.must("read hosts", s.db.EachHost("", "", func(host messages.Host, state messages.HostState) error {
		states[host.ID] = state
		return nil
	}))
	s.same("number of hosts", len(states), len(h.states))
	for i := range h.states {
		state := states[h.states[i].ID]
		s.same("host", state, h.states[i])
		h.states[i] = state
	}
	s.compareControllers()
	s.compareDeliveries()
	s.compareAlarms()
	s.compareHistory()
}

func (s *simStore) compareDeliveries() {
	p := s.hub.post
	routes, err := s.db.Routes()
	s.must("read routes", err)
	byID := func(a, b messages.Route) int { return cmp.Compare(a.ID, b.ID) }
	s.same("routes", routes, slices.SortedFunc(slices.Values(p.routes), byID))
	p.routes = routes

	all, err := s.db.Deliveries(storage.DeliveryFilter{}, "", len(p.rows)+1)
	s.must("read deliveries", err)
	rows := map[messages.DeliveryID]messages.Delivery{}
	for _, d := range all {
		rows[d.ID] = d
	}
	for id := range p.rows {
		s.same("delivery", rows[id], p.rows[id])
	}
	s.same("number of deliveries", len(rows), len(p.rows))
	p.rows = rows

	pending := map[messages.DeliveryID]messages.Delivery{}
	s.must("read what is pending", s.db.EachPendingDelivery(func(d messages.Delivery) error {
		pending[d.ID] = d
		return nil
	}))
	for id, d := range rows {
		_, waits := pending[id]
		s.same("a delivery's waiting", waits, d.State == messages.DeliveryPending)
	}
}

// compareAlarms holds what is wrong, and what is yet to be told of it, against what is durable.
func (s *simStore) compareAlarms() {
	p, rows := s.hub.post, map[messages.IncidentID]messages.Alarm{}
	s.must("read alarms", s.db.EachAlarm(func(a messages.Alarm) error {
		rows[a.ID] = a
		return nil
	}))
	for id := range p.alarms {
		s.same("alarm", rows[id], p.alarms[id])
	}
	s.same("number of alarms", len(rows), len(p.alarms))
	p.alarms = rows
}

// compareHistory reads every event and report.
func (s *simStore) compareHistory() {
	events, err := s.db.Events(storage.EventFilter{}, "", len(s.events)+1)
	s.must("read events", err)
	s.same("number of events", len(events), len(s.events))
	for i := range events[:min(len(events), len(s.events))] {
		s.same("event", events[i], s.events[i])
	}
	for i := range s.hub.states {
		id := s.hub.states[i].ID
		rows, _, err := s.db.Reports(id, messages.ReportRef{}, 0)
		s.must("read reports", err)
		s.same("number of reports", len(rows), len(s.reports[id]))
		for j := range rows[:min(len(rows), len(s.reports[id]))] {
			body, err := s.db.Body(rows[j].Ref)
			s.must("read a report", err)
			s.same("report", string(body), s.reports[id][len(rows)-1-j])
		}
	}
}

func (s *simStore) same(what string, got, want any) {
	if !reflect.DeepEqual(got, want) {
		s.blame("%s: the store has %+v, durable is %+v", what, got, want)
	}
}

// end closes the store, reads it once more and has it checked, row by row.
func (s *simStore) end() {
	if s == nil || s.db == nil {
		return
	}
	s.kill()
	s.reopen()
	s.close()
	stats, err := storage.Check(s.dir())
	s.must("check", err)
	for _, problem := range stats.Problems {
		s.blame("check: %s", problem)
	}
	s.same("events counted", stats.Events, uint64(len(s.events)))
	s.same("deliveries counted", stats.Deliveries, uint64(len(s.hub.post.rows)))
	s.same("hosts counted", stats.Hosts, uint64(len(s.hub.states)))
	s.must("clean up", os.RemoveAll(s.root))
}

// TestStoreChangesNoStory protects the comparison's ground: a fleet on the real
// store lives the very story that it lives without, and every seed tells it again.
func TestStoreChangesNoStory(t *testing.T) {
	skipRaced(t)
	for seed := uint64(1); seed <= 2; seed++ {
		fast, real := newWorld(seed, faithful, 3), newWorld(seed, faithful, 3).onStore(t.TempDir())
		fast.ends, real.ends = 24*time.Hour, 24*time.Hour
		a, b := fast.run(), real.run()
		if len(b.problems) > 0 || a.tally != b.tally || !slices.Equal(fast.log, real.log) {
			t.Errorf("seed %d: %+v in memory, %+v on the store, %v", seed, a.tally, b.tally, b.problems)
		}
	}
}

// TestStoreIsHeldToTheTruth protects the simulation on the store: what is lost or
// twisted there by a single batch must be told.
func TestStoreIsHeldToTheTruth(t *testing.T) {
	skipRaced(t)
	ways := map[string]func(*messages.Batch) bool{
		"a host's state is lost": func(b *messages.Batch) bool {
			lost := len(b.Hosts) > 0
			b.Hosts = nil
			return lost
		},
		"an outcome is lost": func(b *messages.Batch) bool {
			lost := len(b.Events) == 0 && len(b.Deliveries) > 0 && b.Deliveries[0].State == messages.DeliverySent
			if lost {
				b.Deliveries = nil
			}
			return lost
		},
		"an event says another word": func(b *messages.Batch) bool {
			if len(b.Events) == 0 {
				return false
			}
			b.Events = slices.Clone(b.Events)
			b.Events[0].Summary += "!"
			return true
		},
		"a controller's state is lost": func(b *messages.Batch) bool {
			lost := len(b.Controllers) > 0
			b.Controllers = nil
			return lost
		},
		"what is pending of an alarm is lost": func(b *messages.Batch) bool {
			i := slices.IndexFunc(b.Alarms, func(a messages.Alarm) bool { return len(a.Pending) > 0 && a.Open() })
			if i < 0 {
				return false
			}
			b.Alarms = slices.Clone(b.Alarms)
			b.Alarms[i].Pending = nil
			return true
		},
		"an alarm's end is lost": func(b *messages.Batch) bool {
			ended := func(a messages.Alarm) bool { return !a.Open() }
			lost := slices.ContainsFunc(b.Alarms, ended)
			b.Alarms = slices.DeleteFunc(slices.Clone(b.Alarms), ended)
			return lost
		},
		"a report is another's": func(b *messages.Batch) bool {
			if len(b.Reports) == 0 {
				return false
			}
			b.Reports[0].Body = []byte("acme-00000001 1 1")
			return true
		},
	}
	for what, spoil := range ways {
		t.Run(strings.ReplaceAll(what, " ", "_"), func(t *testing.T) {
			w, done := newWorld(4, faithful, -1).onStore(t.TempDir()), false
			w.hub.store.spoil = func(b *messages.Batch) {
				if !done && w.hub.real > 6*time.Hour && spoil(b) {
					done, w.ends = true, w.hub.real // before a later batch mends it
				}
			}
			if o := w.run(); len(o.problems) == 0 {
				t.Error("nobody noticed")
			} else {
				t.Logf("%d problems: %s", len(o.problems), o.problems[0].text)
			}
		})
	}
}
