package actors

import (
	"math/rand/v2"
	"testing"
	"time"

	"felhom.eu/messages"
)

// clocks are readings for tests: each method returns the next one.
type clocks struct{ at Instant }

func startClocks() *clocks {
	return &clocks{Instant{Wall: worldBegan, Mono: 50 * time.Hour, Boot: 80 * time.Hour}}
}

// run lets d pass on every clock.
func (c *clocks) run(d time.Duration) Instant {
	c.at.Wall, c.at.Mono, c.at.Boot = c.at.Wall.Add(d), c.at.Mono+d, c.at.Boot+d
	return c.at
}

// suspend lets d pass while the machine sleeps.
func (c *clocks) suspend(d time.Duration) Instant {
	c.at.Wall, c.at.Boot = c.at.Wall.Add(d), c.at.Boot+d
	return c.at
}

// step sets the wall clock by d; so does a pause of a virtual machine.
func (c *clocks) step(d time.Duration) Instant {
	c.at.Wall = c.at.Wall.Add(d)
	return c.at
}

// listeningAt is a counter of an hour, open at c.
func listeningAt(c *clocks) listening {
	return listening{heard: messages.Listened(time.Hour), resumed: NeverResumed, open: true, last: c.at}
}

// TestOneReadingOfAnOpenHub protects the counter of silence: it grows by what
// the process really ran, and whatever may have made the hub deaf earns a grace.
func TestOneReadingOfAnOpenHub(t *testing.T) {
	tests := []struct {
		name  string
		pass  func(*clocks)
		adds  time.Duration
		cause string
		gap   time.Duration
	}{
		{"a tick", func(c *clocks) { c.run(time.Second) }, time.Second, "", 0},
		{"a late tick", func(c *clocks) { c.run(2 * time.Second) }, 2 * time.Second, "", 0},
		{"no time", func(*clocks) {}, 0, "", 0},
		{"a monotonic clock that went back", func(c *clocks) { c.at.Mono -= time.Second }, 0, "", 0},
		{"starved, but an agent waits as long", func(c *clocks) { c.run(32 * time.Second) }, 2 * time.Second, "", 0},
		{"starved", func(c *clocks) { c.run(33 * time.Second) }, 2 * time.Second, "the hub was starved", 33 * time.Second},
		{"suspended shortly", func(c *clocks) { c.suspend(30 * time.Second) }, 0, "", 0},
		{"suspended", func(c *clocks) { c.suspend(3 * time.Hour); c.run(time.Second) }, time.Second, "the machine was suspended", 3*time.Hour + time.Second},
		{"suspended, and the clock set back meanwhile", func(c *clocks) { c.suspend(3 * time.Hour); c.step(-5 * time.Hour) }, 0, "the machine was suspended", 3 * time.Hour},
		{"paused, or set ahead", func(c *clocks) { c.step(time.Hour); c.run(time.Second) }, time.Second, "the clock jumped ahead", time.Hour + time.Second},
		{"set ahead a little", func(c *clocks) { c.step(29 * time.Second); c.run(time.Second) }, time.Second, "", 0},
		{"set back", func(c *clocks) { c.step(-2 * time.Hour); c.run(time.Second) }, time.Second, "", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := startClocks()
			s := listeningAt(c)
			tt.pass(c)
			want := Moment{Wall: c.at.Wall, At: messages.Listened(time.Hour).Add(tt.adds), Resumed: NeverResumed}
			if tt.cause != "" {
				want.Resumed = want.At
			}
			if got := s.moment(c.at); got != want {
				t.Errorf("before the tick: got %+v, want %+v", got, want)
			}
			gap, deaf := s.advance(c.at)
			if deaf != (tt.cause != "") || gap.Cause != tt.cause || gap.Duration() != tt.gap {
				t.Errorf("got gap %v of %v (%q), want %v (%q)", deaf, gap.Duration(), gap.Cause, tt.gap, tt.cause)
			}
			if got := s.moment(c.at); got != want {
				t.Errorf("after the tick: got %+v, want %+v", got, want)
			}
		})
	}
}

// TestClosedHubCountsNothing protects hosts from a hub that refuses writes: the
// time is not their silence, and a long refusal earns them a grace.
func TestClosedHubCountsNothing(t *testing.T) {
	tests := []struct {
		name string
		pass func(*clocks)
		gap  time.Duration // 0: none
	}{
		{"for seconds", func(c *clocks) { c.run(30 * time.Second) }, 0},
		{"for an hour", func(c *clocks) { c.run(time.Hour) }, time.Hour},
		{"for an hour in which the clock is set back", func(c *clocks) { c.run(time.Hour); c.step(-2 * time.Hour) }, time.Hour},
		{"for seconds in which the machine is suspended", func(c *clocks) { c.run(time.Second); c.suspend(time.Hour) }, time.Hour + time.Second},
		{"for seconds in which the machine is paused", func(c *clocks) { c.run(time.Second); c.step(time.Hour) }, time.Hour + time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := startClocks()
			s := listeningAt(c)
			s.closeAt(c.run(time.Second), "the store is full")
			s.closeAt(c.run(0), "again")
			heard := messages.Listened(time.Hour + time.Second)
			for range 3 { // ticks go on
				tt.pass(c)
				if gap, deaf := s.advance(c.at); deaf {
					t.Errorf("a closed hub told a gap: %+v", gap)
				}
				if got := s.moment(c.at).At; got != heard {
					t.Fatalf("closed hub has heard %v, want %v", got.Duration(), heard.Duration())
				}
				if tt.gap == 0 {
					break
				}
			}
			gap, deaf := s.openAt(c.at)
			if deaf != (tt.gap != 0) || deaf && (gap.Duration() < tt.gap || gap.Cause != "the store is full") {
				t.Errorf("got gap %v of %v (%q), want at least %v", deaf, gap.Duration(), gap.Cause, tt.gap)
			}
			if got := s.moment(c.at).Resumed == heard; got != (tt.gap != 0) {
				t.Errorf("grace given: %v, want %v", got, tt.gap != 0)
			}
			if got := s.moment(c.run(time.Second)).At; got != heard.Add(time.Second) {
				t.Errorf("reopened hub has heard %v, want %v", got.Duration(), (heard + 1e9).Duration())
			}
		})
	}
}

