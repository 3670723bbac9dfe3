package dashboard

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"felhom.eu/hub/api"
	"felhom.eu/messages"
)

const (
	maxBodyShown = 512 << 10 // bytes of a report that a page shows; the rest is in the API
	maxChanges   = 400
	maxValue     = 160 // runes of a value
)

// reportPage is a report as it was received, and what it says otherwise than another.
type reportPage struct {
	Host    messages.HostID
	Report  api.ReportView
	Before  *api.ReportView // nil: there is no older one any more
	Changes []change
	Figures []change // that differ in every report
	More    int
	Body    string
	Cut     bool
	Newer   messages.ReportID
	Older   messages.ReportID
}

// sort tells what changed from what never stays as it is.
func (p *reportPage) sort(cs []change) {
	for _, c := range cs {
		if restless[c.Where[strings.LastIndexByte(c.Where, '.')+1:]] && c.From != "" && c.To != "" {
			p.Figures = append(p.Figures, c)
		} else {
			p.Changes = append(p.Changes, c)
		}
	}
	p.More = max(len(p.Changes)-maxChanges, 0)
	p.Changes = p.Changes[:len(p.Changes)-p.More]
	p.Figures = p.Figures[:min(len(p.Figures), maxChanges)]
}

// restless are figures that two reports hardly ever share.
var restless = map[string]bool{
	"uptime_seconds": true, "cpu_used_ratio": true, "load_1m": true, "load_5m": true, "load_15m": true, "memory_used_bytes": true,
	"swap_used_bytes": true, "root_used_bytes": true, "disk_used_bytes": true, "used_bytes": true, "available_bytes": true,
	"allocated_bytes": true, "free_bytes": true, "read_at": true,
}

// change is a value that two reports do not share.
type change struct{ Where, From, To string }

func (d *Dashboard) report(r *request) error {
	id, err := r.hostID()
	if err != nil {
		return err
	}
	want := messages.ReportID(r.params[1])
	p := &reportPage{Host: id}
	if err := d.find(r, p, want); err != nil {
		return err
	}
	body, err := d.hub.Report(r.ctx, id, want)
	if err != nil {
		return err
	}
	if p.Before != nil {
		before, err := d.hub.Report(r.ctx, id, p.Before.ID)
		if err != nil {
			return err
		}
		p.sort(changesOf(before, body))
	}
	p.show(body)
	return d.render(r, "report", "fleet", "A report of "+string(id), p)
}

const (
	reportLooks = 40 // pages of reports that a report is looked for in
	reportPages = 100
)

// find fills in the report and its neighbours; against another one when the address
// names it.
func (d *Dashboard) find(r *request, p *reportPage, want messages.ReportID) error {
	against := messages.ReportID(r.QueryArgs().Peek("against"))
	from, found := messages.ReportRef{}, false
	for range reportLooks {
		rows, next, err := d.hub.Reports(r.ctx, p.Host, from, reportPages)
		if err != nil {
			return err
		}
		for i := range rows {
			switch row := &rows[i]; {
			case row.ID == want:
				p.Report, found = *row, true
			case !found:
				p.Newer = row.ID
			case p.Older == "":
				p.Older = row.ID
			}
			if found && rows[i].ID != want && (against == "" || rows[i].ID == against) {
				p.Before = &rows[i]
				return nil
			}
		}
		if next.IsZero() {
			break
		}
		from = next
	}
	if !found {
		return api.ErrNotFound
	}
	return nil
}

// show is the body, indented for people.
func (p *reportPage) show(body []byte) {
	if p.Cut = len(body) > maxBodyShown; p.Cut {
		p.Body = strings.ToValidUTF8(string(body[:maxBodyShown]), "")
		return
	}
	var out bytes.Buffer
	if json.Indent(&out, body, "", "  ") != nil {
		p.Body = string(body)
		return
	}
	p.Body = out.String()
}

// changesOf compares two reports value by value. Elements of collections are told
// apart by what names them, not by where they stand.
func changesOf(before, after []byte) (cs []change) {
	was, is := flat(before), flat(after)
	for where, from := range was {
		if to, ok := is[where]; !ok {
			cs = append(cs, change{where, from, ""})
		} else if to != from {
			cs = append(cs, change{where, from, to})
		}
	}
	for where, to := range is {
		if _, ok := was[where]; !ok {
			cs = append(cs, change{where, "", to})
		}
	}
	slices.SortFunc(cs, func(a, b change) int { return strings.Compare(a.Where, b.Where) })
	return cs
}

// flat is a document as its values by where they stand.
func flat(body []byte) map[string]string {
	values := make(map[string]string)
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var v any
	if d.Decode(&v) == nil {
		flatten(values, "", v)
	}
	return values
}

func flatten(into map[string]string, where string, v any) {
	switch v := v.(type) {
	case map[string]any:
		for name, value := range v {
			if where == "" && (name == "sequence" || name == "reported_at" || name == "stream") { // of every report its own
				continue
			}
			flatten(into, join(where, name), value)
		}
	case []any:
		for i, value := range v {
			flatten(into, fmt.Sprintf("%s[%s]", where, nameOf(value, i)), value)
		}
	default:
		into[short(maxValue, where)] = short(maxValue, fmt.Sprint(v))
	}
}

func join(where, name string) string {
	if where == "" {
		return name
	}
	return where + "." + name
}

// nameOf is what an element is known by.
func nameOf(v any, i int) string {
	if m, ok := v.(map[string]any); ok {
		for _, key := range []string{"vmid", "upid", "storage", "device", "name", "id", "backup_id", "datastore"} {
			if name, ok := m[key]; ok {
				return short(60, fmt.Sprint(name))
			}
		}
	}
	return fmt.Sprint(i)
}
