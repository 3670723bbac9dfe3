package proxmox

import (
	"fmt"
	"time"

	"felhom.eu/agent/api2"
	"felhom.eu/messages"
)

// staleFactor periods after it was read, a value that cannot be read again is
// too old to be told: three hours by default.
const staleFactor = 3

// retryAfter is when a question that failed is asked again, if its period is not
// over before.
const retryAfter = 10 * time.Minute

// kept is a collection that is read once a period and told with every report in
// between, together with when it was read. When it cannot be read again the old
// value is told for staleFactor periods, with the reason; one that the token may
// no longer read is not told at all: what was is not what is.
type kept[T any] struct {
	value   T
	readAt  time.Time // of value; zero: there is none
	triedAt time.Time
	err     error // of the last try
}

// due reports whether to ask.
func (k *kept[T]) due(now time.Time, period time.Duration) bool {
	wait := period
	if k.err != nil {
		wait = min(period, retryAfter)
	}
	return k.triedAt.IsZero() || now.Sub(k.triedAt) >= wait
}

// tried notes how asking went.
func (k *kept[T]) tried(now time.Time, value T, err error) {
	k.triedAt, k.err = now, err
	switch {
	case err == nil:
		k.value, k.readAt = value, now
	case api2.SectionOf(err).Status == messages.SectionDenied:
		*k = kept[T]{triedAt: now, err: err}
	}
}

// get is the value, if it may be told, and the section that says so.
func (k *kept[T]) get(now time.Time, period time.Duration) (value T, section messages.Section) {
	switch {
	case k.triedAt.IsZero():
		return value, messages.Section{Status: messages.SectionFailed, Detail: "not read yet: it is asked for with one of the next reports"}
	case k.err == nil && k.readAt.Equal(now):
		return k.value, messages.Section{Status: messages.SectionOK}
	case k.err == nil && now.Sub(k.readAt) < staleFactor*period:
		return k.value, messages.Section{Status: messages.SectionOK, ReadAt: utc(k.readAt)}
	case k.err == nil: // no report had the time to ask
		return value, messages.Section{Status: messages.SectionFailed, Detail: fmt.Sprintf("not read since %s", k.readAt.UTC().Format(time.RFC3339))}
	case !k.readAt.IsZero() && now.Sub(k.readAt) < staleFactor*period:
		return k.value, messages.Section{Status: messages.SectionOK, ReadAt: utc(k.readAt), Detail: api2.OneLine("not read again: " + k.err.Error())}
	}
	return value, api2.SectionOf(k.err)
}

// utc is t as the wire has it: seconds, and absent when there is none.
func utc(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC().Truncate(time.Second)
	return &t
}

// unix is an instant of the API.
func unix(seconds U64) time.Time {
	if seconds == 0 || seconds > 1<<40 {
		return time.Time{}
	}
	return time.Unix(int64(seconds), 0)
}
