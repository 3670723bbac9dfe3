package dashboard

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"felhom.eu/hub/api"
	"felhom.eu/messages"
)

const (
	testTimeout = 30 * time.Second // for the far end of a route
	tokenLife   = 24 * time.Hour
	maxReason   = 500
)

// act turns what a form asks for into what the server calls. Who may not change
// anything is not listened to, whatever the page showed.
func (d *Dashboard) act(do func(*request) error) func(*request) error {
	return func(r *request) error {
		if !r.viewer.operator {
			return errReadOnly
		}
		err := do(r)
		if err != nil && !errors.Is(err, api.ErrNotFound) && !errors.Is(err, errBad) {
			d.log.Warn().Err(err).Str("by", r.viewer.name).Msg("a page's action failed")
		}
		return err
	}
}

// errReadOnly is a change that the viewer may not make.
var errReadOnly = errors.New("you may look, but not change anything")

// field is what a form says, without what does not print.
func (r *request) field(name string) string {
	clean := func(c rune) rune {
		if c < ' ' || c == 0x7f || c >= 0x202a && c <= 0x202e || c >= 0x2066 && c <= 0x2069 {
			return ' '
		}
		return c
	}
	return strings.TrimSpace(strings.Map(clean, strings.ToValidUTF8(string(r.PostArgs().Peek(name)), "")))
}

// back sends a browser to where the form was, with a word about what was done.
func (r *request) back(done string) error {
	where, _, _ := strings.Cut(r.field("back"), "#")
	if strings.Contains(where, "done=") {
		where, _, _ = strings.Cut(where, "?")
	}
	switch {
	case where == "":
		where = "/"
	case strings.Contains(where, "?"):
		return r.see(where + "&done=" + done)
	}
	return r.see(where + "?done=" + done)
}

// done are the words that a page may begin with after an action.
var done = map[string]string{
	"acknowledged": "Acknowledged. Its end clears it, and no reminders come.",
	"taken-back":   "The acknowledgement was taken back.",
	"silenced":     "Silenced. What happens is recorded, and told at the end if it is still wrong.",
	"ended":        "The silence has ended.",
	"retried":      "The delivery is on its way again.",
	"blocked":      "The customer is blocked: its agents are told so with every report.",
	"unblocked":    "The customer is not blocked any more.",
	"added":        "The customer was added.",
}

func (d *Dashboard) acknowledge(r *request) error {
	id, err := r.incidentID()
	if err != nil {
		return err
	}
	reason := short(maxReason, r.field("reason"))
	ack := &messages.Ack{By: r.viewer.name, Reason: or(reason, "seen on the dashboard"), At: r.now}
	if err := d.hub.Acknowledge(r.ctx, []messages.IncidentID{id}, ack); err != nil {
		return err
	}
	return r.back("acknowledged")
}

func (d *Dashboard) unacknowledge(r *request) error {
	id, err := r.incidentID()
	if err != nil {
		return err
	}
	if err := d.hub.Acknowledge(r.ctx, []messages.IncidentID{id}, nil); err != nil {
		return err
	}
	return r.back("taken-back")
}

func (r *request) incidentID() (messages.IncidentID, error) {
	id, err := messages.ParseULID[messages.IncidentID]("incident_id", r.params[0])
	if err != nil {
		return "", errBad
	}
	return id, nil
}

// silenceForm is what the form for a silence says, as it goes back into it.
type silenceForm struct {
	Scope, ID, Reason, Hours, Schedule, TimeZone string
}

func (d *Dashboard) addSilence(r *request) error {
	form := silenceForm{
		Scope: r.field("scope"), ID: r.field("id"), Reason: r.field("reason"), Hours: r.field("hours"),
		Schedule: r.field("schedule"), TimeZone: r.field("time_zone"),
	}
	s, problem := form.read(r.now)
	if problem != "" {
		return d.showSilences(r, form, problem)
	}
	s.CreatedBy = r.viewer.name
	if _, err := d.hub.AddSilence(r.ctx, s); err != nil {
		if message, ok := api.Problem(err); ok {
			return d.showSilences(r, form, message)
		}
		return err
	}
	return r.back("silenced")
}

func (f *silenceForm) read(now time.Time) (s messages.Silence, problem string) {
	s.Scope = messages.Scope{Kind: messages.ScopeKind(f.Scope), ID: f.ID}
	if s.Scope.Kind == messages.ScopeFleet {
		s.Scope.ID = ""
	}
	hours, err := strconv.ParseFloat(strings.ReplaceAll(f.Hours, ",", "."), 64)
	lasts := time.Duration(hours * float64(time.Hour))
	if err != nil || hours <= 0 || lasts > messages.MaxSilence {
		return s, "Hours: want a number above 0, and at most 720."
	}
	if f.Reason == "" || len(f.Reason) > maxReason {
		return s, "Reason: say in a few words why, for those who wonder later."
	}
	s.Reason, s.StartsAt = f.Reason, now
	if f.Schedule != "" {
		s.Schedule, s.TimeZone, s.DurationSeconds = f.Schedule, or(f.TimeZone, "UTC"), int64(lasts/time.Second)
	} else {
		s.EndsAt = now.Add(lasts)
	}
	return s, ""
}

