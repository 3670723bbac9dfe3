package notify

import (
	"encoding/base64"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"felhom.eu/messages"
)

const (
	leastSecret = 4 // bytes; what is shorter opens nothing, and is in every text
	hidden      = "…"
)

// scrub takes whatever of a route's URL and secret may open something out of a text:
// an error or an answer that a far end made of it, in any of the forms that it may
// have there.
func scrub(text string, r messages.Route) string {
	if text == "" {
		return ""
	}
	text = strings.ToValidUTF8(text, "")
	for _, secret := range secretsOf(r) {
		text = hide(text, secret)
	}
	return text
}

// hide takes a secret out of a text, in whatever case ASCII's letters are there:
// hosts and the digits of escapes change theirs on the way.
func hide(text, secret string) string {
	low, secret := lower(text), lower(secret)
	var b strings.Builder
	for {
		i := strings.Index(low, secret)
		if i < 0 {
			break
		}
		b.WriteString(text[:i] + hidden)
		text, low = text[i+len(secret):], low[i+len(secret):]
	}
	return b.String() + text
}

// lower changes ASCII's letters only, so that no byte moves.
func lower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

// secretsOf are the strings that must not be in a text, longest first.
func secretsOf(r messages.Route) []string {
	raw := r.URL.Reveal()
	all := []string{raw, r.Secret.Reveal()}
	if u, err := url.Parse(raw); err == nil {
		all = append(all, secretParts(r.Kind, u)...)
	} else {
		all = append(all, strings.FieldsFunc(raw, isSeparator)...)
	}
	for _, s := range slices.Clone(all) {
		all = append(all, url.QueryEscape(s), url.PathEscape(s))
		// A service puts the parts of a token together in its own way.
		all = append(all, strings.FieldsFunc(s, isSeparator)...)
	}
	var secrets []string
	public := shownParts(r.Kind, raw)
	for _, s := range all {
		if len(s) >= leastSecret && utf8.ValidString(s) && !slices.Contains(secrets, s) && !slices.Contains(public, lower(s)) {
			secrets = append(secrets, s)
		}
	}
	slices.SortFunc(secrets, func(a, b string) int { return len(b) - len(a) })
	return secrets
}

func isSeparator(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '_' }

// secretParts are the parts of a URL that may open something.
func secretParts(kind messages.RouteKind, u *url.URL) []string {
	parts := []string{u.Path, u.EscapedPath(), u.RawQuery, u.Fragment, u.Opaque, u.User.String()}
	parts = append(parts, strings.Split(u.Path, "/")...)
	if u.User != nil {
		name := u.User.Username()
		password, _ := u.User.Password()
		parts = append(parts, name, password, name+":"+password)
		for _, login := range []string{name + ":" + password, "\x00" + name + "\x00" + password, name, password} { // as HTTP and SMTP say it
			parts = append(parts, base64.StdEncoding.EncodeToString([]byte(login)))
		}
	}
	for _, values := range u.Query() {
		parts = append(parts, values...)
	}
	if s, _, err := serviceOf(u.String()); kind == messages.RouteShoutrrr && err == nil && !s.hosted {
		parts = append(parts, u.Host)
	}
	return parts
}

// shownParts are words of a URL that Mask shows: they are no secret by themselves.
func shownParts(kind messages.RouteKind, raw string) []string {
	return strings.FieldsFunc(lower(Mask(kind, raw)), isSeparator)
}
