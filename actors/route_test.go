package actors

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/anthdm/hollywood/actor"

	"felhom.eu/messages"
)

const testRoute messages.RouteID = "01J00000000000000000000001"

func (w *scene) route(id messages.RouteID, c messages.CustomerID, types ...messages.EventType) {
	w.store.past.Routes = append(w.store.past.Routes, messages.Route{ID: id, CustomerID: c, Kind: messages.RouteWebhook, Events: types})
}

// delivered lists the event types that reached a route, in order, each delivery
// once however often it was tried.
func (w *scene) delivered(id messages.RouteID) (types []messages.EventType) {
	seen := map[messages.DeliveryID]bool{}
	for _, s := range w.sender.sent {
		if s.route == id && s.ok && !seen[s.id] {
			seen[s.id] = true
			types = append(types, s.events...)
		}
	}
	return types
}

// outage lets the test host go down and come back.
func (w *scene) outage() {
	w.reports(time.Hour, testHost)
	w.sleep(2 * time.Hour)
	if err := w.report(testHost); err != nil {
		w.Error(err)
	}
	w.sleep(2 * time.Minute)
}

// With group_wait, the events of one customer within the wait are one delivery,
// and it says what all of them say; later ones are another.
func TestEventsWithinGroupWaitAreOneDelivery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newScene(t)
		w.wait = 30 * time.Second
		w.addHost("acme-00000002")
		w.route(testRoute, "")
		w.start()
		w.reports(time.Hour, testHost, "acme-00000002")
		w.sleep(16 * time.Minute)
		if n := len(w.sender.sent); n != 1 || len(w.sender.sent[0].events) != 2 {
			t.Fatalf("sent %+v, want one delivery of two events", w.sender.sent)
		}
		w.sleep(31 * time.Minute)
		if n := len(w.sender.sent); n != 2 || len(w.sender.sent[1].events) != 2 {
			t.Errorf("sent %+v, want a second delivery of two", w.sender.sent)
		}
		w.stop()
	})
}

// A route hears of its own customer only, of the types it asked for only; the
// operator's routes hear of all.
func TestRoutesHearWhatTheyAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newScene(t)
		w.route("operator", "")
		w.route("acme", "acme")
		w.route("other", "globex")
		w.route("downs", "acme", messages.HostDown)
		w.start()
		w.outage()
		all := []messages.EventType{messages.HostStale, messages.HostDown, messages.HostRecovered}
		for id, want := range map[messages.RouteID][]messages.EventType{
			"operator": all, "acme": all, "other": nil, "downs": {messages.HostDown},
		} {
			if got := w.delivered(id); !slices.Equal(got, want) {
				t.Errorf("route %s heard %v, want %v", id, got, want)
			}
		}
		w.stop()
	})
}

// Through an outage of the far end of six hours, with kills and stops of the hub in
// it, every event arrives, in order, under one id, and nothing is tried again
// after it was accepted.
func TestOutageOfARouteLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newScene(t)
		w.route(testRoute, "acme")
		var down atomic.Bool
		down.Store(true)
		w.sender.answer = func(messages.RouteID) Answer { return Answer{OK: !down.Load(), Status: 503, Text: "503"} }
		w.start()
		w.outage()
		w.stop()
		w.start()
		w.outage()
		w.kill()
		w.start()
		down.Store(false)
		w.sleep(11 * time.Minute)
		want := []messages.EventType{messages.HostStale, messages.HostDown, messages.HostRecovered}
		if got := w.delivered(testRoute); !slices.Equal(got, append(want, want...)) {
			t.Errorf("route heard %v, want %v twice", got, want)
		}
		accepted := map[messages.DeliveryID]int{}
		for _, s := range w.sender.sent {
			if s.ok {
				accepted[s.id]++
			}
		}
		for id, n := range accepted {
			if n != 1 {
				t.Errorf("delivery %s was accepted %d times", id, n)
			}
		}
		if left := w.store.pending(); len(left) != 0 {
			t.Errorf("still pending: %+v", left)
		}
		w.stop()
	})
}

