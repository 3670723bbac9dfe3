package api

import (
	"encoding/json"
	"strings"
	"testing"
)

const (
	tokensPath = admin + "enroll-tokens"
	enrollPath = "/api/v1/enroll"
	nonce      = "5555555555555555555555555555555555555555555555555555555555555555"
)

func enrolment(fields string) string { return `{"nonce":"` + nonce + `","node":"pve1"` + fields + `}` }

// A token is made, shown once, lets a machine in, and is taken away.
func TestEnrolment(t *testing.T) {
	h := newHub(t)
	var made tokenItem
	h.do(t, "POST", tokensPath, globalKey, `{"customer_id":"acme","node_pattern":"pve*","uses":3,"valid_seconds":7200}`).into(t, 201, &made)
	if made.Token != newKey || made.Uses != 3 || made.ExpiresAt.Sub(made.CreatedAt).Hours() != 2 || made.NodePattern != "pve*" {
		t.Errorf("made %+v", made)
	}
	if r := h.do(t, "GET", tokensPath, globalKey, ""); strings.Contains(r.body, newKey) || !strings.Contains(r.body, string(made.TokenID)) {
		t.Errorf("the list shows %s", r.body)
	}
	var key mintedKey
	h.do(t, "POST", enrollPath, newKey, enrolment("")).into(t, 201, &key)
	if key.HostID != hostID || key.APIKey != newKey {
		t.Errorf("enrolled as %+v", key)
	}
	for proof, is := range map[string]string{hostKey: hostID, wrongKey: "", customerKey: "", "x": ""} {
		h.fleet.enrolled = nil
		h.do(t, "POST", enrollPath, newKey, enrolment(`,"api_key":"`+proof+`"`)).into(t, 201, &key)
		if got := string(h.fleet.enrolled[0]); got != is {
			t.Errorf("with key %.8s…: was taken for %q, want %q", proof, got, is)
		}
	}
	if r := h.do(t, "DELETE", tokensPath+"/"+string(made.TokenID), globalKey, ""); r.status != 204 {
		t.Errorf("DELETE: %d %s", r.status, r.body)
	}
	if r := h.do(t, "DELETE", tokensPath+"/"+string(made.TokenID), globalKey, ""); r.status != 404 {
		t.Errorf("DELETE again: %d %s", r.status, r.body)
	}
}

// What is wrong is named, and a host's key is no token.
func TestEnrolmentRefuses(t *testing.T) {
	h := newHub(t)
	h.do(t, "POST", tokensPath, globalKey, `{"customer_id":"acme"}`).into(t, 201, new(json.RawMessage))
	for _, c := range []struct {
		path, key, body string
		status          int
		says            string
	}{
		{tokensPath, globalKey, `{"customer_id":"nobody"}`, 400, "customer_id"},
		{tokensPath, globalKey, `{"customer_id":"acme","uses":0}`, 400, "uses"},
		{tokensPath, globalKey, `{"customer_id":"acme","uses":1001}`, 400, "uses"},
		{tokensPath, globalKey, `{"customer_id":"acme","valid_seconds":86401}`, 400, "valid_seconds"},
		{tokensPath, globalKey, `{"customer_id":"acme","node_pattern":"[a"}`, 400, "node_pattern"},
		{tokensPath, hostKey, `{"customer_id":"acme"}`, 403, "key"},
		{enrollPath, "", enrolment(""), 401, "token"},
		{enrollPath, "x", enrolment(""), 401, "token"},
		{enrollPath, hostKey, enrolment(""), 401, "token"},
		{enrollPath, globalKey, enrolment(""), 401, "token"},
		{enrollPath, newKey, `{"node":"pve1"}`, 400, "nonce"},
		{enrollPath, newKey, `{"nonce":"` + nonce + `","node":"a b"}`, 400, "node"},
		{enrollPath, newKey, `{"nonce":"` + nonce + `"}`, 400, "node"},
		{enrollPath, newKey, enrolment(strings.Repeat(" ", enrolBody)), 400, "large"},
	} {
		if r := h.do(t, "POST", c.path, c.key, c.body); r.status != c.status || !strings.Contains(r.body, c.says) {
			t.Errorf("POST %s %.60s: got %d %s, want %d and %s", c.path, c.body, r.status, r.body, c.status, c.says)
		}
	}
}

// Who tries tokens is soon not looked at any more, not even with a good one.
func TestTokensAreNotTried(t *testing.T) {
	h := newHub(t)
	h.do(t, "POST", tokensPath, globalKey, `{"customer_id":"acme"}`).into(t, 201, new(json.RawMessage))
	for i := range maxRefusals {
		if r := h.do(t, "POST", enrollPath, wrongKey, enrolment("")); r.status != 401 {
			t.Fatalf("try %d: %d %s", i, r.status, r.body)
		}
	}
	if r := h.do(t, "POST", enrollPath, newKey, enrolment("")); r.status != 429 || r.header.Get("Retry-After") == "" {
		t.Errorf("after %d tries: %d %s", maxRefusals, r.status, r.body)
	}
}
