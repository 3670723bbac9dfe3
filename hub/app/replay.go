package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/oklog/ulid/v2"

	"felhom.eu/actors"
	reportrules "felhom.eu/actors/rules"
	"felhom.eu/hub/api"
	"felhom.eu/messages"
	"felhom.eu/storage"
)

const (
	// warmUp is how much earlier than asked for a replay begins: what was open then is
	// opened in it. Guests count as running after a day.
	warmUp = 25 * time.Hour
	// seedsFrom is how much earlier than that hosts that are silent are looked for.
	seedsFrom = 60 * 24 * time.Hour

	maxReplayReports = 5_000_000
	maxReplayHosts   = 100_000 // a replay keeps what it knows of each in memory
	maxReplayEvents  = 200_000
	progressEvery    = 500 * time.Millisecond
	restEvery        = 20 * time.Millisecond // of work, then as much rest: reports go first
)

// Replay implements api.Fleet. One at a time, on half a processor at most.
func (f *fleet) Replay(ctx context.Context, q messages.ReplayQuery, line func(messages.ReplayLine) error) error {
	if !f.replaying.TryLock() {
		return api.ErrBusy
	}
	defer f.replaying.Unlock()
	p := player{ctx: ctx, db: f.db, q: q, line: line, now: time.Now()}
	return p.play(actors.ReplayOptions{Rules: rules(&f.app.cfg), Version: f.app.version, GroupWait: seconds(f.app.cfg.GroupWaitSeconds)})
}

// player is one replay of a store.
type player struct {
	ctx  context.Context
	db   *storage.DB
	q    messages.ReplayQuery
	line func(messages.ReplayLine) error
	now  time.Time

	replay  *actors.Replay
	began   time.Time
	hosts   map[messages.HostID]messages.Host
	seeds   map[messages.HostID]messages.Event
	events  map[messages.EventID]messages.Event // that really were
	given   []messages.Event                    // that the replay does not decide on
	traces  []batchTrace
	gone    map[messages.HostID]bool // that reported, and are no more
	summary messages.ReplaySummary

	told   time.Time // of progress
	rested time.Time
}

type batchTrace struct {
	batch uint64
	messages.Trace
}

// play runs the replay and tells it all.
func (p *player) play(o actors.ReplayOptions) error {
	if p.q.Until.IsZero() {
		p.q.Until = p.now
	}
	p.summary.Since, p.summary.Until = p.q.Since.UTC(), p.q.Until.UTC()
	p.began, p.rested, p.told = p.q.Since.Add(-warmUp), time.Now(), time.Now()
	p.gone = make(map[messages.HostID]bool)
	if err := p.prepare(&o); err != nil {
		return err
	}
	if err := p.line(messages.ReplayLine{Progress: &messages.ReplayProgress{At: p.began.UTC()}}); err != nil {
		return err
	}
	p.replay = actors.NewReplay(o)
	if err := p.feed(); err != nil {
		return err
	}
	return p.conclude(o.Routes)
}

// prepare reads all but the reports.
func (p *player) prepare(o *actors.ReplayOptions) (err error) {
	if o.Routes, err = p.db.Routes(); err != nil {
		return err
	}
	if o.Silences, err = p.db.Silences(); err != nil {
		return err
	}
	if err := p.readHosts(o); err != nil {
		return err
	}
	if err := p.settings(o); err != nil {
		return err
	}
	if err := p.readEvents(); err != nil {
		return err
	}
	return p.db.EachTrace(func(batch uint64, t messages.Trace) error {
		if t.Kind == messages.TraceClock || p.wants(t.HostID) {
			p.traces = append(p.traces, batchTrace{batch, t})
		}
		return p.ctx.Err()
	})
}

func (p *player) readHosts(o *actors.ReplayOptions) error {
	p.hosts = make(map[messages.HostID]messages.Host)
	err := p.db.EachHost("", "", func(h messages.Host, _ messages.HostState) error {
		if p.q.HostID != "" && p.q.HostID != h.ID || p.q.CustomerID != "" && p.q.CustomerID != h.CustomerID {
			return nil
		}
		if p.hosts[h.ID] = h; len(p.hosts) > maxReplayHosts {
			return api.InvalidField("customer_id", fmt.Sprintf("the replay has more than %d hosts; narrow it to a customer or a host", maxReplayHosts))
		}
		return nil
	})
	o.Site = func(id messages.HostID) string { return p.hosts[id].Site }
	o.Interval = func(id messages.HostID) int { return p.hosts[id].PollIntervalSeconds }
	return err
}

// wants reports whether a host is replayed.
func (p *player) wants(id messages.HostID) bool {
	_, known := p.hosts[id]
	return known
}

