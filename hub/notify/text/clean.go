package text

import (
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

const (
	maxName = 120 // characters of what somebody else wrote, in one place
	maxHead = 240 // characters of a head, some of which are ours
)

// clean makes one line of what somebody else wrote: what is not printable goes, marks
// of direction among it, and so do bytes that are no text. It has at most 120 characters.
func clean(s string) string { return cut(oneLine(s), maxName) }

// oneLine reads no more than it could need: a name may be long.
func oneLine(s string) string {
	const enough = 4 * maxHead * utf8.UTFMax
	if len(s) > enough {
		s = s[:enough]
	}
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case r == utf8.RuneError || !unicode.IsPrint(r):
			return -1
		}
		return r
	}, s)
	return strings.Join(strings.Fields(s), " ")
}

// cut leaves at most n characters, the last of which then says that there were more.
func cut(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	r := []rune(s)
	return strings.TrimRight(string(r[:max(n-1, 0)]), " ,:") + "…"
}

// clockTime is an instant for people: its day is left out when it is that of near.
func clockTime(at, near time.Time) string {
	at, near = at.UTC(), near.UTC()
	if at.YearDay() == near.YearDay() && at.Year() == near.Year() {
		return at.Format("15:04 UTC")
	}
	if at.Year() == near.Year() {
		return at.Format("2 Jan 15:04 UTC")
	}
	return at.Format("2 Jan 2006 15:04 UTC")
}
