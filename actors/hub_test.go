package actors

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"felhom.eu/messages"
)

// fakeStore is a Memory in memory. It holds what was committed, checks that
// batches come in order, and can be full, broken or slow.
type fakeStore struct {
	mu          sync.Mutex
	full        bool
	broken      error
	slow        time.Duration // WriteState
	slowBodies  time.Duration
	limit       int           // rows that deliveries may take in a batch; 0 is none
	gate        chan struct{} // EachHost waits for it, with what it has read; nil is none
	past        Past
	bodies      uint64
	hosts       map[messages.HostID]messages.Host
	states      map[messages.HostID]messages.HostState
	events      []messages.Event
	deliveries  map[messages.DeliveryID]messages.Delivery
	reports     []messages.StoredReport
	guests      []messages.GuestsSeen
	days        []uint32
	rolled      []uint32
	rollErr     error
	onRoll      func(context.Context) error
	standings   map[messages.HostID]messages.Standing
	studied     int   // how often a standing was read
	unreadable  error // of a standing, and of the last reports
	recalled    int   // how often those were read
	slowRecall  time.Duration
	onRecall    func()
	controllers map[messages.ControllerName]messages.ControllerState
	deadlines   map[messages.DeadlineID]messages.Deadline
	alarms      map[messages.IncidentID]messages.Alarm
	silences    map[messages.SilenceID]messages.Silence
}

func newFakeStore() *fakeStore {
	return &fakeStore{
		hosts:       make(map[messages.HostID]messages.Host),
		states:      make(map[messages.HostID]messages.HostState),
		deliveries:  make(map[messages.DeliveryID]messages.Delivery),
		standings:   make(map[messages.HostID]messages.Standing),
		controllers: make(map[messages.ControllerName]messages.ControllerState),
		deadlines:   make(map[messages.DeadlineID]messages.Deadline),
		alarms:      make(map[messages.IncidentID]messages.Alarm),
		silences:    make(map[messages.SilenceID]messages.Silence),
	}
}

// set changes a knob.
func (f *fakeStore) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

func (f *fakeStore) WriteBodies(b *messages.Batch) error {
	f.mu.Lock()
	slow := f.slowBodies
	f.mu.Unlock()
	time.Sleep(slow)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.full {
		return fmt.Errorf("guard: %w", messages.ErrFull)
	}
	if b.Sequence > f.bodies+1 || b.Sequence <= f.past.Batch {
		return fmt.Errorf("batch %d after %d", b.Sequence, f.bodies)
	}
	f.bodies = b.Sequence
	return nil
}

func (f *fakeStore) WriteState(b *messages.Batch) error {
	f.mu.Lock()
	slow := f.slow
	f.mu.Unlock()
	time.Sleep(slow)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.broken != nil {
		return f.broken
	}
	if n := deliveryRows(b.Deliveries); f.limit > 0 && n > f.limit {
		return fmt.Errorf("batch %d: %d rows of deliveries", b.Sequence, n)
	}
	if b.Sequence != f.past.Batch+1 || b.Sequence > f.bodies {
		return fmt.Errorf("state of batch %d after %d, bodies at %d", b.Sequence, f.past.Batch, f.bodies)
	}
	f.past.Batch, f.past.Ledger = b.Sequence, b.Ledger
	for _, e := range b.Events {
		if e.Sequence != f.past.Event+1 || string(e.ID) <= f.past.NewestID {
			return fmt.Errorf("event %d %s after %d %s", e.Sequence, e.ID, f.past.Event, f.past.NewestID)
		}
		f.past.Event, f.past.NewestID = e.Sequence, string(e.ID)
		f.events = append(f.events, e)
	}
	for _, d := range b.Deliveries {
		f.past.Delivery = max(f.past.Delivery, d.Sequence)
		f.deliveries[d.ID] = d
	}
	f.reports = append(f.reports, copyBodies(b.Reports)...)
	f.guests = append(f.guests, b.Guests...)
	f.apply(b)
	return nil
}

func deliveryRows(ds []messages.Delivery) (n int) {
	for i := range ds {
		n += 4 + len(ds[i].Events)
	}
	return n
}

func copyBodies(rs []messages.StoredReport) []messages.StoredReport {
	rs = slices.Clone(rs)
	for i := range rs {
		rs[i].Body = slices.Clone(rs[i].Body)
	}
	return rs
}

