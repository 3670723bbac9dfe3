package dashboard

import (
	"net/url"
	"strconv"
	"strings"
	"time"

	"felhom.eu/hub/api"
	"felhom.eu/messages"
)

const pageSize = 50 // hosts

// firstPage is "/": what needs attention, then the fleet.
type firstPage struct {
	Attention attention
	Fleet     fleet
}

// fleet is a list of hosts with its filters.
type fleet struct {
	Path      string // of the page that it is on
	Of        messages.CustomerID
	Rows      []hostRow
	Total     int
	Matched   int
	Counts    []phaseCount
	Customers []messages.Customer // to filter by; empty on a customer's own page
	Sites     []string
	Filter    filter
	Columns   []column
	From, To  int
	Previous  string
	Next      string
	Newest    time.Time
}

// filter is what a list was asked for, as it goes back into the form.
type filter struct {
	Text, State, Customer, Site, Sort string
	Descending                        bool
	page                              int
}

type phaseCount struct {
	Word   string
	Count  int
	Href   string
	Active bool
}

// column is a head of the list, with the link that sorts by it.
type column struct {
	Title, Key, Href, Sorted string // Sorted is aria-sort's word
	Class                    string
}

// hostRow is a host as the list shows it.
type hostRow struct {
	ID         messages.HostID
	Customer   messages.CustomerID
	Name       string // the customer's
	Site       string
	State      string
	Held       bool
	Since      time.Time
	Contact    time.Time
	Meters     []meter
	Guests     string
	Tunnel     string
	TunnelTone string
	Protection protectionWord
}

type meter struct {
	Name    string
	Known   bool
	Percent int
	Level   string
}

type protectionWord struct {
	Tone, Word string
	Count      int
}

func (d *Dashboard) first(r *request) error {
	part := string(r.QueryArgs().Peek("part"))
	p := &firstPage{}
	var err error
	if part != "attention" {
		if p.Fleet, err = d.fleet(r, "/", ""); err != nil {
			return err
		}
	}
	if part != "fleet" {
		if p.Attention, err = d.attention(r); err != nil {
			return err
		}
	}
	title := "All is well"
	if n := len(p.Attention.Groups); n > 0 {
		title = plural(n, "thing needs", "things need") + " attention"
	}
	return d.render(r, "first", "fleet", title, p)
}

// fleet answers the list of hosts that the address asks for; of one customer, when
// that is given.
func (d *Dashboard) fleet(r *request, path string, of messages.CustomerID) (f fleet, err error) {
	q, filter := readFilter(r)
	q.of = of
	var l list
	err = d.board.look(r.ctx, func() {
		l = d.board.list(q, r.viewer)
		f.Rows = make([]hostRow, len(l.rows))
		for i := range l.rows {
			f.Rows[i] = d.board.show(&l.rows[i])
		}
		if of == "" {
			f.Customers = d.board.customersOf(r.viewer)
		}
	})
	if err != nil {
		return f, err
	}
	f.Of, f.Path, f.Filter, f.Total, f.Matched, f.Sites, f.Newest = of, path, filter, l.total, l.matched, l.sites, at(l.newest)
	f.page(q, len(l.rows))
	f.head(l.counts)
	return f, d.protect(r, f.Rows)
}

// protect adds how well the guests of each row could be brought back.
func (d *Dashboard) protect(r *request, rows []hostRow) error {
	for i := range rows {
		ps, err := d.hub.Protection(r.ctx, api.ProtectionFilter{HostID: rows[i].ID}, "", 1000)
		if err != nil {
			return err
		}
		if state, n := worstProtection(ps); state != "" {
			rows[i].Protection = protectionWord{toneOfProtection(state), string(state), n}
		}
	}
	return nil
}

// show is a row for a template. b.mu is held.
func (b *board) show(r *row) hostRow {
	v := hostRow{
		ID: r.id, Customer: r.id.Customer(), Site: r.site, State: r.phase.String(), Held: r.held,
		Since: at(r.since), Contact: at(r.contactAt), Guests: guestsOf(r), Tunnel: tunnelWord(r.tunnel), TunnelTone: toneOfTunnel(r.tunnel),
		Meters: []meter{meterOf(r, "CPU", r.cpu), meterOf(r, "Memory", r.memory), meterOf(r, "Disk", r.disk)},
	}
	v.Name = string(v.Customer)
	if c, ok := b.customers[v.Customer]; ok && c.DisplayName != "" {
		v.Name = c.DisplayName
	}
	return v
}

