package dashboard

import (
	"fmt"
	"html/template"
	"math"
	"slices"
	"strings"
	"time"

	"felhom.eu/messages"
)

// words are what templates may call. None of them marks anything as safe.
var words = template.FuncMap{
	"asset":     assetPath,
	"age":       age,
	"ago":       ago,
	"bytes":     bytesOf,
	"stamp":     stamp,
	"iso":       iso,
	"clock":     func(t time.Time) string { return t.UTC().Format("15:04") },
	"percent":   percentWord,
	"percent32": func(ratio float32) string { return percentWord(float64(ratio)) },
	"seconds":   func(s *int64) string { return age(time.Duration(*s) * time.Second) },
	"useconds":  func(s uint64) string { return age(time.Duration(min(s, 1<<32)) * time.Second) },
	"kind":      kindWord,
	"human":     func(s any) string { return strings.ReplaceAll(fmt.Sprint(s), "_", " ") },
	"plural":    plural,
	"dict":      dict,
	"share":     share,
	"ratio":     ratioOf,
	"level":     levelOf,
	"short":     short,
	"event":     toneOfEvent,
	"word":      wordOf,
	"chain":     toneOfProtection,
	"link":      toneOfLink,
	"millis":    func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) },
	"good":      toneOfHealth,
	"scope":     scopeWord,
	"of":        func(n [4]int, phase int) int { return n[phase] },
	"time":      func(nanos int64) time.Time { return at(nanos) },
	"store":     func(n int64) string { return bytesOf(uint64(max(n, 0))) },
	"add":       func(a, b int) int { return a + b },
}

// dict gives a template more than one argument.
func dict(pairs ...any) (map[string]any, error) {
	if len(pairs)%2 != 0 {
		return nil, fmt.Errorf("dict of %d", len(pairs))
	}
	m := make(map[string]any, len(pairs)/2)
	for i := 0; i < len(pairs); i += 2 {
		m[fmt.Sprint(pairs[i])] = pairs[i+1]
	}
	return m, nil
}

// age is a duration to two units: "3 d 4 h", "12 s"; live.js says the same.
func age(d time.Duration) string {
	s := int64(max(d, 0) / time.Second)
	switch {
	case s >= 86400:
		return two(s/86400, "d", s/3600%24, "h")
	case s >= 3600:
		return two(s/3600, "h", s/60%60, "min")
	case s >= 60:
		return fmt.Sprintf("%d min", s/60)
	}
	return fmt.Sprintf("%d s", s)
}

func two(a int64, unit string, b int64, smaller string) string {
	if b == 0 {
		return fmt.Sprintf("%d %s", a, unit)
	}
	return fmt.Sprintf("%d %s %d %s", a, unit, b, smaller)
}

// ago is how long something is past.
func ago(now, t time.Time) string {
	if t.IsZero() || t.Unix() <= 0 {
		return "never"
	}
	return age(now.Sub(t)) + " ago"
}

func at(nanos int64) time.Time {
	if nanos == 0 {
		return time.Time{}
	}
	return time.Unix(0, nanos).UTC()
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.UTC().Format("2006-01-02 15:04:05") + " UTC"
}

