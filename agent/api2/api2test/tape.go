// Package api2test holds a collection against answers that no server would give.
package api2test

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
)

// Tape is what a server answered, by question. Its zero value is an empty one.
type Tape struct {
	mu      sync.Mutex
	answers map[string][]byte
}

// question is a request without what differs from one collection to the next.
func question(r *http.Request) string {
	query := r.URL.Query()
	query.Del("since")
	query.Del("start")
	return strings.TrimSuffix(r.URL.Path+"?"+query.Encode(), "?")
}

type transport func(*http.Request) (*http.Response, error)

// RoundTrip implements http.RoundTripper.
func (t transport) RoundTrip(r *http.Request) (*http.Response, error) { return t(r) }

// Record keeps the bodies of all good answers that come by way of next.
func (t *Tape) Record(next http.RoundTripper) http.RoundTripper {
	return transport(func(r *http.Request) (*http.Response, error) {
		resp, err := next.RoundTrip(r)
		if err != nil || resp.StatusCode != http.StatusOK {
			return resp, err
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			return nil, err
		}
		_ = resp.Body.Close()
		resp.Body = io.NopCloser(bytes.NewReader(body))
		t.mu.Lock()
		defer t.mu.Unlock()
		if t.answers == nil {
			t.answers = map[string][]byte{}
		}
		t.answers[question(r)] = body
		return resp, nil
	})
}

// Inputs are the recorded answers as Play takes them, in the order of their
// questions: the question, a line's end, the body.
func (t *Tape) Inputs() (inputs [][]byte) {
	for _, q := range slices.Sorted(maps.Keys(t.answers)) {
		inputs = append(inputs, append([]byte(q+"\n"), t.answers[q]...))
	}
	return inputs
}

// Play answers as was recorded, but for the questions that begin with the first
// line of input: those with the rest of it. What was never asked is not found.
func (t *Tape) Play(input []byte) http.RoundTripper {
	about, body, _ := bytes.Cut(input, []byte("\n"))
	return transport(func(r *http.Request) (*http.Response, error) {
		q := question(r)
		switch answer, ok := t.answers[q]; {
		case strings.HasPrefix(q, string(about)):
			return said(http.StatusOK, body), nil
		case ok:
			return said(http.StatusOK, answer), nil
		}
		return said(http.StatusNotFound, nil), nil
	})
}

func said(status int, body []byte) *http.Response {
	return &http.Response{StatusCode: status, Status: fmt.Sprintf("%d %s", status, http.StatusText(status)), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body))}
}
