package actors

import (
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"felhom.eu/messages"
)

// Messages are handled once each, in the order of their sender, and never two at
// a time, whoever puts them.
func TestMailboxKeepsOrderAndOneWorker(t *testing.T) {
	const senders, each = 8, 2000
	type note struct{ sender, n int }
	var box mailbox
	var all, workers sync.WaitGroup
	var next [senders]int // unguarded: the race detector watches it
	handled := 0
	work := func() {
		for l := box.take(); l != nil; l = box.take() {
			for ; l != nil; l = l.next {
				m := l.message.(note)
				if m.n != next[m.sender] {
					t.Errorf("sender %d: got %d, want %d", m.sender, m.n, next[m.sender])
				}
				next[m.sender]++
				handled++
			}
		}
	}
	for s := range senders {
		all.Go(func() {
			for n := range each {
				if box.put(note{s, n}) {
					if n%2 == 0 {
						work()
					} else {
						workers.Go(work)
					}
				}
			}
		})
	}
	all.Wait()
	workers.Wait()
	if handled != senders*each {
		t.Errorf("%d handled, want %d", handled, senders*each)
	}
	if box.newest.Load() != nil {
		t.Error("the mailbox is not idle")
	}
}

// The heap gives alarms back in the order of their times.
func TestAlarmsComeInOrder(t *testing.T) {
	a := &alarms{}
	r := rand.New(rand.NewPCG(1, 2))
	var want, got []int64
	for range 1000 {
		if r.IntN(3) > 0 || len(a.queue) == 0 {
			at := r.Int64N(500)
			a.push(alarm{at: at})
			want = append(want, at)
		} else {
			slices.Sort(want)
			if x := a.pop().at; x != want[0] {
				t.Fatalf("got %d, want %d", x, want[0])
			}
			want = want[1:]
		}
	}
	for len(a.queue) > 0 {
		got = append(got, a.pop().at)
	}
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// A large fleet that falls silent in one moment is told host by host, with a
// bounded number of decisions in memory; nobody is forgotten behind the bound.
func TestSilenceOfAllIsBounded(t *testing.T) {
	const hosts = maxRinging + 1000
	synctest.Test(t, func(t *testing.T) {
		w := newScene(t)
		w.store.slow = time.Second
		heard := w.store.past.Ledger.Listened
		for i := range hosts {
			id := messages.HostID("acme-" + hex8(i+2))
			w.addHost(id)
			w.store.states[id] = messages.HostState{ID: id, Phase: messages.PhaseOK, ContactHeard: heard}
		}
		w.start()
		most := 0
		for range 62 * 60 {
			time.Sleep(time.Second)
			w.hub.alarms.mu.Lock()
			most = max(most, w.hub.alarms.open)
			w.hub.alarms.mu.Unlock()
		}
		w.sleep(time.Minute)
		if got := w.hub.Stats().Hosts(); got[messages.PhaseDown] != hosts {
			t.Errorf("%v hosts by phase, want %d down", got, hosts)
		}
		incident := func(e messages.Event) bool { return e.Type == messages.IncidentOpened }
		if n := len(w.store.events); n != 2*hosts+2 {
			t.Errorf("%d events, want %d, and the incident twice: as it began and as it got worse", n, 2*hosts)
		}
		w.store.events = slices.DeleteFunc(w.store.events, incident)
		if !slices.IsSortedFunc(w.store.events[:hosts], func(x, y messages.Event) int { return strings.Compare(string(x.HostID), string(y.HostID)) }) {
			t.Error("the hosts are not told in the order of their ids: a customer's deliveries are in every batch")
		}
		if most > maxRinging {
			t.Errorf("%d decisions at once, want at most %d", most, maxRinging)
		}
		w.stop()
	})
}

func hex8(i int) string {
	const digits = "0123456789abcdef"
	b := []byte("00000000")
	for p := len(b) - 1; i > 0; p, i = p-1, i>>4 {
		b[p] = digits[i&15]
	}
	return string(b)
}

// A host in memory is one allocation of a size class of Go's: a field more costs
// a million hosts 32 MB, so whoever needs one says so here.
func TestHostIsSmall(t *testing.T) {
	const class = 416
	if n := unsafe.Sizeof(Host{}); n > class {
		t.Errorf("a Host takes %d bytes, want at most %d", n, class)
	}
}
