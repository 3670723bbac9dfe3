package command

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"os"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// The colours of a terminal, as SGR parameters.
const (
	bold   = "1"
	red    = "31"
	green  = "32"
	yellow = "33"
	dim    = "2"
)

const spinInterval = 100 * time.Millisecond // smooth enough for an eye

// output is where a command's answers go, and what may be done there.
type output struct {
	w        io.Writer
	err      io.Writer
	terminal bool // w is one: cut lines to width
	width    int
	color    bool
	moving   bool // err is a terminal: a bar may move there
}

func newOutput(w, err io.Writer) output {
	o := output{w: w, err: err}
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		o.terminal = true
		o.width, _, _ = term.GetSize(int(f.Fd()))
	}
	o.color = wantsColor(o.terminal)
	if f, ok := err.(*os.File); ok {
		o.moving = term.IsTerminal(int(f.Fd()))
	}
	return o
}

// wantsColor follows no-color.org.
func wantsColor(terminal bool) bool {
	return terminal && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}

// paint colours s where colours are wanted.
func (o output) paint(sgr, s string) string {
	if !o.color || s == "" {
		return s
	}
	return "\x1b[" + sgr + "m" + s + "\x1b[0m"
}

// state paints one of the words that say how something is.
func (o output) state(s string) string {
	switch s {
	case "ok", "sent", "running", "active":
		return o.paint(green, s)
	case "stale", "pending", "blocked", "denied":
		return o.paint(yellow, s)
	case "down", "dead", "failed":
		return o.paint(red, s)
	}
	return s
}

// line prints one line.
func (o output) line(format string, args ...any) error {
	_, err := fmt.Fprintf(o.w, format+"\n", args...)
	return err
}

// column is a column of a table: its title, and what it says of an item.
type column[T any] struct {
	title string
	right bool
	cell  func(T) string
}

// tabulate prints a row for each of items, or none when there is no item.
func tabulate[T any](o output, columns []column[T], items iter.Seq2[T, error], none string) error {
	t := o.newTable()
	header := make(table.Row, len(columns))
	configs := make([]table.ColumnConfig, len(columns))
	for i, c := range columns {
		header[i] = o.paint(bold, strings.ToUpper(c.title))
		configs[i].Number = i + 1
		if c.right {
			configs[i].Align, configs[i].AlignHeader = text.AlignRight, text.AlignRight
		}
	}
	t.AppendHeader(header)
	t.SetColumnConfigs(configs)
	for item, err := range items {
		if err != nil {
			return err
		}
		row := make(table.Row, len(columns))
		for i, c := range columns {
			row[i] = c.cell(item)
		}
		t.AppendRow(row)
	}
	if t.Length() == 0 {
		fmt.Fprintln(o.err, none) // not into the pipe of who counts lines
		return nil
	}
	return o.line("%s", t.Render())
}

// pairs prints what is known of one thing, a line a fact; a fact without a
// value is left out.
func (o output) pairs(facts ...[2]string) error {
	t := o.newTable()
	for _, f := range facts {
		if f[1] != "" {
			t.AppendRow(table.Row{o.paint(dim, f[0]), f[1]})
		}
	}
	return o.line("%s", t.Render())
}

// newTable is a table without lines: columns are told apart by two spaces.
func (o output) newTable() table.Writer {
	t := table.NewWriter()
	style := table.StyleDefault
	style.Options = table.OptionsNoBordersAndSeparators
	style.Box.PaddingLeft, style.Box.PaddingRight = "", "  "
	style.Format.Header = text.FormatDefault
	t.SetStyle(style)
	t.SuppressTrailingSpaces()
	if o.terminal && o.width > 0 {
		t.Style().Size.WidthMax = o.width
	}
	return t
}

// document prints one JSON document, indented.
func (o output) document(raw json.RawMessage) error {
	var b bytes.Buffer
	if err := json.Indent(&b, raw, "", "  "); err != nil {
		return fmt.Errorf("decode the hub's answer: %w", err)
	}
	return o.line("%s", b.Bytes())
}

// array prints items as one JSON array, as they come.
func (o output) array(items iter.Seq2[json.RawMessage, error]) error {
	lead := "[\n  "
	for item, err := range items {
		if err != nil {
			return err
		}
		var b bytes.Buffer
		if err := json.Indent(&b, item, "  ", "  "); err != nil {
			return fmt.Errorf("decode the hub's answer: %w", err)
		}
		if _, err := fmt.Fprintf(o.w, "%s%s", lead, b.Bytes()); err != nil {
			return err
		}
		lead = ",\n  "
	}
	if lead == "[\n  " {
		return o.line("[]")
	}
	return o.line("\n]")
}

// bar shows how far long work has come, on a terminal only: a bar of bytes, or
// a spinner when total is -1. The caller writes what went by, and closes it.
func (o output) bar(what string, total int64) io.WriteCloser {
	if !o.moving {
		return silent{io.Discard}
	}
	return closing{progressbar.NewOptions64(total,
		progressbar.OptionSetWriter(o.err),
		progressbar.OptionSetDescription(what),
		progressbar.OptionShowBytes(true),
		progressbar.OptionSpinnerType(14),
		progressbar.OptionSetWidth(30),
		progressbar.OptionClearOnFinish(),
		progressbar.OptionSetRenderBlankState(true),
	)}
}

type silent struct{ io.Writer }

func (silent) Close() error { return nil }

// closing clears the bar when the work is over, however it ended.
type closing struct{ *progressbar.ProgressBar }

func (c closing) Close() error { return c.Finish() }

// spin shows that something goes on until stop is called, for work that says
// nothing meanwhile.
func (o output) spin(what string) (stop func()) {
	bar := o.bar(what, -1)
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(spinInterval)
		defer tick.Stop()
		for {
			select {
			case <-quit:
				return
			case <-tick.C:
				_, _ = bar.Write(nil)
			}
		}
	}()
	return func() {
		close(quit)
		<-done
		_ = bar.Close()
	}
}

// show prints the list at path: as JSON what the hub answered, else as a table.
func show[T any](a *app, items iter.Seq2[T, error], raw iter.Seq2[json.RawMessage, error], columns []column[T], none string) error {
	if a.json {
		return a.out.array(raw)
	}
	return tabulate(a.out, columns, items, none)
}
