package dashboard

import (
	"encoding/json"
	"math"
	"time"

	"felhom.eu/messages"
)

// spans are the ranges of the graphs, with how fine each is drawn.
var spans = map[string]struct {
	back       time.Duration
	resolution messages.Resolution
}{
	"hour":  {time.Hour, messages.ResolutionRaw},
	"day":   {24 * time.Hour, messages.ResolutionQuarter},
	"week":  {7 * 24 * time.Hour, messages.ResolutionQuarter},
	"month": {30 * 24 * time.Hour, messages.ResolutionTwoHours},
	"year":  {365 * 24 * time.Hour, messages.ResolutionTwoHours},
}

// graph is a host's figures in columns, as uPlot takes them: null is unknown.
type graph struct {
	From   int64      `json:"from"` // seconds of Unix time
	To     int64      `json:"to"`
	Slot   int64      `json:"slot"` // 0: one item a report
	Times  []int64    `json:"times"`
	CPU    []*float32 `json:"cpu"` // percent
	CPUMax []*float32 `json:"cpu_max"`
	Memory []*float32 `json:"memory"`
	Disk   []*float32 `json:"disk"`
	Guests []*int     `json:"guests"`
}

// series answers what a graph draws.
func (d *Dashboard) series(r *request) error {
	id, err := r.hostID()
	if err != nil {
		return err
	}
	span, ok := spans[string(r.QueryArgs().Peek("span"))]
	if !ok {
		return errBad
	}
	from := r.now.Add(-span.back)
	us, err := d.hub.Series(r.ctx, id, span.resolution, from, r.now)
	if err != nil {
		return err
	}
	g := graph{From: from.Unix(), To: r.now.Unix(), Slot: int64(span.resolution.Slot() / time.Second)}
	g.fill(us)
	body, err := json.Marshal(g)
	if err != nil {
		return err
	}
	r.secure("application/json")
	r.SetBody(body)
	return nil
}

func (g *graph) fill(us []messages.Usage) {
	n := len(us)
	g.Times, g.Guests = make([]int64, 0, n), make([]*int, 0, n)
	g.CPU, g.CPUMax, g.Memory, g.Disk = make([]*float32, 0, n), make([]*float32, 0, n), make([]*float32, 0, n), make([]*float32, 0, n)
	for i := range us {
		u := &us[i]
		if t := u.At.Unix(); len(g.Times) > 0 && g.Times[len(g.Times)-1] >= t {
			continue // uPlot wants times that rise
		}
		g.Times = append(g.Times, u.At.Unix())
		g.CPU, g.CPUMax = append(g.CPU, hundred(u.CPU.Average)), append(g.CPUMax, hundred(u.CPU.Maximum))
		g.Memory, g.Disk = append(g.Memory, hundred(u.Memory.Average)), append(g.Disk, hundred(u.Disk.Average))
		var guests *int
		if u.GuestsRunningMin >= 0 {
			guests = new(u.GuestsRunningMin)
		}
		g.Guests = append(g.Guests, guests)
	}
}

// hundred is a ratio in percent with one decimal; nil when it is unknown.
func hundred(ratio float32) *float32 {
	if math.IsNaN(float64(ratio)) {
		return nil
	}
	return new(float32(math.Round(float64(ratio)*1000) / 10))
}
