//go:build race

package api

// The race detector's pools drop what they are given.
func init() { raceEnabled = true }
