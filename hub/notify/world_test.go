package notify

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"

	"felhom.eu/hub/notify/text"
	"felhom.eu/messages"
)

var began = time.Date(2026, 6, 8, 14, 20, 0, 0, time.UTC)

// urls are a URL of every service, as somebody would write it. Tokens say TOKEN in
// one form or another: none of it may ever be told.
var urls = map[string]string{
	"smtp":       "smtp://me:sEcReTpass@mail.example.com:587/?from=felhom@example.com&to=ops@example.org&fromname=Felhom",
	"ntfy":       "ntfy://me:sEcReTpass@ntfy.example.com/sEcReTtopic?tags=house",
	"gotify":     "gotify://gotify.example.com/sub/AsEcReTtoken123",
	"pushover":   "pushover://shoutrrr:sEcReTtoken@sEcReTuserkey/?devices=phone",
	"telegram":   "telegram://110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw@telegram?chats=-1001234567890",
	"slack":      "slack://hook:TSECRET01-BSECRET02-sEcReTsEcReTsEcReTsEcReT@webhook?botname=felhom",
	"discord":    "discord://sEcReTtokenOfDiscord@693853386302554172?username=felhom",
	"teams":      "teams+https://prod-12.westus.logic.azure.com/workflows/sEcReTworkflow/triggers/manual/paths/invoke?api-version=2016-06-01&sig=sEcReTsig",
	"mattermost": "mattermost://felhom@mattermost.example.com/sEcReTtoken/ops",
	"bark":       "bark://:sEcReTdevice@bark.example.com",
	"generic":    "generic+https://generic.example.com/sEcReTpath?template=json",
	"googlechat": "googlechat://chat.googleapis.com/v1/spaces/FOO/messages?key=sEcReTkey&token=sEcReTtoken",
	"hangouts":   "hangouts://chat.googleapis.com/v1/spaces/FOO/messages?key=sEcReTkey&token=sEcReTtoken",
	"ifttt":      "ifttt://sEcReTkey/?events=felhom",
	"join":       "join://shoutrrr:sEcReTkey@join/?devices=sEcReTdevice",
	"lark":       "lark://open.larksuite.com/sEcReTtoken?secret=sEcReTsecret",
	"matrix":     "matrix://:sEcReTtoken@matrix.example.com/?rooms=!room:matrix.example.com",
	"notifiarr":  "notifiarr://sEcReTkey?channel=123456789012345678",
	"opsgenie":   "opsgenie://api.opsgenie.com/sEcReTkey",
	"pagerduty":  "pagerduty://events.pagerduty.com/5ec5e7005ec5e7005ec5e7005ec5e700",
	"pushbullet": "pushbullet://o.sEcReTsEcReTsEcReTsEcReTsEcReT00/device",
	"rocketchat": "rocketchat://felhom@rocketchat.example.com/sEcReTa/sEcReTb/ops",
	"signal":     "signal://signal.example.com:8080/+49123456789/+49123456780",
	"wecom":      "wecom://sEcReTkey",
	"zulip":      "zulip://bot%40example.com:sEcReTkey@zulip.example.com/?stream=ops&topic=felhom",
}

// request is what a far end was asked.
type request struct {
	host, path string
	header     http.Header
	body       string
}

// world stands in for all of the network: whatever a sender dials, this answers.
type world struct {
	*httptest.Server
	mu       sync.Mutex
	requests []request
	answer   http.HandlerFunc
}

func newWorld(t testing.TB, answer http.HandlerFunc) *world {
	w := &world{answer: answer}
	w.Server = httptest.NewTLSServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		w.mu.Lock()
		w.requests = append(w.requests, request{r.Host, r.URL.String(), r.Header.Clone(), string(body)})
		w.mu.Unlock()
		w.answer(out, r)
	}))
	w.Server.Config.ErrorLog = nil
	t.Cleanup(w.Close)
	return w
}

// sender dials this world, by the rule of o.
func (w *world) sender(o Options) *Sender {
	o.Agent = "felhom-hub/test"
	o.Place = text.Place{ExternalURL: "https://hub.example.com", Customer: func(messages.CustomerID) string { return "Acme Dental" }}
	s := New(o)
	s.dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return s.dialer.DialContext(ctx, network, w.Listener.Addr().String())
	}
	s.checked = s.trusting // a certificate of everybody's
	return s
}

