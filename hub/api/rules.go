package api

import (
	"github.com/valyala/fasthttp"

	"felhom.eu/messages"
)

// rulesOf is whose settings a request is about: of the customer or the host in its
// path.
type rulesOf func(a args) (messages.CustomerID, messages.HostID, error)

func ofCustomer(a args) (messages.CustomerID, messages.HostID, error) {
	id, err := customerOf(a)
	return id, "", err
}

func ofHost(a args) (messages.CustomerID, messages.HostID, error) {
	id, err := hostOf(a)
	return "", id, err
}

// showRules answers what is set, and what holds.
func showRules(of rulesOf) handler {
	return func(s *Server, ctx *fasthttp.RequestCtx, a args) error {
		customer, host, err := of(a)
		if err != nil {
			return err
		}
		return s.answerRules(ctx, customer, host)
	}
}

func (s *Server) answerRules(ctx *fasthttp.RequestCtx, customer messages.CustomerID, host messages.HostID) error {
	c, cancel := s.ask()
	defer cancel()
	view, err := s.fleet.Rules(c, customer, host)
	if err != nil {
		return err
	}
	return answerJSON(ctx, 200, view)
}

// putRules replaces all that was set.
func putRules(of rulesOf) handler {
	return func(s *Server, ctx *fasthttp.RequestCtx, a args) error {
		customer, host, err := of(a)
		if err != nil {
			return err
		}
		var in messages.RuleSettings
		if err := s.decode(ctx, &in); err != nil {
			return err
		}
		in.CustomerID, in.HostID = customer, host
		c, cancel := s.ask()
		defer cancel()
		if err := s.fleet.SetRules(c, in); err != nil {
			return err
		}
		return s.answerRules(ctx, customer, host)
	}
}

// resetRules takes away all that was set.
func resetRules(of rulesOf) handler {
	return func(s *Server, ctx *fasthttp.RequestCtx, a args) error {
		customer, host, err := of(a)
		if err != nil {
			return err
		}
		c, cancel := s.ask()
		defer cancel()
		if err := s.fleet.SetRules(c, messages.RuleSettings{CustomerID: customer, HostID: host}); err != nil {
			return err
		}
		ctx.SetStatusCode(204)
		return nil
	}
}

// hostProtection lists a host's guests with their chains.
func (s *Server) hostProtection(ctx *fasthttp.RequestCtx, a args) error {
	id, err := hostOf(a)
	if err != nil {
		return err
	}
	c, cancel := s.ask()
	defer cancel()
	if _, err := s.fleet.Host(c, id); err != nil {
		return err
	}
	return s.protection(ctx, ProtectionFilter{HostID: id})
}

// listProtection lists the guests of the fleet with their chains.
func (s *Server) listProtection(ctx *fasthttp.RequestCtx, _ args) error {
	return s.protection(ctx, ProtectionFilter{}, "customer_id", "state")
}

func (s *Server) protection(ctx *fasthttp.RequestCtx, f ProtectionFilter, filters ...string) error {
	q, err := readQuery(ctx, filters...)
	if err != nil {
		return err
	}
	if f.CustomerID, err = parsed(q, "customer_id", messages.ParseCustomerID); err != nil {
		return err
	}
	if f.State, err = parsed(q, "state", parseProtection); err != nil {
		return err
	}
	last, err := after(q, protectionList, messages.ParseGuestID)
	if err != nil {
		return err
	}
	c, cancel := s.ask()
	defer cancel()
	rows, err := s.fleet.Protection(c, f, last, q.limit+1)
	if err != nil {
		return err
	}
	return answerPage(ctx, rows, q.limit, protectionList, func(p messages.Protection) string { return string(p.HostID.Guest(p.VMID)) }, same)
}

func parseProtection(s string) (messages.ProtectionState, error) {
	if p, ok := messages.ParseProtectionState(s); ok {
		return p, nil
	}
	return "", messages.ErrBadID
}
