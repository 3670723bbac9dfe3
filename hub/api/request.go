package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/valyala/fasthttp"
)

const (
	defaultLimit = 100
	maxLimit     = 1000
	maxEcho      = 60 // bytes of a request that an answer repeats
)

// decode reads an operator's JSON into the struct at v: one object, nothing
// behind it, no field that v does not have, none twice.
func (s *Server) decode(ctx *fasthttp.RequestCtx, v any) error {
	body, err := s.body(ctx, adminBody)
	if err != nil {
		return err
	}
	if !utf8.Valid(body) {
		return &fieldError{"body", "invalid UTF-8"}
	}
	if err := checkNames(body, jsonNames(v)); err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(body))
	if err := d.Decode(v); err != nil {
		return badJSON(err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return &fieldError{"body", "text after the closing brace"}
	}
	return nil
}

var errNoObject = &fieldError{"body", "not a JSON object"}

// checkNames refuses what encoding/json lets pass: "KEY" for "key", and the
// second of two keys for the first.
func checkNames(body []byte, known []string) error {
	d := json.NewDecoder(bytes.NewReader(body))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return errNoObject
	}
	seen := make(map[string]bool)
	for d.More() {
		t, err := d.Token()
		name, ok := t.(string)
		switch {
		case err != nil || !ok:
			return errNoObject
		case !slices.Contains(known, name):
			return &fieldError{echo(name), "unknown field"}
		case seen[name]:
			return &fieldError{name, "given twice"}
		}
		seen[name] = true
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return errNoObject
		}
	}
	return nil
}

// jsonNames are the names of the fields of the struct at v.
func jsonNames(v any) (names []string) {
	return namesOf(reflect.TypeOf(v).Elem())
}

func namesOf(t reflect.Type) (names []string) {
	for f := range t.Fields() {
		if f.Anonymous {
			names = append(names, namesOf(f.Type)...)
			continue
		}
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		names = append(names, name)
	}
	return names
}

// badJSON says what was wrong, without what was said: a value may be a secret.
func badJSON(err error) error {
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) {
		return &fieldError{echo(or2(wrong.Field, "body")), "want " + jsonKind(wrong.Type.Kind().String())}
	}
	return errNoObject
}

func jsonKind(goKind string) string {
	switch goKind {
	case "string":
		return "a string"
	case "slice":
		return "an array"
	case "float64":
		return "a number"
	case "bool":
		return "true or false"
	case "struct":
		return "an object"
	}
	return "a whole number"
}

func or2(s, otherwise string) string {
	if s != "" {
		return s
	}
	return otherwise
}

// echo makes a foreign text fit for an answer: short, printable.
func echo(s string) string {
	s = strconv.QuoteToASCII(s[:min(len(s), maxEcho)])
	return s[1 : len(s)-1]
}

// query is a list's question: the page, and the filters that the list knows.
type query struct {
	limit  int
	cursor string
	url.Values
}

// readQuery refuses what the list does not know: a misspelled filter would
// otherwise list everything.
func readQuery(ctx *fasthttp.RequestCtx, filters ...string) (query, error) {
	v, err := url.ParseQuery(string(ctx.Request.URI().QueryString()))
	if err != nil {
		return query{}, &fieldError{"query", "malformed"}
	}
	for name, values := range v {
		switch {
		case name != "limit" && name != "cursor" && !slices.Contains(filters, name):
			return query{}, &fieldError{echo(name), "unknown parameter"}
		case len(values) > 1:
			return query{}, &fieldError{echo(name), "given twice"}
		}
	}
	limit, err := limitOf(v)
	return query{limit, v.Get("cursor"), v}, err
}

func limitOf(v url.Values) (int, error) {
	if !v.Has("limit") {
		return defaultLimit, nil
	}
	n, err := strconv.Atoi(v.Get("limit"))
	if err != nil || n < 1 || n > maxLimit {
		return 0, &fieldError{"limit", "want 1 to 1000"}
	}
	return n, nil
}

// parsed is the value of an optional filter by the grammar of its type.
func parsed[T ~string](q query, name string, parse func(string) (T, error)) (T, error) {
	if !q.Has(name) {
		return "", nil
	}
	return field(name, q.Get(name), parse)
}

// field parses a value and names it when it is malformed.
func field[T ~string](name, value string, parse func(string) (T, error)) (T, error) {
	v, err := parse(value)
	if err != nil {
		return "", &fieldError{name, "malformed"}
	}
	return v, nil
}
