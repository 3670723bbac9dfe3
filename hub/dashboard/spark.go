package dashboard

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"sync"
	"time"

	"github.com/valyala/fasthttp"

	"felhom.eu/messages"
)

const (
	sparkSpan   = 24 * time.Hour
	sparkFor    = 5 * time.Minute // a drawing is kept
	maxSparks   = 4096
	sparkWidth  = 96 // a quarter of an hour is one unit
	sparkHeight = 24
	fewSlots    = 4 // below, the reports themselves are drawn
)

// sparks keeps drawings for a while: each costs a walk through a day of reports.
type sparks struct {
	mu    sync.Mutex
	drawn map[messages.HostID]drawing
}

type drawing struct {
	svg []byte
	at  time.Time
}

func (s *sparks) get(id messages.HostID, now time.Time) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	if d, ok := s.drawn[id]; ok && now.Sub(d.at) < sparkFor {
		return d.svg
	}
	return nil
}

func (s *sparks) put(id messages.HostID, svg []byte, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.drawn == nil || len(s.drawn) >= maxSparks {
		s.drawn = make(map[messages.HostID]drawing)
	}
	s.drawn[id] = drawing{svg, now}
}

// spark is a host's last day as a drawing: the processor's use, and a bar below
// where it was silent.
func (d *Dashboard) spark(r *request) error {
	id, err := r.hostID()
	if err != nil {
		return err
	}
	svg := d.sparks.get(id, r.now)
	if svg == nil {
		if svg, err = d.drawSpark(r, id); err != nil {
			return err
		}
		d.sparks.put(id, svg, r.now)
	}
	r.secure("image/svg+xml")
	r.Response.Header.Set(fasthttp.HeaderContentSecurityPolicy, "default-src 'none'; style-src 'unsafe-inline'") // its own, of a drawing that nothing from outside is in
	r.Response.Header.Set(fasthttp.HeaderCacheControl, "private, max-age=300")
	r.SetBody(svg)
	return nil
}

func (d *Dashboard) drawSpark(r *request, id messages.HostID) ([]byte, error) {
	from := r.now.Add(-sparkSpan)
	us, err := d.hub.Series(r.ctx, id, messages.ResolutionQuarter, from, r.now)
	if err != nil {
		return nil, err
	}
	known := 0
	for i := range us {
		if us[i].Reports > 0 {
			known++
		}
	}
	if known < fewSlots { // a young host: what there is, over the whole width
		if us, err = d.hub.Series(r.ctx, id, messages.ResolutionRaw, from, r.now); err != nil {
			return nil, err
		}
		us = thin(us, sparkWidth)
	}
	return drawSpark(us), nil
}

// thin leaves n of the items, evenly.
func thin(us []messages.Usage, n int) []messages.Usage {
	if len(us) <= n {
		return us
	}
	some := make([]messages.Usage, n)
	for i := range some {
		some[i] = us[i*len(us)/n]
	}
	return some
}

// drawSpark draws the items from left to right. Numbers are all that goes into it.
func drawSpark(us []messages.Usage) []byte {
	var out bytes.Buffer
	fmt.Fprintf(&out, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" preserveAspectRatio="none">`, sparkWidth, sparkHeight)
	out.WriteString(`<style>.l{fill:none;stroke:#4a63d9;stroke-width:1.25;vector-effect:non-scaling-stroke;stroke-linejoin:round}.a{fill:#4a63d9;opacity:.13}.g{fill:#d6453d;opacity:.75}` +
		`@media(prefers-color-scheme:dark){.l{stroke:#93a4ff}.a{fill:#93a4ff}.g{fill:#ff7a70}}</style>`)
	step := float64(sparkWidth) / float64(max(len(us)-1, 1))
	first := 0
	for first < len(us) && us[first].Reports == 0 {
		first++ // before its first report it was not silent
	}
	for i := first; i < len(us); {
		j := i
		for j < len(us) && (us[j].Reports > 0) == (us[i].Reports > 0) {
			j++
		}
		if us[i].Reports > 0 {
			drawRun(&out, us[i:j], float64(i)*step, step)
		} else {
			fmt.Fprintf(&out, `<rect class="g" x="%.1f" y="%d" width="%.1f" height="2"/>`, float64(i)*step, sparkHeight-2, float64(j-i)*step)
		}
		i = j
	}
	out.WriteString(`</svg>`)
	return out.Bytes()
}

// drawRun draws items that follow on each other.
func drawRun(out *bytes.Buffer, us []messages.Usage, x, step float64) {
	var points strings.Builder
	for i := range us {
		level := float64(us[i].CPU.Average)
		if math.IsNaN(level) {
			level = 0
		}
		fmt.Fprintf(&points, "%.1f,%.1f ", x+float64(i)*step, sparkHeight-2-min(max(level, 0), 1)*(sparkHeight-4))
	}
	line, last := points.String(), x+float64(len(us)-1)*step
	fmt.Fprintf(out, `<polygon class="a" points="%.1f,%d %s%.1f,%d"/>`, x, sparkHeight, line, last, sparkHeight)
	fmt.Fprintf(out, `<polyline class="l" points="%s"/>`, line)
}
