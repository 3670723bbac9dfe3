package actors

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/anthdm/hollywood/actor"
	"github.com/rs/zerolog"

	"felhom.eu/messages"
)

// fakeSource is a Source of one method.
type fakeSource func(context.Context) (*messages.Report, error)

func (f fakeSource) Collect(ctx context.Context) (*messages.Report, error) { return f(ctx) }

func emptyReport(context.Context) (*messages.Report, error) { return &messages.Report{}, nil }

// fakeUplink is a hub that records what it is told and answers as told.
type fakeUplink struct {
	mu       sync.Mutex
	answer   func(ctx context.Context, r *messages.Report) (messages.Envelope, error)
	started  time.Time
	got      []uint64        // sequences accepted
	at       []time.Duration // of every attempt, since started
	goodbyes []messages.Goodbye
	deaf     bool // goodbyes are not answered
}

func (u *fakeUplink) Report(ctx context.Context, r *messages.Report) (messages.Envelope, error) {
	u.mu.Lock()
	u.at = append(u.at, time.Since(u.started))
	answer := u.answer
	u.mu.Unlock()
	e, err := messages.Envelope{Status: "ok", PollIntervalSeconds: 900}, error(nil)
	if answer != nil {
		e, err = answer(ctx, r)
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if err == nil {
		u.got = append(u.got, r.Sequence)
	}
	return e, err
}

func (u *fakeUplink) Goodbye(ctx context.Context, g messages.Goodbye) (messages.Envelope, error) {
	if u.deaf {
		<-ctx.Done()
		return messages.Envelope{}, ctx.Err()
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.goodbyes = append(u.goodbyes, g)
	return messages.Envelope{Status: "ok"}, nil
}

func (u *fakeUplink) set(answer func(context.Context, *messages.Report) (messages.Envelope, error)) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.answer = answer
}

func (u *fakeUplink) accepted() []uint64 {
	u.mu.Lock()
	defer u.mu.Unlock()
	return slices.Clone(u.got)
}

func (u *fakeUplink) attempts() []time.Duration {
	u.mu.Lock()
	defer u.mu.Unlock()
	return slices.Clone(u.at)
}

// refused is a Refusal.
type refused struct {
	code  messages.Code
	after time.Duration
}

func (r refused) Error() string                           { return string(r.code) }
func (r refused) Refused() (messages.Code, time.Duration) { return r.code, r.after }

// testAgent is both actors on an engine that ends with the bubble.
type testAgent struct {
	engine              *actor.Engine
	collector, reporter *actor.PID
	log                 *bytes.Buffer // read it when the bubble is quiet
}

func startAgent(t *testing.T, source Source, uplink *fakeUplink) *testAgent {
	t.Helper()
	engine, err := actor.NewEngine(actor.NewEngineConfig())
	if err != nil {
		t.Fatal(err)
	}
	uplink.started = time.Now()
	a := &testAgent{engine: engine, log: new(bytes.Buffer)}
	log := zerolog.New(zerolog.SyncWriter(a.log))
	fatal := func(err error) { t.Error(err) }
	a.reporter = SpawnReporter(engine, ReporterConfig{HostID: "acme-7f3a90c1", Timeout: 30 * time.Second, Uplink: uplink, Fatal: fatal, Log: log})
	a.collector = SpawnCollector(engine, CollectorConfig{HostID: "acme-7f3a90c1", AgentVersion: "test", Stream: "STREAM",
		Interval: 900 * time.Second, Timeout: 60 * time.Second, Source: source, Reporter: a.reporter, Fatal: fatal, Log: log})
	t.Cleanup(func() {
		<-engine.Poison(a.collector).Done()
		<-engine.Poison(a.reporter).Done()
	})
	synctest.Wait()
	return a
}

// later lets d of the bubble's time pass, and everything in it come to rest.
func later(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// Protects the heartbeat itself: the first report at once, then one an interval.
func TestAgentReportsAtOnceAndThenEveryInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := &fakeUplink{}
		startAgent(t, fakeSource(emptyReport), hub)
		if got := hub.accepted(); !slices.Equal(got, []uint64{1}) {
			t.Fatalf("at the start: got reports %v, want the first", got)
		}
		later(10 * 900 * time.Second * 106 / 100)
		if got := hub.accepted(); len(got) != 11 || !slices.IsSorted(got) {
			t.Fatalf("after ten intervals: got reports %v, want 1 to 11", got)
		}
		for i, at := 1, hub.attempts(); i < len(at); i++ {
			if d := at[i] - at[i-1]; d < 855*time.Second || d > 945*time.Second {
				t.Errorf("report %d came %v after the one before", i+1, d)
			}
		}
	})
}

