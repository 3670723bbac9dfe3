package messages

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// InvalidError says why a document was refused: what the answer
// "invalid_report" carries. It echoes at most 40 bytes of the document.
type InvalidError struct {
	Field   string // path of the field, as guests[3].vmid; "" when the document is not JSON
	Problem string
}

// Error is the field, a colon and the problem.
func (e *InvalidError) Error() string {
	if e.Field == "" {
		return e.Problem
	}
	return e.Field + ": " + e.Problem
}

const maxEcho = 20 // bytes of a foreign name, of which an error shows at most two

// echo makes a name from a document fit for an error and a terminal.
func echo(name string) string {
	plain := func(r rune) bool {
		return r == '_' || r == '-' || r|0x20 >= 'a' && r|0x20 <= 'z' || r >= '0' && r <= '9'
	}
	name = clip(name, maxEcho)
	if name == "" || strings.ContainsFunc(name, func(r rune) bool { return !plain(r) }) {
		return strconv.QuoteToASCII(name)
	}
	return name
}

// clip cuts s to at most n bytes without cutting a character in two.
func clip[T ~string | ~[]byte](s T, n int) T {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
