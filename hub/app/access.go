package app

import (
	"context"
	"fmt"
	"slices"
	"time"

	"felhom.eu/actors"
	"felhom.eu/hub/api"
	"felhom.eu/hub/auth"
	"felhom.eu/messages"
	"felhom.eu/storage"
)

// loadSessions reads who may sign in and who is signed in, and which of these
// sessions are over.
func loadSessions(db *storage.DB, now time.Time) (*auth.Sessions, auth.Changes, error) {
	users, err := db.Users()
	if err != nil {
		return nil, auth.Changes{}, fmt.Errorf("read users: %w", err)
	}
	stored, err := db.Sessions()
	if err != nil {
		return nil, auth.Changes{}, fmt.Errorf("read sessions: %w", err)
	}
	s := &auth.Sessions{}
	return s, s.Load(users, stored, now), nil
}

// forget drops from the store the sessions that ended while the hub was down.
func (f *fleet) forget(over []messages.KeyHash) {
	if len(over) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute) // until all hosts are up
	defer cancel()
	if err := f.SaveAccess(ctx, api.AccessChange{DelSessions: over}); err != nil {
		f.app.log.Warn().Err(err).Int("sessions", len(over)).Msg("sessions that are over stay stored until the next start")
	}
}

// SaveAccess implements api.Fleet. One change is written at a time, and a session
// only if it still lives then: that it was seen may be told later than its end.
func (f *fleet) SaveAccess(ctx context.Context, c api.AccessChange) error {
	f.access.Lock()
	defer f.access.Unlock()
	c.PutSessions = slices.DeleteFunc(c.PutSessions, func(s messages.Session) bool { return !f.app.sessions.Has(s.Hash) })
	return translate(f.hub.Order(ctx, actors.PutAccess(c)))
}

// Audit implements api.Fleet.
func (f *fleet) Audit(_ context.Context, after uint64, limit int) ([]messages.AuditRecord, error) {
	return f.db.Audit(after, limit)
}

// LatestAudit is the audit log, newest first; before is exclusive, and 0 is behind
// the newest.
func (f *fleet) LatestAudit(_ context.Context, before uint64, limit int) ([]messages.AuditRecord, error) {
	return f.db.LatestAudit(before, limit)
}
