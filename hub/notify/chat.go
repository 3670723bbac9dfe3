package notify

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"html"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nicholas-fedor/shoutrrr/pkg/services/chat/discord"
	"github.com/nicholas-fedor/shoutrrr/pkg/services/chat/mattermost"
	"github.com/nicholas-fedor/shoutrrr/pkg/services/chat/slack"
	"github.com/nicholas-fedor/shoutrrr/pkg/services/chat/teams"
	"github.com/nicholas-fedor/shoutrrr/pkg/services/chat/telegram"
)

// The services that people talk on. shoutrrr's own senders of them lose messages:
// Telegram's takes a connection that failed for a delivery, Teams' knows only the
// webhooks that were shut down, Discord's lets a name call everybody, Slack's makes a
// box of every line, Mattermost's dials by itself.

const (
	maxTelegram   = 3900 // bytes, of 4096 characters
	maxSlack      = 2800 // of 3000 characters of a block
	maxDiscord    = 1900 // of 2000 characters
	maxMattermost = 15_000
	maxTeams      = 20_000 // of 28 KB

	telegramURL = "https://api.telegram.org/bot"
	slackURL    = "https://slack.com/api/chat.postMessage"
	openWords   = "Open in Felhom"
)

// marked are the lines of a message for a chat: its heads in bold, all else escaped.
func marked(l *letter, bold string, escape func(string) string) []string {
	var lines []string
	for i, it := range l.Items {
		if i > 0 && len(it.Facts) > 0 {
			lines = append(lines, "")
		}
		lines = append(lines, bold+escape(it.Head)+strings.Replace(bold, "<", "</", 1))
		for _, f := range it.Facts {
			lines = append(lines, escape(f))
		}
	}
	for _, a := range l.Acks {
		lines = append(lines, escape("Acknowledge: "+a))
	}
	return lines
}

func checkTelegram(u *url.URL) error { return (&telegram.Config{}).SetURL(u) }

// telegramMessage is the body of sendMessage (core.telegram.org/bots/api#sendmessage).
type telegramMessage struct {
	Chat    string          `json:"chat_id"`
	Thread  int             `json:"message_thread_id,omitempty"`
	Text    string          `json:"text"`
	Mode    string          `json:"parse_mode"`
	Silent  bool            `json:"disable_notification,omitempty"`
	Preview map[string]bool `json:"link_preview_options"`
}

// sendTelegram tells every chat of the URL. When some were told and others are to be
// tried again, all are.
func sendTelegram(ctx context.Context, s *Sender, l letter) Result {
	c := &telegram.Config{Notification: true}
	if err := c.SetURL(l.url); err != nil {
		return misread(l)
	}
	lines := marked(&l, "<b>", telegramHTML)
	said := clipped(lines, maxTelegram)
	if l.Link != "" {
		said += "\n" + `<a href="` + html.EscapeString(l.Link) + `">` + openWords + `</a>`
	}
	var results []Result
	for _, chat := range c.Chats {
		id, thread, _ := strings.Cut(chat, ":")
		m := telegramMessage{Chat: id, Text: said, Mode: "HTML", Silent: !c.Notification, Preview: map[string]bool{"is_disabled": true}}
		m.Thread, _ = strconv.Atoi(thread)
		results = append(results, telegramWait(s.post(ctx, s.checked, telegramURL+c.Token+"/sendMessage", m, nil)))
	}
	return worst(results...)
}

// telegramWait reads how long to wait, which Telegram says in the body.
func telegramWait(r Result) Result {
	var said struct {
		Parameters struct {
			Seconds int `json:"retry_after"`
		} `json:"parameters"`
	}
	if _, body, ok := strings.Cut(r.Text, "{"); ok && r.Status == http.StatusTooManyRequests && r.RetryAfter == 0 &&
		json.Unmarshal([]byte("{"+body), &said) == nil && said.Parameters.Seconds > 0 {
		r.RetryAfter = time.Duration(min(said.Parameters.Seconds, int(maxRetryAfter/time.Second))) * time.Second
	}
	return r
}