// settings lays those of the query over those of the store.
func (p *player) settings(o *actors.ReplayOptions) error {
	if p.q.Rules.StaleSeconds > 0 {
		o.Rules.Stale = seconds(p.q.Rules.StaleSeconds)
	}
	if p.q.Rules.DownSeconds > 0 {
		o.Rules.Down = seconds(p.q.Rules.DownSeconds)
	}
	if o.Rules.Down <= o.Rules.Stale {
		return api.InvalidField("rules.down_seconds", "want more than stale_seconds")
	}
	customers := map[messages.CustomerID]*messages.RuleSettings{}
	err := p.db.EachRules(func(s messages.RuleSettings) error {
		_, changed := p.q.Rules.Hosts[s.HostID]
		if s.HostID == "" {
			if _, changed = p.q.Rules.Customers[s.CustomerID]; !changed {
				customers[s.CustomerID] = &s
			}
		}
		if !changed {
			o.Settings = append(o.Settings, s)
		}
		return nil
	})
	if err != nil {
		return err
	}
	check := func(s messages.RuleSettings, over *messages.RuleSettings, of string) error {
		wrong := new(reportrules.FieldError)
		if err := reportrules.Validate(&s, over); errors.As(err, &wrong) {
			return api.InvalidField(of+"."+wrong.Field, wrong.Problem)
		} else if err != nil {
			return err
		}
		o.Settings = append(o.Settings, s)
		return nil
	}
	for id, s := range p.q.Rules.Customers {
		s.CustomerID = id
		customers[id] = &s
		if err := check(s, nil, "rules.customers."+string(id)); err != nil {
			return err
		}
	}
	for id, s := range p.q.Rules.Hosts {
		s.HostID = id
		if err := check(s, customers[id.Customer()], "rules.hosts."+string(id)); err != nil {
			return err
		}
	}
	return nil
}

// readEvents reads what really was: to compare with, to be given, and how the switches
// stood when the replay begins.
func (p *player) readEvents() error {
	p.events, p.seeds = make(map[messages.EventID]messages.Event), make(map[messages.HostID]messages.Event)
	for after := firstID(p.began.Add(-seedsFrom)); ; {
		page, err := p.db.Events(storage.EventFilter{CustomerID: p.q.CustomerID, HostID: p.q.HostID}, after, 1000)
		if err != nil || len(page) == 0 || p.ctx.Err() != nil {
			return errors.Join(err, p.ctx.Err())
		}
		for _, e := range page {
			if err := p.note(e); err != nil {
				return err
			}
		}
		after = page[len(page)-1].ID
	}
}

func (p *player) note(e messages.Event) error {
	switch {
	case e.At.After(p.q.Until):
		return nil
	case e.At.Before(p.began):
		if e.Type == messages.HostStale || e.Type == messages.HostDown {
			p.seeds[e.HostID] = e
		} else if e.Type == messages.HostRecovered {
			delete(p.seeds, e.HostID)
		}
		return nil
	case len(p.events) >= maxReplayEvents:
		return api.InvalidField("since", fmt.Sprintf("more than %d events since then; narrow the replay", maxReplayEvents))
	}
	p.events[e.ID] = e
	if !actors.Replayed(e.Type) && (e.HostID == "" || p.wants(e.HostID)) {
		p.given = append(p.given, e)
	}
	return nil
}

// firstID is an id before all of an instant and later.
func firstID(at time.Time) messages.EventID {
	var id ulid.ULID
	_ = id.SetTime(ulid.Timestamp(at)) // fails after the year 10889
	return messages.EventID(id.String())
}

// feed gives the replay all that the hub was given, in its order.
func (p *player) feed() error {
	p.start()
	limit := errors.New("limit")
	damaged, err := p.db.EachReport(p.began, p.q.Until.Add(warmUp), func(r *messages.StoredReport) bool {
		if r.HostID == "" || r.ReceivedAt.Before(p.began) || r.ReceivedAt.After(p.q.Until) {
			return false
		}
		if !p.wants(r.HostID) && p.q.HostID == "" && p.q.CustomerID == "" {
			p.gone[r.HostID] = true
		}
		return p.wants(r.HostID)
	}, func(batch uint64, r messages.StoredReport) error {
		if p.summary.Reports++; p.summary.Reports > maxReplayReports {
			return limit
		}
		if p.summary.BeganAt.IsZero() {
			p.summary.BeganAt = r.ReceivedAt.UTC()
		}
		p.upTo(batch, r.ReceivedAt)
		p.replay.Report(&r)
		return p.breathe(r.ReceivedAt)
	})
	p.summary.Damaged = damaged + p.replay.Refused()
	if errors.Is(err, limit) {
		return api.InvalidField("since", fmt.Sprintf("more than %d reports since then; narrow the replay", maxReplayReports))
	}
	p.upTo(^uint64(0), p.q.Until)
	return err
}

