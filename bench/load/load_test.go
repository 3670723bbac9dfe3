package load

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"felhom.eu/messages"
)

// receiver keeps what arrives, by host, and answers what status says.
type receiver struct {
	mu     sync.Mutex
	bodies map[string][]string // by bearer key
	status func(n int) int     // of the n-th request, from 0; nil: 200
	n      int
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, _ := io.ReadAll(req.Body)
	key := strings.TrimPrefix(req.Header.Get("Authorization"), "Bearer ")
	r.mu.Lock()
	defer r.mu.Unlock()
	status := 200
	if r.status != nil {
		status = r.status(r.n)
	}
	r.n++
	if status == 200 {
		r.bodies[key] = append(r.bodies[key], string(body))
	}
	w.WriteHeader(status)
	io.WriteString(w, `{"status":"ok"}`)
}

func startReceiver(t *testing.T, status func(int) int) (*receiver, string) {
	r := &receiver{bodies: map[string][]string{}, status: status}
	s := httptest.NewServer(r)
	t.Cleanup(s.Close)
	return r, s.Listener.Addr().String()
}

func fleet(n int) (hs []*Host) {
	for i := range n {
		id := messages.HostID(fmt.Sprintf("acme-%08x", i))
		hs = append(hs, NewHost(i, id, messages.Secret(fmt.Sprintf("%064x", i))))
	}
	return hs
}

// A report must be what an agent sends: about 2 KiB, eight guests, and the
// host's own values where they belong. Otherwise every figure is of something else.
func TestReportIsRealisticAndTheHostsOwn(t *testing.T) {
	for i, h := range fleet(2 * Templates) {
		body := Ack{Host: h, Sequence: 1234, At: 1_780_928_409}.Body()
		var r messages.Report
		if err := json.Unmarshal(body, &r); err != nil {
			t.Fatalf("host %d: %v\n%s", i, err, body)
		}
		if r.HostID != h.ID || r.Stream != h.Stream || r.Sequence != 1234 || r.ReportedAt.Unix() != 1_780_928_409 {
			t.Errorf("host %d: got %s %s %d %s", i, r.HostID, r.Stream, r.Sequence, r.ReportedAt)
		}
		if len(r.Guests) != 8 || len(body) < 1900 || len(body) > 2600 {
			t.Errorf("host %d: %d guests in %d bytes, want 8 in about 2 KiB", i, len(r.Guests), len(body))
		}
	}
}

// The Content-Length is computed without rendering; a digit too few would let a
// hub read the next request as part of this one.
func TestContentLengthCountsTheBody(t *testing.T) {
	h := fleet(1)[0]
	for _, sequence := range []uint64{1, 9, 10, 99, 100, 12345} {
		if got, want := h.bodyLen(sequence), len(h.appendBody(nil, sequence, 0)); got != want {
			t.Errorf("sequence %d: got %d, want %d", sequence, got, want)
		}
	}
}

// An Ack is the generator's only memory: what it names must be what the
// receiver stored, once each, in rising order for every host.
func TestAcksNameExactlyWhatWasStored(t *testing.T) {
	r, addr := startReceiver(t, nil)
	hosts := fleet(10)
	res, err := Run(t.Context(), Plan{Addr: addr, Hosts: hosts, Connections: 4, Rounds: 5, For: time.Minute, Remember: true})
	if err != nil {
		t.Fatal(err)
	}
	if res.Count != 50 || len(res.Acks) != 50 || res.Latency.Count() != 50 || res.Errors != 0 {
		t.Fatalf("got %d counted, %d acks, %d errors (%v), want 50, 50, 0", res.Count, len(res.Acks), res.Errors, res.LastErr)
	}
	next := map[*Host]int{}
	for _, a := range res.Acks {
		stored := r.bodies[a.Host.Key.Reveal()]
		if got := stored[next[a.Host]]; got != string(a.Body()) || a.Sequence != uint64(next[a.Host]+1) {
			t.Fatalf("%s: ack %d names sequence %d", a.Host.ID, next[a.Host]+1, a.Sequence)
		}
		next[a.Host]++
	}
}

// A refused report is not acknowledged and comes again unchanged: this is how a
// hub's recognition of repeats is exercised.
func TestRefusedReportIsSentAgainUnchanged(t *testing.T) {
	r, addr := startReceiver(t, func(n int) int { return []int{503, 200}[n%2] })
	res, err := Run(t.Context(), Plan{Addr: addr, Hosts: fleet(1), Connections: 1, Rounds: 3, For: time.Minute, Remember: true})
	if err != nil {
		t.Fatal(err)
	}
	if res.Statuses[503] != 3 || res.Statuses[200] != 3 || res.Refused() != 3 || len(res.Acks) != 3 {
		t.Fatalf("got %v and %d acks, want 3 of each and 3", res.Statuses, len(res.Acks))
	}
	for i, a := range res.Acks {
		if a.Sequence != uint64(i+1) || r.bodies[a.Host.Key.Reveal()][i] != string(a.Body()) {
			t.Errorf("ack %d is of sequence %d", i, a.Sequence)
		}
	}
}

