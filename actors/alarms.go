package actors

import (
	"slices"
	"strings"
	"sync"
	"time"
)

// maxRinging bounds the transitions that deadlines have brought about and that
// are not durable yet: when a large part of a fleet falls silent in one moment,
// its decisions must not all be in memory at once.
const maxRinging = 8192

// alarms wake hosts when their deadlines come: one timer for the whole fleet. A
// time.Timer for each costs 140 bytes a host, and a goroutine for each that fires.
type alarms struct {
	clock   *Clock
	mu      sync.Mutex
	epoch   time.Time
	queue   []alarm // a heap, the earliest first
	due     []*Host // called, and not woken yet, in the order of their ids
	timer   *time.Timer
	ringing bool // on one goroutine at a time
	open    int  // transitions under way
	stopped bool
}

// alarm is valid while its host's alarmAt is at.
type alarm struct {
	at   int64 // nanoseconds since the epoch, on Go's monotonic clock
	host *Host
}

// called is the alarmAt of a host whose alarm is over, and that is to be woken.
const called = -1

func newAlarms(clock *Clock) *alarms { return &alarms{clock: clock, epoch: time.Now()} }

// set wakes h after wait, and not at an earlier set's time any more.
func (a *alarms) set(h *Host, wait time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.stopped {
		return
	}
	h.alarmAt = max(int64(time.Since(a.epoch)+wait), 1)
	a.push(alarm{h.alarmAt, h})
	if a.queue[0].host == h && len(a.due) == 0 && !a.ringing {
		a.wind()
	}
}

// forget drops h's alarm: the host is gone.
func (a *alarms) forget(h *Host) {
	a.mu.Lock()
	defer a.mu.Unlock()
	h.alarmAt = 0
}

// stop ends all alarms.
func (a *alarms) stop() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.stopped, a.queue, a.due = true, nil, nil
	if a.timer != nil {
		a.timer.Stop()
	}
}

// began counts a transition that is on its way to the disk; ended takes it off.
func (a *alarms) began() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.open++
}

func (a *alarms) ended() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.open--; a.open == maxRinging/2 && !a.ringing {
		a.wind()
	}
}

// wind sets the timer for the earliest alarm. While too much is under way none
// rings: ended winds again.
func (a *alarms) wind() {
	if len(a.queue)+len(a.due) == 0 || a.open >= maxRinging || a.stopped {
		return
	}
	var wait time.Duration
	if len(a.due) == 0 {
		wait = time.Duration(a.queue[0].at) - time.Since(a.epoch)
	}
	if a.timer == nil {
		a.timer = time.AfterFunc(wait, a.ring)
		return
	}
	a.timer.Reset(wait)
}

// ring wakes the hosts whose time has come, on this goroutine: three hundred
// thousand at once must not be as many goroutines.
func (a *alarms) ring() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.ringing {
		return
	}
	if a.ringing = true; !a.clock.open() { // nothing is due while nobody can be heard
		a.ringing = false
		a.rest()
		return
	}
	for h := a.next(); h != nil; h = a.next() {
		a.mu.Unlock()
		h.tell(checkDeadline{})
		a.mu.Lock()
	}
	a.ringing = false
	a.wind()
}

// rest looks again a little later.
func (a *alarms) rest() {
	if !a.stopped {
		a.timer.Reset(idleCheck)
	}
}

// next takes the next host whose time has come; nil when there is none, or too
// much is under way.
func (a *alarms) next() *Host {
	if len(a.due) == 0 {
		a.call()
	}
	for len(a.due) > 0 && a.open < maxRinging && !a.stopped {
		h := a.due[0]
		a.due[0], a.due = nil, a.due[1:]
		if h.alarmAt == called {
			h.alarmAt = 0
			return h
		}
	}
	return nil
}

// call takes all whose time has come out of the queue. They are woken in the order
// of their ids, so that the events of a customer, whose deliveries each batch has
// to write anew, come in few batches.
func (a *alarms) call() {
	a.due = nil
	for now := int64(time.Since(a.epoch)); len(a.queue) > 0 && a.queue[0].at <= now; {
		if x := a.pop(); x.host.alarmAt == x.at {
			x.host.alarmAt = called
			a.due = append(a.due, x.host)
		}
	}
	slices.SortFunc(a.due, func(x, y *Host) int { return strings.Compare(x.entry.pid.ID, y.entry.pid.ID) })
}

// push and pop keep the heap: four children a node, so that a million are ten levels.
const children = 4

func (a *alarms) push(x alarm) {
	a.queue = append(a.queue, x)
	q, i := a.queue, len(a.queue)-1
	for i > 0 && x.at < q[(i-1)/children].at {
		q[i] = q[(i-1)/children]
		i = (i - 1) / children
	}
	q[i] = x
}

func (a *alarms) pop() alarm {
	q := a.queue
	first, last := q[0], q[len(q)-1]
	q[len(q)-1] = alarm{}
	a.queue = q[:len(q)-1]
	if q = a.queue; len(q) == 0 {
		return first
	}
	i := 0
	for {
		least := i*children + 1
		if least >= len(q) {
			break
		}
		for c := least + 1; c < min(i*children+1+children, len(q)); c++ {
			if q[c].at < q[least].at {
				least = c
			}
		}
		if last.at <= q[least].at {
			break
		}
		q[i], i = q[least], least
	}
	q[i] = last
	return first
}
