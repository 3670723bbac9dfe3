package actors

import "sync/atomic"

// mailbox is where a host's messages wait. It is one word: nil while the host is
// idle, else the newest letter, whose chain ends in busy. Whoever finds it idle
// has to work it off, so at most one goroutine is inside a host at a time.
type mailbox struct{ newest atomic.Pointer[letter] }

type letter struct {
	next    *letter
	message any
}

// busy ends the chain of a mailbox that is being worked off.
var busy = new(letter)

// put adds a message from any goroutine. idle tells that nobody works the mailbox
// off: then the caller has to, with take.
func (b *mailbox) put(message any) (idle bool) {
	l := &letter{message: message}
	for {
		top := b.newest.Load()
		if idle, l.next = top == nil, top; idle {
			l.next = busy
		}
		if b.newest.CompareAndSwap(top, l) {
			return idle
		}
	}
}

// take empties a mailbox that the caller works off: its letters in the order in
// which they were put. With nil the mailbox is idle, and no longer the caller's.
func (b *mailbox) take() (oldest *letter) {
	if b.newest.CompareAndSwap(busy, nil) {
		return nil
	}
	for l := b.newest.Swap(busy); l != busy; {
		l.next, oldest, l = oldest, l, l.next
	}
	return oldest
}
