package api

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"time"

	"github.com/valyala/fasthttp"

	"felhom.eu/messages"
)

// Limits of a host's own interval, in seconds; agents clamp to the same range.
const minPoll, maxPoll = 60, 3600

// hostItem is a host in a list.
type hostItem struct {
	HostID         messages.HostID     `json:"host_id"`
	CustomerID     messages.CustomerID `json:"customer_id"`
	Site           string              `json:"site,omitempty"` // hosts that fail together
	State          messages.Phase      `json:"state"`
	StateSince     *time.Time          `json:"state_since"`    // null: since it was minted
	LastReportAt   *time.Time          `json:"last_report_at"` // hub's clock
	SilenceSeconds int64               `json:"silence_seconds"`
	SkewSeconds    int32               `json:"skew_seconds"` // agent's clock minus hub's
	AgentVersion   string              `json:"agent_version"`
	CPUPercent     percent             `json:"cpu_percent"`
	MemoryPercent  percent             `json:"memory_percent"`
	DiskPercent    percent             `json:"disk_percent"`
	GuestTotal     *int                `json:"guest_total"` // null when unknown
	GuestRunning   *int                `json:"guest_running"`
	Cloudflared    string              `json:"cloudflared"`
}

// hostDetail is one host, with what its newest report says itself.
type hostDetail struct {
	hostItem
	CreatedAt           time.Time              `json:"created_at"`
	PollIntervalSeconds int                    `json:"poll_interval_seconds,omitempty"` // its own, if any
	DesiredGeneration   uint64                 `json:"desired_generation"`
	ReportedAt          *time.Time             `json:"reported_at"` // agent's clock
	KnownGuests         []messages.GuestRecord `json:"known_guests"`
	newestReport
}

// newestReport is the part of a report that a host's page shows, as it came;
// null when there is no report.
type newestReport struct {
	Host     json.RawMessage `json:"host"`
	Guests   json.RawMessage `json:"guests"`
	Sections json.RawMessage `json:"sections"`
}

// percent is a ratio from 0 to 1 that is written as 0 to 100 with one decimal,
// or as null when it is not a number.
type percent float32

// MarshalJSON writes the percentage.
func (p percent) MarshalJSON() ([]byte, error) {
	v := float64(p)
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return []byte("null"), nil
	}
	return json.Marshal(math.Round(v*1000) / 10)
}

func itemOf(v HostView) hostItem {
	st := &v.State
	total, running := guestsOf(&st.Figures, st.ReportAt != 0)
	return hostItem{
		HostID:         v.Host.ID,
		CustomerID:     v.Host.CustomerID,
		Site:           v.Host.Site,
		State:          st.Phase,
		StateSince:     instant(st.PhaseSince),
		LastReportAt:   instant(st.ReportAt),
		SilenceSeconds: int64(v.Silence / time.Second),
		SkewSeconds:    st.SkewSecs,
		AgentVersion:   st.AgentVersion,
		CPUPercent:     unlessNew(st, st.Figures.CPUUsedRatio),
		MemoryPercent:  unlessNew(st, st.Figures.MemoryUsedRatio),
		DiskPercent:    unlessNew(st, st.Figures.DiskUsedRatio),
		GuestTotal:     total,
		GuestRunning:   running,
		Cloudflared:    st.Figures.Cloudflared,
	}
}

// guestsOf counts the guests of a report; nil when there is none, or it could
// not list them.
func guestsOf(f *messages.Figures, reported bool) (total, running *int) {
	if !reported || f.GuestsUnknown {
		return nil, nil
	}
	return new(int(f.GuestTotal)), new(int(f.GuestRunning))
}

// unlessNew keeps the zeros of a host that never reported from passing for figures.
func unlessNew(st *messages.HostState, ratio float32) percent {
	if st.ReportAt == 0 {
		return percent(math.NaN())
	}
	return percent(ratio)
}

// instant is nanoseconds of Unix time as a time; nil for 0, which is never.
func instant(nanos int64) *time.Time {
	if nanos == 0 {
		return nil
	}
	t := time.Unix(0, nanos).UTC()
	return &t
}

// hostOf parses the path's host; what is malformed does not exist.
func hostOf(a args) (messages.HostID, error) {
	id, err := messages.ParseHostID(a.params[0])
	if err != nil {
		return "", errNotFound
	}
	return id, nil
}

