package main

import (
	"io"
	"net"
	"testing"
)

// Whether a smuggled request was served is read off the status lines.
func TestStatusLines(t *testing.T) {
	for answer, want := range map[string]int{
		"": 0, "HTTP/1.1 200 OK\r\n\r\n": 1, "HTTP/1.1 400 No\r\nContent-Length: 2\r\n\r\n{}HTTP/1.1 200 OK\r\n\r\n": 2, "HTTP/1.1 x": 0,
	} {
		if got := statusLines([]byte(answer)); len(got) != want {
			t.Errorf("%q: got %v, want %d", answer, got, want)
		}
	}
}

// What counts as a right answer decides whether the rig can fail at all.
func TestRightAnswers(t *testing.T) {
	anyRefusal, exactly := probe{}, probe{want: []int{400}}
	for _, c := range []struct {
		name     string
		p        probe
		statuses []int
		right    bool
	}{
		{"refused", anyRefusal, []int{404}, true},
		{"hung up on", anyRefusal, nil, true},
		{"served", anyRefusal, []int{200}, false},
		{"broke the hub", anyRefusal, []int{500}, false},
		{"two answers", anyRefusal, []int{400, 400}, false},
		{"as wanted", exactly, []int{400}, true},
		{"other refusal", exactly, []int{404}, false},
		{"no answer where one is due", exactly, nil, false},
		{"smuggled", exactly, []int{400, 200}, false},
	} {
		if got := c.p.right(c.statuses); got != c.right {
			t.Errorf("%s: got %v", c.name, got)
		}
	}
}

// A server that believes Content-Length where Transfer-Encoding stands beside
// it serves the second request; the probe must see two answers.
func TestSmugglingIsSeen(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for c, err := l.Accept(); err == nil; c, err = l.Accept() {
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
			c.Close()
		}
	}()
	probes := framings("key", "GET / HTTP/1.1\r\n\r\n")
	o := probeAll(t.Context(), l.Addr().String(), probes, 8)
	if len(probes) < 200 || len(o.wrong) != len(probes) {
		t.Errorf("%d of %d found wrong", len(o.wrong), len(probes))
	}
}
