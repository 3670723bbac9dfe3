package api

import (
	"cmp"
	"context"
	"io"
	"maps"
	"slices"
	"sync"
	"time"

	"felhom.eu/messages"
)

// fakeFleet remembers in memory what a test asks it to. A func field, when set,
// answers instead.
type fakeFleet struct {
	fakeSilences
	fakeAccess
	fakeAlarms
	mu          sync.Mutex
	recorded    []messages.Summary
	bodies      [][]byte
	goodbyes    []messages.Goodbye
	customers   map[messages.CustomerID]messages.Customer
	hosts       map[messages.HostID]HostView
	reports     []ReportView
	events      []messages.Event
	routes      []messages.Route
	tokens      []messages.EnrollToken
	enrolled    []messages.HostID // who they were, as the request proved
	sent        []messages.Delivery
	rules       map[string]messages.RuleSettings // by customer or host
	protection  []messages.Protection
	usages      []messages.Usage
	months      []messages.Availability
	asked       []any // filters that lists were asked with
	health      Health
	controllers map[messages.ControllerName]ControllerView
	deadlines   []DeadlineView

	receipt    Receipt
	record     func(*messages.Summary, []byte) (Receipt, error)
	err        error // what every other method answers
	backupFunc func(io.Writer) error
	drillFunc  func(messages.DrillQuery, func(messages.DrillLine) error) error
	replayFunc func(messages.ReplayQuery, func(messages.ReplayLine) error) error
}

func newFakeFleet() *fakeFleet {
	return &fakeFleet{
		customers:   map[messages.CustomerID]messages.Customer{"acme": {ID: "acme", DisplayName: "Acme"}},
		hosts:       map[messages.HostID]HostView{},
		controllers: map[messages.ControllerName]ControllerView{},
		rules:       map[string]messages.RuleSettings{},
		receipt:     Receipt{PollIntervalSeconds: 900},
		health:      Health{Ready: true},
	}
}

func (f *fakeFleet) Record(s *messages.Summary, body []byte) (Receipt, error) {
	if f.record != nil {
		return f.record(s, body)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.recorded = append(f.recorded, *s)
	f.bodies = append(f.bodies, slices.Clone(body))
	return f.receipt, f.err
}

func (f *fakeFleet) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.recorded)
}

func (f *fakeFleet) Goodbye(g messages.Goodbye) (Receipt, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.goodbyes = append(f.goodbyes, g)
	return f.receipt, f.err
}

func (f *fakeFleet) RecordController(c messages.CustomerID, r messages.ControllerReport, body []byte) (Receipt, error) {
	f.controllers[messages.ControllerName{CustomerID: c, ID: r.ID}] = ControllerView{State: messages.ControllerState{
		ControllerName: messages.ControllerName{CustomerID: c, ID: r.ID}, GuestID: r.GuestID, Version: r.Version,
		IntervalSecs: r.IntervalSeconds, Phase: messages.PhaseOK,
	}}
	f.bodies = append(f.bodies, slices.Clone(body))
	return f.receipt, f.err
}

func (f *fakeFleet) AddDeadline(_ context.Context, d messages.Deadline) (DeadlineView, error) {
	if _, ok := f.customers[d.CustomerID]; !ok {
		return DeadlineView{}, ErrNotFound
	}
	d.ID = messages.DeadlineID(ulid(1))
	f.deadlines = append(f.deadlines, DeadlineView{Deadline: d})
	return f.deadlines[0], f.err
}

func (f *fakeFleet) Deadlines(_ context.Context, c messages.CustomerID) ([]DeadlineView, error) {
	if _, ok := f.customers[c]; !ok {
		return nil, ErrNotFound
	}
	return f.deadlines, f.err
}

func (f *fakeFleet) RemoveDeadline(context.Context, messages.CustomerID, messages.DeadlineID) error {
	if len(f.deadlines) == 0 {
		return ErrNotFound
	}
	f.deadlines = nil
	return f.err
}

func (f *fakeFleet) RotateCustomerKey(_ context.Context, id messages.CustomerID) (messages.Secret, error) {
	if _, ok := f.customers[id]; !ok {
		return "", ErrNotFound
	}
	return messages.Secret(newKey), f.err
}

func (f *fakeFleet) RevokeCustomerKey(ctx context.Context, id messages.CustomerID) error {
	_, err := f.RotateCustomerKey(ctx, id)
	return err
}

