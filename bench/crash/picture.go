package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"felhom.eu/bench/rig"
	"felhom.eu/messages"
)

// picture is all that a hub shows through its API: each thing under a name of
// its own, and what the hub said that it cannot show.
type picture struct {
	things  map[string]string
	refused map[string]string // the answer, by path
}

// The kinds of things, which begin their names. What a state says may rightly
// be older after a loss that was told; a record is as it was written, or not there.
const (
	ofState    = "state "    // of a host or a delivery
	ofCustomer = "customer " // and so on
	ofRoute    = "route "
	ofEvent    = "event "
	ofReport   = "report "
)

// volatile are fields that say something of the moment of asking.
var volatile = []string{"silence_seconds"}

// takePicture asks for everything. Errors: no answers at all.
func takePicture(ctx context.Context, a *rig.Admin) (*picture, error) {
	p := &picture{things: map[string]string{}, refused: map[string]string{}}
	for _, l := range []struct{ kind, path, id string }{
		{ofCustomer, "/customers", "customer_id"}, {ofRoute, "/routes", "route_id"},
		{ofEvent, "/events", "event_id"}, {ofState, "/deliveries", "delivery_id"},
	} {
		if _, err := p.list(ctx, a, l.kind, l.path, l.id); err != nil {
			return nil, err
		}
	}
	hosts, err := p.list(ctx, a, ofState, "/hosts", "host_id")
	if err != nil {
		return nil, err
	}
	for _, id := range hosts {
		if err := p.host(ctx, a, id); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func (p *picture) host(ctx context.Context, a *rig.Admin, id string) error {
	path := "/hosts/" + id
	body, err := p.get(ctx, a, path)
	if err != nil {
		return err
	}
	if body != nil {
		p.things[ofState+path] = settled(body)
	}
	events, err := p.list(ctx, a, ofEvent+id+" ", "/events?host_id="+id, "event_id")
	if err != nil {
		return err
	}
	_ = events // each is a thing already
	reports, err := p.list(ctx, a, ofReport+id+" line ", path+"/reports", "id")
	for _, r := range reports {
		body, err := p.get(ctx, a, path+"/reports/"+r)
		if err != nil {
			return err
		}
		if body != nil {
			p.things[ofReport+id+" "+r] = string(body)
		}
	}
	return err
}

// list asks for every page of a list, and returns the ids in it.
func (p *picture) list(ctx context.Context, a *rig.Admin, kind, path, id string) (ids []string, err error) {
	query := "limit=1000"
	if before, rest, found := strings.Cut(path, "?"); found {
		path, query = before, rest+"&"+query
	}
	for next := ""; ; {
		body, err := p.get(ctx, a, path+"?"+query+next)
		if body == nil || err != nil {
			return ids, err
		}
		var page struct {
			Items      []json.RawMessage `json:"items"`
			NextCursor string            `json:"next_cursor"`
		}
		if err := json.Unmarshal(body, &page); err != nil {
			return ids, fmt.Errorf("%s: %w", path, err)
		}
		for _, item := range page.Items {
			var fields map[string]any
			if err := json.Unmarshal(item, &fields); err != nil {
				return ids, fmt.Errorf("%s: %w", path, err)
			}
			name := fmt.Sprint(fields[id])
			ids = append(ids, name)
			p.things[kind+name] = settled(item)
		}
		if page.NextCursor == "" {
			return ids, nil
		}
		next = "&cursor=" + url.QueryEscape(page.NextCursor)
	}
}

// get is an answer with status 200; nil when the hub said that it cannot.
func (p *picture) get(ctx context.Context, a *rig.Admin, path string) ([]byte, error) {
	status, body, err := a.Get(ctx, "/api/v1/admin"+path)
	if err != nil {
		return nil, err
	}
	if status != http.StatusOK {
		p.refused[path] = fmt.Sprintf("%d %.200s", status, body)
		return nil, nil
	}
	return body, nil
}

// settled is a JSON object without its volatile fields, in one order.
func settled(object []byte) string {
	var fields map[string]any
	d := json.NewDecoder(bytes.NewReader(object))
	d.UseNumber()
	if err := d.Decode(&fields); err != nil {
		return string(object)
	}
	for _, name := range volatile {
		delete(fields, name)
	}
	b, _ := json.Marshal(fields)
	return string(b)
}

// difference is how a damaged hub's picture departs from the true one.
type difference struct {
	wrong   []string // things that are not what they were, and things that never were
	changed []string // states that are other ones
	gone    []string // things that are not there
	refused []string // what the hub said that it cannot show
}

func (p *picture) differs(from *picture) (d difference) {
	for name, was := range from.things {
		is, there := p.things[name]
		switch {
		case !there:
			d.gone = append(d.gone, name)
		case is != was && strings.HasPrefix(name, ofState):
			d.changed = append(d.changed, name)
		case is != was:
			d.wrong = append(d.wrong, fmt.Sprintf("%s: %.300s instead of %.300s", name, is, was))
		}
	}
	for name, is := range p.things {
		if _, was := from.things[name]; !was {
			d.wrong = append(d.wrong, fmt.Sprintf("%s was never there: %.300s", name, is))
		}
	}
	for path, answer := range p.refused {
		if from.refused[path] == "" {
			d.refused = append(d.refused, path+": "+answer)
		}
	}
	return d
}

// none reports whether everything is as it was.
func (d *difference) none() bool { return len(d.wrong)+len(d.changed)+len(d.gone)+len(d.refused) == 0 }

// reports is the bodies in a picture, as digests.
func (p *picture) reports() map[messages.HostID][]digest {
	kept := map[messages.HostID][]digest{}
	for name, body := range p.things {
		if rest, ok := strings.CutPrefix(name, ofReport); ok && strings.Count(rest, " ") == 1 {
			id, _, _ := strings.Cut(rest, " ")
			kept[messages.HostID(id)] = append(kept[messages.HostID(id)], digestOf([]byte(body)))
		}
	}
	return kept
}

var errNoPicture = errors.New("the hub ended while it was asked")
