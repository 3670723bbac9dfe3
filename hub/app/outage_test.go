package app

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/mail"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"felhom.eu/actors"
	"felhom.eu/hub/auth"
	"felhom.eu/hub/notify"
	"felhom.eu/hub/notify/notifytest"
	"felhom.eu/hub/notify/text"
	"felhom.eu/messages"
	"felhom.eu/storage"
)

// Six hours without any way to tell somebody: receivers that are real and live in real
// time, outside the bubble, and a hub with its real store that lives in virtual time.
// A bubble's clock stands while somebody in it waits for a socket.

// farEnd is what a receiver was told.
type farEnd struct {
	mu    sync.Mutex
	out   bool
	tried []string // while it was out
	took  []string
}

// told notes a message, and whether it was taken.
func (f *farEnd) told(message string) (took bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.out {
		f.tried = append(f.tried, message)
		return false
	}
	f.took = append(f.took, message)
	return true
}

func (f *farEnd) setOut(out bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.out = out
}

// serveFarEnd starts an HTTP server that answers what told makes of a request. A
// connection that were kept would make the bubble wait for it.
func serveFarEnd(t *testing.T, told func(r *http.Request, body []byte) int) string {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		status := told(r, body)
		if status == 0 {
			panic(http.ErrAbortHandler)
		}
		w.WriteHeader(status)
	}))
	s.Config.SetKeepAlivesEnabled(false)
	s.Start()
	t.Cleanup(s.Close)
	return s.URL
}

// ntfyFarEnd takes messages as ntfy does, and hangs up while it is out.
func ntfyFarEnd(t *testing.T) (*farEnd, string) {
	f := &farEnd{}
	return f, serveFarEnd(t, func(r *http.Request, body []byte) int {
		var m struct{ Topic, Title, Message string }
		if err := json.Unmarshal(body, &m); err != nil || r.Method != "POST" || m.Topic != "ops" || m.Title == "" {
			t.Errorf("ntfy: %s %s: %v", r.Method, body, err)
		}
		if !f.told(m.Title + "\n" + m.Message) {
			return 0
		}
		return 200
	})
}

// hookFarEnd verifies webhooks as standardwebhooks.com has it, and answers 503 while it
// is out. What it keeps begins with the id.
func hookFarEnd(t *testing.T) (*farEnd, string) {
	f := &farEnd{}
	key, err := base64.StdEncoding.DecodeString(hookSecret)
	if err != nil {
		t.Fatal(err)
	}
	return f, serveFarEnd(t, func(r *http.Request, body []byte) int {
		id := r.Header.Get("Webhook-Id")
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(id + "." + r.Header.Get("Webhook-Timestamp") + "." + string(body)))
		signature, ok := strings.CutPrefix(r.Header.Get("Webhook-Signature"), "v1,")
		if got, err := base64.StdEncoding.DecodeString(signature); !ok || err != nil || !hmac.Equal(got, mac.Sum(nil)) {
			t.Errorf("webhook %s has signature %q", id, signature)
		}
		if !f.told(id + "\n" + string(body)) {
			return 503
		}
		return 204
	})
}

// line is a hub's way to its routes.
type line struct {
	sender
	cut    chan struct{}         // closed by a kill
	unread chan messages.RouteID // on which a try waits for the kill
	mu     sync.Mutex
	mute   bool                     // what is to be sent does not even leave
	hears  map[messages.RouteID]int // so many messages that were taken the hub still hears of; of each, if it is nil
}

// Send implements actors.Sender.
func (l *line) Send(ctx context.Context, r messages.Route, d messages.Delivery, events []messages.Event) actors.Answer {
	select {
	case <-l.cut:
		return actors.Answer{Text: "killed"}
	default:
	}
	if !l.silent() {
		if a := l.sender.Send(ctx, r, d, events); !a.OK || l.heard(r.ID) {
			return a
		}
	}
	l.unread <- r.ID
	<-l.cut
	return actors.Answer{Text: "killed"}
}

func (l *line) silent() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mute
}

func (l *line) heard(r messages.RouteID) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.hears == nil {
		return true
	}
	l.hears[r]--
	return l.hears[r] >= 0
}

// fall makes the line silent.
func (l *line) fall() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mute = true
}

