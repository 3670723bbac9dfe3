package cloudflared

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"testing"

	"felhom.eu/messages"
	"felhom.eu/messages/mutation"
)

// targets are the readers of what systemd and cloudflared say.
func targets(testing.TB) map[string]mutation.Target {
	return map[string]mutation.Target{
		"Unit": {Seeds: [][]byte{[]byte("LoadState=loaded\nActiveState=active\n"), []byte("ActiveState=inactive\nLoadState=not-found\n"), []byte("ActiveState=activating\nLoadState=masked")},
			Words: []string{"ActiveState=", "LoadState=", "not-found", "active", "\r\n", "=", "\x00", "\x1b[2J"}, Check: checkUnit},
		"Ready": {Seeds: [][]byte{[]byte(`{"status":200,"readyConnections":4,"connectorId":"d3b9"}`), []byte(`{"status":503,"readyConnections":0}`), []byte(`<html>`)},
			Words: []string{`"readyConnections":`, "0", "-1", "18446744073709551616", "1e0", "null"}, Check: checkReady},
	}
}

func FuzzUnit(f *testing.F)  { mutation.Fuzz(f, targets(f)["Unit"]) }
func FuzzReady(f *testing.F) { mutation.Fuzz(f, targets(f)["Ready"]) }

// Protects the tunnel's status from strange answers: of systemd, and of whatever
// has the port on which cloudflared is thought to be.
func TestMutations(t *testing.T) { mutation.Run(t, targets(t)) }

// checkUnit: a status is one short word that a report may carry.
func checkUnit(t testing.TB, b []byte) (taken bool) {
	p := &Prober{Run: func(context.Context, string, ...string) ([]byte, error) { return b, nil }, readyURLs: []string{}}
	status := p.Probe(context.Background()).Status
	if status == "" || len(status) > 64 || strings.ContainsFunc(status, func(r rune) bool { return r < 'a' || r > 'z' }) && status != StatusNotInstalled {
		t.Errorf("%q: got %q", b, status)
	}
	return status != messages.TunnelUnknown
}

// checkReady: only a number is a number of connections.
func checkReady(t testing.TB, b []byte) (taken bool) {
	n, ok := readyConnections(bytes.NewReader(b))
	if !ok {
		return false
	}
	var said map[string]json.RawMessage
	if err := json.NewDecoder(bytes.NewReader(b)).Decode(&said); err != nil {
		t.Errorf("%q is taken for %d connections: %v", b, n, err)
	}
	return true
}