func (f *fakeStore) apply(b *messages.Batch) {
	for _, h := range b.PutHosts {
		f.hosts[h.ID] = h
	}
	for _, s := range b.Hosts {
		f.states[s.ID] = s
	}
	for _, s := range b.Controllers {
		f.controllers[s.ControllerName] = s
	}
	for _, d := range b.PutDeadlines {
		f.deadlines[d.ID] = d
	}
	for _, d := range b.DelDeadlines {
		delete(f.deadlines, d.ID)
	}
	for _, n := range b.DelControllers {
		delete(f.controllers, n)
	}
	for _, a := range b.Alarms {
		if delete(f.alarms, a.ID); a.Open() || len(a.Pending) > 0 {
			f.alarms[a.ID] = a
		}
	}
	for _, s := range b.PutSilences {
		f.silences[s.ID] = s
	}
	for _, s := range b.Standings {
		f.standings[s.HostID] = s
	}
	f.past.Rules = append(f.past.Rules, b.PutRules...)
	for _, id := range b.DelHosts {
		delete(f.standings, id)
		delete(f.hosts, id)
		delete(f.states, id)
	}
	f.past.Customers = append(f.past.Customers, b.PutCustomers...)
	for _, r := range b.PutRoutes {
		f.past.Routes = slices.DeleteFunc(f.past.Routes, func(x messages.Route) bool { return x.ID == r.ID })
		f.past.Routes = append(f.past.Routes, r)
	}
	for _, id := range b.DelRoutes {
		f.past.Routes = slices.DeleteFunc(f.past.Routes, func(x messages.Route) bool { return x.ID == id })
	}
}

func (f *fakeStore) Standing(id messages.HostID) (messages.Standing, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.studied++
	s := f.standings[id]
	if errors.Is(f.unreadable, ErrDamaged) {
		return messages.Standing{Problems: slices.Clone(s.Problems)}, f.unreadable
	}
	s.Guests, s.Problems, s.Sections = slices.Clone(s.Guests), slices.Clone(s.Problems), slices.Clone(s.Sections)
	return s, f.unreadable
}

func (f *fakeStore) Controller(n messages.ControllerName) (messages.ControllerState, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s, ok := f.controllers[n]
	if !ok {
		return s, ErrNotFound
	}
	return s, nil
}

func (f *fakeStore) Body(at messages.ReportRef) ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if n := len(f.reports); n > 0 { // tests ask for the newest
		return f.reports[n-1].Body, nil
	}
	return nil, ErrNotFound
}

func (f *fakeStore) LastBodies(id messages.HostID, _ messages.ReportRef, n int) (bodies [][]byte, err error) {
	f.mu.Lock()
	slow := f.slowRecall
	f.mu.Unlock()
	time.Sleep(slow)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.recalled++; f.onRecall != nil {
		f.onRecall()
	}
	for _, r := range slices.Backward(f.reports) {
		if r.HostID == id && len(bodies) < n {
			bodies = append(bodies, r.Body)
		}
	}
	return bodies, f.unreadable
}

func (f *fakeStore) HostState(id messages.HostID) (messages.HostState, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s, ok := f.states[id]
	if !ok {
		return s, ErrNotFound
	}
	return s, nil
}

func (f *fakeStore) Host(id messages.HostID) (messages.Host, messages.HostState, error) {
	s, err := f.HostState(id)
	return f.hosts[id], s, err
}

func (f *fakeStore) EachHost(from, until messages.HostID, fn func(messages.Host, messages.HostState) error) error {
	f.mu.Lock()
	hosts, states, gate := maps.Clone(f.hosts), maps.Clone(f.states), f.gate
	f.mu.Unlock()
	if gate != nil {
		<-gate
	}
	for id, h := range hosts {
		if id < from || until != "" && id >= until {
			continue
		}
		if err := fn(h, states[id]); err != nil {
			return err
		}
	}
	return nil
}

func (f *fakeStore) EventsByID(ids []messages.EventID) ([]messages.Event, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var es []messages.Event
	for _, id := range ids {
		i := slices.IndexFunc(f.events, func(e messages.Event) bool { return e.ID == id })
		if i < 0 {
			return nil, ErrNotFound
		}
		es = append(es, f.events[i])
	}
	return es, nil
}

func (f *fakeStore) Days() ([]uint32, error) { return slices.Clone(f.days), nil }

func (f *fakeStore) Unrolled(today uint32) ([]uint32, error) {
	return slices.DeleteFunc(slices.Clone(f.days), func(d uint32) bool { return d >= today || slices.Contains(f.rolled, d) }), nil
}

func (f *fakeStore) Roll(ctx context.Context, day uint32) error {
	if f.rollErr != nil {
		return f.rollErr
	}
	if f.onRoll != nil {
		return f.onRoll(ctx)
	}
	f.rolled = append(f.rolled, day)
	return nil
}