// iso is an instant for <time datetime>.
func iso(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func bytesOf(n uint64) string {
	v, units := float64(n), []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB"}
	for v >= 1024 && len(units) > 1 {
		v, units = v/1024, units[1:]
	}
	if v >= 100 || v == math.Trunc(v) {
		return fmt.Sprintf("%.0f %s", v, units[0])
	}
	return fmt.Sprintf("%.1f %s", v, units[0])
}

func percentWord(ratio float64) string {
	if math.IsNaN(ratio) {
		return "–"
	}
	return fmt.Sprintf("%.0f %%", ratio*100)
}

// percentOf is a ratio of a row; nil when it is unknown.
func percentOf(r *row, ratio float32) *int {
	if r.reportAt == 0 || math.IsNaN(float64(ratio)) {
		return nil
	}
	return new(int(math.Round(float64(min(max(ratio, 0), 1)) * 100)))
}

// share is a percentage for an attribute of a drawing, from 0 to 100.
func share(ratio float64) int {
	if math.IsNaN(ratio) {
		return 0
	}
	return int(math.Round(min(max(ratio, 0), 1) * 100))
}

func ratioOf(part, of uint64) float64 {
	if of == 0 {
		return math.NaN()
	}
	return float64(part) / float64(of)
}

// levelOf says how full something is, in the steps of the storage rules.
func levelOf(ratio float64) string {
	switch {
	case ratio >= 0.95:
		return "critical"
	case ratio >= 0.85:
		return "warning"
	}
	return "fine"
}

func guestsOf(r *row) string {
	if !r.guestsKnown {
		return "–"
	}
	return fmt.Sprintf("%d / %d", r.running, r.total)
}

// tunnelWord is how a tunnel is, for people.
func tunnelWord(status string) string {
	switch status {
	case "", "not_installed":
		return "–"
	}
	return strings.ReplaceAll(status, "_", " ")
}

func kindWord(kind string) string {
	switch kind {
	case "lxc":
		return "container"
	case "qemu":
		return "VM"
	}
	return kind
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// short is the beginning of a text that may be as long as a stranger likes.
func short(n int, s string) string {
	runes := []rune(s)
	if len(runes) <= n {
		return s
	}
	return string(runes[:n-1]) + "…"
}

// tone is how a state is coloured and shaped; each has a word beside it.
func toneOfEvent(e *messages.Event) string {
	switch {
	case e.Type.IsRecovery():
		return "ok"
	case e.Severity() == messages.SeverityCritical:
		return "down"
	case e.Severity() == messages.SeverityWarning:
		return "stale"
	}
	return "new"
}

func toneOfAlarm(s messages.Severity) string {
	if s == messages.SeverityCritical {
		return "down"
	}
	return "stale"
}

// toneOfProtection is the tone of a guest's chain.
func toneOfProtection(s messages.ProtectionState) string {
	switch s {
	case messages.Protected:
		return "ok"
	case messages.Attention:
		return "stale"
	case messages.Unprotected:
		return "down"
	}
	return "new"
}

// toneOfLink is the tone of one link of it.
func toneOfLink(s messages.LinkState) string {
	switch s {
	case messages.LinkOK:
		return "ok"
	case messages.LinkLate, messages.LinkMissing:
		return "stale"
	case messages.LinkOverdue, messages.LinkFailed:
		return "down"
	}
	return "new"
}

// toneOfHealth is the tone of what a disk, a pool or a task says of itself.
func toneOfHealth(word string) string {
	switch {
	case word == "OK" || word == "PASSED" || word == "ONLINE":
		return "ok"
	case word == "" || word == "UNKNOWN":
		return "new"
	case strings.HasPrefix(word, "WARNINGS"):
		return "stale"
	}
	return "down"
}

// availabilityWord is a ratio with as many decimals as tell it from 100 %; it never
// rounds up to what it is not.
func availabilityWord(ratio float64) string {
	if ratio >= 1 {
		return "100 %"
	}
	return fmt.Sprintf("%.3f %%", math.Floor(ratio*1e5)/1e3)
}

// worstProtection is the state that a list of guests is as good as; "" when there are none.
func worstProtection(ps []messages.Protection) (worst messages.ProtectionState, n int) {
	order := []messages.ProtectionState{messages.Unprotected, messages.Attention, messages.ProtectionUnknown, messages.Protected}
	at := len(order)
	for i := range ps {
		if ps[i].Missing {
			continue
		}
		switch k := slices.Index(order, ps[i].State); {
		case k < at:
			at, n = k, 1
		case k == at:
			n++
		}
	}
	if at == len(order) {
		return "", 0
	}
	return order[at], n
}
