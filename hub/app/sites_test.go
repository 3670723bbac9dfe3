package app

import (
	"strings"
	"testing"

	"felhom.eu/messages"
)

// Where a host stands is kept over a stop, and lists are narrowed by it; a machine that
// comes by a token stands where the token says.
func TestSitesAreKept(t *testing.T) {
	cfg := testConfig(t)
	a, c := start(t, cfg)
	moved := c.mint()
	var m, enrolled minted
	c.want(201, "POST", "/api/v1/admin/hosts", map[string]string{"customer_id": "acme", "site": "vienna"}, &m)
	c.want(204, "PUT", "/api/v1/admin/hosts/"+moved.HostID+"/site", map[string]string{"site": "graz"}, nil)
	c.want(204, "PUT", "/api/v1/admin/hosts/"+moved.HostID+"/site", map[string]string{"site": "graz"}, nil)
	c.want(404, "PUT", "/api/v1/admin/hosts/acme-00000000/site", map[string]string{"site": "graz"}, nil)
	var token struct{ Token string }
	c.want(201, "POST", "/api/v1/admin/enroll-tokens", map[string]string{"customer_id": "acme", "site": "vienna"}, &token)
	c.as(token.Token).want(201, "POST", "/api/v1/enroll", messages.EnrollRequest{Nonce: strings.Repeat("ab", 32), Node: "pve1"}, &enrolled)
	if err := a.Stop(); err != nil {
		t.Fatal(err)
	}
	a, c = start(t, cfg)
	defer a.Stop()
	for site, want := range map[string][]string{"vienna": {m.HostID, enrolled.HostID}, "graz": {moved.HostID}, "nowhere": {}} {
		var list struct {
			Items []struct {
				HostID string `json:"host_id"`
				Site   string
			}
		}
		c.want(200, "GET", "/api/v1/admin/hosts?customer_id=acme&site="+site, nil, &list)
		if len(list.Items) != len(want) {
			t.Errorf("%s: %+v, want %v", site, list.Items, want)
		}
		for _, item := range list.Items {
			if item.Site != site {
				t.Errorf("listed in %s: %+v", site, item)
			}
		}
	}
}