func (f *fakeFleet) Controllers(_ context.Context, c messages.CustomerID, after messages.ControllerID, limit int) ([]ControllerView, error) {
	if _, ok := f.customers[c]; !ok {
		return nil, ErrNotFound
	}
	byID := map[messages.ControllerID]ControllerView{}
	for n, v := range f.controllers {
		if n.CustomerID == c {
			byID[n.ID] = v
		}
	}
	return pageOf(byID, after, limit), f.err
}

func (f *fakeFleet) Controller(_ context.Context, n messages.ControllerName) (ControllerView, error) {
	v, ok := f.controllers[n]
	if !ok {
		return v, ErrNotFound
	}
	return v, f.err
}

func (f *fakeFleet) RemoveController(ctx context.Context, n messages.ControllerName) error {
	_, err := f.Controller(ctx, n)
	delete(f.controllers, n)
	return err
}

func (f *fakeFleet) ControllerReports(ctx context.Context, n messages.ControllerName, _ messages.ReportRef, _ int) ([]ReportView, messages.ReportRef, error) {
	_, err := f.Controller(ctx, n)
	return f.reports, messages.ReportRef{}, err
}

func (f *fakeFleet) ControllerReport(ctx context.Context, n messages.ControllerName, _ messages.ReportID) ([]byte, error) {
	if _, err := f.Controller(ctx, n); err != nil {
		return nil, err
	}
	return f.bodies[0], nil
}

func (f *fakeFleet) AddCustomer(_ context.Context, id messages.CustomerID, name string) (messages.Customer, error) {
	if f.err != nil {
		return messages.Customer{}, f.err
	}
	if _, ok := f.customers[id]; ok {
		return messages.Customer{}, ErrExists
	}
	c := messages.Customer{ID: id, DisplayName: name}
	f.customers[id] = c
	return c, nil
}

func (f *fakeFleet) SetBlocked(_ context.Context, id messages.CustomerID, blocked bool) (messages.Customer, error) {
	c, ok := f.customers[id]
	if !ok {
		return c, ErrNotFound
	}
	c.Blocked = blocked
	f.customers[id] = c
	return c, nil
}

func (f *fakeFleet) RemoveCustomer(_ context.Context, id messages.CustomerID) error {
	if _, ok := f.customers[id]; !ok {
		return ErrNotFound
	}
	for h := range f.hosts {
		if h.Customer() == id {
			return ErrInUse
		}
	}
	delete(f.customers, id)
	return nil
}

func (f *fakeFleet) Customer(_ context.Context, id messages.CustomerID) (messages.Customer, error) {
	c, ok := f.customers[id]
	if !ok {
		return c, ErrNotFound
	}
	return c, f.err
}

func (f *fakeFleet) Customers(_ context.Context, after messages.CustomerID, limit int) ([]messages.Customer, error) {
	return pageOf(f.customers, after, limit), f.err
}

func (f *fakeFleet) MintHost(_ context.Context, h messages.Host) (messages.HostID, messages.Secret, error) {
	if _, ok := f.customers[h.CustomerID]; !ok {
		return "", "", ErrNotFound
	}
	h.ID = messages.HostID(string(h.CustomerID) + "-0badcafe")
	f.hosts[h.ID] = HostView{Host: h}
	return h.ID, messages.Secret(newKey), f.err
}

func (f *fakeFleet) SetSite(_ context.Context, id messages.HostID, site string) error {
	v := f.hosts[id]
	if err := f.has(id); err != nil {
		return err
	}
	v.Host.Site = site
	f.hosts[id] = v
	return nil
}

func (f *fakeFleet) RotateKey(_ context.Context, id messages.HostID) (messages.Secret, error) {
	return messages.Secret(newKey), f.has(id)
}
func (f *fakeFleet) RevokeKey(_ context.Context, id messages.HostID) error { return f.has(id) }
func (f *fakeFleet) RemoveHost(_ context.Context, id messages.HostID) error {
	err := f.has(id)
	delete(f.hosts, id)
	return err
}

func (f *fakeFleet) has(id messages.HostID) error {
	if _, ok := f.hosts[id]; !ok {
		return ErrNotFound
	}
	return f.err
}

func (f *fakeFleet) Host(_ context.Context, id messages.HostID) (HostView, error) {
	return f.hosts[id], f.has(id)
}

