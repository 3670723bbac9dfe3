package notify

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"felhom.eu/messages"
)

const maxURL = 2048

// service is one of the scheme's services: how to speak to it, and what of its URL
// may be shown.
type service struct {
	example string // of its URL
	hosted  bool   // the URL's host is one on the network, and not a token
	shown   []string
	send    func(context.Context, *Sender, letter) Result
	// check reads the URL as the sender will. Its errors may tell the token.
	check func(*url.URL) error
}

// services has every service that a route may name, by its scheme. shoutrrr's logger
// is none: it writes into the hub's own log.
var services = map[string]service{
	"smtp":       {"smtp://USER:PASSWORD@mail.example.com:587/?from=felhom@example.com&to=you@example.com", true, []string{"from", "fromaddress", "to", "toaddresses"}, sendMail, checkMail},
	"ntfy":       {"ntfy://USER:PASSWORD@ntfy.sh/TOPIC", true, nil, sendNtfy, checkNtfy},
	"gotify":     {"gotify://gotify.example.com/TOKEN", true, nil, sendGotify, checkGotify},
	"pushover":   {"pushover://shoutrrr:TOKEN@USERKEY/?devices=PHONE", false, []string{"devices"}, sendPushover, checkPushover},
	"telegram":   {"telegram://TOKEN@telegram?chats=CHAT", false, []string{"chats", "channels"}, sendTelegram, checkTelegram},
	"slack":      {"slack://hook:A-B-C@webhook", false, []string{"botname", "channel"}, sendSlack, checkSlack},
	"discord":    {"discord://TOKEN@WEBHOOK_ID", false, []string{"username"}, sendDiscord, checkDiscord},
	"teams":      {"teams+https://….logic.azure.com/workflows/…, the whole URL of the workflow", false, nil, sendTeams, checkTeams},
	"mattermost": {"mattermost://mattermost.example.com/TOKEN/CHANNEL", true, nil, sendMattermost, checkMattermost},

	"bark":       {"bark://:DEVICE_KEY@bark.example.com", true, nil, sendOther, checkOther},
	"generic":    {"generic+https://example.com/path?template=json", true, nil, sendOther, checkOther},
	"googlechat": {"googlechat://chat.googleapis.com/v1/spaces/SPACE/messages?key=KEY&token=TOKEN", true, nil, sendOther, checkOther},
	"hangouts":   {"googlechat://chat.googleapis.com/v1/spaces/SPACE/messages?key=KEY&token=TOKEN", true, nil, sendOther, checkOther},
	"ifttt":      {"ifttt://KEY/?events=EVENT", false, []string{"events"}, sendOther, checkOther},
	"join":       {"join://shoutrrr:APIKEY@join/?devices=DEVICE", false, nil, sendOther, checkOther},
	"lark":       {"lark://open.larksuite.com/TOKEN?secret=SECRET", true, nil, sendOther, checkOther},
	"matrix":     {"matrix://USER:PASSWORD@matrix.example.com/?rooms=ROOM", true, []string{"rooms", "room"}, sendOther, checkMatrix},
	"notifiarr":  {"notifiarr://APIKEY?channel=CHANNEL", false, []string{"channel", "name"}, sendOther, checkOther},
	"opsgenie":   {"opsgenie://api.opsgenie.com/APIKEY", true, []string{"priority", "tags"}, sendOther, checkOther},
	"pagerduty":  {"pagerduty://events.pagerduty.com/INTEGRATION_KEY", true, []string{"severity", "source"}, sendOther, checkOther},
	"pushbullet": {"pushbullet://TOKEN/DEVICE", false, nil, sendOther, checkOther},
	"rocketchat": {"rocketchat://rocketchat.example.com/TOKEN_A/TOKEN_B/CHANNEL", true, nil, sendOther, checkOther},
	"signal":     {"signal://signal.example.com:8080/+NUMBER/+RECIPIENT", true, nil, sendOther, checkOther},
	"wecom":      {"wecom://KEY", false, nil, sendOther, checkOther},
	"zulip":      {"zulip://BOT_MAIL:KEY@zulip.example.com/?stream=STREAM&topic=TOPIC", true, []string{"stream", "topic"}, sendOther, checkOther},
}

