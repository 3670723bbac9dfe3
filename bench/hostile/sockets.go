package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"felhom.eu/bench/rig"
)

// attacks are all of them, in the order of the table.
func attacks(o options) []attack {
	as := []attack{
		{"nothing", func(ctx context.Context, _ *scene) outcome { wait(ctx, 3*time.Second); return outcome{} }},
		{"smuggling", smuggling},
		{"malformed documents", documents},
		{"paths", paths},
		{"huge heads", headers},
		{"gzip bombs", bombs},
		{fmt.Sprintf("%d announced bodies of 4 MiB", o.announced), announced(o.announced, false)},
		{fmt.Sprintf("%d bogus keys", o.bogus), bogus(o.bogus)},
		{fmt.Sprintf("%d sockets dribble heads", o.sockets), slow(o.sockets, dribbleHead, true)},
		{fmt.Sprintf("%d sockets dribble bodies", o.sockets), slow(o.sockets, dribbleBody, true)},
		{fmt.Sprintf("%d idle sockets", o.sockets), slow(o.sockets, idle, false)},
	}
	if o.insider {
		as = append(as, attack{fmt.Sprintf("%d announced bodies of 4 MiB, with a valid key", o.announced), announced(o.announced, true)})
	}
	return as
}

// announced opens connections that promise 4 MiB each and send a byte: with no
// key and with keys that nobody has, in turn, or with a valid one.
func announced(n int, insider bool) func(context.Context, *scene) outcome {
	return func(ctx context.Context, s *scene) outcome {
		var ps []probe
		for i := range n {
			p := probe{name: "announced", want: []int{401}}
			auth := ""
			switch {
			case insider:
				auth, p.want = "Authorization: Bearer "+s.mule.Key.Reveal()+"\r\n", []int{503, silence} // as long as there is room the hub waits for the rest
			case i%2 == 1:
				auth = "Authorization: Bearer " + rig.NewKey() + "\r\n"
			}
			p.request = []byte("POST /api/v1/host-report HTTP/1.1\r\nHost: felhom\r\n" + auth + "Content-Type: application/json\r\nContent-Length: 4194304\r\n\r\n{")
			ps = append(ps, p)
		}
		return probeAll(ctx, s.hub.Addr, ps, n)
	}
}

// bogusTime bounds the guessing of keys.
const bogusTime = 3 * time.Minute

// bogus guesses keys, over 32 connections that are used for as long as the hub
// keeps them open.
func bogus(n int) func(context.Context, *scene) outcome {
	return func(ctx context.Context, s *scene) outcome {
		ctx, cancel := context.WithTimeout(ctx, bogusTime)
		defer cancel()
		const workers = 32
		var mu sync.Mutex
		var sum outcome
		var wg sync.WaitGroup
		for range workers {
			wg.Go(func() {
				answers := guess(ctx, s.hub.Addr, n/workers)
				mu.Lock()
				defer mu.Unlock()
				for status, count := range answers {
					for range count {
						sum.add(status)
					}
				}
			})
		}
		wg.Wait()
		for status, count := range sum.answers {
			if status != "401" && status != "429" && status != "lost" {
				sum.wrong = append(sum.wrong, fmt.Sprintf("%d× %s", count, status))
			}
		}
		if sum.sent < n/workers*workers {
			sum.note = fmt.Sprintf("(%v were over before %d)", bogusTime, n)
		}
		return sum
	}
}

// guess sends n keys that nobody has and counts the answers.
func guess(ctx context.Context, addr string, n int) map[string]int {
	answers := map[string]int{}
	var c net.Conn
	defer func() { hangUp(c) }()
	for i := 0; i < n && ctx.Err() == nil; i++ {
		var err error
		if c == nil {
			if c, err = dial(ctx, addr); err != nil {
				answers["lost"]++
				c = nil
				wait(ctx, time.Millisecond)
				continue
			}
		}
		word, again := guessOnce(c)
		answers[word]++
		if !again {
			hangUp(c)
			c = nil
		}
	}
	return answers
}

