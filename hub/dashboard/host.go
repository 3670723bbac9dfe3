package dashboard

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"felhom.eu/hub/api"
	"felhom.eu/messages"
)

const (
	maxOlder   = 65 // reports that may have been stored behind the newest: an agent's backlog, and itself
	hostEvents = 12 // on a host's page
	hostBodies = 8  // reports on it
	maxAudit   = 20
	youngHost  = 4 * time.Hour // what there is of it is in the last hour
)

// hostPage is one host.
type hostPage struct {
	Row      hostRow
	Host     messages.Host
	State    messages.HostState
	Silence  time.Duration
	Customer messages.Customer
	Report   *messages.Report // its newest; nil when there is none any more
	Groups   []group          // what is wrong on it
	Guests   []guestRow
	Gone     []messages.GuestRecord // guests that it had
	Unknown  []unknownSection
	Audit    []messages.AuditEntry
	Events   []messages.Event
	Reports  []api.ReportView
	ReportAt time.Time
	Boot     time.Time
	Span     string // of the graphs, at first
}

// guestRow is a guest with its chain.
type guestRow struct {
	messages.Guest
	Tone    string
	Chain   *messages.Protection
	MemUsed float64 // of what it was given; NaN when unknown
}

// unknownSection is a collection that nobody vouches for.
type unknownSection struct {
	Name, Status, Detail string
}

// hostID is the host in the path, when the viewer may see it.
func (r *request) hostID() (messages.HostID, error) {
	id, err := messages.ParseHostID(r.params[0])
	if err != nil || !r.viewer.sees(id.Customer()) {
		return "", errBad
	}
	return id, nil
}

func (d *Dashboard) host(r *request) error {
	id, err := r.hostID()
	if err != nil {
		return err
	}
	v, err := d.hub.Host(r.ctx, id)
	if err != nil {
		return err
	}
	p := &hostPage{Host: v.Host, State: v.State, Silence: v.Silence, ReportAt: at(v.State.ReportAt), Span: "day"}
	if r.now.Sub(v.Host.CreatedAt) < youngHost {
		p.Span = "hour"
	}
	if err := d.fillHost(r, p); err != nil {
		return err
	}
	return d.render(r, "host", "fleet", string(id)+" is "+v.State.Phase.String(), p)
}

func (d *Dashboard) fillHost(r *request, p *hostPage) error {
	id := p.Host.ID
	err := d.board.look(r.ctx, func() {
		fresh := row{id: id, site: p.Host.Site}
		fresh.take(&p.State)
		p.Row = d.board.show(&fresh)
		p.Customer = d.board.customers[p.Host.CustomerID]
		p.Groups = slices.DeleteFunc(d.board.attention(viewer{customer: p.Host.CustomerID}, r.now).Groups, func(g group) bool { return g.Host != id })
	})
	if err != nil {
		return err
	}
	if p.Report, err = d.newestReport(r.ctx, id, p.State.Last); err != nil {
		return err
	}
	if err := d.fillGuests(r, p); err != nil {
		return err
	}
	if p.Reports, _, err = d.hub.Reports(r.ctx, id, messages.ReportRef{}, hostBodies); err != nil {
		return unlessGone(err)
	}
	p.Events, _, err = d.hub.LatestEvents(r.ctx, EventQuery{EventFilter: api.EventFilter{HostID: id}, Limit: hostEvents, Look: hostEvents})
	return err
}

func unlessGone(err error) error {
	if errors.Is(err, api.ErrNotFound) {
		return nil
	}
	return err
}

// newestReport is the body behind a host's state, read; nil when it is gone or is not
// what this version understands.
func (d *Dashboard) newestReport(c context.Context, id messages.HostID, at messages.ReportRef) (*messages.Report, error) {
	if at.IsZero() {
		return nil, nil
	}
	rows, _, err := d.hub.Reports(c, id, at, maxOlder)
	i := slices.IndexFunc(rows, func(v api.ReportView) bool { return !v.Older })
	if err != nil || i < 0 {
		return nil, unlessGone(err)
	}
	body, err := d.hub.Report(c, id, rows[i].ID)
	if err != nil {
		return nil, unlessGone(err)
	}
	var r messages.Report
	if json.Unmarshal(body, &r) != nil {
		return nil, nil
	}
	return &r, nil
}

func (d *Dashboard) fillGuests(r *request, p *hostPage) error {
	id := p.Host.ID
	chains, err := d.hub.Protection(r.ctx, api.ProtectionFilter{HostID: id}, "", 5000)
	if err != nil {
		return err
	}
	known, err := d.hub.Guests(r.ctx, id)
	if err != nil {
		return err
	}
	listed := make(map[messages.VMID]bool)
	if p.Report != nil {
		p.Boot = p.ReportAt.Add(-time.Duration(min(p.Report.Host.UptimeSeconds, 1<<32)) * time.Second)
		p.readReport(chains, listed)
	}
	for _, g := range known {
		if !listed[g.VMID] {
			p.Gone = append(p.Gone, g)
		}
	}
	return nil
}

// readReport takes from the newest report what the page shows.
func (p *hostPage) readReport(chains []messages.Protection, listed map[messages.VMID]bool) {
	for _, g := range p.Report.Guests {
		listed[g.VMID] = true
		v := guestRow{Guest: g, Tone: toneOfGuest(g.Status)}
		v.MemUsed = ratioOf(0, 0)
		if g.Spec != nil && g.Status == messages.GuestRunning {
			v.MemUsed = ratioOf(g.MemoryUsedBytes, g.Spec.MemoryBytes)
		}
		if i := slices.IndexFunc(chains, func(c messages.Protection) bool { return c.VMID == g.VMID }); i >= 0 {
			v.Chain = &chains[i]
		}
		p.Guests = append(p.Guests, v)
	}
	slices.SortFunc(p.Guests, func(a, b guestRow) int { return int(a.VMID) - int(b.VMID) })
	for name, s := range p.Report.Sections {
		if s.Status == messages.SectionDenied || s.Status == messages.SectionFailed {
			p.Unknown = append(p.Unknown, unknownSection{strings.ReplaceAll(name, "_", " "), string(s.Status), s.Detail})
		}
	}
	slices.SortFunc(p.Unknown, func(a, b unknownSection) int { return strings.Compare(a.Name, b.Name) })
	p.Audit = p.Report.AuditTail
	slices.SortFunc(p.Audit, func(a, b messages.AuditEntry) int { return b.StartedAt.Compare(a.StartedAt) })
	p.Audit = p.Audit[:min(len(p.Audit), maxAudit)]
}

func toneOfGuest(status string) string {
	switch status {
	case messages.GuestRunning:
		return "ok"
	case "stopped":
		return "off"
	case messages.GuestUnknown:
		return "new"
	}
	return "stale"
}

func sortCustomers(cs []messages.Customer) {
	slices.SortFunc(cs, func(a, b messages.Customer) int {
		return strings.Compare(strings.ToLower(a.DisplayName+" "+string(a.ID)), strings.ToLower(b.DisplayName+" "+string(b.ID)))
	})
}