// When the hub dies mid-answer, the open report is known, and the next run
// sends that one first.
func TestUnansweredReportStaysOpenAcrossRuns(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	dying := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		cancel()
		panic(http.ErrAbortHandler)
	}))
	defer dying.Close()
	h := fleet(1)
	res, err := Run(ctx, Plan{Addr: dying.Listener.Addr().String(), Hosts: h, Connections: 1, For: time.Minute, Remember: true})
	open, ok := h[0].Open()
	if err != nil || len(res.Acks) != 0 || !ok {
		t.Fatalf("got %v, %d acks, open %v", err, len(res.Acks), ok)
	}
	_, addr := startReceiver(t, nil)
	res, err = Run(t.Context(), Plan{Addr: addr, Hosts: h, Connections: 1, Rounds: 1, For: time.Minute, Remember: true})
	if err != nil || len(res.Acks) != 1 || !bytes.Equal(res.Acks[0].Body(), open.Body()) {
		t.Fatalf("got %v and %d acks, want the open report", err, len(res.Acks))
	}
	if _, ok := h[0].Open(); ok {
		t.Error("still open after 200")
	}
}

// In an open loop a slow answer delays the reports behind it, and their latency
// must say so: it counts from when they were due.
func TestOpenLoopCountsFromTheIntendedStart(t *testing.T) {
	const stall = 100 * time.Millisecond
	_, addr := startReceiver(t, func(n int) int {
		if n == 0 {
			<-time.After(stall)
		}
		return 200
	})
	res, err := Run(t.Context(), Plan{Addr: addr, Hosts: fleet(1), Connections: 1, Rounds: 20, Rate: 200, For: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	// Due every 5 ms; the one due at 50 ms waited about 50 ms for the first.
	if late := res.Latency.Quantile(0.5); late < 25*time.Millisecond {
		t.Errorf("median %v: the queue behind a stall of %v was not counted", late, stall)
	}
}

// A rate must be kept, or a figure "at 10,000 reports/s" is of another load.
func TestOpenLoopKeepsTheRate(t *testing.T) {
	_, addr := startReceiver(t, nil)
	res, err := Run(t.Context(), Plan{Addr: addr, Hosts: fleet(8), Connections: 4, Rate: 400, For: 500 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if res.Count < 150 || res.Count > 210 {
		t.Errorf("got %d reports in half a second, want 200", res.Count)
	}
}

// The generator must not be pointed at somebody else's machine, nor run without an end.
func TestPlansThatAreRefused(t *testing.T) {
	ok := Plan{Addr: "127.0.0.1:1", Hosts: fleet(2), Connections: 2, For: time.Second}
	for name, spoil := range map[string]func(*Plan){
		"far away":               func(p *Plan) { p.Addr = "192.0.2.1:80" },
		"name":                   func(p *Plan) { p.Addr = "localhost:80" },
		"endless":                func(p *Plan) { p.For = 0 },
		"two for one host":       func(p *Plan) { p.Connections = 3 },
		"without any connection": func(p *Plan) { p.Connections = 0 },
	} {
		p := ok
		spoil(&p)
		if _, err := Run(t.Context(), p); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// A quantile may be off by a bucket's width, under 1 %, and never by more.
func TestHistogramQuantiles(t *testing.T) {
	var a, b Histogram
	for us := 1; us <= 100_000; us++ {
		(map[bool]*Histogram{true: &a, false: &b})[us%2 == 0].Add(time.Duration(us) * time.Microsecond)
	}
	a.Merge(&b)
	for _, q := range []float64{0.005, 0.5, 0.9, 0.99, 0.999} {
		want := q * 100_000
		if got := float64(a.Quantile(q).Microseconds()); got < want*0.99-1 || got > want*1.01+1 {
			t.Errorf("quantile %v: got %v µs, want %v", q, got, want)
		}
	}
	a.Add(time.Hour)
	if a.Count() != 100_001 || a.Max() != time.Hour {
		t.Errorf("got %d, max %v", a.Count(), a.Max())
	}
}

// An answer may arrive in any pieces, with the next one on its heels.
func TestAnswerIsReadFromAnyPieces(t *testing.T) {
	const two = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 503 No\r\nX: y\r\nContent-Length: 0\r\n\r\n"
	for size := 1; size <= len(two); size++ {
		c := newConn(pieces{r: strings.NewReader(two), size: size})
		first, err1 := c.answer()
		second, err2 := c.answer()
		if first != 200 || second != 503 || err1 != nil || err2 != nil {
			t.Fatalf("pieces of %d: got %d %v, %d %v", size, first, err1, second, err2)
		}
	}
	for _, bad := range []string{"", "HTTP/1.1 200 OK\r\n\r\n", "SSH-2.0\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n"} {
		if status, err := newConn(pieces{r: strings.NewReader(bad), size: 64}).answer(); err == nil {
			t.Errorf("%q: got %d", bad, status)
		}
	}
}

// Two hosts, two sequences, two instants: never the same bytes.
func TestBodiesDiffer(t *testing.T) {
	hosts := fleet(2)
	seen := map[string]bool{}
	for _, h := range hosts {
		for sequence := range uint64(3) {
			for at := range int64(3) {
				seen[string(h.appendBody(nil, sequence+1, at))] = true
			}
		}
	}
	if len(seen) != 18 {
		t.Errorf("got %d different bodies, want 18", len(seen))
	}
}

// pieces is a connection that delivers at most size bytes a read.
type pieces struct {
	net.Conn
	r    io.Reader
	size int
}

func (p pieces) Read(b []byte) (int, error) { return p.r.Read(b[:min(len(b), p.size)]) }
