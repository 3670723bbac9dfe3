package dashboard

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"felhom.eu/hub/auth"
	"felhom.eu/messages"
)

// hostsOn are the hosts that a page lists, in its order.
func hostsOn(page string) (ids []string) {
	for _, part := range strings.Split(page, `<tr role="row" data-h="`)[1:] {
		id, _, _ := strings.Cut(part, `"`)
		ids = append(ids, id)
	}
	return ids
}

// The list answers what the address asks for: search, filters, order, pages.
func TestListOfHosts(t *testing.T) {
	h := newFakeHub(120)
	h.hosts[7].Phase, h.hosts[100].Phase = messages.PhaseDown, messages.PhaseStale
	h.hosts[3].Figures.CPUUsedRatio = 1
	h.sites[hostAt(5)] = "Malmö"
	h.names["customer-001"] = "Lindgren & Söner"
	d := New(h, Config{}, zerolog.Nop())
	for _, c := range []struct {
		query string
		first []int
		count int
	}{
		{"", []int{7, 100, 0, 1}, 50},
		{"?page=3", nil, 20},
		{"?page=9", nil, 0},
		{"?state=down", []int{7}, 1},
		{"?q=0000000a", []int{10}, 1},
		{"?q=SÖNER", []int{100, 101}, 20},
		{"?q=malmö", []int{5}, 1},
		{"?site=Malm%C3%B6&state=ok", []int{5}, 1},
		{"?customer=customer-001&state=stale", []int{100}, 1},
		{"?sort=cpu", []int{3}, 50},
		{"?sort=host&order=desc", []int{119, 118}, 50},
		{"?q=nobody", nil, 0},
	} {
		status, body := get(d, "/"+c.query)
		got := hostsOn(body)
		if status != 200 || len(got) != c.count {
			t.Errorf("%s: %d with %d hosts, want %d", c.query, status, len(got), c.count)
			continue
		}
		for i, n := range c.first {
			if got[i] != string(hostAt(n)) {
				t.Errorf("%s: %s is at %d, want %s", c.query, got[i], i, hostAt(n))
			}
		}
	}
}

// However many are asked for, they are those that a stable sort puts first.
func TestFirstOfAnOrder(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		rows := make([]*row, random.IntN(3000))
		for i := range rows {
			rows[i] = &row{id: hostAt(i), phase: messages.Phase(random.IntN(4)), cpu: float32(random.IntN(9)), contactAt: random.Int64()}
		}
		q := listQuery{sort: []string{"state", "host", "cpu", "contact"}[random.IntN(4)], descending: random.IntN(2) == 0}
		want := slices.Clone(rows)
		slices.SortStableFunc(want, q.order())
		n := random.IntN(len(rows) + 100)
		if random.IntN(2) == 0 {
			n = random.IntN(60)
		}
		want = want[:min(n, len(want))]
		if got := first(rows, n, q.order()); !slices.Equal(got, want) {
			t.Fatalf("%d of %d rows by %s are not the first", n, len(rows), q.sort)
		}
	}
}

// Who belongs to a customer sees its hosts, counts and alarms alone, whatever the
// address says; and nobody changes anything without the right to.
func TestViewersSeeWhatIsTheirs(t *testing.T) {
	h := newFakeHub(120)
	h.hosts[7].Phase, h.hosts[100].Phase = messages.PhaseDown, messages.PhaseDown
	d := New(h, Config{}, zerolog.Nop())
	of1 := auth.Principal{Kind: auth.Session, Role: messages.RoleCustomer, CustomerID: "customer-001", CSRF: "token"}
	lost := auth.Principal{Kind: auth.Session, Role: messages.RoleCustomer, CSRF: "token"}
	for _, page := range []string{"/", "/?customer=customer-000", "/customers", "/events", "/?part=attention"} {
		status, body := ask(d, of1, "GET", page, "")
		if status != 200 || strings.Contains(body, "customer-000-") || strings.Contains(body, "Customer customer-000") {
			t.Errorf("%s: %d, and it tells of another customer", page, status)
		}
		if _, body := ask(d, lost, "GET", page, ""); strings.Contains(body, "customer-000-") || strings.Contains(body, "customer-001-") || strings.Contains(body, "Customer customer") {
			t.Errorf("%s: who sees nothing sees something", page)
		}
	}
	if _, body := ask(d, of1, "GET", "/", ""); !strings.Contains(body, string(hostAt(100))) || strings.Contains(body, "Acknowledge") {
		t.Error("the customer's own host is missing, or there are buttons")
	}
	for _, page := range []string{"/hosts/" + string(hostAt(7)), "/hosts/" + string(hostAt(7)) + "/series?span=day", "/customers/customer-000",
		"/silences", "/settings", "/hosts/" + string(hostAt(7)) + "/spark.svg", "/events?host=" + string(hostAt(7))} {
		if status, _ := ask(d, of1, "GET", page, ""); status != 404 {
			t.Errorf("%s: %d, want 404", page, status)
		}
	}
	form := "csrf=token&back=/&reason=x"
	ack := "/alarms/01J00000000000000000000001/acknowledge"
	viewer := auth.Principal{Kind: auth.Session, Role: messages.RoleViewer, CSRF: "token"}
	for _, who := range []auth.Principal{of1, viewer} {
		if status, _ := ask(d, who, "POST", ack, form); status != 403 || len(h.acks) != 0 {
			t.Errorf("%s acknowledged: %d", who.Role, status)
		}
	}
	if status, _ := ask(d, operator, "POST", ack, form); status != 303 || len(h.acks) != 1 {
		t.Errorf("an operator could not: %d", status)
	}
}

