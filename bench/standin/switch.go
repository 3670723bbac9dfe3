package main

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"felhom.eu/messages"
)

const watchEvery = 50 * time.Millisecond

// watch is the dead-man's switch. It ends with the process.
func (h *hub) watch() {
	for range time.Tick(watchEvery) {
		h.mu.Lock()
		for _, id := range h.order {
			h.expire(h.hosts[id], time.Now())
		}
		h.mu.Unlock()
	}
}

func (h *hub) expire(s *host, now time.Time) {
	if h.stale == 0 || s.State == "" || now.Sub(h.started) < h.grace {
		return
	}
	since := s.Contact
	if h.started.After(since) {
		since = h.started
	}
	silence := now.Sub(since)
	switch {
	case s.State == "ok" && silence >= h.stale:
		h.commit(h.transition(s, "stale", messages.HostStale, s.Contact, h.id(9000)))
	case s.State == "stale" && silence >= h.down:
		h.commit(h.transition(s, "down", messages.HostDown, s.Contact, s.Incident))
	}
}

// transition is the change that moves s and tells of it.
func (h *hub) transition(s *host, state string, t messages.EventType, contact time.Time, incident string) *change {
	now := time.Now().UTC()
	e := messages.Event{
		ID: messages.EventID(h.id(0)), Type: t, At: now, HostID: messages.HostID(s.ID),
		CustomerID: messages.HostID(s.ID).Customer(), IncidentID: messages.IncidentID(incident),
		Detail: messages.EventDetail{LastContactAt: &s.Contact, DurationSeconds: int64(now.Sub(s.Contact).Seconds())},
	}
	c := &change{State: &host{ID: s.ID, State: state, Contact: contact, Incident: incident}, Events: []messages.Event{e}}
	if state == "ok" {
		c.State.Incident = ""
	}
	if h.fault == "silent" {
		return c
	}
	if len(h.hooks) > 0 {
		c.Deliveries = []*delivery{{ID: h.id(1), Events: c.Events}}
		if h.fault == "twice" {
			c.Deliveries = append(c.Deliveries, &delivery{ID: h.id(2), Events: c.Events})
		}
	}
	return c
}

// tell sends deliveries to the one route, in order, each until it is taken. It
// ends with the process.
func (h *hub) tell() {
	for range time.Tick(watchEvery) {
		for d := h.unsent(); d != nil; d = h.unsent() {
			body, _ := json.Marshal(d)
			if !h.post(h.hooks[0], d.ID, body) {
				break
			}
			h.mu.Lock()
			h.commit(&change{Sent: d.ID})
			h.mu.Unlock()
		}
	}
}

func (h *hub) unsent() *delivery {
	h.mu.Lock()
	defer h.mu.Unlock()
	for ; h.told < len(h.deliveries); h.told++ {
		if d := h.deliveries[h.told]; !d.sent {
			return d
		}
	}
	return nil
}

func (h *hub) post(r route, id string, body []byte) bool {
	stamp := time.Now().Unix()
	key, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(r.Secret, "whsec_"))
	if h.fault == "unsigned" {
		key = []byte("another")
	}
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%d.%s", id, stamp, body)
	req, _ := http.NewRequest(http.MethodPost, r.URL, bytes.NewReader(body))
	req.Header.Set("webhook-id", id)
	req.Header.Set("webhook-timestamp", fmt.Sprint(stamp))
	req.Header.Set("webhook-signature", "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	resp.Body.Close()
	return resp.StatusCode/100 == 2
}