// hear makes the hub hear of n more messages on each route.
func (l *line) hear(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.hears = map[messages.RouteID]int{mailRouteID: n, ntfyRouteID: n, hookRouteID: n}
}

const (
	mailRouteID messages.RouteID = "01J00000000000000000000RT1"
	ntfyRouteID messages.RouteID = "01J00000000000000000000RT2"
	hookRouteID messages.RouteID = "01J00000000000000000000RT3"
)

// outageWorld is a hub, its hosts and its lives.
type outageWorld struct {
	*testing.T
	app      *App
	line     *line
	root     string
	life     int
	kills    int
	hosts    []messages.HostID
	sequence uint64
	began    time.Time
}

func (w *outageWorld) dir() string { return filepath.Join(w.root, fmt.Sprint(w.life)) }

// start begins a life, whose line is made ready by prepare.
func (w *outageWorld) start(prepare ...func(*line)) {
	cfg := testConfig(w.T)
	cfg.DataDir, cfg.AllowPrivateRoutes, cfg.ExternalURL = w.dir(), true, "https://hub.example.com"
	w.app = &App{cfg: cfg, version: "test"}
	var err error
	if w.app.db, err = storage.Open(cfg.DataDir, storage.Options{UnsafeNoSync: true, MinFreeBytes: 1, MemTableBytes: 8 << 20}); err != nil {
		w.Fatal(err)
	}
	past, err := memory{w.app.db}.past()
	if err != nil {
		w.Fatal(err)
	}
	w.line = &line{sender: w.app.sender(), cut: make(chan struct{}), unread: make(chan messages.RouteID, 3)}
	for _, p := range prepare {
		p(w.line)
	}
	w.app.hub, err = actors.NewHub(actors.Config{
		Rules: rules(&cfg), Version: "test", GroupWait: seconds(cfg.GroupWaitSeconds), RetentionDays: cfg.RetentionDays, MaxInside: maxInside,
		Read: readClocks(), Memory: memory{w.app.db}, Keys: index{&auth.Keys{}}, Sender: w.line, Past: past, Log: zerolog.Nop(),
		Fatal: func(err error) { w.Errorf("hub: %v", err) },
	})
	if err != nil {
		w.Fatal(err)
	}
	w.app.hub.Open()
	synctest.Wait()
}

func (w *outageWorld) end() {
	if err := w.app.Stop(); err != nil {
		w.Error(err)
	}
}

// killUnsent kills the hub between the decision to try and the try.
func (w *outageWorld) killUnsent() {
	w.line.fall()
	w.killTrying()
}

// restart stops the hub as an operator does.
func (w *outageWorld) restart() {
	w.end()
	w.start()
}

// kill ends the hub at this instant: its next life has the files as they are now, and
// what the old one does from here on reaches no far end and no file of the next.
func (w *outageWorld) kill(prepare ...func(*line)) {
	synctest.Wait()
	w.kills++
	before := w.dir()
	w.life++
	if err := os.CopyFS(w.dir(), os.DirFS(before)); err != nil {
		w.Fatal(err)
	}
	close(w.line.cut)
	w.end()
	w.start(prepare...)
}

// killTrying kills the hub when a try on each route waits for that, which a retry that
// comes every ten minutes does soon.
func (w *outageWorld) killTrying(prepare ...func(*line)) {
	for end := time.Now().Add(30 * time.Minute); len(w.line.unread) < cap(w.line.unread) && time.Now().Before(end); {
		w.live(int(time.Since(w.began).Minutes()) + 5)
	}
	if n := len(w.line.unread); n < cap(w.line.unread) {
		w.Errorf("%d routes try something at kill %d", n, w.kills+1)
	}
	w.kill(prepare...)
}

