package proxmox

import (
	"errors"
	"testing"
	"time"

	"felhom.eu/agent/api2"
	"felhom.eu/messages"
)

// A value that cannot be read again is told for three periods with the time it
// was read, and never as if it were fresh; one that may not be read any more is
// not told at all.
func TestKeptValuesGrowOld(t *testing.T) {
	const period = time.Hour
	start := time.Unix(1773460000, 0)
	forbidden := &api2.Error{Kind: api2.KindForbidden, Status: 403}
	type try struct {
		after time.Duration
		value int
		err   error
	}
	for _, c := range []struct {
		name   string
		tries  []try
		after  time.Duration
		value  int
		status messages.SectionStatus
		readAt bool // said in the section
		due    bool
	}{
		{"never read", nil, 0, 0, messages.SectionFailed, false, true},
		{"fresh", []try{{0, 7, nil}}, 0, 7, messages.SectionOK, false, false},
		{"between", []try{{0, 7, nil}}, 59 * time.Minute, 7, messages.SectionOK, true, false},
		{"due", []try{{0, 7, nil}}, period, 7, messages.SectionOK, true, true},
		{"nobody asked", []try{{0, 7, nil}}, 3 * period, 0, messages.SectionFailed, false, true},
		{"failed once", []try{{0, 7, nil}, {period, 0, errors.New("x")}}, period + retryAfter - 1, 7, messages.SectionOK, true, false},
		{"asked again sooner", []try{{0, 7, nil}, {period, 0, errors.New("x")}}, period + retryAfter, 7, messages.SectionOK, true, true},
		{"failing for long", []try{{0, 7, nil}, {period, 0, errors.New("x")}, {3 * period, 0, errors.New("x")}}, 3 * period, 0, messages.SectionFailed, false, false},
		{"failed at first", []try{{0, 0, errors.New("x")}}, 0, 0, messages.SectionFailed, false, false},
		{"right lost", []try{{0, 7, nil}, {period, 0, forbidden}}, period, 0, messages.SectionDenied, false, false},
		{"right lost, then failing", []try{{0, 7, nil}, {period, 0, forbidden}, {period + 1, 0, errors.New("x")}}, period + 1, 0, messages.SectionFailed, false, false},
		{"back", []try{{0, 7, nil}, {period, 0, errors.New("x")}, {2 * period, 8, nil}}, 2 * period, 8, messages.SectionOK, false, false},
	} {
		var k kept[int]
		for _, y := range c.tries {
			k.tried(start.Add(y.after), y.value, y.err)
		}
		value, section := k.get(start.Add(c.after), period)
		if value != c.value || section.Status != c.status || (section.ReadAt != nil) != c.readAt || k.due(start.Add(c.after), period) != c.due {
			t.Errorf("%s: got %d, %+v, due %t", c.name, value, section, k.due(start.Add(c.after), period))
		}
		if section.Status == messages.SectionOK && section.ReadAt == nil && c.after != 0 && c.name != "back" {
			t.Errorf("%s: an old value looks fresh", c.name)
		}
	}
}
