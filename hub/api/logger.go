package api

import (
	"errors"
	"fmt"
	"net"
	"regexp"
	"strings"

	"github.com/rs/zerolog"
)

// connLogger is fasthttp's way to our log. fasthttp quotes what it could not
// parse, keys included, even with SecureErrorLogMessage; so only its own fixed
// words, addresses, and errors of the network pass.
type connLogger struct{ log zerolog.Logger }

// Printf logs the fixed part of format and those args that cannot hold a
// request's bytes. One connection's trouble is its own, hence debug.
func (l connLogger) Printf(format string, args ...any) {
	e := l.log.Debug()
	for _, a := range args {
		switch v := a.(type) {
		case net.Addr:
			e = e.Stringer("remote", v) // the local one comes first and is replaced
		case int:
			e = e.Int("count", v)
		case error:
			e = e.Str("cause", causeOf(v))
		}
	}
	e.Msg(fixedPart(format))
}

// causeOf describes an error without quoting it, unless the network made it.
func causeOf(err error) string {
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Error()
	}
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return strings.TrimPrefix(fmt.Sprintf("%T", err), "*")
		}
		err = inner
	}
}

// fixedPart is format up to its first verb.
func fixedPart(format string) string {
	before, _, _ := strings.Cut(format, "%")
	return strings.TrimRight(before, " :,\"")
}

// secrets are the forms that keys take: API keys, webhook secrets, credentials
// in a header or a URL.
var secrets = regexp.MustCompile(`[0-9a-fA-F]{64}|whsec_[A-Za-z0-9+/=]+|(?i:bearer|basic)\s+\S+|(?i:https?://)\S+`)

// redact makes an internal error fit for the log.
func redact(s string) string { return secrets.ReplaceAllString(s, "[redacted]") }
