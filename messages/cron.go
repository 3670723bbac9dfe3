package messages

import (
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Cron is the five fields of crontab(5), read: minute, hour, day of the month, month
// and day of the week. Fields are lists of numbers, ranges and steps (1-5, */15), and
// of the first three letters of months and weekdays; Sunday is 0 and 7. As in
// crontab(5) one of both fields of days is enough, unless one of them begins with *.
type Cron struct {
	minutes, hours, days, months, weekdays uint64 // bit n: n is named

	anyHour bool // the hour begins with *
	anyDay  bool // a field of days does
}

// cronYears is how far ahead an instant is looked for: no 29th of February is more
// than eight years away.
const cronYears = 9

// maxCron is the most bytes of a schedule that is read.
const maxCron = 256

// cronField is what one of the five may say.
type cronField struct {
	name     string
	min, max uint64
	names    []string // of min and those after it
}

var cronFields = [...]cronField{
	{name: "minute", max: 59},
	{name: "hour", max: 23},
	{name: "day of the month", min: 1, max: 31},
	{name: "month", min: 1, max: 12, names: []string{"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"}},
	{name: "day of the week", max: 7, names: []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}},
}

// ParseCron reads five fields. The error says which of them cannot be read; a date that
// no calendar has, such as the 30th of February, is one, too.
func ParseCron(text string) (c Cron, err error) {
	fields := strings.Fields(text[:min(len(text), maxCron)])
	if len(fields) != len(cronFields) || len(text) > maxCron {
		return c, errors.New("want five fields: minute, hour, day of the month, month, day of the week, as 0 3 * * 0")
	}
	for i, into := range []*uint64{&c.minutes, &c.hours, &c.days, &c.months, &c.weekdays} {
		if *into, err = cronFields[i].read(fields[i]); err != nil {
			return Cron{}, err
		}
	}
	c.weekdays |= c.weekdays >> 7 & 1 // 7 is Sunday
	c.anyHour = fields[1][0] == '*'
	c.anyDay = fields[2][0] == '*' || fields[4][0] == '*'
	if c.after(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)).IsZero() {
		return Cron{}, errors.New("no month has such a day")
	}
	return c, nil
}

func (f *cronField) read(list string) (set uint64, err error) {
	for part := range strings.SplitSeq(list, ",") {
		span, every, stepped := strings.Cut(part, "/")
		step := uint64(1)
		if stepped {
			if step, err = strconv.ParseUint(every, 10, 8); err != nil || step == 0 {
				return 0, fmt.Errorf("%s %.40q: want a number of 1 and above behind the slash", f.name, part)
			}
		}
		first, last, ok := f.span(span, stepped)
		if !ok {
			return 0, fmt.Errorf("%s %.40q: want *, numbers from %d to %d, or ranges of them", f.name, part, f.min, f.max)
		}
		for n := first; n <= last; n += step {
			set |= 1 << n
		}
	}
	return set, nil
}

// span reads *, a number, or two with a dash between; a number with a step behind it
// goes to the end.
func (f *cronField) span(s string, stepped bool) (first, last uint64, ok bool) {
	if s == "*" {
		return f.min, f.max, true
	}
	from, to, ranged := strings.Cut(s, "-")
	first, ok = f.number(from)
	switch last = first; {
	case ranged && ok:
		last, ok = f.number(to)
	case stepped:
		last = f.max
	}
	return first, last, ok && first <= last
}

func (f *cronField) number(s string) (uint64, bool) {
	if i := slices.Index(f.names, strings.ToLower(s)); i >= 0 {
		return f.min + uint64(i), true
	}
	n, err := strconv.ParseUint(s, 10, 8)
	return n, err == nil && n >= f.min && n <= f.max
}

