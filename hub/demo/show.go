package demo

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"felhom.eu/hub/command"
	"felhom.eu/hub/terminal"
	"felhom.eu/messages"
)

const (
	latestEvents = 8
	latestTold   = 3
	leastRows    = 5
	frame        = 9 // lines of the screen that are neither hosts, events nor told
)

// Escape sequences of the live table (ECMA-48; the alternate screen is xterm's).
const (
	enterScreen = "\x1b[?1049h\x1b[?25l" // alternate screen, no cursor
	leaveScreen = "\x1b[?25h\x1b[?1049l"
	home        = "\x1b[H"
	eraseLine   = "\x1b[K"
	eraseBelow  = "\x1b[J"
)

// show is what the demo prints: the fleet redrawn in place on a terminal, a
// line an event elsewhere.
type show struct {
	out      terminal.Output
	hub      Hub
	client   *command.Client
	fleet    *fleet
	receiver *receiver

	after  messages.EventID // the last event that was read
	seen   int              // events
	events []messages.Event // the latest few
	told   []notification   // likewise
	tally  tally
	link   string
	linkAt time.Time
}

func newShow(out terminal.Output, hub Hub, c *command.Client, f *fleet, r *receiver) *show {
	return &show{out: out, hub: hub, client: c, fleet: f, receiver: r}
}

// run shows the fleet until ctx ends or the hub fails, and then the sum of it.
func (s *show) run(ctx context.Context) error {
	step, leave := s.step, func() error { return nil }
	if s.out.IsTerminal() {
		step = s.redraw
		if err := s.out.Print(enterScreen); err != nil {
			return err
		}
		leave = func() error { return s.out.Print(leaveScreen) }
	} else if err := s.opening(); err != nil {
		return err
	}
	err := s.loop(ctx, step)
	if err := leave(); err != nil {
		return err
	}
	if err != nil && ctx.Err() == nil {
		return err
	}
	return s.closing()
}

func (s *show) loop(ctx context.Context, step func(context.Context) error) error {
	tick := time.NewTicker(redrawEvery)
	defer tick.Stop()
	for {
		if err := step(ctx); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-s.hub.Failed():
			return err
		case <-tick.C:
		}
	}
}

// opening says where to look.
func (s *show) opening() error {
	return s.out.Line("felhom demo: %d made-up hosts and this machine (%s)\ndashboard:   %s\nsign in:     %s",
		len(s.fleet.agents)-1, s.fleet.mine, s.hub.URL(), s.hub.LoginLink())
}

// closing says what it came to.
func (s *show) closing() error {
	_, s.tally = s.receiver.told()
	refused := ""
	if n := s.fleet.refused.Load(); n > 0 {
		refused = fmt.Sprintf(", %d refused (%s)", n, *s.fleet.lastErr.Load())
	}
	return s.out.Line("%d reports accepted%s, %d events, %s", s.fleet.accepted.Load(), refused, s.seen, s.tally)
}

// String is a tally in words.
func (t tally) String() string {
	words := fmt.Sprintf("%d events told in %d messages, all signatures valid", t.events, t.deliveries)
	if t.forged > 0 {
		words = fmt.Sprintf("%d events told in %d messages, %d WITH A WRONG SIGNATURE", t.events, t.deliveries, t.forged)
	}
	if t.repeats > 0 {
		words += fmt.Sprintf(", %d repeated", t.repeats)
	}
	return words
}

// step prints what happened since the last one, a line each.
func (s *show) step(ctx context.Context) error {
	events, told, err := s.read(ctx)
	if err != nil {
		return err
	}
	for _, e := range events {
		if err := s.out.Line("%s", s.eventLine(e)); err != nil {
			return err
		}
	}
	for _, n := range told {
		if err := s.out.Line("%s", s.toldLine(n)); err != nil {
			return err
		}
	}
	return nil
}

// read asks for what is new.
func (s *show) read(ctx context.Context) (events []messages.Event, told []notification, err error) {
	q := url.Values{}
	if s.after != "" {
		q.Set("after", string(s.after))
	}
	for e, err := range s.client.Events(ctx, q) {
		if err != nil {
			return nil, nil, fmt.Errorf("read events: %w", err)
		}
		events = append(events, e)
		s.after = e.ID
	}
	s.seen += len(events)
	told, s.tally = s.receiver.told()
	return events, told, nil
}

