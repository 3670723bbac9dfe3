package actors

import (
	"slices"
	"sync"
	"sync/atomic"

	"felhom.eu/messages"
)

// feed passes what became durable to those who look on. While nobody does, it
// costs the writer one load of a pointer a batch.
type feed struct {
	mu       sync.Mutex // of who comes and goes
	watchers atomic.Pointer[[]*watcher]
}

type watcher struct{ tell func(*messages.Batch) }

// Watch calls tell with every batch that became durable from now on, in order,
// until stop is called; one may be under way then. It runs on the writer's
// goroutine: it must be quick, change nothing in the batch, and may keep it.
func (h *Hub) Watch(tell func(*messages.Batch)) (stop func()) {
	f, w := &h.feed, &watcher{tell}
	f.change(func(all []*watcher) []*watcher { return append(all, w) })
	return func() {
		f.change(func(all []*watcher) []*watcher {
			return slices.DeleteFunc(all, func(o *watcher) bool { return o == w })
		})
	}
}

// change replaces the list: readers hold the old one, which nobody touches.
func (f *feed) change(how func([]*watcher) []*watcher) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []*watcher
	if now := f.watchers.Load(); now != nil {
		all = slices.Clone(*now)
	}
	if all = how(all); len(all) == 0 {
		f.watchers.Store(nil)
		return
	}
	f.watchers.Store(&all)
}

func (f *feed) tell(b *messages.Batch) {
	if all := f.watchers.Load(); all != nil {
		for _, w := range *all {
			w.tell(b)
		}
	}
}
