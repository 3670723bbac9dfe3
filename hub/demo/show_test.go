package demo

import (
	"io"
	"strings"
	"testing"

	"felhom.eu/hub/command"
	"felhom.eu/hub/terminal"
	"felhom.eu/messages"
)

// On a small terminal the hosts that are cut off must be those that are well.
func TestScreenShowsWhatIsWrongFirst(t *testing.T) {
	s := newShow(terminal.New(io.Discard, io.Discard), nil, nil, &fleet{mine: "this-machine-00000000"}, nil)
	hosts := []command.Host{
		{HostID: "a-00000001", State: "ok"}, {HostID: "b-00000001", State: "stale"}, {HostID: "c-00000001", State: "new"},
		{HostID: "d-00000001", State: "down"}, {HostID: "a-00000000", State: "ok"}, {HostID: "this-machine-00000000", State: "ok"},
	}
	s.attention(hosts)
	want := []messages.HostID{"this-machine-00000000", "d-00000001", "b-00000001", "a-00000000", "a-00000001", "c-00000001"}
	for i, h := range hosts {
		if h.HostID != want[i] {
			t.Errorf("row %d is %s, want %s", i, h.HostID, want[i])
		}
	}
}

// A line that is too long would wrap and push the screen up with every redraw.
func TestPaintCutsLinesToTheTerminal(t *testing.T) {
	got := paint([]string{"0123456789", "\x1b[1mbold and long\x1b[0m"}, 6)
	if strings.Contains(got, "6") || strings.Contains(got, "nd") {
		t.Errorf("got %q, want lines of 6 cells", got)
	}
	if n := strings.Count(got, eraseLine); n != 2 {
		t.Errorf("%d lines erased behind their end, want 2: leftovers of a longer line stay", n)
	}
	if !strings.HasPrefix(got, home) || !strings.HasSuffix(got, eraseBelow) {
		t.Errorf("got %q, want it to start at home and erase below", got)
	}
}
