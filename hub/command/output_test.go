package command

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
	columns := func(o output) []column[string] {
		return []column[string]{
			{title: "state", cell: func(s string) string { return o.state(s) }},
			{title: "again", cell: func(s string) string { return s }},
		}
	}
	render := func(o output, b *bytes.Buffer) string {
		o.w = b
		if err := tabulate(o, columns(o), without([]string{"ok", "stale", "new"}), ""); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	plain := render(output{}, new(bytes.Buffer))
	coloured := render(output{color: true}, new(bytes.Buffer))
	if plain == coloured {
		t.Fatal("nothing was coloured")
	}
	strip := strings.NewReplacer("\x1b[1m", "", "\x1b[31m", "", "\x1b[32m", "", "\x1b[33m", "", "\x1b[0m", "")
	if got := strip.Replace(coloured); got != plain {
		t.Errorf("without its colours:\n%s\nwant:\n%s", got, plain)
	}
}
