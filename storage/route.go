package storage

import "felhom.eu/messages"

func (e *encoder) route(r *messages.Route) {
	e.text(string(r.CustomerID))
	e.text(string(r.Kind))
	e.text(r.URL.Reveal())
	e.text(r.Secret.Reveal())
	putTexts(e, r.Events)
	e.byte(byte(r.MinSeverity))
	e.time(r.CreatedAt)
	e.text(string(r.Incident))
	e.routeMore(r)
}

// texts writes a count and as many texts.
func putTexts[T ~string](e *encoder, ts []T) {
	e.uint(uint64(len(ts)))
	for _, t := range ts {
		e.text(string(t))
	}
}

func (d *decoder) route(key []byte) messages.Route {
	r := messages.Route{
		ID:          messages.RouteID(key[1:]),
		CustomerID:  messages.CustomerID(d.text()),
		Kind:        messages.RouteKind(d.word()),
		URL:         messages.Secret(d.text()),
		Secret:      messages.Secret(d.text()),
		Events:      texts[messages.EventType](d),
		MinSeverity: messages.Severity(d.byte()),
		CreatedAt:   d.time(),
		Incident:    messages.IncidentID(d.text()),
	}
	if d.more() {
		d.routeMore(&r)
	}
	return r
}

// texts reads a count and as many texts; nil when there are none.
func texts[T ~string](d *decoder) []T {
	n := d.upTo(uint64(len(d.b))) // each takes a byte at least
	if n == 0 {
		return nil
	}
	ts := make([]T, n)
	for i := range ts {
		ts[i] = T(d.word())
	}
	return ts
}

// Routes lists all routes in the order of their ids, secrets included.
func (db *DB) Routes() ([]messages.Route, error) {
	return list(db, query{prefix: []byte{prefixRoute}}, 0, (*decoder).route, nil)
}

// EachRoute calls fn for every route in the order of their ids, until fn fails.
func (db *DB) EachRoute(fn func(messages.Route) error) error {
	return each(db, query{prefix: []byte{prefixRoute}}, (*decoder).route, fn)
}