// Protects the hub's word on the pace: it counts from the very next report on.
func TestAgentAdoptsTheHubsInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := &fakeUplink{}
		hub.set(func(context.Context, *messages.Report) (messages.Envelope, error) {
			return messages.Envelope{Status: "ok", PollIntervalSeconds: 1}, nil
		})
		startAgent(t, fakeSource(emptyReport), hub)
		later(64 * time.Second)
		if got := hub.accepted(); len(got) != 2 {
			t.Fatalf("got %d reports in 64 s, want 2: 1 s is clamped to 60 s", len(got))
		}
	})
}

// Protects a slow machine: a tick finds the collection before still under way
// and starts no second one; the deadline ends it, and the row goes on.
func TestCollectionsNeverOverlapAndHaveADeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		running, most, ended := 0, 0, 0
		stuck := func(ctx context.Context) (*messages.Report, error) {
			mu.Lock()
			running++
			most = max(most, running)
			mu.Unlock()
			<-ctx.Done()
			mu.Lock()
			defer mu.Unlock()
			running--
			ended++
			return nil, ctx.Err()
		}
		hub := &fakeUplink{}
		a := startAgent(t, fakeSource(stuck), hub)
		a.engine.Send(a.collector, collectTick{})
		a.engine.Send(a.collector, collectTick{})
		later(3600 * time.Second)
		mu.Lock()
		defer mu.Unlock()
		if most != 1 || ended < 3 || len(hub.got) != 0 {
			t.Errorf("got %d at once, %d ended, %d reports; want 1, at least 3, none", most, ended, len(hub.got))
		}
	})
}

// Protects the loop from a failing and from a buggy source.
func TestFailedOrPanickingCollectionSendsNothingAndTheLoopGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		source := func(context.Context) (*messages.Report, error) {
			switch calls++; calls {
			case 1:
				return nil, errors.New("read node pve1: 595")
			case 2:
				panic("index out of range")
			}
			return &messages.Report{}, nil
		}
		hub := &fakeUplink{}
		a := startAgent(t, fakeSource(source), hub)
		later(2000 * time.Second)
		if got := hub.accepted(); !slices.Equal(got, []uint64{1}) {
			t.Errorf("got reports %v, want one, and numbered 1", got)
		}
		for _, want := range []string{"read node pve1: 595", "source panicked: index out of range"} {
			if !strings.Contains(a.log.String(), want) {
				t.Errorf("log lacks %q:\n%s", want, a.log)
			}
		}
	})
}

// Protects an outage's record: while the hub is away reports gather, and when
// it returns the newest comes first, the older ones after it, each once.
func TestBacklogIsReplayedNewestFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := &fakeUplink{}
		hub.set(func(context.Context, *messages.Report) (messages.Envelope, error) {
			return messages.Envelope{}, errors.New("connection refused")
		})
		startAgent(t, fakeSource(emptyReport), hub)
		later(69*900*time.Second + 450*time.Second)
		attempts := len(hub.attempts())
		hub.set(nil)
		later(maxRetryWait)
		got := hub.accepted()
		for i := range uint64(maxBacklog) {
			if uint64(len(got)) <= i || got[0] <= maxBacklog || got[i] != got[0]-i {
				t.Fatalf("got %d reports, in the order %v; want the newest 64 from the newest on", len(got), got)
			}
		}
		if attempts < 200 || attempts > 1500 { // 62,500 s at a mean of 150 s is 416
			t.Errorf("got %d attempts while the hub was away", attempts)
		}
	})
}

// Protects an overloaded hub: Retry-After is not undercut, by retries or by
// new reports.
func TestRetryAfterIsHonoured(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := &fakeUplink{}
		hub.set(func(context.Context, *messages.Report) (messages.Envelope, error) {
			return messages.Envelope{}, refused{messages.CodeUnavailable, 1200 * time.Second}
		})
		startAgent(t, fakeSource(emptyReport), hub)
		hub.set(nil)
		later(1199 * time.Second)
		if n := len(hub.attempts()); n != 1 {
			t.Fatalf("got %d attempts within Retry-After, want the first only", n)
		}
		later(3 * time.Second)
		if got := hub.accepted(); !slices.Equal(got, []uint64{2, 1}) {
			t.Errorf("got reports %v, want 2 then 1", got)
		}
	})
}

