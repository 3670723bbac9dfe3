package api

import (
	"errors"
	"net/netip"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/valyala/fasthttp"

	"felhom.eu/hub/auth"
	"felhom.eu/messages"
)

const (
	enrolBody    = readBuffer // bytes of an enrolment
	defaultLife  = time.Hour  // of an enrolment token
	minLife      = time.Minute
	maxPattern   = 253
	refusalsFor  = time.Minute
	maxRefusals  = 30   // of an address in that time; then it is not even looked at
	maxRefusedBy = 4096 // addresses remembered
)

// tokenItem is an enrolment token as it may be shown.
type tokenItem struct {
	TokenID     messages.TokenID    `json:"token_id"`
	CustomerID  messages.CustomerID `json:"customer_id"`
	NodePattern string              `json:"node_pattern,omitempty"` // absent: machines of any name
	Site        string              `json:"site,omitempty"`
	Uses        int                 `json:"uses"`
	CreatedAt   time.Time           `json:"created_at"`
	ExpiresAt   time.Time           `json:"expires_at"`
	Enrolled    []enrolledItem      `json:"enrolled"`
	Token       string              `json:"token,omitempty"` // only this once
}

// enrolledItem is a machine that came by a token.
type enrolledItem struct {
	HostID messages.HostID `json:"host_id"`
	Node   string          `json:"node"`
	At     time.Time       `json:"at"`
}

func tokenItemOf(t messages.EnrollToken) tokenItem {
	item := tokenItem{
		TokenID: t.ID, CustomerID: t.CustomerID, NodePattern: t.NodePattern, Site: t.Site, Uses: t.Uses,
		CreatedAt: t.CreatedAt, ExpiresAt: t.ExpiresAt, Enrolled: []enrolledItem{},
	}
	for _, x := range t.Enrolled {
		item.Enrolled = append(item.Enrolled, enrolledItem{x.HostID, x.Node, x.At})
	}
	return item
}

func (s *Server) addToken(ctx *fasthttp.RequestCtx, a args) error {
	in := struct {
		CustomerID   string `json:"customer_id"`
		NodePattern  string `json:"node_pattern"`
		Uses         int    `json:"uses"`
		ValidSeconds int    `json:"valid_seconds"`
		Site         string `json:"site"`
	}{Uses: 1, ValidSeconds: int(defaultLife.Seconds())}
	if err := s.decode(ctx, &in); err != nil {
		return err
	}
	customer, err := field("customer_id", in.CustomerID, messages.ParseCustomerID)
	if err != nil {
		return err
	}
	if _, err := path.Match(in.NodePattern, ""); err != nil || len(in.NodePattern) > maxPattern {
		return &fieldError{"node_pattern", "want a name in which * and ? stand for what may differ"}
	}
	if in.Uses < 1 || in.Uses > messages.MaxTokenUses {
		return &fieldError{"uses", "want 1 to 1000"}
	}
	if in.ValidSeconds < int(minLife.Seconds()) || in.ValidSeconds > int(messages.MaxTokenLife.Seconds()) {
		return &fieldError{"valid_seconds", "want 60 to 86400"}
	}
	if err := checkSite(in.Site); err != nil {
		return err
	}
	c, cancel := s.change(a)
	defer cancel()
	t, secret, err := s.fleet.AddToken(c, messages.EnrollToken{CustomerID: customer, NodePattern: in.NodePattern, Uses: in.Uses, Site: in.Site},
		time.Duration(in.ValidSeconds)*time.Second)
	if err != nil {
		return noSuchCustomer(err)
	}
	item := tokenItemOf(t)
	item.Token = secret.Reveal()
	return answerJSON(ctx, 201, item)
}

// listTokens pages through the tokens itself: there are few.
func (s *Server) listTokens(ctx *fasthttp.RequestCtx, _ args) error {
	q, err := readQuery(ctx)
	if err != nil {
		return err
	}
	last, err := after(q, tokenList, parseTokenID)
	if err != nil {
		return err
	}
	c, cancel := s.ask()
	defer cancel()
	all, err := s.fleet.Tokens(c)
	if err != nil {
		return err
	}
	rows := slices.Clone(all)
	slices.SortFunc(rows, func(a, b messages.EnrollToken) int { return strings.Compare(string(a.ID), string(b.ID)) })
	rows = slices.DeleteFunc(rows, func(t messages.EnrollToken) bool { return t.ID <= last })
	rows = rows[:min(len(rows), q.limit+1)]
	return answerPage(ctx, rows, q.limit, tokenList, func(t messages.EnrollToken) string { return string(t.ID) }, tokenItemOf)
}

func parseTokenID(s string) (messages.TokenID, error) {
	return messages.ParseULID[messages.TokenID]("token_id", s)
}

func (s *Server) removeToken(ctx *fasthttp.RequestCtx, a args) error {
	id, err := parseTokenID(a.params[0])
	if err != nil {
		return errNotFound
	}
	c, cancel := s.change(a)
	defer cancel()
	if err := s.fleet.RemoveToken(c, id); err != nil {
		return err
	}
	ctx.SetStatusCode(204)
	return nil
}

// enroll makes a host of a machine that brings a token.
func (s *Server) enroll(ctx *fasthttp.RequestCtx, a args) error {
	from, _ := netip.AddrFromSlice(ctx.RemoteIP())
	if s.refusals.many(from, time.Now()) {
		return errTooManyTokens
	}
	var in messages.EnrollRequest
	if err := s.decode(ctx, &in); err != nil {
		return err
	}
	if !messages.ValidKey(in.Nonce) {
		return &fieldError{"nonce", "want 64 lower-case hex digits, made for this enrolment"}
	}
	if !messages.ValidNode(in.Node) {
		return &fieldError{"node", "want the machine's name: letters, digits, dots, dashes, underscores"}
	}
	var is messages.HostID
	if who, ok := s.keys.Lookup([]byte(in.APIKey), time.Now()); ok && who.Kind == auth.Host {
		is = who.HostID
	}
	c, cancel := s.ask()
	defer cancel()
	id, key, err := s.fleet.Enroll(c, a.who.Hash, in, is)
	if err != nil {
		if errors.Is(err, ErrTokenRefused) {
			s.refusals.add(from, time.Now())
		}
		return err
	}
	s.log.Info().Str("host", string(id)).Str("node", in.Node).Bool("again", id == is).Msg("host enrolled")
	return answerJSON(ctx, 201, messages.EnrollAnswer{HostID: id, APIKey: key.Reveal()})
}

// refusals counts enrolments that were refused, by address, a minute at a time:
// who tries tokens shall not keep the store busy.
type refusals struct {
	mu    sync.Mutex
	since time.Time
	by    map[netip.Addr]int
}

func (r *refusals) many(from netip.Addr, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now.Sub(r.since) >= refusalsFor {
		r.since, r.by = now, nil
	}
	return r.by[from] >= maxRefusals
}

func (r *refusals) add(from netip.Addr, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.by == nil {
		r.since, r.by = now, make(map[netip.Addr]int)
	}
	if _, known := r.by[from]; known || len(r.by) < maxRefusedBy {
		r.by[from]++
	}
}
