package terminal

import (
	"bytes"
	"strings"
	"testing"
)

// Colour is for terminals whose owner did not decline it (no-color.org).
func TestColourOnlyWhereItIsWanted(t *testing.T) {
	for _, c := range []struct {
		terminal bool
		noColor  string
		term     string
		want     bool
	}{
		{true, "", "xterm", true},
		{true, "1", "xterm", false},
		{true, "", "dumb", false},
		{false, "", "xterm", false},
	} {
		t.Setenv("NO_COLOR", c.noColor)
		t.Setenv("TERM", c.term)
		if got := wantsColor(c.terminal); got != c.want {
			t.Errorf("terminal %v, NO_COLOR %q, TERM %q: got colour %v, want %v", c.terminal, c.noColor, c.term, got, c.want)
		}
	}
}

// Escape codes have no width: a coloured table stands in the same columns.
func TestColouredTablesStayAligned(t *testing.T) {
	render := func(o Output) string {
		s, _, err := Table(o, []Column[string]{
			{Title: "state", Cell: strings.Clone, Style: o.State},
			{Title: "again", Cell: strings.Clone},
		}, All([]string{"ok", "stale", "new"}))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	plain, coloured := render(Output{}), render(Output{color: true})
	if plain == coloured {
		t.Fatal("nothing was coloured")
	}
	strip := strings.NewReplacer("\x1b[1m", "", "\x1b[31m", "", "\x1b[32m", "", "\x1b[33m", "", "\x1b[0m", "")
	if got := strip.Replace(coloured); got != plain {
		t.Errorf("without its colours:\n%s\nwant:\n%s", got, plain)
	}
}

// A guest's name is a stranger's: it must not clear the operator's screen,
// break a line or turn the text around.
func TestCellsCannotSteerTheTerminal(t *testing.T) {
	var b bytes.Buffer
	o := Output{w: &b}
	evil := "web\x1b[2J\r\n\u202e\u009bdb\tü"
	columns := []Column[string]{{Title: "name", Cell: strings.Clone, Style: o.State}}
	if err := Tabulate(o, columns, All([]string{evil}), ""); err != nil {
		t.Fatal(err)
	}
	if err := o.Facts(Fact{Name: "name", Value: evil}); err != nil {
		t.Fatal(err)
	}
	if got, want := b.String(), "NAME\nweb[2Jdbü\nname  web[2Jdbü\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A bar that moves in a log file would fill it; in a pipe it is silent.
func TestBarsAreSilentWithoutATerminal(t *testing.T) {
	var b bytes.Buffer
	o := New(&b, &b)
	bar := o.Bar("backup", -1)
	if n, err := bar.Write([]byte("some bytes")); n != 10 || err != nil {
		t.Errorf("wrote %d, %v", n, err)
	}
	bar.Close()
	o.Spin("check")()
	if b.Len() != 0 {
		t.Errorf("printed %q, want nothing", b.String())
	}
}
