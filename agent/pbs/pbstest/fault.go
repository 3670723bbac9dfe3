package pbstest

import (
	"net/http"
	"path"
	"strings"
)

// Everywhere is the pattern of a fault in every answer.
const Everywhere = ""

// Fault spoils the answer to a request.
type Fault func(*http.Request, *Reply)

type faultAt struct {
	pattern string
	fault   Fault
}

// Break adds a fault to the paths below /api2/json that match pattern, as
// path.Match has it. The newest that matches is the one that counts.
func (s *Server) Break(pattern string, f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append([]faultAt{{pattern, f}}, s.faults...)
}

// Mend takes all faults away.
func (s *Server) Mend() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

func (s *Server) fault(p string) Fault {
	for _, f := range s.faults {
		if ok, _ := path.Match(f.pattern, p); ok || f.pattern == Everywhere {
			return f.fault
		}
	}
	return nil
}

// Refuse answers with that status and plain text.
func Refuse(status int, body string) Fault {
	return func(_ *http.Request, a *Reply) { *a = *text(status, body) }
}

// Body answers 200 with that body.
func Body(body string) Fault {
	return func(_ *http.Request, a *Reply) { *a = Reply{Status: 200, Body: []byte(body)} }
}

// Stall never answers.
func Stall(_ *http.Request, a *Reply) { a.Silent = true }

// Truncate sends the first half of the body as if it were all.
func Truncate(_ *http.Request, a *Reply) { a.Body = a.Body[:len(a.Body)/2] }

// HangUp ends the connection within the body.
func HangUp(_ *http.Request, a *Reply) { a.HangUpAfter = 10 }

// Garbage is not HTTP.
func Garbage(_ *http.Request, a *Reply) { a.Raw = []byte("\x00\x01garbage\r\n\r\n") }

// Redirect sends the caller, and its token if it is careless, to a place.
func Redirect(to string) Fault {
	return func(_ *http.Request, a *Reply) { *a = Reply{Status: 301, Location: to} }
}

// Echo refuses, and repeats the caller's token.
func Echo(r *http.Request, a *Reply) {
	*a = *text(400, "no "+strings.TrimPrefix(r.Header.Get("Authorization"), "PBSAPIToken="))
}