// TestStartOfTheProgram protects hosts from restarts, however short, and a new
// hub from beginning with a gap since 1970.
func TestStartOfTheProgram(t *testing.T) {
	c := startClocks()
	ledger := messages.Ledger{Listened: messages.Listened(7 * time.Hour), At: c.at.Wall}
	tests := []struct {
		name   string
		ledger messages.Ledger
		pass   func(*clocks)
		gap    bool
		length time.Duration
	}{
		{"the first ever", messages.Ledger{}, func(c *clocks) { c.run(time.Hour) }, false, 0},
		{"at once", ledger, func(*clocks) {}, true, 0},
		{"after 5 s", ledger, func(c *clocks) { c.run(5 * time.Second) }, true, 5 * time.Second},
		{"after 3 h", ledger, func(c *clocks) { c.run(3 * time.Hour) }, true, 3 * time.Hour},
		{"after the clock was set back", ledger, func(c *clocks) { c.run(time.Hour); c.step(-9 * time.Hour) }, true, 0},
		{"of the whole machine", ledger, func(c *clocks) { c.run(time.Hour); c.at.Mono, c.at.Boot = 0, 0 }, true, time.Hour},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := startClocks()
			tt.pass(c)
			s := resume(tt.ledger, c.at)
			if m := s.moment(c.at); m.At != tt.ledger.Listened {
				t.Errorf("before it listens: %+v", m)
			}
			gap, deaf := s.openAt(c.at)
			if deaf != tt.gap || gap.Duration() != tt.length {
				t.Errorf("got gap %v of %v, want %v of %v", deaf, gap.Duration(), tt.gap, tt.length)
			}
			m := s.moment(c.at)
			if m.At != tt.ledger.Listened || (m.Resumed == m.At) != tt.gap {
				t.Errorf("once it listens: %+v", m)
			}
			if _, deaf := s.openAt(c.run(time.Second)); deaf || s.heard != m.At.Add(time.Second) {
				t.Errorf("opened twice: gap %v, heard %v", deaf, s.heard.Duration())
			}
		})
	}
}

// TestAnOpenHubToldToOpenTellsItsGap protects a gap that ends with a second
// word to open, rather than with a tick.
func TestAnOpenHubToldToOpenTellsItsGap(t *testing.T) {
	c := startClocks()
	s := listeningAt(c)
	if gap, deaf := s.openAt(c.suspend(time.Hour)); !deaf || gap.Duration() != time.Hour {
		t.Errorf("got %+v, %v", gap, deaf)
	}
}

// TestListeningTimeNeverGoesBack protects every difference of two moments:
// whatever the clocks do, in whatever order readers and ticks come, listening
// time does not shrink and does not outrun the time that passed.
func TestListeningTimeNeverGoesBack(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 1))
		span := func(d time.Duration) time.Duration { return time.Duration(r.Int64N(int64(d))) }
		c := startClocks()
		s := listeningAt(c)
		last, began, ran := s.moment(c.at), s.heard, time.Duration(0)
		var ledger messages.Ledger
		for range 500 {
			switch r.IntN(12) {
			case 0:
				c.suspend(span(time.Hour))
			case 1:
				c.step(span(4*time.Hour) - 2*time.Hour)
			case 2:
				s.closeAt(c.at, "a test")
			case 3:
				s.openAt(c.at)
			case 4: // a restart that lost nothing
				ledger = messages.Ledger{Listened: s.moment(c.at).At, At: c.at.Wall}
				s = resume(ledger, c.at)
				s.openAt(c.at)
			case 5:
				d := span(time.Minute)
				c.run(d)
				ran += d
			case 6, 7:
				s.advance(c.at)
			default:
				d := span(2 * time.Second)
				c.run(d)
				ran += d
			}
			now := s.moment(c.at)
			if now.At < last.At {
				t.Fatalf("seed %d: listening time went back by %v", seed, (last.At - now.At).Duration())
			}
			if now.At-began > messages.Listened(ran) {
				t.Fatalf("seed %d: heard %v in %v", seed, (now.At - began).Duration(), ran)
			}
			if now.Resumed > now.At {
				t.Fatalf("seed %d: resumed %v ahead", seed, (now.Resumed - now.At).Duration())
			}
			last = now
		}
	}
}
