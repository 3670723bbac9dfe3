package dashboard

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/valyala/fasthttp"

	"felhom.eu/hub/api"
	"felhom.eu/hub/auth"
	"felhom.eu/messages"
)

// fakeHub is a hub with hosts in memory. What it was not given a method for, nobody
// may ask.
type fakeHub struct {
	api.Fleet
	mu      sync.Mutex
	hosts   []messages.HostState
	sites   map[messages.HostID]string
	names   map[messages.CustomerID]string
	alarms  []messages.Alarm
	tell    func(*messages.Batch)
	acks    []messages.IncidentID
	audited uint64
	broken  error // of EachHost
	reads   int   // likewise
}

func hostAt(i int) messages.HostID {
	return messages.HostID(fmt.Sprintf("customer-%03d-%08x", i/100, i))
}

func stateOf(id messages.HostID, p messages.Phase) messages.HostState {
	now := time.Now().UnixNano()
	return messages.HostState{ID: id, Phase: p, PhaseSince: now, ContactAt: now, ReportAt: now, AgentVersion: "1.0.0",
		Figures: messages.Figures{CPUUsedRatio: float32(id[len(id)-1]%16) / 16, MemoryUsedRatio: 0.5, DiskUsedRatio: 0.9, GuestTotal: 4, GuestRunning: 3, Cloudflared: "active"}}
}

func newFakeHub(n int) *fakeHub {
	h := &fakeHub{sites: map[messages.HostID]string{}, names: map[messages.CustomerID]string{}}
	for i := range n {
		h.hosts = append(h.hosts, stateOf(hostAt(i), messages.PhaseOK))
		h.names[hostAt(i).Customer()] = "Customer " + string(hostAt(i).Customer())
	}
	return h
}

func (h *fakeHub) EachHost(fn func(messages.Host, messages.HostState) error) error {
	h.reads++
	for _, s := range h.hosts {
		if err := fn(messages.Host{ID: s.ID, CustomerID: s.ID.Customer(), Site: h.sites[s.ID]}, s); err != nil {
			return err
		}
	}
	return h.broken
}

func (h *fakeHub) Watch(tell func(*messages.Batch)) func() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.tell = tell
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.tell = nil
	}
}

func (h *fakeHub) watched() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.tell != nil
}

func (h *fakeHub) Listened() messages.Listened { return 0 }

func (h *fakeHub) LatestEvents(context.Context, EventQuery) ([]messages.Event, messages.EventID, error) {
	return nil, "", nil
}

func (h *fakeHub) EachAlarm(_ context.Context, fn func(messages.Alarm) error) error {
	for _, a := range h.alarms {
		if err := fn(a); err != nil {
			return err
		}
	}
	return nil
}

func (h *fakeHub) Silences(context.Context) ([]api.SilenceView, error) { return nil, nil }

func (h *fakeHub) Customers(_ context.Context, after messages.CustomerID, _ int) (cs []messages.Customer, err error) {
	if after == "" {
		for id, name := range h.names {
			cs = append(cs, messages.Customer{ID: id, DisplayName: name})
		}
	}
	return cs, nil
}

func (h *fakeHub) Protection(context.Context, api.ProtectionFilter, messages.GuestID, int) ([]messages.Protection, error) {
	return nil, nil
}

func (h *fakeHub) Health() api.Health {
	return api.Health{Ready: true, Hosts: [4]int{messages.PhaseOK: len(h.hosts) / 2}, HostsStarting: len(h.hosts) - len(h.hosts)/2}
}

func (h *fakeHub) Acknowledge(_ context.Context, ids []messages.IncidentID, _ *messages.Ack) error {
	h.acks = append(h.acks, ids...)
	return nil
}

// ask asks for a page as somebody.
func ask(d *Dashboard, who auth.Principal, method, path, form string) (status int, body string) {
	plain, _, _ := strings.Cut(path, "?")
	for _, p := range d.Pages() {
		params, ok := match(p.Path, plain)
		if p.Method != method || !ok {
			continue
		}
		var ctx fasthttp.RequestCtx
		ctx.Request.Header.SetMethod(method)
		ctx.Request.SetRequestURI(path)
		if form != "" {
			ctx.Request.Header.SetContentType("application/x-www-form-urlencoded")
			ctx.Request.SetBodyString(form)
		}
		p.Serve(&ctx, api.Visit{Who: who, Params: params})
		return ctx.Response.StatusCode(), string(ctx.Response.Body())
	}
	return 404, ""
}

func match(pattern, path string) (params [3]string, ok bool) {
	want, got, n := strings.Split(pattern, "/"), strings.Split(path, "/"), 0
	if len(want) != len(got) {
		return params, false
	}
	for i := range want {
		if strings.HasPrefix(want[i], "{") {
			params[n] = got[i]
			n++
		} else if want[i] != got[i] {
			return params, false
		}
	}
	return params, true
}

var operator = auth.Principal{Kind: auth.Session, Role: messages.RoleOperator, CSRF: "token"}

func get(d *Dashboard, path string) (int, string) { return ask(d, operator, "GET", path, "") }

// location is where a form's answer sends a browser.
func location(p api.Page, form string) string {
	var ctx fasthttp.RequestCtx
	ctx.Request.Header.SetMethod("POST")
	ctx.Request.Header.SetContentType("application/x-www-form-urlencoded")
	ctx.Request.SetBodyString(form)
	p.Serve(&ctx, api.Visit{Who: operator})
	return string(ctx.Response.Header.Peek("Location"))
}

// Audit is a log of as many records as the fake says.
func (h *fakeHub) Audit(_ context.Context, after uint64, limit int) (rows []messages.AuditRecord, err error) {
	for n := after + 1; n <= h.audited && len(rows) < limit; n++ {
		rows = append(rows, messages.AuditRecord{Sequence: n})
	}
	return rows, nil
}
