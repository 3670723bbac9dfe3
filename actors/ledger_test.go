package actors

import (
	"testing"
	"testing/synctest"
	"time"

	"felhom.eu/messages"
)

// A disk that hangs is not silence of the hosts, whose reports find no room while
// those before them wait for it.
func TestHungDiskIsNotSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newScene(t)
		w.addHost("acme-00000002")
		w.start()
		w.reports(time.Hour, testHost, "acme-00000002")
		w.store.set(func() { w.store.slow = 2 * time.Hour })
		go func() { _ = w.report("acme-00000002") }()
		w.sleep(time.Second)
		w.store.set(func() { w.store.slow = 0 }) // what comes after the hung write is quick
		room := w.hub.Ingest.room
		w.hub.Ingest.room = 0
		w.sleep(2 * time.Hour)
		w.hub.Ingest.room = room
		w.sleep(5 * time.Minute)
		w.reports(time.Hour, testHost, "acme-00000002")
		w.wantEvents(messages.HubGap)
		w.stop()
	})
}

// A gap that ends on a full disk is told when there is room again.
func TestGapIsToldThoughTheDiskIsFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newScene(t)
		w.start()
		w.reports(time.Hour, testHost)
		w.stop()
		w.sleep(3 * time.Hour)
		w.store.full = true
		w.start()
		w.sleep(time.Minute)
		w.store.set(func() { w.store.full = false })
		w.sleep(5 * time.Second)
		w.reports(time.Minute, testHost)
		w.wantEvents(messages.HubGap)
		w.stop()
	})
}

// A hub that has no descriptors left to accept connections with does not take
// that for silence of the hosts.
func TestWantOfDescriptorsIsNotSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newScene(t)
		w.addHost("acme-00000002")
		w.start()
		w.reports(time.Hour, testHost, "acme-00000002")
		w.hub.Deaf(true)
		w.sleep(2 * time.Hour)
		if w.hub.Listening() {
			t.Error("a deaf hub says that it listens")
		}
		w.hub.Deaf(false)
		w.sleep(5 * time.Minute)
		w.reports(time.Hour, testHost, "acme-00000002")
		w.wantEvents(messages.HubGap)
		w.stop()
	})
}
