package actors

import (
	"testing"
	"time"
)

// TestDurationsInWords protects what stands on a lock screen: at most two
// units, none of them zero, nothing below zero.
func TestDurationsInWords(t *testing.T) {
	tests := []struct {
		d    time.Duration
		want string
	}{
		{-time.Hour, "0 s"},
		{0, "0 s"},
		{59*time.Second + 999*time.Millisecond, "59 s"},
		{time.Minute, "1 min"},
		{119 * time.Second, "1 min"},
		{30 * time.Minute, "30 min"},
		{time.Hour, "1 h"},
		{time.Hour + 59*time.Second, "1 h"},
		{65 * time.Minute, "1 h 5 min"},
		{24*time.Hour - 1, "23 h 59 min"},
		{24 * time.Hour, "1 d"},
		{24*time.Hour + 30*time.Minute, "1 d"},
		{26*time.Hour + 59*time.Minute, "1 d 2 h"},
		{400 * 24 * time.Hour, "400 d"},
	}
	for _, tt := range tests {
		if got := inWords(tt.d); got != tt.want {
			t.Errorf("inWords(%v) = %q, want %q", tt.d, got, tt.want)
		}
	}
}

// TestRulesScaleWithAHostsOwnInterval protects a host that reports rarely by
// agreement from alarms in between, and one that reports often from losing its
// thresholds.
func TestRulesScaleWithAHostsOwnInterval(t *testing.T) {
	hub := Rules{PollInterval: 15 * time.Minute, Stale: 30 * time.Minute, Down: time.Hour, ResumeGrace: 16 * time.Minute}
	hourly := Rules{PollInterval: time.Hour, Stale: 2 * time.Hour, Down: 4 * time.Hour, ResumeGrace: 64 * time.Minute}
	none := Rules{Stale: 3 * time.Second, Down: 6 * time.Second}
	tests := []struct {
		name  string
		rules Rules
		own   int
		want  Rules
	}{
		{"none of its own", hub, 0, hub},
		{"a shorter one", hub, 60, hub},
		{"the hub's", hub, 900, hub},
		{"four times the hub's", hub, 3600, hourly},
		{"a hub without an interval", none, 3600, none},
	}
	for _, tt := range tests {
		if got := tt.rules.scaled(tt.own); got != tt.want {
			t.Errorf("%s: got %+v, want %+v", tt.name, got, tt.want)
		}
	}
}