func (f *fakeStore) DropRollups(uint32) (int, error) { return 0, nil }

func (f *fakeStore) DropDay(day uint32) error {
	f.days = slices.DeleteFunc(f.days, func(d uint32) bool { return d == day })
	return nil
}

// types lists the types of the events that are durable, in order.
func (f *fakeStore) types() []messages.EventType {
	f.mu.Lock()
	defer f.mu.Unlock()
	var ts []messages.EventType
	for _, e := range f.events {
		ts = append(ts, e.Type)
	}
	return ts
}

// pending is what a start of the hub finds to deliver.
func (f *fakeStore) pending() []messages.Delivery {
	ds := slices.Collect(maps.Values(f.deliveries))
	ds = slices.DeleteFunc(ds, func(d messages.Delivery) bool { return d.State != messages.DeliveryPending })
	slices.SortFunc(ds, func(a, b messages.Delivery) int { return cmp.Compare(a.Sequence, b.Sequence) })
	return ds
}

// fakeSender keeps what was sent and answers as it is told.
type fakeSender struct {
	mu     sync.Mutex
	hang   atomic.Bool                   // answers nothing until it is given up
	answer func(messages.RouteID) Answer // nil: yes to all
	sent   []sent
}

type sent struct {
	at     time.Time
	route  messages.RouteID
	id     messages.DeliveryID
	events []messages.EventType
	ok     bool
	url    messages.Secret
}

