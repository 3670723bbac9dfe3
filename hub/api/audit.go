package api

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"felhom.eu/hub/auth"
	"felhom.eu/messages"
)

const (
	noteTimeout = 3 * time.Second // for what was done already
	maxSubject  = 200             // bytes
)

// audited reports whether what a route does belongs into the audit log.
func (r *route) audited() bool {
	return r.method != fasthttp.MethodGet && (r.access == forOperators || r.access == forPages)
}

// action is what a route does, in the path's own words: "customers add",
// "customers block", "hosts rules set".
func (r *route) action() string {
	path := strings.TrimPrefix(strings.TrimPrefix(r.path, "/api/v1/admin"), "/")
	var words []string
	for s := range strings.SplitSeq(path, "/") {
		if !strings.HasPrefix(s, "{") {
			words = append(words, s)
		}
	}
	switch {
	case r.method == fasthttp.MethodDelete:
		words = append(words, "remove")
	case r.method == fasthttp.MethodPut:
		words = append(words, "set")
	case strings.HasSuffix(path, "s"): // a list gets one more
		words = append(words, "add")
	}
	return strings.Join(words, " ")
}

// noteOf begins the audit record of a request.
func (s *Server) noteOf(ctx *fasthttp.RequestCtx, r *route, a *args) *messages.AuditNote {
	n := s.newNote(ctx, &a.who, r.action())
	n.Record.CustomerID = r.owner(&a.params)
	var subject []string
	for _, p := range a.params {
		if p != "" {
			subject = append(subject, p)
		}
	}
	text := redact(strings.Join(subject, "/")) // somebody may put a key there
	n.Record.Subject = text[:min(len(text), maxSubject)]
	if !printable(n.Record.Subject, maxSubject) {
		n.Record.Subject = echo(n.Record.Subject)
	}
	return n
}

func (s *Server) newNote(ctx *fasthttp.RequestCtx, who *auth.Principal, action string) *messages.AuditNote {
	return &messages.AuditNote{Record: messages.AuditRecord{
		At: time.Now().UTC(), Who: who.Name(), Action: action, Address: s.addressOf(ctx).String(), Outcome: messages.AuditDone,
	}}
}

// write makes the audit record durable, unless it became so with the change. What
// the hub could not do now, it cannot write either: that is told to the log only.
func (s *Server) write(ctx *fasthttp.RequestCtx, n *messages.AuditNote, err error) {
	if n.Written {
		return
	}
	code := messages.Code("failed")
	if err != nil {
		p, _ := problemOf(err)
		code = p.code
	}
	if err != nil || ctx.Response.StatusCode() >= 400 {
		n.Record.Outcome = string(code)
	}
	if code == messages.CodeUnavailable {
		s.unwritten(n)
		return
	}
	s.record(n)
}

// record makes an audit record durable by itself.
func (s *Server) record(n *messages.AuditNote) {
	c, cancel := context.WithTimeout(messages.WithAudit(s.life, n), noteTimeout)
	defer cancel()
	if err := s.fleet.SaveAccess(c, AccessChange{}); err != nil {
		s.log.Error().Str("error", redact(err.Error())).Msg("audit record not written")
		s.unwritten(n)
	}
}

// unwritten is where an audit record goes that cannot be written.
func (s *Server) unwritten(n *messages.AuditNote) {
	v := &n.Record
	s.log.Warn().Str("who", v.Who).Str("action", v.Action).Str("subject", v.Subject).Str("address", v.Address).Str("outcome", v.Outcome).
		Msg("not in the audit log")
}

// listAudit starts behind the cursor, or behind the sequence after.
func (s *Server) listAudit(ctx *fasthttp.RequestCtx, _ args) error {
	q, err := readQuery(ctx, "after")
	if err != nil {
		return err
	}
	from, err := after(q, auditList, parseSequence)
	if err == nil && from == "" && q.Get("after") != "" {
		from, err = parsed(q, "after", parseSequence)
	}
	if err != nil {
		return err
	}
	var last uint64
	if from != "" {
		last, _ = strconv.ParseUint(from, 10, 63) // was parsed
	}
	c, cancel := s.ask()
	defer cancel()
	rows, err := s.fleet.Audit(c, last, q.limit+1)
	if err != nil {
		return err
	}
	return answerPage(ctx, rows, q.limit, auditList, func(r messages.AuditRecord) string { return strconv.FormatUint(r.Sequence, 10) }, same)
}

func parseSequence(s string) (string, error) {
	_, err := strconv.ParseUint(s, 10, 63)
	return s, err
}
