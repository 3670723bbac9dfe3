package notify

import (
	"cmp"
	"context"
	"encoding/base64"
	"net/http"
	"net/url"
	"path"
	"strings"

	"github.com/nicholas-fedor/shoutrrr/pkg/services/push/gotify"
	"github.com/nicholas-fedor/shoutrrr/pkg/services/push/ntfy"
	"github.com/nicholas-fedor/shoutrrr/pkg/services/push/pushover"

	"felhom.eu/messages"
)

// The services that push to phones: each has a title, a priority and a page to open.
// shoutrrr's own senders of ntfy and Gotify bring transports that nothing else can
// dial for, and that of Pushover knows no page.

const (
	maxNtfy     = 4000 // bytes; above 4096 it becomes an attachment
	maxPushover = 1000 // characters, of 1024
	maxGotify   = 16 << 10

	pushoverURL = "https://api.pushover.net/1/messages.json"
)

// urgency picks one of a service's priorities, from what is over to what is critical.
func urgency(l *letter, over, info, warning, critical int) int {
	if l.Over {
		return over
	}
	return [...]int{info, warning, critical}[min(l.Severity, messages.SeverityCritical)]
}

func checkNtfy(u *url.URL) error { _, err := ntfyConfig(u); return err }

func ntfyConfig(u *url.URL) (*ntfy.Config, error) {
	c := &ntfy.Config{Scheme: "https", Cache: true, Firebase: true}
	copied := *u // it writes to what it reads
	return c, c.SetURL(&copied)
}

// ntfyMessage is a message of docs.ntfy.sh/publish, "Publish as JSON": a header
// cannot say all that a name may have in it.
type ntfyMessage struct {
	Topic    string   `json:"topic"`
	Title    string   `json:"title"`
	Message  string   `json:"message"`
	Priority int      `json:"priority"`
	Tags     []string `json:"tags,omitempty"`
	Click    string   `json:"click,omitempty"`
	Icon     string   `json:"icon,omitempty"`
	Email    string   `json:"email,omitempty"`
}

func sendNtfy(ctx context.Context, s *Sender, l letter) Result {
	c, err := ntfyConfig(l.url)
	if err != nil {
		return misread(l)
	}
	scheme := cmp.Or(c.Scheme, "https")
	if c.DisableTLS {
		scheme = "http"
	}
	root, topic := path.Split(strings.Trim(c.Topic, "/"))
	header := http.Header{}
	if c.Username != "" || c.Password != "" {
		header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(c.Username+":"+c.Password)))
	}
	if !c.Cache {
		header.Set("Cache", "no")
	}
	if !c.Firebase {
		header.Set("Firebase", "no")
	}
	to := url.URL{Scheme: scheme, Host: c.Host, Path: "/" + root}
	return s.post(ctx, s.trusts(c.DisableTLSVerification), to.String(), ntfyMessage{
		Topic: topic, Title: l.Subject, Message: clipped(l.Below(), maxNtfy), Priority: urgency(&l, 3, 3, 4, 5),
		Tags: append([]string{tag(&l)}, c.Tags...), Click: cmp.Or(c.Click, l.Link), Icon: c.Icon, Email: c.Email,
	}, header)
}

// tag is the sign before a title, as ntfy names them.
func tag(l *letter) string {
	if l.Over {
		return "white_check_mark"
	}
	return [...]string{"information_source", "warning", "rotating_light"}[min(l.Severity, messages.SeverityCritical)]
}

func checkGotify(u *url.URL) error {
	c := &gotify.Config{}
	if err := c.SetURL(u); err != nil {
		return err
	}
	if c.Token == "" {
		return errNoToken
	}
	return nil
}

// gotifyMessage is the body of POST /message (gotify.net/docs/msgextras).
type gotifyMessage struct {
	Title    string         `json:"title"`
	Message  string         `json:"message"`
	Priority int            `json:"priority"`
	Extras   map[string]any `json:"extras,omitempty"`
}

func sendGotify(ctx context.Context, s *Sender, l letter) Result {
	c := &gotify.Config{}
	if err := c.SetURL(l.url); err != nil {
		return misread(l)
	}
	scheme := "https"
	if c.DisableTLS {
		scheme = "http"
	}
	extras := map[string]any{"client::display": map[string]string{"contentType": "text/plain"}}
	if l.Link != "" {
		extras["client::notification"] = map[string]any{"click": map[string]string{"url": l.Link}}
	}
	to := url.URL{Scheme: scheme, Host: c.Host, Path: strings.TrimRight(c.Path, "/") + "/message"}
	return s.post(ctx, s.trusts(c.InsecureSkipVerify), to.String(), gotifyMessage{
		Title: l.Subject, Message: clipped(l.Below(), maxGotify), Priority: urgency(&l, 4, 4, 6, 9), Extras: extras,
	}, http.Header{"X-Gotify-Key": {c.Token}})
}

func checkPushover(u *url.URL) error { return (&pushover.Config{}).SetURL(u) }

func sendPushover(ctx context.Context, s *Sender, l letter) Result {
	c := &pushover.Config{}
	if err := c.SetURL(l.url); err != nil {
		return misread(l)
	}
	form := url.Values{
		"token": {c.Token}, "user": {c.User}, "title": {l.Subject}, "message": {clipped(l.Below(), maxPushover)},
		"priority": {[...]string{"0", "-1", "0", "1"}[urgency(&l, 0, 1, 2, 3)]},
	}
	if len(c.Devices) > 0 {
		form.Set("device", strings.Join(c.Devices, ","))
	}
	if l.Link != "" {
		form.Set("url", l.Link)
		form.Set("url_title", "Open in Felhom")
	}
	return s.postBytes(ctx, s.checked, pushoverURL, []byte(form.Encode()), "application/x-www-form-urlencoded", nil)
}
