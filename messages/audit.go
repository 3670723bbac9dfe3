package messages

import (
	"context"
	"time"
)

// AuditRecord is something that somebody did to the hub or had it do: durable, and
// never changed. No secret is in it.
type AuditRecord struct {
	Sequence   uint64     `json:"sequence"` // contiguous from 1
	At         time.Time  `json:"at"`
	Who        string     `json:"who"`               // "user anna", "global key", "sign-in link"
	Action     string     `json:"action"`            // the route's words: "customers block", "hosts add"
	Subject    string     `json:"subject,omitempty"` // the id of what it was done to, or of what it made
	CustomerID CustomerID `json:"customer_id,omitempty"`
	Address    string     `json:"address"` // where it was asked from
	Outcome    string     `json:"outcome"` // AuditDone, or the code of the error
}

// AuditDone is the outcome of what was done.
const AuditDone = "done"

// AuditNote is an audit record on its way: whoever learns more of what is being
// done adds it, and whoever makes it durable with the change itself says so. It
// belongs to one goroutine; its methods do nothing when it is nil.
type AuditNote struct {
	Record  AuditRecord
	Written bool // it is durable with what it is about
}

// About names what is being done something to, where the request did not.
func (n *AuditNote) About(subject string, c CustomerID) {
	if n != nil {
		n.Record.Subject, n.Record.CustomerID = subject, c
	}
}

type auditKey struct{}

// WithAudit makes a context whose changes are noted in n.
func WithAudit(ctx context.Context, n *AuditNote) context.Context {
	return context.WithValue(ctx, auditKey{}, n)
}

// AuditOf is the note of a context, nil when it has none.
func AuditOf(ctx context.Context) *AuditNote {
	n, _ := ctx.Value(auditKey{}).(*AuditNote)
	return n
}
