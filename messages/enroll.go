package messages

import (
	"errors"
	"path"
	"slices"
	"time"
)

// EnrollRequest is how an agent asks to become a host: POST /api/v1/enroll with an
// enrolment token as the bearer.
type EnrollRequest struct {
	// Nonce is 64 hex digits that the agent makes for this enrolment: asked again
	// with the same, as when the answer was lost, the hub names the same host.
	Nonce string `json:"nonce"`
	Node  string `json:"node"` // the machine's name; a token may be for some names only
	// APIKey is the one that the machine has, if any: it stays the host that it is,
	// and gets another key. An unknown or revoked one is ignored.
	APIKey string `json:"api_key,omitempty"`
}

// EnrollAnswer is who the agent is from now on. The key is told this once.
type EnrollAnswer struct {
	HostID HostID `json:"host_id"`
	APIKey string `json:"api_key"`
}

// TokenID names an enrolment token: a ULID.
type TokenID string

// Limits of enrolment.
const (
	MaxTokenLife = 24 * time.Hour
	MaxTokenUses = 1000
	MaxNodeLen   = 253 // bytes of a machine's name
)

// EnrollToken lets machines become hosts of a customer. Of the token itself only
// the hash is kept. Expired ones stay for a while, for who asks who came by them.
type EnrollToken struct {
	ID          TokenID
	Hash        KeyHash
	CustomerID  CustomerID
	NodePattern string // of path.Match, for the machine's name; "" is any
	Uses        int    // how many machines may come
	Site        string // where those that become hosts stand; "" is not said
	CreatedAt   time.Time
	ExpiresAt   time.Time
	Enrolled    []Enrollment // who came
}

// Enrollment is a machine that came by a token.
type Enrollment struct {
	Nonce  KeyHash // of the request's
	HostID HostID
	Node   string
	At     time.Time
}

// ErrTokenRefused is returned for a token that does not let this machine in.
var ErrTokenRefused = errors.New("enrolment token refused")

// Admit says whether the token lets a machine in at now. It returns the enrolment
// that the same nonce led to before, which costs no use; nil when there was none.
// The error is ErrTokenRefused: expired, used up, or for machines of other names.
func (t *EnrollToken) Admit(nonce KeyHash, node string, now time.Time) (*Enrollment, error) {
	named := t.NodePattern == ""
	if !named {
		named, _ = path.Match(t.NodePattern, node) // was checked when the token was made
	}
	if !now.Before(t.ExpiresAt) || !named {
		return nil, ErrTokenRefused
	}
	if i := slices.IndexFunc(t.Enrolled, func(e Enrollment) bool { return e.Nonce == nonce }); i >= 0 {
		return &t.Enrolled[i], nil
	}
	if len(t.Enrolled) >= t.Uses {
		return nil, ErrTokenRefused
	}
	return nil, nil
}

// ValidNode reports whether name may be a machine's: letters, digits, dots,
// dashes and underscores.
func ValidNode(name string) bool {
	if name == "" || len(name) > MaxNodeLen {
		return false
	}
	for _, c := range []byte(name) {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '.' && c != '-' && c != '_' {
			return false
		}
	}
	return true
}
