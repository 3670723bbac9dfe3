package api

import (
	"testing"

	"felhom.eu/messages"
)

func TestDeadlinesAreAddedListedAndRemoved(t *testing.T) {
	h := newHub(t)
	const at = "/api/v1/admin/customers/acme/deadlines"
	var added DeadlineView
	h.do(t, "POST", at, globalKey, `{"name":"nightly","time":"06:00","time_zone":"Europe/Budapest","expect":"controller","subject":"web"}`).into(t, 201, &added)
	if added.GraceSeconds != messages.DefaultDeadlineGrace || added.CustomerID != "acme" || added.Expect != messages.ExpectController {
		t.Errorf("added %+v", added)
	}
	var list page[DeadlineView]
	h.do(t, "GET", at, globalKey, "").into(t, 200, &list)
	if len(list.Items) != 1 || list.Items[0].Name != "nightly" || list.Next != nil {
		t.Errorf("listed %+v", list)
	}
	h.do(t, "DELETE", at+"/"+ulid(1), globalKey, "").into(t, 204, nil)
	for _, r := range []reply{
		h.do(t, "DELETE", at+"/"+ulid(1), globalKey, ""),
		h.do(t, "DELETE", at+"/x", globalKey, ""),
		h.do(t, "GET", "/api/v1/admin/customers/nobody/deadlines", globalKey, ""),
	} {
		if r.status != 404 {
			t.Errorf("%d %s", r.status, r.body)
		}
	}
	if r := h.do(t, "POST", at, globalKey, `{"name":"\u202e","time":"06:00"}`); r.status != 400 {
		t.Errorf("a hostile name: %d", r.status)
	}
	if r := h.do(t, "GET", at, customerKey, ""); r.status != 403 {
		t.Errorf("a customer's key: %d", r.status)
	}
}
