package dashboard

import (
	"fmt"
	"testing"
)

// Two reports are compared by what their elements are called, not by where they stand;
// figures that never rest are kept apart.
func TestWhatChangedBetweenTwoReports(t *testing.T) {
	before := `{"sequence":1,"host":{"kernel":"6.8.12-9-pve","load_1m":0.5},"guests":[{"vmid":101,"name":"web","status":"running"},{"vmid":102,"status":"running","uptime_seconds":5}]}`
	after := `{"sequence":2,"host":{"kernel":"6.14.11-4-pve","load_1m":0.7},"guests":[{"vmid":102,"status":"stopped","uptime_seconds":9},{"vmid":103,"status":"running"}]}`
	var p reportPage
	p.sort(changesOf([]byte(before), []byte(after)))
	want := "[{guests[101].name web } {guests[101].status running } {guests[101].vmid 101 } {guests[102].status running stopped}" +
		" {guests[103].status  running} {guests[103].vmid  103} {host.kernel 6.8.12-9-pve 6.14.11-4-pve}]"
	if got := fmt.Sprint(p.Changes); got != want {
		t.Errorf("got\n%s, want\n%s", got, want)
	}
	if got := fmt.Sprint(p.Figures); got != "[{guests[102].uptime_seconds 5 9} {host.load_1m 0.5 0.7}]" {
		t.Errorf("figures: %s", got)
	}
}
