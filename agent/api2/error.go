package api2

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"
	"unicode"

	"felhom.eu/messages"
)

// Kind says who can mend an Error.
type Kind string

// The kinds of failure.
const (
	KindAuth        Kind = "auth"        // 401: the token is wrong, expired, or its user disabled
	KindForbidden   Kind = "forbidden"   // 403: the token lacks a privilege; Detail names it and the path
	KindUnreachable Kind = "unreachable" // no connection, a certificate not trusted, or 595: pveproxy found no pvedaemon
	KindTimeout     Kind = "timeout"     // no answer in time, or 596: pvedaemon is stuck
	KindAPI         Kind = "api"         // the question was refused: 3xx, 400, 500, 501
	KindDecode      Kind = "decode"      // 200, but not what it should be
)

// Error is a question that the server did not answer. Its text never contains the
// token's secret.
type Error struct {
	Op     string // the question: "GET /nodes/pve1/status"
	Kind   Kind
	Status int    // of the HTTP answer; 0 when there was none
	Detail string // Proxmox's own words where it said any
	Err    error  // what the transport said; nil when there was an answer
}

// Error implements error.
func (e *Error) Error() string {
	if e.Status == 0 {
		return fmt.Sprintf("%s: %s: %s", e.Op, e.Kind, e.Detail)
	}
	return fmt.Sprintf("%s: %s: %d %s", e.Op, e.Kind, e.Status, e.Detail)
}

// Unwrap gives the transport's error.
func (e *Error) Unwrap() error { return e.Err }

// FingerprintError is found in the chain of an Error when the server shows
// another certificate than the pinned one: it was renewed, or somebody stands
// in between.
type FingerprintError struct {
	Want, Got string // SHA-256 of the certificate, as Proxmox prints it
}

// Error implements error.
func (e *FingerprintError) Error() string {
	return fmt.Sprintf("certificate has fingerprint %s, pinned is %s: it was renewed, or this is another machine", e.Got, e.Want)
}

// KindOf is err's kind; KindUnreachable for errors that are no *Error.
func KindOf(err error) Kind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return KindUnreachable
}

// SectionOf says in a report how a collection was not obtained.
func SectionOf(err error) messages.Section {
	if k := KindOf(err); k == KindForbidden || k == KindAuth {
		return messages.Section{Status: messages.SectionDenied, Detail: err.Error()}
	}
	return messages.Section{Status: messages.SectionFailed, Detail: err.Error()}
}

// statusError turns an answer that is not 200 into an Error. text is the body's
// message, or the reason phrase of versions that have none.
func statusError(op string, status int, text string) *Error {
	e := &Error{Op: op, Kind: KindAPI, Status: status, Detail: text}
	switch {
	case status == 401:
		e.Kind = KindAuth
	case status == 403:
		e.Kind = KindForbidden
	case status == 596 && strings.Contains(text, "timed out"):
		e.Kind = KindTimeout
	case status >= 595 && status <= 599:
		e.Kind = KindUnreachable
	case status >= 300 && status < 400:
		e.Detail = "redirect refused, the token stays here"
	}
	return e
}

// transportError is an Error without an answer.
func transportError(op string, err error) *Error {
	e := &Error{Op: op, Kind: KindUnreachable, Detail: err.Error(), Err: err}
	if ne, ok := errors.AsType[net.Error](err); errors.Is(err, context.DeadlineExceeded) || ok && ne.Timeout() {
		e.Kind = KindTimeout
		e.Detail = "no answer in time"
	}
	if fe, ok := errors.AsType[*FingerprintError](err); ok {
		e.Detail = fe.Error()
	}
	if CertificateError(err) {
		e.Detail = "certificate not trusted: " + e.Detail
	}
	return e
}

// CertificateError reports whether err is about a certificate that nothing
// vouches for, or that is for another name.
func CertificateError(err error) bool {
	_, unknown := errors.AsType[x509.UnknownAuthorityError](err)
	_, name := errors.AsType[x509.HostnameError](err)
	_, invalid := errors.AsType[x509.CertificateInvalidError](err)
	return unknown || name || invalid
}

// backedOff is the answer from memory after a 401.
func backedOff(op, text string, left time.Duration) *Error {
	return &Error{Op: op, Kind: KindAuth, Status: 401,
		Detail: fmt.Sprintf("%s (not asked: next try in %s)", text, left.Round(time.Second))}
}

const maxDetail = 400 // bytes of somebody else's text in an Error

// OneLine makes foreign text fit for a log line: valid, short, no controls.
func OneLine(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
	s = strings.TrimSpace(s)
	if len(s) > maxDetail {
		s = strings.ToValidUTF8(s[:maxDetail], "") + "…"
	}
	return s
}