// start puts the clocks where they were when the replay begins, and says which hosts
// were silent then.
func (p *player) start() {
	i := slices.IndexFunc(p.traces, func(t batchTrace) bool { return t.At.After(p.began) })
	if i < 0 {
		i = len(p.traces)
	}
	p.replay.Start(p.began)
	for j := i - 1; j >= 0; j-- { // the last one before goes on
		if t := p.traces[j]; t.Kind == messages.TraceClock {
			p.replay.Trace(t.Trace)
			break
		}
	}
	p.traces = p.traces[i:]
	if len(p.traces) > 0 && i == 0 {
		p.replay.Trace(p.traces[0].Trace)
	}
	for id, e := range p.seeds {
		if p.wants(id) && e.Detail.LastContactAt != nil {
			phase := messages.PhaseStale
			if e.Type == messages.HostDown {
				phase = messages.PhaseDown
			}
			p.replay.Seed(id, phase, *e.Detail.LastContactAt, e.IncidentID)
		}
	}
}

// upTo gives what came before a report: the traces up to its batch, and the events that
// the replay does not decide on.
func (p *player) upTo(batch uint64, at time.Time) {
	for len(p.traces) > 0 && p.traces[0].batch <= batch && !p.traces[0].At.After(p.q.Until) {
		p.replay.Trace(p.traces[0].Trace)
		p.traces = p.traces[1:]
	}
	for len(p.given) > 0 && !p.given[0].At.After(at) {
		p.replay.Given(p.given[0])
		p.given = p.given[1:]
	}
}

// breathe lets the hub go first, and says how far it is.
func (p *player) breathe(at time.Time) error {
	if worked := time.Since(p.rested); worked > restEvery {
		time.Sleep(worked)
		p.rested = time.Now()
	}
	if time.Since(p.told) > progressEvery {
		p.told = time.Now()
		if err := p.line(messages.ReplayLine{Progress: &messages.ReplayProgress{Reports: p.summary.Reports, At: at.UTC()}}); err != nil {
			return err
		}
	}
	return p.ctx.Err()
}

// conclude compares with what was told, and tells.
func (p *player) conclude(routes []messages.Route) error {
	deliveries, replayed := p.replay.End(p.q.Until), p.replay.Events()
	there := actors.Told{Deliveries: deliveries, Events: make(map[messages.EventID]messages.Event, len(replayed))}
	for _, e := range replayed {
		there.Events[e.ID] = e
	}
	then, removed, err := p.then(routes)
	if err != nil {
		return err
	}
	wanted := func(e *messages.Event) bool {
		return !e.At.Before(p.q.Since) && !e.At.After(p.q.Until) && (e.HostID == "" || p.wants(e.HostID)) &&
			(p.q.HostID == "" || e.HostID == p.q.HostID) && (p.q.CustomerID == "" || e.CustomerID == p.q.CustomerID)
	}
	all := actors.Compare(there, actors.Told{Deliveries: then, Events: p.events}, wanted, &p.summary)
	for i := range all {
		if err := p.line(messages.ReplayLine{Message: &all[i]}); err != nil {
			return err
		}
	}
	p.summary.Hosts = len(p.hosts)
	p.notes(removed)
	return p.line(messages.ReplayLine{Summary: &p.summary})
}

// then are the messages that were really made on the routes that there are, oldest
// first, and how many went to routes that are no more.
func (p *player) then(routes []messages.Route) (ds []messages.Delivery, removed int, err error) {
	known := make(map[messages.RouteID]bool)
	for _, r := range routes {
		known[r.ID] = true
	}
	for before := messages.DeliveryID(""); ; {
		page, err := p.db.Deliveries(storage.DeliveryFilter{}, before, 1000)
		if err != nil {
			return nil, 0, err
		}
		for _, d := range page {
			switch {
			case d.Reason == messages.BecauseDrill || d.CreatedAt.After(p.q.Until.Add(time.Hour)):
			case !known[d.RouteID]:
				removed++
			default:
				ds = append(ds, d)
			}
		}
		if len(page) == 0 || page[len(page)-1].CreatedAt.Before(p.began) || p.ctx.Err() != nil {
			slices.Reverse(ds)
			return ds, removed, p.ctx.Err()
		}
		before = page[len(page)-1].ID
	}
}

// notes say what the replay cannot know.
func (p *player) notes(removed int) {
	note := func(format string, args ...any) {
		p.summary.Notes = append(p.summary.Notes, fmt.Sprintf(format, args...))
	}
	if p.summary.BeganAt.After(p.q.Since) {
		note("the history begins at %s: what was open before is told as new there", p.summary.BeganAt.Format(time.DateTime))
	}
	if n := len(p.gone); n > 0 {
		note("hosts that were removed since are left out: %d", n)
	}
	if removed > 0 {
		note("messages to routes that were removed since are left out: %d", removed)
	}
	if p.summary.Damaged > 0 {
		note("reports that cannot be read any more: %d", p.summary.Damaged)
	}
	note("settings, intervals, routes and the hub's version are those of today, unless the replay was given others")
	note("controllers, deadlines, the hub's own gaps and failing routes are told as they were")
	note("whether a message arrived, and what was acknowledged, is not replayed: reminders and escalations are those of alarms that nobody acknowledged")
}
