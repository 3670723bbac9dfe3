package actors

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"felhom.eu/messages"
)

// An event that joined a delivery just before its route sealed it stays in it,
// though the seal is refused and the route has not heard of the event.
func TestRefusedSealForgetsNoEvent(t *testing.T) {
	o := newOutbox(30*time.Second, []messages.Route{{ID: testRoute}})
	now := time.Unix(1e9, 0)
	number := func() (messages.DeliveryID, uint64) { return "d1", 1 }
	commit := func() []messages.Delivery {
		ds := o.changed()
		o.committed(ds)
		return ds
	}
	o.tell(messages.Event{ID: "e1", Type: messages.HostDown}, now, number)
	known := commit()[0] // what the route knows
	o.tell(messages.Event{ID: "e2", Type: messages.HostDown}, now.Add(29*time.Second), number)
	late := o.changed() // on its way to the disk when
	o.seal(known)       // the route's wait is over,
	o.changed()
	o.committed(late) // and durable before
	o.reset()         // the batch with the seal is refused
	o.seal(known)
	if got := commit()[0]; !got.Sealed || len(got.Events) != 2 {
		t.Errorf("sealed with %v, want both events", got.Events)
	}
	if len(o.unsealed)+len(o.open) != 0 {
		t.Errorf("kept after the seal was durable: %v", o.unsealed)
	}
}

// An outage of everything at once, told on many routes, is cut into batches that
// a transaction of the store can take.
func TestOutageOfAllFitsTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newScene(t)
		w.wait = 30 * time.Second
		for i := range 30 {
			w.route(messages.RouteID(fmt.Sprintf("route-%d", i)), "")
		}
		ids := []messages.HostID{testHost}
		for i := range 400 {
			id := messages.HostID(fmt.Sprintf("c%d-00000001", i))
			w.addHost(id)
			ids = append(ids, id)
		}
		w.store.limit = 2 * maxOutboxRows
		w.start()
		w.reports(time.Minute, ids...)
		w.store.set(func() { w.store.slow = time.Second }) // all are due before the first is written
		w.sleep(20 * time.Minute)
		select {
		case err := <-w.fatal:
			t.Error(err)
		default:
		}
		w.store.set(func() { w.store.slow = 0 })
		w.sleep(time.Minute)
		w.stop()
		if n := len(w.store.events); n != len(ids) {
			t.Errorf("%d events, want %d", n, len(ids))
		}
	})
}

// What befalls many customers at once is told to the operator in a number of
// messages that their events bound; a customer's own route hears of it alone.
func TestOutboxBoundsTheMessagesOfAStorm(t *testing.T) {
	const customers, each = 200, 30
	o := newOutbox(30*time.Second, []messages.Route{{ID: "operator"}, {ID: "own", CustomerID: "c7"}})
	now, n := time.Unix(1e9, 0), uint64(0)
	number := func() (messages.DeliveryID, uint64) { n++; return messages.DeliveryID(fmt.Sprint("d", n)), n }
	for i := range customers * each {
		c := messages.CustomerID(fmt.Sprint("c", i%customers))
		o.tell(messages.Event{ID: messages.EventID(fmt.Sprint("e", i)), CustomerID: c, Type: messages.HostDown}, now, number)
	}
	told, count := map[messages.EventID]int{}, map[messages.RouteID]int{}
	for _, d := range o.changed() {
		count[d.RouteID]++
		if len(d.Events) > maxDeliveryEvents || d.Sealed != (len(d.Events) == maxDeliveryEvents) || d.Sealed && !d.DueAt.Equal(now) {
			t.Errorf("%s has %d events, sealed %t, due %v", d.ID, len(d.Events), d.Sealed, d.DueAt)
		}
		if d.RouteID == "own" {
			if d.CustomerID != "c7" || len(d.Events) != each {
				t.Errorf("the customer's route is told %d events of %q", len(d.Events), d.CustomerID)
			}
			continue
		}
		for _, e := range d.Events {
			told[e]++
		}
	}
	if most := maxApart + customers*each/maxDeliveryEvents + 1; count["operator"] > most || count["own"] != 1 {
		t.Errorf("deliveries by route %v, want at most %d for the operator, 1 for the customer", count, most)
	}
	if len(told) != customers*each {
		t.Errorf("%d events told, want %d", len(told), customers*each)
	}
	for p, d := range o.open { // and afterwards customers have their own again
		o.seal(d.Delivery)
		if o.open[p] != nil {
			t.Errorf("%v is open after its seal", p)
		}
	}
	if len(o.apart) != 0 {
		t.Errorf("counted as open: %v", o.apart)
	}
}
