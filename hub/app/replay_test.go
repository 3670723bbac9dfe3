package app

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"felhom.eu/actors"
	"felhom.eu/hub/auth"
	"felhom.eu/messages"
)

// A made-up past, lived by a real hub on a real store in virtual time: hosts that fall
// silent, come back, are rebooted, said goodbye, fill up, lose guests; copies and late
// reports; and the hub stops, and its clock is set.

type pastWorld struct {
	*testing.T
	rand  *rand.Rand
	rules actors.Rules
	tape  *tape
	hub   *actors.Hub
	wall  atomic.Int64 // how far the hub's wall clock is off, nanoseconds
	hosts []*pastHost
}

type pastHost struct {
	id             messages.HostID
	interval       time.Duration
	skew           time.Duration
	next, offUntil time.Time
	stream, boot   int
	sequence       int
	bootedAt       time.Time
	used           int
	stopped        bool
	held           [][]byte // made while it could not send
	last           []byte
}

var replayRules = actors.Rules{PollInterval: 15 * time.Minute, Stale: 30 * time.Minute, Down: time.Hour, ResumeGrace: 16 * time.Minute}

type toldToAll struct{}

func (toldToAll) Send(context.Context, messages.Route, messages.Delivery, []messages.Event) actors.Answer {
	return actors.Answer{OK: true, Status: 204}
}

func newPastWorld(t *testing.T, seed uint64, hosts int, r actors.Rules, settings ...messages.RuleSettings) *pastWorld {
	w := &pastWorld{T: t, rand: rand.New(rand.NewPCG(seed, 1)), rules: r, tape: newTape()}
	w.start()
	w.order(actors.AddCustomer{Customer: messages.Customer{ID: "acme"}})
	w.order(actors.AddCustomer{Customer: messages.Customer{ID: "umbra"}})
	w.order(actors.AddRoute{Route: messages.Route{ID: "01J00000000000000000000RT1", MinSeverity: messages.SeverityWarning, CreatedAt: w.now()}})
	w.order(actors.AddRoute{Route: messages.Route{ID: "01J00000000000000000000RT2", CustomerID: "acme", CreatedAt: w.now()}})
	for i := range hosts {
		customer := []messages.CustomerID{"acme", "umbra"}[i%2]
		h := &pastHost{id: messages.HostID(fmt.Sprintf("%s-%08x", customer, i+1)), interval: 15 * time.Minute, bootedAt: w.now().Add(-100 * time.Hour), used: 70}
		own := 0
		if i%5 == 4 {
			own, h.interval = 3600, time.Hour
		}
		if i%4 == 3 {
			h.skew = w.between(-2*time.Hour, 2*time.Hour)
		}
		h.next = w.now().Add(w.between(time.Second, h.interval))
		w.order(actors.AddHost{Host: messages.Host{ID: h.id, CustomerID: customer, PollIntervalSeconds: own, CreatedAt: w.now()},
			Key: messages.Key{Hash: messages.HashKey([]byte(h.id)), Kind: messages.KeyHost, HostID: h.id, CustomerID: customer}})
		w.hosts = append(w.hosts, h)
	}
	for _, s := range settings {
		w.order(actors.PutRules{Settings: s})
	}
	return w
}

func (w *pastWorld) now() time.Time { return time.Now().Add(w.offset()) }

func (w *pastWorld) offset() time.Duration { return time.Duration(w.wall.Load()) }

func (w *pastWorld) between(a, b time.Duration) time.Duration {
	return a + time.Duration(w.rand.Int64N(int64(b-a)+1))
}

func (w *pastWorld) order(o interface{}) {
	w.Helper()
	var err error
	switch o := o.(type) {
	case actors.AddCustomer:
		err = w.hub.Order(w.Context(), o)
	case actors.AddRoute:
		err = w.hub.Order(w.Context(), o)
	case actors.AddHost:
		err = w.hub.Order(w.Context(), o)
	case actors.PutRules:
		err = w.hub.Order(w.Context(), o)
	}
	if err != nil {
		w.Fatal(err)
	}
}

func (w *pastWorld) start() {
	read := actors.GoClock()
	hub, err := actors.NewHub(actors.Config{
		Rules: w.rules, Version: "0.4.0", GroupWait: 30 * time.Second, RetentionDays: 90, MaxInside: 100,
		Read: func() actors.Instant {
			i := read()
			i.Wall = i.Wall.Add(w.offset())
			return i
		},
		Memory: w.tape, Keys: index{&auth.Keys{}}, Sender: toldToAll{}, Past: w.tape.past, Log: zerolog.Nop(),
		Fatal: func(err error) { w.Errorf("hub: %v", err) },
	})
	if err != nil {
		w.Fatal(err)
	}
	w.hub = hub
	w.hub.Open()
	synctest.Wait()
}

func (w *pastWorld) stop() {
	if err := w.hub.Stop(context.Background()); err != nil {
		w.Error(err)
	}
	w.hub = nil
}

