package api

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"felhom.eu/messages"
)

// Settings are replaced as a whole, shown, and taken away; of a customer and of a
// host, each by itself.
func TestRulesAreSetShownAndReset(t *testing.T) {
	h := newHub(t)
	for _, of := range []string{"customers/acme", "hosts/" + hostID} {
		path := admin + of + "/rules"
		var v RulesView
		h.do(t, "PUT", path, globalKey, `{"backup_warning_seconds":7200,"storage_warning_ratio":0.8,"excluded_guests":[],"pbs_sources":[{"owner":"a@pbs"}]}`).into(t, 200, &v)
		h.do(t, "GET", path, globalKey, "").into(t, 200, &v)
		if *v.Own.BackupWarningSeconds != 7200 || *v.Own.StorageWarningRatio != 0.8 || v.Own.ExcludedGuests == nil || v.Own.PBSSources[0].Owner != "a@pbs" {
			t.Errorf("%s: got %+v", of, v.Own)
		}
		h.do(t, "PUT", path, globalKey, `{"verify_seconds":7200}`).into(t, 200, &v)
		v = RulesView{}
		h.do(t, "GET", path, globalKey, "").into(t, 200, &v)
		if v.Own.BackupWarningSeconds != nil || v.Own.VerifySeconds == nil {
			t.Errorf("%s: a PUT keeps what it does not name: %+v", of, v.Own)
		}
		if r := h.do(t, "DELETE", path, globalKey, ""); r.status != 204 {
			t.Errorf("DELETE: %d %s", r.status, r.body)
		}
		v = RulesView{}
		if h.do(t, "GET", path, globalKey, "").into(t, 200, &v); !v.Own.Empty() {
			t.Errorf("%s: left %+v", of, v.Own)
		}
	}
}

// What cannot be set is refused by field, and what does not exist does not.
func TestRulesRefuseWhatCannotBe(t *testing.T) {
	h := newHub(t)
	path := admin + "hosts/" + hostID + "/rules"
	for body, field := range map[string]string{
		`{"verify_seconds":-1}`:         "verify_seconds",
		`{"verify_seconds":"1"}`:        "verify_seconds: want a whole number",
		`{"storage_warning_ratio":"x"}`: "storage_warning_ratio: want a number",
		`{"host_id":"acme-7f3a90c1"}`:   "host_id",
		`{"excluded_guests":["x"]}`:     "excluded_guests",
		`{"verify_seconds":1} {}`:       "body",
		``:                              "body",
		`{"verify_seconds":1,` + strings.Repeat(" ", adminBody) + `"x":1}`: "",
	} {
		if r := h.do(t, "PUT", path, globalKey, body); r.status != 400 || !strings.Contains(r.body, field) {
			t.Errorf("%.40s: got %d %s, want %s", body, r.status, r.body, field)
		}
	}
	for _, path := range []string{"hosts/acme-00000000/rules", "customers/nobody/rules", "hosts/x/rules", "hosts/acme-00000000/protection"} {
		if r := h.do(t, "GET", admin+path, globalKey, ""); r.status != 404 {
			t.Errorf("%s: %d %s", path, r.status, r.body)
		}
		if r := h.do(t, "GET", admin+path, hostKey, ""); r.status != 403 {
			t.Errorf("%s with a host's key: %d", path, r.status)
		}
	}
	if r := h.do(t, "PUT", path, hostKey, `{}`); r.status != 403 {
		t.Errorf("a host sets its own rules: %d", r.status)
	}
}

// Every guest is listed once, whatever the page.
func TestProtectionIsPaged(t *testing.T) {
	h := newHub(t)
	for i := range 7 {
		h.fleet.protection = append(h.fleet.protection, messages.Protection{HostID: hostID, VMID: messages.VMID(100 + i), State: messages.Attention})
	}
	for _, path := range []string{"protection?limit=3", "hosts/" + hostID + "/protection?limit=3"} {
		var seen []messages.VMID
		for cursor := ""; ; {
			var p page[messages.Protection]
			h.do(t, "GET", admin+path+"&cursor="+url.QueryEscape(cursor), globalKey, "").into(t, 200, &p)
			for _, i := range p.Items {
				seen = append(seen, i.VMID)
			}
			if p.Next == nil {
				break
			}
			cursor = *p.Next
		}
		if fmt.Sprint(seen) != "[100 101 102 103 104 105 106]" {
			t.Errorf("%s lists %v", path, seen)
		}
	}
	h.fleet.asked = nil
	h.do(t, "GET", admin+"protection?customer_id=acme&state=unprotected", globalKey, "").into(t, 200, nil)
	if diff := cmp.Diff([]any{ProtectionFilter{CustomerID: "acme", State: messages.Unprotected}}, h.fleet.asked); diff != "" {
		t.Error(diff)
	}
	for _, query := range []string{"state=fine", "customer_id=A", "host_id=" + hostID, "cursor=x"} {
		if r := h.do(t, "GET", admin+"protection?"+query, globalKey, ""); r.status != 400 {
			t.Errorf("%s: %d %s", query, r.status, r.body)
		}
	}
}
