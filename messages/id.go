package messages

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// CustomerID names who owns hosts: [a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?.
type CustomerID string

// HostID names one host: its customer's id, a dash, eight lower-case hex digits.
type HostID string

// VMID numbers a guest on a host, 100 to 999999999, as Proxmox does.
type VMID uint32

// GuestID names a guest in the whole fleet: <host_id>/<vmid>.
type GuestID string

// EventID, ReportID, DeliveryID, RouteID and IncidentID are ULIDs in their
// canonical text form: 26 characters of Crockford's base 32, upper case.
// They sort as the hub made them.
type (
	EventID    string
	ReportID   string
	DeliveryID string
	RouteID    string
	IncidentID string
)

// ErrBadID is wrapped by every Parse function of this file.
var ErrBadID = errors.New("malformed id")

// Limits of a vmid (pve-doc qm(1): 100 to 999999999).
const (
	MinVMID = 100
	MaxVMID = 999_999_999
)

const maxCustomerID = 32

// ParseCustomerID checks s against the grammar of customer ids.
func ParseCustomerID(s string) (CustomerID, error) {
	if !validCustomerID(s) {
		return "", fmt.Errorf("customer_id %.40q: %w; want a-z, 0-9 and inner dashes, at most 32", s, ErrBadID)
	}
	return CustomerID(s), nil
}

// ParseHostID checks s against the grammar of host ids.
func ParseHostID(s string) (HostID, error) {
	if !validHostID(s) {
		return "", fmt.Errorf("host_id %.60q: %w; want <customer_id>-<8 hex digits>", s, ErrBadID)
	}
	return HostID(s), nil
}

// ParseULID checks that s is a ULID in canonical form; what names it in the error.
func ParseULID[T ~string](what, s string) (T, error) {
	if !validULID(s) {
		return "", fmt.Errorf("%s %.40q: %w; want a ULID of 26 characters", what, s, ErrBadID)
	}
	return T(s), nil
}

// Customer is the owner, as the id spells it. The id must be a valid one.
func (id HostID) Customer() CustomerID { return CustomerID(id[:len(id)-9]) }

// ParseGuestID checks s against <host_id>/<vmid>.
func ParseGuestID(s string) (GuestID, error) {
	host, vmid, _ := strings.Cut(s, "/")
	n, err := strconv.ParseUint(vmid, 10, 32)
	if !validHostID(host) || err != nil || n < MinVMID || n > MaxVMID {
		return "", fmt.Errorf("guest_id %.60q: %w; want <host_id>/<vmid>", s, ErrBadID)
	}
	return GuestID(s), nil
}

// Split is the host and the vmid of a GuestID; zero values of one that is none.
func (id GuestID) Split() (HostID, VMID) {
	host, vmid, _ := strings.Cut(string(id), "/")
	n, err := strconv.ParseUint(vmid, 10, 32)
	if err != nil {
		return "", 0
	}
	return HostID(host), VMID(n)
}

// Guest joins a host and a vmid to a GuestID.
func (id HostID) Guest(vmid VMID) GuestID {
	return GuestID(string(id) + "/" + strconv.FormatUint(uint64(vmid), 10))
}

func validCustomerID[T ~string | ~[]byte](s T) bool {
	if len(s) == 0 || len(s) > maxCustomerID || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}

func validHostID[T ~string | ~[]byte](s T) bool {
	n := len(s) - 9
	if n < 1 || s[n] != '-' || !validCustomerID(s[:n]) {
		return false
	}
	for i := n + 1; i < len(s); i++ {
		if c := s[i]; (c < 'a' || c > 'f') && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}

const crockford = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

func validULID(s string) bool {
	if len(s) != 26 || s[0] > '7' {
		return false
	}
	for _, c := range []byte(s) {
		if strings.IndexByte(crockford, c) < 0 {
			return false
		}
	}
	return true
}

// Secret is a text that must not be seen: an API key, a webhook secret, a URL
// with a token in it. Its String, Format, JSON and text forms are "[redacted]";
// Reveal gives the text to the one place that needs it.
type Secret string

const redacted = "[redacted]"

// Reveal returns the text itself.
func (s Secret) Reveal() string { return string(s) }

// String implements fmt.Stringer without telling.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return redacted
}

// GoString keeps %#v from telling.
func (s Secret) GoString() string { return strconv.Quote(s.String()) }

// MarshalText keeps JSON and loggers from telling.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads the text, for configuration files.
func (s *Secret) UnmarshalText(b []byte) error { *s = Secret(b); return nil }

// KeyHash is the SHA-256 of an API key's 64 hex digits: all that the hub keeps.
type KeyHash [sha256.Size]byte

// HashKey hashes an API key as it travels (its 64 hex digits).
func HashKey(key []byte) KeyHash { return sha256.Sum256(key) }

// String is the first 8 hex digits, enough to tell keys apart in a log.
func (h KeyHash) String() string { return hex.EncodeToString(h[:4]) }

// ValidKey reports whether key has the form of an API key: 64 lower-case hex digits.
func ValidKey[T ~string | ~[]byte](key T) bool {
	if len(key) != 64 {
		return false
	}
	for i := range len(key) {
		if c := key[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}
