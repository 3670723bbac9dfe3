package api

import (
	"encoding/json"
	"sync"
	"sync/atomic"

	"github.com/valyala/fasthttp"

	"felhom.eu/hub/auth"
	"felhom.eu/messages"
)

// summaries are pooled: a Summary keeps its texts from one report to the next,
// so that Scan need not copy them again.
var summaries = sync.Pool{New: func() any { return new(messages.Summary) }}

// hostReport is the hot path: what an agent posts every interval.
func (s *Server) hostReport(ctx *fasthttp.RequestCtx, a args) error {
	body, err := s.body(ctx, s.cfg.MaxBodyBytes)
	if err != nil {
		return err
	}
	sum := summaries.Get().(*messages.Summary)
	defer summaries.Put(sum)
	if a.who.Kind == auth.Host {
		sum.HostID = a.who.HostID
	}
	if err := messages.Scan(body, sum); err != nil {
		return err
	}
	if err := speaksFor(a.who, sum.HostID); err != nil {
		return err
	}
	sum.SentAt = sentAt(&ctx.Request.Header)
	receipt, err := s.fleet.Record(sum, body)
	if err != nil {
		return err
	}
	s.answerReceipt(ctx, receipt)
	return nil
}

func (s *Server) hostGoodbye(ctx *fasthttp.RequestCtx, a args) error {
	body, err := s.body(ctx, s.cfg.MaxBodyBytes)
	if err != nil {
		return err
	}
	goodbye, err := messages.DecodeGoodbye(body)
	if err != nil {
		return err
	}
	if err := speaksFor(a.who, goodbye.HostID); err != nil {
		return err
	}
	receipt, err := s.fleet.Goodbye(goodbye)
	if err != nil {
		return err
	}
	s.answerReceipt(ctx, receipt)
	return nil
}

// speaksFor lets a host's key speak for that host, and the global key for any.
func speaksFor(who auth.Principal, id messages.HostID) error {
	if who.Kind == auth.Host && who.HostID != id {
		return errHostMismatch
	}
	return nil
}

// sentAt is the agent's clock as it sent the request, in Unix nanoseconds; 0
// when it did not say.
func sentAt(h *fasthttp.RequestHeader) int64 {
	v := h.Peek(fasthttp.HeaderDate)
	if len(v) == 0 {
		return 0
	}
	t, err := fasthttp.ParseHTTPDate(v)
	if err != nil || t.Year() < 1970 || t.Year() > 2200 {
		return 0
	}
	return t.UnixNano()
}

func (s *Server) answerReceipt(ctx *fasthttp.RequestCtx, r Receipt) {
	ctx.Response.Header.SetContentType("application/json")
	ctx.Response.SetBodyRaw(s.receipts.envelope(r))
}

// maxReceipts bounds the envelopes kept; there is one for each pair of interval
// and generation in use, times two.
const maxReceipts = 1024

// receipts keeps the few different envelopes, ready to send.
type receipts struct {
	made atomic.Pointer[map[Receipt][]byte]
	mu   sync.Mutex // for making another
}

// envelope is the answer to r; it must not be changed.
func (e *receipts) envelope(r Receipt) []byte {
	if m := e.made.Load(); m != nil {
		if b, ok := (*m)[r]; ok {
			return b
		}
	}
	return e.make(r)
}

func (e *receipts) make(r Receipt) []byte {
	b, _ := json.Marshal(messages.Envelope{
		Status:              "ok",
		PollIntervalSeconds: r.PollIntervalSeconds,
		Blocked:             r.Blocked,
		DesiredGeneration:   r.DesiredGeneration,
	})
	e.mu.Lock()
	defer e.mu.Unlock()
	m := map[Receipt][]byte{r: b}
	if old := e.made.Load(); old != nil && len(*old) < maxReceipts {
		for k, v := range *old {
			m[k] = v
		}
	}
	e.made.Store(&m)
	return b
}
