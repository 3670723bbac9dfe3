// Package terminal is how answers look: aligned tables, times and sizes in
// people's words, colour and moving bars where there is a terminal to see them.
//
// The idea to hold: what is printed may come from a stranger's report, so every
// cell is cleaned of control characters before it is coloured. An escape code
// in a guest's name reaches no terminal.
package terminal

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"os"
	"strings"
	"time"
	"unicode"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"felhom.eu/messages"
)

const spinInterval = 100 * time.Millisecond // smooth enough for an eye

// Style is how a cleaned text is made to look; nil leaves it as it is.
type Style func(string) string

// Output is where answers go, and what may be done there. The zero value
// prints nowhere; make one with New.
type Output struct {
	w, err   io.Writer
	terminal bool // w is one: cut lines to its width
	width    int  // columns; 0: unknown
	color    bool
	moving   bool // err is a terminal: a bar may move there
}

// New looks at what w and err are. Answers go to w; bars and remarks to err.
func New(w, err io.Writer) Output {
	o := Output{w: w, err: err, moving: isTerminal(err), terminal: isTerminal(w)}
	o.width, _ = o.Size()
	o.color = wantsColor(o.terminal)
	return o
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// wantsColor follows no-color.org.
func wantsColor(terminal bool) bool {
	return terminal && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}

// IsTerminal reports whether answers go to one.
func (o Output) IsTerminal() bool { return o.terminal }

// Size is the terminal's width and height now, in cells; zeros when answers go
// elsewhere.
func (o Output) Size() (width, height int) {
	if f, ok := o.w.(*os.File); ok && o.terminal {
		width, height, _ = term.GetSize(int(f.Fd()))
	}
	return width, height
}

func (o Output) paint(sgr, s string) string {
	if !o.color || s == "" {
		return s
	}
	return "\x1b[" + sgr + "m" + s + "\x1b[0m"
}

// Bold, Dim, Red, Green and Yellow are styles.
func (o Output) Bold(s string) string { return o.paint("1", s) }

// Dim is a style, see Bold.
func (o Output) Dim(s string) string { return o.paint("2", s) }

// Red is a style, see Bold.
func (o Output) Red(s string) string { return o.paint("31", s) }

// Green is a style, see Bold.
func (o Output) Green(s string) string { return o.paint("32", s) }

// Yellow is a style, see Bold.
func (o Output) Yellow(s string) string { return o.paint("33", s) }

// State is the style of the words that say how something is.
func (o Output) State(s string) string {
	switch s {
	case "ok", "sent", "running", "active", "protected":
		return o.Green(s)
	case "stale", "pending", "blocked", "denied", "attention", "unknown":
		return o.Yellow(s)
	case "down", "dead", "failed", "unprotected":
		return o.Red(s)
	}
	return s
}

// Event is the style of an event's type: alarms by their severity, and the
// return to good in green.
func (o Output) Event(s string) string {
	if strings.HasSuffix(s, "_recovered") {
		return o.Green(s)
	}
	switch messages.EventType(s).Severity() {
	case messages.SeverityCritical:
		return o.Red(s)
	case messages.SeverityWarning:
		return o.Yellow(s)
	}
	return s
}

// Clean drops what would steer a terminal, or turn the direction of its text.
func Clean(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, s)
}

// Line prints one line as it is: the caller cleans what is a stranger's.
func (o Output) Line(format string, args ...any) error {
	_, err := fmt.Fprintf(o.w, format+"\n", args...)
	return err
}

// Print writes s and nothing else.
func (o Output) Print(s string) error {
	_, err := io.WriteString(o.w, s)
	return err
}

// Cut is s without what does not fit into width cells; its escape codes stay.
// A width of 0 cuts nothing.
func Cut(s string, width int) string {
	if width <= 0 {
		return s
	}
	return text.Trim(s, width)
}

// Remark prints one line beside the answer.
func (o Output) Remark(format string, args ...any) {
	fmt.Fprintf(o.err, format+"\n", args...)
}

// Column is a column of a table: its title, what it says of an item, and how.
type Column[T any] struct {
	Title string
	Right bool // aligned, for figures
	Cell  func(T) string
	Style Style
}

// Table is the table of items as text without a newline at its end; n counts
// its items. A line longer than the terminal is wide is cut.
func Table[T any](o Output, columns []Column[T], items iter.Seq2[T, error]) (s string, n int, err error) {
	t := o.newTable()
	header := make(table.Row, len(columns))
	configs := make([]table.ColumnConfig, len(columns))
	for i, c := range columns {
		header[i] = o.Bold(strings.ToUpper(c.Title))
		configs[i].Number = i + 1
		if c.Right {
			configs[i].Align, configs[i].AlignHeader = text.AlignRight, text.AlignRight
		}
	}
	t.AppendHeader(header)
	t.SetColumnConfigs(configs)
	for item, err := range items {
		if err != nil {
			return "", 0, err
		}
		row := make(table.Row, len(columns))
		for i, c := range columns {
			row[i] = c.Style.of(c.Cell(item))
		}
		t.AppendRow(row)
	}
	return t.Render(), t.Length(), nil
}

// of cleans and styles s.
func (y Style) of(s string) string {
	if s = Clean(s); y != nil {
		return y(s)
	}
	return s
}

// Tabulate prints the table of items, or remarks none when there is no item:
// not into the pipe of someone who counts lines.
func Tabulate[T any](o Output, columns []Column[T], items iter.Seq2[T, error], none string) error {
	s, n, err := Table(o, columns, items)
	switch {
	case err != nil:
		return err
	case n == 0:
		o.Remark("%s", none)
		return nil
	}
	return o.Line("%s", s)
}

// All is items that no error can interrupt.
func All[T any](items []T) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for _, item := range items {
			if !yield(item, nil) {
				return
			}
		}
	}
}

// Fact is something known of one thing.
type Fact struct {
	Name, Value string
	Style       Style
}

// Facts prints what is known of one thing, a line a fact; a fact without a
// value is left out.
func (o Output) Facts(facts ...Fact) error {
	t := o.newTable()
	for _, f := range facts {
		if f.Value != "" {
			t.AppendRow(table.Row{o.Dim(f.Name), f.Style.of(f.Value)})
		}
	}
	return o.Line("%s", t.Render())
}

// newTable is a table without lines: columns are told apart by two spaces.
func (o Output) newTable() table.Writer {
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

// Document prints one JSON document, indented.
func (o Output) Document(raw json.RawMessage) error {
	var b bytes.Buffer
	if err := json.Indent(&b, raw, "", "  "); err != nil {
		return fmt.Errorf("decode the hub's answer: %w", err)
	}
	return o.Line("%s", b.Bytes())
}

// Array prints items as one JSON array, as they come.
func (o Output) Array(items iter.Seq2[json.RawMessage, error]) error {
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
		return o.Line("[]")
	}
	return o.Line("\n]")
}

// Bar shows how far long work has come, on a terminal only: a bar of bytes, or
// a spinner when total is -1. The caller writes what went by, and closes it.
func (o Output) Bar(what string, total int64) io.WriteCloser {
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

// Close implements io.Closer.
func (silent) Close() error { return nil }

// closing clears the bar when the work is over, however it ended.
type closing struct{ *progressbar.ProgressBar }

// Close implements io.Closer.
func (c closing) Close() error { return c.Finish() }

// Spin shows that something goes on until stop is called, for work that says
// nothing meanwhile.
func (o Output) Spin(what string) (stop func()) {
	bar := o.Bar(what, -1)
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