func meterOf(r *row, name string, ratio float32) meter {
	p := percentOf(r, ratio)
	if p == nil {
		return meter{Name: name, Level: "fine"}
	}
	level := "fine"
	if name == "Disk" { // a busy processor is no trouble by itself
		level = levelOf(float64(ratio))
	}
	return meter{name, true, *p, level}
}

func toneOfTunnel(status string) string {
	switch status {
	case "", "not_installed", messages.TunnelUnknown:
		return ""
	case "active":
		return "ok"
	}
	return "down"
}

// customersOf are those that a viewer may see, by name. b.mu is held.
func (b *board) customersOf(v viewer) (cs []messages.Customer) {
	for _, c := range b.customers {
		if v.sees(c.ID) {
			cs = append(cs, c)
		}
	}
	sortCustomers(cs)
	return cs
}

// readFilter reads what the address asks for. What it does not understand it leaves
// out: a page is for people, and shows in its form what it took.
func readFilter(r *request) (*listQuery, filter) {
	arg := func(name string) string { return strings.TrimSpace(string(r.QueryArgs().Peek(name))) }
	f := filter{Text: short(100, strings.ToValidUTF8(arg("q"), "")), Sort: arg("sort"), Descending: arg("order") == "desc", Site: arg("site")}
	q := &listQuery{text: strings.ToLower(f.Text), anyPhase: true, site: f.Site, size: pageSize, sort: f.Sort, descending: f.Descending}
	if p, ok := messages.ParsePhase(arg("state")); ok {
		q.phase, q.anyPhase, f.State = p, false, p.String()
	}
	if c, err := messages.ParseCustomerID(arg("customer")); err == nil {
		q.customer, f.Customer = c, string(c)
	}
	if sorts[f.Sort] == nil {
		f.Sort, q.sort = "state", "state"
	}
	if n, err := strconv.Atoi(arg("page")); err == nil && n > 1 && n < 1e6 {
		q.page = n - 1
	}
	f.page = q.page
	return q, f
}

// href is the address of the same list with something else.
func (f *fleet) href(change func(*filter)) string {
	to := f.Filter
	to.page = 0
	change(&to)
	v := url.Values{}
	for name, value := range map[string]string{"q": to.Text, "state": to.State, "customer": to.Customer, "site": to.Site} {
		if value != "" {
			v.Set(name, value)
		}
	}
	if to.Sort != "state" || to.Descending {
		v.Set("sort", to.Sort)
	}
	if to.Descending {
		v.Set("order", "desc")
	}
	if to.page > 0 {
		v.Set("page", strconv.Itoa(to.page+1))
	}
	if len(v) == 0 {
		return f.Path
	}
	return f.Path + "?" + v.Encode()
}

func (f *fleet) page(q *listQuery, shown int) {
	f.From, f.To = min(q.page*q.size+1, f.Matched), min(q.page*q.size+shown, f.Matched)
	if q.page > 0 {
		f.Previous = f.href(func(t *filter) { t.page = q.page - 1 })
	}
	if f.To < f.Matched {
		f.Next = f.href(func(t *filter) { t.page = q.page + 1 })
	}
}

// head makes the links above the list.
func (f *fleet) head(counts [4]int) {
	f.Counts = []phaseCount{{"all", f.Total, f.href(func(t *filter) { t.State = "" }), f.Filter.State == ""}}
	for _, p := range []messages.Phase{messages.PhaseDown, messages.PhaseStale, messages.PhaseOK, messages.PhaseNew} {
		word := p.String()
		f.Counts = append(f.Counts, phaseCount{word, counts[p], f.href(func(t *filter) { t.State = word }), f.Filter.State == word})
	}
	for _, c := range []column{
		{Title: "Host", Key: "host"}, {Title: "State", Key: "state"}, {Title: "Last contact", Key: "contact"},
		{Title: "CPU", Key: "cpu", Class: "bar"}, {Title: "Memory", Key: "memory", Class: "bar"}, {Title: "Disk", Key: "disk", Class: "bar"},
		{Title: "Guests", Key: "guests"}, {Title: "Tunnel"}, {Title: "Protection"}, {Title: "Last day", Class: "day"},
	} {
		if c.Key != "" {
			again := f.Filter.Sort == c.Key
			c.Href = f.href(func(t *filter) { t.Sort, t.Descending = c.Key, again && !f.Filter.Descending })
			if again {
				c.Sorted = "ascending"
				if f.Filter.Descending {
					c.Sorted = "descending"
				}
			}
		}
		f.Columns = append(f.Columns, c)
	}
}