// A route that fails for a quarter of an hour is told of on the operator's other
// routes, once, and so is its return, across a restart of the hub.
func TestFailingRouteIsToldOnOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newScene(t)
		w.route("good", "")
		w.route("bad", "")
		w.route("customer", "acme")
		var bad atomic.Bool
		bad.Store(true)
		w.sender.answer = func(id messages.RouteID) Answer {
			if id == "bad" && bad.Load() {
				return Answer{Status: 500, Text: "boom"}
			}
			return Answer{OK: true, Status: 200}
		}
		w.start()
		w.outage()
		w.stop()
		w.start()
		w.sleep(time.Hour)
		bad.Store(false)
		w.sleep(time.Hour)
		var about []messages.EventType
		for _, typ := range w.delivered("good") {
			if typ == messages.RouteFailing || typ == messages.RouteRecovered {
				about = append(about, typ)
			}
		}
		if want := []messages.EventType{messages.RouteFailing, messages.RouteRecovered}; !slices.Equal(about, want) {
			t.Errorf("the other route heard %v, want %v", about, want)
		}
		if got := w.delivered("customer"); slices.Contains(got, messages.RouteFailing) {
			t.Errorf("a customer was told of the operator's route: %v", got)
		}
		w.stop()
	})
}

// A route that is removed while it writes that it is failing stays removed.
func TestRemovedRouteDoesNotComeBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newScene(t)
		w.route(testRoute, "acme")
		var first time.Time
		w.sender.answer = func(messages.RouteID) Answer {
			if first.IsZero() {
				first = time.Now()
			}
			if time.Since(first) > failingAfter {
				w.store.set(func() { w.store.slow = time.Second })
				go func() { _ = w.hub.Order(t.Context(), RemoveRoute{testRoute}) }()
				time.Sleep(time.Millisecond) // the removal is on its way to the disk
			}
			return Answer{Status: 500}
		}
		w.start()
		w.reports(15*time.Minute, testHost)
		w.sleep(2 * time.Hour)
		if len(w.store.past.Routes) != 0 {
			t.Errorf("routes after the removal: %+v", w.store.past.Routes)
		}
		if left := w.store.pending(); len(left) != 0 {
			t.Errorf("still pending: %+v", left)
		}
		w.stop()
	})
}

// A delivery that arrived is sent, though its route was removed while that was
// being written.
func TestRemovedRouteKeepsWhatArrived(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newScene(t)
		w.route(testRoute, "acme")
		w.sender.answer = func(messages.RouteID) Answer {
			w.store.set(func() { w.store.slow = time.Second })
			go func() { _ = w.hub.Order(t.Context(), RemoveRoute{testRoute}) }()
			time.Sleep(time.Millisecond) // the removal is on its way to the disk
			return Answer{OK: true, Status: 200}
		}
		w.start()
		w.reports(15*time.Minute, testHost)
		w.sleep(16 * time.Minute)
		for _, d := range w.store.deliveries {
			if d.State != messages.DeliverySent {
				t.Errorf("a delivery that arrived is %s: %s", d.State, d.LastError)
			}
		}
		w.stop()
	})
}

// listed is an address that notes who was written to first.
type listed struct {
	pid   *actor.PID
	order *[]string
}

func (l listed) Start()                           {}
func (l listed) Shutdown()                        {}
func (l listed) Invoke([]actor.Envelope)          {}
func (l listed) PID() *actor.PID                  { return l.pid }
func (l listed) Send(*actor.PID, any, *actor.PID) { *l.order = append(*l.order, l.pid.ID) }

// A new route has its actor before an event can be told on it: a delivery that
// came first would be taken for one of a removed route, and given up.
func TestAlertHearsOfARouteBeforeTheWriter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newScene(t)
		w.start()
		var order []string
		r := &Registry{hub: &Hub{}}
		r.hub.alert = w.hub.engine.SpawnProc(listed{actor.NewPID("local", "alert/listed"), &order})
		r.hub.writer = w.hub.engine.SpawnProc(listed{actor.NewPID("local", "writer/listed"), &order})
		<-w.hub.engine.Poison(w.hub.engine.SpawnFunc(func(c *actor.Context) {
			if _, ok := c.Message().(actor.Started); ok {
				r.setRoutes(c, nil)
			}
		}, "registry", actor.WithInboxSize(2))).Done()
		if want := []string{"alert/listed", "writer/listed"}; !slices.Equal(order, want) {
			t.Errorf("told %v, want %v", order, want)
		}
		w.stop()
	})
}

// A hub stops in time though its store takes nothing and a far end says nothing.
func TestStopWaitsForNobody(t *testing.T) {
	for name, trouble := range map[string]func(*scene){
		"full store": func(w *scene) {
			w.sender.answer = func(messages.RouteID) Answer {
				w.store.set(func() { w.store.full = true })
				return Answer{OK: true, Status: 200}
			}
		},
		"silent far end": func(w *scene) { w.sender.hang.Store(true) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newScene(t)
				w.route(testRoute, "acme")
				trouble(w)
				w.start()
				w.reports(15*time.Minute, testHost)
				w.sleep(15*time.Minute + time.Second)
				ctx, cancel := context.WithTimeout(t.Context(), 8*time.Second)
				defer cancel()
				if err := w.hub.Stop(ctx); err != nil {
					t.Error(err)
				}
				time.Sleep(time.Minute)
			})
		})
	}
}

