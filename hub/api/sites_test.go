package api

import (
	"strings"
	"testing"
)

// A host stands where it was minted to, or is said to since; lists are narrowed by it.
func TestSites(t *testing.T) {
	h := newHub(t)
	h.do(t, "POST", admin+"hosts", globalKey, `{"customer_id":"acme","site":"Győr, hall 2"}`).into(t, 201, nil)
	var got struct{ Site string }
	if h.do(t, "GET", admin+"hosts/acme-0badcafe", globalKey, "").into(t, 200, &got); got.Site != "Győr, hall 2" {
		t.Errorf("it stands in %q", got.Site)
	}
	h.do(t, "PUT", admin+"hosts/acme-0badcafe/site", globalKey, `{"site":""}`).into(t, 204, nil)
	if r := h.do(t, "GET", admin+"hosts/acme-0badcafe", globalKey, ""); strings.Contains(r.body, `"site"`) {
		t.Errorf("it still stands somewhere: %s", r.body)
	}
	h.do(t, "GET", admin+"hosts?site=vienna", globalKey, "").into(t, 200, nil)
	if f := h.fleet.asked[len(h.fleet.asked)-1].(HostFilter); f.Site != "vienna" {
		t.Errorf("asked for %+v", f)
	}
	var token tokenItem
	h.do(t, "POST", admin+"enroll-tokens", globalKey, `{"customer_id":"acme","site":"vienna"}`).into(t, 201, &token)
	if token.Site != "vienna" || h.fleet.tokens[0].Site != "vienna" {
		t.Errorf("token %+v", token)
	}
	for path, want := range map[string]int{"hosts/acme-ffffffff/site": 404, "hosts/x/site": 404} {
		if r := h.do(t, "PUT", admin+path, globalKey, `{"site":"x"}`); r.status != want {
			t.Errorf("%s: %d", path, r.status)
		}
	}
	long := `"` + strings.Repeat("x", 65) + `"`
	for _, r := range []reply{
		h.do(t, "PUT", admin+"hosts/"+hostID+"/site", globalKey, `{}`),
		h.do(t, "PUT", admin+"hosts/"+hostID+"/site", globalKey, `{"site":`+long+`}`),
		h.do(t, "POST", admin+"hosts", globalKey, `{"customer_id":"acme","site":"a\u202eb"}`),
		h.do(t, "POST", admin+"enroll-tokens", globalKey, `{"customer_id":"acme","site":`+long+`}`),
	} {
		if r.status != 400 || !strings.Contains(r.body, "site: want") {
			t.Errorf("%d %s", r.status, r.body)
		}
	}
}