func (f *fakeFleet) Hosts(_ context.Context, filter HostFilter, after messages.HostID, limit int) ([]HostView, error) {
	f.asked = append(f.asked, filter)
	hosts := maps.Clone(f.hosts)
	maps.DeleteFunc(hosts, func(_ messages.HostID, v HostView) bool {
		return filter.Phase != nil && v.State.Phase != *filter.Phase || filter.CustomerID != "" && v.Host.CustomerID != filter.CustomerID
	})
	return pageOf(hosts, after, limit), f.err
}

func (f *fakeFleet) Guests(_ context.Context, id messages.HostID) ([]messages.GuestRecord, error) {
	return nil, f.has(id)
}

// Reports lie in f.reports newest first; a ref's Batch is the index plus one.
func (f *fakeFleet) Rules(_ context.Context, customer messages.CustomerID, host messages.HostID) (RulesView, error) {
	if f.err != nil {
		return RulesView{}, f.err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, ok := f.hosts[host]; host != "" && !ok {
		return RulesView{}, ErrNotFound
	}
	if _, ok := f.customers[customer]; customer != "" && !ok {
		return RulesView{}, ErrNotFound
	}
	return RulesView{Own: f.rules[string(customer)+string(host)]}, nil
}

func (f *fakeFleet) SetRules(_ context.Context, s messages.RuleSettings) error {
	if s.VerifySeconds != nil && *s.VerifySeconds < 0 {
		return InvalidField("verify_seconds", "want 3600 to 315360000")
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rules[string(s.CustomerID)+string(s.HostID)] = s
	return f.err
}

func (f *fakeFleet) Protection(_ context.Context, filter ProtectionFilter, after messages.GuestID, limit int) ([]messages.Protection, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = append(f.asked, filter)
	rows := slices.DeleteFunc(slices.Clone(f.protection), func(p messages.Protection) bool { return p.HostID.Guest(p.VMID) <= after })
	return rows[:min(limit, len(rows))], f.err
}

func (f *fakeFleet) Series(_ context.Context, id messages.HostID, r messages.Resolution, from, to time.Time) ([]messages.Usage, error) {
	if err := f.has(id); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = append(f.asked, seriesAsked{r, to.Sub(from)})
	return f.usages, f.err
}

func (f *fakeFleet) HostAvailability(_ context.Context, id messages.HostID, months int) ([]messages.Availability, error) {
	if err := f.has(id); err != nil {
		return nil, err
	}
	return f.months[:min(months, len(f.months))], nil
}

func (f *fakeFleet) CustomerAvailability(_ context.Context, id messages.CustomerID, months int) ([]messages.Availability, error) {
	if _, ok := f.customers[id]; !ok {
		return nil, ErrNotFound
	}
	return f.months[:min(months, len(f.months))], f.err
}

type seriesAsked struct {
	resolution messages.Resolution
	span       time.Duration
}

func (f *fakeFleet) Reports(_ context.Context, id messages.HostID, from messages.ReportRef, limit int) ([]ReportView, messages.ReportRef, error) {
	if err := f.has(id); err != nil {
		return nil, messages.ReportRef{}, err
	}
	first := int(max(from.Batch, 1) - 1)
	rows := f.reports[min(first, len(f.reports)):]
	if len(rows) <= limit {
		return rows, messages.ReportRef{}, nil
	}
	return rows[:limit], messages.ReportRef{Day: 20000, Batch: uint64(first + limit + 1), Entry: 3}, nil
}

func (f *fakeFleet) Report(_ context.Context, id messages.HostID, r messages.ReportID) ([]byte, error) {
	for i, v := range f.reports {
		if v.ID == r && i < len(f.bodies) {
			return f.bodies[i], nil
		}
	}
	return nil, ErrNotFound
}

func (f *fakeFleet) Events(_ context.Context, filter EventFilter, after messages.EventID, limit int) ([]messages.Event, error) {
	f.asked = append(f.asked, filter)
	var rows []messages.Event
	for _, e := range f.events {
		if e.ID > after && len(rows) < limit {
			rows = append(rows, e)
		}
	}
	return rows, f.err
}

func (f *fakeFleet) EventPage(_ context.Context, filter EventFilter, newest bool, behind messages.EventID, limit int) (rows []messages.Event, next messages.EventID, err error) {
	f.asked = append(f.asked, filter)
	events := slices.Clone(f.events)
	if newest {
		slices.Reverse(events)
	}
	for _, e := range events {
		if behind != "" && (e.ID == behind || newest == (e.ID > behind)) {
			continue
		}
		if len(rows) == limit {
			return rows, rows[limit-1].ID, f.err
		}
		rows = append(rows, e)
	}
	return rows, "", f.err
}

func (f *fakeFleet) Delivery(_ context.Context, id messages.DeliveryID) (messages.Delivery, []messages.Event, error) {
	for _, d := range f.sent {
		if d.ID == id {
			return d, f.events, f.err
		}
	}
	return messages.Delivery{}, nil, ErrNotFound
}

func (f *fakeFleet) AddToken(_ context.Context, t messages.EnrollToken, life time.Duration) (messages.EnrollToken, messages.Secret, error) {
	if _, ok := f.customers[t.CustomerID]; !ok {
		return t, "", ErrNotFound
	}
	t.ID, t.Hash = messages.TokenID(ulid(len(f.tokens)+1)), messages.HashKey([]byte(newKey))
	t.CreatedAt = time.Date(2026, 6, 8, 12, 0, 0, 0, time.UTC)
	t.ExpiresAt = t.CreatedAt.Add(life)
	f.tokens = append(f.tokens, t)
	return t, newKey, f.err
}

func (f *fakeFleet) Tokens(context.Context) ([]messages.EnrollToken, error) { return f.tokens, f.err }

func (f *fakeFleet) RemoveToken(_ context.Context, id messages.TokenID) error {
	if len(f.tokens) == 0 || f.tokens[0].ID != id {
		return ErrNotFound
	}
	f.tokens = f.tokens[1:]
	return f.err
}

func (f *fakeFleet) Enroll(_ context.Context, token messages.KeyHash, _ messages.EnrollRequest, is messages.HostID) (messages.HostID, messages.Secret, error) {
	if len(f.tokens) == 0 || f.tokens[0].Hash != token {
		return "", "", ErrTokenRefused
	}
	f.enrolled = append(f.enrolled, is)
	return hostID, newKey, f.err
}

func (f *fakeFleet) AddRoute(_ context.Context, r messages.Route) (messages.Route, error) {
	if _, ok := f.customers[r.CustomerID]; !ok && r.CustomerID != "" {
		return r, ErrNotFound
	}
	r.ID = messages.RouteID(ulid(len(f.routes) + 1))
	f.routes = append(f.routes, r)
	return r, f.err
}

func (f *fakeFleet) RemoveRoute(_ context.Context, id messages.RouteID) error {
	for _, r := range f.routes {
		if r.ID == id {
			return f.err
		}
	}
	return ErrNotFound
}

func (f *fakeFleet) Routes(context.Context) ([]messages.Route, error) { return f.routes, f.err }

func (f *fakeFleet) TestRoute(_ context.Context, id messages.RouteID) (RouteAnswer, error) {
	return RouteAnswer{OK: true, StatusCode: 204}, f.RemoveRoute(context.Background(), id)
}

func (f *fakeFleet) Deliveries(_ context.Context, filter DeliveryFilter, before messages.DeliveryID, limit int) ([]messages.Delivery, error) {
	f.asked = append(f.asked, filter)
	var rows []messages.Delivery
	for _, d := range f.sent {
		if (before == "" || d.ID < before) && len(rows) < limit {
			rows = append(rows, d)
		}
	}
	return rows, f.err
}

func (f *fakeFleet) RetryDelivery(_ context.Context, id messages.DeliveryID) error {
	for _, d := range f.sent {
		if d.ID == id {
			return f.err
		}
	}
	return ErrNotFound
}

func (f *fakeFleet) Backup(_ context.Context, w io.Writer) error {
	if f.backupFunc != nil {
		return f.backupFunc(w)
	}
	return f.err
}

func (f *fakeFleet) Replay(_ context.Context, q messages.ReplayQuery, line func(messages.ReplayLine) error) error {
	if f.replayFunc != nil {
		return f.replayFunc(q, line)
	}
	return f.err
}

func (f *fakeFleet) Drill(_ context.Context, q messages.DrillQuery, line func(messages.DrillLine) error) error {
	if f.drillFunc != nil {
		return f.drillFunc(q, line)
	}
	return f.err
}

func (f *fakeFleet) Health() Health {
	h := f.health
	h.StartedAt = time.Now().Add(-time.Minute)
	return h
}

// pageOf is limit values of m in the order of their keys, behind after.
func pageOf[K cmp.Ordered, V any](m map[K]V, after K, limit int) []V {
	var keys []K
	for k := range m {
		if k > after {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	var rows []V
	for _, k := range keys[:min(limit, len(keys))] {
		rows = append(rows, m[k])
	}
	return rows
}
