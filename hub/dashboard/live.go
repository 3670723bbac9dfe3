package dashboard

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/valyala/fasthttp"

	"felhom.eu/messages"
)

const (
	maxViewers   = 256
	maxShown     = 200              // hosts that one page may ask about
	viewerQueue  = 4                // patches that a viewer may be behind
	liveEvery    = 15 * time.Second // without news, a sign of life
	writeTimeout = 10 * time.Second // for a viewer to take what was written
)

// watching is one open page.
type watching struct {
	scope messages.CustomerID // whose hosts are counted; "" is all of the fleet
	shown map[messages.HostID]bool
	told  bool // how all hosts are that it shows
	news  chan []byte
	once  sync.Once
	gone  chan struct{}
}

func (w *watching) leave() { w.once.Do(func() { close(w.gone) }) }

// patch is what one tick changed, for one who may see all of it.
type patch struct {
	Now    int64      `json:"now"` // Unix milliseconds
	Counts [4]int     `json:"counts"`
	Newest int64      `json:"newest"`          // contact
	Stir   bool       `json:"stir,omitempty"`  // what needs attention may have changed
	Hosts  []hostNews `json:"hosts,omitempty"` // of those that the page shows
}

// hostNews is what a row of a list says anew.
type hostNews struct {
	ID      messages.HostID `json:"id"`
	State   string          `json:"state"`
	Since   int64           `json:"since"`   // Unix milliseconds; 0 never
	Contact int64           `json:"contact"` // likewise
	CPU     *int            `json:"cpu"`     // percent
	Memory  *int            `json:"memory"`
	Disk    *int            `json:"disk"`
	Guests  string          `json:"guests"`
	Tunnel  string          `json:"tunnel"`
	Moved   bool            `json:"moved,omitempty"`
}

func newsOf(r *row) hostNews {
	return hostNews{
		ID: r.id, State: r.phase.String(), Since: r.since / 1e6, Contact: r.contactAt / 1e6,
		CPU: percentOf(r, r.cpu), Memory: percentOf(r, r.memory), Disk: percentOf(r, r.disk),
		Guests: guestsOf(r), Tunnel: tunnelWord(r.tunnel), Moved: r.moved,
	}
}

// patch tells every viewer what changed since the last tick. What it costs is once
// for all: the hosts that changed, and the counts of each customer that somebody
// looks at. b.mu is held.
func (b *board) patch(now time.Time) {
	if len(b.viewers) == 0 {
		b.clean()
		return
	}
	fresh := make(map[messages.HostID]hostNews)
	bases := make(map[messages.CustomerID]*patch)
	for w := range b.viewers {
		bases[w.scope] = &patch{Now: now.UnixMilli(), Stir: b.stirred}
	}
	all, own := bases[""], (*patch)(nil)
	var customer messages.CustomerID // of the row before: they come by id
	for _, r := range b.sorted {
		if c := r.id.Customer(); c != customer {
			customer, own = c, bases[c]
		}
		all.count(r)
		own.count(r)
	}
	for w := range b.viewers {
		p := *bases[w.scope]
		for id := range w.shown {
			r := b.rows[id]
			if r == nil || w.told && !r.dirty {
				continue
			}
			if _, ok := fresh[id]; !ok {
				fresh[id] = newsOf(r)
			}
			p.Hosts = append(p.Hosts, fresh[id])
		}
		w.told = true // what happened before it came, too: between the page and its stream, or two streams
		text, err := json.Marshal(p)
		if err != nil {
			continue // cannot be: there is nothing in it that JSON has no form for
		}
		select {
		case w.news <- fmt.Appendf(nil, "data: %s\n\n", text):
		default: // it does not read
			b.drop(w)
		}
	}
	b.clean()
}

// clean forgets what changed since the last tick. b.mu is held.
func (b *board) clean() {
	for _, r := range b.dirty {
		r.dirty, r.moved = false, false
	}
	b.dirty, b.stirred = b.dirty[:0], false
}

// count adds a host, if anybody wants to know.
func (p *patch) count(r *row) {
	if p != nil {
		p.Counts[r.phase]++
		p.Newest = max(p.Newest, r.contactAt/1e6)
	}
}

// join adds a viewer; ok is false when there are as many as there may be.
func (b *board) join(w *watching) (ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed || len(b.viewers) >= maxViewers {
		return false
	}
	b.viewers[w] = struct{}{}
	return true
}

// drop ends a viewer. b.mu is held.
func (b *board) drop(w *watching) {
	delete(b.viewers, w)
	w.leave()
}

func (b *board) left(w *watching) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.drop(w)
}

func (b *board) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	for w := range b.viewers {
		b.drop(w)
	}
}

// live is a page's stream of news about the hosts in h, which are ids with commas
// between them, and of the counts of all hosts or those of one customer.
func (d *Dashboard) live(r *request) error {
	w := &watching{scope: r.viewer.customer, shown: make(map[messages.HostID]bool), news: make(chan []byte, viewerQueue), gone: make(chan struct{})}
	if of, err := messages.ParseCustomerID(string(r.QueryArgs().Peek("of"))); err == nil && r.viewer.sees(of) {
		w.scope = of
	}
	for id := range strings.SplitSeq(string(r.QueryArgs().Peek("h")), ",") {
		h, err := messages.ParseHostID(id)
		if err == nil && r.viewer.sees(h.Customer()) && len(w.shown) < maxShown {
			w.shown[h] = true
		}
	}
	if err := d.board.look(r.ctx, func() {}); err != nil { // it ticks from here on
		return err
	}
	if !d.board.join(w) {
		r.SetStatusCode(503)
		r.Response.Header.Set(fasthttp.HeaderRetryAfter, "30")
		return nil
	}
	r.secure("text/event-stream")
	r.Response.SetBodyStream(&stream{board: d.board, w: w, conn: r.Conn(), rest: []byte("retry: 3000\n\n")}, -1)
	return nil
}

// stream is what fasthttp reads a viewer's news from. It writes each piece as a chunk
// and flushes it; Read gives the client time for it. Close is called in any case.
type stream struct {
	board *board
	w     *watching
	conn  net.Conn
	rest  []byte
}

// Read waits for news, and gives a sign of life when there is none.
func (s *stream) Read(p []byte) (int, error) {
	if len(s.rest) == 0 {
		quiet := time.NewTimer(liveEvery)
		defer quiet.Stop()
		select {
		case s.rest = <-s.w.news:
		case <-quiet.C:
			s.rest = []byte(":\n\n")
		case <-s.w.gone:
			return 0, io.EOF
		}
	}
	n := copy(p, s.rest)
	s.rest = s.rest[n:]
	s.conn.SetWriteDeadline(time.Now().Add(writeTimeout))
	return n, nil
}

// Close ends the viewer.
func (s *stream) Close() error {
	s.board.left(s.w)
	return nil
}