func (w *world) asked() []request {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]request(nil), w.requests...)
}

// contented answers each service as it does when it took a message.
func contented(out http.ResponseWriter, r *http.Request) {
	out.Header().Set("Content-Type", "application/json")
	switch {
	case strings.Contains(r.URL.Path, "joined_rooms"):
		fmt.Fprint(out, `{"joined_rooms":["!room:matrix.example.com"]}`)
	case strings.Contains(r.Host, "larksuite"), strings.Contains(r.Host, "weixin"):
		fmt.Fprint(out, `{"code":0,"errcode":0,"errmsg":"ok","msg":"success"}`)
	case strings.Contains(r.Host, "bark"):
		fmt.Fprint(out, `{"code":200,"message":"success","timestamp":1}`)
	case strings.Contains(r.Host, "slack"):
		fmt.Fprint(out, `ok`)
	case strings.Contains(r.Host, "notifiarr"):
		fmt.Fprint(out, `{"result":"success"}`)
	case strings.Contains(r.Host, "pushbullet"):
		asked := map[string]any{}
		_ = json.NewDecoder(r.Body).Decode(&asked)
		asked["active"] = true
		_ = json.NewEncoder(out).Encode(asked)
	default:
		fmt.Fprint(out, `{"ok":true,"id":"x","status":1}`)
	}
}

func routeTo(raw string) messages.Route {
	return messages.Route{ID: "r1", Kind: messages.RouteShoutrrr, URL: messages.Secret(raw)}
}

// outage are a host that went down, and a guest of another with a name.
func outage(name string) (messages.Delivery, []messages.Event) {
	heard := began
	down := messages.Event{
		ID: "01JX7Q0000000000000000EVN1", Type: messages.HostDown, At: began.Add(63 * time.Minute), CustomerID: "acme", HostID: "acme-7f3a90c1",
		IncidentID: "01JX7Q0000000000000000NCD1", Summary: "acme-7f3a90c1 is down, silent for 1 h 3 min",
		Detail: messages.EventDetail{LastContactAt: &heard, SilenceSeconds: 3780, GuestTotal: 14, GuestRunning: 12, Cloudflared: "active"},
	}
	events := []messages.Event{down}
	if name != "" {
		stopped := down
		stopped.ID, stopped.Type, stopped.HostID, stopped.IncidentID = "01JX7Q0000000000000000EVN2", messages.GuestStopped, "acme-00000002", "01JX7Q0000000000000000NCD2"
		stopped.Summary = "acme-00000002: guest 101 (" + name + ") is stopped, ran 3 d"
		stopped.Detail = messages.EventDetail{VMID: 101, Severity: messages.SeverityWarning, Reason: name}
		events = append(events, stopped)
	}
	d := messages.Delivery{ID: "01JX7Q00000000000000000DLV", CustomerID: "acme", CreatedAt: began.Add(63 * time.Minute)}
	for _, e := range events {
		d.Events = append(d.Events, e.ID)
	}
	return d, events
}

// shown is a request as a golden file has it.
func shown(r request) string {
	var b strings.Builder
	path, err := url.PathUnescape(r.path)
	if err != nil {
		path = r.path
	}
	fmt.Fprintf(&b, "POST https://%s%s\n", r.host, path)
	var keys []string
	for k := range r.header {
		if k != "Accept-Encoding" && k != "Content-Length" {
			keys = append(keys, k)
		}
	}
	sort.Strings(keys)
	for _, k := range keys {
		fmt.Fprintf(&b, "%s: %s\n", k, strings.Join(r.header[k], ", "))
	}
	return b.String() + "\n" + pretty(r) + "\n"
}

func pretty(r request) string {
	if form, err := url.ParseQuery(r.body); err == nil && strings.HasPrefix(r.header.Get("Content-Type"), "application/x-www-form") {
		var lines []string
		for k, v := range form {
			lines = append(lines, fmt.Sprintf("%s = %q", k, v[0]))
		}
		sort.Strings(lines)
		return strings.Join(lines, "\n")
	}
	var v any
	if json.Unmarshal([]byte(r.body), &v) != nil {
		return r.body
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if e.Encode(v) != nil {
		return r.body
	}
	return b.String()
}

func contextFor(t *testing.T, d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(t.Context(), d)
}
