package app

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/oklog/ulid/v2"

	"felhom.eu/actors"
	"felhom.eu/hub/api"
	"felhom.eu/hub/auth"
	"felhom.eu/messages"
	"felhom.eu/storage"
)

// keyOverlap is how long a replaced key lives when its successor is never used.
const keyOverlap = 24 * time.Hour

// fleet answers the API's questions: what changes goes to the actors, what is
// only read comes from the store, which is never behind them.
type fleet struct {
	hub   *actors.Hub
	db    *storage.DB
	app   *App
	send  sender
	needs surveys
	keys  sync.Mutex // from reading a host's keys to the order that changes them

	replaying sync.Mutex // one replay at a time
	access    sync.Mutex // from what changed of users and sessions to its being written
}

// Record implements api.Reporter.
func (f *fleet) Record(s *messages.Summary, body []byte) (api.Receipt, error) {
	r, err := f.hub.Ingest.Record(s, body)
	return api.Receipt(r), translate(err)
}

// Goodbye implements api.Reporter.
func (f *fleet) Goodbye(g messages.Goodbye) (api.Receipt, error) {
	r, err := f.hub.Ingest.Goodbye(g)
	return api.Receipt(r), translate(err)
}

// translate turns the errors of actors and storage into the API's.
func translate(err error) error {
	for _, t := range [...]struct{ from, to error }{
		{actors.ErrNotFound, api.ErrNotFound},
		{storage.ErrNotFound, api.ErrNotFound},
		{actors.ErrExists, api.ErrExists},
		{actors.ErrInUse, api.ErrInUse},
		{actors.ErrUnknownHost, api.ErrUnknownHost},
		{actors.ErrTooMany, api.ErrTooMany},
		{actors.ErrUnavailable, api.ErrUnavailable},
		{actors.ErrNoRoute, api.ErrNoRoute},
	} {
		if errors.Is(err, t.from) {
			return t.to
		}
	}
	return err
}

// AddCustomer implements api.Fleet.
func (f *fleet) AddCustomer(ctx context.Context, id messages.CustomerID, name string) (messages.Customer, error) {
	c := messages.Customer{ID: id, DisplayName: name, CreatedAt: time.Now().UTC()}
	messages.AuditOf(ctx).About(string(id), id)
	return c, translate(f.hub.Order(ctx, actors.AddCustomer{Customer: c}))
}

// SetBlocked implements api.Fleet.
func (f *fleet) SetBlocked(ctx context.Context, id messages.CustomerID, blocked bool) (messages.Customer, error) {
	c, err := f.db.Customer(id)
	if err != nil || c.Blocked == blocked {
		return c, translate(err)
	}
	c.Blocked = blocked
	return c, translate(f.hub.Order(ctx, actors.PutCustomer{Customer: c}))
}

// RemoveCustomer implements api.Fleet.
func (f *fleet) RemoveCustomer(ctx context.Context, id messages.CustomerID) error {
	f.keys.Lock() // no token is made or used meanwhile
	defer f.keys.Unlock()
	all, err := f.db.EnrollTokens()
	if err != nil {
		return err
	}
	var its []messages.TokenID
	for i := range all {
		if all[i].CustomerID == id {
			its = append(its, all[i].ID)
		}
	}
	keys, err := f.customerKeys(id)
	if err != nil {
		return err
	}
	if err := f.hub.Order(ctx, actors.RemoveCustomer{ID: id, Tokens: its}); err != nil {
		return translate(err)
	}
	for _, k := range revoked(keys) { // as they are in the store now
		f.app.keys.Put(k)
	}
	return nil
}

// Customer implements api.Fleet.
func (f *fleet) Customer(_ context.Context, id messages.CustomerID) (messages.Customer, error) {
	c, err := f.db.Customer(id)
	return c, translate(err)
}

// Customers implements api.Fleet.
func (f *fleet) Customers(_ context.Context, after messages.CustomerID, limit int) ([]messages.Customer, error) {
	return f.db.Customers(after, limit)
}

