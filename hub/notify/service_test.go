package notify

import (
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/nicholas-fedor/shoutrrr/pkg/router"

	"felhom.eu/messages"
)

// Every service of shoutrrr's can be a route, but the one that writes into the hub's
// own log.
func TestEveryServiceIsKnown(t *testing.T) {
	for _, name := range (&router.ServiceRouter{}).ListServices() {
		if _, ok := services[name]; ok == (name == "logger") {
			t.Errorf("%s: known is %v", name, ok)
		}
	}
	if len(services) != len(urls) {
		t.Errorf("%d services, %d of them tested", len(services), len(urls))
	}
}

// A good URL is taken, for every service; a bad one is refused with an example and
// without its secrets.
func TestCheckURL(t *testing.T) {
	for _, raw := range urls {
		if err := CheckURL(messages.RouteShoutrrr, raw, false); err != nil {
			t.Errorf("%s: %v", raw, err)
		}
	}
	for raw, want := range map[string]string{
		"":                            "no service is called",
		"://":                         "malformed url",
		"logger://":                   "no service is called",
		"file:///etc/passwd":          "no service is called",
		"telegram://sEcReT@telegram":  "want telegram://",
		"telegram://telegram?chats=1": "want telegram://",
		"ntfy://ntfy.sh":              "want ntfy://",
		"smtp://mail.example.com/?from=a@example.com":              "want smtp://",
		"smtp://mail.example.com/?from=a@example.com&to=nobody":    "want smtp://",
		"smtp:///?from=a@example.com&to=b@example.com":             "names no host",
		"smtp://127.0.0.1/?from=a@example.com&to=b@example.com":    "private address",
		"ntfy://localhost/topic":                                   "private address",
		"gotify://192.168.1.2/AsEcReTtoken123":                     "private address",
		"generic+https://10.0.0.1/x":                               "private address",
		"generic://[::1]/x":                                        "private address",
		"teams+https://10.1.1.1/workflows/x":                       "private address",
		"teams+http://teams.example.com/x":                         "want teams",
		"discord://sEcReT@":                                        "want discord://",
		"slack://sEcReT@webhook":                                   "want slack://",
		"ntfy://ntfy.sh/sEcReT?nothing=such":                       "want ntfy://",
		"pushover://sEcReT@":                                       "want pushover://",
		"zulip://sEcReT":                                           "want zulip://",
		"mattermost://mattermost.example.com":                      "want mattermost://",
		"signal://signal.example.com":                              "want signal://",
		"ntfy://ntfy.sh/" + strings.Repeat("x", maxURL):            "longer than",
		"smtp+https://mail.example.com/?from=a@b.de&to=sEcReT@b.d": "",
	} {
		err := CheckURL(messages.RouteShoutrrr, raw, false)
		if want == "" {
			continue
		}
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "sEcReT") {
			t.Errorf("%.60q: got %v, want %q", raw, err, want)
		}
	}
	if err := CheckURL(messages.RouteShoutrrr, "ntfy://localhost/topic", true); err != nil {
		t.Errorf("a private address that is allowed: %v", err)
	}
	if CheckURL("pigeon", "https://example.com", false) == nil {
		t.Error("a kind that is none was taken")
	}
}

// Every URL that the documentation gives is taken.
func TestDocumentedURLs(t *testing.T) {
	page, err := os.ReadFile("../../docs/alerting.md")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`'([a-z+]+://[^']+)'`).FindAllStringSubmatch(string(page), -1)
	for _, m := range found {
		raw := strings.NewReplacer("USERKEY", "uKey", "/TOKEN", "/A23456789012345").Replace(m[1])
		if err := CheckURL(messages.RouteShoutrrr, raw, false); err != nil {
			t.Errorf("%s: %v", raw, err)
		}
	}
	if len(found) < 12 {
		t.Errorf("%d URLs found", len(found))
	}
}

