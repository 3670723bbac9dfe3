package messages

import (
	"errors"
	"testing"
	"time"
)

// TestTokenAdmits protects a customer from machines that a token is not for, and a
// machine from a lost answer.
func TestTokenAdmits(t *testing.T) {
	made := time.Date(2026, 6, 8, 12, 0, 0, 0, time.UTC)
	first := Enrollment{Nonce: KeyHash{1}, HostID: "acme-00000001", Node: "pve1", At: made}
	tests := []struct {
		name    string
		pattern string
		came    []Enrollment
		nonce   byte
		node    string
		after   time.Duration
		refused bool
		known   bool
	}{
		{"the first", "", nil, 1, "pve1", 0, false, false},
		{"used up", "", []Enrollment{first}, 2, "pve2", 0, true, false},
		{"asked again", "", []Enrollment{first}, 1, "pve1", 59 * time.Minute, false, true},
		{"asked again too late", "", []Enrollment{first}, 1, "pve1", time.Hour, true, false},
		{"too late", "", nil, 1, "pve1", time.Hour, true, false},
		{"of that name", "pve?", nil, 1, "pve1", 0, false, false},
		{"of another name", "pve?", nil, 1, "web1", 0, true, false},
		{"a pattern is the whole name", "pve", nil, 1, "pve1", 0, true, false},
	}
	for _, tt := range tests {
		token := EnrollToken{NodePattern: tt.pattern, Uses: 1, CreatedAt: made, ExpiresAt: made.Add(time.Hour), Enrolled: tt.came}
		known, err := token.Admit(KeyHash{tt.nonce}, tt.node, made.Add(tt.after))
		if errors.Is(err, ErrTokenRefused) != tt.refused || (known != nil) != tt.known {
			t.Errorf("%s: got %v, %v", tt.name, known, err)
		}
	}
	for name, want := range map[string]bool{"pve1": true, "a.b-c_D9": true, "": false, "a b": false, "ő": false, "a\n": false} {
		if ValidNode(name) != want {
			t.Errorf("ValidNode(%q) = %t", name, !want)
		}
	}
}
