package app

import (
	"context"
	"slices"
	"time"

	"felhom.eu/actors"
	"felhom.eu/hub/api"
	"felhom.eu/messages"
)

// RecordController implements api.Reporter.
func (f *fleet) RecordController(c messages.CustomerID, r messages.ControllerReport, body []byte) (api.Receipt, error) {
	receipt, err := f.hub.Ingest.Controller(c, r, body)
	return api.Receipt(receipt), translate(err)
}

// RotateCustomerKey implements api.Fleet. The first one is made by it, too.
func (f *fleet) RotateCustomerKey(ctx context.Context, id messages.CustomerID) (messages.Secret, error) {
	f.keys.Lock()
	defer f.keys.Unlock()
	keys, err := f.customerKeys(id)
	if err != nil {
		return "", err
	}
	key, keys := rotated(keys, messages.Key{Kind: messages.KeyCustomer, CustomerID: id}, time.Now().UTC())
	return key, translate(f.hub.Order(ctx, actors.PutKeys{Customer: id, Keys: keys}))
}

// RevokeCustomerKey implements api.Fleet.
func (f *fleet) RevokeCustomerKey(ctx context.Context, id messages.CustomerID) error {
	f.keys.Lock()
	defer f.keys.Unlock()
	keys, err := f.customerKeys(id)
	if err != nil {
		return err
	}
	return translate(f.hub.Order(ctx, actors.PutKeys{Customer: id, Keys: revoked(keys)}))
}

// customerKeys are a customer's keys that are not revoked, oldest first.
func (f *fleet) customerKeys(id messages.CustomerID) ([]messages.Key, error) {
	if _, err := f.db.Customer(id); err != nil {
		return nil, translate(err)
	}
	keys, err := f.db.Keys("")
	if err != nil {
		return nil, translate(err)
	}
	return live(slices.DeleteFunc(keys, func(k messages.Key) bool { return k.CustomerID != id })), nil
}

// revoked ends keys now.
func revoked(keys []messages.Key) []messages.Key {
	now := time.Now().UTC()
	for i := range keys {
		keys[i].RevokedAt = now
	}
	return keys
}

// Controllers implements api.Fleet.
func (f *fleet) Controllers(_ context.Context, c messages.CustomerID, after messages.ControllerID, limit int) ([]api.ControllerView, error) {
	if _, err := f.db.Customer(c); err != nil {
		return nil, translate(err)
	}
	rows, err := f.db.Controllers(c, after, limit)
	views := make([]api.ControllerView, len(rows))
	for i := range rows {
		views[i] = f.controllerView(rows[i])
	}
	return views, translate(err)
}

func (f *fleet) controllerView(s messages.ControllerState) api.ControllerView {
	return api.ControllerView{State: s, Silence: max((f.hub.Now().At - s.ContactHeard).Duration(), 0)}
}

// Controller implements api.Fleet.
func (f *fleet) Controller(_ context.Context, n messages.ControllerName) (api.ControllerView, error) {
	s, err := f.db.Controller(n)
	return f.controllerView(s), translate(err)
}

// RemoveController implements api.Fleet.
func (f *fleet) RemoveController(_ context.Context, n messages.ControllerName) error {
	return translate(f.hub.RemoveController(n))
}

// ControllerReports implements api.Fleet.
func (f *fleet) ControllerReports(_ context.Context, n messages.ControllerName, from messages.ReportRef, limit int) ([]api.ReportView, messages.ReportRef, error) {
	rows, next, err := f.db.ControllerReports(n, from, limit)
	return reportViews(rows), next, translate(err)
}

// ControllerReport implements api.Fleet.
func (f *fleet) ControllerReport(_ context.Context, n messages.ControllerName, r messages.ReportID) ([]byte, error) {
	body, err := f.db.ControllerReport(n, r)
	return body, translate(err)
}

// nameControllers fills in the version of the controller in each guest: what it
// said of itself goes before what the host saw of it.
func (f *fleet) nameControllers(id messages.HostID, guests []messages.GuestRecord) error {
	controllers, err := f.db.Controllers(id.Customer(), "", 0)
	if err != nil {
		return err
	}
	for _, c := range controllers {
		host, vmid := c.GuestID.Split()
		i := slices.IndexFunc(guests, func(g messages.GuestRecord) bool { return g.VMID == vmid })
		if host == id && i >= 0 && c.Version != "" {
			guests[i].ControllerVersion = c.Version
		}
	}
	return nil
}
