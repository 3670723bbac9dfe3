package demo

import (
	"testing"
	"time"

	"felhom.eu/agent/simulated"
)

// TestHostsFallSilentAndReturnWithinAMinute holds whoever watches a demo for a
// minute to see the switch at work, whatever the clock says when it begins: some
// host reports, is silent until it is stale, and is back.
func TestHostsFallSilentAndReturnWithinAMinute(t *testing.T) {
	const within = 60 // seconds
	var fleet []*simulated.Source
	for n := range len(customers) * hostsEach {
		fleet = append(fleet, simulated.New(uint64(n), preset(n).Profile(downSeconds*time.Second)))
	}
	midnight := time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC)
	for start := range 4 * 60 { // longer than any cycle of silence
		returned := 0
		for _, host := range fleet {
			if returns(host, midnight.Add(time.Duration(start)*time.Second), within) {
				returned++
			}
		}
		if returned == 0 {
			t.Errorf("a demo that starts %d s past midnight shows no host that returns within %d s", start, within)
		}
	}
}

// returns reports whether host speaks, is silent for long enough to be stale
// whatever its reports' jitter, and speaks again, all in the seconds from start.
func returns(host *simulated.Source, start time.Time, seconds int) bool {
	spoke, silent := false, 0
	for second := range seconds {
		if !host.Speaks(start.Add(time.Duration(second) * time.Second)) {
			silent++
			continue
		}
		if spoke && silent > staleSeconds+2 {
			return true
		}
		spoke, silent = true, 0
	}
	return false
}
