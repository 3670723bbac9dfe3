package dashboard

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"felhom.eu/hub/api"
	"felhom.eu/messages"
)

const (
	tick      = 2 * time.Second  // of the live updates
	boardLife = 10 * time.Minute // without a look, until the board of a large fleet is forgotten
	keptHosts = 20_000           // up to so many are kept all the time, in less than 5 MiB
	maxPicked = 1000             // rows that are looked for one by one; for more, all are sorted
	maxQueued = 200_000          // states that wait to be taken over before somebody does it at once
)

// row is a host as lists show it: about 200 bytes.
type row struct {
	id           messages.HostID
	site         string
	incident     messages.IncidentID
	tunnel       string
	version      string
	phase        messages.Phase
	guestsKnown  bool
	total        uint16
	running      uint16
	cpu          float32
	memory       float32
	disk         float32
	since        int64 // nanoseconds of Unix time; 0 is never
	contactAt    int64
	reportAt     int64
	held         bool
	dirty        bool // changed since the last tick
	moved        bool // its phase did
	contactHeard messages.Listened
}

func (r *row) take(s *messages.HostState) {
	r.moved = r.moved || r.phase != s.Phase
	r.phase, r.since, r.contactAt, r.contactHeard, r.reportAt = s.Phase, s.PhaseSince, s.ContactAt, s.ContactHeard, s.ReportAt
	r.incident, r.held, r.version, r.tunnel = s.Incident, s.HeldUntil != 0, s.AgentVersion, s.Figures.Cloudflared
	r.cpu, r.memory, r.disk = s.Figures.CPUUsedRatio, s.Figures.MemoryUsedRatio, s.Figures.DiskUsedRatio
	r.guestsKnown = s.ReportAt != 0 && !s.Figures.GuestsUnknown
	r.total, r.running = s.Figures.GuestTotal, s.Figures.GuestRunning
}

// board is the fleet in memory: what lists, filters and live updates are made of. It
// is read from the store once and then follows what becomes durable. That of a small
// fleet is read when the hub starts, so that no look waits for it; that of a large one
// at the first look, and is forgotten ten minutes after the last.
type board struct {
	hub Hub

	mu        sync.Mutex
	rows      map[messages.HostID]*row
	sorted    []*row // by id
	dirty     []*row // changed since the last tick
	customers map[messages.CustomerID]messages.Customer
	alarms    []messages.Alarm
	silences  []api.SilenceView
	alarmed   bool // both are as they are in the store
	stirred   bool // what needs attention may have changed since the last tick
	looked    time.Time
	stop      func() // of the watch; nil: nothing is known
	viewers   map[*watching]struct{}
	running   bool // it ticks
	closed    bool

	queue struct { // what the watch brought, and nobody has taken over
		sync.Mutex
		batches []*messages.Batch
		states  int
	}
}

func newBoard(hub Hub) *board { return &board{hub: hub, viewers: make(map[*watching]struct{})} }

// warm reads the board of a fleet that is small enough to be kept.
func (b *board) warm(ctx context.Context) error {
	if b.expected() > keptHosts {
		return nil
	}
	return b.look(ctx, func() {})
}

// expected is how many hosts there should be: those that are up, and those to come.
func (b *board) expected() int {
	h := b.hub.Health()
	n := h.HostsStarting
	for _, hosts := range h.Hosts {
		n += hosts
	}
	return n
}

// look calls fn with the board up to date; fn must be quick and keep no row.
func (b *board) look(ctx context.Context, fn func()) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.refresh(ctx); err != nil {
		return err
	}
	fn()
	return nil
}

// refresh brings the board up to date. b.mu is held.
func (b *board) refresh(ctx context.Context) error {
	b.looked = time.Now()
	if err := b.catchUp(ctx); err != nil {
		return err
	}
	if !b.running {
		b.running = true
		go b.run()
	}
	return b.readAlarms(ctx)
}

// catchUp makes the rows what is durable. b.mu is held.
func (b *board) catchUp(ctx context.Context) error {
	for b.follow(); b.stop == nil; b.follow() {
		if err := b.read(ctx); err != nil {
			return err
		}
	}
	return nil
}

// read fills the board from the store. The watch begins before, so that nothing is
// between the two. What happened since the last tick is not known then: viewers are
// told how all is that they show.
func (b *board) read(ctx context.Context) error {
	n := b.expected()
	b.rows, b.sorted = make(map[messages.HostID]*row, n), make([]*row, 0, n)
	stop := b.hub.Watch(b.enqueue)
	err := b.hub.EachHost(func(h messages.Host, s messages.HostState) error {
		r := &row{id: h.ID, site: h.Site}
		r.take(&s)
		r.moved = false
		b.rows[h.ID], b.sorted = r, append(b.sorted, r)
		return ctx.Err()
	})
	if err == nil {
		err = b.readCustomers(ctx)
	}
	if err != nil {
		stop()
		return err
	}
	for w := range b.viewers {
		w.told = false
	}
	b.stop, b.alarmed, b.stirred = stop, false, true
	return nil
}

