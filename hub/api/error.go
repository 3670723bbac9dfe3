package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strconv"

	"github.com/valyala/fasthttp"

	"felhom.eu/messages"
)

// retryAfter is what a 503 asks for, in seconds: a commit takes milliseconds,
// and agents spread their retries themselves.
const retryAfter = 5

// problem is an answer that is an error.
type problem struct {
	status  int
	code    messages.Code
	message string
	body    []byte // the whole ErrorBody, when it is always the same
}

// Error implements error.
func (p *problem) Error() string { return p.message }

func newProblem(status int, code messages.Code, message string) *problem {
	return &problem{status, code, message, errorBody(code, message)}
}

func errorBody(code messages.Code, message string) []byte {
	b, _ := json.Marshal(messages.ErrorBody{Error: messages.ErrorDetail{Code: code, Message: message}})
	return b
}

// The problems that requests have by themselves.
var (
	errUnauthorized   = newProblem(401, messages.CodeUnauthorized, "no valid key; want a header Authorization: Bearer KEY")
	errSignIn         = newProblem(401, messages.CodeUnauthorized, "sign in at /login")
	errForbidden      = newProblem(403, messages.CodeForbidden, "this key does not open this")
	errRole           = newProblem(403, messages.CodeForbidden, "your role does not let you do this")
	errCrossSite      = newProblem(403, messages.CodeForbidden, "this came from another site's page")
	errCSRF           = newProblem(403, messages.CodeForbidden, "the form is not of this session; load the page again (scripts send "+csrfHeader+")")
	errQuery          = newProblem(400, messages.CodeInvalid, "query: malformed")
	errHostMismatch   = newProblem(403, messages.CodeHostMismatch, "host_id: the key belongs to another host")
	errToken          = newProblem(401, messages.CodeUnauthorized, "this enrolment token is unknown, expired, used up, or for machines of other names")
	errTooManyTokens  = newProblem(429, messages.CodeTooMany, "too many enrolments were refused to this address; retry later")
	errBodyTooLarge   = newProblem(400, messages.CodeBodyTooLarge, "the body is too large")
	errNotGzip        = newProblem(400, messages.CodeInvalid, "the body is not gzip as Content-Encoding says")
	errMalformed      = newProblem(400, messages.CodeInvalid, "not a well-formed HTTP/1.1 request")
	errTooSlow        = newProblem(408, messages.CodeInvalid, "the request did not arrive in time")
	errHeaderTooLarge = newProblem(431, messages.CodeInvalid, "the header is too large")
	errNotFound       = newProblem(404, messages.CodeNotFound, "there is nothing here")
	errEncoding       = newProblem(415, messages.CodeEncoding, "Content-Encoding: want gzip or none")
	errInternal       = newProblem(500, messages.CodeInternal, "internal error; the hub's log knows more")
)

// table of the Fleet's errors. What is in none of the rows is a bug, and 500.
var problems = []struct {
	err error
	*problem
}{
	{ErrUnknownHost, newProblem(400, messages.CodeUnknownHost, "host_id: no such host; mint it first")},
	{ErrTokenRefused, errToken},
	{ErrNotFound, newProblem(404, messages.CodeNotFound, "no such thing")},
	{ErrExists, newProblem(409, messages.CodeConflict, "exists already")},
	{ErrInUse, newProblem(409, messages.CodeConflict, "still in use")},
	{ErrTooMany, newProblem(409, messages.CodeConflict, "the customer has as many of these as it may; remove some first")},
	{ErrNoRoute, newProblem(409, messages.CodeConflict, "no route would hear of an outage; add one first")},
	{ErrBusy, newProblem(409, messages.CodeConflict, "another one runs; wait for its end")},
	{ErrUnavailable, errUnavailable},
	{messages.ErrFull, errUnavailable}, // to open a day of the history
	{context.DeadlineExceeded, errUnavailable},
	{context.Canceled, errUnavailable},
}

var errUnavailable = newProblem(503, messages.CodeUnavailable, "the hub cannot do this now; nothing was done, retry later")

// methodError is a path that exists for other methods.
type methodError struct{ allow string }

// Error implements error.
func (e *methodError) Error() string { return "allowed here: " + e.allow }

