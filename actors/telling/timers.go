package telling

import (
	"container/heap"
	"time"
)

// timers wake alarms: the earliest first.
type timers struct{ items alarmHeap }

// timer is valid while its alarm's lookAt is at.
type timer struct {
	at time.Duration
	a  *entry
}

type alarmHeap []timer

// Len implements sort.Interface.
func (h alarmHeap) Len() int { return len(h) }

// Less implements sort.Interface.
func (h alarmHeap) Less(i, j int) bool {
	return h[i].at < h[j].at || h[i].at == h[j].at && h[i].a.ID < h[j].a.ID
}

// Swap implements sort.Interface.
func (h alarmHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }

// Push implements heap.Interface.
func (h *alarmHeap) Push(x any) { *h = append(*h, x.(timer)) }

// Pop implements heap.Interface.
func (h *alarmHeap) Pop() any {
	n := len(*h) - 1
	x := (*h)[n]
	(*h)[n] = timer{}
	*h = (*h)[:n]
	return x
}

// set wakes an alarm at an instant, and not at the one that was set before.
func (t *timers) set(a *entry, at time.Duration) {
	if a.lookAt == at {
		return
	}
	if a.lookAt = at; at < never {
		heap.Push(&t.items, timer{at, a})
	}
}

// due takes out those whose time has come.
func (t *timers) due(now time.Duration) (as []*entry) {
	for t.next() <= now {
		if x := heap.Pop(&t.items).(timer); x.a.lookAt == x.at {
			x.a.lookAt = never
			as = append(as, x.a)
		}
	}
	return as
}

// next is when the earliest is due.
func (t *timers) next() time.Duration {
	for len(t.items) > 0 && t.items[0].a.lookAt != t.items[0].at {
		heap.Pop(&t.items)
	}
	if len(t.items) == 0 {
		return never
	}
	return t.items[0].at
}

// all are the alarms that have a timer, some of them twice.
func (t *timers) all() (as []*entry) {
	for _, x := range t.items {
		if x.a.lookAt == x.at {
			as = append(as, x.a)
		}
	}
	return as
}