func (s *show) eventLine(e messages.Event) string {
	return fmt.Sprintf("%s  %s  %s", e.At.Local().Format(time.TimeOnly), s.out.Event(string(e.Type)), terminal.Clean(e.Summary))
}

func (s *show) toldLine(n notification) string {
	types := make([]string, len(n.Events))
	for i, e := range n.Events {
		types[i] = string(e.Type)
	}
	return fmt.Sprintf("%s  told  %s (delivery %s, signature valid)", n.At.Format(time.TimeOnly), strings.Join(types, ", "), n.ID)
}

// redraw draws the whole screen over the last one.
func (s *show) redraw(ctx context.Context) error {
	events, told, err := s.read(ctx)
	if err != nil {
		return err
	}
	s.events = newest(append(s.events, events...), latestEvents)
	s.told = newest(append(s.told, told...), latestTold)
	var hosts []command.Host
	for h, err := range s.client.Hosts(ctx, nil) {
		if err != nil {
			return fmt.Errorf("read hosts: %w", err)
		}
		hosts = append(hosts, h)
	}
	if time.Since(s.linkAt) > linkEvery {
		s.link, s.linkAt = s.hub.LoginLink(), time.Now()
	}
	return s.out.Print(s.screen(hosts, time.Now()))
}

func newest[T any](items []T, n int) []T { return items[max(0, len(items)-n):] }

// screen is the text of one redraw. Lines are cut to the terminal, and hosts
// that do not fit are those that are well.
func (s *show) screen(hosts []command.Host, now time.Time) string {
	width, height := s.out.Size()
	lines := []string{
		s.out.Bold("Felhom demo") + "  " + s.counts(hosts),
		"dashboard    " + s.hub.URL(),
		"sign in      " + s.link,
		"",
	}
	s.attention(hosts)
	room := max(leastRows, height-frame-len(s.events)-len(s.told))
	table, _, _ := terminal.Table(s.out, command.HostColumns(s.out, now), terminal.All(hosts[:min(room, len(hosts))]))
	lines = append(lines, strings.Split(table, "\n")...)
	if more := len(hosts) - room; more > 0 {
		lines = append(lines, s.out.Dim(fmt.Sprintf("… and %d more", more)))
	}
	lines = append(lines, "")
	for _, e := range s.events {
		lines = append(lines, s.eventLine(e))
	}
	for _, n := range s.told {
		lines = append(lines, s.out.Dim(s.toldLine(n)))
	}
	lines = append(lines, s.out.Dim(fmt.Sprintf("%d reports, %d events, %s. Ctrl-C ends.", s.fleet.accepted.Load(), s.seen, s.tally)))
	return paint(lines, width)
}

// paint puts lines over what was there before.
func paint(lines []string, width int) string {
	var b strings.Builder
	b.WriteString(home)
	for i, line := range lines {
		if i > 0 {
			b.WriteString("\r\n")
		}
		b.WriteString(terminal.Cut(line, width) + eraseLine)
	}
	b.WriteString(eraseBelow)
	return b.String()
}

// counts is how many hosts are in each state.
func (s *show) counts(hosts []command.Host) string {
	n := map[string]int{}
	for _, h := range hosts {
		n[h.State]++
	}
	var words []string
	for _, state := range []string{"ok", "stale", "down", "new"} {
		if n[state] > 0 {
			words = append(words, fmt.Sprintf("%d %s", n[state], s.out.State(state)))
		}
	}
	return strings.Join(words, "  ")
}

// attention sorts hosts: this machine, what is wrong, and then the rest.
func (s *show) attention(hosts []command.Host) {
	rank := func(h command.Host) int {
		if h.HostID == s.fleet.mine {
			return 0
		}
		return 1 + slices.Index([]string{"down", "stale", "ok", "new"}, h.State)
	}
	slices.SortFunc(hosts, func(a, b command.Host) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.HostID, b.HostID))
	})
}