// watcher is a viewer of the hosts with these numbers.
func watcher(t *testing.T, b *board, scope messages.CustomerID, hosts ...int) *watching {
	t.Helper()
	w := &watching{scope: scope, shown: map[messages.HostID]bool{}, news: make(chan []byte, viewerQueue), gone: make(chan struct{})}
	for _, i := range hosts {
		w.shown[hostAt(i)] = true
	}
	if !b.join(w) {
		t.Fatal("no room")
	}
	return w
}

// watched is a dashboard of ten hosts, with a viewer of those with these numbers who has
// had the first patch.
func watched(t *testing.T, hosts ...int) (*fakeHub, *Dashboard, *watching) {
	t.Helper()
	h := newFakeHub(10)
	d := New(h, Config{}, zerolog.Nop())
	get(d, "/")
	w := watcher(t, d.board, "", hosts...)
	d.board.beat(time.Now())
	read(t, w)
	return h, d, w
}

// read is the oldest patch that a viewer was sent.
func read(t *testing.T, w *watching) (p patch) {
	t.Helper()
	select {
	case text := <-w.news:
		if err := json.Unmarshal(bytes.TrimPrefix(text, []byte("data: ")), &p); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
	default:
		t.Fatal("there is no patch")
	}
	return p
}

// A patch tells what a page shows, once for all viewers, and whom it concerns; who does
// not read is dropped.
func TestLiveUpdates(t *testing.T) {
	h := newFakeHub(120)
	d := New(h, Config{}, zerolog.Nop())
	b := d.board
	get(d, "/")
	all, own := watcher(t, b, "", 1, 2, 100), watcher(t, b, "customer-001", 100)
	h.tell(&messages.Batch{Hosts: []messages.HostState{stateOf(hostAt(1), messages.PhaseDown), stateOf(hostAt(50), messages.PhaseDown)}})
	b.beat(time.Now())
	if p := read(t, all); len(p.Hosts) != 3 {
		t.Errorf("the first patch does not tell all: %+v", p)
	}
	read(t, own)
	h.tell(&messages.Batch{Hosts: []messages.HostState{stateOf(hostAt(2), messages.PhaseDown), stateOf(hostAt(51), messages.PhaseDown)}})
	b.beat(time.Now())
	if p := read(t, all); p.Counts != [4]int{0, 116, 0, 4} || len(p.Hosts) != 1 || p.Hosts[0].ID != hostAt(2) || p.Hosts[0].State != "down" || !p.Hosts[0].Moved || !p.Stir {
		t.Errorf("the fleet's patch: %+v", p)
	}
	if p := read(t, own); p.Counts != [4]int{0, 20, 0, 0} || len(p.Hosts) != 0 {
		t.Errorf("the customer's patch: %+v", p)
	}
	for range viewerQueue + 1 {
		b.beat(time.Now())
		read(t, own)
	}
	select {
	case <-all.gone:
	default:
		t.Error("who does not read is still waited for")
	}
}

// The board of a small fleet is there before the first look, and stays; that of a large
// one is made for those who look, and forgotten when nobody does any more.
func TestLargeBoardIsForLooksAlone(t *testing.T) {
	for _, c := range []struct{ hosts, warm, first, later int }{{keptHosts, 1, 1, 1}, {keptHosts + 1, 0, 1, 2}} {
		h := newFakeHub(c.hosts)
		d := New(h, Config{}, zerolog.Nop())
		later := time.Now().Add(boardLife + time.Minute)
		d.Warm()
		if h.reads != c.warm {
			t.Errorf("%d hosts were read %d times before the first look, want %d", c.hosts, h.reads, c.warm)
		}
		get(d, "/")
		w := watcher(t, d.board, "", 1)
		if !d.board.beat(later) || h.reads != c.first {
			t.Errorf("%d hosts were read %d times for a viewer, want %d", c.hosts, h.reads, c.first)
		}
		d.board.left(w)
		if kept := d.board.beat(later); kept != h.watched() || kept != (c.hosts <= keptHosts) {
			t.Errorf("%d hosts are kept without a look: %t; followed: %t", c.hosts, kept, h.watched())
		}
		if _, body := get(d, "/"); len(hostsOn(body)) != 50 || h.reads != c.later {
			t.Errorf("a later look shows %d of %d hosts, read %d times, want %d", len(hostsOn(body)), c.hosts, h.reads, c.later)
		}
		d.Close()
		if d.board.beat(time.Now()) || h.watched() {
			t.Errorf("the board of %d hosts outlives the dashboard", c.hosts)
		}
	}
}