// after is the first minute behind t, on a clock that never changes; the zero time when
// there is none.
func (c *Cron) after(t time.Time) time.Time {
	t = t.Truncate(time.Minute).Add(time.Minute)
	for end := t.Year() + cronYears; t.Year() < end; {
		year, month, day := t.Date()
		if c.months>>month&1 == 0 {
			t = time.Date(year, month+1, 1, 0, 0, 0, 0, time.UTC)
			continue
		}
		if !c.onDay(day, t.Weekday()) {
			t = time.Date(year, month, day+1, 0, 0, 0, 0, time.UTC)
			continue
		}
		hour := t.Hour()
		if minutes := c.minutes >> t.Minute(); c.hours>>hour&1 != 0 && minutes != 0 {
			return t.Add(time.Duration(bits.TrailingZeros64(minutes)) * time.Minute)
		}
		t = time.Date(year, month, day, hour+1, 0, 0, 0, time.UTC)
	}
	return time.Time{}
}

func (c *Cron) onDay(day int, weekday time.Weekday) bool {
	ofMonth, ofWeek := c.days>>day&1 != 0, c.weekdays>>weekday&1 != 0
	if c.anyDay {
		return ofMonth && ofWeek
	}
	return ofMonth || ofWeek
}

// Next is the first instant behind after that the schedule names in a zone; the zero
// time when there is none. Where clocks change it is reckoned by the clock before the
// change: what is in an hour that is skipped comes as much later, what is in one that is
// repeated comes the first time; but a schedule for every hour has both of them.
func (c *Cron) Next(after time.Time, zone *time.Location) time.Time {
	at := after // in the stretch of time that is looked at, in which the offset is one
	for end := after.Year() + cronYears; at.Year() < end; {
		s := stretchOf(at, zone)
		if next := c.within(&s, after); !next.IsZero() {
			return next
		}
		if s.to.IsZero() {
			break
		}
		at, after = s.to, s.to.Add(-1)
	}
	return time.Time{}
}

// stretch is time between two changes of a zone's clock.
type stretch struct {
	from, to time.Time     // zero: without begin, without end
	offset   time.Duration // of the clock, to UTC
	ahead    time.Duration // by which the clock was put forward at from; negative: back
}

func stretchOf(at time.Time, zone *time.Location) (s stretch) {
	local := at.In(zone)
	s.from, s.to = local.ZoneBounds()
	if !s.to.IsZero() && !s.to.After(at) { // the time package ends leap years without a table on 30 December
		_, s.to = local.Add(24 * time.Hour).ZoneBounds()
	}
	s.offset = offsetOf(local)
	if !s.from.IsZero() {
		s.ahead = s.offset - offsetOf(s.from.Add(-1))
	}
	return s
}

func offsetOf(t time.Time) time.Duration {
	_, seconds := t.Zone()
	return time.Duration(seconds) * time.Second
}

// within is the first instant of a stretch behind after.
func (c *Cron) within(s *stretch, after time.Time) (next time.Time) {
	if s.ahead < 0 && !c.anyHour { // what is repeated was there before
		if again := s.from.Add(-s.ahead); after.Before(again) {
			after = again.Add(-1)
		}
	}
	if next = c.by(s.offset, after); !s.to.IsZero() && !next.Before(s.to) {
		next = time.Time{}
	}
	if s.ahead > 0 && after.Before(s.from.Add(s.ahead)) { // what is skipped comes by the clock of before
		late := c.by(s.offset-s.ahead, after)
		if !late.IsZero() && late.Before(s.from.Add(s.ahead)) && (next.IsZero() || late.Before(next)) {
			next = late
		}
	}
	return next
}

// by is the first instant behind after, by a clock at a fixed offset.
func (c *Cron) by(offset time.Duration, after time.Time) time.Time {
	t := c.after(after.UTC().Add(offset))
	if t.IsZero() {
		return t
	}
	return t.Add(-offset)
}

// zones are those that were asked for: to read one takes longer than to use it. There
// are some six hundred.
var zones sync.Map // of *time.Location by name

// ParseZone reads a name of the time zone database; "" is UTC.
func ParseZone(name string) (*time.Location, error) {
	if zone, ok := zones.Load(name); ok {
		return zone.(*time.Location), nil
	}
	zone, err := time.LoadLocation(name)
	if err != nil || name == "Local" {
		return nil, errors.New("want a name of the time zone database, as Europe/Budapest")
	}
	zones.Store(name, zone)
	return zone, nil
}
