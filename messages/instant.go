package messages

import "time"

// parseInstant reads an RFC 3339 time. Package time is laxer: it takes an hour of
// one digit, a decimal comma and an offset of a day (golang/go#54580).
func parseInstant(b []byte) (t time.Time, ok bool) {
	if t.UnmarshalText(b) != nil || b[12] == ':' || b[19] == ',' {
		return time.Time{}, false
	}
	if n := len(b); b[n-1] != 'Z' && (view(b[n-5:n-3]) > "23" || view(b[n-2:]) > "59") {
		return time.Time{}, false
	}
	return t, true
}
