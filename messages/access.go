package messages

import (
	"fmt"
	"slices"
	"time"
)

// UserName names who signs in: 1 to 64 of a-z, 0-9 and . _ - + @.
type UserName string

const maxUserName = 64

// ParseUserName checks s against the grammar of user names.
func ParseUserName(s string) (UserName, error) {
	ok := s != "" && len(s) <= maxUserName
	for _, c := range []byte(s) {
		ok = ok && (c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '.' || c == '_' || c == '-' || c == '+' || c == '@')
	}
	if !ok {
		return "", fmt.Errorf("user name %.80q: %w; want a-z, 0-9 and . _ - + @, at most 64", s, ErrBadID)
	}
	return UserName(s), nil
}

// Role is what a user may do. The zero Role may do nothing.
type Role string

// The roles.
const (
	RoleOperator Role = "operator" // everything
	RoleViewer   Role = "viewer"   // reads everything, changes nothing
	RoleCustomer Role = "customer" // reads what is of its customer
)

// Roles are all roles there are.
var Roles = []Role{RoleOperator, RoleViewer, RoleCustomer}

// ParseRole reads a role's word.
func ParseRole(s string) (Role, error) {
	if r := Role(s); slices.Contains(Roles, r) {
		return r, nil
	}
	return "", fmt.Errorf("role %.40q: %w; want operator, viewer or customer", s, ErrBadID)
}

// User is somebody who may sign in.
type User struct {
	Name       UserName
	Role       Role
	CustomerID CustomerID // of RoleCustomer only
	// Password is the argon2id hash with its parameters, in the form of the PHC
	// strings; "" is a user who signs in by links only.
	Password  Secret
	CreatedAt time.Time
	ChangedAt time.Time // of the password
}

// Session is a browser that signed in. Of the cookie only the hash is kept.
type Session struct {
	Hash      KeyHash
	User      UserName // "" came by a link of the global key's, and may what that may
	CreatedAt time.Time
	SeenAt    time.Time // to a few minutes
	Address   string    // where it signed in from
	Agent     string    // what the browser calls itself, shortened; hostile
}