func (b *board) readCustomers(ctx context.Context) error {
	b.customers = make(map[messages.CustomerID]messages.Customer)
	for last := messages.CustomerID(""); ; {
		cs, err := b.hub.Customers(ctx, last, 1000)
		for _, c := range cs {
			b.customers[c.ID], last = c, c.ID
		}
		if err != nil || len(cs) < 1000 {
			return err
		}
	}
}

func (b *board) readAlarms(ctx context.Context) error {
	if b.alarmed {
		return nil
	}
	b.alarms = nil
	err := b.hub.EachAlarm(ctx, func(a messages.Alarm) error {
		if a.Open() {
			b.alarms = append(b.alarms, a)
		}
		return ctx.Err()
	})
	if err == nil {
		b.silences, err = b.hub.Silences(ctx)
	}
	b.alarmed = err == nil
	return err
}

// enqueue keeps a batch for later: the writer waits for it.
func (b *board) enqueue(batch *messages.Batch) {
	b.queue.Lock()
	defer b.queue.Unlock()
	b.queue.batches = append(b.queue.batches, keep(batch))
	b.queue.states += len(batch.Hosts)
	if b.queue.states > maxQueued { // nobody came for long: what is known is worth less than the room
		b.queue.batches, b.queue.states = []*messages.Batch{nil}, 0
	}
}

// keep is what the board needs of a batch: not the bodies.
func keep(batch *messages.Batch) *messages.Batch {
	return &messages.Batch{
		Hosts: batch.Hosts, Alarms: batch.Alarms, PutCustomers: batch.PutCustomers, DelCustomers: batch.DelCustomers,
		PutHosts: batch.PutHosts, DelHosts: batch.DelHosts, PutSilences: batch.PutSilences, DelSilences: batch.DelSilences,
	}
}

// follow takes over what the watch brought. b.mu is held.
func (b *board) follow() {
	b.queue.Lock()
	batches := b.queue.batches
	b.queue.batches, b.queue.states = nil, 0
	b.queue.Unlock()
	for _, batch := range batches {
		if b.stop == nil {
			return
		}
		if batch == nil { // too much: all is read again
			b.forget()
			return
		}
		b.stirred = b.apply(batch) || b.stirred
	}
}

// apply takes a batch over; stirred tells that what needs attention may have changed.
func (b *board) apply(batch *messages.Batch) (stirred bool) {
	for i := range batch.PutHosts {
		h := &batch.PutHosts[i]
		r := b.rows[h.ID]
		if r == nil {
			r = &row{id: h.ID}
			r.take(&messages.HostState{Figures: messages.UnknownFigures()})
			b.rows[h.ID] = r
			at, _ := slices.BinarySearchFunc(b.sorted, h.ID, func(r *row, id messages.HostID) int { return cmp.Compare(r.id, id) })
			b.sorted = slices.Insert(b.sorted, at, r)
			stirred = true
		}
		r.site = h.Site
		b.mark(r)
	}
	for i := range batch.Hosts {
		if r := b.rows[batch.Hosts[i].ID]; r != nil {
			r.take(&batch.Hosts[i])
			b.mark(r)
			stirred = stirred || r.moved
		}
	}
	for _, id := range batch.DelHosts {
		if b.rows[id] != nil {
			delete(b.rows, id)
			b.sorted = slices.DeleteFunc(b.sorted, func(r *row) bool { return r.id == id })
			stirred = true
		}
	}
	for _, c := range batch.PutCustomers {
		b.customers[c.ID] = c
	}
	for _, id := range batch.DelCustomers {
		delete(b.customers, id)
	}
	if len(batch.Alarms)+len(batch.PutSilences)+len(batch.DelSilences) > 0 {
		b.alarmed, stirred = false, true
	}
	return stirred
}

// mark notes that a row changed. b.mu is held.
func (b *board) mark(r *row) {
	if !r.dirty {
		r.dirty = true
		b.dirty = append(b.dirty, r)
	}
}

// forget drops what is known; the next look reads it again. b.mu is held.
func (b *board) forget() {
	if b.stop != nil {
		b.stop()
	}
	b.stop, b.rows, b.sorted, b.dirty, b.alarms, b.silences, b.customers = nil, nil, nil, nil, nil, nil, nil
}

// run ticks until nobody has looked for a while.
func (b *board) run() {
	every := time.NewTicker(tick)
	defer every.Stop()
	for range every.C {
		if !b.beat(time.Now()) {
			return
		}
	}
}

