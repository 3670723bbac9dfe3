package text

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"felhom.eu/messages"
)

const (
	maxSubject = 60 // characters; a lock screen shows about as many
	maxItems   = 20 // of a message; what is over is counted
	maxNames   = 10 // of hosts or guests in one line; what is over is counted
	maxAcks    = 3  // commands to acknowledge with
	detailed   = 3  // a message of so many items tells all that is known of each
)

// Place is what a message says beside what happened.
type Place struct {
	// ExternalURL is where the hub's pages are; "" makes messages without links.
	ExternalURL string
	// Customer is a customer's name for people; "", or nil, leaves its id.
	Customer func(messages.CustomerID) string
}

// Message is a delivery in words. All of it is plain text of one line each, without
// control characters; nothing is escaped for any channel.
type Message struct {
	Subject  string // at most 60 characters, the essential first
	Items    []Item // what happened, the worst first
	Link     string // a page of the hub; "" is none
	Acks     []string
	Severity messages.Severity   // the worst of what is wrong, or was
	Over     bool                // nothing of what it tells is wrong any more
	Thread   messages.IncidentID // the incident that it is of; "" when there are several
}

// Item is one thing that happened.
type Item struct {
	Head     string   // what, to which host
	Facts    []string // what is known beside that
	Severity messages.Severity
	Over     bool
}

// Of is a delivery in words.
func Of(d *messages.Delivery, events []messages.Event, place Place) Message {
	t := teller{delivery: d, place: place}
	found := t.fold(events)
	slices.SortStableFunc(found, func(a, b *incident) int {
		return cmp.Or(order(a.open(), b.open()), cmp.Compare(b.severity(), a.severity()))
	})
	m := Message{Over: true}
	for _, in := range found {
		m.Severity, m.Over = max(m.Severity, in.severity()), m.Over && in.over()
	}
	if len(found) == 0 { // their events were pruned
		m.Over = false
		m.Items = []Item{{Head: "something happened that is not stored any more"}}
		m.Subject = t.subject(found)
		return m
	}
	m.Subject, m.Link = t.subject(found), t.link(found)
	if len(found) == 1 && len(found[0].others) == 0 {
		m.Thread = found[0].lead().IncidentID
	}
	for i, in := range found[:min(len(found), maxItems)] {
		whose := i == 0 || in.lead().CustomerID != found[i-1].lead().CustomerID
		m.Items = append(m.Items, Item{t.head(in), t.facts(in, whose, len(found) <= detailed), in.severity(), in.over()})
	}
	if d.Reason != messages.BecauseDrill {
		m.Acks = acks(found)
	}
	if n := len(found) - maxItems; n > 0 {
		m.Items = append(m.Items, Item{Head: fmt.Sprintf("and %d more", n), Over: true})
	}
	return m
}

// acks are the commands that acknowledge what is open: by its incident, or by its
// host where several of that are.
func acks(found []*incident) (commands []string) {
	open := make(map[messages.HostID]int)
	for _, in := range found {
		if in.open() {
			open[in.host()] += 1 + len(in.others)
		}
	}
	for _, in := range found {
		what := string(in.lead().IncidentID)
		if host := in.host(); open[host] > 1 && (host != "" || len(in.others) > 0) {
			what = string(host)
		}
		command := "felhom-hub ack " + what + " --reason TEXT"
		if in.open() && what != "" && !slices.Contains(commands, command) && len(commands) < maxAcks {
			commands = append(commands, command)
		}
	}
	return commands
}

// order puts what is true first.
func order(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}

// Lines are the message without its subject, a line each; a fact begins with two spaces.
func (m *Message) Lines() []string {
	var lines []string
	for i, it := range m.Items {
		if i > 0 && (len(it.Facts) > 0 || len(m.Items[i-1].Facts) > 0) {
			lines = append(lines, "")
		}
		lines = append(lines, it.Head)
		for _, f := range it.Facts {
			lines = append(lines, "  "+f)
		}
	}
	return lines
}

// Text is the whole message in plain text: its lines, the link, how to acknowledge.
func (m *Message) Text() string {
	lines := m.Lines()
	if m.Link != "" || len(m.Acks) > 0 {
		lines = append(lines, "")
	}
	if m.Link != "" {
		lines = append(lines, m.Link)
	}
	for _, a := range m.Acks {
		lines = append(lines, "Acknowledge: "+a)
	}
	return strings.Join(lines, "\n") + "\n"
}

// teller has what is the same for all of a message.
type teller struct {
	delivery *messages.Delivery
	place    Place
}

// reasons begin the subject of what is not news.
var reasons = map[messages.DeliveryReason]string{
	messages.BecauseEscalation: "Unacknowledged: ",
	messages.BecauseUnsilenced: "After a silence: ",
	messages.BecauseDrill:      "TEST: ",
}

// subject is the first incident, how many more there are, and whose they are while
// there is room for it.
func (t *teller) subject(found []*incident) string {
	prefix := reasons[t.delivery.Reason]
	if len(found) == 0 {
		return cut(prefix+"felhom: events no longer stored", maxSubject)
	}
	more := ""
	if n := len(found) - 1; n > 0 {
		more = fmt.Sprintf(" +%d more", n)
	}
	room := maxSubject - utf8.RuneCountInString(prefix+more)
	short := t.short(found[0])
	if prefix != "" {
		short = strings.Replace(short, "Still ", "still ", 1)
	}
	words := prefix + cut(short, room) + more
	if who := t.customers(found); who != "" && utf8.RuneCountInString(words+who)+3 <= maxSubject {
		words += " · " + who
	}
	return words
}

// customers is the customer of all incidents; "" when there are several, or none.
func (t *teller) customers(found []*incident) string {
	id := found[0].lead().CustomerID
	for _, in := range found {
		if in.lead().CustomerID != id {
			return ""
		}
	}
	return t.customer(id)
}

func (t *teller) customer(id messages.CustomerID) string {
	if id == "" || t.place.Customer == nil {
		return string(id)
	}
	return cmp.Or(clean(t.place.Customer(id)), string(id))
}

// link is the page of the host that all is about, or else the first page, which
// shows what needs attention.
func (t *teller) link(found []*incident) string {
	base := strings.TrimRight(t.place.ExternalURL, "/")
	if base == "" {
		return ""
	}
	host := found[0].host()
	for _, in := range found {
		if in.host() != host {
			host = ""
		}
	}
	if host == "" {
		return base + "/"
	}
	return base + "/hosts/" + string(host)
}

// Below are the lines beneath the subject where that is shown apart: without the
// head that the subject says in full, and with how to acknowledge.
func (m *Message) Below() []string {
	lines := m.Lines()
	if len(m.Items) == 1 && len(m.Items[0].Facts) > 0 && strings.HasPrefix(m.Subject, m.Items[0].Head) {
		lines = slices.Clone(m.Items[0].Facts)
	}
	for _, a := range m.Acks {
		lines = append(lines, "Acknowledge: "+a)
	}
	return lines
}
