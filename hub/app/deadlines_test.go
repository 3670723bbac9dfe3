package app

import "testing"

func TestDeadlinesOutliveAStopAndGoWithTheirCustomer(t *testing.T) {
	cfg := testConfig(t)
	a, c := start(t, cfg)
	host := c.mint()
	const at = "/api/v1/admin/customers/acme/deadlines"
	d := map[string]any{"name": "nightly", "time": "06:00", "time_zone": "Europe/Budapest", "expect": "backup", "subject": host.HostID + "/101"}
	var added struct{ Deadline_id, Next_at string }
	c.want(201, "POST", at, d, &added)
	for field, value := range map[string]any{"time": "6", "time_zone": "Nowhere", "expect": "luck", "subject": "acme-00000000", "grace_seconds": -1} {
		was := d[field]
		d[field] = value
		c.want(400, "POST", at, d, nil)
		if d[field] = was; was == nil {
			delete(d, field)
		}
	}
	if err := a.Stop(); err != nil {
		t.Fatal(err)
	}
	a, c = start(t, cfg)
	defer a.Stop()
	var list struct {
		Items []struct{ Deadline_id, Name string }
	}
	c.want(200, "GET", at, nil, &list)
	if len(list.Items) != 1 || list.Items[0].Name != "nightly" || list.Items[0].Deadline_id != added.Deadline_id || added.Next_at == "" {
		t.Fatalf("listed %+v, added %+v", list, added)
	}
	c.want(204, "DELETE", at+"/"+added.Deadline_id, nil, nil)
	c.want(201, "POST", at, d, nil)
	c.want(204, "DELETE", "/api/v1/admin/hosts/"+host.HostID, nil, nil)
	c.want(204, "DELETE", "/api/v1/admin/customers/acme", nil, nil)
	c.want(201, "POST", "/api/v1/admin/customers", map[string]string{"customer_id": "acme"}, nil)
	c.want(200, "GET", at, nil, &list)
	if len(list.Items) != 0 {
		t.Errorf("a deadline outlived its customer: %+v", list)
	}
}