// beat is one tick; more is false when the board is forgotten.
func (b *board) beat(now time.Time) (more bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.stop == nil && len(b.viewers) == 0 {
		b.running = false
		return false
	}
	if b.closed || len(b.viewers) == 0 && len(b.sorted) > keptHosts && now.Sub(b.looked) > boardLife {
		b.forget()
		b.running = false
		return false
	}
	ctx, cancel := context.WithTimeout(context.Background(), askTimeout)
	defer cancel()
	if b.catchUp(ctx) == nil { // else the next tick tells; who looks meanwhile hears why not
		b.patch(now)
	}
	return true
}

// listQuery is what a list of hosts is asked for.
type listQuery struct {
	of         messages.CustomerID // all that there is to list is this customer's
	customer   messages.CustomerID
	site       string
	phase      messages.Phase
	anyPhase   bool
	text       string // lower case
	sort       string
	descending bool
	page, size int
}

// list is a page of hosts.
type list struct {
	rows    []row
	matched int
	total   int    // hosts that there are to list
	counts  [4]int // of these, by phase
	newest  int64  // contact
	sites   []string
}

// list answers a query for one who may see what sees allows. b.mu is held.
func (b *board) list(q *listQuery, v viewer) list {
	var l list
	var found []*row
	sites, site := make(map[string]struct{}), ""
	var customer messages.CustomerID // of the row before: they come by id
	seen, named := false, false
	for _, r := range b.sorted {
		if c := r.id.Customer(); c != customer {
			customer, seen = c, v.sees(c) && (q.of == "" || q.of == c)
			named = q.text != "" && strings.Contains(strings.ToLower(b.customers[c].DisplayName), q.text)
		}
		if !seen {
			continue
		}
		l.total++
		l.counts[r.phase]++
		l.newest = max(l.newest, r.contactAt)
		if r.site != site && r.site != "" {
			site = r.site
			sites[site] = struct{}{}
		}
		if (q.customer == "" || q.customer == customer) && q.matches(r, named) {
			found = append(found, r)
		}
	}
	l.matched = len(found)
	for s := range sites {
		l.sites = append(l.sites, s)
	}
	slices.Sort(l.sites)
	from := q.page * q.size
	ordered := first(found, from+q.size, q.order())
	for _, r := range ordered[min(from, len(ordered)):] {
		l.rows = append(l.rows, *r)
	}
	return l
}

// matches reports whether a row is asked for; named tells that its customer's name is.
func (q *listQuery) matches(r *row, named bool) bool {
	if !q.anyPhase && r.phase != q.phase || q.site != "" && r.site != q.site {
		return false
	}
	return q.text == "" || named || strings.Contains(string(r.id), q.text) ||
		strings.Contains(strings.ToLower(r.site), q.text) || strings.Contains(r.version, q.text)
}

// sorts are the orders of a list, each from what is most worth a look.
var sorts = map[string]func(a, b *row) int{
	"state":   func(a, b *row) int { return cmp.Compare(urgency(b.phase), urgency(a.phase)) },
	"host":    func(a, b *row) int { return cmp.Compare(a.id, b.id) },
	"contact": func(a, b *row) int { return cmp.Compare(a.contactAt, b.contactAt) },
	"cpu":     func(a, b *row) int { return compareRatio(b.cpu, a.cpu) },
	"memory":  func(a, b *row) int { return compareRatio(b.memory, a.memory) },
	"disk":    func(a, b *row) int { return compareRatio(b.disk, a.disk) },
	"guests":  func(a, b *row) int { return cmp.Compare(b.running, a.running) },
}

// compareRatio puts what is unknown below everything.
func compareRatio(a, b float32) int { return cmp.Compare(a, b) } // NaN is less than any number

func urgency(p messages.Phase) int {
	return [...]int{messages.PhaseNew: 1, messages.PhaseOK: 0, messages.PhaseStale: 2, messages.PhaseDown: 3}[p]
}

// order is the order of rows that is asked for.
func (q *listQuery) order() func(a, b *row) int {
	by := sorts[q.sort]
	if by == nil {
		by = sorts["state"]
	}
	if q.descending {
		return func(a, b *row) int { return -by(a, b) }
	}
	return by
}

// first is the first n of rows in an order; those that are alike stay as they come. It
// may change the order of rows.
func first(rows []*row, n int, by func(a, b *row) int) []*row {
	n = min(n, len(rows))
	if n > maxPicked || n > len(rows)/4 {
		// Most fleets are in order by their states already: nearly all are ok.
		slices.SortStableFunc(rows, by)
		return rows[:n]
	}
	picked := make([]*row, 0, n+1)
	for _, r := range rows {
		if len(picked) == n && (n == 0 || by(picked[n-1], r) <= 0) {
			continue
		}
		at, _ := slices.BinarySearchFunc(picked, r, func(p, r *row) int {
			if by(p, r) <= 0 {
				return -1 // behind all that are alike
			}
			return 1
		})
		picked = slices.Insert(picked, at, r)
		picked = picked[:min(len(picked), n)]
	}
	return picked
}