func checkSlack(u *url.URL) error { return (&slack.Config{}).SetURL(u) }

// slackMessage is the body of an incoming webhook, and of chat.postMessage. Text is
// what a notification shows.
type slackMessage struct {
	Channel string       `json:"channel,omitempty"`
	Name    string       `json:"username,omitempty"`
	Icon    string       `json:"icon_emoji,omitempty"`
	IconURL string       `json:"icon_url,omitempty"`
	Thread  string       `json:"thread_ts,omitempty"`
	Text    string       `json:"text"`
	Unfurl  bool         `json:"unfurl_links"`
	Blocks  []slackBlock `json:"blocks"`
}

type slackBlock struct {
	Type string         `json:"type"`
	Text slackBlockText `json:"text"`
}

type slackBlockText struct {
	Type  string `json:"type"`
	Text  string `json:"text"`
	Emoji *bool  `json:"emoji,omitempty"` // of plain text
}

func sendSlack(ctx context.Context, s *Sender, l letter) Result {
	c := &slack.Config{}
	if err := c.SetURL(l.url); err != nil {
		return misread(l)
	}
	m := slackMessage{Name: c.BotName, Thread: c.ThreadTS, Text: slackText(l.Subject), Blocks: slackBlocks(&l)}
	if m.Icon = c.Icon; strings.HasPrefix(c.Icon, "http") {
		m.Icon, m.IconURL = "", c.Icon
	}
	if c.Channel != "webhook" {
		m.Channel = c.Channel
	}
	if !c.Token.IsAPIToken() {
		return s.post(ctx, s.checked, c.Token.WebhookURL(), m, nil)
	}
	return slackVerdict(s.post(ctx, s.checked, slackURL, m, http.Header{"Authorization": {c.Token.Authorization()}}))
}

// slackBlocks are a message as plain text, in which nothing is markup, and its link.
func slackBlocks(l *letter) []slackBlock {
	no := false
	blocks := []slackBlock{
		{"header", slackBlockText{"plain_text", l.Subject, &no}},
		{"section", slackBlockText{"plain_text", clipped(l.Below(), maxSlack), &no}},
	}
	if l.Link != "" {
		blocks = append(blocks, slackBlock{"section", slackBlockText{"mrkdwn", "<" + slackText(l.Link) + "|" + openWords + ">", nil}})
	}
	return blocks
}

// slackAgain are Slack's errors that pass.
var slackAgain = []string{"ratelimited", "rate_limited", "internal_error", "fatal_error", "service_unavailable", "request_timeout"}

// slackVerdict reads the verdict in an answer of Slack's API: its status is always 200.
func slackVerdict(r Result) Result {
	var said struct {
		OK    bool   `json:"ok"`
		Error string `json:"error"`
	}
	text := r.Text
	if !r.OK {
		return r
	}
	if err := json.Unmarshal([]byte(text), &said); err != nil { // a long answer is cut; it begins with the verdict
		said.OK = strings.HasPrefix(strings.ReplaceAll(text, " ", ""), `{"ok":true`)
	}
	if !said.OK {
		r.OK, r.Permanent = false, said.Error != "" && !slices.Contains(slackAgain, said.Error)
		r.Text = cmp.Or(said.Error, text)
	}
	return r
}

func checkDiscord(u *url.URL) error { return (&discord.Config{}).SetURL(u) }

// discordMessage is the body of a webhook's execution (discord.com/developers,
// "Execute Webhook"). No mention in it calls anybody.
type discordMessage struct {
	Content  string              `json:"content"`
	Name     string              `json:"username,omitempty"`
	Avatar   string              `json:"avatar_url,omitempty"`
	Mentions map[string][]string `json:"allowed_mentions"`
	Flags    int                 `json:"flags"`
}

const discordNoEmbeds = 1 << 2

