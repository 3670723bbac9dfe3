package load

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"
)

// Plan is what to send.
type Plan struct {
	Addr        string      // ip:port on loopback
	TLS         *tls.Config // nil: plain HTTP
	Hosts       []*Host
	Connections int           // each speaks for its own share of Hosts; no more than there are hosts
	Rate        float64       // reports a second in all, sent on a fixed timetable; 0: each connection sends as soon as it is answered
	Warm        time.Duration // sent before counting begins
	For         time.Duration // how long is counted; required
	Rounds      int           // end when every host was answered 200 so often; 0: only For ends it
	Remember    bool          // keep an Ack of every report answered 200, warm-up included
}

// Result is what came back. Latency and Count leave the warm-up out; the other
// counts do not.
type Result struct {
	Count    int           // answered 200 while counting
	Elapsed  time.Duration // how long was counted
	Latency  Histogram     // of those; with a Rate from the moment the report was due
	Statuses map[int]int   // answers by status
	Errors   int           // connections refused, lost, or timed out
	LastErr  error         // the last of them
	Acks     []Ack         // in no order; with Plan.Remember
}

// PerSecond is the reports answered 200 a second while counting.
func (r *Result) PerSecond() float64 {
	if r.Elapsed <= 0 {
		return 0
	}
	return float64(r.Count) / r.Elapsed.Seconds()
}

// Refused is how many answers were not 200.
func (r *Result) Refused() (n int) {
	for status, count := range r.Statuses {
		if status != 200 {
			n += count
		}
	}
	return n
}

// answerTimeout bounds the wait for one answer.
const answerTimeout = 15 * time.Second

// retryPause is waited after a refusal or a lost connection.
const retryPause = 5 * time.Millisecond

// Run carries the plan out and returns when it is over or ctx ends; an end of
// ctx is no error. A report that was refused or not answered is sent again as
// it was, by the same host, until the run is over. Errors: a plan that cannot
// be carried out.
func Run(ctx context.Context, p Plan) (*Result, error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	start := time.Now()
	workers := make([]worker, p.Connections)
	var wg sync.WaitGroup
	for k := range workers {
		w := &workers[k]
		w.plan, w.index = &p, k
		w.from, w.until = start.Add(p.Warm), start.Add(p.Warm+p.For)
		w.result.Statuses = map[int]int{}
		wg.Go(func() { w.run(ctx) })
	}
	wg.Wait()
	return collect(workers, min(time.Since(start)-p.Warm, p.For)), nil
}

func (p *Plan) check() error {
	if err := p.checkAddr(); err != nil {
		return err
	}
	switch {
	case p.For <= 0:
		return errors.New("load: no end: For is not set")
	case p.Connections < 1 || p.Connections > len(p.Hosts):
		return fmt.Errorf("load: %d connections for %d hosts; want 1 to one a host", p.Connections, len(p.Hosts))
	}
	return nil
}

func (p *Plan) checkAddr() error {
	addr, err := netip.ParseAddrPort(p.Addr)
	if err != nil {
		return fmt.Errorf("load: address %q: %w", p.Addr, err)
	}
	if !addr.Addr().IsLoopback() {
		return fmt.Errorf("load: %s is not on loopback", p.Addr)
	}
	return nil
}

func collect(workers []worker, elapsed time.Duration) *Result {
	sum := &Result{Elapsed: elapsed, Statuses: map[int]int{}}
	for k := range workers {
		r := &workers[k].result
		sum.Count += r.Count
		sum.Latency.Merge(&r.Latency)
		sum.Errors += r.Errors
		if r.LastErr != nil {
			sum.LastErr = r.LastErr
		}
		sum.Acks = append(sum.Acks, r.Acks...)
		for status, n := range r.Statuses {
			sum.Statuses[status] += n
		}
	}
	return sum
}

// worker is one connection and the hosts that it speaks for: every
// Connections-th, so that no host is spoken for twice.
type worker struct {
	plan        *Plan
	index       int
	from, until time.Time // of counting
	conn        *conn
	stop        func() bool // undoes that ctx closes conn
	request     []byte
	result      Result
}

func (w *worker) run(ctx context.Context) {
	defer w.hangUp()
	due, gap := w.timetable()
	for round := 0; w.plan.Rounds == 0 || round < w.plan.Rounds; round++ {
		for i := w.index; i < len(w.plan.Hosts); i += w.plan.Connections {
			begin := time.Now()
			if gap > 0 {
				pause(ctx, time.Until(due))
				begin, due = due, due.Add(gap)
			}
			if !w.tell(ctx, w.plan.Hosts[i], begin) {
				return
			}
		}
	}
}

// timetable is when the first report is due and the time from one to the next.
func (w *worker) timetable() (due time.Time, gap time.Duration) {
	if w.plan.Rate > 0 {
		gap = time.Duration(float64(time.Second) * float64(w.plan.Connections) / w.plan.Rate)
	}
	start := w.from.Add(-w.plan.Warm)
	return start.Add(gap * time.Duration(w.index) / time.Duration(w.plan.Connections)), gap
}

// tell sends h's next report until it is answered 200; false when the run is over.
func (w *worker) tell(ctx context.Context, h *Host, begin time.Time) bool {
	for ctx.Err() == nil && time.Now().Before(w.until) {
		status, err := w.try(ctx, h)
		if ctx.Err() != nil && err != nil {
			return false // we hung up, not the hub
		}
		if err != nil {
			w.hangUp()
			w.result.Errors++
			w.result.LastErr = err
			pause(ctx, retryPause)
			continue
		}
		w.result.Statuses[status]++
		if status == 200 {
			w.count(h, begin)
			return true
		}
		pause(ctx, retryPause)
	}
	return false
}

// try sends h's next report once.
func (w *worker) try(ctx context.Context, h *Host) (status int, err error) {
	if w.conn == nil {
		c, err := new(net.Dialer).DialContext(ctx, "tcp", w.plan.Addr)
		if err != nil {
			return 0, err
		}
		if w.plan.TLS != nil {
			c = tls.Client(c, w.plan.TLS) // shakes hands with the first write
		}
		w.conn = newConn(c)
		w.stop = context.AfterFunc(ctx, func() { c.Close() })
	}
	sequence, at := h.next(time.Now().Unix())
	w.request = h.appendRequest(w.request[:0], sequence, at)
	if err := w.conn.SetDeadline(time.Now().Add(answerTimeout)); err != nil {
		return 0, err
	}
	if _, err := w.conn.Write(w.request); err != nil {
		return 0, err
	}
	return w.conn.answer()
}

// Send sends the host's next report once, over a connection of its own, and
// returns the status of the answer. Errors: none came.
func (h *Host) Send(ctx context.Context, addr string) (status int, err error) {
	w := worker{plan: &Plan{Addr: addr}}
	defer w.hangUp()
	if status, err = w.try(ctx, h); err == nil && status == 200 {
		h.openAt = 0
	}
	return status, err
}

// count closes h's open report, which was answered 200.
func (w *worker) count(h *Host, begin time.Time) {
	if w.plan.Remember {
		w.result.Acks = append(w.result.Acks, Ack{Host: h, Sequence: h.sequence, At: h.openAt, AnsweredAt: time.Now()})
	}
	h.openAt = 0
	now := time.Now()
	if now.After(w.from) && !now.After(w.until) {
		w.result.Count++
		w.result.Latency.Add(now.Sub(begin))
	}
}

func (w *worker) hangUp() {
	if w.conn != nil {
		w.stop()
		w.conn.Close()
		w.conn = nil
	}
}

// pause waits for d or for the end of ctx.
func pause(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