// live lets time pass; the hub has a trouble about every other day.
func (w *pastWorld) live(d time.Duration) {
	end := time.Now().Add(d)
	trouble := time.Now().Add(w.between(12*time.Hour, 48*time.Hour))
	for time.Now().Before(end) {
		h := slices.MinFunc(w.hosts, func(a, b *pastHost) int { return a.next.Compare(b.next) })
		if trouble.Before(h.next) {
			w.sleepTo(trouble)
			w.troubleHub()
			trouble = time.Now().Add(w.between(12*time.Hour, 48*time.Hour))
			continue
		}
		w.sleepTo(h.next)
		w.turn(h)
	}
}

func (w *pastWorld) sleepTo(t time.Time) {
	time.Sleep(time.Until(t))
	synctest.Wait()
}

func (w *pastWorld) troubleHub() {
	switch w.rand.IntN(3) {
	case 0:
		w.stop()
		time.Sleep(w.between(time.Minute, 3*time.Hour))
		w.start()
	case 1: // the listener alone
		w.hub.Close()
		time.Sleep(w.between(time.Second, 20*time.Minute))
		w.hub.Open()
	default:
		w.wall.Add(int64(w.between(-10*time.Minute, 20*time.Minute)))
	}
	synctest.Wait()
}

// turn is a host's next deed.
func (w *pastWorld) turn(h *pastHost) {
	now := time.Now()
	h.next = now.Add(time.Duration(float64(h.interval) * (0.95 + 0.1*w.rand.Float64()))).Truncate(time.Millisecond).Add(time.Duration(w.rand.IntN(900)) * time.Microsecond)
	if now.Before(h.offUntil) {
		if w.rand.IntN(3) > 0 {
			h.held = append(h.held, w.body(h)) // a cut, not a stop: it goes on to make reports
		}
		return
	}
	switch w.rand.IntN(120) {
	case 0:
		h.offUntil = now.Add(w.between(10*time.Minute, 5*time.Hour))
		return
	case 1: // a planned reboot
		back := now.Add(h.skew + w.between(10*time.Minute, time.Hour))
		w.say(h, func() error {
			_, err := w.hub.Ingest.Goodbye(messages.Goodbye{HostID: h.id, SentAt: now.Add(h.skew).UTC(), Reason: "reboot", BackBy: &back, Stream: fmt.Sprint(h.stream)})
			return err
		})
		h.next = now.Add(w.between(5*time.Minute, 2*time.Hour))
		h.bootedAt, h.boot, h.stream, h.sequence, h.held = h.next, h.boot+1, h.stream+1, 0, nil
		return
	case 2:
		h.stream, h.sequence = h.stream+1, 0
	case 3, 4:
		h.used = 60 + w.rand.IntN(40)
	case 5, 6:
		h.stopped = !h.stopped
	case 7: // a copy, sent anew
		if h.last != nil {
			w.post(h, h.last)
		}
	}
	h.last = w.body(h)
	if !w.post(h, h.last) {
		h.held = append(h.held, h.last)
		h.next = now.Add(w.between(time.Second, time.Minute))
		return
	}
	for _, body := range h.held[max(0, len(h.held)-20):] { // newest first it was
		time.Sleep(50 * time.Millisecond)
		w.post(h, body)
	}
	h.held = nil
}

func (w *pastWorld) body(h *pastHost) []byte {
	h.sequence++
	status := "running"
	if h.stopped {
		status = "stopped"
	}
	at := time.Now().Add(h.skew).UTC()
	b, err := json.Marshal(map[string]any{
		"host_id": h.id, "reported_at": at, "agent_version": []string{"0.4.1", "0.3.2"}[h.stream%2], "stream": fmt.Sprint(h.stream), "sequence": h.sequence,
		"boot_id": fmt.Sprint(h.id, h.boot), "host": map[string]any{"node": "pve", "uptime_seconds": int(time.Since(h.bootedAt).Seconds())},
		"guests":          []map[string]any{{"vmid": 101, "name": "web", "status": status, "onboot": true}, {"vmid": 102, "name": "db", "status": "running"}},
		"storage_targets": []map[string]any{{"storage": "local", "enabled": true, "active": true, "total_bytes": 100, "used_bytes": h.used}},
		"sections":        map[string]any{"storage_targets": map[string]string{"status": "ok"}, "guests": map[string]string{"status": "ok"}},
	})
	if err != nil {
		w.Fatal(err)
	}
	return b
}

func (w *pastWorld) post(h *pastHost, body []byte) bool {
	var sum messages.Summary
	if err := messages.Scan(body, &sum); err != nil {
		w.Fatal(err)
	}
	sum.SentAt = time.Now().Add(h.skew).Truncate(time.Second).UnixNano()
	return w.say(h, func() error {
		_, err := w.hub.Ingest.Record(&sum, body)
		return err
	})
}

func (w *pastWorld) say(_ *pastHost, what func() error) bool {
	if w.hub == nil {
		return false
	}
	err := what()
	synctest.Wait()
	return err == nil
}

