package messages

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"
	_ "time/tzdata"
)

// What an operator writes is read, or the field that is wrong is named.
func TestCronIsRead(t *testing.T) {
	for text, want := range map[string]string{
		"0 3 * * 0":                             "",
		" 0  3 * * 7 ":                          "",
		"*/15 22-23,0-5 1,15 jan Mon":           "",
		"5/10 * * * *":                          "",
		"0 0 29 2 *":                            "",
		"":                                      "want five fields",
		"0 3 * *":                               "want five fields",
		"0 3 * * 0 root":                        "want five fields",
		"@daily":                                "want five fields",
		strings.Repeat("0,", 200) + "0 * * * *": "want five fields",
		"60 * * * *":                            "minute",
		"-1 * * * *":                            "minute",
		"5-1 * * * *":                           "minute",
		", * * * *":                             "minute",
		"*/0 * * * *":                           "minute",
		"* 24 * * *":                            "hour",
		"* * 0 * *":                             "day of the month",
		"* * * 13 *":                            "month",
		"* * * mon *":                           "month",
		"* * * * 8":                             "day of the week",
		"* * * * son":                           "day of the week",
		"0 0 30 2 *":                            "no month has such a day",
		"0 0 31 4,6 *":                          "no month has such a day",
	} {
		_, err := ParseCron(text)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%.40q: got %v, want %q", text, err, want)
		}
	}
}

// An instant is the next that the fields name, on days when clocks change, too. Clocks
// of Budapest go from 02:00 to 03:00 at 01:00 UTC on 2026-03-29, and from 03:00 to 02:00 at
// 01:00 UTC on 2026-10-25; those of Lord Howe by half an hour.
func TestCronNextInstant(t *testing.T) {
	for _, c := range []struct{ cron, zone, after, want string }{
		{"0 3 * * *", "", "2026-06-08T02:59:59Z", "2026-06-08T03:00:00Z"},
		{"0 3 * * *", "", "2026-06-08T03:00:00Z", "2026-06-09T03:00:00Z"},
		{"0 3 * * 0", "Europe/Budapest", "2026-06-08T00:00:00Z", "2026-06-14T01:00:00Z"},
		{"0 0 1 * *", "", "2026-12-31T23:59:00Z", "2027-01-01T00:00:00Z"},
		{"0 0 29 2 *", "", "2096-03-01T00:00:00Z", "2104-02-29T00:00:00Z"},
		{"0 0 13 * fri", "", "2026-06-08T00:00:00Z", "2026-06-12T00:00:00Z"}, // either day is enough
		{"0 0 13 * */5", "", "2026-06-08T00:00:00Z", "2026-09-13T00:00:00Z"}, // both must fit: 5 and 0

		{"30 1 * * *", "Europe/Budapest", "2026-03-29T00:00:00Z", "2026-03-29T00:30:00Z"},
		{"30 2 * * *", "Europe/Budapest", "2026-03-29T00:00:00Z", "2026-03-29T01:30:00Z"}, // skipped: half past three
		{"0 2 * * *", "Europe/Budapest", "2026-03-29T00:00:00Z", "2026-03-29T01:00:00Z"},
		{"0 3 * * *", "Europe/Budapest", "2026-03-29T00:00:00Z", "2026-03-29T01:00:00Z"},
		{"30 2 * * *", "Europe/Budapest", "2026-03-29T01:30:00Z", "2026-03-30T00:30:00Z"},
		{"30 2 * * *", "Europe/Budapest", "2026-10-24T22:00:00Z", "2026-10-25T00:30:00Z"}, // the first of two
		{"30 2 * * *", "Europe/Budapest", "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"},
		{"0 3 * * *", "Europe/Budapest", "2026-10-24T22:00:00Z", "2026-10-25T02:00:00Z"},
		{"30 * * * *", "Europe/Budapest", "2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z"}, // every hour: both
		{"15 2 * * *", "Australia/Lord_Howe", "2026-10-03T15:00:00Z", "2026-10-03T15:45:00Z"},
		{"45 1 * * *", "Australia/Lord_Howe", "2026-04-04T14:00:00Z", "2026-04-04T14:45:00Z"},
		{"45 1 * * *", "Australia/Lord_Howe", "2026-04-04T14:45:00Z", "2026-04-05T15:15:00Z"},
		{"0 12 30 12 *", "Pacific/Apia", "2011-12-29T00:00:00Z", "2011-12-30T22:00:00Z"}, // a day that was skipped
	} {
		cron, err := ParseCron(c.cron)
		if err != nil {
			t.Fatal(err)
		}
		zone, err := ParseZone(c.zone)
		if err != nil {
			t.Fatal(err)
		}
		if got := cron.Next(instantOf(t, c.after), zone).UTC().Format(time.RFC3339); got != c.want {
			t.Errorf("%s in %q after %s: got %s, want %s", c.cron, c.zone, c.after, got, c.want)
		}
	}
}