// MintHost implements api.Fleet.
func (f *fleet) MintHost(ctx context.Context, h messages.Host) (messages.HostID, messages.Secret, error) {
	key, hash := newKey()
	h.CreatedAt = time.Now().UTC()
	for {
		h.ID = messages.HostID(string(h.CustomerID) + "-" + hex.EncodeToString(random(4)))
		messages.AuditOf(ctx).About(string(h.ID), h.CustomerID)
		err := f.hub.Order(ctx, actors.AddHost{
			Host: h,
			Key:  messages.Key{Hash: hash, Kind: messages.KeyHost, HostID: h.ID, CustomerID: h.CustomerID, CreatedAt: h.CreatedAt},
		})
		if errors.Is(err, actors.ErrExists) {
			continue // one in 2^32 for each host of the customer
		}
		if err != nil {
			return "", "", translate(err)
		}
		return h.ID, key, nil
	}
}

// SetSite implements api.Fleet.
func (f *fleet) SetSite(ctx context.Context, id messages.HostID, site string) error {
	return translate(f.hub.Order(ctx, actors.SetSite{ID: id, Site: site}))
}

// RotateKey implements api.Fleet. The old keys die at the first use of the new
// one, or after a day: which of them the agent has, after rotations that were
// not taken up, nobody here knows.
func (f *fleet) RotateKey(ctx context.Context, id messages.HostID) (messages.Secret, error) {
	f.keys.Lock()
	defer f.keys.Unlock()
	key, order, err := f.rotation(id, time.Now().UTC())
	if err != nil {
		return "", err
	}
	return key, translate(f.hub.Order(ctx, order))
}

// rotation is another key for a host, and what makes it so. f.keys is held.
func (f *fleet) rotation(id messages.HostID, now time.Time) (messages.Secret, actors.PutKeys, error) {
	keys, err := f.liveKeys(id)
	if err != nil {
		return "", actors.PutKeys{}, err
	}
	key, keys := rotated(keys, messages.Key{Kind: messages.KeyHost, HostID: id, CustomerID: id.Customer()}, now)
	return key, actors.PutKeys{Host: id, Keys: keys}, nil
}

// rotated adds a new key to live ones, which end with its first use or after a day.
func rotated(keys []messages.Key, fresh messages.Key, now time.Time) (messages.Secret, []messages.Key) {
	keys = slices.DeleteFunc(keys, func(k messages.Key) bool { return !k.ExpiresAt.IsZero() && !now.Before(k.ExpiresAt) })
	key, hash := newKey()
	fresh.Hash, fresh.CreatedAt = hash, now
	for i := range keys {
		keys[i].ExpiresAt = now.Add(keyOverlap)
		fresh.Replaces = keys[i].Hash
	}
	return key, append(keys, fresh)
}

// RevokeKey implements api.Fleet.
func (f *fleet) RevokeKey(ctx context.Context, id messages.HostID) error {
	f.keys.Lock()
	defer f.keys.Unlock()
	keys, err := f.liveKeys(id)
	if err != nil {
		return err
	}
	return translate(f.hub.Order(ctx, actors.PutKeys{Host: id, Keys: revoked(keys)}))
}

// liveKeys are a host's keys that are not revoked, oldest first.
func (f *fleet) liveKeys(id messages.HostID) ([]messages.Key, error) {
	if _, err := f.db.Host(id); err != nil {
		return nil, translate(err)
	}
	keys, err := f.db.Keys(id)
	if err != nil {
		return nil, translate(err)
	}
	return live(keys), nil
}

// live are the keys that are not revoked, oldest first.
func live(keys []messages.Key) []messages.Key {
	keys = slices.DeleteFunc(keys, func(k messages.Key) bool { return !k.RevokedAt.IsZero() })
	slices.SortFunc(keys, func(a, b messages.Key) int { return a.CreatedAt.Compare(b.CreatedAt) })
	return keys
}