func (w *outageWorld) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// furnish gives a new hub three routes and four hosts.
func (w *outageWorld) furnish(mailAddress, ntfyURL, hookURL string) {
	hub, ctx := w.app.hub, w.Context()
	w.must(hub.Order(ctx, actors.AddCustomer{Customer: messages.Customer{ID: "acme", DisplayName: "Acme"}}))
	for _, r := range []messages.Route{
		{ID: mailRouteID, Kind: messages.RouteShoutrrr, URL: messages.Secret("smtp://" + mailAddress + "/?from=felhom@example.com&to=ops@example.org")},
		{ID: ntfyRouteID, Kind: messages.RouteShoutrrr, URL: messages.Secret("ntfy://" + strings.TrimPrefix(ntfyURL, "http://") + "/ops?disabletls=yes")},
		{ID: hookRouteID, Kind: messages.RouteWebhook, URL: messages.Secret(hookURL), Secret: notify.SecretPrefix + hookSecret},
	} {
		w.must(hub.Order(ctx, actors.AddRoute{Route: r}))
	}
	for i := range off {
		id := messages.HostID(fmt.Sprintf("acme-%08x", i+1))
		key := messages.Key{Hash: messages.HashKey([]byte(id)), Kind: messages.KeyHost, HostID: id, CustomerID: "acme"}
		w.must(hub.Order(ctx, actors.AddHost{Host: messages.Host{ID: id, CustomerID: "acme"}, Key: key}))
		w.hosts = append(w.hosts, id)
	}
	w.began = time.Now()
}

// off says when the hosts are silent, in minutes of the outage: never more than two at a
// time begin within five minutes, which would be an incident in their place.
var off = [][][2]int{{{20, 120}, {270, 345}}, {{60, 210}}, {{150, 240}}, {{250, 340}}}

// live lets the hosts report until so many minutes of the outage have passed.
func (w *outageWorld) live(minutes int) {
	for ; time.Since(w.began) < time.Duration(minutes)*time.Minute; time.Sleep(5 * time.Minute) {
		now := int(time.Since(w.began).Minutes())
		for i, id := range w.hosts {
			silent := slices.ContainsFunc(off[i], func(o [2]int) bool { return o[0] <= now && now < o[1] })
			if silent || (now/5+i)%3 != 0 {
				continue
			}
			w.sequence++
			s := messages.Summary{HostID: id, StreamHash: 7, Sequence: w.sequence, Figures: messages.Figures{GuestsUnknown: true}}
			if _, err := w.app.hub.Ingest.Record(&s, fmt.Appendf(nil, `{"sequence":%d}`, w.sequence)); err != nil {
				w.Errorf("report of %s: %v", id, err)
			}
		}
	}
}

// mailed, pushed and called find the delivery that a message is of.
func (w *outageWorld) mailed(raw string) messages.DeliveryID {
	m, err := mail.ReadMessage(strings.NewReader(raw))
	w.must(err)
	return messages.DeliveryID(strings.TrimSuffix(strings.TrimPrefix(m.Header.Get("Message-Id"), "<"), "@felhom>"))
}

// A message of ntfy names no delivery: it is the one that says the same.
func (w *outageWorld) pushed(said string) messages.DeliveryID {
	for _, d := range w.deliveries(ntfyRouteID) {
		events, err := memory{w.app.db}.EventsByID(d.Events)
		w.must(err)
		m := text.Of(&d, events, text.Place{ExternalURL: "https://hub.example.com", Customer: w.app.customerName})
		if said == m.Subject+"\n"+strings.Join(m.Below(), "\n") {
			return d.ID
		}
	}
	return messages.DeliveryID(said)
}

func (w *outageWorld) called(said string) messages.DeliveryID {
	id, body, _ := strings.Cut(said, "\n")
	var m struct {
		DeliveryID string `json:"delivery_id"`
	}
	w.must(json.Unmarshal([]byte(body), &m))
	if m.DeliveryID != id {
		w.Errorf("webhook %s has the body of %s", id, m.DeliveryID)
	}
	return messages.DeliveryID(id)
}

// deliveries are all of a route's, oldest first.
func (w *outageWorld) deliveries(r messages.RouteID) []messages.Delivery {
	all, err := w.app.db.Deliveries(storage.DeliveryFilter{}, "", 1000)
	w.must(err)
	slices.Reverse(all)
	return slices.DeleteFunc(all, func(d messages.Delivery) bool { return d.RouteID != r })
}

