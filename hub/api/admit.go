package api

import (
	"bytes"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"github.com/valyala/fasthttp"

	"felhom.eu/hub/auth"
	"felhom.eu/messages"
)

const tallyEvery = time.Minute

// admit tells who asks, or errUnauthorized, or errForbidden for a valid key or
// session that does not open this. It is asked twice a request: before the body,
// and after. It is the one place that decides who may do what.
func (s *Server) admit(r *route, params *[maxParams]string, h *fasthttp.RequestHeader) (who auth.Principal, err error) {
	switch r.access {
	case forAll, forGuests:
		return who, nil
	case forEnrolment:
		if token := presented(h); messages.ValidKey(token) {
			return auth.Principal{Hash: messages.HashKey(token)}, nil
		}
		return who, errToken
	}
	who, ok := s.asking(r, h)
	switch {
	case !ok && r.page():
		return who, errSignIn
	case !ok:
		return who, errUnauthorized
	case !opens(r, params, &who) && who.Role != "":
		return auth.Principal{}, errRole
	case !opens(r, params, &who):
		return auth.Principal{}, errForbidden
	}
	return who, nil
}

// asking is who presents a key or, where browsers come, a session's cookie. A
// key goes before a cookie.
func (s *Server) asking(r *route, h *fasthttp.RequestHeader) (auth.Principal, bool) {
	if len(h.Peek(fasthttp.HeaderAuthorization)) == 0 && r.takesSessions() {
		who, changed, ok := s.cfg.Sessions.Find(h.Cookie(s.cookieName()), time.Now())
		s.keepLater(changed)
		return who, ok
	}
	return s.keys.Lookup(presented(h), time.Now())
}

// opens reports whether a route opens to who asks.
func opens(r *route, params *[maxParams]string, who *auth.Principal) bool {
	owner := r.owner(params)
	switch r.access {
	case forAgents:
		return who.Kind == auth.Host || who.Kind == auth.Global
	case forControllers:
		return who.Kind == auth.Customer
	case forOperators:
		return who.May(auth.Change, owner)
	case forViewers:
		return who.May(auth.Read, "")
	case forSessions:
		return who.Kind == auth.Session
	case forPages:
		if r.method != fasthttp.MethodGet {
			return who.May(auth.Change, owner)
		}
	}
	if owner == "" { // a list or a page, which is narrowed
		owner = who.CustomerID
	}
	return who.May(auth.Read, owner)
}

// owner is the customer whose thing the path names, "" when it names nobody's.
// What is malformed is nobody's: the handler knows no such thing.
func (r *route) owner(params *[maxParams]string) messages.CustomerID {
	_, name, _ := strings.Cut(r.path, "{")
	switch name, _, _ := strings.Cut(name, "}"); name {
	case "customer_id":
		if id, err := messages.ParseCustomerID(params[0]); err == nil {
			return id
		}
	case "host_id":
		if id, err := messages.ParseHostID(params[0]); err == nil {
			return id.Customer()
		}
	}
	return ""
}

// page reports whether people look at it in a browser.
func (r *route) page() bool {
	return r.access == forPages || r.access == forSessions || r.access == forGuests
}

func (r *route) takesSessions() bool {
	switch r.access {
	case forOperators, forViewers, forCustomers, forPages, forSessions:
		return true
	}
	return false
}

// narrow makes a list that somebody asks who sees one customer only the list of
// that customer, as if it had been asked for.
func narrow(ctx *fasthttp.RequestCtx, r *route, who *auth.Principal) error {
	if who.Role != messages.RoleCustomer || r.access != forCustomers || strings.Contains(r.path, "{") {
		return nil
	}
	uri := ctx.Request.URI()
	q, err := url.ParseQuery(string(uri.QueryString()))
	if err != nil {
		return errQuery
	}
	for _, asked := range q["customer_id"] {
		if asked != string(who.CustomerID) {
			return errRole
		}
	}
	q.Set("customer_id", string(who.CustomerID))
	uri.SetQueryString(q.Encode())
	return nil
}

// presented is the key in the header, nil when there is none or more than one
// could be meant.
func presented(h *fasthttp.RequestHeader) []byte {
	all := h.PeekAll(fasthttp.HeaderAuthorization)
	if len(all) != 1 {
		return nil
	}
	if scheme, key, _ := bytes.Cut(all[0], []byte{' '}); bytes.EqualFold(scheme, []byte("Bearer")) {
		return key
	}
	return nil
}

// tally counts what a flood would make a million lines of, and logs one line a
// minute while it goes on.
type tally struct {
	log   zerolog.Logger
	what  string
	mu    sync.Mutex
	count int
}

func (t *tally) add() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.count++; t.count == 1 {
		time.AfterFunc(tallyEvery, t.tell)
	}
}

func (t *tally) tell() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.log.Warn().Int("count", t.count).Dur("within_ms", tallyEvery).Msg(t.what)
	t.count = 0
}