// keyUsed ends the life of a key whose successor was used for the first time,
// and of those before it.
func (f *fleet) keyUsed(who auth.Principal, replaced messages.KeyHash) {
	f.keys.Lock()
	defer f.keys.Unlock()
	order := actors.PutKeys{Host: who.HostID}
	keys, err := []messages.Key(nil), error(nil)
	if who.Kind == auth.Customer {
		order.Customer = who.CustomerID
		keys, err = f.customerKeys(who.CustomerID)
	} else {
		keys, err = f.liveKeys(who.HostID)
	}
	i := slices.IndexFunc(keys, func(k messages.Key) bool { return k.Hash == replaced })
	if err == nil && i >= 0 {
		order.Keys = revoked(keys[:i+1])
		ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
		defer cancel()
		err = f.hub.Order(ctx, order)
	}
	if err != nil {
		f.app.log.Warn().Err(err).Str("host", string(who.HostID)).Str("customer", string(who.CustomerID)).Msg("replaced key not revoked; it expires by itself")
	}
}

// RemoveHost implements api.Fleet.
func (f *fleet) RemoveHost(ctx context.Context, id messages.HostID) error {
	return translate(f.hub.Order(ctx, actors.RemoveHost{ID: id}))
}

// Host implements api.Fleet.
func (f *fleet) Host(_ context.Context, id messages.HostID) (api.HostView, error) {
	h, err := f.db.Host(id)
	if err != nil {
		return api.HostView{}, translate(err)
	}
	s, err := f.db.HostState(id)
	return f.view(h, s, f.hub.Now()), translate(err)
}

func (f *fleet) view(h messages.Host, s messages.HostState, now actors.Moment) api.HostView {
	v := api.HostView{Host: h, State: s}
	if s.Phase != messages.PhaseNew {
		v.Silence = max((now.At - s.ContactHeard).Duration(), 0)
	}
	return v
}

// Hosts implements api.Fleet.
func (f *fleet) Hosts(_ context.Context, filter api.HostFilter, after messages.HostID, limit int) ([]api.HostView, error) {
	if p := filter.Phase; p != nil && f.hub.Starting() == 0 && f.hub.Stats().Hosts()[*p] == 0 {
		return nil, nil // as most often of those that are down: not worth a look at every host
	}
	rows, err := f.db.Hosts(storage.HostFilter(filter), after, limit)
	views, now := make([]api.HostView, len(rows)), f.hub.Now()
	for i, r := range rows {
		views[i] = f.view(r.Host, r.State, now)
	}
	return views, err
}

// Guests implements api.Fleet.
func (f *fleet) Guests(_ context.Context, id messages.HostID) ([]messages.GuestRecord, error) {
	gs, err := f.db.Guests(id)
	if err != nil {
		return nil, translate(err)
	}
	if err := f.nameControllers(id, gs); err != nil {
		return nil, translate(err)
	}
	s, err := f.db.HostState(id)
	for i := range gs {
		if gs[i].LastSeenAt.IsZero() { // it is in the newest report
			gs[i].LastSeenAt = time.Unix(0, s.ReportAt).UTC()
		}
	}
	return gs, translate(err)
}

// Reports implements api.Fleet.
func (f *fleet) Reports(_ context.Context, id messages.HostID, from messages.ReportRef, limit int) ([]api.ReportView, messages.ReportRef, error) {
	rows, next, err := f.db.Reports(id, from, limit)
	return reportViews(rows), next, translate(err)
}

func reportViews(rows []storage.ReportRow) []api.ReportView {
	views := make([]api.ReportView, len(rows))
	for i, r := range rows {
		views[i] = api.ReportView{ID: r.ID, ReceivedAt: r.ReceivedAt, ReportedAt: r.ReportedAt, Older: r.Older, Figures: r.Figures, Bytes: r.Bytes}
	}
	return views
}

// Report implements api.Fleet.
func (f *fleet) Report(_ context.Context, id messages.HostID, r messages.ReportID) ([]byte, error) {
	body, err := f.db.Report(id, r)
	return body, translate(err)
}

// Events implements api.Fleet.
func (f *fleet) Events(_ context.Context, filter api.EventFilter, after messages.EventID, limit int) ([]messages.Event, error) {
	return f.db.Events(storage.EventFilter(filter), after, limit)
}

