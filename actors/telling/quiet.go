package telling

import (
	"time"

	"felhom.eu/messages"
)

// quietUntil is when a route's quiet hours end that hold now; ok is false when none do.
// Hours that cannot be read are none: the route is told.
func quietUntil(q *messages.QuietHours, now time.Time) (end time.Time, ok bool) {
	if q == nil {
		return end, false
	}
	zone, err := time.LoadLocation(q.TimeZone)
	from, badFrom := time.Parse("15:04", q.From)
	to, badTo := time.Parse("15:04", q.To)
	if err != nil || badFrom != nil || badTo != nil {
		return end, false
	}
	local := now.In(zone)
	for _, day := range []int{-1, 0} { // that of last night, or tonight's
		y, m, d := local.Date()
		begins := time.Date(y, m, d+day, from.Hour(), from.Minute(), 0, 0, zone)
		over := 0
		if !to.After(from) {
			over = 1
		}
		end = time.Date(y, m, d+day+over, to.Hour(), to.Minute(), 0, 0, zone)
		if !now.Before(begins) && now.Before(end) {
			return end, true
		}
	}
	return time.Time{}, false
}
