package app

import (
	"context"
	"encoding/hex"
	"errors"
	"slices"
	"time"

	"github.com/oklog/ulid/v2"

	"felhom.eu/actors"
	"felhom.eu/hub/api"
	"felhom.eu/messages"
)

// tokensStay is how long an enrolment token is listed after it has expired.
const tokensStay = 30 * 24 * time.Hour

// AddToken implements api.Fleet.
func (f *fleet) AddToken(ctx context.Context, t messages.EnrollToken, life time.Duration) (messages.EnrollToken, messages.Secret, error) {
	f.keys.Lock()
	defer f.keys.Unlock()
	all, err := f.db.EnrollTokens()
	if err != nil {
		return t, "", err
	}
	secret, hash := newKey()
	t.ID, t.Hash, t.CreatedAt = messages.TokenID(ulid.Make().String()), hash, time.Now().UTC()
	t.ExpiresAt = t.CreatedAt.Add(life)
	messages.AuditOf(ctx).About(string(t.ID), t.CustomerID)
	var old []messages.TokenID
	for i := range all {
		if t.CreatedAt.Sub(all[i].ExpiresAt) > tokensStay {
			old = append(old, all[i].ID)
		}
	}
	return t, secret, translate(f.hub.Order(ctx, actors.PutToken{Token: t, Drop: old}))
}

// Tokens implements api.Fleet.
func (f *fleet) Tokens(context.Context) ([]messages.EnrollToken, error) { return f.db.EnrollTokens() }

// RemoveToken implements api.Fleet.
func (f *fleet) RemoveToken(ctx context.Context, id messages.TokenID) error {
	f.keys.Lock() // an enrolment under way would bring it back
	defer f.keys.Unlock()
	all, err := f.db.EnrollTokens()
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(all, func(t messages.EnrollToken) bool { return t.ID == id }) {
		return api.ErrNotFound
	}
	return translate(f.hub.Order(ctx, actors.RemoveToken{ID: id}))
}

// Enroll implements api.Fleet. One enrolment is decided at a time, on what is
// durable: a token is not used more often than it may be.
func (f *fleet) Enroll(ctx context.Context, token messages.KeyHash, r messages.EnrollRequest, is messages.HostID) (messages.HostID, messages.Secret, error) {
	f.keys.Lock()
	defer f.keys.Unlock()
	all, err := f.db.EnrollTokens()
	if err != nil {
		return "", "", err
	}
	i := slices.IndexFunc(all, func(t messages.EnrollToken) bool { return t.Hash == token })
	if i < 0 {
		return "", "", api.ErrTokenRefused
	}
	t, now, nonce := all[i], time.Now().UTC(), messages.HashKey([]byte(r.Nonce))
	before, err := t.Admit(nonce, r.Node, now)
	if err != nil {
		return "", "", api.ErrTokenRefused
	}
	if is != "" && is.Customer() != t.CustomerID {
		is = "" // another customer's machine: here it is a new one
	}
	if before != nil {
		is = before.HostID
	} else {
		t.Enrolled = append(slices.Clone(t.Enrolled), messages.Enrollment{Nonce: nonce, HostID: is, Node: r.Node, At: now})
	}
	if is != "" {
		key, order, err := f.rotation(is, now)
		if errors.Is(err, api.ErrNotFound) {
			return "", "", api.ErrTokenRefused // its host was removed
		}
		if err == nil {
			err = translate(f.hub.Order(ctx, actors.Enroll{Token: t, Order: order}))
		}
		return is, key, err
	}
	return f.enrollNew(ctx, t, now)
}

func (f *fleet) enrollNew(ctx context.Context, t messages.EnrollToken, now time.Time) (messages.HostID, messages.Secret, error) {
	key, hash := newKey()
	for {
		id := messages.HostID(string(t.CustomerID) + "-" + hex.EncodeToString(random(4)))
		t.Enrolled[len(t.Enrolled)-1].HostID = id
		err := f.hub.Order(ctx, actors.Enroll{Token: t, Order: actors.AddHost{
			Host: messages.Host{ID: id, CustomerID: t.CustomerID, CreatedAt: now, Site: t.Site},
			Key:  messages.Key{Hash: hash, Kind: messages.KeyHost, HostID: id, CustomerID: t.CustomerID, CreatedAt: now},
		}})
		if errors.Is(err, actors.ErrExists) {
			continue
		}
		return id, key, translate(err)
	}
}
