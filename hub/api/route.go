package api

import (
	"bytes"
	"slices"
	"strings"

	"github.com/valyala/fasthttp"

	"felhom.eu/hub/auth"
	"felhom.eu/messages"
)

// access says who may come in.
type access uint8

const (
	forAll         access = iota // public: health, metrics, the API's description
	forAgents                    // a host's key or the global one
	forEnrolment                 // an enrolment token, which the handler judges
	forControllers               // a customer's key
	forOperators                 // an operator: the global key, or a session
	forViewers                   // whoever may read the whole fleet
	forCustomers                 // whoever may read what is of one customer: the path's, or a list narrowed to it
	forPages                     // a session, or the global key; what a page shows is its own care
	forSessions                  // a session of whatever role
	forGuests                    // pages for who has not signed in yet
)

// maxParams bounds the {…} in a path.
const maxParams = 3

// args are what a handler is given beside the request.
type args struct {
	who    auth.Principal      // zero for forAll
	params [maxParams]string   // what stands for {…} in the path, copied
	note   *messages.AuditNote // of what changes something; else nil
}

// handler answers one route; its error becomes the answer, by the table in error.go.
type handler func(*Server, *fasthttp.RequestCtx, args) error

// route is one row of the API. A path's {…} matches one segment, without any
// decoding: the handler parses it by the grammar of its id.
type route struct {
	method string
	path   string
	access access
	handle handler
}

