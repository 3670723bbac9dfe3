package api

import (
	"encoding/json"
	"math"
	"time"

	"github.com/valyala/fasthttp"

	"felhom.eu/messages"
)

const (
	maxPoints   = 5000
	seriesRange = 24 * time.Hour // when from is not given
)

// hostSeries is a host's figures column by column, as graphs want them. A column has
// as many items as there are times; null is unknown.
type hostSeries struct {
	HostID        messages.HostID     `json:"host_id"`
	Resolution    messages.Resolution `json:"resolution"`
	SlotSeconds   int64               `json:"slot_seconds"` // 0: raw, one item a report
	From          time.Time           `json:"from"`
	To            time.Time           `json:"to"`
	Times         []time.Time         `json:"times"` // where slots begin, or reports were received
	Reports       []uint32            `json:"reports"`
	CPU           levelColumns        `json:"cpu_used_ratio"`
	Memory        levelColumns        `json:"memory_used_ratio"`
	Disk          levelColumns        `json:"disk_used_ratio"`
	GuestsRunning countColumns        `json:"guests_running"`
}

type levelColumns struct {
	Average []known `json:"average"`
	Maximum []known `json:"maximum"`
}

type countColumns struct {
	Minimum []*int `json:"minimum"`
	Maximum []*int `json:"maximum"`
}

// known is a ratio, or null when it is not a number.
type known float32

// MarshalJSON writes it with the three decimals that are kept.
func (k known) MarshalJSON() ([]byte, error) {
	if v := float64(k); !math.IsNaN(v) {
		return json.Marshal(math.Round(v*1000) / 1000)
	}
	return []byte("null"), nil
}

func (s *Server) hostSeries(ctx *fasthttp.RequestCtx, a args) error {
	id, err := hostOf(a)
	if err != nil {
		return err
	}
	q, err := readQuery(ctx, "from", "to", "resolution")
	if err != nil {
		return err
	}
	v := hostSeries{HostID: id}
	if err := v.ask(q, time.Now().UTC()); err != nil {
		return err
	}
	c, cancel := s.ask()
	defer cancel()
	us, err := s.fleet.Series(c, id, v.Resolution, v.From, v.To)
	if err != nil {
		return err
	}
	v.fill(us)
	return answerJSON(ctx, 200, v)
}

// ask reads what is asked for.
func (v *hostSeries) ask(q query, now time.Time) (err error) {
	if q.Has("limit") || q.Has("cursor") {
		return &fieldError{"limit, cursor", "a series has no pages"}
	}
	if v.To, err = instantOf(q, "to", now); err != nil {
		return err
	}
	if v.To.After(now) {
		v.To = now
	}
	if v.From, err = instantOf(q, "from", v.To.Add(-seriesRange)); err != nil {
		return err
	}
	if !v.From.Before(v.To) {
		return &fieldError{"from", "want an instant before to, and not in the future"}
	}
	switch r := messages.Resolution(q.Get("resolution")); r {
	case "", "auto":
		v.Resolution = messages.ResolutionSince(v.From, now)
	case messages.ResolutionRaw, messages.ResolutionQuarter, messages.ResolutionTwoHours:
		v.Resolution = r
	default:
		return &fieldError{"resolution", "want auto, raw, 15m or 2h"}
	}
	return v.bound(now)
}

// bound moves from up to what is kept at the resolution, which keeps slots below
// maxPoints too.
func (v *hostSeries) bound(now time.Time) error {
	oldest := now.Add(-time.Duration(v.Resolution.Days()) * 24 * time.Hour)
	if v.From.Before(oldest) {
		v.From = oldest
	}
	if !v.From.Before(v.To) {
		return &fieldError{"to", "nothing as old is kept at this resolution; auto finds one"}
	}
	v.SlotSeconds = int64(v.Resolution.Slot() / time.Second)
	return nil
}

func instantOf(q query, name string, otherwise time.Time) (time.Time, error) {
	if !q.Has(name) {
		return otherwise, nil
	}
	t, err := time.Parse(time.RFC3339, q.Get(name))
	if err != nil {
		return t, &fieldError{name, "want an instant such as 2026-03-01T12:00:00Z"}
	}
	return t.UTC(), nil
}

// fill turns rows into columns.
func (v *hostSeries) fill(us []messages.Usage) {
	us = us[:min(len(us), maxPoints)]
	v.Times, v.Reports = make([]time.Time, len(us)), make([]uint32, len(us))
	v.GuestsRunning = countColumns{make([]*int, len(us)), make([]*int, len(us))}
	v.CPU = levelsOf(us, func(u *messages.Usage) messages.Level { return u.CPU })
	v.Memory = levelsOf(us, func(u *messages.Usage) messages.Level { return u.Memory })
	v.Disk = levelsOf(us, func(u *messages.Usage) messages.Level { return u.Disk })
	for i, u := range us {
		v.Times[i], v.Reports[i] = u.At, u.Reports
		if u.GuestsRunningMin >= 0 {
			v.GuestsRunning.Minimum[i], v.GuestsRunning.Maximum[i] = new(u.GuestsRunningMin), new(u.GuestsRunningMax)
		}
	}
}

func levelsOf(us []messages.Usage, of func(*messages.Usage) messages.Level) levelColumns {
	c := levelColumns{make([]known, len(us)), make([]known, len(us))}
	for i := range us {
		l := of(&us[i])
		c.Average[i], c.Maximum[i] = known(l.Average), known(l.Maximum)
	}
	return c
}