// judge holds what a receiver took, and was tried with, against what the hub decided.
func (w *outageWorld) judge(r messages.RouteID, f *farEnd, of func(string) messages.DeliveryID) {
	decided := map[messages.DeliveryID]messages.Delivery{}
	under := map[messages.EventID]messages.DeliveryID{}
	for _, d := range w.deliveries(r) {
		decided[d.ID] = d
		if d.State != messages.DeliverySent {
			w.Errorf("route %s: delivery %s is %s", r, d.ID, d.State)
		}
		for _, e := range d.Events {
			if d.Reason != "" {
				continue // a reminder tells again
			}
			if other := under[e]; other != "" {
				w.Errorf("route %s: event %s goes by %s and by %s", r, e, other, d.ID)
			}
			under[e] = d.ID
		}
	}
	events, err := w.app.db.Events(storage.EventFilter{}, "", 1000)
	w.must(err)
	place := map[messages.EventID]messages.Event{}
	for _, e := range events {
		place[e.ID] = e
	}
	took, said, repeats := map[messages.EventID]int{}, map[messages.DeliveryID]string{}, 0
	last := map[messages.HostID]uint64{}
	for _, text := range slices.Concat(f.tried, f.took) {
		id := of(text)
		if d, known := decided[id]; !known || said[id] != "" && said[id] != text {
			w.Errorf("route %s: %q has the id %s, whose events are %v", r, text, id, d.Events)
		}
		said[id] = text
	}
	for i, text := range f.took {
		if slices.Contains(f.took[:i], text) {
			repeats++
		}
		d := decided[of(text)]
		for _, id := range d.Events {
			e := place[id]
			if d.Reason != "" || e.HostID == "" {
				continue
			}
			took[id]++
			if e.Sequence < last[e.HostID] {
				w.Errorf("route %s: %s of %s comes behind a later one", r, e.Type, e.HostID)
			}
			last[e.HostID] = e.Sequence
		}
	}
	hosts := 0
	for _, e := range events {
		if e.HostID == "" {
			continue
		}
		if hosts++; took[e.ID] == 0 {
			w.Errorf("route %s was not told: %s", r, e.Summary)
		}
	}
	w.Logf("route %s: %d events of hosts in %d messages, %d of them repeats; %d kills", r, hosts, len(f.took), repeats, w.kills)
	if hosts != 15 {
		w.Errorf("%d events of hosts, want stale, down and recovered of five outages", hosts)
	}
	if repeats > w.kills {
		w.Errorf("route %s: %d repeats after %d kills", r, repeats, w.kills)
	}
}

// An outage of every receiver for six hours, through restarts and kills of the hub: each
// event is delivered to each of them at least once, under one id, in order for each
// host, and a kill repeats at most one message on a route.
func TestSixHoursOutageOfEveryReceiver(t *testing.T) {
	if testing.Short() {
		t.Skip("the real store lives through seven hours of ticks")
	}
	mails := &notifytest.MailServer{}
	address := mails.Start(t)
	ntfy, ntfyURL := ntfyFarEnd(t)
	hook, hookURL := hookFarEnd(t)
	root := t.TempDir()
	out := func(out bool) { mails.SetOut(out); ntfy.setOut(out); hook.setOut(out) }
	synctest.Test(t, func(t *testing.T) {
		w := &outageWorld{T: t, root: root}
		w.start()
		w.furnish(address, ntfyURL, hookURL)
		out(true)
		for _, trouble := range []struct {
			at int
			do func()
		}{{40, w.restart}, {100, w.killUnsent}, {165, w.restart}, {225, w.killUnsent}, {320, func() { w.kill() }}} {
			w.live(trouble.at)
			trouble.do()
		}
		w.live(360)
		twice := func(l *line) { l.hear(2) }
		w.line.hear(0)
		out(false)
		w.killTrying(twice)
		w.killTrying(twice)
		w.killTrying()
		w.restart()
		w.live(400)
		w.judge(mailRouteID, &farEnd{took: mails.Mails()}, w.mailed)
		w.judge(ntfyRouteID, ntfy, w.pushed)
		w.judge(hookRouteID, hook, w.called)
		w.end()
	})
	if len(ntfy.tried) == 0 || len(hook.tried) == 0 {
		t.Errorf("tried %d times to reach ntfy and %d times the webhook while they were out", len(ntfy.tried), len(hook.tried))
	}
}