// routes is the whole API; openapi.yaml says the same, and a test holds them together.
var routes = []route{
	{"POST", "/api/v1/host-report", forAgents, (*Server).hostReport},
	{"POST", "/api/v1/host-goodbye", forAgents, (*Server).hostGoodbye},
	{"POST", "/api/v1/enroll", forEnrolment, (*Server).enroll},
	{"POST", "/api/v1/report", forControllers, (*Server).controllerReport},

	{"POST", "/api/v1/admin/customers", forOperators, (*Server).addCustomer},
	{"GET", "/api/v1/admin/customers", forViewers, (*Server).listCustomers},
	{"GET", "/api/v1/admin/customers/{customer_id}", forCustomers, (*Server).showCustomer},
	{"DELETE", "/api/v1/admin/customers/{customer_id}", forOperators, (*Server).removeCustomer},
	{"POST", "/api/v1/admin/customers/{customer_id}/block", forOperators, (*Server).blockCustomer},
	{"POST", "/api/v1/admin/customers/{customer_id}/unblock", forOperators, (*Server).unblockCustomer},
	{"POST", "/api/v1/admin/customers/{customer_id}/rotate-key", forOperators, (*Server).rotateCustomerKey},
	{"POST", "/api/v1/admin/customers/{customer_id}/revoke-key", forOperators, (*Server).revokeCustomerKey},

	{"GET", "/api/v1/admin/customers/{customer_id}/controllers", forViewers, (*Server).listControllers},
	{"GET", "/api/v1/admin/customers/{customer_id}/controllers/{controller_id}", forViewers, (*Server).showController},
	{"DELETE", "/api/v1/admin/customers/{customer_id}/controllers/{controller_id}", forOperators, (*Server).removeController},
	{"GET", "/api/v1/admin/customers/{customer_id}/controllers/{controller_id}/reports", forViewers, (*Server).listControllerReports},
	{"GET", "/api/v1/admin/customers/{customer_id}/controllers/{controller_id}/reports/{report_id}", forViewers, (*Server).showControllerReport},

	{"POST", "/api/v1/admin/customers/{customer_id}/deadlines", forOperators, (*Server).addDeadline},
	{"GET", "/api/v1/admin/customers/{customer_id}/deadlines", forViewers, (*Server).listDeadlines},
	{"DELETE", "/api/v1/admin/customers/{customer_id}/deadlines/{deadline_id}", forOperators, (*Server).removeDeadline},

	{"POST", "/api/v1/admin/hosts", forOperators, (*Server).mintHost},
	{"GET", "/api/v1/admin/hosts", forCustomers, (*Server).listHosts},
	{"GET", "/api/v1/admin/hosts/{host_id}", forCustomers, (*Server).showHost},
	{"DELETE", "/api/v1/admin/hosts/{host_id}", forOperators, (*Server).removeHost},
	{"GET", "/api/v1/admin/hosts/{host_id}/reports", forCustomers, (*Server).listReports},
	{"GET", "/api/v1/admin/hosts/{host_id}/reports/{report_id}", forCustomers, (*Server).showReport},
	{"PUT", "/api/v1/admin/hosts/{host_id}/site", forOperators, (*Server).setSite},
	{"POST", "/api/v1/admin/hosts/{host_id}/rotate-key", forOperators, (*Server).rotateKey},
	{"POST", "/api/v1/admin/hosts/{host_id}/revoke-key", forOperators, (*Server).revokeKey},

	{"GET", "/api/v1/admin/customers/{customer_id}/rules", forViewers, showRules(ofCustomer)},
	{"PUT", "/api/v1/admin/customers/{customer_id}/rules", forOperators, putRules(ofCustomer)},
	{"DELETE", "/api/v1/admin/customers/{customer_id}/rules", forOperators, resetRules(ofCustomer)},
	{"GET", "/api/v1/admin/hosts/{host_id}/rules", forViewers, showRules(ofHost)},
	{"PUT", "/api/v1/admin/hosts/{host_id}/rules", forOperators, putRules(ofHost)},
	{"DELETE", "/api/v1/admin/hosts/{host_id}/rules", forOperators, resetRules(ofHost)},
	{"GET", "/api/v1/admin/hosts/{host_id}/protection", forCustomers, (*Server).hostProtection},
	{"GET", "/api/v1/admin/hosts/{host_id}/series", forCustomers, (*Server).hostSeries},
	{"GET", "/api/v1/admin/hosts/{host_id}/availability", forCustomers, (*Server).hostAvailability},
	{"GET", "/api/v1/admin/customers/{customer_id}/availability", forCustomers, (*Server).customerAvailability},
	{"GET", "/api/v1/admin/protection", forCustomers, (*Server).listProtection},

	{"POST", "/api/v1/admin/enroll-tokens", forOperators, (*Server).addToken},
	{"GET", "/api/v1/admin/enroll-tokens", forOperators, (*Server).listTokens},
	{"DELETE", "/api/v1/admin/enroll-tokens/{token_id}", forOperators, (*Server).removeToken},

	{"GET", "/api/v1/admin/events", forCustomers, (*Server).listEvents},

	{"POST", "/api/v1/admin/routes", forOperators, (*Server).addRoute},
	{"GET", "/api/v1/admin/routes", forCustomers, (*Server).listRoutes},
	{"PUT", "/api/v1/admin/routes/{route_id}", forOperators, (*Server).changeRoute},
	{"DELETE", "/api/v1/admin/routes/{route_id}", forOperators, (*Server).removeRoute},
	{"POST", "/api/v1/admin/routes/{route_id}/test", forOperators, (*Server).testRoute},

	{"GET", "/api/v1/admin/attention", forViewers, (*Server).attention},
	{"GET", "/api/v1/admin/alarms", forCustomers, (*Server).listAlarms},
	{"GET", "/api/v1/admin/alarms/{incident_id}", forViewers, (*Server).showAlarm},
	{"POST", "/api/v1/admin/alarms/{incident_id}/acknowledge", forOperators, (*Server).acknowledge},
	{"DELETE", "/api/v1/admin/alarms/{incident_id}/acknowledge", forOperators, (*Server).unacknowledge},

	{"POST", "/api/v1/admin/silences", forOperators, (*Server).addSilence},
	{"GET", "/api/v1/admin/silences", forViewers, (*Server).listSilences},
	{"DELETE", "/api/v1/admin/silences/{silence_id}", forOperators, (*Server).endSilence},

	{"GET", "/api/v1/admin/deliveries", forCustomers, (*Server).listDeliveries},
	{"GET", "/api/v1/admin/deliveries/{delivery_id}", forViewers, (*Server).showDelivery},
	{"POST", "/api/v1/admin/deliveries/{delivery_id}/retry", forOperators, (*Server).retryDelivery},

	{"POST", "/api/v1/admin/users", forOperators, (*Server).addUser},
	{"GET", "/api/v1/admin/users", forViewers, (*Server).listUsers},
	{"DELETE", "/api/v1/admin/users/{user_name}", forOperators, (*Server).removeUser},
	{"POST", "/api/v1/admin/users/{user_name}/password", forOperators, (*Server).setPassword},
	{"POST", "/api/v1/admin/users/{user_name}/role", forOperators, (*Server).setRole},
	{"DELETE", "/api/v1/admin/users/{user_name}/sessions", forOperators, (*Server).endSessionsOf},
	{"GET", "/api/v1/admin/sessions", forViewers, (*Server).listSessions},
	{"DELETE", "/api/v1/admin/sessions/{session_id}", forOperators, (*Server).endSession},
	{"POST", "/api/v1/admin/login-links", forOperators, (*Server).addLoginLink},
	{"GET", "/api/v1/admin/audit", forViewers, (*Server).listAudit},

	{"GET", "/api/v1/admin/backup", forOperators, (*Server).backup},
	{"POST", "/api/v1/admin/replay", forOperators, (*Server).replay},
	{"POST", "/api/v1/admin/drill", forOperators, (*Server).drill},

	{"GET", "/healthz", forAll, (*Server).healthz},
	{"GET", "/readyz", forAll, (*Server).readyz},
	{"GET", "/metrics", forAll, (*Server).metrics},
	{"GET", "/api/v1/openapi.yaml", forAll, (*Server).openAPI},

	{"GET", "/login", forGuests, (*Server).showLogin},
	{"POST", "/login", forGuests, (*Server).login},
	{"POST", "/logout", forSessions, (*Server).logout},
	{"POST", "/logout-everywhere", forSessions, (*Server).logoutEverywhere},
	{"POST", "/csp-report", forAll, (*Server).cspReport},
}

