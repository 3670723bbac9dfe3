package app

import (
	"strings"
	"sync"
	"testing"
)

const (
	tokensPath = "/api/v1/admin/enroll-tokens"
	enrollPath = "/api/v1/enroll"
)

// enroll is one request of a machine; name makes its nonce.
func (c client) enroll(token string, nonce byte, key string, m *minted) int {
	body := map[string]any{"nonce": strings.Repeat(string(nonce), 64), "node": "pve1"}
	if key != "" {
		body["api_key"] = key
	}
	return c.as(token).call("POST", enrollPath, body, m)
}

// A token is worth its count, whatever answers are lost and however often the hub
// restarts; a machine that asks again is the same host; one with a key stays it.
func TestEnrolmentCountsMachines(t *testing.T) {
	cfg := testConfig(t)
	a, c := start(t, cfg)
	c.want(201, "POST", "/api/v1/admin/customers", map[string]any{"customer_id": "acme"}, nil)
	c.want(201, "POST", "/api/v1/admin/customers", map[string]any{"customer_id": "globex"}, nil)
	var token struct {
		ID    string `json:"token_id"`
		Token string
	}
	c.want(201, "POST", tokensPath, map[string]any{"customer_id": "acme", "uses": 2}, &token)
	var first, again, second, none minted
	enrolled := func(nonce byte, key string, m *minted, want int) {
		t.Helper()
		if got := c.enroll(token.Token, nonce, key, m); got != want {
			t.Fatalf("status %d, want %d", got, want)
		}
	}
	reports := func(m minted, want int) {
		t.Helper()
		c.as(m.APIKey).want(want, "POST", "/api/v1/host-report", report(m.HostID, 1), nil)
	}
	enrolled('1', "", &first, 201)
	reports(first, 200)
	if err := a.Stop(); err != nil {
		t.Fatal(err)
	}
	a, c = start(t, cfg)
	defer a.Stop()
	enrolled('1', "", &again, 201)
	if again.HostID != first.HostID || again.APIKey == first.APIKey || !strings.HasPrefix(first.HostID, "acme-") {
		t.Errorf("enrolled as %s, asked again as %s", first.HostID, again.HostID)
	}
	reports(again, 200)
	enrolled('2', "", &second, 201)
	if second.HostID == first.HostID {
		t.Error("two machines are one host")
	}
	reports(second, 200)
	enrolled('3', "", &none, 401)
	enrolled('2', "", &second, 201)

	c.want(201, "POST", tokensPath, map[string]any{"customer_id": "acme"}, &token)
	enrolled('4', second.APIKey, &again, 201)
	if again.HostID != second.HostID {
		t.Errorf("%s with its key became %s", second.HostID, again.HostID)
	}
	reports(again, 200)
	c.want(201, "POST", tokensPath, map[string]any{"customer_id": "globex"}, &token)
	enrolled('5', again.APIKey, &again, 201)
	if !strings.HasPrefix(again.HostID, "globex-") {
		t.Errorf("a token of globex made %s", again.HostID)
	}
	c.want(204, "DELETE", tokensPath+"/"+token.ID, nil, nil)
	enrolled('5', "", &none, 401)
	c.want(409, "DELETE", "/api/v1/admin/customers/globex", nil, nil)
}

// Machines that come at once get no more hosts than the token is for.
func TestEnrolmentsAtOnce(t *testing.T) {
	a, c := start(t, testConfig(t))
	defer a.Stop()
	c.want(201, "POST", "/api/v1/admin/customers", map[string]any{"customer_id": "acme"}, nil)
	var token struct{ Token string }
	c.want(201, "POST", tokensPath, map[string]any{"customer_id": "acme", "uses": 3}, &token)
	var all sync.WaitGroup
	var mu sync.Mutex
	came := map[string]int{}
	for i := range 12 {
		all.Go(func() {
			var m minted
			if c.enroll(token.Token, byte('a'+i%6), "", &m) == 201 {
				mu.Lock()
				defer mu.Unlock()
				came[m.HostID]++
			}
		})
	}
	all.Wait()
	if len(came) != 3 {
		t.Errorf("%d hosts came by a token for 3: %v", len(came), came)
	}
}
