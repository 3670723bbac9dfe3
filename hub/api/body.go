package api

import (
	"bytes"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/valyala/fasthttp"
)

const (
	freeBody    = 64 << 10 // bytes of a body that need no room: more than an honest report has
	bodyRoom    = 16 << 20 // bytes of all the larger bodies together
	maxInflate  = 2        // bodies inflated at once; each has a buffer of MaxBodyBytes at most
	inflateWait = time.Second
)

// room bounds the memory of large bodies: each takes its length from the header
// that announces it, before any of it is read, to the request's end. Requests
// are told apart by their headers, of which every connection has one.
//
// A few requests end without a word, as when the peer is gone before it is told
// to continue. What they took is given back by the next request that has their
// header, or else when they cannot possibly be alive.
type room struct {
	max   int
	alive time.Duration // at most, of a request after its header
	used  atomic.Int64  // changed under mu

	mu   sync.Mutex
	held map[*fasthttp.RequestHeader]claim
}

type claim struct {
	bytes int
	until time.Time
}

func newRoom(max int, alive time.Duration) *room {
	return &room{max: max, alive: alive, held: make(map[*fasthttp.RequestHeader]claim)}
}

// take reserves room for n more bytes of h's request, or says that there is none.
func (r *room) take(h *fasthttp.RequestHeader, n int) bool {
	if n <= freeBody {
		return true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	if !r.fits(n) {
		r.sweep(now)
	}
	if !r.fits(n) {
		return false
	}
	r.held[h] = claim{r.held[h].bytes + n, now.Add(r.alive)}
	r.used.Add(int64(n))
	return true
}

func (r *room) fits(n int) bool { return int(r.used.Load())+n <= r.max }

// release gives back what h's request took, and reports whether that was anything.
func (r *room) release(h *fasthttp.RequestHeader) bool {
	if r.used.Load() == 0 { // as nearly always: honest bodies are small
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.drop(h)
}

func (r *room) drop(h *fasthttp.RequestHeader) bool {
	c, ok := r.held[h]
	if ok {
		delete(r.held, h)
		r.used.Add(-int64(c.bytes))
	}
	return ok
}

func (r *room) sweep(now time.Time) {
	for h, c := range r.held {
		if now.After(c.until) {
			r.drop(h)
		}
	}
}

// forget ends a request's claim. A body that had one goes to the collector: in
// fasthttp's pool it would be lent to small bodies, which nobody counts. One
// that broke off is there already, on top.
func (s *Server) forget(ctx *fasthttp.RequestCtx) {
	if s.room.release(&ctx.Request.Header) {
		ctx.Request.SwapBody(nil)
	}
}

// body is the request's body, inflated, at most limit bytes. It lives until the
// handler returns.
func (s *Server) body(ctx *fasthttp.RequestCtx, limit int) ([]byte, error) {
	all := ctx.Request.Header.PeekAll(fasthttp.HeaderContentEncoding)
	if len(all) > 1 {
		return nil, errEncoding
	}
	var encoding []byte
	if len(all) == 1 {
		encoding = all[0]
	}
	switch {
	case len(encoding) == 0, bytes.EqualFold(encoding, []byte("identity")):
		return ctx.PostBody(), nil
	case !bytes.EqualFold(encoding, []byte("gzip")):
		return nil, errEncoding
	}
	if err := s.inflate(ctx, limit); err != nil {
		return nil, err
	}
	return ctx.PostBody(), nil
}

// inflate replaces the request's body by what it inflates to.
func (s *Server) inflate(ctx *fasthttp.RequestCtx, limit int) error {
	f, err := s.inflaters.get()
	if err != nil {
		return err
	}
	defer s.inflaters.put(f)
	body, err := f.inflate(ctx.PostBody(), limit)
	if err != nil {
		return err
	}
	if !s.room.take(&ctx.Request.Header, len(body)) {
		return errUnavailable
	}
	ctx.Request.SetBody(body)
	return nil
}

// inflaters are the few that there are: who finds none waits for one.
type inflaters chan *inflater

func newInflaters() inflaters {
	c := make(inflaters, maxInflate)
	for range maxInflate {
		c <- new(inflater)
	}
	return c
}

func (c inflaters) get() (*inflater, error) {
	select {
	case f := <-c:
		return f, nil
	default:
	}
	t := time.NewTimer(inflateWait)
	defer t.Stop()
	select {
	case f := <-c:
		return f, nil
	case <-t.C:
		return nil, errUnavailable
	}
}

func (c inflaters) put(f *inflater) { c <- f }

// inflater unpacks one body after the other into a buffer that it keeps, so that
// a bomb fills it and leaves nothing to collect.
type inflater struct {
	packed bytes.Reader
	gzip   gzip.Reader
	body   []byte
}

const firstBody = 16 << 10 // bytes; most reports have less

// inflate returns what packed holds, at most limit bytes, until the next call.
func (f *inflater) inflate(packed []byte, limit int) ([]byte, error) {
	f.packed.Reset(packed)
	defer f.packed.Reset(nil)
	if err := f.gzip.Reset(&f.packed); err != nil {
		return nil, errNotGzip
	}
	f.body = f.body[:0]
	for {
		f.gzip.Multistream(false)
		if len(f.body) == cap(f.body) {
			f.grow(limit)
		}
		n, err := f.gzip.Read(f.body[len(f.body):cap(f.body)])
		f.body = f.body[:len(f.body)+n]
		switch {
		case len(f.body) > limit:
			return nil, errBodyTooLarge
		case errors.Is(err, io.EOF):
			// The next member is begun here: the reader would take one whose
			// header breaks off for the end.
			if f.packed.Len() == 0 {
				return f.body, nil
			}
			if f.gzip.Reset(&f.packed) != nil {
				return nil, errNotGzip
			}
		case err != nil:
			return nil, errNotGzip
		}
	}
}

// grow makes the buffer four times as large, up to the one byte that is too many:
// a bomb leaves fewer small ones behind.
func (f *inflater) grow(limit int) {
	b := make([]byte, len(f.body), min(max(4*cap(f.body), firstBody), limit+1))
	copy(b, f.body)
	f.body = b
}
