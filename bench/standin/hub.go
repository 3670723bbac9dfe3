package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"felhom.eu/messages"
)

// host is a host with what it reported.
type host struct {
	ID, Key  string
	State    string
	Contact  time.Time
	Incident string
	Reports  []report
	Newest   messages.Report `json:"-"`
}

type report struct {
	ID, Host   string
	Stream     string
	Sequence   uint64
	ReceivedAt time.Time
	Body       []byte
}

// change is a line of the journal: what one sync made durable.
type change struct {
	Customer   string           `json:",omitempty"`
	Host       *host            `json:",omitempty"`
	Report     *report          `json:",omitempty"`
	Route      *route           `json:",omitempty"`
	State      *host            `json:",omitempty"` // ID, State, Contact, Incident
	Events     []messages.Event `json:",omitempty"`
	Deliveries []*delivery      `json:",omitempty"`
	Sent       string           `json:",omitempty"`
}

type route struct{ URL, Secret string }

type delivery struct {
	ID     string           `json:"delivery_id"`
	Events []messages.Event `json:"events"`
	sent   bool
}

// hub is everything, under one lock.
type hub struct {
	key, fault         string
	stale, down, grace time.Duration
	started            time.Time

	mu         sync.Mutex
	journal    *os.File
	count      int // of changes; makes ids
	customers  []string
	order      []string
	hosts      map[string]*host // by id
	keys       map[string]*host
	events     []messages.Event
	hooks      []route
	deliveries []*delivery
	byDelivery map[string]*delivery
	told       int // deliveries before this one were sent
}

// open reads the journal in dir.
func open(dir string) (*hub, error) {
	h := &hub{hosts: map[string]*host{}, keys: map[string]*host{}, byDelivery: map[string]*delivery{}}
	path := filepath.Join(dir, "journal")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	kept, err := h.replay(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if h.journal, err = os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600); err != nil {
		return nil, err
	}
	if err := h.journal.Truncate(kept); err != nil { // half a line was never acknowledged
		return nil, err
	}
	_, err = h.journal.Seek(kept, 0)
	return h, err
}

func (h *hub) replay(path string) (kept int64, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	for r := bufio.NewReader(f); ; {
		line, err := r.ReadBytes('\n')
		var c change
		if err != nil || json.Unmarshal(line, &c) != nil {
			return kept, nil
		}
		kept += int64(len(line))
		h.apply(&c)
	}
}

// commit makes c durable and applies it. The lock is held.
func (h *hub) commit(c *change) {
	b, err := json.Marshal(c)
	if err == nil {
		_, err = h.journal.Write(append(b, '\n'))
	}
	if err == nil {
		err = h.journal.Sync()
	}
	if err != nil {
		panic(err)
	}
	h.apply(c)
}

func (h *hub) apply(c *change) {
	h.count++
	if c.Customer != "" {
		h.customers = append(h.customers, c.Customer)
	}
	if c.Host != nil {
		h.order = append(h.order, c.Host.ID)
		h.hosts[c.Host.ID], h.keys[c.Host.Key] = c.Host, c.Host
	}
	if c.Route != nil {
		h.hooks = append(h.hooks, *c.Route)
	}
	if r := c.Report; r != nil {
		to := h.hosts[r.Host]
		to.Reports = append(to.Reports, *r)
		json.Unmarshal(r.Body, &to.Newest)
	}
	if s := c.State; s != nil {
		to := h.hosts[s.ID]
		to.State, to.Contact, to.Incident = s.State, s.Contact, s.Incident
	}
	h.events = append(h.events, c.Events...)
	for _, d := range c.Deliveries {
		h.deliveries = append(h.deliveries, d)
		h.byDelivery[d.ID] = d
	}
	if c.Sent != "" {
		h.byDelivery[c.Sent].sent = true
	}
}

// id makes an id of ULID's form that rises with every change.
func (h *hub) id(n int) string { return fmt.Sprintf("01%020d%04d", h.count, n) }
