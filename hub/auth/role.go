package auth

import "felhom.eu/messages"

// Action is what somebody is about to do.
type Action uint8

// The actions. Whoever may Change something may do everything with it.
const (
	Read Action = iota + 1
	Change
)

// May says whether p may do a to something that belongs to customer c; c is ""
// for what belongs to nobody: the hub itself, and the fleet as a whole.
func (p *Principal) May(a Action, c messages.CustomerID) bool {
	switch p.Role {
	case messages.RoleOperator:
		return true
	case messages.RoleViewer:
		return a == Read
	case messages.RoleCustomer:
		return a == Read && c != "" && c == p.CustomerID
	}
	return false
}

// Name is how the audit log and the pages call p.
func (p *Principal) Name() string {
	switch {
	case p.User != "":
		return "user " + string(p.User)
	case p.Kind == Session:
		return "sign-in link"
	case p.Kind == Global:
		return "global key"
	case p.Kind == Host:
		return "host " + string(p.HostID)
	case p.Kind == Customer:
		return "customer " + string(p.CustomerID)
	}
	return "nobody"
}
