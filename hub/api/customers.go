package api

import (
	"errors"
	"slices"
	"unicode"
	"unicode/utf8"

	"github.com/valyala/fasthttp"

	"felhom.eu/messages"
)

const maxDisplayName = 200 // bytes

func (s *Server) addCustomer(ctx *fasthttp.RequestCtx, a args) error {
	var in struct {
		CustomerID  string `json:"customer_id"`
		DisplayName string `json:"display_name"`
	}
	if err := s.decode(ctx, &in); err != nil {
		return err
	}
	id, err := field("customer_id", in.CustomerID, messages.ParseCustomerID)
	if err != nil {
		return &fieldError{"customer_id", "want a-z, 0-9 and inner dashes, at most 32"}
	}
	if in.DisplayName == "" {
		in.DisplayName = string(id)
	}
	if !printable(in.DisplayName, maxDisplayName) {
		return &fieldError{"display_name", "want at most 200 bytes of printable text"}
	}
	c, cancel := s.change(a)
	defer cancel()
	customer, err := s.fleet.AddCustomer(c, id, in.DisplayName)
	if err != nil {
		return err
	}
	return answerJSON(ctx, 201, customer)
}

// printable keeps control characters and direction overrides out of tables and messages.
func printable(s string, limit int) bool {
	if len(s) > limit || !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		if !unicode.IsPrint(r) {
			return false
		}
	}
	return true
}

func (s *Server) listCustomers(ctx *fasthttp.RequestCtx, _ args) error {
	q, err := readQuery(ctx)
	if err != nil {
		return err
	}
	last, err := after(q, customerList, messages.ParseCustomerID)
	if err != nil {
		return err
	}
	c, cancel := s.ask()
	defer cancel()
	rows, err := s.fleet.Customers(c, last, q.limit+1)
	if err != nil {
		return err
	}
	return answerPage(ctx, rows, q.limit, customerList, func(c messages.Customer) string { return string(c.ID) }, same)
}

// customerOf parses the path's customer; what is malformed does not exist.
func customerOf(a args) (messages.CustomerID, error) {
	id, err := messages.ParseCustomerID(a.params[0])
	if err != nil {
		return "", errNotFound
	}
	return id, nil
}

func (s *Server) showCustomer(ctx *fasthttp.RequestCtx, a args) error {
	id, err := customerOf(a)
	if err != nil {
		return err
	}
	c, cancel := s.ask()
	defer cancel()
	customer, err := s.fleet.Customer(c, id)
	if err != nil {
		return err
	}
	return answerJSON(ctx, 200, customer)
}

func (s *Server) blockCustomer(ctx *fasthttp.RequestCtx, a args) error {
	return s.setBlocked(ctx, a, true)
}

func (s *Server) unblockCustomer(ctx *fasthttp.RequestCtx, a args) error {
	return s.setBlocked(ctx, a, false)
}

func (s *Server) setBlocked(ctx *fasthttp.RequestCtx, a args, blocked bool) error {
	id, err := customerOf(a)
	if err != nil {
		return err
	}
	c, cancel := s.change(a)
	defer cancel()
	customer, err := s.fleet.SetBlocked(c, id, blocked)
	if err != nil {
		return err
	}
	return answerJSON(ctx, 200, customer)
}

func (s *Server) removeCustomer(ctx *fasthttp.RequestCtx, a args) error {
	id, err := customerOf(a)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(s.cfg.Sessions.Users(), func(u messages.User) bool { return u.CustomerID == id }) {
		return errStillHas
	}
	c, cancel := s.change(a)
	defer cancel()
	switch err := s.fleet.RemoveCustomer(c, id); {
	case errors.Is(err, ErrInUse):
		return errStillHas
	case err != nil:
		return err
	}
	ctx.SetStatusCode(204)
	return nil
}

var errStillHas = newProblem(409, messages.CodeConflict, "customer_id: still has hosts, routes or users; remove them first")
