package actors

import (
	"github.com/anthdm/hollywood/actor"

	"felhom.eu/messages"
)

// PutAccess changes who may sign in and who is signed in; empty, it only writes
// the audit note of its context. What may be changed the caller has decided, one
// such order at a time: ErrNotFound when a user's customer is not there.
type PutAccess struct {
	PutUsers    []messages.User
	DelUsers    []messages.UserName
	PutSessions []messages.Session
	DelSessions []messages.KeyHash
}

func (o PutAccess) decide(r *Registry) (*messages.Batch, func(*actor.Context), error) {
	for i := range o.PutUsers {
		if c := o.PutUsers[i].CustomerID; c != "" && r.customers[c] == nil {
			return nil, nil, ErrNotFound
		}
	}
	return &messages.Batch{
		PutUsers: o.PutUsers, DelUsers: o.DelUsers, PutSessions: o.PutSessions, DelSessions: o.DelSessions,
	}, func(*actor.Context) {}, nil
}
