package api

import (
	"strings"
	"testing"

	"felhom.eu/messages"
)

const someControllerReport = `{"controller_id":"web","guest_id":"` + hostID + `/101","version":"1.4.0","interval_seconds":3600,"any":{"thing":[1,2]}}`

func TestControllerReportsWithItsCustomersKey(t *testing.T) {
	h := newHub(t)
	h.fleet.receipt.Blocked = true
	var envelope messages.Envelope
	h.do(t, "POST", "/api/v1/report", customerKey, someControllerReport).into(t, 200, &envelope)
	if !envelope.Blocked || envelope.Status != "ok" {
		t.Errorf("the envelope is %+v", envelope)
	}
	got := h.fleet.controllers[messages.ControllerName{CustomerID: "acme", ID: "web"}].State
	if got.GuestID != hostID+"/101" || got.Version != "1.4.0" || got.IntervalSecs != 3600 {
		t.Errorf("recorded %+v", got)
	}
	if string(h.fleet.bodies[0]) != someControllerReport {
		t.Errorf("the body is %s", h.fleet.bodies[0])
	}
}

func TestControllerReportsAreRefused(t *testing.T) {
	h := newHub(t)
	for name, c := range map[string]struct {
		key, body string
		status    int
		code      messages.Code
	}{
		"the global key":        {globalKey, someControllerReport, 403, messages.CodeForbidden},
		"a host's key":          {hostKey, someControllerReport, 403, messages.CodeForbidden},
		"no key":                {"", someControllerReport, 401, messages.CodeUnauthorized},
		"no object":             {customerKey, `[]`, 400, messages.CodeInvalidReport},
		"no name":               {customerKey, `{"a":1}`, 400, messages.CodeInvalidReport},
		"another's guest":       {customerKey, `{"controller_id":"web","guest_id":"other-7f3a90c1/101"}`, 400, messages.CodeInvalidReport},
		"text behind":           {customerKey, `{"controller_id":"web"}{}`, 400, messages.CodeInvalidReport},
		"too large":             {customerKey, `{"controller_id":"web","x":"` + strings.Repeat("x", 4<<20) + `"}`, 400, messages.CodeBodyTooLarge},
		"an interval of a blip": {customerKey, `{"controller_id":"web","interval_seconds":1}`, 400, messages.CodeInvalidReport},
	} {
		t.Run(name, func(t *testing.T) {
			r := h.do(t, "POST", "/api/v1/report", c.key, c.body)
			if r.status != c.status || r.code(t) != c.code {
				t.Errorf("got %d %s, want %d %s", r.status, r.body, c.status, c.code)
			}
		})
	}
	if r := h.do(t, "POST", "/api/v1/host-report", customerKey, someReport); r.status != 403 {
		t.Errorf("a customer's key reports for a host: %d", r.status)
	}
	if len(h.fleet.controllers) != 0 {
		t.Errorf("recorded %v", h.fleet.controllers)
	}
}

func TestOperatorsSeeControllers(t *testing.T) {
	h := newHub(t)
	h.do(t, "POST", "/api/v1/report", customerKey, someControllerReport).into(t, 200, nil)
	h.do(t, "POST", "/api/v1/report", customerKey, `{"controller_id":"app.2"}`).into(t, 200, nil)
	const at = "/api/v1/admin/customers/acme/controllers"
	var first, second page[struct {
		ControllerID string `json:"controller_id"`
	}]
	h.do(t, "GET", at+"?limit=1", globalKey, "").into(t, 200, &first)
	if len(first.Items) != 1 || first.Items[0].ControllerID != "app.2" || first.Next == nil {
		t.Fatalf("the first page is %+v", first)
	}
	h.do(t, "GET", at+"?limit=1&cursor="+*first.Next, globalKey, "").into(t, 200, &second)
	if len(second.Items) != 1 || second.Items[0].ControllerID != "web" || second.Next != nil {
		t.Errorf("the second page is %+v", second)
	}
	if got := h.do(t, "GET", at+"/web/reports/"+ulid(1), globalKey, ""); got.body != someControllerReport {
		t.Errorf("the report is %d %s", got.status, got.body)
	}
	h.do(t, "GET", at+"/web/reports", globalKey, "").into(t, 200, nil)
	h.do(t, "DELETE", at+"/web", globalKey, "").into(t, 204, nil)
	for _, path := range []string{at + "/web", at + "/WEB", at + "/web/reports", "/api/v1/admin/customers/nobody/controllers"} {
		if got := h.do(t, "GET", path, globalKey, ""); got.status != 404 {
			t.Errorf("GET %s is %d", path, got.status)
		}
	}
	var key mintedCustomerKey
	h.do(t, "POST", "/api/v1/admin/customers/acme/rotate-key", globalKey, "").into(t, 200, &key)
	if key.APIKey != newKey || key.CustomerID != "acme" {
		t.Errorf("the key is %+v", key)
	}
	h.do(t, "POST", "/api/v1/admin/customers/acme/revoke-key", globalKey, "").into(t, 204, nil)
}
