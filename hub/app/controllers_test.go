package app

import (
	"encoding/json"
	"strings"
	"testing"
)

// A controller's whole way: a key, reports, what is shown of them, a restart, the
// key's successor, and the end of the customer.
func TestControllerReportsAndIsShown(t *testing.T) {
	cfg := testConfig(t)
	a, c := start(t, cfg)
	defer func() {
		if err := a.Stop(); err != nil {
			t.Error(err)
		}
	}()
	host := c.mint()
	c.as(host.APIKey).want(200, "POST", "/api/v1/host-report", report(host.HostID, 1), nil)
	const at = "/api/v1/admin/customers/acme"
	var first, second struct {
		APIKey string `json:"api_key"`
	}
	c.want(200, "POST", at+"/rotate-key", struct{}{}, &first)
	body := map[string]any{"controller_id": "web", "guest_id": host.HostID + "/101", "version": "1.4.0"}
	c.as(first.APIKey).want(200, "POST", "/api/v1/report", body, nil)
	c.as(first.APIKey).want(200, "POST", "/api/v1/report", body, nil)

	if err := a.Stop(); err != nil {
		t.Fatal(err)
	}
	a, c = start(t, cfg)
	var shown struct{ State, Version string }
	c.want(200, "GET", at+"/controllers/web", nil, &shown)
	if shown.State != "ok" || shown.Version != "1.4.0" {
		t.Errorf("shown as %+v", shown)
	}
	var reports struct{ Items []struct{ ID string } }
	c.want(200, "GET", at+"/controllers/web/reports", nil, &reports)
	if len(reports.Items) != 2 {
		t.Fatalf("%d reports", len(reports.Items))
	}
	var kept map[string]any
	c.want(200, "GET", at+"/controllers/web/reports/"+reports.Items[1].ID, nil, &kept)
	if kept["version"] != "1.4.0" {
		t.Errorf("kept %v", kept)
	}
	var detail json.RawMessage
	c.want(200, "GET", "/api/v1/admin/hosts/"+host.HostID, nil, &detail)
	if !strings.Contains(string(detail), `"controller_version":"1.4.0"`) {
		t.Errorf("the host's guest has no version: %s", detail)
	}

	c.want(200, "POST", at+"/block", struct{}{}, nil)
	var envelope struct{ Blocked bool }
	c.want(200, "POST", at+"/rotate-key", struct{}{}, &second)
	c.as(second.APIKey).want(200, "POST", "/api/v1/report", body, &envelope)
	if !envelope.Blocked {
		t.Error("a blocked customer's controller is not told")
	}
	for range 200 { // the old key's end is written behind the answer
		if c.as(first.APIKey).call("POST", "/api/v1/report", body, nil) == 401 {
			break
		}
	}
	c.as(first.APIKey).want(401, "POST", "/api/v1/report", body, nil)

	c.want(204, "DELETE", "/api/v1/admin/hosts/"+host.HostID, nil, nil)
	c.want(204, "DELETE", at, nil, nil)
	c.as(second.APIKey).want(401, "POST", "/api/v1/report", body, nil)
	c.want(404, "GET", at+"/controllers", nil, nil)
}
