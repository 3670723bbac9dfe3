package actors

import (
	"github.com/anthdm/hollywood/actor"

	"felhom.eu/messages"
)

type (
	// PutToken makes an enrolment token, and drops those that nobody asks for any
	// more: ErrNotFound without its customer.
	PutToken struct {
		Token messages.EnrollToken
		Drop  []messages.TokenID
	}
	// RemoveToken drops an enrolment token.
	RemoveToken struct{ ID messages.TokenID }
	// Enroll makes a host or gives one another key, and notes it in the token: all
	// of it, or nothing. Errors are those of the inner order, AddHost or PutKeys.
	Enroll struct {
		Token messages.EnrollToken
		Order order
	}
)

func (o PutToken) decide(r *Registry) (*messages.Batch, func(*actor.Context), error) {
	if r.customers[o.Token.CustomerID] == nil {
		return nil, nil, ErrNotFound
	}
	return &messages.Batch{PutTokens: []messages.EnrollToken{o.Token}, DelTokens: o.Drop}, func(*actor.Context) {}, nil
}

func (o RemoveToken) decide(*Registry) (*messages.Batch, func(*actor.Context), error) {
	return &messages.Batch{DelTokens: []messages.TokenID{o.ID}}, func(*actor.Context) {}, nil
}

func (o Enroll) decide(r *Registry) (*messages.Batch, func(*actor.Context), error) {
	more, apply, err := o.Order.decide(r)
	if err == nil {
		more.PutTokens = []messages.EnrollToken{o.Token}
	}
	return more, apply, err
}