// What the far end refuses for good is dead at once and holds nothing back;
// what it asks to wait for is waited for.
func TestAnswersDecideWhatComesNext(t *testing.T) {
	start := Instant{Wall: time.Unix(1e9, 0), Mono: time.Hour}
	at := func(d time.Duration) Instant { return Instant{Wall: start.Wall.Add(d), Mono: start.Mono + d} }
	head := messages.Delivery{ID: "d1", Sequence: 1, DueAt: start.Wall, State: messages.DeliveryPending}
	for _, c := range []struct {
		name   string
		answer Answer
		before int // attempts
		at     Instant
		state  messages.DeliveryState
		wait   time.Duration
	}{
		{"good", Answer{OK: true, Status: 204}, 0, at(0), messages.DeliverySent, 0},
		{"refused for good", Answer{Permanent: true, Status: 410}, 0, at(0), messages.DeliveryDead, 0},
		{"failed", Answer{Status: 502}, 0, at(0), messages.DeliveryPending, time.Second},
		{"asked to wait", Answer{Status: 429, RetryAfter: 2 * time.Minute}, 0, at(0), messages.DeliveryPending, 2 * time.Minute},
		{"asked to wait for ever", Answer{Status: 429, RetryAfter: 1e6 * time.Hour}, 0, at(0), messages.DeliveryPending, time.Hour},
		{"after three days", Answer{Status: 502}, 450, at(72 * time.Hour), messages.DeliveryDead, 0},
		{"a clock set ahead", Answer{Status: 502}, 2, Instant{Wall: start.Wall.Add(1e5 * time.Hour), Mono: start.Mono}, messages.DeliveryPending, time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			var s routeState
			d := head
			d.Attempts = c.before
			s.put(d)
			got := s.outcome(c.answer, c.at, 0)
			if got.State != c.state || got.Attempts != c.before+1 || got.LastStatus != c.answer.Status {
				t.Errorf("outcome %+v, want state %s", got, c.state)
			}
			s.keep(got)
			if wait, ok := s.wait(c.at); ok != (c.state == messages.DeliveryPending) || wait != c.wait {
				t.Errorf("next try in %v (%v), want %v", wait, ok, c.wait)
			}
		})
	}
}

// An old delivery that is to be delivered again does not take the place of one
// that is under way.
func TestRedeliveryWaitsBehindTheHead(t *testing.T) {
	now := Instant{Wall: time.Unix(1e9, 0), Mono: time.Hour}
	var s routeState
	s.put(messages.Delivery{ID: "d5", Sequence: 5})
	s.held = true
	s.put(messages.Delivery{ID: "d2", Sequence: 2})
	if got := s.outcome(Answer{OK: true}, now, 0); got.ID != "d5" {
		t.Errorf("the answer for d5 went to %s", got.ID)
	}
}

// A route that is to hear no more than six messages an hour hears six, and then one
// every ten minutes; none is lost, and a try again counts no message.
func TestMessagesAnHourAreBounded(t *testing.T) {
	now := Instant{Wall: time.Unix(1e9, 0), Mono: time.Hour}
	s := routeState{perHour: 6}
	var sent []time.Duration
	for i := range 12 {
		s.put(messages.Delivery{Sequence: uint64(i + 1), State: messages.DeliveryPending})
	}
	for n := 0; len(s.queue) > 0; n++ {
		wait, _ := s.wait(now)
		now.Mono, now.Wall = now.Mono+wait, now.Wall.Add(wait)
		ok := n != 3
		s.keep(s.outcome(Answer{OK: ok}, now, 0))
		if ok {
			sent = append(sent, now.Mono-time.Hour)
		}
	}
	for i, at := range sent {
		want := time.Duration(max(i-5, 0)) * 10 * time.Minute
		if at < want || at > want+2*time.Second {
			t.Errorf("message %d after %v, want %v", i+1, at, want)
		}
	}
}

// Retries double from a second to ten minutes, never shorter than half of that.
func TestRetryDelayDoublesWithinBounds(t *testing.T) {
	want := time.Second
	for try := 1; try <= 500; try++ {
		if got := retryDelay(try, 0, 0); got != want {
			t.Fatalf("try %d waits %v, want %v", try, got, want)
		}
		if got := retryDelay(try, 0, 0.999); got < want/2 || got > want {
			t.Fatalf("try %d waits %v with the worst dice, want between %v and %v", try, got, want/2, want)
		}
		want = min(2*want, 10*time.Minute)
	}
}
