package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"felhom.eu/bench/rig"
)

// quiet is how long a socket may be silent before its answers are taken as
// complete: well above what a hub under attack needs for one.
const quiet = 400 * time.Millisecond

// source numbers the attackers' addresses: they come from many machines, the
// honest agent from one of its own.
var source atomic.Uint32

// dial connects from one of 200 loopback addresses in turn.
func dial(ctx context.Context, addr string) (net.Conn, error) {
	n := source.Add(1)
	from := net.IPv4(127, 0, 1, byte(1+n%200))
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: from}, Timeout: 10 * time.Second}
	return d.DialContext(ctx, "tcp4", addr)
}

// exchange sends raw bytes and returns every status that came back, and one
// word when none did.
func exchange(ctx context.Context, addr string, request []byte) (statuses []int, word string) {
	c, err := dial(ctx, addr)
	if err != nil {
		return nil, "not connected"
	}
	defer c.Close()
	c.SetWriteDeadline(time.Now().Add(10 * time.Second))
	if _, err := c.Write(request); err != nil && !closedByPeer(err) {
		return nil, "write: " + err.Error()
	}
	answer, word := readAll(c)
	statuses = statusLines(answer)
	if len(statuses) > 0 {
		return statuses, ""
	}
	return nil, word
}

// readAll reads until the far end closes or is quiet.
func readAll(c net.Conn) (b []byte, word string) {
	buf := make([]byte, 4096)
	for {
		patience := quiet
		if len(b) == 0 {
			patience = 5 * quiet
		}
		c.SetReadDeadline(time.Now().Add(patience))
		n, err := c.Read(buf)
		b = append(b, buf[:n]...)
		switch {
		case err == nil:
		case errors.Is(err, os.ErrDeadlineExceeded):
			return b, "silence"
		default:
			return b, "closed"
		}
	}
}

func closedByPeer(err error) bool {
	return errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, io.ErrClosedPipe)
}

// statusLines finds every status line: an answer's body has none.
func statusLines(b []byte) (statuses []int) {
	for {
		_, rest, found := bytes.Cut(b, []byte("HTTP/1.1 "))
		if !found {
			return statuses
		}
		if len(rest) >= 3 {
			if n, err := strconv.Atoi(string(rest[:3])); err == nil {
				statuses = append(statuses, n)
			}
		}
		b = rest
	}
}

// silence stands among the answers that are right for none within the time.
const silence = 0

// probe is a request with the answers that are right; none means any but 2xx
// and 5xx, or no answer at all.
type probe struct {
	name    string
	request []byte
	want    []int
}

// right says whether the answers are.
func (p *probe) right(statuses []int) bool {
	if len(statuses) > 1 {
		return false // there was one request, whatever it looked like
	}
	for _, s := range statuses {
		if len(p.want) == 0 && (s/100 == 2 || s/100 == 5) {
			return false
		}
	}
	if len(p.want) == 0 {
		return true
	}
	for _, w := range p.want {
		if len(statuses) == 1 && statuses[0] == w || len(statuses) == 0 && w == silence {
			return true
		}
	}
	return false
}

// probeAll sends probes, some at a time.
func probeAll(ctx context.Context, addr string, probes []probe, workers int) (o outcome) {
	type answer struct {
		statuses []int
		word     string
	}
	answers := make([]answer, len(probes))
	rig.Parallel(workers, len(probes), func(i int) error {
		answers[i].statuses, answers[i].word = exchange(ctx, addr, probes[i].request)
		return ctx.Err()
	})
	for i, a := range answers {
		word := a.word
		if len(a.statuses) > 0 {
			word = strings.Trim(fmt.Sprint(a.statuses), "[]")
		}
		o.add(word)
		if !probes[i].right(a.statuses) {
			o.wrong = append(o.wrong, probes[i].name+": "+word)
		}
	}
	return o
}

// post renders a POST of body to the report endpoint, with extra header lines.
func post(key string, body []byte, lines ...string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "POST /api/v1/host-report HTTP/1.1\r\nHost: felhom\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n", key, len(body))
	for _, line := range lines {
		b.WriteString(line + "\r\n")
	}
	b.WriteString("Connection: close\r\n\r\n")
	b.Write(body)
	return b.Bytes()
}
