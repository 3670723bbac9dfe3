package notify

import (
	"encoding/base64"
	"net/url"
	"regexp"
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
	secrets := secretsOf(r)
	if text == "" || len(secrets) == 0 {
		return text
	}
	quoted := make([]string, len(secrets))
	for i, s := range secrets {
		quoted[i] = regexp.QuoteMeta(s)
	}
	return regexp.MustCompile("(?i)"+strings.Join(quoted, "|")).ReplaceAllLiteralString(strings.ToValidUTF8(text, ""), hidden)
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
		if len(s) >= leastSecret && utf8.ValidString(s) && !slices.Contains(secrets, s) && !slices.Contains(public, strings.ToLower(s)) {
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
	return strings.FieldsFunc(strings.ToLower(Mask(kind, raw)), isSeparator)
}