// serviceOf finds the service that a URL names. Its errors say nothing of the URL
// but its scheme.
func serviceOf(raw string) (service, *url.URL, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return service{}, nil, errors.New("malformed url")
	}
	name, _, _ := strings.Cut(u.Scheme, "+")
	s, ok := services[name]
	if !ok {
		return service{}, nil, fmt.Errorf("no service is called %.20q; there are %s", name, strings.Join(serviceNames(), ", "))
	}
	return s, u, nil
}

func serviceNames() []string {
	var names []string
	for name := range services {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// CheckURL refuses what can never be a route of a kind, with a hint and without the
// secrets in it. Names are resolved, and what they resolve to judged, where the
// route is dialed: an answer of today says nothing of tomorrow's.
func CheckURL(kind messages.RouteKind, raw string, allowPrivate bool) error {
	if len(raw) > maxURL {
		return fmt.Errorf("longer than %d bytes", maxURL)
	}
	switch kind {
	case messages.RouteWebhook:
		return checkWebhook(raw, allowPrivate)
	case messages.RouteShoutrrr:
		return checkService(raw, allowPrivate)
	}
	return fmt.Errorf("no route is of kind %.20q: want webhook or shoutrrr", kind)
}

func checkWebhook(raw string, allowPrivate bool) error {
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Hostname() == "" || u.Scheme != "https" && u.Scheme != "http":
		return errors.New("want https://host/path")
	case u.Fragment != "":
		return errors.New("a fragment is never sent; leave it out")
	case !allowPrivate && privateHost(u.Hostname()):
		return errPrivateURL
	}
	return nil
}

var errPrivateURL = errors.New("points at a private address; allow_private_routes would let it")

func checkService(raw string, allowPrivate bool) (err error) {
	s, u, err := serviceOf(raw)
	if err != nil {
		return err
	}
	if s.hosted && u.Hostname() == "" {
		return fmt.Errorf("names no host; want %s", s.example)
	}
	if !allowPrivate && (s.hosted || u.Scheme != strings.SplitN(u.Scheme, "+", 2)[0]) && privateHost(u.Hostname()) {
		return errPrivateURL
	}
	defer func() { // some readers of shoutrrr's take for granted what a URL may lack
		if recover() != nil {
			err = fmt.Errorf("want %s", s.example)
		}
	}()
	if s.check(u) != nil {
		return fmt.Errorf("want %s", s.example)
	}
	return nil
}

// privateHost judges a literal address or a name for this machine. A name that
// ends in a number is an address in one of the forms that only some resolvers
// read (127.1, 0x7f.1), and is refused with them.
func privateHost(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if a, err := netip.ParseAddr(host); err == nil {
		return Private(a)
	}
	last := host[strings.LastIndexByte(host, '.')+1:]
	return last == "localhost" || last == "" || last[0] >= '0' && last[0] <= '9'
}

// Mask is a route's URL as it may be shown: what says where, and nothing that may
// open something.
func Mask(kind messages.RouteKind, raw string) string {
	if kind != messages.RouteShoutrrr {
		u, err := url.Parse(raw)
		if err != nil {
			return "…"
		}
		return u.Scheme + "://" + u.Host + "/…"
	}
	s, u, err := serviceOf(raw)
	if err != nil {
		return "…"
	}
	masked := u.Scheme + "://…"
	if s.hosted {
		masked = u.Scheme + "://" + u.Host + "/…"
	}
	return masked + shownQuery(u, s.shown)
}

// shownQuery are the parts of a URL's query that are no secret.
func shownQuery(u *url.URL, shown []string) string {
	var parts []string
	for _, key := range shown {
		if v := u.Query().Get(key); v != "" {
			parts = append(parts, key+"="+v)
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return "?" + strings.Join(parts, "&")
}

var errNoToken = errors.New("no token")

// misread is the verdict on a URL that was good when its route was made.
func misread(l letter) Result {
	return Result{Permanent: true, Text: "malformed url; want " + l.example}
}
