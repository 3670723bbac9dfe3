package uplink

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"felhom.eu/messages"
)

// TestPinnedHubIsTrusted protects a token from whoever answers in the hub's place:
// the certificate of the fingerprint is trusted, and no other.
func TestPinnedHubIsTrusted(t *testing.T) {
	hub := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusCreated)
		json.NewEncoder(w).Encode(messages.EnrollAnswer{HostID: "acme-00000001", APIKey: string(testKey())})
	}))
	defer hub.Close()
	sum := sha256.Sum256(hub.Certificate().Raw)
	pem, err := Pinned(t.Context(), hub.URL, sum)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "hub-ca.pem")
	if err := os.WriteFile(file, pem, 0o600); err != nil {
		t.Fatal(err)
	}
	enroll := func(ca string) error {
		c, err := New(Config{URL: hub.URL, Key: testKey(), CAFile: ca, Timeout: 5 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_, err = c.Enroll(context.Background(), messages.EnrollRequest{Nonce: string(testKey()), Node: "pve1"})
		return err
	}
	if err := enroll(file); err != nil {
		t.Errorf("with the certificate pinned: %v", err)
	}
	if err := enroll(""); err == nil {
		t.Error("a certificate that nobody vouches for was trusted")
	}
	sum[0]++
	if _, err := Pinned(t.Context(), hub.URL, sum); err == nil {
		t.Error("another certificate was pinned")
	}
}

func testKey() messages.Secret {
	return "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
}
