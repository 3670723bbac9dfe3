package telling

import (
	"fmt"
	"time"

	"felhom.eu/messages"
)

const (
	// flipsTold is how many changes within flipsWithin are one alarm of their own,
	flipsTold   = 5
	flipsWithin = time.Hour
	// until nothing has changed for so long.
	settledAfter = 15 * time.Minute
)

// subject is what an alarm of a host is about: the host's silence, or what one rule
// says of one thing of it. Alarms with the same recovery are the same subject.
type subject struct {
	host  messages.HostID
	vmid  messages.VMID
	thing string
	ends  messages.EventType
}

func subjectOf(a *entry) subject { return subject{a.HostID, a.VMID, a.Subject, a.Type.Recovery()} }

// flips are the instants of a subject's last changes, the newest first; monotonic.
type flips [flipsTold]time.Duration

// flaps is what comes and goes. What changed within the last hour is not kept over a
// restart; that something is flapping is, as the alarm that says so.
type flaps struct {
	flips    map[subject]*flips
	before   map[subject]*flips // as of the last commit, of those that changed since
	flapping map[subject]*entry
	fresh    []subject // to be told of
	swept    time.Duration
}

func (f *flaps) forget() {
	f.flips, f.before = make(map[subject]*flips), make(map[subject]*flips)
}

// flipped notes that an alarm was opened or closed.
func (b *Book) flipped(a *entry, now Now) {
	if a.HostID == "" || a.Incident != "" || a.Type.Recovery() == "" || a.Type == messages.HostFlapping {
		return
	}
	f, s := &b.flaps, subjectOf(a)
	was := f.flips[s]
	if _, kept := f.before[s]; !kept {
		f.before[s] = was
	}
	next := &flips{now.Mono}
	n := 1
	if was != nil {
		for n < flipsTold && was[n-1] > now.Mono-flipsWithin && was[n-1] != 0 {
			next[n] = was[n-1]
			n++
		}
	}
	f.flips[s] = next
	if flapping := f.flapping[s]; flapping != nil {
		b.remind(flapping, now)
	} else if n == flipsTold {
		f.fresh = append(f.fresh, s)
	}
}

// pass forgets what an incident speaks for.
func (f *flaps) pass(a *entry) {
	s := subjectOf(a)
	if was := f.flips[s]; was != nil {
		if _, kept := f.before[s]; !kept {
			f.before[s] = was
		}
		delete(f.flips, s)
	}
}

// hold reports whether an alarm is of a subject that is flapping.
func (f *flaps) hold(a *entry) bool {
	if len(f.flapping) == 0 || a.HostID == "" || a.Type == messages.HostFlapping {
		return false
	}
	return f.flapping[subjectOf(a)] != nil
}

// due is when a flapping subject has settled, if nothing more happens.
func (f *flaps) due(a *entry) time.Duration {
	s := flapOf(a)
	if a.Type != messages.HostFlapping || f.flapping[s] != a {
		return never
	}
	at := a.fell
	if last := f.flips[s]; last != nil {
		at = max(at, last[0])
	}
	return at + settledAfter
}

// flapOf is the subject that an alarm of type host_flapping is about.
func flapOf(a *entry) subject { return subject{a.HostID, a.VMID, a.Subject, a.Flaps} }

// flapping tells what has begun to flap.
func (t *round) flapping() {
	b := t.book
	for _, s := range b.flaps.fresh {
		if b.flaps.flapping[s] != nil {
			continue
		}
		e := messages.Event{Type: messages.HostFlapping, At: t.now.Wall.UTC(), CustomerID: s.host.Customer(), HostID: s.host,
			IncidentID: t.numbers.Incident(), Summary: fmt.Sprintf("%s comes and goes: %d changes within an hour", s, flipsTold),
			Detail: messages.EventDetail{VMID: s.vmid, Subject: s.thing}}
		t.emit(&e)
		a := b.alarms[e.IncidentID]
		a.Flaps = s.ends
		b.flaps.flapping[s] = a
		b.remind(a, t.now)
	}
	b.flaps.fresh = nil
	b.flaps.sweep(t.now)
}

// emit puts an event of the Book's own into the batch, and hears it.
func (t *round) emit(e *messages.Event) {
	t.numbers.Event(e)
	t.batch.Events = append(t.batch.Events, *e)
	t.book.Hear(e, t.now)
}

// settled ends the flapping of what has not changed for a while, and says how it is
// now: that counts as told.
func (t *round) settled(a *entry) {
	b, s := t.book, flapOf(a)
	if b.flaps.flapping[s] != a || b.flaps.due(a) > t.now.Mono {
		return
	}
	delete(b.flaps.flapping, s)
	words := "it is well"
	for _, x := range b.alarms {
		if x.HostID == s.host && x.Open() && subjectOf(x) == s {
			words = "it still is wrong: " + x.Summary
			b.touch(x)
			x.tell(x.Pending, t.now.Wall)
			x.Pending, x.PendingSince = nil, time.Time{}
			b.remind(x, t.now)
		}
	}
	t.emit(&messages.Event{Type: messages.HostSettled, At: t.now.Wall.UTC(), CustomerID: a.CustomerID, HostID: a.HostID, IncidentID: a.ID,
		Summary: fmt.Sprintf("%s has settled, %s", s, words), Detail: messages.EventDetail{VMID: s.vmid, Subject: s.thing}})
}

// String is a subject in words.
func (s subject) String() string {
	switch {
	case s.vmid != 0:
		return fmt.Sprintf("guest %d of %s", s.vmid, s.host)
	case s.thing != "":
		return fmt.Sprintf("%s of %s", s.thing, s.host)
	}
	return string(s.host)
}

// sweep forgets changes of more than an hour ago, now and then.
func (f *flaps) sweep(now Now) {
	if now.Mono < f.swept+flipsWithin/4 {
		return
	}
	f.swept = now.Mono
	for s, x := range f.flips {
		if x[0] <= now.Mono-flipsWithin {
			delete(f.flips, s)
		}
	}
}

func (f *flaps) commit() { clear(f.before) }

// reset goes back to the last commit; which subjects flap is in the alarms.
func (f *flaps) reset() {
	for s, was := range f.before {
		if was == nil {
			delete(f.flips, s)
		} else {
			f.flips[s] = was
		}
	}
	clear(f.before)
	f.fresh = nil
}

// reflap finds again what flaps.
func (b *Book) reflap(sorted []*entry, now Now) {
	b.flaps.reset()
	b.flaps.flapping = make(map[subject]*entry)
	for _, a := range sorted {
		if a.Type == messages.HostFlapping && a.Open() {
			a.fell = now.Mono
			b.flaps.flapping[flapOf(a)] = a
		}
	}
}