func (f *fakeSender) Send(ctx context.Context, r messages.Route, d messages.Delivery, es []messages.Event) Answer {
	if f.hang.Load() {
		<-ctx.Done()
		return Answer{Text: ctx.Err().Error()}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	s := sent{at: time.Now(), route: r.ID, id: d.ID}
	for _, e := range es {
		s.events = append(s.events, e.Type)
	}
	a := Answer{OK: true, Status: 200}
	if f.answer != nil {
		a = f.answer(r.ID)
	}
	s.ok, s.url = a.OK, r.URL
	f.sent = append(f.sent, s)
	return a
}

type noKeys struct{}

func (noKeys) Put(messages.Key)       {}
func (noKeys) Forget(messages.HostID) {}

// scene is a hub on a fake store in virtual time.
type scene struct {
	*testing.T
	hub    *Hub
	store  *fakeStore
	sender *fakeSender
	seq    map[messages.HostID]uint64
	fatal  chan error
	wait   time.Duration // group_wait
	pinger Pinger
	rules  Rules
	up     time.Duration // for how long the machine has been
}

const testHost messages.HostID = "acme-00000001"

func newScene(t *testing.T) *scene {
	w := &scene{T: t, store: newFakeStore(), sender: &fakeSender{}, seq: map[messages.HostID]uint64{}, fatal: make(chan error, 16), rules: defaultRules}
	w.store.past.Customers = []messages.Customer{{ID: "acme"}}
	w.addHost(testHost)
	return w
}

func (w *scene) addHost(id messages.HostID) {
	w.store.hosts[id] = messages.Host{ID: id, CustomerID: id.Customer()}
	w.store.states[id] = messages.HostState{ID: id}
}

// start brings the hub up on what is stored.
func (w *scene) start() {
	hub, err := NewHub(w.config())
	if err != nil {
		w.Fatal(err)
	}
	w.hub = hub
	hub.Open()
	synctest.Wait()
}

func (w *scene) config() Config {
	past := w.store.past
	past.Pending, past.Routes, past.Hosts = w.store.pending(), slices.Clone(past.Routes), len(w.store.hosts)
	past.Controllers = slices.Collect(maps.Values(w.store.controllers))
	past.Deadlines = slices.Collect(maps.Values(w.store.deadlines))
	past.Alarms, past.Silences = slices.Collect(maps.Values(w.store.alarms)), slices.Collect(maps.Values(w.store.silences))
	w.store.bodies = past.Batch
	return Config{
		Rules: w.rules, GroupWait: w.wait, RetentionDays: 30, MaxInside: 100,
		Read: w.clocks(), Memory: w.store, Keys: noKeys{}, Sender: w.sender, Pinger: w.pinger, Past: past, Log: zerolog.Nop(),
		Fatal: func(err error) { w.fatal <- err },
	}
}

func (w *scene) clocks() func() Instant {
	read := GoClock()
	return func() Instant {
		now := read()
		now.Boot += w.up
		return now
	}
}

// stop ends it the clean way.
func (w *scene) stop() {
	if err := w.hub.Stop(w.Context()); err != nil {
		w.Error(err)
	}
	synctest.Wait()
}

// kill ends it the other way: whatever it still does reaches no disk.
func (w *scene) kill() {
	old := w.store
	w.store = newFakeStore()
	old.mu.Lock()
	w.store.past, w.store.hosts, w.store.states = old.past, maps.Clone(old.hosts), maps.Clone(old.states)
	w.store.events, w.store.deliveries, w.store.reports = old.events, maps.Clone(old.deliveries), old.reports
	w.store.standings = maps.Clone(old.standings)
	w.store.controllers, w.store.deadlines = maps.Clone(old.controllers), maps.Clone(old.deadlines)
	w.store.alarms, w.store.silences = maps.Clone(old.alarms), maps.Clone(old.silences)
	old.broken = errors.New("killed")
	old.mu.Unlock()
	w.hub.stopping.Store(true)
	_ = w.hub.Stop(w.Context())
	synctest.Wait()
}

func (w *scene) report(id messages.HostID) error {
	w.seq[id]++
	return w.repeat(id)
}

func (w *scene) repeat(id messages.HostID) error {
	s := messages.Summary{HostID: id, StreamHash: 7, Sequence: w.seq[id], Figures: messages.Figures{GuestsUnknown: true}}
	_, err := w.hub.Ingest.Record(&s, fmt.Appendf(nil, "%d", w.seq[id]))
	return err
}

// reports sends one every quarter of an hour for d.
func (w *scene) reports(d time.Duration, ids ...messages.HostID) {
	for end := time.Now().Add(d); time.Now().Before(end); {
		for _, id := range ids {
			if err := w.report(id); err != nil {
				w.Errorf("report of %s: %v", id, err)
			}
		}
		time.Sleep(15 * time.Minute)
	}
}

func (w *scene) sleep(d time.Duration) { time.Sleep(d); synctest.Wait() }

func (w *scene) wantEvents(want ...messages.EventType) {
	w.Helper()
	if got := w.store.types(); !slices.Equal(got, want) {
		w.Errorf("events are %v, want %v", got, want)
	}
}

// A host that falls silent is told stale, down and back, once each, at the
// moment the rules name; and both its alarms and its return share an incident.
func TestHostGoesSilentAndReturns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newScene(t)
		w.start()
		w.sleep(3 * time.Hour) // new: never alarms
		w.wantEvents()
		w.reports(time.Hour, testHost) // the last a quarter of an hour ago
		w.sleep(15*time.Minute - time.Second)
		w.wantEvents()
		w.sleep(2 * time.Second)
		w.wantEvents(messages.HostStale)
		w.sleep(30 * time.Minute)
		w.wantEvents(messages.HostStale, messages.HostDown)
		w.sleep(2 * time.Hour)
		if err := w.report(testHost); err != nil {
			t.Fatal(err)
		}
		w.sleep(time.Minute)
		w.wantEvents(messages.HostStale, messages.HostDown, messages.HostRecovered)
		for _, e := range w.store.events {
			if e.IncidentID == "" || e.IncidentID != w.store.events[0].IncidentID {
				t.Errorf("%s belongs to incident %q, want %q", e.Type, e.IncidentID, w.store.events[0].IncidentID)
			}
		}
		w.sleep(time.Hour) // the switch is armed again
		w.wantEvents(messages.HostStale, messages.HostDown, messages.HostRecovered, messages.HostStale, messages.HostDown)
		w.stop()
	})
}

// A report that meets a full disk is refused, changes nothing, and the agent's
// repeat of it is stored as if it came for the first time.
func TestRefusedReportChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newScene(t)
		w.start()
		w.reports(15*time.Minute, testHost)
		w.store.set(func() { w.store.full = true })
		before := w.store.states[testHost]
		if err := w.report(testHost); !errors.Is(err, ErrUnavailable) {
			t.Fatalf("report to a full store: %v, want %v", err, ErrUnavailable)
		}
		w.store.set(func() { w.store.full = false })
		w.sleep(3 * time.Second) // the ledger finds out
		if w.store.states[testHost].Sequence != before.Sequence {
			t.Error("a refused report moved the stored state")
		}
		for range 2 {
			if err := w.repeat(testHost); err != nil {
				t.Fatal(err)
			}
		}
		if n := len(w.store.reports); n != 2 {
			t.Errorf("%d reports stored, want 2: the repeat of a refused one once, the repeat of an accepted one not", n)
		}
		w.stop()
	})
}