// Protects the reports that wait behind one the hub will never take, and those
// that a mended key will let through.
func TestOnlyAReportThatCanNeverBeAcceptedIsDiscarded(t *testing.T) {
	for code, want := range map[messages.Code][]uint64{
		messages.CodeInvalidReport: {2},
		messages.CodeBodyTooLarge:  {2},
		messages.CodeUnauthorized:  {1, 2},
		messages.CodeHostMismatch:  {1, 2},
		messages.CodeUnknownHost:   {1, 2},
		messages.CodeUnavailable:   {1, 2},
	} {
		t.Run(string(code), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				hub := &fakeUplink{}
				hub.set(func(context.Context, *messages.Report) (messages.Envelope, error) {
					return messages.Envelope{}, refused{code, 0}
				})
				a := startAgent(t, fakeSource(emptyReport), hub)
				hub.set(nil)
				later(1000 * time.Second)
				if got := hub.accepted(); !slices.Equal(got, want) {
					t.Errorf("got reports %v, want %v", got, want)
				}
				if !strings.Contains(a.log.String(), string(code)) {
					t.Errorf("log does not tell of %s:\n%s", code, a.log)
				}
			})
		})
	}
}

// Protects a planned stop: the report in flight is finished first, the goodbye
// comes after it, and nothing after the goodbye.
func TestGoodbyeFollowsTheReportInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := &fakeUplink{}
		hub.set(func(context.Context, *messages.Report) (messages.Envelope, error) {
			time.Sleep(time.Second)
			return messages.Envelope{Status: "ok"}, nil
		})
		a := startAgent(t, fakeSource(emptyReport), hub)
		backBy := time.Now().Add(time.Hour)
		answer, err := a.engine.Request(a.reporter, SayGoodbye{Reason: "reboot", BackBy: &backBy}, GoodbyeLimit).Result()
		if err != nil || answer.(GoodbyeSaid).Err != nil {
			t.Fatalf("got %v, %v", answer, err)
		}
		later(3600 * time.Second)
		if got := hub.accepted(); !slices.Equal(got, []uint64{1}) {
			t.Errorf("got reports %v, want the one that was in flight", got)
		}
		want := messages.Goodbye{HostID: "acme-7f3a90c1", SentAt: hub.goodbyes[0].SentAt, Reason: "reboot", BackBy: &backBy, Stream: "STREAM"}
		if len(hub.goodbyes) != 1 || hub.goodbyes[0] != want {
			t.Errorf("got goodbyes %+v, want one: %+v", hub.goodbyes, want)
		}
	})
}

// Protects the stop from a hub that does not answer: the attempt is abandoned,
// the asker has its answer within the limit, even when the goodbye hangs, too.
func TestGoodbyeAbandonsAHangingReport(t *testing.T) {
	const slow = time.Second // of a hub that answers the report, but late
	for _, c := range []struct {
		name         string
		answersAfter time.Duration // 0: never
		deaf         bool
		want         time.Duration
	}{
		{"report hangs", 0, false, goodbyePatience},
		{"both hang", 0, true, goodbyePatience + goodbyeTimeout},
		{"goodbye hangs", slow, true, slow + goodbyeTimeout}, // its time is not cut by the report's
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { testHangingHub(t, c.answersAfter, c.deaf, c.want) })
		})
	}
}

func testHangingHub(t *testing.T, answersAfter time.Duration, deaf bool, want time.Duration) {
	hub := &fakeUplink{deaf: deaf}
	hub.set(func(ctx context.Context, _ *messages.Report) (messages.Envelope, error) {
		if answersAfter > 0 {
			time.Sleep(answersAfter)
			return messages.Envelope{Status: "ok"}, nil
		}
		<-ctx.Done()
		return messages.Envelope{}, ctx.Err()
	})
	a := startAgent(t, fakeSource(emptyReport), hub)
	began := time.Now()
	answer, err := a.engine.Request(a.reporter, SayGoodbye{Reason: "stop"}, GoodbyeLimit).Result()
	if err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took != want || want >= GoodbyeLimit {
		t.Errorf("goodbye took %v, want %v, within %v", took, want, GoodbyeLimit)
	}
	if said := answer.(GoodbyeSaid); (said.Err != nil) != deaf || (len(hub.goodbyes) == 1) == deaf {
		t.Errorf("got %v and goodbyes %v", said.Err, hub.goodbyes)
	}
}