func (d *Dashboard) endSilence(r *request) error {
	id, err := messages.ParseULID[messages.SilenceID]("silence_id", r.params[0])
	if err != nil {
		return errBad
	}
	if err := d.hub.EndSilence(r.ctx, id); err != nil {
		return err
	}
	return r.back("ended")
}

func (d *Dashboard) testRoute(r *request) error {
	id, err := messages.ParseULID[messages.RouteID]("route_id", r.params[0])
	if err != nil {
		return errBad
	}
	routes, err := d.routes(r, "")
	if err != nil {
		return err
	}
	tested := &testedRoute{}
	for _, route := range routes {
		if route.ID == id {
			tested.Route = route
		}
	}
	c, cancel := context.WithTimeout(context.Background(), testTimeout)
	defer cancel()
	if tested.Answer, err = d.hub.TestRoute(c, id); err != nil {
		return err
	}
	return d.showSettings(r, tested)
}

func (d *Dashboard) retryDelivery(r *request) error {
	id, err := messages.ParseULID[messages.DeliveryID]("delivery_id", r.params[0])
	if err != nil {
		return errBad
	}
	if err := d.hub.RetryDelivery(r.ctx, id); err != nil {
		return err
	}
	return r.back("retried")
}

func (d *Dashboard) block(blocked bool) func(*request) error {
	return func(r *request) error {
		id, err := r.customerID()
		if err != nil {
			return err
		}
		if _, err := d.hub.SetBlocked(r.ctx, id, blocked); err != nil {
			return err
		}
		if blocked {
			return r.back("blocked")
		}
		return r.back("unblocked")
	}
}

func (d *Dashboard) addCustomer(r *request) error {
	id, err := messages.ParseCustomerID(strings.ToLower(r.field("customer_id")))
	if err != nil {
		return d.sayOnce(r, &oncePage{Title: "That cannot be a customer's id", Problem: "Want small letters, digits and hyphens, at most 32, as in acme-berlin.", Back: "/customers"})
	}
	name := short(100, r.field("display_name"))
	_, err = d.hub.AddCustomer(r.ctx, id, or(name, string(id)))
	if errors.Is(err, api.ErrExists) {
		return d.sayOnce(r, &oncePage{Title: "There is a customer of that id already", Problem: "Choose another id; names may be alike.", Back: "/customers"})
	}
	if err != nil {
		return err
	}
	return r.see("/customers/" + string(id) + "?done=added")
}

// oncePage shows what is shown once.
type oncePage struct {
	Title    string
	Problem  string
	Host     messages.HostID
	Key      string
	Commands []command
	Until    time.Time
	Back     string
}

type command struct{ What, Line string }

func (d *Dashboard) sayOnce(r *request, p *oncePage) error {
	return d.render(r, "once", "customers", p.Title, p)
}

// addHost makes what lets a machine become a host: a token that it enrols with, or a
// host with its key at once.
func (d *Dashboard) addHost(r *request) error {
	id, err := r.customerID()
	if err != nil {
		return err
	}
	p := &oncePage{Back: "/customers/" + string(id)}
	if r.field("how") == "key" {
		host, key, err := d.hub.MintHost(r.ctx, messages.Host{CustomerID: id})
		if err != nil {
			return err
		}
		p.Title, p.Host, p.Key, p.Commands = "Minted "+string(host), host, key.Reveal(), d.keyCommands(r, host, key)
		return d.sayOnce(r, p)
	}
	t, token, err := d.hub.AddToken(r.ctx, messages.EnrollToken{CustomerID: id, Uses: 1}, tokenLife)
	if err != nil {
		return err
	}
	p.Title, p.Until = "Add a host to "+string(id), t.ExpiresAt
	p.Commands = []command{{
		"On the machine, as root, with felhom-agent installed",
		fmt.Sprintf("felhom-agent enroll --hub %s --token %s && systemctl enable --now felhom-agent", d.address(r), token.Reveal()),
	}}
	return d.sayOnce(r, p)
}

func (d *Dashboard) rotateKey(r *request) error {
	id, err := r.hostID()
	if err != nil {
		return err
	}
	key, err := d.hub.RotateKey(r.ctx, id)
	if err != nil {
		return err
	}
	return d.sayOnce(r, &oncePage{
		Title: "Another key for " + string(id), Host: id, Key: key.Reveal(), Commands: d.keyCommands(r, id, key), Back: "/hosts/" + string(id),
	})
}

// keyCommands say where a key goes.
func (d *Dashboard) keyCommands(r *request, id messages.HostID, key messages.Secret) []command {
	return []command{{
		"Try it on the machine: one report, and what the hub says",
		fmt.Sprintf("FELHOM_AGENT_HUB_URL=%s FELHOM_AGENT_HUB_HOST_ID=%s FELHOM_AGENT_HUB_API_KEY=%s felhom-agent --selftest=hub", d.address(r), id, key.Reveal()),
	}}
}

// plainHost is what may stand in a command that somebody will paste into a shell.
var plainHost = regexp.MustCompile(`^(\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+)(:[0-9]+)?$`)

// address is where agents reach the hub: as configured, else as this browser did.
func (d *Dashboard) address(r *request) string {
	if d.cfg.ExternalURL != "" {
		return strings.TrimSuffix(d.cfg.ExternalURL, "/")
	}
	scheme, host := "http", string(r.Host())
	if r.IsTLS() {
		scheme = "https"
	}
	if !plainHost.MatchString(host) {
		host = "HUB"
	}
	return scheme + "://" + host
}
