package main

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"felhom.eu/messages"
)

// canary is the API key of every test: it may reach a hub, and nothing else.
const canary = "c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00"

// enrolledKey is what an enrolment is answered with.
const enrolledKey = "e15011ede15011ede15011ede15011ede15011ede15011ede15011ede15011ed"

// fakeHub answers over real HTTP and hands on what it accepted.
type fakeHub struct {
	*httptest.Server
	reports  chan messages.Report // accepted, in order
	goodbyes chan messages.Goodbye
	attempts chan struct{} // one for each request

	mu     sync.Mutex
	nonces map[string]messages.HostID // who enrolled
	answer http.HandlerFunc           // of reports; nil accepts
}

func newHub(t testing.TB) *fakeHub {
	t.Helper()
	h := &fakeHub{reports: make(chan messages.Report, 1000), goodbyes: make(chan messages.Goodbye, 10), attempts: make(chan struct{}, 1000)}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/v1/host-report", h.report)
	mux.HandleFunc("POST /api/v1/host-goodbye", h.goodbye)
	mux.HandleFunc("POST /api/v1/enroll", h.enroll)
	h.Server = httptest.NewServer(mux)
	t.Cleanup(h.Close)
	return h
}

// set changes what reports are answered with.
func (h *fakeHub) set(answer http.HandlerFunc) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.answer = answer
}

// refuse answers as a hub refuses; wait is the Retry-After, if any.
func (h *fakeHub) refuse(status int, code messages.Code, wait string) {
	h.set(func(w http.ResponseWriter, r *http.Request) {
		if wait != "" {
			w.Header().Set("Retry-After", wait)
		}
		w.WriteHeader(status)
		// A careless hub: its message holds the key.
		json.NewEncoder(w).Encode(messages.ErrorBody{Error: messages.ErrorDetail{Code: code, Message: "no: " + r.Header.Get("Authorization")}})
	})
}

func (h *fakeHub) report(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	answer := h.answer
	h.mu.Unlock()
	h.attempts <- struct{}{}
	if answer != nil {
		answer(w, r)
		return
	}
	accept(w, r, h.reports)
}

// enroll takes the canary for a token, and loses the first answer. Who asks again
// with another nonce is another machine.
func (h *fakeHub) enroll(w http.ResponseWriter, r *http.Request) {
	var in messages.EnrollRequest
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil || r.Header.Get("Authorization") != "Bearer "+canary {
		w.WriteHeader(http.StatusUnauthorized)
		json.NewEncoder(w).Encode(messages.ErrorBody{Error: messages.ErrorDetail{Code: messages.CodeUnauthorized, Message: "this enrolment token is unknown"}})
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.nonces == nil {
		h.nonces = map[string]messages.HostID{}
	}
	id, again := h.nonces[in.Nonce]
	if !again {
		if id = messages.HostID(fmt.Sprintf("acme-%08d", len(h.nonces)+1)); in.APIKey == enrolledKey {
			id = "acme-00000001"
		}
		h.nonces[in.Nonce] = id
		panic(http.ErrAbortHandler)
	}
	w.WriteHeader(http.StatusCreated)
	json.NewEncoder(w).Encode(messages.EnrollAnswer{HostID: id, APIKey: enrolledKey})
}

func (h *fakeHub) goodbye(w http.ResponseWriter, r *http.Request) { accept(w, r, h.goodbyes) }

func accept[T any](w http.ResponseWriter, r *http.Request, to chan<- T) {
	var document T
	if r.Header.Get("Authorization") != "Bearer "+canary {
		http.Error(w, "wrong key", http.StatusUnauthorized)
		return
	}
	body := io.Reader(r.Body)
	if r.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		body = z
	}
	if err := json.NewDecoder(body).Decode(&document); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	to <- document
	fmt.Fprint(w, `{"status":"ok","poll_interval_seconds":0,"blocked":false,"desired_generation":3,"has_signed_ops":false}`)
}