// What happens while nobody ticks does not pile up: the board is read anew.
func TestTooMuchNewsIsReadAnew(t *testing.T) {
	h := newFakeHub(10)
	d := New(h, Config{}, zerolog.Nop())
	get(d, "/")
	h.hosts[4].Phase = messages.PhaseDown
	many := &messages.Batch{Hosts: slices.Repeat([]messages.HostState{stateOf(hostAt(1), messages.PhaseOK)}, 1000)}
	for range maxQueued/1000 + 10 {
		h.tell(many)
	}
	if got := len(d.board.queue.batches); got > 20 {
		t.Errorf("%d batches are kept", got)
	}
	if _, body := get(d, "/?state=down"); len(hostsOn(body)) != 1 {
		t.Error("the board does not know what is stored")
	}
}

// A viewer misses nothing when the board is read anew for too much news, whoever has it
// read: the next patch tells the counts, and how every host is that is shown.
func TestViewersAreToldAllAfterTooMuchNews(t *testing.T) {
	for _, byLook := range []bool{false, true} {
		h, d, w := watched(t, 4, 5)
		h.hosts[4].Phase = messages.PhaseDown
		h.tell(&messages.Batch{Hosts: []messages.HostState{h.hosts[4]}})
		h.tell(&messages.Batch{Hosts: slices.Repeat([]messages.HostState{h.hosts[1]}, maxQueued)})
		if byLook {
			get(d, "/customers")
		}
		d.board.beat(time.Now())
		if p := read(t, w); p.Counts != [4]int{0, 9, 0, 1} || len(p.Hosts) != 2 || !p.Stir {
			t.Errorf("read by a look: %t; the patch tells %+v", byLook, p)
		}
		d.board.beat(time.Now())
		if p := read(t, w); len(p.Hosts) != 0 || p.Stir {
			t.Errorf("read by a look: %t; it is told twice: %+v", byLook, p)
		}
	}
}

// What somebody else's look took over between two ticks still stirs the viewers.
func TestLookTakesNoNewsFromViewers(t *testing.T) {
	h, d, w := watched(t, 4)
	h.tell(&messages.Batch{Hosts: []messages.HostState{stateOf(hostAt(4), messages.PhaseDown)}})
	get(d, "/")
	d.board.beat(time.Now())
	if p := read(t, w); !p.Stir || len(p.Hosts) != 1 || !p.Hosts[0].Moved {
		t.Errorf("the patch tells %+v", p)
	}
}

// While the store cannot be read, viewers are told nothing; when it can, all.
func TestViewersWaitForTheStore(t *testing.T) {
	h, d, w := watched(t, 4)
	h.tell(&messages.Batch{Hosts: slices.Repeat([]messages.HostState{h.hosts[1]}, maxQueued+1)})
	h.broken = errors.New("the disk is gone")
	if !d.board.beat(time.Now()) || len(w.news) != 0 {
		t.Error("it ticks no more, or tells what nobody knows")
	}
	h.broken = nil
	d.board.beat(time.Now())
	if p := read(t, w); p.Counts != [4]int{0, 10, 0, 0} || len(p.Hosts) != 1 {
		t.Errorf("the patch tells %+v", p)
	}
}

// Hosts that come and go are on the list and leave it.
func TestHostsComeAndGo(t *testing.T) {
	h := newFakeHub(10)
	d := New(h, Config{}, zerolog.Nop())
	get(d, "/")
	h.tell(&messages.Batch{
		PutCustomers: []messages.Customer{{ID: "new", DisplayName: `<script>alert(1)</script>`}},
		PutHosts:     []messages.Host{{ID: "new-00000001", CustomerID: "new"}}, DelHosts: []messages.HostID{hostAt(3)},
	})
	_, body := get(d, "/?sort=host")
	if got := hostsOn(body); len(got) != 10 || got[9] != "new-00000001" || slices.Contains(got, string(hostAt(3))) {
		t.Errorf("listed %v", got)
	}
	if strings.Contains(body, "<script>alert") || !strings.Contains(body, "&lt;script&gt;alert") {
		t.Error("a name became markup, or is not there")
	}
}

// Where a form leads back to is a page of ours, whatever the form says.
func TestFormsLeadBackToOurOwnPages(t *testing.T) {
	for where, want := range map[string]string{
		"/hosts/a?x=1": "/hosts/a?x=1", "//evil.example/": "/", "https://evil.example/": "/", `/\evil.example`: "/", "": "/", "javascript:alert(1)": "/",
	} {
		d := New(newFakeHub(1), Config{}, zerolog.Nop())
		var got string
		for _, p := range d.Pages() {
			if p.Path == "/theme" {
				got = location(p, fmt.Sprintf("theme=dark&back=%s", strings.ReplaceAll(where, `\`, "%5C")))
			}
		}
		if !strings.HasSuffix(got, want) || strings.Contains(got, "evil") {
			t.Errorf("%q leads to %q, want %q", where, got, want)
		}
	}
}
