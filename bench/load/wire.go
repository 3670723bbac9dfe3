package load

import (
	"bytes"
	"errors"
	"fmt"
	"net"
)

// conn is one keep-alive connection with a buffer for what it reads.
type conn struct {
	net.Conn
	buf  []byte
	have int // bytes in buf that belong to the next answer
}

// maxAnswer bounds an answer, head and body.
const maxAnswer = 16 << 10

var errNotHTTP = errors.New("answer is not HTTP/1.1 with a Content-Length")

func newConn(c net.Conn) *conn { return &conn{Conn: c, buf: make([]byte, maxAnswer)} }

// answer reads one answer and returns its status. It understands what a hub
// sends: HTTP/1.1 with a Content-Length.
func (c *conn) answer() (status int, err error) {
	head, err := c.readUntil(func(b []byte) int { return 4 + bytes.Index(b, []byte("\r\n\r\n")) }, 4)
	if err != nil {
		return 0, err
	}
	status, length, ok := parseHead(c.buf[:head])
	if !ok {
		return 0, errNotHTTP
	}
	end, err := c.readUntil(func([]byte) int { return head + length }, 0)
	if err != nil {
		return 0, err
	}
	c.have = copy(c.buf, c.buf[end:c.have])
	return status, nil
}

// readUntil reads until end, asked of all bytes at hand, is at least least and
// has arrived.
func (c *conn) readUntil(end func([]byte) int, least int) (int, error) {
	for {
		if e := end(c.buf[:c.have]); e >= least && e <= c.have {
			return e, nil
		}
		if c.have == len(c.buf) {
			return 0, fmt.Errorf("answer exceeds %d bytes", maxAnswer)
		}
		n, err := c.Read(c.buf[c.have:])
		if err != nil {
			return 0, err
		}
		c.have += n
	}
}

var (
	protocol      = []byte("HTTP/1.1 ")
	contentLength = []byte("\r\nContent-Length: ")
)

// parseHead takes status and content length out of an answer's head.
func parseHead(head []byte) (status, length int, ok bool) {
	rest, ok := bytes.CutPrefix(head, protocol)
	if !ok {
		return 0, 0, false
	}
	status, ok = number(rest)
	i := bytes.Index(head, contentLength)
	if i < 0 || !ok {
		return 0, 0, false
	}
	length, ok = number(head[i+len(contentLength):])
	return status, length, ok
}

func number(b []byte) (n int, ok bool) {
	for i, c := range b {
		if c < '0' || c > '9' {
			return n, i > 0
		}
		if n = n*10 + int(c-'0'); n > maxAnswer {
			return 0, false
		}
	}
	return 0, false
}
