package main

import (
	"bytes"
	"compress/gzip"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"felhom.eu/messages"
)

type object = map[string]any

func (h *hub) routes() http.Handler {
	m := http.NewServeMux()
	m.HandleFunc("GET /readyz", func(http.ResponseWriter, *http.Request) {})
	m.HandleFunc("POST /api/v1/host-report", h.report)
	admin := func(pattern string, f func(*http.Request) (int, any)) {
		method, path, _ := strings.Cut(pattern, " ")
		m.HandleFunc(method+" /api/v1/admin"+path, func(w http.ResponseWriter, r *http.Request) {
			if bearer(r) != h.key {
				h.refuse(w, r, http.StatusUnauthorized, messages.CodeUnauthorized)
				return
			}
			h.mu.Lock()
			defer h.mu.Unlock()
			status, body := f(r)
			w.WriteHeader(status)
			if raw, ok := body.([]byte); ok {
				w.Write(raw)
				return
			}
			json.NewEncoder(w).Encode(body)
		})
	}
	admin("GET /customers", h.listCustomers)
	admin("POST /customers", h.addCustomer)
	admin("POST /hosts", h.mint)
	admin("GET /hosts", h.listHosts)
	admin("GET /hosts/{host}", h.showHost)
	admin("GET /hosts/{host}/reports", h.listReports)
	admin("GET /hosts/{host}/reports/{id}", h.showReport)
	admin("GET /events", h.listEvents)
	admin("GET /deliveries", h.listDeliveries)
	admin("POST /routes", h.addRoute)
	return exact(m)
}