// AddRoute implements api.Fleet.
func (f *fleet) AddRoute(ctx context.Context, r messages.Route) (messages.Route, error) {
	r.ID, r.CreatedAt = messages.RouteID(ulid.Make().String()), time.Now().UTC()
	messages.AuditOf(ctx).About(string(r.ID), r.CustomerID)
	return r, orderedRoute(f.hub.Order(ctx, actors.AddRoute{Route: r}))
}

// ChangeRoute implements api.Fleet.
func (f *fleet) ChangeRoute(ctx context.Context, id messages.RouteID, change func(*messages.Route) error) (messages.Route, error) {
	f.keys.Lock() // of two changes at once both are kept
	defer f.keys.Unlock()
	routes, err := f.db.Routes()
	if err != nil {
		return messages.Route{}, err
	}
	i := slices.IndexFunc(routes, func(r messages.Route) bool { return r.ID == id })
	if i < 0 {
		return messages.Route{}, api.ErrNotFound
	}
	if err := change(&routes[i]); err != nil {
		return messages.Route{}, err
	}
	return routes[i], orderedRoute(f.hub.Order(ctx, actors.PutRoute{Route: routes[i]}))
}

// orderedRoute is translate for orders that may find fault with a field.
func orderedRoute(err error) error {
	if wrong := new(actors.FieldProblem); errors.As(err, &wrong) {
		return api.InvalidField(wrong.Field, wrong.Problem)
	}
	return translate(err)
}

// RemoveRoute implements api.Fleet.
func (f *fleet) RemoveRoute(ctx context.Context, id messages.RouteID) error {
	return translate(f.hub.Order(ctx, actors.RemoveRoute{ID: id}))
}

// Routes implements api.Fleet.
func (f *fleet) Routes(context.Context) ([]messages.Route, error) { return f.db.Routes() }

// TestRoute implements api.Fleet.
func (f *fleet) TestRoute(ctx context.Context, id messages.RouteID) (api.RouteAnswer, error) {
	routes, err := f.db.Routes()
	if err != nil {
		return api.RouteAnswer{}, err
	}
	i := slices.IndexFunc(routes, func(r messages.Route) bool { return r.ID == id })
	if i < 0 {
		return api.RouteAnswer{}, api.ErrNotFound
	}
	now := time.Now().UTC()
	e := messages.Event{
		ID: messages.EventID(ulid.Make().String()), Type: messages.RouteTest, At: now,
		CustomerID: routes[i].CustomerID, RouteID: id, Summary: "a test of this route, asked for by an operator",
	}
	d := messages.Delivery{ID: messages.DeliveryID(ulid.Make().String()), Events: []messages.EventID{e.ID}}
	a := f.send.Send(ctx, routes[i], d, []messages.Event{e})
	answer := api.RouteAnswer{OK: a.OK, StatusCode: a.Status, DurationMS: time.Since(now).Milliseconds()}
	if a.OK {
		answer.Answer = a.Text
	} else {
		answer.Error = a.Text
	}
	return answer, nil
}

// Deliveries implements api.Fleet.
func (f *fleet) Deliveries(_ context.Context, filter api.DeliveryFilter, before messages.DeliveryID, limit int) ([]messages.Delivery, error) {
	return f.db.Deliveries(storage.DeliveryFilter(filter), before, limit)
}

// RetryDelivery implements api.Fleet.
func (f *fleet) RetryDelivery(ctx context.Context, id messages.DeliveryID) error {
	d, err := f.db.Delivery(id)
	if err != nil {
		return translate(err)
	}
	if d.State == messages.DeliveryPending {
		return nil // its route is at it
	}
	return translate(f.hub.Order(ctx, actors.Redeliver{Delivery: d}))
}

// Backup implements api.Fleet.
func (f *fleet) Backup(ctx context.Context, w io.Writer) error {
	_, err := f.db.Backup(ctx, w)
	return err
}

// newKey makes an API key and its hash.
func newKey() (messages.Secret, messages.KeyHash) {
	key := hex.EncodeToString(random(32))
	return messages.Secret(key), messages.HashKey([]byte(key))
}

func random(n int) []byte {
	b := make([]byte, n)
	if _, err := rand.Read(b); err != nil {
		panic(fmt.Errorf("read randomness: %w", err)) // crypto/rand never fails on Linux
	}
	return b
}