// mintedKey is a key, shown this once.
type mintedKey struct {
	HostID messages.HostID `json:"host_id"`
	APIKey string          `json:"api_key"`
}

func (s *Server) mintHost(ctx *fasthttp.RequestCtx, a args) error {
	var in struct {
		CustomerID          string `json:"customer_id"`
		PollIntervalSeconds int    `json:"poll_interval_seconds"`
		Site                string `json:"site"`
	}
	if err := s.decode(ctx, &in); err != nil {
		return err
	}
	customer, err := field("customer_id", in.CustomerID, messages.ParseCustomerID)
	if err != nil {
		return err
	}
	if p := in.PollIntervalSeconds; p != 0 && (p < minPoll || p > maxPoll) {
		return &fieldError{"poll_interval_seconds", "want 60 to 3600, or none for the hub's own"}
	}
	if err := checkSite(in.Site); err != nil {
		return err
	}
	c, cancel := s.change(a)
	defer cancel()
	id, key, err := s.fleet.MintHost(c, messages.Host{CustomerID: customer, PollIntervalSeconds: in.PollIntervalSeconds, Site: in.Site})
	if err != nil {
		return noSuchCustomer(err)
	}
	return answerJSON(ctx, 201, mintedKey{id, key.Reveal()})
}

func checkSite(name string) error {
	if !ValidSite(name) {
		return &fieldError{"site", "want at most 64 bytes of printable text"}
	}
	return nil
}

func (s *Server) setSite(ctx *fasthttp.RequestCtx, a args) error {
	var in struct {
		Site *string `json:"site"`
	}
	if err := s.decode(ctx, &in); err != nil {
		return err
	}
	if in.Site == nil {
		return &fieldError{"site", `want where the host stands, or ""`}
	}
	if err := checkSite(*in.Site); err != nil {
		return err
	}
	return s.onHost(ctx, a, func(c context.Context, id messages.HostID) error { return s.fleet.SetSite(c, id, *in.Site) })
}

// noSuchCustomer makes a customer that is missing the body's fault, not the path's.
func noSuchCustomer(err error) error {
	if errors.Is(err, ErrNotFound) {
		return &fieldError{"customer_id", "no such customer"}
	}
	return err
}

func (s *Server) listHosts(ctx *fasthttp.RequestCtx, _ args) error {
	q, err := readQuery(ctx, "customer_id", "state", "site")
	if err != nil {
		return err
	}
	f, err := hostFilter(q)
	if err != nil {
		return err
	}
	last, err := after(q, hostList, messages.ParseHostID)
	if err != nil {
		return err
	}
	c, cancel := s.ask()
	defer cancel()
	rows, err := s.fleet.Hosts(c, f, last, q.limit+1)
	if err != nil {
		return err
	}
	return answerPage(ctx, rows, q.limit, hostList, func(v HostView) string { return string(v.Host.ID) }, itemOf)
}

func hostFilter(q query) (f HostFilter, err error) {
	if f.CustomerID, err = parsed(q, "customer_id", messages.ParseCustomerID); err != nil {
		return f, err
	}
	if q.Has("state") {
		p, ok := messages.ParsePhase(q.Get("state"))
		if !ok {
			return f, &fieldError{"state", "want new, ok, stale or down"}
		}
		f.Phase = &p
	}
	f.Site = q.Get("site")
	return f, nil
}

func (s *Server) showHost(ctx *fasthttp.RequestCtx, a args) error {
	id, err := hostOf(a)
	if err != nil {
		return err
	}
	c, cancel := s.ask()
	defer cancel()
	v, err := s.fleet.Host(c, id)
	if err != nil {
		return err
	}
	d := hostDetail{
		hostItem:            itemOf(v),
		CreatedAt:           v.Host.CreatedAt,
		PollIntervalSeconds: v.Host.PollIntervalSeconds,
		DesiredGeneration:   v.Host.DesiredGeneration,
		ReportedAt:          instant(v.State.ReportedAt),
	}
	if d.KnownGuests, err = s.fleet.Guests(c, id); err != nil {
		return err
	}
	if d.KnownGuests == nil {
		d.KnownGuests = []messages.GuestRecord{}
	}
	if d.newestReport, err = s.newestReport(c, id, v.State.Last); err != nil {
		return err
	}
	return answerJSON(ctx, 200, d)
}