func sendDiscord(ctx context.Context, s *Sender, l letter) Result {
	c := &discord.Config{}
	if err := c.SetURL(l.url); err != nil {
		return misread(l)
	}
	said := clipped(marked(&l, "**", discordText), maxDiscord-len(l.Link))
	if l.Link != "" {
		said += "\n<" + l.Link + ">"
	}
	return s.post(ctx, s.checked, discord.CreateAPIURLFromConfig(c), discordMessage{
		Content: said, Name: c.Username, Avatar: c.Avatar, Mentions: map[string][]string{"parse": {}}, Flags: discordNoEmbeds,
	}, nil)
}

func checkMattermost(u *url.URL) error { return (&mattermost.Config{}).SetURL(u) }

func sendMattermost(ctx context.Context, s *Sender, l letter) Result {
	c := &mattermost.Config{}
	if err := c.SetURL(l.url); err != nil {
		return misread(l)
	}
	said := clipped(marked(&l, "**", mattermostText), maxMattermost)
	if l.Link != "" {
		said += "\n[" + openWords + "](" + l.Link + ")"
	}
	m := mattermost.JSON{Text: said, UserName: c.UserName, Channel: c.Channel}
	m.SetIcon(c.Icon)
	to := url.URL{Scheme: "https", Host: c.Host, Path: "/hooks/" + c.Token}
	if c.DisableTLS {
		to.Scheme = "http"
	}
	return s.post(ctx, s.checked, to.String(), m, nil)
}

// teamsURL is the webhook of a workflow (teams+https://…), or the one that
// shoutrrr's teams:// spells in parts.
func teamsURL(u *url.URL) (string, error) {
	if u.Scheme == "teams+https" {
		to := *u
		to.Scheme = "https"
		if to.Hostname() == "" || strings.Trim(to.Path, "/") == "" {
			return "", errNoToken
		}
		return to.String(), nil
	}
	if u.Scheme != teams.Scheme {
		return "", errors.New("want teams+https")
	}
	c := &teams.Config{}
	if err := c.SetURL(u); err != nil {
		return "", err
	}
	to := teams.BuildWebhookURL(c.Host, c.Group, c.Tenant, c.AltID, c.GroupOwner, c.ExtraID)
	return to, teams.ValidateWebhookURL(to)
}

func checkTeams(u *url.URL) error { _, err := teamsURL(u); return err }

// sendTeams sends an adaptive card, all of whose text is runs: they know no markup.
func sendTeams(ctx context.Context, s *Sender, l letter) Result {
	to, err := teamsURL(l.url)
	if err != nil {
		return misread(l)
	}
	r := s.post(ctx, s.checked, to, teamsMessage(&l), nil)
	if text := strings.TrimSpace(r.Text); r.OK && strings.Contains(text, "failed") { // a connector's 200 that means another
		r.OK = false
	}
	return r
}

type object = map[string]any

func teamsMessage(l *letter) object {
	var body []object
	room := maxTeams
	for _, it := range l.Items {
		body = append(body, teamsText(it.Head, object{"weight": "Bolder"}, nil))
		room -= len(it.Head)
		if len(it.Facts) > 0 && room > 0 {
			facts := clipped(it.Facts, room)
			room -= len(facts)
			body = append(body, teamsText(facts, nil, object{"spacing": "None"}))
		}
	}
	for _, a := range l.Acks {
		body = append(body, teamsText("Acknowledge: "+a, object{"isSubtle": true}, nil))
	}
	card := object{"$schema": "http://adaptivecards.io/schemas/adaptive-card.json", "type": "AdaptiveCard", "version": "1.4", "body": body}
	if l.Link != "" {
		card["actions"] = []object{{"type": "Action.OpenUrl", "title": openWords, "url": l.Link}}
	}
	return object{"type": "message", "summary": l.Subject, "attachments": []object{{"contentType": "application/vnd.microsoft.card.adaptive", "content": card}}}
}

func teamsText(text string, run, block object) object {
	r := object{"type": "TextRun", "text": text}
	for k, v := range run {
		r[k] = v
	}
	b := object{"type": "RichTextBlock", "inlines": []object{r}}
	for k, v := range block {
		b[k] = v
	}
	return b
}