func TestZoneIsRead(t *testing.T) {
	for _, name := range []string{"Local", "Europe/Atlantis", "../../etc/passwd", "europe\x00"} {
		if zone, err := ParseZone(name); err == nil {
			t.Errorf("%q is %v", name, zone)
		}
	}
}

// Next and a walk through every minute, which knows nothing of stretches, agree.
func TestCronAgreesWithWalk(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	pick := func(words ...string) string { return words[random.IntN(len(words))] }
	schedules := 400
	if testing.Short() {
		schedules = 50
	}
	for range schedules {
		text := strings.Join([]string{pick("0", "30", "*/20", "59", "5,45"), pick("*", "2", "1-3", "*/3", "0", "23"),
			pick("*", "*", "25-29", "1"), pick("*", "3,4", "10-11"), pick("*", "*", "0", "mon-fri")}, " ")
		zone, err := ParseZone(pick("", "Europe/Budapest", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"))
		if err != nil {
			t.Fatal(err)
		}
		cron, err := ParseCron(text)
		if err != nil {
			t.Fatal(err)
		}
		day := instantOf(t, pick("2026-03-28T00:00:00Z", "2026-10-24T00:00:00Z", "2026-03-07T20:00:00Z", "2026-10-31T20:00:00Z", "2026-04-04T00:00:00Z"))
		after := day.Add(time.Duration(random.Int64N(int64(36 * time.Hour))))
		got, want := cron.Next(after, zone), walked(&cron, after, zone)
		if want.IsZero() && got.Sub(after) > 48*time.Hour {
			continue
		}
		if !got.Equal(want) {
			t.Errorf("%s in %s after %s: got %s, want %s", text, zone, after, got.In(zone), want.In(zone))
		}
	}
}

// walked looks for the next instant minute by minute, for two days.
func walked(c *Cron, after time.Time, zone *time.Location) time.Time {
	names := func(wall time.Time) bool { return c.after(wall.Add(-time.Minute)).Equal(wall) }
	wall := func(t time.Time) time.Time { return t.UTC().Add(offsetOf(t.In(zone))) }
	for t := after.Truncate(time.Minute).Add(time.Minute); t.Sub(after) <= 48*time.Hour; t = t.Add(time.Minute) {
		here := names(wall(t))
		for _, back := range []time.Duration{30 * time.Minute, time.Hour} {
			if before := t.Add(-back); wall(before).Equal(wall(t)) && !c.anyHour {
				here = false // repeated
			}
			if offset := offsetOf(t.Add(-back).In(zone)); offset == offsetOf(t.In(zone))-back && names(t.UTC().Add(offset)) {
				here = true // skipped, by the clock of before
			}
		}
		if here {
			return t
		}
	}
	return time.Time{}
}

func instantOf(t testing.TB, text string) time.Time {
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// A stretch ends behind the instant that it is of, also on the last day of leap years that the
// zones' tables do not reach: Next goes from one to the next.
func TestStretchesEnd(t *testing.T) {
	for _, name := range []string{"Europe/Budapest", "America/New_York", "Australia/Sydney", "Africa/Casablanca", "Asia/Tokyo"} {
		zone, err := ParseZone(name)
		if err != nil {
			t.Fatal(err)
		}
		at := instantOf(t, "2026-01-01T00:00:00Z")
		for end := at.AddDate(25, 0, 0); at.Before(end); at = at.Add(6 * time.Hour) {
			if s := stretchOf(at, zone); !s.to.IsZero() && !s.to.After(at) {
				t.Fatalf("%s: the stretch of %s ends at %s", name, at, s.to)
			}
		}
	}
}

// checkCron: whatever is read as a schedule has instants, each behind the one before.
func checkCron(t testing.TB, text []byte) bool {
	c, err := ParseCron(string(text))
	if err != nil {
		if len(err.Error()) > 300 {
			t.Fatalf("%.80q: an error of %d bytes", text, len(err.Error()))
		}
		return false
	}
	zone, _ := ParseZone("Europe/Budapest")
	at := time.Date(2026, 3, 28, 0, 0, 0, 0, time.UTC)
	for range 5 {
		next := c.Next(at, zone)
		if !next.After(at) {
			t.Fatalf("%q: %s after %s", text, next, at)
		}
		at = next
	}
	return true
}
