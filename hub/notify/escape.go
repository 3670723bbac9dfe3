package notify

import (
	"fmt"
	"html"
	"strings"
	"unicode/utf8"
)

// What is markup to a channel is written so that it is none. A name keeps its
// characters where the channel has a way to say them as they are.

// telegramHTML is text in Telegram's HTML mode, which knows four entities.
func telegramHTML(s string) string { return strings.ReplaceAll(html.EscapeString(s), "@", noPing) }

// slackText is text in Slack's mrkdwn: without <, > and & nothing is a link, a
// channel or a mention (docs.slack.dev, "Escaping text").
var slackText = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace

// noPing parts an @ from what it would call. The space has no width.
const noPing = "@\u200b"

// discordText and mattermostText are text in the Markdown of either: a backslash
// before what is punctuation there, and no mentions.
var (
	discordText    = markdown("\\*_~`|>#[]<")
	mattermostText = markdown("\\*_~`|>#[]")
)

func markdown(punctuation string) func(string) string {
	pairs := []string{"@", noPing}
	for _, c := range punctuation {
		pairs = append(pairs, string(c), "\\"+string(c))
	}
	return strings.NewReplacer(pairs...).Replace
}

// anyMarkup is text for a service whose markup is not known here: look-alikes in
// place of what makes links and mentions in the most.
var anyMarkup = strings.NewReplacer("@", noPing, "<", "‹", ">", "›", "](", "] (", "&", "＆").Replace

// clipped joins lines up to so many bytes; what is over is counted.
func clipped(lines []string, limit int) string {
	const spare = 32 // for the line that counts
	var b strings.Builder
	for i, l := range lines {
		if b.Len()+len(l)+spare > limit {
			b.WriteString(fmt.Sprintf("… and %d more lines", len(lines)-i))
			break
		}
		b.WriteString(l + "\n")
	}
	return strings.TrimRight(b.String(), "\n")
}

// valid is s cut to at most n bytes, at a character's end.
func valid(s string, n int) string {
	for len(s) > n {
		_, size := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-size]
	}
	return s
}