// table finds routes. Paths are compared byte by byte as they came: what a
// proxy and fasthttp would read differently (dot segments, double slashes,
// escapes, absolute forms) is simply not found.
type table struct {
	exact    map[string][]*route // by path
	patterns []pattern
}

// pattern is a path with {…} in it, cut at the slashes.
type pattern struct {
	segments []string // "" where a parameter stands
	routes   []*route
}

func newTable(rows []route, keep func(*route) bool) *table {
	t := &table{exact: make(map[string][]*route)}
	byPath := make(map[string]int)
	for i := range rows {
		r := &rows[i]
		if !keep(r) {
			continue
		}
		if !strings.Contains(r.path, "{") {
			t.exact[r.path] = append(t.exact[r.path], r)
			continue
		}
		n, ok := byPath[r.path]
		if !ok {
			n = len(t.patterns)
			byPath[r.path] = n
			t.patterns = append(t.patterns, pattern{segments: cut(r.path)})
		}
		t.patterns[n].routes = append(t.patterns[n].routes, r)
	}
	return t
}

func cut(path string) []string {
	segments := strings.Split(path[1:], "/")
	for i, s := range segments {
		if s[0] == '{' {
			segments[i] = ""
		}
	}
	return segments
}

// find gives the route of a request, or errNotFound, or a notAllowed that says
// what is allowed there. A path without parameters costs no allocation.
func (t *table) find(h *fasthttp.RequestHeader) (*route, [maxParams]string, error) {
	path := h.RequestURI()
	if i := bytes.IndexByte(path, '?'); i >= 0 {
		path = path[:i]
	}
	var params [maxParams]string
	rows := t.exact[string(path)]
	for i := 0; rows == nil && i < len(t.patterns); i++ {
		if t.patterns[i].match(path, &params) {
			rows = t.patterns[i].routes
		}
	}
	if rows == nil {
		return nil, params, errNotFound
	}
	method := h.Method()
	for _, r := range rows {
		if string(method) == r.method || r.method == "GET" && string(method) == "HEAD" {
			return r, params, nil
		}
	}
	return nil, params, notAllowed(rows)
}

func (p *pattern) match(path []byte, params *[maxParams]string) bool {
	var got [maxParams][]byte
	n := 0
	for _, want := range p.segments {
		if len(path) == 0 || path[0] != '/' {
			return false
		}
		segment := path[1:]
		if end := bytes.IndexByte(segment, '/'); end >= 0 {
			segment = segment[:end]
		}
		path = path[1+len(segment):]
		switch {
		case want != "":
			if string(segment) != want {
				return false
			}
		case len(segment) == 0:
			return false
		default:
			got[n], n = segment, n+1
		}
	}
	if len(path) != 0 {
		return false
	}
	for i := range n {
		params[i] = string(got[i])
	}
	return true
}

// notAllowed is the error of a path that exists for other methods.
func notAllowed(rows []*route) error {
	var allow []string
	for _, r := range rows {
		allow = append(allow, r.method)
		if r.method == "GET" {
			allow = append(allow, "HEAD")
		}
	}
	slices.Sort(allow)
	return &methodError{allow: strings.Join(allow, ", ")}
}