func hangUp(c net.Conn) {
	if c != nil {
		c.Close()
	}
}

// guessOnce sends one key; again says whether the hub keeps the connection.
func guessOnce(c net.Conn) (word string, again bool) {
	c.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := fmt.Fprintf(c, "POST /api/v1/host-report HTTP/1.1\r\nHost: felhom\r\nAuthorization: Bearer %s\r\nContent-Length: 2\r\n\r\n{}", rig.NewKey()); err != nil {
		return "lost", false
	}
	buf := make([]byte, 4096)
	n, err := c.Read(buf)
	statuses := statusLines(buf[:n])
	if len(statuses) == 0 {
		return "lost", false
	}
	return fmt.Sprint(statuses[0]), err == nil && !bytes.Contains(bytes.ToLower(buf[:n]), []byte("connection: close"))
}

// dribble is what a slow socket says at first, and what it adds now and then.
type dribble struct{ first, more string }

func dribbleHead(string) dribble {
	return dribble{"POST /api/v1/host-report HTTP/1.1\r\nHost: felhom\r\nX-Slow: ", "a"}
}

// dribbleBody has a valid key: nobody else gets as far as a body.
func dribbleBody(key string) dribble {
	return dribble{"POST /api/v1/host-report HTTP/1.1\r\nHost: felhom\r\nAuthorization: Bearer " + key + "\r\nContent-Type: application/json\r\nContent-Length: 2300\r\n\r\n{", " "}
}

func idle(string) dribble { return dribble{} }

const (
	dribbleEvery = 500 * time.Millisecond
	slowTime     = 13 * time.Second // above the hub's 10 s for a request
)

// goOn keeps dribbling for so long.
func (d dribble) goOn(ctx context.Context, conns []net.Conn, long time.Duration) {
	for end := time.Now().Add(long); time.Now().Before(end) && ctx.Err() == nil; wait(ctx, dribbleEvery) {
		for _, c := range conns {
			if c != nil && d.more != "" {
				c.SetWriteDeadline(time.Now().Add(time.Millisecond))
				c.Write([]byte(d.more))
			}
		}
	}
}

// slow holds n sockets open. When they must be gone, one that is still open at
// the end is wrong.
func slow(n int, kind func(key string) dribble, mustBeGone bool) func(context.Context, *scene) outcome {
	return func(ctx context.Context, s *scene) (o outcome) {
		d := kind(s.mule.Key.Reveal())
		conns := make([]net.Conn, n)
		rig.Parallel(16, n, func(i int) (err error) {
			if conns[i], err = dial(ctx, s.hub.Addr); err == nil && d.first != "" {
				conns[i].Write([]byte(d.first)) // a refusal shows at the end
			}
			return ctx.Err()
		})
		d.goOn(ctx, conns, slowTime)
		var open []net.Conn
		for _, c := range conns {
			if f := fate(c); f == stillOpen {
				open = append(open, c)
			} else {
				o.add(f)
			}
		}
		if len(open) > 0 && mustBeGone { // the kernel may have handed one over late: its time began later
			d.goOn(ctx, open, slowTime)
		}
		for _, c := range open {
			f := fate(c)
			if o.add(f); f == stillOpen && mustBeGone {
				o.wrong = append(o.wrong, fmt.Sprintf("still open after %v", 2*slowTime))
			}
		}
		for _, c := range conns {
			hangUp(c)
		}
		return o
	}
}

// stillOpen is the fate of a socket that nothing has become of yet.
const stillOpen = "still open"

// fate says what has become of a socket.
func fate(c net.Conn) string {
	if c == nil {
		return "not connected"
	}
	buf := make([]byte, 512)
	c.SetReadDeadline(time.Now().Add(2 * time.Millisecond))
	n, err := c.Read(buf)
	switch {
	case n > 0 && len(statusLines(buf[:n])) > 0:
		return fmt.Sprint(statusLines(buf[:n])[0])
	case errors.Is(err, os.ErrDeadlineExceeded):
		return stillOpen
	default:
		return "closed"
	}
}
