package dashboard

import (
	"testing"
	"time"

	"github.com/rs/zerolog"

	"felhom.eu/messages"
)

// The first screen of ten thousand hosts, from the request to the last byte.
func BenchmarkFirstScreen(b *testing.B) {
	h := newFakeHub(10_000)
	d := New(h, Config{}, zerolog.Nop())
	for _, path := range []string{"/", "/?part=fleet&sort=cpu", "/?part=fleet&q=00000777"} {
		b.Run(path, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if status, _ := get(d, path); status != 200 {
					b.Fatal(status)
				}
			}
		})
	}
}

// A tick with one viewer, when a sixtieth of ten thousand hosts has reported twice.
func BenchmarkTick(b *testing.B) {
	h := newFakeHub(10_000)
	d := New(h, Config{}, zerolog.Nop())
	get(d, "/")
	w := &watching{shown: map[messages.HostID]bool{}, news: make(chan []byte, viewerQueue), gone: make(chan struct{})}
	for i := range 50 {
		w.shown[hostAt(i)] = true
	}
	d.board.join(w)
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		batch := &messages.Batch{}
		for i := range 333 {
			batch.Hosts = append(batch.Hosts, stateOf(hostAt((n*333+i)%10_000), messages.PhaseOK))
		}
		d.board.enqueue(batch)
		d.board.beat(time.Now())
		<-w.news
	}
}
