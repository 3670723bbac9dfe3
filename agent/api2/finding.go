package api2

import "felhom.eu/messages"

// Finding is what one question found: a row of the selftest's table, for the
// operator who sets a token up.
type Finding struct {
	Question string // "GET /nodes/pve1/lxc", or what the answers were made into
	// Status is not_configured for what is optional and not set up: that spoils
	// no selftest.
	Status messages.SectionStatus
	Found  string // what there was; else the server's refusal, with the privilege and path it named
	Hint   string // what to do about it; empty when Status is ok
	// Grant is the command that gives the token the right it lacks; empty when
	// that is not what is wrong.
	Grant string
	// Deletes marks a Grant whose right can delete, too: not only look.
	Deletes bool
}

// Bad reports whether the selftest fails because of f.
func (f *Finding) Bad() bool {
	return f.Status == messages.SectionDenied || f.Status == messages.SectionFailed
}
