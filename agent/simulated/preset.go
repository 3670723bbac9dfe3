package simulated

import (
	"fmt"
	"strings"
	"time"
)

// Preset is a named way to misbehave.
type Preset string

// The presets. Healthy hosts do nothing remarkable.
const (
	Healthy  Preset = "healthy"
	Silent   Preset = "silent"   // falls silent for a long while, and returns
	Flapping Preset = "flapping" // comes and goes
	Skewed   Preset = "skewed"   // its clock is 17 minutes ahead
	Stopping Preset = "stopping" // guests stop and start
	Filling  Preset = "filling"  // its disk fills up
	Offline  Preset = "offline"  // its tunnel fails
	Reboots  Preset = "reboots"  // boots often
)

var presets = []Preset{Healthy, Silent, Flapping, Skewed, Stopping, Filling, Offline, Reboots}

// skewLead is well over what a hub tolerates, 5 minutes.
const skewLead = 17 * time.Minute

// Presets lists them all, the healthy one first.
func Presets() []Preset { return append([]Preset(nil), presets...) }

// ParsePreset reads a preset's name.
func ParsePreset(s string) (Preset, error) {
	for _, p := range presets {
		if s == string(p) {
			return p, nil
		}
	}
	return "", fmt.Errorf("preset %q is unknown; want one of %s", s, strings.Trim(fmt.Sprint(presets), "[]"))
}

// Profile is the preset in time units of down: how long a host must be silent
// for a hub to call it down. A demo with short thresholds passes seconds.
func (p Preset) Profile(down time.Duration) Profile {
	switch p {
	case Silent:
		return Profile{Silent: Cycle{Every: 6 * down, For: 2 * down}}
	case Flapping:
		return Profile{Silent: Cycle{Every: 2 * down, For: down * 3 / 4}}
	case Skewed:
		return Profile{Skew: skewLead}
	case Stopping:
		return Profile{Stopped: Cycle{Every: 4 * down, For: down}}
	case Filling:
		return Profile{DiskFills: 12 * down}
	case Offline:
		return Profile{Offline: Cycle{Every: 5 * down, For: down}}
	case Reboots:
		return Profile{Reboots: 8 * down}
	}
	return Profile{}
}
