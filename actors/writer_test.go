package actors

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"felhom.eu/messages"
)

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
		w.store.limit = 32768
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
		if n := len(w.store.events); n != len(ids)+1 { // and the incident of the whole fleet
			t.Errorf("%d events, want %d", n, len(ids)+1)
		}
	})
}