// What is shown of a URL says where, and opens nothing.
func TestMask(t *testing.T) {
	for name, raw := range urls {
		got := Mask(messages.RouteShoutrrr, raw)
		if low := strings.ToLower(got); strings.Contains(low, "secret") || strings.Contains(got, "AAHdq") || strings.Contains(got, "5ec5e7") || !strings.HasPrefix(got, name) {
			t.Errorf("%s: %s", name, got)
		}
	}
	for raw, want := range map[string]string{
		urls["telegram"]: "telegram://…?chats=-1001234567890",
		urls["smtp"]:     "smtp://mail.example.com:587/…?from=felhom@example.com&to=ops@example.org",
		urls["ntfy"]:     "ntfy://ntfy.example.com/…",
		urls["teams"]:    "teams+https://…",
		"%zz":            "…",
	} {
		if got := Mask(messages.RouteShoutrrr, raw); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	if got := Mask(messages.RouteWebhook, "https://example.com/hooks/secret?key=secret"); got != "https://example.com/…" {
		t.Errorf("a webhook: %s", got)
	}
}

const webhook = "webhook"

// routeOf is a route by a service's name, or a webhook.
func routeOf(name string) messages.Route {
	if name == webhook {
		return messages.Route{ID: "r1", Kind: messages.RouteWebhook, URL: "https://hooks.example.com/sEcReTpath", Secret: SecretPrefix + "c2VjcmV0"}
	}
	return routeTo(urls[name])
}

func overHTTP() []string {
	var list []string
	for _, name := range serviceNames() {
		if name != "smtp" {
			list = append(list, name)
		}
	}
	return list
}

// Every service delivers, and each answer has its verdict, whatever is behind it.
func TestVerdicts(t *testing.T) {
	d, events := outage("")
	for _, name := range append(overHTTP(), webhook) {
		w := newWorld(t, contented)
		s := w.sender(Options{AllowPrivate: true})
		if r := s.Send(t.Context(), routeOf(name), d, events); !r.OK || len(w.asked()) == 0 {
			t.Errorf("%s: not delivered: %+v", name, r)
		}
		for status, want := range map[int]Result{
			400: {Permanent: true, Status: 400}, 404: {Permanent: true, Status: 404}, 408: {Status: 408},
			429: {Status: 429, RetryAfter: 7 * time.Second}, 500: {Status: 500}, 503: {Status: 503, RetryAfter: 7 * time.Second}, 307: {Status: 307},
		} {
			w.answer = func(out http.ResponseWriter, r *http.Request) {
				if status == 429 || status == 503 {
					out.Header().Set("Retry-After", "7")
				}
				out.Header().Set("Location", "https://127.0.0.1/elsewhere")
				out.WriteHeader(status)
				fmt.Fprintf(out, `{"error":"no","url":%q,"authorization":%q}`, r.URL, r.Header)
			}
			r := s.Send(t.Context(), routeOf(name), d, events)
			told(t, name, r)
			if r.Text = ""; r != want {
				t.Errorf("%s: %d: got %+v, want %+v", name, status, r, want)
			}
		}
		for _, r := range w.asked() {
			if strings.Contains(r.path, "elsewhere") {
				t.Errorf("%s: followed a redirect", name)
			}
		}
	}
}

// told: nothing in an answer may open something.
func told(t *testing.T, name string, r Result) {
	t.Helper()
	if low := strings.ToLower(r.Text); strings.Contains(low, "secret") && !strings.Contains(low, "secret:") || strings.Contains(r.Text, "AAHdq") || strings.Contains(low, "5ec5e7") || strings.Contains(r.Text, "110201543") {
		t.Errorf("%s: the answer tells the token: %s", name, r.Text)
	}
}

// No service reaches a private address, whatever name led there.
func TestNoServiceReachesPrivateAddresses(t *testing.T) {
	d, events := outage("")
	for _, name := range append(serviceNames(), webhook) {
		w := newWorld(t, contented)
		r := w.sender(Options{}).Send(t.Context(), routeOf(name), d, events)
		if r.OK || len(w.asked()) > 0 || !strings.Contains(r.Text, "private address") {
			t.Errorf("%s: %+v", name, r)
		}
		told(t, name, r)
	}
}

// A far end that says nothing, or never stops, costs its own try a bounded time and
// little memory.
func TestFarEndsThatHangOrFlood(t *testing.T) {
	d, events := outage("")
	for _, name := range append(overHTTP(), webhook) {
		hangs := newWorld(t, func(_ http.ResponseWriter, r *http.Request) {
			<-r.Context().Done()
			panic(http.ErrAbortHandler) // to return is to answer 200, which may still be heard
		})
		s := hangs.sender(Options{AllowPrivate: true})
		s.checked.Timeout = 50 * time.Millisecond
		limited(t, name, s, d, events)
		floods := newWorld(t, func(out http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				if _, err := out.Write(make([]byte, 64<<10)); err != nil {
					return
				}
			}
		})
		r := floods.sender(Options{AllowPrivate: true}).Send(t.Context(), routeOf(name), d, events)
		if len(r.Text) > maxAnswer+100 {
			t.Errorf("%s: kept %d bytes", name, len(r.Text))
		}
	}
}

// limited tries a far end that hangs with a context that ends soon.
func limited(t *testing.T, name string, s *Sender, d messages.Delivery, events []messages.Event) {
	t.Helper()
	ctx, cancel := contextFor(t, 50*time.Millisecond)
	defer cancel()
	start := time.Now()
	if r := s.Send(ctx, routeOf(name), d, events); r.OK || r.Permanent || time.Since(start) > 3*time.Second {
		t.Errorf("%s: %+v after %s", name, r, time.Since(start))
	}
}