// While the store refuses writes no silence counts, and afterwards every host
// has its grace: a full disk causes no alarm by itself and misses none.
func TestFullDiskIsNotSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newScene(t)
		w.addHost("acme-00000002")
		w.start()
		w.reports(time.Hour, testHost, "acme-00000002")
		w.store.set(func() { w.store.full = true })
		_ = w.report(testHost)
		w.sleep(3 * time.Hour)
		w.store.set(func() { w.store.full = false })
		w.sleep(5 * time.Second)
		w.wantEvents(messages.HubGap)
		w.reports(2*time.Hour, testHost)
		w.wantEvents(messages.HubGap, messages.HostStale, messages.HostDown)
		for _, e := range w.store.events[1:] {
			if e.HostID != "acme-00000002" {
				t.Errorf("%s of %s, which kept reporting", e.Type, e.HostID)
			}
		}
		w.stop()
	})
}

// A host that was told to come every hour keeps to it until it hears of a
// shorter interval: a hub restarted with one does not alarm in between.
func TestShorterIntervalWaitsForWhoWasToldTheLonger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newScene(t)
		w.rules.PollInterval, w.rules.Stale, w.rules.Down = time.Hour, 2*time.Hour, 4*time.Hour
		w.start()
		w.reports(time.Minute, testHost)
		w.stop()
		w.rules = defaultRules
		w.start()
		w.sleep(45*time.Minute - time.Second) // an hour after the last
		w.wantEvents()
		w.reports(time.Minute, testHost)
		w.sleep(16 * time.Minute) // told the shorter one, and silent for 31 min
		w.wantEvents(messages.HostStale)
		w.stop()
	})
}

// A hub that was off for longer than down_seconds starts without an alarm for
// hosts that report again, and alarms for the one that does not. It is the same
// after a kill as after a stop.
func TestRestartTellsNothingButTheTruth(t *testing.T) {
	for name, end := range map[string]func(*scene){"stopped": (*scene).stop, "killed": (*scene).kill} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newScene(t)
				w.addHost("acme-00000002")
				w.start()
				w.reports(time.Hour, testHost, "acme-00000002")
				end(w)
				w.sleep(3 * time.Hour)
				w.start()
				w.sleep(10 * time.Minute)
				w.reports(3*time.Hour, testHost)
				w.wantEvents(messages.HubGap, messages.HostStale, messages.HostDown)
				if id := w.store.events[1].HostID; id != "acme-00000002" {
					t.Errorf("alarm for %s", id)
				}
				end(w)
				w.start()
				w.reports(time.Hour, testHost)
				w.wantEvents(messages.HubGap, messages.HostStale, messages.HostDown)
				w.stop()
			})
		})
	}
}

// An error other than "full" leaves the outcome unknown: nobody is answered
// yes, and the hub asks to be ended.
func TestUnknownOutcomeEndsTheHub(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newScene(t)
		w.start()
		w.store.set(func() { w.store.broken = errors.New("input/output error") })
		if err := w.report(testHost); err == nil {
			t.Error("a report was acknowledged that may not be durable")
		}
		synctest.Wait()
		select {
		case <-w.fatal:
		default:
			t.Error("the hub goes on after a write of unknown outcome")
		}
		w.hub.stopping.Store(true)
		_ = w.hub.Stop(t.Context())
	})
}

// What comes while a write is in flight is kept in order and bounded; whoever
// is turned away is told so at once.
func TestFloodOfOneHostIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newScene(t)
		w.start()
		w.store.set(func() { w.store.slow = time.Second })
		var wg sync.WaitGroup
		var mu sync.Mutex
		results := map[bool]int{}
		for i := range 400 {
			wg.Go(func() {
				s := messages.Summary{HostID: testHost, StreamHash: 7, Sequence: uint64(i + 1), Figures: messages.Figures{GuestsUnknown: true}}
				_, err := w.hub.Ingest.Record(&s, []byte("x"))
				mu.Lock()
				defer mu.Unlock()
				results[err == nil]++
			})
		}
		wg.Wait()
		w.store.set(func() { w.store.slow = 0 })
		w.sleep(5 * time.Minute)
		// Every acknowledged report is stored; a repeat of none was asked for.
		if n := len(w.store.reports); n < results[true] || results[true] == 0 || results[false] == 0 {
			t.Errorf("%d reports stored, %d acknowledged, %d refused", n, results[true], results[false])
		}
		if w.hub.Inside() != 0 {
			t.Errorf("%d still inside", w.hub.Inside())
		}
		w.stop()
	})
}