// fieldError is an operator's request with something wrong in it.
type fieldError struct{ field, problem string }

// InvalidField is what a Fleet answers when a field of an operator's request cannot
// be; the problem is told to the operator as it is.
func InvalidField(field, problem string) error { return &fieldError{field, problem} }

// Error implements error.
func (e *fieldError) Error() string { return e.field + ": " + e.problem }

// problemOf is the one place where errors become statuses and codes; ok is
// false for an error that is the hub's own fault.
func problemOf(err error) (p *problem, ok bool) {
	var (
		invalid *messages.InvalidError
		field   *fieldError
		method  *methodError
	)
	switch {
	case errors.As(err, &p):
		return p, true
	case errors.As(err, &invalid):
		return &problem{status: 400, code: messages.CodeInvalidReport, message: invalid.Error()}, true
	case errors.As(err, &field):
		return &problem{status: 400, code: messages.CodeInvalid, message: field.Error()}, true
	case errors.As(err, &method):
		return &problem{status: 405, code: messages.CodeNotAllowed, message: method.Error()}, true
	}
	for i := range problems {
		if errors.Is(err, problems[i].err) {
			return problems[i].problem, true
		}
	}
	return errInternal, false
}

// fail answers with err, and logs it when it is the hub's fault.
func (s *Server) fail(ctx *fasthttp.RequestCtx, err error) {
	p, ok := problemOf(err)
	if !ok {
		s.log.Error().Str("error", redact(err.Error())).Str("path", s.pathOf(ctx)).Msg("request failed")
	}
	var method *methodError
	if errors.As(err, &method) {
		ctx.Response.Header.Set(fasthttp.HeaderAllow, method.allow)
	}
	if p == errSignIn && ctx.IsGet() && bytes.Contains(ctx.Request.Header.Peek(fasthttp.HeaderAccept), []byte("text/html")) {
		ctx.Response.Header.Set(fasthttp.HeaderLocation, "/login")
		ctx.SetStatusCode(fasthttp.StatusSeeOther)
		return
	}
	s.answerProblem(ctx, p)
}

// pathOf names the route, not the request: a path as it came may hold a secret.
func (s *Server) pathOf(ctx *fasthttp.RequestCtx) string {
	r, _, err := s.everyone.routes.find(&ctx.Request.Header)
	if err != nil {
		return ""
	}
	return r.path
}

func (s *Server) answerProblem(ctx *fasthttp.RequestCtx, p *problem) {
	h := &ctx.Response.Header
	switch p.status {
	case 400:
		if p == errMalformed { // where the next request would begin is anyone's guess
			ctx.SetConnectionClose()
		}
	case 401:
		s.counts.unauthorized.Add(1)
		s.strangers.add()
		h.Set(fasthttp.HeaderWWWAuthenticate, `Bearer realm="felhom"`)
	case 429:
		h.Set(fasthttp.HeaderRetryAfter, strconv.Itoa(int(refusalsFor.Seconds())))
	case 503:
		h.Set(fasthttp.HeaderRetryAfter, strconv.Itoa(retryAfter))
	}
	body := p.body
	if body == nil {
		body = errorBody(p.code, p.message)
	}
	answer(ctx, p.status, body)
}

// answer sends body, which must not change afterwards, as JSON that nobody keeps.
func answer(ctx *fasthttp.RequestCtx, status int, body []byte) {
	h := &ctx.Response.Header
	h.SetContentType("application/json")
	h.Set(fasthttp.HeaderCacheControl, "no-store")
	h.Set(fasthttp.HeaderXContentTypeOptions, "nosniff")
	ctx.SetStatusCode(status)
	ctx.Response.SetBodyRaw(body)
}

// answerJSON sends v.
func answerJSON(ctx *fasthttp.RequestCtx, status int, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	answer(ctx, status, b)
	return nil
}

// Problem is what an error of a Fleet says to who asked for something that cannot be;
// ok is false when it is nobody's but the hub's.
func Problem(err error) (message string, ok bool) {
	var field *fieldError
	if errors.As(err, &field) {
		return field.Error(), true
	}
	for i := range problems {
		if errors.Is(err, problems[i].err) {
			return problems[i].message, true
		}
	}
	return "", false
}