// exact refuses paths that are not canonical, where ServeMux would redirect.
func exact(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path, _, _ := strings.Cut(r.RequestURI, "?")
		if path != r.URL.Path || strings.Contains(path, "//") || strings.Contains(path, "..") {
			http.Error(w, "{}", http.StatusNotFound)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func bearer(r *http.Request) string {
	key, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	return key
}

func (h *hub) refuse(w http.ResponseWriter, r *http.Request, status int, code messages.Code) {
	if h.fault == "leak" {
		fmt.Fprintln(os.Stderr, "refused", r.Header)
	}
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(messages.ErrorBody{Error: messages.ErrorDetail{Code: code}})
}

func (h *hub) report(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	from := h.keys[bearer(r)]
	h.mu.Unlock()
	if from == nil {
		h.refuse(w, r, http.StatusUnauthorized, messages.CodeUnauthorized)
		return
	}
	body, err := readBody(r)
	if err != nil {
		h.refuse(w, r, http.StatusBadRequest, messages.CodeBodyTooLarge)
		return
	}
	var p messages.Report
	if err := decode(body, &p); err != nil || string(p.HostID) != from.ID {
		h.refuse(w, r, http.StatusBadRequest, messages.CodeInvalidReport)
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.record(from, &p, body)
	json.NewEncoder(w).Encode(messages.Envelope{Status: "ok", PollIntervalSeconds: 900})
}

// decode is strict enough for the rigs' malformed set, and no stricter.
func decode(body []byte, p *messages.Report) error {
	if !utf8.Valid(body) {
		return errors.New("not UTF-8")
	}
	if err := json.Unmarshal(body, p); err != nil {
		return err
	}
	seen := map[messages.VMID]bool{}
	for _, g := range p.Guests {
		if seen[g.VMID] || g.VMID < messages.MinVMID || g.VMID > messages.MaxVMID || len(p.Guests) > messages.MaxGuests {
			return errors.New("bad vmid")
		}
		seen[g.VMID] = true
	}
	return nil
}

func readBody(r *http.Request) ([]byte, error) {
	var in io.Reader = r.Body
	switch r.Header.Get("Content-Encoding") {
	case "":
	case "gzip":
		z, err := gzip.NewReader(in)
		if err != nil {
			return nil, err
		}
		in = z
	default:
		return nil, errors.New("unknown encoding")
	}
	body, err := io.ReadAll(io.LimitReader(in, messages.MaxBodyBytes+1))
	if err == nil && len(body) > messages.MaxBodyBytes {
		err = errors.New("too large")
	}
	return body, err
}

func (h *hub) record(from *host, p *messages.Report, body []byte) {
	n := len(from.Reports)
	if n > 0 && from.Reports[n-1].Stream == p.Stream && from.Reports[n-1].Sequence == p.Sequence {
		return // a repeat
	}
	now := time.Now().UTC()
	c := &change{State: &host{ID: from.ID, State: "ok", Contact: now}}
	if from.State == "stale" || from.State == "down" {
		c = h.transition(from, "ok", messages.HostRecovered, now, from.Incident)
	}
	if h.fault != "forget" || h.count%100 != 0 {
		c.Report = &report{ID: h.id(8000), Host: from.ID, Stream: p.Stream, Sequence: p.Sequence, ReceivedAt: now, Body: bytes.Clone(body)}
	}
	h.commit(c)
}

func page[T any](items []T) object { return object{"items": items, "next_cursor": ""} }

func (h *hub) listCustomers(*http.Request) (int, any) {
	items := []object{}
	for _, c := range h.customers {
		items = append(items, object{"customer_id": c})
	}
	return 200, page(items)
}

func (h *hub) addCustomer(r *http.Request) (int, any) {
	var c messages.Customer
	if err := json.NewDecoder(r.Body).Decode(&c); err != nil || c.ID == "" {
		return 400, object{}
	}
	h.commit(&change{Customer: string(c.ID)})
	return 201, c
}

func (h *hub) mint(r *http.Request) (int, any) {
	var c messages.Customer
	var random [36]byte
	rand.Read(random[:])
	if err := json.NewDecoder(r.Body).Decode(&c); err != nil || c.ID == "" {
		return 400, object{}
	}
	m := &host{ID: string(c.ID) + "-" + hex.EncodeToString(random[:4]), Key: hex.EncodeToString(random[4:])}
	h.commit(&change{Host: m})
	return 201, object{"host_id": m.ID, "api_key": m.Key}
}

func (h *hub) view(s *host) object {
	n := s.Newest.Host
	percent := func(used, total uint64) float64 { return 100 * float64(used) / float64(max(total, 1)) }
	state := s.State
	if state == "" {
		state = "new"
	}
	return object{
		"host_id": s.ID, "state": state, "last_report_at": s.Contact, "host": n,
		"memory_percent": percent(n.MemoryUsedBytes, n.MemoryTotalBytes),
		"disk_percent":   percent(n.RootUsedBytes, n.RootTotalBytes), "cpu_percent": 100 * n.CPUUsedRatio,
	}
}

func (h *hub) listHosts(*http.Request) (int, any) {
	items := []object{}
	for _, id := range h.order {
		items = append(items, h.view(h.hosts[id]))
	}
	return 200, page(items)
}

func (h *hub) showHost(r *http.Request) (int, any) {
	s := h.hosts[r.PathValue("host")]
	if s == nil {
		return 404, object{}
	}
	return 200, h.view(s)
}

func (h *hub) listReports(r *http.Request) (int, any) {
	items := []object{}
	for _, p := range h.hosts[r.PathValue("host")].Reports {
		items = append([]object{{"id": p.ID, "received_at": p.ReceivedAt}}, items...)
	}
	return 200, page(items)
}

func (h *hub) showReport(r *http.Request) (int, any) {
	for _, p := range h.hosts[r.PathValue("host")].Reports {
		if p.ID == r.PathValue("id") {
			return 200, p.Body
		}
	}
	return 404, object{}
}

func (h *hub) listEvents(r *http.Request) (int, any) {
	items := []messages.Event{}
	for _, e := range h.events {
		if string(e.ID) > r.FormValue("after") {
			items = append(items, e)
		}
	}
	return 200, page(items)
}

func (h *hub) listDeliveries(*http.Request) (int, any) {
	items := []object{}
	for _, d := range h.deliveries {
		state := map[bool]messages.DeliveryState{true: messages.DeliverySent, false: messages.DeliveryPending}[d.sent]
		items = append(items, object{"delivery_id": d.ID, "state": state})
	}
	return 200, page(items)
}

func (h *hub) addRoute(r *http.Request) (int, any) {
	var to struct{ URL, Secret string }
	if err := json.NewDecoder(r.Body).Decode(&to); err != nil || to.URL == "" {
		return 400, object{}
	}
	h.commit(&change{Route: &route{URL: to.URL, Secret: to.Secret}})
	return 201, object{"route_id": h.id(0)}
}