// maxOlder is how many reports may have been stored after the newest: an agent's
// backlog, and itself.
const maxOlder = 65

// newestReport reads the body behind a host's state. That it is gone, pruned or
// not yet there, is no error: the state is what counts.
func (s *Server) newestReport(c context.Context, id messages.HostID, at messages.ReportRef) (r newestReport, err error) {
	if at.IsZero() {
		return r, nil
	}
	rows, _, err := s.fleet.Reports(c, id, at, maxOlder)
	i := slices.IndexFunc(rows, func(v ReportView) bool { return !v.Older })
	if err != nil || i < 0 {
		return r, unlessGone(err)
	}
	body, err := s.fleet.Report(c, id, rows[i].ID)
	if err != nil {
		return r, unlessGone(err)
	}
	r = newestReport{Guests: json.RawMessage("[]"), Sections: json.RawMessage("{}")}
	return r, json.Unmarshal(body, &r)
}

func unlessGone(err error) error {
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}

// reportItem is a report in a list.
type reportItem struct {
	ID            messages.ReportID `json:"id"`
	ReceivedAt    time.Time         `json:"received_at"`
	ReportedAt    *time.Time        `json:"reported_at"`
	Bytes         int               `json:"bytes"`
	CPUPercent    percent           `json:"cpu_percent"`
	MemoryPercent percent           `json:"memory_percent"`
	DiskPercent   percent           `json:"disk_percent"`
	GuestTotal    *int              `json:"guest_total"` // null when unknown
	GuestRunning  *int              `json:"guest_running"`
	Cloudflared   string            `json:"cloudflared"`
}

func reportItemOf(v ReportView) reportItem {
	r := reportItem{
		ID:            v.ID,
		ReceivedAt:    v.ReceivedAt,
		Bytes:         v.Bytes,
		CPUPercent:    percent(v.Figures.CPUUsedRatio),
		MemoryPercent: percent(v.Figures.MemoryUsedRatio),
		DiskPercent:   percent(v.Figures.DiskUsedRatio),
		Cloudflared:   v.Figures.Cloudflared,
	}
	r.GuestTotal, r.GuestRunning = guestsOf(&v.Figures, true)
	if !v.ReportedAt.IsZero() {
		r.ReportedAt = &v.ReportedAt
	}
	return r
}

func (s *Server) listReports(ctx *fasthttp.RequestCtx, a args) error {
	id, err := hostOf(a)
	if err != nil {
		return err
	}
	return listReportsOf(s, ctx, func(c context.Context, from messages.ReportRef, limit int) ([]ReportView, messages.ReportRef, error) {
		return s.fleet.Reports(c, id, from, limit)
	}, reportItemOf)
}

func (s *Server) showReport(ctx *fasthttp.RequestCtx, a args) error {
	id, err := hostOf(a)
	if err != nil {
		return err
	}
	return showReportOf(s, ctx, a.params[1], func(c context.Context, report messages.ReportID) ([]byte, error) {
		return s.fleet.Report(c, id, report)
	})
}

func (s *Server) rotateKey(ctx *fasthttp.RequestCtx, a args) error {
	id, err := hostOf(a)
	if err != nil {
		return err
	}
	c, cancel := s.change(a)
	defer cancel()
	key, err := s.fleet.RotateKey(c, id)
	if err != nil {
		return err
	}
	return answerJSON(ctx, 200, mintedKey{id, key.Reveal()})
}

func (s *Server) revokeKey(ctx *fasthttp.RequestCtx, a args) error {
	return s.onHost(ctx, a, s.fleet.RevokeKey)
}

func (s *Server) removeHost(ctx *fasthttp.RequestCtx, a args) error {
	return s.onHost(ctx, a, s.fleet.RemoveHost)
}

// onHost does something to the path's host that has no answer.
func (s *Server) onHost(ctx *fasthttp.RequestCtx, a args, do func(context.Context, messages.HostID) error) error {
	id, err := hostOf(a)
	if err != nil {
		return err
	}
	c, cancel := s.change(a)
	defer cancel()
	if err := do(c, id); err != nil {
		return err
	}
	ctx.SetStatusCode(204)
	return nil
}
