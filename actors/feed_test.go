package actors

import (
	"testing"

	"felhom.eu/messages"
)

// Every watcher hears every batch from when it came until it left, in order.
func TestWatchersHearBatchesUntilTheyStop(t *testing.T) {
	var h Hub
	var first, second []uint64
	hear := func(to *[]uint64) func(*messages.Batch) {
		return func(b *messages.Batch) { *to = append(*to, b.Sequence) }
	}
	h.feed.tell(&messages.Batch{Sequence: 1})
	stopFirst := h.Watch(hear(&first))
	h.feed.tell(&messages.Batch{Sequence: 2})
	stopSecond := h.Watch(hear(&second))
	h.feed.tell(&messages.Batch{Sequence: 3})
	stopFirst()
	h.feed.tell(&messages.Batch{Sequence: 4})
	stopSecond()
	if h.feed.tell(&messages.Batch{Sequence: 5}); h.feed.watchers.Load() != nil {
		t.Error("nobody watches, and the writer still looks")
	}
	if len(first) != 2 || first[1] != 3 || len(second) != 2 || second[0] != 3 {
		t.Errorf("heard %v and %v, want [2 3] and [3 4]", first, second)
	}
}