// lived is a world's past: its store, closed, its events, and when it was.
type lived struct {
	dir         string
	events      []messages.Event
	since, ends time.Time
}

func livePast(t *testing.T, seed uint64, hosts int, lasts time.Duration, r actors.Rules, settings ...messages.RuleSettings) (l lived) {
	l.dir = t.TempDir()
	var past *tape
	synctest.Test(t, func(t *testing.T) {
		w := newPastWorld(t, seed, hosts, r, settings...)
		l.since = w.now().Add(-time.Hour)
		w.live(lasts)
		w.wall.Store(max(w.wall.Load(), 0))
		l.ends = w.now()
		w.stop()
		l.events = w.tape.events()
		past = w.tape
	})
	past.onto(t, l.dir)
	return l
}

// replayed runs a past through a replay.
func (l lived) replayed(t *testing.T, rules messages.ReplayRules) (p player, lines []messages.ReplayLine) {
	t.Helper()
	db := openReplayed(t, l.dir)
	defer db.Close()
	p = player{ctx: t.Context(), db: db, q: messages.ReplayQuery{Since: l.since, Until: l.ends, Rules: rules}, line: func(l messages.ReplayLine) error {
		lines = append(lines, l)
		return nil
	}}
	if err := p.play(actors.ReplayOptions{Rules: replayRules, Version: "0.4.0", GroupWait: 30 * time.Second}); err != nil {
		t.Fatal(err)
	}
	return p, lines
}

// storyOf is what was told of each host, without ids: what is one incident has one number.
func storyOf(events []messages.Event) map[messages.HostID][]string {
	story, incidents := map[messages.HostID][]string{}, map[messages.IncidentID]int{"": 0}
	numbers := map[messages.HostID]int{}
	for _, e := range events {
		n, known := incidents[e.IncidentID]
		if !known {
			numbers[e.HostID]++
			n = numbers[e.HostID]
			incidents[e.IncidentID] = n
		}
		story[e.HostID] = append(story[e.HostID], fmt.Sprintf("%s %s %s %d %q %s #%d %s", e.At.Round(2*time.Second).Format(time.DateTime), e.Type, e.HostID, e.Detail.VMID, e.Detail.Subject, e.Severity(), n, e.Summary))
	}
	return story
}

func same(t *testing.T, seed uint64, got, want []messages.Event) {
	t.Helper()
	if len(want) < 20 {
		t.Errorf("seed %d: only %d events: nothing happened", seed, len(want))
	}
	g, w := storyOf(got), storyOf(want)
	for id := range g {
		if w[id] == nil {
			t.Errorf("seed %d: of %q only the replay tells: %q", seed, id, g[id])
		}
	}
	for id := range w {
		for i := range max(len(g[id]), len(w[id])) {
			var a, b string
			if i < len(g[id]) {
				a = g[id][i]
			}
			if i < len(w[id]) {
				b = w[id][i]
			}
			if a != b {
				t.Errorf("seed %d, event %d of %s:\n replayed %s\n it was   %s", seed, i, id, a, b)
				return
			}
		}
	}
	if len(g) != len(w) || len(got) != len(want) {
		t.Errorf("seed %d: %d events of %d hosts are replayed, %d of %d there were", seed, len(got), len(g), len(want), len(w))
	}
}

// A past that is replayed with the settings that it had is told again, word for word;
// with others, it is the very past of a hub that had them.
func TestReplayTellsWhatAHubTells(t *testing.T) {
	lasts, hosts, seeds := 48*time.Hour, 10, uint64(1)
	if testing.Short() {
		lasts, hosts, seeds = 20*time.Hour, 8, 1
	}
	high := 0.75
	other := replayRules
	other.Stale, other.Down = 50*time.Minute, 100*time.Minute
	settings := messages.RuleSettings{CustomerID: "acme", StorageWarningRatio: &high}
	with := settings
	for seed := range seeds {
		was := livePast(t, seed, hosts, lasts, replayRules)
		p, lines := was.replayed(t, messages.ReplayRules{})
		same(t, seed, p.replay.Events(), was.events)
		for _, l := range lines {
			if m := l.Message; m != nil && m.Verdict != messages.ReplaySame {
				t.Errorf("seed %d: message %s at %v: %+v", seed, m.Verdict, m.At, m.Events)
			}
		}
		would := livePast(t, seed, hosts, lasts, other, settings)
		p, _ = was.replayed(t, messages.ReplayRules{StaleSeconds: 3000, DownSeconds: 6000, Customers: map[messages.CustomerID]messages.RuleSettings{"acme": with}})
		gap := func(e messages.Event) bool { return e.Type == messages.HubGap } // given, as it was: it is told from stale_seconds on
		same(t, seed, slices.DeleteFunc(p.replay.Events(), gap), slices.DeleteFunc(would.events, gap))
		if s := p.summary; s.Events.Replay == 0 || s.Events.Then == 0 {
			t.Errorf("seed %d: other thresholds tell nothing else: %+v", seed, s)
		}
	}
}
